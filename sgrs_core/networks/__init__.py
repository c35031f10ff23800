"""The networks of all methods."""
