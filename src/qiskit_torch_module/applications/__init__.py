"""The classifier of digits that ships with the package, its data and its training."""
