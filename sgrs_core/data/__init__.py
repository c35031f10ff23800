"""Scans on their way to a training step: downloads, file formats, preprocessing, patches."""
