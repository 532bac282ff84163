"""Odd arguments over all of the public interface: an error that names the argument, and no traceback of a library."""

import re

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp

import qiskit_torch_module as qtm
from qiskit_torch_module import (
    FastEstimator,
    FastReverseEstimatorGradient,
    FastSampler,
    HybridModule,
    QuantumModule,
    compiler_passes,
    initializers,
    set_memory_budget,
)
from qiskit_torch_module._reading import compat
from qiskit_torch_module.circuits import incremental_data_uploading

X, W = ParameterVector("x", 2), ParameterVector("w", 4)
CIRCUIT = QuantumCircuit(2)
for qubit in range(2):
    CIRCUIT.ry(W[qubit], qubit)
    CIRCUIT.rx(W[2 + qubit] * X[qubit], qubit)
CIRCUIT.cx(0, 1)
ROW = np.linspace(0, 1, 6)
MODEL = QuantumModule(CIRCUIT, X, W, seed_init=0)
HYBRID = HybridModule(CIRCUIT, X, W, 3, 2, seed_init=0)

needs_v2 = pytest.mark.skipif(compat.EstimatorPub is None, reason="this Qiskit has no V2 primitives")


def module(**odd):
    return QuantumModule(**{"circuit": CIRCUIT, "encoding_params": X, "variational_params": W, **odd})


def hybrid(**odd):
    sizes = {"input_size": 3, "output_size": 2}
    return HybridModule(**{"circuit": CIRCUIT, "encoding_params": X, "variational_params": W, **sizes, **odd})


INITIALS = [
    0.1,
    "foo",
    [1, 2, 3],
    [1, 2, 3, float("nan")],
    [1j] * 4,
    ["a"] * 4,
    np.ones((4, 1)),
    torch.ones(4, dtype=torch.complex64),
    ("normal", {"foo": 1}),
    ("normal", {"std": -1}),
    ("normal", {"std": "a"}),
    ("normal", {"std": float("nan")}),
    ("normal", {"mean": float("inf")}),
    ("uniform", {"a": 3, "b": 1}),
    ("constant", {"val": None}),
    {"variational": [0.1] * 4},
    {},
    ("constant", {"val": float("inf")}),
    lambda tensor: None,
    lambda: 0,
]
MODULES = [
    *[("circuit", one) for one in (None, 5, "circuit", [CIRCUIT])],
    *[("encoding_params", one) for one in (5, "x", [X], [X[0] * 2], set(X), [None])],
    *[("variational_params", one) for one in (5, "w", {"a": list(W)}, [[list(W)]], [[], list(W)], set(W))],
    *[("variational_params_names", one) for one in (5, ["a", "b"], [""], ["a.b"], ["training"], [5], {"a"})],
    *[("variational_params_initial", one) for one in INITIALS],
    *[("seed_init", one) for one in (1.5, -1, "a", 2**70, True)],
    *[("observables", one) for one in (None, 5, "", "zz", "ZZZ", [], ["ZZ", 5], {"ZZ", "XX"}, b"ZZ")],
    *[("observables", SparsePauliOp("ZZ", np.array([one]))) for one in (1j, float("nan"))],
    *[("num_threads_forward", one) for one in (-1, None, "2", 1.5, 2**70)],
    *[("encoding_gradients_flag", one) for one in ("no", 1)],
]


@pytest.mark.parametrize(("argument", "odd"), MODULES, ids=str)
def test_modules_name_the_argument(argument, odd):
    with pytest.raises((TypeError, ValueError), match=f"^{argument}[^a-z_]") as caught:
        module(**{argument: odd})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("argument", ["input_size", "output_size"])
@pytest.mark.parametrize("odd", [0, -1, 1.5, True, "3", None, 2**70])
def test_widths_are_whole_numbers(argument, odd):
    with pytest.raises(ValueError, match=f"{argument}: expected a positive whole number, got {odd!r}"):
        hybrid(**{argument: odd})


def test_a_width_may_be_a_number_of_numpy():
    assert hybrid(input_size=np.int64(3)).input_size == 3


INPUTS = [
    "a",
    {"x": 1},
    Parameter("a"),
    [Parameter("a"), 0.0],
    np.array([1, None]),
    np.array(["1", "2"]),
    [[1, 2], [1]],
    [torch.zeros(2), torch.zeros(3)],
    np.ones(2) * 1j,
    [1j, 0],
    5,
    torch.zeros(5),
    torch.zeros(2, 0),
]


@pytest.mark.parametrize("odd", INPUTS, ids=repr)
@pytest.mark.parametrize("model", [MODEL, HYBRID], ids=["module", "hybrid"])
def test_inputs_that_are_no_rows_of_numbers(model, odd):
    with pytest.raises((TypeError, ValueError), match="^input: expected") as caught:
        model(odd)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", [MODEL, HYBRID], ids=["module", "hybrid"])
def test_an_input_under_both_of_its_names(model):
    rows = torch.zeros(1, model.input_size)
    with pytest.raises(TypeError, match="input: expected one input, got two .*input_tensor"):
        model(rows, input_tensor=rows)
    with pytest.raises(TypeError, match="input: expected one input, got two"):
        model(rows, rows)


@pytest.mark.parametrize("odd", [torch.zeros(3, 2), [1.0], torch.zeros(())])
def test_an_input_where_the_circuit_takes_none(odd):
    model = QuantumModule(CIRCUIT, None, [*X, *W])
    with pytest.raises(ValueError, match="^input: expected none, .*call the module without an argument"):
        model(odd)
    assert model().shape == (2,)
    assert model(torch.zeros(3, 0)).shape == (3, 2)


@pytest.mark.parametrize("odd", ["a", None, 1, [1], ["no"], 0.0])
def test_flags_are_truth_values(odd):
    with pytest.raises(TypeError, match="variational_gradients_flag: expected True or False, got"):
        MODEL.set_variational_gradients_flag(odd)


VALUES = [None, ROW[:3], np.ones((2, 2, 6)), "abc", ROW * 1j, [None] * 6, {X: [1, 2]}, {"x": [1, 2]}, [[1], [1, 2]]]


@pytest.mark.parametrize("odd", VALUES, ids=repr)
@pytest.mark.parametrize(
    "call",
    [FastEstimator().expectation_values, FastReverseEstimatorGradient().jacobian],
    ids=["expectation_values", "jacobian"],
)
def test_values_of_parameters(call, odd):
    with pytest.raises((TypeError, ValueError), match="^parameter_values: expected"):
        call(CIRCUIT, "ZZ", odd)
    with pytest.raises(TypeError, match="circuit: expected a qiskit QuantumCircuit, got"):
        call(None, "ZZ", ROW)


@needs_v2
@pytest.mark.parametrize("odd", [None, 5, [5], [None], ["ZZ"], [(CIRCUIT, "ZZ", ROW), 1.0]], ids=repr)
def test_calls_without_pubs(odd):
    with pytest.raises(TypeError, match="run: expected a sequence of PUBs, each .circuit, observables"):
        FastEstimator().run(odd)


CLASSES = [
    *[(FastEstimator, "default_precision", one) for one in (-1, "a", float("nan"), None, True)],
    *[(FastEstimator, "seed", one) for one in (1.5, "a", -1, True)],
    *[(FastEstimator, "exact", one) for one in (1, "yes")],
    *[(FastEstimator, "exact_evolution", one) for one in (None, 1, "a")],
    *[(FastEstimator, "num_threads", one) for one in (-1, "a", None, 2**70)],
    *[(FastReverseEstimatorGradient, "num_threads", one) for one in (-1, "a", 1.5)],
    *[(FastReverseEstimatorGradient, "derivative_type", one) for one in ("foo", 5)],
]


@pytest.mark.parametrize(("kind", "argument", "odd"), CLASSES, ids=str)
def test_estimator_and_gradient_name_the_argument(kind, argument, odd):
    with pytest.raises((TypeError, ValueError), match=f"^{argument}: expected"):
        kind(**{argument: odd})


@pytest.mark.parametrize("odd", [5, None, b"a.qtm", ["a"], "a\0b"], ids=repr)
def test_files_have_names(odd):
    for call in (lambda: qtm.save(MODEL, odd), lambda: qtm.load(odd)):
        with pytest.raises((TypeError, ValueError), match="path: expected the name of a file"):
            call()


def test_trust_is_a_truth_value(tmp_path):
    qtm.save(MODEL, tmp_path / "a.qtm")
    for odd in ("yes", 1, None):
        with pytest.raises(TypeError, match="trusted: expected True or False"):
            qtm.load(tmp_path / "a.qtm", trusted=odd)


@pytest.mark.parametrize("odd", ["no", 1, 0, None])
def test_passes_are_switched_by_truth_values(odd):
    with pytest.raises(TypeError, match="compiler_passes: fusion: expected True or False"), compiler_passes(fusion=odd):
        pass


@pytest.mark.parametrize("odd", [0, -1, "a", None, 2.5, True])
def test_sizes_of_starts_and_circuits_are_whole_numbers(odd):
    for call in (
        lambda: initializers.small_angles(2, odd),
        lambda: initializers.identity_blocks(odd),
        lambda: incremental_data_uploading(odd, 1),
        lambda: incremental_data_uploading(2, odd),
    ):
        with pytest.raises((TypeError, ValueError), match="^(num_qubits|depth|block_size): expected a whole number"):
            call()


@pytest.mark.parametrize("odd", ["a", 0, -5, [], 1.5, True])
def test_budgets_are_numbers_of_bytes(odd):
    with pytest.raises(ValueError, match=re.escape("set_memory_budget: expected a whole number of bytes above 0")):
        set_memory_budget(odd)


READ = {
    "native": lambda model, inputs: qtm.with_method(model, "native")(inputs),
    "pytorch": lambda model, inputs: qtm.with_method(model, "pytorch")(inputs),
    "shots": lambda model, inputs: qtm.with_method(model, qtm.methods.Shots(100))(inputs),
    "sample": lambda model, inputs: model.sample(inputs, shots=10, as_tensor=True),
    "fisher_information": qtm.geometry.fisher_information,
    "quantum_geometric_tensor": qtm.geometry.quantum_geometric_tensor,
}


@pytest.mark.parametrize("name", READ)
def test_values_that_are_not_finite_are_named_alike_by_all_that_reads_them(name):
    circuit, x, w = qtm.circuits.incremental_data_uploading(3, 1)
    model = qtm.QuantumModule(circuit, x, w, seed_init=0)
    inputs = torch.rand(4, 3)
    inputs[2, 1] = float("nan")
    with pytest.raises(
        ValueError, match="^inputs: expected finite values, got nan in sample 2, column 1; clean the data"
    ):
        READ[name](model, inputs)
    with torch.no_grad():
        model.variational[3] = float("inf")
    with pytest.raises(ValueError, match=r"^weights: expected finite values, got inf of parameter 'w\[3\]'; look for"):
        READ[name](model, torch.rand(4, 3))


WORDS = {
    "damping": (
        lambda: qtm.optim.NaturalGradient(MODEL, damping=-1),
        "damping: expected a finite number at least 0, got -1",
    ),
    "weight decay": (
        lambda: qtm.sklearn.QuantumRegressor(weight_decay=-0.5).fit(np.eye(3), np.ones(3)),
        "weight_decay: expected a finite number at least 0, got -0.5",
    ),
    "seed of a new start": (lambda: MODEL.reset_parameters(seed="a"), "seed: expected a whole number or None, got 'a'"),
    "seed of a picture": (
        lambda: qtm.plots.loss_landscape(MODEL, lambda: MODEL(torch.zeros(1, 2)).sum(), seed=-1),
        "seed: expected a whole number from 0",
    ),
    "a qubit": (lambda: qtm.outputs.Purity([-1]), "qubits: expected a whole number from 0 on, got -1"),
    "a qubit of one": (
        lambda: QuantumModule(QuantumCircuit(1), observables="ZZ"),
        r"observables\[0\]: expected 1 qubit as in the circuit, got 2",
    ),
    "no probabilities": (
        lambda: qtm.analysis.effective_dimension(MODEL, 100),
        "model: expected one with probabilities, .* got observables='individualZ'; make it with observables=qtm",
    ),
    "complex input": (
        lambda: MODEL(torch.zeros(1, 2, dtype=torch.complex64)),
        "input: expected float32 or float64, or",
    ),
    "a number as a method": (
        lambda: QuantumModule(QuantumCircuit(1), method=1000),
        r"method: expected a name or a .*Method, got int; for shots, give qtm\.methods\.Shots\(1000\)",
    ),
}


@pytest.mark.parametrize("name", WORDS)
def test_what_is_odd_is_named_as_it_was_given(name):
    call, message = WORDS[name]
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        call()


def test_damping_may_be_0_and_one_thing_is_no_several():
    assert "damping=0" in repr(qtm.optim.NaturalGradient(MODEL, damping=0))
    assert repr(qtm.outputs.Variance("ZZ")) == "Variance(<1 Pauli string on 2 qubits>)"
    assert repr(qtm.outputs.Variance({"Z": 1.0, "X": 1.0})) == "Variance(<2 Pauli strings on 1 qubit>)"
    circuit, _, _ = incremental_data_uploading(2, 1)
    assert "SimulatedState" not in repr(qtm.kernels.FidelityKernel(circuit, circuit.parameters))


WITH_VALUES = {
    "expectation values": lambda rows: FastEstimator().expectation_values(CIRCUIT, ["ZZ"], rows),
    "jacobian": lambda rows: FastReverseEstimatorGradient().jacobian(CIRCUIT, ["ZZ"], rows),
    "probabilities": lambda rows: FastSampler().probabilities(CIRCUIT.measure_all(inplace=False), rows),
}


@pytest.mark.parametrize("name", WITH_VALUES)
def test_parameter_values_that_are_not_finite_are_named(name):
    rows = np.tile(ROW, (3, 1))
    rows[1, 2] = np.inf
    third = CIRCUIT.parameters[2].name
    message = re.escape(
        f"parameter_values: expected finite values, got inf of parameter '{third}' in row 1; leave this row"
    )
    with pytest.raises(ValueError, match=f"^{message}"):
        WITH_VALUES[name](rows)


@needs_v2
def test_the_pub_at_fault_is_named():
    measured = CIRCUIT.measure_all(inplace=False)
    with pytest.raises(
        ValueError, match=r"^pubs\[1\]: parameter_values: expected finite values, got nan of .* in row 0"
    ):
        FastSampler().run([(measured, ROW), (measured, ROW * np.nan)]).result()
