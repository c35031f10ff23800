"""Original scans as their owners distribute them: one file per data set, each with `prepare`."""
