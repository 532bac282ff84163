"""What Qiskit's objects mean: operations, expressions, observables, parameters, on every line of Qiskit."""
