"""The faces that Qiskit's users know."""
