"""``python -m qiskit_torch_module`` is the command ``qtm``."""

from .cli import app

if __name__ == "__main__":
    app()
