"""The interface for users of PyTorch."""
