"""Outputs that are one number each, and reduced states: those of Qiskit, and lists in which they stand with Paulis."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import (
    SparsePauliOp,
    Statevector,
    entropy,
    partial_trace,
    purity,
    random_hermitian,
    random_statevector,
    state_fidelity,
)

import qiskit_torch_module as qtm
from conftest import NIGHTLY
from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient, QuantumModule
from qiskit_torch_module._storage.portable import from_text, to_text
from qiskit_torch_module.outputs import DensityMatrix, Entropy, Fidelity, Output, Probabilities, Purity, State, Variance
from test_states import built, call, mixed, states, variables

H = SparsePauliOp(["XXYZI", "ZZIII", "IYYIX", "IIIII", "ZIIZZ"], [0.3, -1.0, 0.7, 0.2, 0.4])
TARGET = random_statevector(32, seed=1)


def reduced(state, qubits):
    """By Qiskit, the qubits in ascending order."""
    return partial_trace(state, [qubit for qubit in range(state.num_qubits) if qubit not in qubits])


def renyi(alpha, base):
    def of(state, qubits):
        values = np.linalg.eigvalsh(reduced(state, qubits).data)
        return math.log((values[values > 1e-13] ** alpha).sum()) / (1 - alpha) / math.log(base)

    return of


def variance(observable):
    return lambda state: (
        (state.expectation_value(observable @ observable) - state.expectation_value(observable) ** 2).real
    )


MATRIX = random_hermitian(32, seed=5)
# Outputs, and the judge of each.
SCALARS = {
    "purity": (Purity([0, 2]), lambda state: purity(reduced(state, [0, 2])).real),
    "purity of most": (Purity([4, 0, 1, 3]), lambda state: purity(reduced(state, [0, 1, 3, 4])).real),
    "purity of all": (Purity(range(5)), lambda state: 1.0),
    "entropy": (Entropy([3]), lambda state: entropy(reduced(state, [3]))),
    "entropy of most": (Entropy([0, 3, 2], base=math.e), lambda state: entropy(reduced(state, [0, 2, 3]), math.e)),
    "entropy of all": (Entropy([0, 1, 2, 3, 4]), lambda state: 0.0),
    **{
        f"renyi {alpha:g}": (
            Entropy([0, 3], alpha, base),
            lambda state, alpha=alpha, base=base: renyi(alpha, base)(state, [0, 3]),
        )
        for alpha, base in ((2, 2), (3.0, math.e), (1.5, 10), (0.7, 2), (0.5, 2), (6.25, 2))
    },
    "fidelity": (Fidelity(TARGET), lambda state: state_fidelity(state, TARGET)),
    "fidelity with amplitudes": (Fidelity(list(TARGET.data)), lambda state: state_fidelity(state, TARGET)),
    "variance": (Variance(H), variance(H)),
    "variance of a label": (Variance("IZXYI"), variance(SparsePauliOp("IZXYI"))),
    "variance of labels": (Variance({"IZXYI": 2.0, "ZIIII": -1}), variance(SparsePauliOp(["IZXYI", "ZIIII"], [2, -1]))),
    "variance of a matrix": (Variance(MATRIX.data), variance(MATRIX)),
}
PAULIS = {"label": ("ZXIYZ", SparsePauliOp("ZXIYZ")), "sum": (H, H), "matrix": (MATRIX, MATRIX)}
# As a model would have them: all of the above in one list, Paulis first, last and between.
LISTED = ["ZXIYZ", *[output for output, _ in SCALARS.values()][:3], H, MATRIX]
LISTED += [*[output for output, _ in SCALARS.values()][3:], "IIIIZ"]
FEW = ["ZXIYZ", Purity([0, 2]), H, Entropy([1, 2]), Entropy([0], 1.5), Fidelity(TARGET), Variance(H)]


@pytest.mark.parametrize("name", SCALARS)
def test_numbers_of_qiskit(name):
    """Of a circuit with idle qubits, which are pure, and of random states."""
    case, (output, judge) = mixed(3, 5), SCALARS[name]
    rows, weights = variables(case, 3)
    found = call(built(case, output=output), rows, *weights)
    assert found.shape == (3,)
    expected = [judge(Statevector(state)) for state in states(case, rows, weights)]
    np.testing.assert_allclose(found, expected, atol=1e-10)
    for seed in range(3):
        state = random_statevector(32, seed=seed)
        read = output.read(torch.from_numpy(state.data[None]))
        assert read.dtype == torch.float64
        assert read.item() == pytest.approx(judge(state), abs=1e-10)
        single = output.read(torch.from_numpy(state.data[None]).to(torch.complex64))
        assert single.dtype == torch.float32
        assert single.item() == pytest.approx(judge(state), abs=2e-4)


@pytest.mark.parametrize("qubits", [[0], [1, 3], [0, 1, 2, 3, 4]])
def test_density_matrices_of_qiskit(qubits):
    case = mixed(3, 6)
    rows, weights = variables(case, 2)
    model = built(case, output=DensityMatrix(qubits))
    found = call(model, rows, *weights)
    assert found.shape == (2, 2 ** len(qubits), 2 ** len(qubits))
    assert found.dtype == torch.complex128
    for one, state in zip(found, states(case, rows, weights), strict=True):
        np.testing.assert_allclose(one, reduced(Statevector(state), qubits).data, atol=1e-12)
    leaves = [leaf.requires_grad_() for leaf in (rows, *weights)]
    if len(qubits) < 3:
        assert torch.autograd.gradcheck(lambda *at: call(model, *at), leaves)


def test_density_matrices_in_any_order():
    state = random_statevector(8, seed=3)
    swapped = DensityMatrix([2, 0]).read(torch.from_numpy(state.data[None]))[0].numpy()
    expected = reduced(state, [0, 2]).data.reshape([2] * 4).transpose(1, 0, 3, 2).reshape(4, 4)
    np.testing.assert_allclose(swapped, expected, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_list_has_a_column_for_each(dtype):
    case = mixed(3, 7)
    rows, weights = variables(case, 4, dtype)
    model = built(case, output=LISTED)
    assert model.output_size == len(LISTED)
    found = call(model, rows, *weights)
    assert found.dtype == dtype
    tolerance = 1e-10 if dtype == torch.float64 else 5e-4
    paulis = [one for one in LISTED if not isinstance(one, Output)]
    expected = iter(call(built(case, output=paulis), rows, *weights).T)
    for one, column in zip(LISTED, found.T, strict=True):
        judge = call(built(case, output=one), rows, *weights) if isinstance(one, Output) else next(expected)
        torch.testing.assert_close(column, judge, atol=tolerance, rtol=0)
    assert call(model, rows[:0], *weights).shape == (0, len(LISTED))


def test_a_list_of_outputs_alone():
    model = QuantumModule(QuantumCircuit(2), None, None, observables=(Purity([0]), Fidelity([1, 0, 0, 0])))
    assert model().tolist() == [1.0, 1.0]


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
def test_derivatives():
    case = mixed(3, 8, gates=20)
    model, judge = built(case, output=FEW), built(case, "pytorch", FEW)
    rows, weights = variables(case, 1)
    leaves = [leaf.requires_grad_() for leaf in (rows, *weights)]
    assert torch.autograd.gradcheck(lambda *at: call(model, *at), leaves)
    assert torch.autograd.gradgradcheck(lambda *at: call(model, *at), leaves, atol=1e-4)
    row, weights = rows.detach(), weights[0].detach()
    for derivative in (
        lambda m: torch.func.jacrev(lambda w: call(m, row, w))(weights),
        lambda m: torch.func.jvp(lambda w: call(m, row, w), (weights,), (weights + 1,))[1],
        lambda m: torch.func.jacfwd(torch.func.jacfwd(lambda w: call(m, row, w)))(weights),
        lambda m: torch.func.hessian(lambda w: call(m, row, w))(weights),
        lambda m: torch.autograd.functional.hessian(lambda w: call(m, row, w).square().sum(), weights),
        lambda m: torch.func.vmap(lambda w: call(m, row, w))(torch.stack([weights, 2 * weights])),
    ):
        torch.testing.assert_close(derivative(model), derivative(judge), atol=1e-8, rtol=1e-7)


@pytest.mark.parametrize("alpha", [1, 1.5, 0.7])
def test_third_derivatives_of_a_spectrum_with_zeros(alpha):
    """Three qubits are live: of two of them, with others that are idle, two eigenvalues are zero and stay so."""
    case = mixed(3, 5, gates=20)
    rows, (weights,) = variables(case, 1)
    found = []
    for qubits in ([0, 2], [4]):
        model = built(case, output=Entropy(qubits, alpha))
        t = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
        powers = [call(model, rows, weights + t).sum()]
        for _ in range(3):
            powers += torch.autograd.grad(powers[-1], t, create_graph=True)
        found.append(torch.stack(powers).detach())
    torch.testing.assert_close(*found, atol=1e-8, rtol=1e-8)
    assert found[0].abs().min() > 1e-3


def pairs(angles):
    """Bell states between the halves, entangled as angles say: pi/2 gives a degenerate spectrum, 0 a pure one."""
    w = ParameterVector("w", len(angles))
    circuit = QuantumCircuit(2 * len(angles))
    for i, angle in enumerate(angles):
        circuit.ry(w[i] + angle, i)
        circuit.rx(0.3 + i, len(angles) + i)
        circuit.cx(i, len(angles) + i)
        circuit.rx(w[i], i)
    return circuit, w


def binary(p, alpha):
    """The entropy of probabilities p and 1 - p, in nats."""
    both = torch.stack([p, 1 - p])
    return -torch.xlogy(both, both).sum() if alpha == 1 else (both**alpha).sum().log() / (1 - alpha)


@pytest.mark.parametrize("alpha", [1, 2, 0.8, 1.5, 3])
@pytest.mark.parametrize(
    "angles", [[math.pi / 2] * 2, [math.pi / 2, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [math.pi / 2, 0.0]]
)
def test_gradients_for_spectra_that_coincide_or_vanish(angles, alpha):
    """Entropies of pairs add up: (cos, sin) of an angle is entangled with |0> and |1> that are turned."""
    circuit = QuantumCircuit(4)
    w = ParameterVector("w", 2)
    for i in range(2):
        circuit.ry(w[i], i)
        circuit.cx(i, 2 + i)
        circuit.ry(0.3 + i, i)
    model = QuantumModule(circuit, None, w, observables=Entropy([0, 1], alpha, math.e)).double()
    at = torch.tensor(angles, dtype=torch.float64, requires_grad=True)
    found = torch.func.functional_call(model, {"variational": at}, ())
    expected = torch.stack([binary(torch.cos(angle / 2) ** 2, alpha) for angle in at]).sum()
    assert found.item() == pytest.approx(expected.item(), abs=1e-10)
    (gradient,) = torch.autograd.grad(found, at, create_graph=True)
    (judge,) = torch.autograd.grad(expected, at)
    judge = torch.where(at == 0, 0.0, judge)  # where Renyi's judge is 0 times infinity
    torch.testing.assert_close(gradient.detach(), judge, atol=1e-7, rtol=1e-7)
    hessian = torch.stack([torch.autograd.grad(one, at, retain_graph=True)[0] for one in gradient])
    assert torch.isfinite(hessian).all()
    if 0.0 not in angles:
        judge = torch.autograd.functional.hessian(
            lambda at: torch.stack([binary(torch.cos(angle / 2) ** 2, alpha) for angle in at]).sum(), at.detach()
        )
        torch.testing.assert_close(hessian, judge, atol=1e-7, rtol=1e-7)


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
def test_one_graph_holds_all():
    case = mixed(3, 9)
    model, (rows, _) = built(case, "auto", FEW), variables(case, 3, torch.float32)
    values = model(rows)
    values.square().sum().backward()
    gradient, model.variational.grad = model.variational.grad, None
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(rows), values)
    compiled(rows).square().sum().backward()
    torch.testing.assert_close(model.variational.grad, gradient, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.export.export(model, (rows,)).module()(rows), values)


def test_models_are_copied_and_saved(tmp_path):
    case = mixed(3, 8)
    rows, _ = variables(case, 2, torch.float32)
    for output in (LISTED, DensityMatrix([0, 1]), Entropy([0, 3], 1.5)):
        model = built(case, "auto", output)
        qtm.save(model, tmp_path / "model")
        for again in (qtm.load(tmp_path / "model"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(again(rows), model(rows))
        again = qtm.load(tmp_path / "model").observables
        if isinstance(output, Output):
            assert again == output
            assert hash(again) == hash(output)
        else:
            assert [one for one in again if isinstance(one, Output)] == [
                one for one in output if isinstance(one, Output)
            ]
        assert from_text(to_text(model._program)) == model._program
        assert qtm.explain(model).chosen == "native"
        assert "Target(" not in repr(output)


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
def test_an_output_from_outside_in_a_list(tmp_path):
    class First(Output):
        def shape(self, num_qubits):
            return ()

        def read(self, state):
            return state[:, 0].real

        __hash__ = object.__hash__

    case = mixed(2, 3)
    model, (rows, _) = built(case, output=["ZIII", First()]), variables(case, 2, torch.float32)
    amplitudes = call(built(case), rows, model.variational.detach())
    torch.testing.assert_close(model(rows)[:, 1].detach(), amplitudes[:, 0].real)
    assert torch.compile(model, backend="eager")(rows).shape == (2, 2)
    with pytest.raises(ValueError, match="only sums of Paulis and outputs of qtm.outputs can be written"):
        qtm.save(model, tmp_path / "model")


WRONG = [
    (lambda: Purity(0), TypeError, "qubits: expected a sequence of whole numbers, got 0"),
    (lambda: Entropy([0, 0]), ValueError, "qubits: expected qubits that differ, got 0 twice"),
    (lambda: Entropy([0], 0), ValueError, "alpha: expected a finite number above 0, got 0"),
    (lambda: Entropy([0], math.inf), ValueError, "alpha: expected a finite number above 0, got inf"),
    (lambda: Entropy([0], 1 + 1e-5), ValueError, "alpha: expected 1, or a number that differs from 1 by 0.001 or more"),
    (lambda: Entropy([0], "2"), TypeError, "alpha: expected a finite number above 0, got '2'"),
    (lambda: Entropy([0], 1, 1), ValueError, "base: expected a finite number above 1, got 1"),
    (lambda: Fidelity([1, 1]), ValueError, "target: expected a state of norm 1, got norm 1.414213562; divide it by"),
    (lambda: Fidelity([1, 1e-4]), ValueError, "norm 1.000000005"),
    (lambda: Fidelity([1, 0, 0]), ValueError, r"target: expected 2\^n amplitudes of n qubits, got shape \(3,\)"),
    (lambda: Fidelity(np.eye(2)), ValueError, r"got shape \(2, 2\)"),
    (lambda: Fidelity([1, math.nan]), ValueError, "target: expected finite amplitudes"),
    (lambda: Fidelity("00"), TypeError, "target: expected a Statevector, amplitudes or a QuantumCircuit, got str '00'"),
    (lambda: Fidelity(None), TypeError, "got NoneType None"),
    (lambda: Fidelity(pairs([1.0])[0]), ValueError, r"a circuit without parameters, got one with w\[0\]"),
    (lambda: Fidelity(_reset()), ValueError, "target: expected a unitary circuit, 'reset' on"),
    (lambda: Variance(3), TypeError, "observable: expected a Pauli label, .*, got int"),
    (lambda: Variance("ZQ"), ValueError, "expected a Pauli label"),
    (lambda: Variance(["Z", "X"]), TypeError, "observable: expected a Pauli label, .*, got list"),
    (lambda: Variance({"ZZ": 1j}), ValueError, "Hermitian"),
    (lambda: Variance(np.eye(3)), ValueError, "shape"),
]


def _reset():
    circuit = QuantumCircuit(1)
    circuit.h(0)
    circuit.reset(0)
    return circuit


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_wrong_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("observables", "error", "message"),
    [
        (Purity([3]), ValueError, "qubits: expected qubits from 0 to 2, as the circuit has 3, got 3"),
        (["ZZZ", Entropy([0, 5])], ValueError, "qubits: expected qubits from 0 to 2"),
        (DensityMatrix([4]), ValueError, "qubits: expected qubits from 0 to 2"),
        (Fidelity([1, 0]), ValueError, "target: expected a state of 3 qubits, as the circuit has, got one of 1"),
        (Variance("ZZ"), ValueError, "observable: expected one on 3 qubits, as the circuit has, got 2"),
        (["ZZZ", Probabilities()], ValueError, r"one number each in a list, got Probabilities\(.* of shape \(8,\)"),
        ([State(), "ZZZ"], ValueError, r"got State\(\) of shape \(8,\); give it by itself"),
        (["ZZZ", Purity], TypeError, r"expected an output, got the class Purity; give Purity\(...\)"),
        (["ZZ", Purity([0])], ValueError, "observables"),
    ],
)
def test_what_does_not_fit_the_circuit_is_refused_when_the_module_is_made(observables, error, message):
    with pytest.raises(error, match=message):
        QuantumModule(QuantumCircuit(3), None, None, observables=observables)


@pytest.mark.parametrize("observables", [Purity([0]), State(), ["Z", Purity([0])]])
def test_primitives_read_expectation_values_alone(observables):
    circuit = QuantumCircuit(1)
    with pytest.raises(TypeError, match="observables: expected expectation values.*QuantumModule reads it"):
        FastEstimator().expectation_values(circuit, observables)
    with pytest.raises(TypeError, match="observables: expected expectation values.*QuantumModule reads it"):
        FastReverseEstimatorGradient().jacobian(circuit, observables)


def test_what_does_not_fit_the_memory_is_refused(own_budget):
    own_budget(1 << 20)
    message = r"states of 12 qubits, and reading DensityMatrix\(.*\) from them, take 128 MiB in a batch of 1"
    with pytest.raises(ValueError, match=message):
        QuantumModule(QuantumCircuit(12), None, None, observables=DensityMatrix(range(12)))
    QuantumModule(QuantumCircuit(12), None, None, observables=Purity(range(12)))


def test_targets_of_every_kind():
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    bell = Fidelity(circuit)
    half = 0.5**0.5
    for target in ([half, 0, 0, half], torch.tensor([half, 0, 0, half]), np.array([half, 0, 0, half], dtype="c8")):
        assert Fidelity(target).read(
            torch.tensor([[half, 0, 0, half]], dtype=torch.complex128)
        ).item() == pytest.approx(1)
    assert Fidelity(Statevector(circuit)) == bell
    assert QuantumModule(circuit, None, None, observables=bell)().item() == pytest.approx(1)


@settings(max_examples=300 if NIGHTLY else 30)
@given(st.integers(1, 5), st.integers(0, 10**6))
def test_any_state(num_qubits, seed):
    state, random = random_statevector(2**num_qubits, seed=seed), np.random.default_rng(seed)
    qubits = random.permutation(num_qubits)[: random.integers(1, num_qubits + 1)].tolist()
    amplitudes = torch.from_numpy(state.data[None])
    density = reduced(state, qubits)
    assert Purity(qubits).read(amplitudes).item() == pytest.approx(purity(density).real, abs=1e-12)
    assert Entropy(qubits).read(amplitudes).item() == pytest.approx(entropy(density), abs=1e-10)
    observable = random_hermitian(2**num_qubits, seed=seed)
    assert Variance(observable).read(amplitudes).item() == pytest.approx(variance(observable)(state), abs=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("alpha", [0.5, 1, 2, 2.5])
def test_entropies_are_never_negative(alpha, dtype):
    """Not by rounding, nor by the sign of zero; of product states they are zero, and have their derivatives."""
    generator = torch.Generator().manual_seed(0)
    qubits = torch.randn(3, 200, 2, dtype=torch.complex128, generator=generator)
    qubits = qubits / qubits.norm(dim=2, keepdim=True)
    states = torch.einsum("ba,bc,bd->bacd", *qubits).reshape(200, 8).to(dtype.to_complex()).requires_grad_()
    found = Entropy([0, 2], alpha).read(states)
    assert not torch.signbit(found).any()
    assert found.max() < (1e-2 if dtype is torch.float32 else 1e-6)
    (gradient,) = torch.autograd.grad(found.sum(), states)
    assert torch.isfinite(gradient.abs()).all()
    if alpha > 1:
        expected = torch.func.grad(lambda state: Entropy([0, 2], alpha).read(state).sum())(states.detach())
        torch.testing.assert_close(gradient, expected)


def measured_bell(*after):
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [1, 0])
    for gate in after:
        getattr(circuit, gate)(0)
    return circuit


def test_measurements_at_the_end_of_a_target_do_not_count():
    bell = QuantumCircuit(2)
    bell.h(0)
    bell.cx(0, 1)
    assert Fidelity(measured_bell()) == Fidelity(bell)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Fidelity(measured_bell("h")), ValueError, "expected measurements at the end only, got 'h'"),
        (lambda: Fidelity(measured_bell("reset")), ValueError, "measurements at the end only, got 'reset'"),
        (lambda: Fidelity(partial_trace(TARGET, [0])), TypeError, r"got a DensityMatrix, .* to_statevector\(\)"),
        (lambda: qtm.outputs.Overlap(partial_trace(TARGET, [0])), TypeError, "got a DensityMatrix, which may be mixed"),
        *(
            (lambda wrong=wrong: Variance(wrong), TypeError, f"observable: expected a Pauli label.*, got {name}$")
            for wrong, name in (
                (Purity([0]), "Purity"),
                (Purity, "the class Purity"),
                (State(), "State"),
                (qtm.outputs.Trainable("ZZ"), "Trainable"),
                (None, "NoneType"),
                (["ZZ", "XX"], "list"),
                ([[1], [1, 2]], "list"),
                (3, "int"),
            )
        ),
        (lambda: Variance("individualZ"), ValueError, "observable: expected one observable, written out"),
    ],
)
def test_what_has_no_value_says_so(make, error, message):
    with pytest.raises(error, match=message):
        make()
