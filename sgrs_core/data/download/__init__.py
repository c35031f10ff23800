"""Data sets from their servers, each file whole and checked, or not there."""
