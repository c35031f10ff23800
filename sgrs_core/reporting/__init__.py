"""What the runs' files become: statistics, tables, figures, one HTML page."""
