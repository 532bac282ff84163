"""What computes a program: the native engine, and plain PyTorch."""
