"""Made-up scans of each data set in its owners' file format; every voxel follows from a seed."""
