"""The loss functions of all methods."""
