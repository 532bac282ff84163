"""Values with their derivatives, as PyTorch knows functions."""
