"""Every pass of the compiler, on and off: the same values and gradients, other work."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

import reference
from circuits_zoo import Case, fixed_and_free, qaoa, random_observables, reuploading
from qiskit_torch_module import (
    FastReverseEstimatorGradient,
    QuantumModule,
    compiler_passes,
    explain,
)
from qiskit_torch_module._program.output import ExpectationValues
from qiskit_torch_module._program.passes import PASS_NAMES
from qiskit_torch_module._reading.paulis import PauliTerms
from qiskit_torch_module._simulation.engines import engine_of


def deep_prefix(n):
    """Layers of weights before the data: all of them are the same for the whole batch."""
    x, w = ParameterVector("x", n), ParameterVector("w", 4 * n)
    circuit = QuantumCircuit(n)
    for layer in range(4):
        for q in range(n):
            (circuit.rx if layer % 2 else circuit.ry)(w[layer * n + q], q)
        circuit.rzz(w[layer], 0, n - 1)
        for q in range(n - 1):
            circuit.cx(q, q + 1)
        if layer == 2:
            for q in range(n):
                circuit.rz(x[q], q)
                circuit.rx(x[q] * w[q], q)
    return Case(circuit, list(x), [list(w)])


def open_end(n):
    """A last layer on every other qubit, whose other qubits are measured as well."""
    case = reuploading(n, 1)
    last = ParameterVector("last", n)
    for q in range(n - 1):
        case.circuit.cz(q, q + 1)
    for q in range(0, n, 2):
        case.circuit.rx(last[q], q)
        case.circuit.ry(case.encoding[q], q)
    return Case(case.circuit, case.encoding, [*case.variational, [last[q] for q in range(0, n, 2)]])


def z(n, *qubits):
    return "".join("Z" if q in qubits else "I" for q in reversed(range(n)))


CASES = {
    "reuploading": lambda n: (reuploading(n, 2), "individualZ"),
    "reuploading, one qubit measured": lambda n: (reuploading(n, 2), [SparsePauliOp(z(n, 1))]),
    "reuploading, weighted": lambda n: (
        reuploading(n, 2),
        [SparsePauliOp([z(n, 0), z(n, 1), "I" * n], [0.5, -2, 3]), SparsePauliOp([z(n, 1), z(n, n - 1)], [1, 0.25])],
    ),
    "open end": lambda n: (open_end(n), "individualZ"),
    "deep prefix": lambda n: (deep_prefix(n), "individualZ"),
    "deep prefix, flips": lambda n: (deep_prefix(n), random_observables(n, 5)),
    "qaoa": lambda n: (qaoa(n, 2), "tensoredZ"),
    "all gates": lambda n: (fixed_and_free(n, 2), random_observables(n, 3)),
}


def run(model, batch_size, seed=0):
    inputs = torch.randn(batch_size, model.input_size, generator=torch.Generator().manual_seed(seed))
    inputs = inputs.to(model.variational_[0].dtype).requires_grad_()
    values = model(inputs)
    cotangent = torch.linspace(-1, 2, values.numel(), dtype=values.dtype).reshape(values.shape)
    gradients = torch.autograd.grad(values, [inputs, *model.variational_], cotangent)
    return [values.detach(), *gradients]


def module_of(name, n):
    case, observables = CASES[name](n)
    return QuantumModule(case.circuit, case.encoding, case.variational, observables=observables, seed_init=2)


def joined_of(name, n):
    """With a state of all qubits, whatever is faster (`test_unjoined` has the others)."""
    with compiler_passes(unjoined_halves=False):
        return module_of(name, n)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("off", PASS_NAMES)
@pytest.mark.parametrize("name", CASES)
def test_results_do_not_depend_on_a_pass(name, off):
    found = run(module_of(name, 5), 7)
    with compiler_passes(**{off: False}):
        expected = run(module_of(name, 5), 7)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


@pytest.mark.usefixtures("float64")
def test_all_passes_off_against_the_reference():
    with compiler_passes(**dict.fromkeys(PASS_NAMES, False)):
        model = module_of("all gates", 4)
    case, observables = CASES["all gates"](4)
    inputs = torch.randn(3, model.input_size, generator=torch.Generator().manual_seed(0)).double()
    rows = np.hstack([inputs.numpy(), np.tile(torch.cat(list(model.variational_)).detach().numpy(), (3, 1))])
    expected = reference.batch_values(case.circuit, observables, case.columns, rows)
    np.testing.assert_allclose(model(inputs).detach().numpy(), expected, atol=1e-10, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("batch_size", [1, 37])
def test_passes_on_every_instruction_set_and_layout(name, batch_size, instruction_set):
    for n in (4, 8):
        found = run(module_of(name, n), batch_size)
        with compiler_passes(shared_prefix=False, observable_absorption=False, product_state=False):
            expected = run(module_of(name, n), batch_size)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", CASES)
def test_passes_where_kets_are_undone(name, layout, own_budget):
    model = module_of(name, 8)
    expected = run(model, 5)
    engine = engine_of(model._program)
    budget = engine.schedule_float64(5, 1, True)["scratch_bytes"]
    while engine.schedule_float64(5, 1, True)["keeps_kets"]:
        budget -= 64
        own_budget(budget)
    found = run(model, 5)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("layout", ["batched"], indirect=True)
@pytest.mark.parametrize("observables", ["individualZ", ["X" * 9, "YZX" * 3]])
def test_kets_are_undone_down_to_a_shared_prefix(layout, observables, own_budget):
    """Data in the last layer only: every tile starts from the last ket of the prefix, and goes back no further."""
    n, depth = 9, 12
    x, w = ParameterVector("x", n), ParameterVector("w", n * depth)
    circuit = QuantumCircuit(n)
    for layer in range(depth):
        for q in range(n):
            (circuit.rx if layer % 2 else circuit.ry)(w[layer * n + q], q)
        for q in range(n - 1):
            circuit.cz(q, q + 1)
    for q in range(n):
        circuit.ry(x[q], q)
    model = QuantumModule(circuit, list(x), list(w), observables=observables, seed_init=2)
    engine = engine_of(model._program)
    expected = run(model, 40)
    budget = (plan := engine.schedule_float64(40, 1, True))["scratch_bytes"]
    while plan["keeps_kets"]:
        budget -= 64
        own_budget(budget)
        plan = engine.schedule_float64(40, 1, True)
    assert plan["shares_prefix"]
    assert plan["prefix_layers"] == depth
    model.set_num_threads_backward(1)
    found = run(model, 40)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


@pytest.mark.usefixtures("float64")
def test_frozen_sets_where_a_layer_takes_several_sweeps(layout):
    model = module_of("reuploading", 8)
    _, _, all_of_b, all_of_c = run(model, 5)
    values = model(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)).double())
    cotangent = torch.linspace(-1, 2, values.numel()).reshape(values.shape).double()
    for one, expected in zip(model.variational_, (all_of_b, all_of_c), strict=True):
        (found,) = torch.autograd.grad(values, one, cotangent, retain_graph=True)
        torch.testing.assert_close(found, expected, atol=1e-11, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("first_free", [1, 2, 3])
def test_gradients_that_stop_early(first_free, layout):
    n, case = 8, reuploading(8, 3)
    sets = [case.variational[0][2 * n * layer : 2 * n * (layer + 1)] for layer in range(4)]
    model = QuantumModule(case.circuit, case.encoding, [*sets, case.variational[1]], seed_init=2)
    inputs = torch.randn(5, n, generator=torch.Generator().manual_seed(0)).double()
    expected = torch.autograd.grad(model(inputs).square().sum(), model.variational_)[:4]
    for one in [*model.variational_[:first_free], model.variational_[4]]:
        one.requires_grad_(False)
    found = torch.autograd.grad(model(inputs).square().sum(), model.variational_[first_free:4])
    for one, other in zip(found, expected[first_free:], strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


def test_a_graph_may_be_used_again():
    model = module_of("reuploading", 6)
    values = model(torch.rand(20, 6))
    first = torch.autograd.grad(values.sum(), model.variational_, retain_graph=True)
    assert all(map(torch.equal, torch.autograd.grad(values.sum(), model.variational_), first))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("name", "holds_kets"), [("reuploading", True), ("reuploading", False), ("deep prefix", False)]
)
def test_gradients_from_a_tape_with_and_without_kets(name, holds_kets, layout):
    model = module_of(name, 10)
    engine, generator = engine_of(model._program), np.random.default_rng(0)
    batch_size = 40
    while engine.schedule_float64(batch_size, 2, True)["tape_holds_kets"] != holds_kets:
        batch_size += 8
    inputs = generator.standard_normal((batch_size, model.input_size))
    weights = generator.standard_normal(model.num_trainable_parameters)
    cotangent = generator.standard_normal((batch_size, model.output_size))
    wanted = np.ones(inputs.shape[1] + len(weights), bool)
    values, tape = engine.record(inputs, weights, 2)
    assert tape is not None
    np.testing.assert_allclose(values, engine.values(inputs, weights, 2), atol=1e-12)
    expected = engine.vector_jacobian_product(inputs, weights, cotangent, wanted, 2, False, None)
    for _ in range(2):
        found = engine.vector_jacobian_product(inputs, weights, cotangent, wanted, 2, False, tape)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-10)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("batch_size", [1, 4])  # threads share a state, or have samples of their own
@pytest.mark.parametrize("name", ["reuploading", "open end", "deep prefix, flips", "qaoa"])
def test_gradients_from_the_last_ket_which_the_first_of_them_undoes(name, batch_size):
    model = joined_of(name, 18)
    engine, generator = engine_of(model._program), np.random.default_rng(0)
    inputs = generator.standard_normal((batch_size, model.input_size))
    weights = generator.standard_normal(model.num_trainable_parameters)
    cotangent = generator.standard_normal((batch_size, model.output_size))
    wanted = np.ones(inputs.shape[1] + len(weights), bool)
    schedule = engine.schedule_float64(batch_size, 2, True)
    assert schedule["tape_holds_kets"]
    assert not schedule["keeps_kets"]
    assert schedule["is_team"] == (batch_size == 1)

    def gradients(tape):
        found = engine.vector_jacobian_product(inputs, weights, cotangent, wanted, 2, False, tape)
        return np.concatenate([one.ravel() for one in found])

    expected = gradients(None)
    for _ in range(2):
        tape = engine.record(inputs, weights, 2)[1]
        with ThreadPoolExecutor(3) as pool:
            for found in pool.map(gradients, [tape] * 6):
                np.testing.assert_allclose(found, expected, atol=1e-10)


def test_a_tape_serves_its_own_engine_only():
    """Of another engine, even for an equal circuit, it would be read as what it is not."""
    first, second = (engine_of(replace(module_of("reuploading", 4)._program, output=output)) for output in OUTPUTS)
    inputs, weights = np.zeros((5, 4), np.float32), np.zeros(40, np.float32)
    _, tape = first.record(inputs, weights, 1)
    wanted = np.ones((5, 1), np.float32), np.ones(44, bool), 1, False
    assert first.vector_jacobian_product(inputs, weights, *wanted, tape) is not None
    with pytest.raises(ValueError, match="tape: expected one that this engine has recorded, got that of another"):
        second.vector_jacobian_product(inputs, weights, *wanted, tape)


TERM = [(0, np.int32), (0, np.uint32), (3, np.uint32), (1.0, np.float64)]
OUTPUTS = [
    ExpectationValues((constant,), PauliTerms(*(np.array([one], kind) for one, kind in TERM)))
    for constant in (0.0, 1.0)
]


def test_a_tape_serves_its_own_batch_only():
    engine = engine_of(module_of("reuploading", 4)._program)
    inputs, weights = np.zeros((5, 4), np.float32), np.zeros(40, np.float32)
    _, tape = engine.record(inputs, weights, 1)
    assert tape is not None
    with pytest.raises(ValueError, match="tape: expected that of a batch of 3, got 5"):
        engine.vector_jacobian_product(
            inputs[:3], weights, np.ones((3, 4), np.float32), np.ones(44, bool), 1, False, tape
        )


def test_what_the_passes_save_shows_in_the_schedule():
    def schedule(name, **switches):
        with compiler_passes(**switches):
            return engine_of(module_of(name, 6)._program).schedule_float32(48, 1, True)

    assert schedule("reuploading")["absorbs_observables"]
    assert not schedule("reuploading", observable_absorption=False)["absorbs_observables"]
    assert not schedule("qaoa")["absorbs_observables"]  # Z on all qubits at once
    assert schedule("deep prefix")["shares_prefix"]
    assert not schedule("deep prefix", shared_prefix=False)["shares_prefix"]


def test_an_unknown_pass_is_named():
    with pytest.raises(ValueError, match="no pass 'fussion'; expected some of: permutation_folding, fusion"):  # noqa: SIM117
        with compiler_passes(fussion=False):
            pass


def test_explain_counts_what_the_passes_did():
    model = joined_of("reuploading", 10)
    found = explain(model, batch_size=48, num_threads=1)
    assert found.gates == {"h": 10, "rz": 50, "ry": 50, "cx": 20}
    assert (found.num_relabellings, found.num_rotations) == (20, 110)  # without RZ of the first H, which act on |0>
    assert found.runs_of_layers == (10, 10, 10)
    assert (found.prefix_layers, found.absorbed_runs) == (1, 10)
    assert found.sweeps_of_layers == (0, 0, 1)  # the first two from halves
    for line in ("permutation folding    20 CX, SWAP and X move no amplitude", "batch                  48 in tiles of"):
        assert line in str(found)
    with compiler_passes(fusion=False, permutation_folding=False):
        other = explain(module_of("reuploading", 10), dtype=torch.float64)
    assert other.num_relabellings == 0
    assert sum(other.runs_of_layers) > 3 * sum(found.runs_of_layers)
    assert other.gradients.flops > 2 * found.gradients.flops
    assert other.schedule["scratch_bytes"] > 0


def test_explain_takes_a_circuit():
    case = reuploading(4, 1)
    found = explain(case.circuit, case.encoding, batch_size=3)
    assert found.prefix_layers == 1
    assert "4 qubits" in str(found)
    assert str(explain(QuantumCircuit(1))).startswith("circuit                1 qubit, 0 gates")


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("num_threads", [2, 3])
@pytest.mark.parametrize("name", CASES)
def test_threads_share_a_large_state(name, num_threads, layout):
    model = joined_of(name, 14)
    schedule = engine_of(model._program).schedule_float64(1, num_threads, True)
    assert schedule["is_team"]
    assert schedule["num_threads"] == num_threads
    model.set_num_threads_forward(1)
    model.set_num_threads_backward(1)
    expected = run(model, 1)
    model.set_num_threads_forward(num_threads)
    model.set_num_threads_backward(num_threads)
    for one, other in zip(run(model, 1), expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


@pytest.mark.usefixtures("float64")
def test_layers_of_several_sweeps():
    with compiler_passes(halved_start=False):
        model = module_of("reuploading", 18)
    results = []
    for num_threads, least in ((1, 2), (2, 3)):
        model.set_num_threads_forward(num_threads)
        model.set_num_threads_backward(num_threads)
        assert engine_of(model._program).schedule_float64(1, num_threads, True)["sweeps_of_layers"][1] >= least
        results.append(run(model, 1))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


@pytest.mark.parametrize("num_qubits", [9, 10, 12])
@pytest.mark.parametrize("name", ["reuploading", "qaoa", "deep prefix"])
def test_a_layer_is_one_sweep_in_every_layout(name, num_qubits, layout):
    """More runs than bits of a vector's number: those left pair lanes, of two vectors where CNOTs give runs more flips."""
    with compiler_passes(halved_start=False):
        model = module_of(name, num_qubits)
    schedule = engine_of(model._program).schedule_float32(4, 1, True)
    assert schedule["is_spread"] == (layout != "batched")
    assert not schedule["by_steps"]
    assert set(schedule["sweeps_of_layers"]) == {1}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["reuploading", "deep prefix, flips"])
@pytest.mark.parametrize("num_threads", [1, 2])
def test_what_is_left_of_a_share_may_lie_in_another_way(name, num_threads, dtype):
    """Each sample by itself is the judge: values, and gradients of inputs; those of weights add up."""
    model = module_of(name, 10).to(dtype)
    model.set_num_threads_forward(num_threads)
    model.set_num_threads_backward(num_threads)
    inputs = torch.randn(27, model.input_size, generator=torch.Generator().manual_seed(3)).to(dtype)
    weights = torch.linspace(-1, 2, model.output_size, dtype=dtype)

    def results(rows):
        rows = rows.clone().requires_grad_()
        values = model(rows)
        gradients = torch.autograd.grad((values * weights).sum(), [rows, *model.variational_])
        return [values.detach(), *gradients]

    apart = [results(inputs[i : i + 1]) for i in range(len(inputs))]
    close = {"atol": 2e-5 if dtype is torch.float32 else 1e-12, "rtol": 0}
    for size in (9, 12, 17, 18, 20, 24, 27):
        values, of_inputs, *of_weights = results(inputs[:size])
        torch.testing.assert_close(values, torch.cat([one[0] for one in apart[:size]]), **close)
        torch.testing.assert_close(of_inputs, torch.cat([one[1] for one in apart[:size]]), **close)
        for i, gradient in enumerate(of_weights):
            expected = sum(one[2 + i] for one in apart[:size])
            torch.testing.assert_close(gradient, expected, atol=size * close["atol"], rtol=0)


def test_teams_of_several_python_threads_do_not_wait_for_each_other():
    model = joined_of("reuploading", 14)
    model.set_num_threads_forward(2)
    inputs = torch.rand(1, 14)
    expected = model(inputs).detach()
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: model(inputs).detach(), range(40)):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def assert_several_threads_agree(engine, inputs, weights, cotangent):
    """Gradients from a tape in several Python threads, each of which asks for a team of three."""
    wanted = np.ones(inputs.shape[1] + len(weights), bool)

    def gradients(num_threads):
        tape = engine.record(inputs, weights, num_threads)[1]
        found = engine.vector_jacobian_product(inputs, weights, cotangent, wanted, num_threads, tape=tape)
        return np.concatenate([one.ravel() for one in found])

    expected = gradients(1)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: gradients(3), range(80)):
            np.testing.assert_allclose(found, expected, atol=1e-11, rtol=0)


@pytest.mark.usefixtures("float64")
def test_tapes_of_teams_that_were_there_for_one_call_only():
    """Of several Python threads one has the team; the others do its work alone, forward or back."""
    engine = engine_of(joined_of("reuploading", 16)._program)
    random = np.random.default_rng(0)
    inputs, weights, cotangent = random.normal(size=(1, 16)), random.normal(size=160), random.normal(size=(1, 16))
    schedule = engine.schedule_float64(1, 3, True)
    assert schedule["is_team"]
    assert schedule["tape_holds_kets"]

    assert_several_threads_agree(engine, inputs, weights, cotangent)


@pytest.mark.parametrize("name", PASS_NAMES)
def test_imaginary_derivatives_know_which_phases_a_pass_drops(name):
    w = ParameterVector("w", 2)
    circuit = QuantumCircuit(2)
    circuit.rx(w[0], 1)
    circuit.rx(-w[0], 1)  # gone, if fused with the one before, and then what follows acts on |0...0>
    circuit.rzz(w[1], 0, 1)
    with compiler_passes(**{name: False}):
        gradient = FastReverseEstimatorGradient(derivative_type="imag")
        found = gradient._derivatives(circuit, ["ZZ"], [[0.3, 0.4]], None)
    np.testing.assert_allclose(found, [[[0.0, -1.0]]], atol=1e-14)
