"""From a scan's original files to its prepared volume: one file for each data set."""
