"""Images as scanners, archives and colleagues write them: DICOM, NIfTI, NRRD."""
