"""The faces that PyTorch's users know."""
