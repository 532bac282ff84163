"""What knows neither circuits nor Qiskit: checks of arguments, files, time."""
