"""Several cotangents from one way forward: Jacobians, and rows of them, against one cotangent at a time."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp, random_unitary
from torch.func import functional_call, jacrev, vjp, vmap

from circuits_zoo import cases, fixed_and_free, qaoa, reuploading
from conftest import NIGHTLY
from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient, QuantumModule, _engine
from qiskit_torch_module._simulation import jacobian
from qiskit_torch_module._simulation.engines import engine_of

NAMES = ["reuploading", "qaoa", "fixed_and_free"]
BATCHES = [0, 1, 15, 16, 48]


def circuit_of(name, n):
    made = {"reuploading": reuploading(n, 2), "qaoa": qaoa(n, 1), "fixed_and_free": fixed_and_free(n, 5)}
    return made[name].circuit


def strings(n, count, letters="IXYZ", seed=0):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(letters), n)) for _ in range(count)]


def observables_of(kind, n):
    rng = np.random.default_rng(1)
    if kind == "strings":
        return strings(n, 9)
    if kind == "Y":
        return ["Y" * n, "Y" + "I" * (n - 1), "I" * (n - 1) + "Y", "Z" * (n - 1) + "Y"]
    if kind == "local":
        return ["I" * (n - 1 - q) + "Z" + "I" * q for q in range(n)]
    if kind == "mixed":  # an absorbed term beside one that is not, twice the same, and the identity
        return ["Z" + "I" * (n - 1), "Z" * n, "Z" * n, "I" * n, "X" + "I" * (n - 1)]
    shared = [*strings(n, 3, seed=2), "I" * n]  # sums of fewer terms than there are of them
    return [SparsePauliOp(shared, rng.normal(size=4)) for _ in range(7)]


KINDS = ["strings", "Y", "local", "mixed", "sums"]


def rows_of(circuit, batch_size):
    return np.random.default_rng(batch_size).uniform(-np.pi, np.pi, (batch_size, circuit.num_parameters))


def separately(gradient, circuit, observables, rows):
    return np.concatenate([gradient._derivatives(circuit, [one], rows, None) for one in observables], axis=1)


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_jacobian_is_that_of_its_observables_one_by_one(name, kind, batch_size):
    circuit, observables = circuit_of(name, 6), observables_of(kind, 6)
    rows = rows_of(circuit, batch_size)
    for part in ("real", "complex") if NIGHTLY or batch_size == 15 else ("real",):
        gradient = FastReverseEstimatorGradient(part, num_threads=2)
        found = gradient._derivatives(circuit, observables, rows, None)
        assert found.shape == (batch_size, len(observables), circuit.num_parameters)
        np.testing.assert_allclose(found, separately(gradient, circuit, observables, rows), atol=1e-11)


@pytest.mark.usefixtures("instruction_set")
@pytest.mark.parametrize("kind", KINDS)
def test_every_instruction_set_and_layout(kind):
    for name, n, batch_size, part in (
        ("reuploading", 7, 17, "real"),
        ("reuploading", 7, 1, "real"),
        ("fixed_and_free", 5, 17, "imaginary"),
    ):
        circuit, observables = circuit_of(name, n), observables_of(kind, n)
        gradient, rows = FastReverseEstimatorGradient(part, num_threads=2), rows_of(circuit, batch_size)
        found = gradient._derivatives(circuit, observables, rows, None)
        np.testing.assert_allclose(found, separately(gradient, circuit, observables, rows), atol=1e-11)


@pytest.mark.usefixtures("instruction_set")
@pytest.mark.parametrize("kind", KINDS)
def test_against_parameter_shift(kind):
    n = 4
    x = ParameterVector("x", 2 * n)
    circuit = QuantumCircuit(n)
    for q in range(n):
        circuit.ry(x[q], q)
        circuit.rx(x[n + q], q)
        circuit.cx(q, (q + 1) % n)
    observables, rows = observables_of(kind, n), rows_of(circuit, 3)

    def values(at):
        return FastEstimator(exact=True).expectation_values(circuit, observables, at)

    shift = np.pi / 2 * np.eye(circuit.num_parameters)
    expected = np.stack([values(rows + one) - values(rows - one) for one in shift], axis=-1) / 2
    found = FastReverseEstimatorGradient().jacobian(circuit, observables, rows)
    np.testing.assert_allclose(found, expected, atol=1e-11)


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("name", ["reuploading", "qaoa", "deep prefix"])
def test_kets_are_kept_or_undone_again_and_again(name, keeps, halves, force_halves, own_budget):
    """Where no memory is left for all kets, every pass undoes the last one anew, with halves and without."""
    engine, inputs, weights, cotangents, wanted = engine_and_arguments(name, 8, 20, 5)
    needed = engine.schedule_float64(20, 1, True)["scratch_bytes"]
    force_halves(halves)
    expected = one_by_one(engine, inputs, weights, cotangents, wanted)
    if not keeps:
        own_budget(int(0.9 * needed))
    compare(engine.vector_jacobian_products(inputs, weights, cotangents, wanted, 1), expected)


def engine_and_arguments(name, n, batch_size, count):
    if name == "deep prefix":
        circuit, x, w = QuantumCircuit(n), ParameterVector("x", n), ParameterVector("w", 3 * n)
        for layer in range(3):
            for q in range(n):
                circuit.ry(w[layer * n + q], q)
            for q in range(n - 1):
                circuit.cx(q, q + 1)
        for q in range(n):
            circuit.rx(x[q], q)
            circuit.ry(x[q] + 1, q)
        model = QuantumModule(circuit, x, w, seed_init=0)
    else:
        case = cases(n)[name]
        model = QuantumModule(case.circuit, case.encoding, case.variational, seed_init=0)
    engine, rng = engine_of(model._program), np.random.default_rng(0)
    inputs = rng.normal(size=(batch_size, model.input_size))
    weights = rng.normal(size=model.num_trainable_parameters)
    cotangents = rng.normal(size=(count, batch_size, model.output_size))
    return engine, inputs, weights, cotangents, np.ones(inputs.shape[1] + len(weights), bool)


def one_by_one(engine, inputs, weights, cotangents, wanted):
    found = [engine.vector_jacobian_product(inputs, weights, one, wanted, 1) for one in cotangents]
    return [None if parts[0] is None else np.array(parts) for parts in zip(*found, strict=True)]


def compare(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_allclose(one, other, atol=1e-11)


@pytest.mark.parametrize("wants", ["inputs", "weights", "both", "nothing"])
@pytest.mark.parametrize("batch_size", [1, 20])
def test_inputs_weights_or_both(wants, batch_size):
    for name in ("reuploading", "deep prefix"):
        engine, inputs, weights, cotangents, wanted = engine_and_arguments(name, 6, batch_size, 5)
        wanted[: inputs.shape[1]] = wants in ("inputs", "both")
        wanted[inputs.shape[1] :] = wants in ("weights", "both")
        found = engine.vector_jacobian_products(inputs, weights, cotangents, wanted, 2)
        compare(found, one_by_one(engine, inputs, weights, cotangents, wanted))


@pytest.mark.parametrize("layouts", ["mixed", "spread"])
def test_threads_that_share_a_state(layouts):
    engine, inputs, weights, cotangents, wanted = engine_and_arguments("reuploading", 14, 1, 3)
    _engine.allow_layouts(getattr(_engine.Layouts, layouts))
    try:
        found = engine.vector_jacobian_products(inputs, weights, cotangents, wanted, -2)
        compare(found, one_by_one(engine, inputs, weights, cotangents, wanted))
    finally:
        _engine.allow_layouts(_engine.Layouts.any)


def test_circuits_with_matrices():
    x = ParameterVector("x", 3)
    circuit = QuantumCircuit(3)
    for q in range(3):
        circuit.rx(x[q], q)
    circuit.unitary(np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0], range(3))
    for q in range(3):
        circuit.ry(2 * x[q], q)
    gradient = FastReverseEstimatorGradient()
    for batch_size in BATCHES:
        rows, observables = rows_of(circuit, batch_size), strings(3, 5)
        expected = separately(gradient, circuit, observables, rows)
        np.testing.assert_allclose(gradient.jacobian(circuit, observables, rows), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 5, 3), (0, 1, 4)])
def test_cotangents_of_another_shape_are_refused(shape):
    engine, inputs, weights, _, wanted = engine_and_arguments("reuploading", 4, 5, 1)
    with pytest.raises(ValueError, match=r"cotangents: expected shape \(any, 5, 4\), got"):
        engine.vector_jacobian_products(inputs, weights, np.ones(shape), wanted, 1)


def test_no_cotangents():
    engine, inputs, weights, cotangents, wanted = engine_and_arguments("reuploading", 4, 5, 1)
    of_inputs, of_weights = engine.vector_jacobian_products(inputs, weights, cotangents[:0], wanted, 1)
    assert of_inputs.shape == (0, 5, 4)
    assert of_weights.shape == (0, len(weights))


def test_terms_that_many_observables_share_go_back_once():
    circuit, rng = circuit_of("reuploading", 6), np.random.default_rng(0)
    sums = [SparsePauliOp(["XIIIII", "YYIIII", "IIIIZZ"], rng.normal(size=3)) for _ in range(40)]
    model = QuantumModule(circuit, circuit.parameters, None, observables=sums)
    terms = model._program.by_terms
    assert terms.program.output_size == terms.num_passes(imaginary=True) == 3
    assert terms.are_sums
    expected = np.sort(np.abs([one.coeffs.real for one in sums]), axis=1)
    np.testing.assert_allclose(np.sort(np.abs(terms.coefficients), axis=1), expected)
    assert QuantumModule(circuit, circuit.parameters, None, observables=sums[:3])._program.by_terms is None


@pytest.mark.parametrize("observables", [["ZI", "ZI", "II"], ["II", "II"], [SparsePauliOp(["ZI", "II"], [0.5, 2])] * 3])
def test_the_identity_has_imaginary_derivatives_only(observables):
    circuit, x = QuantumCircuit(2, global_phase=0.3), ParameterVector("x", 2)
    circuit.ry(x[0], 0)
    circuit.rz(x[1], 0)
    circuit.cx(0, 1)
    for part in ("real", "imaginary"):
        gradient, rows = FastReverseEstimatorGradient(part), rows_of(circuit, 3)
        found = gradient._derivatives(circuit, observables, rows, None)
        np.testing.assert_allclose(found, separately(gradient, circuit, observables, rows), atol=1e-12)


def module_and_arguments(batch_size, observables):
    case = cases(4)["reuploading"]
    model = QuantumModule(case.circuit, case.encoding, case.variational, observables=observables, seed_init=0)
    inputs = torch.rand(batch_size, model.input_size, generator=torch.manual_seed(0))
    weights = {name: one.detach() for name, one in model.named_parameters()}
    return lambda w, x: functional_call(model, w, (x,)), weights, inputs


def rows_of_jacobian(run, weights, inputs):
    """One cotangent at a time, by autograd."""
    leaves = [*(one.clone().requires_grad_() for one in weights.values()), inputs.clone().requires_grad_()]
    values = run(dict(zip(weights, leaves, strict=False)), leaves[-1])
    units = torch.eye(values.numel()).reshape(-1, *values.shape)
    rows = [torch.autograd.grad(values, leaves, one, retain_graph=True) for one in units]
    return [torch.stack(parts).reshape(*values.shape, *parts[0].shape) for parts in zip(*rows, strict=True)]


@pytest.mark.parametrize("batch_size", [1, 33])
def test_circuits_without_inputs_have_jacobians(batch_size):
    w = ParameterVector("w", 2)
    circuit = QuantumCircuit(2)
    circuit.ry(w[0], 0)
    circuit.ry(w[1], 1)
    model = QuantumModule(circuit, None, w, seed_init=0)
    nothing, named = torch.zeros(batch_size, 0), dict(model.named_parameters())
    assert jacrev(model)(nothing).shape == (batch_size, 2, batch_size, 0)
    of_weights, of_inputs = jacrev(lambda named, nothing: functional_call(model, named, nothing), (0, 1))(
        named, nothing
    )
    assert of_inputs.shape == (batch_size, 2, batch_size, 0)
    expected = torch.diag(-torch.sin(model.variational.detach())).expand(batch_size, 2, 2)
    torch.testing.assert_close(of_weights["variational"], expected)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("observables", ["individualZ", ["XYZX", "YYII", "IIZZ", "XYZX", "IIIX"]])
@pytest.mark.parametrize("batch_size", [1, 3, 20])
def test_jacrev_is_autograd_row_by_row(batch_size, observables):
    run, weights, inputs = module_and_arguments(batch_size, observables)
    of_weights, of_inputs = jacrev(run, argnums=(0, 1))(weights, inputs)
    expected = rows_of_jacobian(run, weights, inputs)
    torch.testing.assert_close([*of_weights.values(), of_inputs], expected)
    only = jacrev(run, argnums=1)(weights, inputs)
    torch.testing.assert_close(only, expected[-1])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("batch_size", [1, 20])
def test_inputs_that_are_negated_when_they_are_read(batch_size):
    run, weights, inputs = module_and_arguments(batch_size, "individualZ")
    negated = torch._neg_view(-inputs)
    assert negated.is_neg()
    found = [jacrev(run, argnums=1)(weights, one) for one in (negated, inputs)]
    torch.testing.assert_close(*found, rtol=0, atol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("batch_size", [1, 20])
def test_pull_backs_of_many_cotangents_are_mapped(batch_size):
    run, weights, inputs = module_and_arguments(batch_size, "individualZ")
    values, pull_back = vjp(run, weights, inputs)
    cotangents = torch.randn(6, *values.shape)
    for dim in (0, 2):
        moved = cotangents.movedim(0, dim)
        found = vmap(pull_back, in_dims=dim)(moved)
        expected = [pull_back(one) for one in cotangents]
        torch.testing.assert_close(found[1], torch.stack([one[1] for one in expected]))
        for name in weights:
            torch.testing.assert_close(found[0][name], torch.stack([one[0][name] for one in expected]))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("batch_size", [1, 3])
def test_backward_through_a_jacobian(batch_size):
    """Second derivatives of what went back together: those of plain PyTorch."""
    run, weights, inputs = module_and_arguments(batch_size, "individualZ")
    leaf = inputs.clone().requires_grad_()
    jacrev(run, argnums=1)(weights, leaf).square().sum().backward()
    other = inputs.clone().requires_grad_()
    values = run(weights, other)
    units = torch.eye(values.numel()).reshape(-1, *values.shape)
    rows = [torch.autograd.grad(values, other, one, create_graph=True)[0] for one in units]
    torch.stack(rows).square().sum().backward()
    torch.testing.assert_close(leaf.grad, other.grad)


def test_what_cannot_be_computed_is_named():
    run, weights, inputs = module_and_arguments(9, "individualZ")
    _, pull_back = vjp(run, weights, inputs)
    inputs[2, 1] = torch.nan
    with pytest.raises(ValueError, match="inputs: expected finite values"):
        vmap(pull_back)(torch.ones(3, 9, 4))


@pytest.mark.parametrize("batch_size", [1, 5])
def test_few_parameters_of_many_observables_go_forward(monkeypatch, batch_size):
    case, strings = reuploading(4, 1), ["ZIII", "IZII", "IIZI", "IIIZ", "ZZII", "IZZI", "IIZZ", "ZIIZ", "ZZZZ", "ZZZI"]
    rows = np.random.default_rng(1).uniform(-1, 1, (batch_size, len(case.circuit.parameters)))
    chosen = list(case.circuit.parameters)[1:4]
    gradient = FastReverseEstimatorGradient()
    expected = gradient.jacobian(case.circuit, strings, rows)[:, :, 1:4]

    def backward(*arguments):
        raise AssertionError("went back")

    monkeypatch.setattr(jacobian, "_passes", backward)
    np.testing.assert_allclose(gradient.jacobian(case.circuit, strings, rows, chosen), expected, atol=1e-13)
    with pytest.raises(AssertionError, match="went back"):
        gradient.jacobian(case.circuit, strings, rows)


def test_matrices_leave_reading_little_to_take(monkeypatch):
    """Observables that flip different qubits are read one by one, which is little next to their ways back."""
    circuit, x = QuantumCircuit(6), ParameterVector("x", 8)
    for qubit in range(6):
        circuit.ry(x[qubit], qubit)
    circuit.unitary(random_unitary(64, seed=1), range(6))
    for qubit in range(6):
        circuit.rx(x[2 + qubit], qubit)
    rows = np.random.default_rng(1).uniform(-1, 1, (3, 8))
    many, gradient = [*dict.fromkeys(strings(6, 60))], FastReverseEstimatorGradient()
    monkeypatch.setattr(jacobian, "_cost_of_direction", lambda program: np.inf)
    expected = gradient.jacobian(circuit, many, rows)
    monkeypatch.undo()
    monkeypatch.setattr(jacobian, "_passes", None)
    np.testing.assert_allclose(gradient.jacobian(circuit, many, rows), expected, atol=1e-13)


def test_passes_in_halves_are_worth_many_directions(monkeypatch):
    circuit = reuploading(14, 2).circuit
    some = list(circuit.parameters)[:2]
    monkeypatch.setattr(jacobian, "_along", None)
    found = FastReverseEstimatorGradient().jacobian(circuit, "individualZ", np.ones((1, circuit.num_parameters)), some)
    assert found.shape == (1, 14, 2)
