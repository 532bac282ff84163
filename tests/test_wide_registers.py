"""Outputs of circuits on registers that are much wider than what is simulated."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import SparsePauliOp

import qiskit_torch_module as qtm
from qiskit_torch_module import QuantumModule
from qiskit_torch_module._reading import compat
from qiskit_torch_module.outputs import DensityMatrix, Entropy, Fidelity, Probabilities, Purity, State, Variance

W = ParameterVector("w", 4)
PLACES = [90, 3, 41]


def circuit(places, width):
    made = QuantumCircuit(width)
    for qubit, angle in zip(places, W, strict=False):
        made.ry(angle, qubit)
    made.cx(places[0], places[2])
    made.rx(W[3], places[2])
    made.cx(places[1], places[2])
    return made


def paulis(labels, places, width):
    terms = [
        (letters, [places[qubit] for qubit in qubits], 1.0 + number) for number, (letters, qubits) in enumerate(labels)
    ]
    return SparsePauliOp.from_sparse_list(terms, num_qubits=width)


def observables(places, width):
    """Qubit 3 is idle, and read nevertheless."""
    sums = paulis([("ZX", [0, 2]), ("Y", [1]), ("YZ", [2, 3])], places, width)
    return {
        "probabilities": Probabilities([places[2], places[3], places[0]]),
        "classes": Probabilities(places, lambda outcome: outcome.bit_count() % 3, 3),
        "density matrix": DensityMatrix(places[1:]),
        "columns": [sums, Purity(places[:2]), Entropy([places[1]]), Variance(sums), Entropy(places[2:], 1.5)],
        "variance": Variance(sums),
    }


@pytest.mark.parametrize("name", observables([0, 1, 2, 3], 4))
def test_idle_qubits_take_no_memory(name, tmp_path):
    wide, narrow = [*PLACES, 100], [0, 1, 2, 3]
    model, judge = (
        QuantumModule(
            circuit(places, width), None, W, observables=observables(places, width)[name], seed_init=0
        ).double()
        for places, width in ((wide, 127), (narrow, 4))
    )
    torch.testing.assert_close(model(), judge())
    weights = torch.ones_like(model())
    gradients = [torch.autograd.grad(one(), one.variational, weights) for one in (model, judge)]
    torch.testing.assert_close(*gradients)
    qtm.save(model, tmp_path / "model")
    again = qtm.load(tmp_path / "model")
    assert torch.equal(again(), model())
    assert repr(again.observables) == repr(model.observables)
    assert again.circuit.num_qubits == 127
    by_pytorch = QuantumModule(
        circuit(wide, 127), None, W, observables=model.observables, seed_init=0, method="pytorch"
    )
    torch.testing.assert_close(by_pytorch.double()(), judge())


def test_errors_name_the_qubits_of_the_circuit():
    with pytest.raises(ValueError, match="qubits: expected qubits from 0 to 126, as the circuit has 127, got 127"):
        QuantumModule(circuit(PLACES, 127), None, W, observables=Purity([127]))


@pytest.mark.parametrize("width", [127, 3000])
@pytest.mark.parametrize("observables", [State(), Probabilities(), ["Z" * 3, Purity([0])], Fidelity(np.eye(8)[0])])
def test_what_reads_all_qubits_is_refused(width, observables):
    if isinstance(observables, list):
        observables = ["Z" * width, Purity([0])]
    message = "target: expected a state of" if isinstance(observables, Fidelity) else "states of .* take .* GiB"
    with pytest.raises(ValueError, match=message):
        QuantumModule(circuit(PLACES, width), None, W, observables=observables)


def too_wide(*gates):
    """A circuit that is narrow enough, and one on 31 qubits."""
    made = []
    for width in (1, 31):
        one = QuantumCircuit(width)
        one.ry(Parameter("a"), range(width))
        for gate in gates:
            getattr(one, gate)()
        made.append(one)
    return made


def of_estimator(narrow, wide):
    return qtm.FastEstimator().run([(narrow, "Z", [0.1]), (wide, "Z" * 31, [0.1])] * 2)


def of_estimator_after_a_reset(narrow, wide):
    random = QuantumCircuit(1)
    random.h(0)
    random.reset(0)
    return qtm.FastEstimator().run([(random, "Z"), (wide, "Z" * 31, [0.1])])


def of_sampler(narrow, wide):
    return qtm.FastSampler(default_shots=5).run([(one, [0.1]) for one in (narrow, wide, wide)])


def of_estimator_gradient(narrow, wide):
    return qtm.FastReverseEstimatorGradient().run([narrow, wide], ["Z", "Z" * 31], [[0.1]] * 2)


def of_sampler_gradient(narrow, wide):
    return qtm.FastReverseSamplerGradient().run([narrow, wide], [[0.1]] * 2)


def of_tensors(narrow, wide):
    return qtm.FastQGT().run([narrow, wide], [[0.1]] * 2)


def of_estimator_by_version_1(narrow, wide):
    return qtm.FastEstimator().run([narrow, wide], ["Z", "Z" * 31], [[0.1]] * 2)


def of_sampler_by_version_1(narrow, wide):
    return qtm.FastSampler().run([narrow, wide], [[0.1]] * 2)


V1 = pytest.mark.skipif(compat.SamplerResult is None, reason="this Qiskit has no V1 primitives")
V2 = pytest.mark.skipif(compat.SamplerPub is None, reason="this Qiskit has no V2 primitives")
EXPECTED, STATES = "expected gates on 1 to 30 qubits, got gates on 31 of 31", "states of 31 qubits take"


@pytest.mark.parametrize(
    ("run", "gates", "argument", "message"),
    [
        pytest.param(of_estimator, [], "pubs", EXPECTED, marks=V2),
        pytest.param(of_estimator_after_a_reset, [], "pubs", EXPECTED, marks=V2),
        pytest.param(of_sampler, ["measure_all"], "pubs", STATES, marks=V2),
        pytest.param(of_estimator_by_version_1, [], "circuits", EXPECTED, marks=V1),
        pytest.param(of_sampler_by_version_1, ["measure_all"], "circuits", STATES, marks=V1),
        (of_estimator_gradient, [], "circuits", EXPECTED),
        (of_sampler_gradient, ["measure_all"], "circuits", STATES),
        (of_tensors, [], "circuits", f"the geometry of {STATES}"),
    ],
)
def test_of_several_circuits_the_one_that_is_too_wide_is_named(run, gates, argument, message, own_budget):
    own_budget(1 << 30)
    with pytest.raises(ValueError, match=rf"^{argument}\[1\]: {message}"):
        run(*too_wide(*gates)).result()


@V2
def test_a_circuit_that_cannot_be_sampled_is_named_among_several():
    narrow, refused = QuantumCircuit(1, 1), QuantumCircuit(1, 1)
    narrow.measure(0, 0)
    refused.measure(0, 0)
    refused.h(0)
    with pytest.raises(QiskitError, match=r"^pubs\[2\]: .*measure"):
        qtm.FastSampler().run([narrow, narrow, refused]).result()
