"""Random circuits of Qiskit's own making, their angles replaced by random expressions, against Qiskit's simulator.

Hundreds of cases by default, thousands with ``HYPOTHESIS_PROFILE=nightly``.
"""

import functools
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Statevector

import reference
from circuits_zoo import random_observables
from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient

PARAMETERS = [*ParameterVector("x", 2), Parameter("θ")]
UNARY = [operator.neg, *(operator.methodcaller(name) for name in ("sin", "cos", "arctan")), lambda e: e.sin().exp()]
BINARY = [operator.add, operator.sub, operator.mul]


@st.composite
def expressions(draw, depth=2):
    """Smooth expressions of moderate size."""
    if depth == 0 or draw(st.integers(0, 2)) == 0:
        return draw(st.sampled_from(PARAMETERS))
    first = draw(expressions(depth - 1))
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return draw(st.sampled_from(UNARY))(first)
    if kind == 1:
        return draw(st.sampled_from(BINARY))(first, draw(expressions(depth - 1)))
    if kind == 2:
        return first / (2 + draw(expressions(depth - 1)).sin())
    return draw(st.floats(-2, 2).map(lambda c: round(c, 3))) * first - 0.3


@functools.cache
def skeleton(num_qubits, depth, seed):
    return random_circuit(num_qubits, depth, max_operands=min(4, num_qubits), seed=seed)


@st.composite
def circuits(draw, max_qubits):
    """A random circuit, most of whose angles are expressions."""
    num_qubits = draw(st.integers(1, max_qubits))
    drawn = skeleton(num_qubits, draw(st.integers(1, 4)), draw(st.integers(0, 500)))
    pool = [draw(expressions()) for _ in range(3)]  # not for sampled_from: some versions of Qiskit cannot hash them
    some = st.integers(0, 2).map(pool.__getitem__)
    circuit = QuantumCircuit(num_qubits)
    for parameter in PARAMETERS:
        circuit.ry(parameter, draw(st.integers(0, num_qubits - 1)))
    for instruction in drawn.data:
        operation = instruction.operation
        qubits = [drawn.find_bit(bit).index for bit in instruction.qubits]
        if operation.params and operation.name != "cu":  # some versions of Qiskit cannot bind a CU
            angles = [draw(some) if draw(st.booleans()) else angle for angle in operation.params]
            operation = getattr(operation, "base_class", type(operation))(*angles)
        circuit.append(operation, qubits)
    return circuit


def judge(circuit, observables, point):
    psi = Statevector(reference.assigned(circuit, dict(zip(PARAMETERS, point, strict=True))))
    return np.array([psi.expectation_value(one).real for one in observables])


points = st.tuples(*[st.floats(-1.5, 1.5).map(lambda v: round(v, 3))] * len(PARAMETERS)).map(np.array)


@pytest.mark.filterwarnings("ignore")
@given(circuits(max_qubits=8), points)
def test_values(circuit, point):
    observables = random_observables(circuit.num_qubits, 2)[:2]
    found = FastEstimator().expectation_values(circuit, observables, dict(zip(PARAMETERS, point, strict=True)))
    np.testing.assert_allclose(found[0], judge(circuit, observables, point), atol=1e-9)


@pytest.mark.filterwarnings("ignore")
@given(circuits(max_qubits=5), points)
def test_derivatives(circuit, point):
    observables = random_observables(circuit.num_qubits, 2)[:2]
    values = dict(zip(PARAMETERS, point, strict=True))
    jacobian = FastReverseEstimatorGradient().jacobian(circuit, observables, values, PARAMETERS)
    slopes = reference.central_differences(lambda at: judge(circuit, observables, at), point, step=2e-3, order=3)
    np.testing.assert_allclose(jacobian[0].T, slopes, atol=1e-6, rtol=1e-6)
