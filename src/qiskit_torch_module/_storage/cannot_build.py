"""The error of what another version of Qiskit can express, and this one cannot."""


class CannotBuildError(Exception):
    """This version of Qiskit has no way to write the circuit down; nothing is wrong with it."""
