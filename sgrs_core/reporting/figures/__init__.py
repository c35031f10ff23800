"""The figures, each drawn from files that the runs left."""
