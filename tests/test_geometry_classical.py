"""The classical Fisher information and the tangent kernel against gradients of one sample after the other."""

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

import qiskit_torch_module as qtm
from circuits_zoo import encoded, qaoa, reuploading
from qiskit_torch_module import geometry

pytestmark = pytest.mark.usefixtures("float64")

CASE, FEW = reuploading(3, 1), qaoa(4, 1)
ARGUMENTS = CASE.circuit, CASE.encoding, CASE.variational


def idle():
    """Qubits that no gate acts on, phases, and an angle that is computed from amplitudes."""
    p = ParameterVector("p", 4)
    circuit = QuantumCircuit(4, global_phase=p[0] + 0.3)
    circuit.compose(encoded(1, [p[2], p[3] * p[0]]), [1], inplace=True)
    circuit.rx(p[0].sin(), 2)
    circuit.cx(2, 0)
    circuit.p(p[1], 0)
    circuit.h(0)
    return circuit, None, p


class Corner(qtm.outputs.Output):
    """A number that the global phase changes."""

    def shape(self, num_qubits):
        return ()

    def read(self, state, *others):
        return state[:, 0].real + state[:, -1].imag

    __hash__ = object.__hash__


MODELS = {
    "expectation values": lambda: qtm.QuantumModule(*ARGUMENTS, seed_init=0),
    "probabilities": lambda: qtm.QuantumModule(*ARGUMENTS, observables=qtm.outputs.Probabilities(), seed_init=0),
    "classes": lambda: qtm.QuantumModule(
        *ARGUMENTS, observables=qtm.outputs.Probabilities((0, 2), lambda k: (k % 2, k // 2), (2, 2)), seed_init=0
    ),
    "few weights": lambda: qtm.QuantumModule(
        FEW.circuit, FEW.encoding, FEW.variational, observables=qtm.outputs.Probabilities(), seed_init=0
    ),
    "purity": lambda: qtm.QuantumModule(*ARGUMENTS, observables=qtm.outputs.Purity((0,)), seed_init=0),
    "idle": lambda: qtm.QuantumModule(*idle(), observables=qtm.outputs.Probabilities(), seed_init=0),
    "idle sums": lambda: qtm.QuantumModule(*idle(), seed_init=0),
    "phase": lambda: qtm.QuantumModule(*idle(), observables=Corner(), seed_init=0),
    "pytorch": lambda: qtm.QuantumModule(*ARGUMENTS, method="pytorch", seed_init=0),
    "trained sums": lambda: qtm.QuantumModule(
        *ARGUMENTS, observables=[qtm.outputs.Trainable(["ZZI", "XIX"]), "IIZ"], seed_init=0
    ),
    "mixed": lambda: qtm.QuantumModule(*ARGUMENTS, observables=["ZZI", qtm.outputs.Purity((1,))], seed_init=0),
    "hybrid": lambda: qtm.HybridModule(*ARGUMENTS, 2, 3, seed_init=0),
    "sequence": lambda: torch.nn.Sequential(
        qtm.QuantumModule(*ARGUMENTS, seed_init=0), torch.nn.Linear(3, 2), torch.nn.Softmax(-1)
    ),
    "classical": lambda: torch.nn.Linear(2, 3),
}


def width_of(model):
    first = model[0] if isinstance(model, torch.nn.Sequential) else model
    return first.in_features if isinstance(first, torch.nn.Linear) else first.input_size


def one_by_one(model, rows):
    """Values (B, M) and Jacobian (B, M, P), by a backward pass for each number."""
    parameters = list(model.parameters())
    all_values, slopes = [], []
    for row in rows:
        values = model(row).flatten()
        all_values.append(values.detach())
        gradients = [torch.autograd.grad(one, parameters, retain_graph=True, materialize_grads=True) for one in values]
        slopes.append(torch.stack([torch.cat([part.flatten() for part in parts]) for parts in gradients]))
    return torch.stack(all_values), torch.stack(slopes)


def weighted(values, slopes, likelihood):
    """The sum of gradients times gradients, one outcome after the other."""
    if likelihood == "logits":
        logarithms = values.log_softmax(1)
        share = logarithms.exp()
        scores = slopes - torch.einsum("bm,bmp->bp", share, slopes)[:, None]
        return torch.einsum("bm,bmp,bmq->bpq", share, scores, scores)
    weights = torch.where(values > 1e-20, 1 / values, 0.0) if likelihood == "probabilities" else torch.ones_like(values)
    return torch.einsum("bm,bmp,bmq->bpq", weights, slopes, slopes)


@pytest.mark.parametrize("name", MODELS)
def test_against_gradients_one_by_one(name):
    torch.manual_seed(0)
    model = MODELS[name]()
    rows = torch.rand(3, width_of(model))
    values, slopes = one_by_one(model, rows)
    are_probabilities = bool(((values.sum(1) - 1).abs() < 1e-12).all() and (values >= 0).all())
    for likelihood in ("probabilities", "logits", "gaussian"):
        if likelihood == "probabilities" and not are_probabilities:
            with pytest.raises(ValueError, match="model: expected probabilities, .* likelihood='logits'"):
                geometry.classical_fisher_information(model, rows)
            continue
        expected = weighted(values, slopes, likelihood)
        found = geometry.classical_fisher_information(model, rows, "none", likelihood=likelihood)
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)
        found = geometry.classical_fisher_information(model, rows, likelihood=likelihood)
        torch.testing.assert_close(found, expected.mean(0), atol=1e-9, rtol=0)
    expected = torch.einsum("imp,jnp->ijmn", slopes, slopes[:2])
    found = geometry.neural_tangent_kernel(model, rows, rows[:2], outputs="none")
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)
    traced = torch.einsum("imp,jmp->ij", slopes, slopes)
    torch.testing.assert_close(geometry.neural_tangent_kernel(model, rows), traced, atol=1e-9, rtol=0)


def test_no_measurement_tells_more_than_the_state():
    model = MODELS["probabilities"]()
    rows = torch.rand(4, 3)
    quantum = geometry.fisher_information(model, rows, reduction="none")
    classical = geometry.classical_fisher_information(model, rows, "none")
    assert bool((torch.linalg.eigvalsh(quantum - classical) > -1e-9).all())


def test_shapes_and_dtypes():
    model = MODELS["probabilities"]().float()
    count, rows = sum(len(one) for one in model.parameters()), torch.rand(2, 5, 3, dtype=torch.float32)
    fisher = geometry.classical_fisher_information
    assert fisher(model, rows, "none").shape == (2, 5, count, count)
    assert fisher(model, rows[0, 0], "none").shape == (count, count)
    assert fisher(model, rows[:0], "none").shape == (0, 5, count, count)
    assert fisher(model, rows).dtype is torch.float32
    assert geometry.neural_tangent_kernel(model, rows).shape == (10, 10)
    assert geometry.neural_tangent_kernel(model, rows[:0]).shape == (0, 0)
    assert not fisher(model, rows).requires_grad


@pytest.mark.parametrize(
    ("model", "arguments", "error", "match"),
    [
        (lambda: "a model", {}, TypeError, "expected a torch.nn.Module, got str"),
        (lambda: torch.nn.Softmax(-1), {}, ValueError, "expected parameters, got none"),
        (MODELS["probabilities"], {"input": torch.zeros(0, 3)}, ValueError, "a sample to take the mean of"),
        (MODELS["probabilities"], {"input": torch.zeros(1, 3), "reduction": "sum"}, ValueError, "reduction: expected"),
        (MODELS["probabilities"], {"input": torch.zeros(1, 3), "likelihood": "l1"}, ValueError, "likelihood: expected"),
        (MODELS["probabilities"], {"input": torch.zeros(1, 2)}, ValueError, "input: expected shape"),
        (
            lambda: qtm.QuantumModule(*ARGUMENTS, observables=qtm.outputs.State()),
            {"input": torch.zeros(1, 3)},
            TypeError,
            "a tensor of real numbers, got torch.complex128",
        ),
    ],
)
def test_bad_arguments(model, arguments, error, match):
    with pytest.raises(error, match=match):
        geometry.classical_fisher_information(model(), **arguments)
