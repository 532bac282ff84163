"""Values and their derivatives as functions of PyTorch."""
