"""The engine on a GPU: kernels in CUDA C++, the launches that a program takes, and the libraries that run them."""
