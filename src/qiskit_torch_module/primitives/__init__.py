"""The interface for users of Qiskit."""
