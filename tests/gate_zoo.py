"""One specimen or more of every operation in ``qiskit.circuit.library``, by class name."""

from __future__ import annotations

import inspect

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Operation, Parameter, library
from qiskit.circuit.library import standard_gates
from qiskit.quantum_info import SparsePauliOp, random_unitary

T = Parameter("t")

# Refused, by class name: what is not unitary, and what Qiskit itself cannot take apart on its own qubits alone.
REFUSED = {"Measure", "Reset", "PauliProductMeasurement", "WeightedSumGate"}
# What Qiskit's own Statevector fails on, with the version that does.
BROKEN = {("0.25", "CUGate"), *((line, "MultiplierGate") for line in ("1.3", "1.4", "2.0", "2.1", "2.2", "2.3"))}
# Leaves the state alone.
IDLE = {"Barrier"}


def operation_classes() -> dict[str, type]:
    """All operations of the installed Qiskit's circuit library."""
    found = {}
    for module in (library, standard_gates):
        for name, value in vars(module).items():
            if inspect.isclass(value) and issubclass(value, Operation) and not issubclass(value, QuantumCircuit):
                found[name] = value
    return {name: cls for name, cls in found.items() if not inspect.isabstract(cls)}


def _boolean_functions():
    return {
        "AndGate": lambda c: [c(2), c(3, [1, -1, 0])],
        "OrGate": lambda c: [c(2), c(3, [1, -1, 0])],
        "InnerProductGate": lambda c: [c(2)],
        "BitwiseXorGate": lambda c: [c(3, 5)],
        "PhaseOracleGate": lambda c: [c("a & ~b")],
        "BitFlipOracleGate": lambda c: [c("a & ~b")],
    }


def _arithmetic():
    return {
        "FullAdderGate": lambda c: [c(1)],
        "HalfAdderGate": lambda c: [c(1), c(2)],
        "ModularAdderGate": lambda c: [c(1), c(2)],
        "MultiplierGate": lambda c: [c(1), c(1, 1)],
        "ExactReciprocalGate": lambda c: [c(2, 0.5)],
        "IntegerComparatorGate": lambda c: [c(2, 2), c(2, 3, geq=False)],
        "LinearAmplitudeFunctionGate": lambda c: [c(2, 0.4, 0.1, (0, 1), (0, 1), 0.2)],
        "LinearPauliRotationsGate": lambda c: [c(2, 0.7, -0.3), c(2, 0.7, -0.3, "X")],
        "PiecewiseChebyshevGate": lambda c: [c(np.sin, num_state_qubits=2, degree=1, breakpoints=[0, 2, 4])],
        "PiecewiseLinearPauliRotationsGate": lambda c: [c(2, [0, 2], [0.7, -0.1], [0.3, 0.2])],
        "PiecewisePolynomialPauliRotationsGate": lambda c: [c(2, [0, 2], [[0.7, -0.1], [0.2]])],
        "PolynomialPauliRotationsGate": lambda c: [c(2, [0.3, -0.4, 0.1])],
        "QuadraticFormGate": lambda c: [c(2, [[1, 2], [0, -1]], [1, 1], 1)],
        "WeightedSumGate": lambda c: [c(2, [1, 2])],
    }


def _states_and_matrices():
    vector = np.array([0.3, -0.5j, 0.1 + 0.2j, 0.6])
    vector = vector / np.linalg.norm(vector)
    hermitian = np.array([[0.3, 0.2 - 0.7j], [0.2 + 0.7j, -1.1]])
    ones = [np.asarray(random_unitary(2, seed=i)) for i in range(4)]
    return {
        "UnitaryGate": lambda c: [c(np.asarray(random_unitary(2**n, seed=n))) for n in (1, 2, 3)],
        "HamiltonianGate": lambda c: [c(hermitian, 0.7), c(hermitian, T), c(np.kron(hermitian, hermitian), 2 * T)],
        "Initialize": lambda c: [c(vector)],
        "StatePreparation": lambda c: [c(vector), c("+r"), c(2, 2)],
        "Isometry": lambda c: [c(np.asarray(random_unitary(4, seed=5)), 0, 0)],
        "DiagonalGate": lambda c: [c(np.exp(1j * np.arange(2**n))) for n in (1, 3)],
        "MCGupDiag": lambda c: [c(ones[0], 1, 0, 0)],
        "UCGate": lambda c: [c(ones[:2]), c(ones)],
        "UCRXGate": lambda c: [c([0.3, 0.7])],
        "UCRYGate": lambda c: [c([0.3, 0.7, -1.0, 2.0])],
        "UCRZGate": lambda c: [c([0.3, 0.7])],
        "UCPauliRotGate": lambda c: [c([0.3, 0.7], "X")],
        "UniformSuperpositionGate": lambda c: [c(3)],
        "LinearFunction": lambda c: [c(np.array([[1, 1], [0, 1]]))],
        "PermutationGate": lambda c: [c([2, 0, 1])],
        "Permutation": lambda c: [c([2, 0, 1])],
    }


def _own_arguments():
    paulis = SparsePauliOp(["XY", "ZZ", "IX", "II"], [0.4, -0.7, 1.1, 0.2])
    pauli_rotation = lambda c: [c(paulis.paulis[0], T), c(-paulis.paulis[2], 2 * T - 1)]  # noqa: E731
    return {
        "GlobalPhaseGate": lambda c: [c(0.3), c(T)],
        "PauliGate": lambda c: [c("XYZ"), c("I")],
        "PauliEvolutionGate": lambda c: [c(paulis, T), c(paulis, 0.3), c([paulis[:2], paulis[2:]], T)],
        "PauliProductRotationGate": pauli_rotation,
        "MCMTGate": lambda c: [c(standard_gates.XGate(), 2, 1)],
        "GraphStateGate": lambda c: [c([[0, 1], [1, 0]])],
        "QFTGate": lambda c: [c(3)],
        "MSGate": lambda c: [c(2, 0.3)],
        "RVGate": lambda c: [c(0.1, -0.4, 0.7)],
        "MCXGate": lambda c: [c(1), c(2), c(4), c(3, ctrl_state=2)],
        "MCXGrayCode": lambda c: [c(3)],
        "MCXRecursive": lambda c: [c(3)],
        "MCXVChain": lambda c: [c(3)],
        "MCPhaseGate": lambda c: [c(T, 1), c(T, 3)],
        "MCU1Gate": lambda c: [c(T, 2)],
    }


RECIPES = {**_boolean_functions(), **_arithmetic(), **_states_and_matrices(), **_own_arguments()}


def specimens(name: str, cls: type) -> list:
    """Operations of a class; angles are free parameters where the class allows it.

    Raises:
        TypeError: nobody has said how to make one.
    """
    if name in RECIPES:
        return RECIPES[name](cls)
    arguments = list(inspect.signature(cls.__init__).parameters.values())[1:]
    required = [p.name for p in arguments if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    if not set(required) <= {"theta", "phi", "lam", "gamma", "beta"}:
        raise TypeError(f"{name}{tuple(required)}: no recipe")
    free = [[T, 0.4 * T - 0.7, T * T, 1.3][i] for i in range(len(required))]
    found = [cls(*free)]
    if hasattr(found[0], "ctrl_state"):
        found.append(cls(*free, ctrl_state=0))
    return found
