"""``python -m qiskit_torch_module.cli`` is the command ``qtm``."""

from . import app

if __name__ == "__main__":
    app()
