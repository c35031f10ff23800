"""What the runs' files become: statistics, tables, figures, one HTML page.

Statistics and tables are made without torch: a job that writes a table starts in a second.
"""
