"""Kernels that start from halves, by their twin on the CPU, against the engine; and when they do."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

import cuda_twin
from circuits_zoo import Case, cases
from conftest import NIGHTLY
from cuda_device import TwinCuda
from cuda_twin import COMPILER, Twin
from qiskit_torch_module import QuantumModule, compiler_passes, explain
from qiskit_torch_module._cuda.card import CARDS, H100
from qiskit_torch_module._cuda.choice import plan_of, seconds_of
from qiskit_torch_module._cuda.circuit import Circuit
from qiskit_torch_module._cuda.counts import work_of
from qiskit_torch_module._cuda.halved import halved
from qiskit_torch_module._cuda.launches import Layout, Plan, Pointers
from qiskit_torch_module._cuda.passes import Tile
from qiskit_torch_module._cuda.shapes import Shape, shapes
from test_cuda import READ, TOLERANCE, assert_close, computed, module_of, real
from test_halves import CASES, ansatz, ring

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")

BATCH = 3
# Halves of 4 to 9 qubits in one tile, and in several.
FORCED = {
    True: [Shape("memory", Tile(3, threads)) for threads in (1, 3, 4)],
    False: [Shape("wave", Tile(4, threads)) for threads in (0, 2, 3)],
}
BOTH = pytest.mark.parametrize("is_double", [True, False], ids=["float64", "float32"])


@pytest.fixture(scope="module", autouse=True)
def twins():
    """Both twins, built side by side."""
    circuit = Circuit.of(module_of(cases(2)["qaoa"], READ["z"](2))._program)
    for is_double in (True, False):
        cuda_twin.start_building(Layout(circuit, shapes(is_double)[2], is_double).defines)


def judged(case, observables, batch=BATCH):
    """A circuit, numbers for it, and what the engine makes of them in double precision."""
    model, rng = module_of(case, observables), np.random.default_rng(7)
    inputs = torch.tensor(rng.normal(size=(batch, len(case.encoding))), requires_grad=True)
    values = model(inputs)
    cotangent = torch.tensor(rng.normal(size=values.shape), dtype=values.dtype)
    if cotangent.is_complex():
        cotangent += 1j * torch.tensor(rng.normal(size=values.shape))
    values.backward(cotangent)
    weights, of_weights = (
        np.concatenate([part(one) for one in model.parameters()])
        for part in (lambda one: one.detach().numpy(), lambda one: one.grad.numpy())
    )
    of_inputs = np.zeros(inputs.shape) if inputs.grad is None else inputs.grad.numpy()
    circuit = Circuit.of(model._program)
    assert isinstance(circuit, Circuit)
    return circuit, (inputs.detach().numpy(), weights, real(cotangent)), [real(values), of_inputs, of_weights]


def assert_agrees(case, observables, is_double, *tiles, batch=BATCH):
    """In both orders of threads, to the same bits."""
    circuit, given, expected = judged(case, observables, batch)
    for shape in tiles:
        plan = Plan.of(circuit, batch, is_double, H100, shape, from_halves=True)
        both = [computed(plan, given, backwards) for backwards in (False, True)]
        assert_close(both[0], expected, TOLERANCE[is_double])
        assert [one.tobytes() for one in both[0]] == [one.tobytes() for one in both[1]]


@BOTH
@pytest.mark.parametrize("reads", READ)
@pytest.mark.parametrize("name", CASES)
def test_halves_agree_with_the_engine(name, reads, is_double):
    for n in (8, 9, 10) if NIGHTLY else (8, 9):
        case = CASES[name][1](n)
        if halved(judged(case, READ[reads](n))[0]) is None:  # symmetries settle a qubit
            assert name == "phases"
            assert reads != "state"
            continue
        assert_agrees(case, READ[reads](n), is_double, *FORCED[is_double][: None if n == 8 else 2])


LARGE = [(13, "reuploading", True, "z"), (13, "ring", False, "state"), (14, "qaoa", False, "z")]
LARGE_NIGHTLY = [
    (n, name, is_double, reads)
    for n in (12, 13, 14, 15)
    for name in ("reuploading", "ring", "qaoa")
    for is_double in (True, False)
    for reads in READ
    if n > shapes(is_double)[2].tile.bits
]


@pytest.mark.parametrize(("n", "name", "is_double", "reads"), LARGE_NIGHTLY if NIGHTLY else LARGE)
def test_large_states(n, name, is_double, reads):
    """Tiles as on a card, sums in several parts, halves of uneven size."""
    case = cases(n)[name] if name != "ring" else ansatz(ring)(n)
    assert_agrees(case, READ[reads](n), is_double, shapes(is_double)[2])


def random_case(n, seed):
    """Layers of rotations about all axes, of data and weights; entangling gates within halves, and a few across."""
    rng, circuit = np.random.default_rng(seed), QuantumCircuit(n)
    x, w = ParameterVector("x", n), ParameterVector("w", 40 * n)
    free, order = iter(w), rng.permutation(n)
    for _ in range(int(rng.integers(3, 6))):
        for qubit in range(n):
            if rng.random() < 0.02:  # then the layer does not turn all qubits
                continue
            for gate in rng.choice(["rx", "ry", "rz"], size=2, replace=False):
                getattr(circuit, str(gate))(next(free) + x[qubit] * int(rng.integers(0, 2)), qubit)
        for side in (order[: n // 2], order[n // 2 :]):
            side = rng.permutation(side)
            pairs = [*pairwise(side), (side[-1], side[0])]
            for first, second in pairs:
                circuit.cx(int(first), int(second))
        for _ in range(int(rng.integers(0, 3))):
            first, second = (int(one) for one in rng.choice(n, size=2, replace=False))
            circuit.rzz(next(free), first, second) if rng.random() < 0.5 else circuit.cx(first, second)
    for qubit in range(n):
        circuit.ry(next(free) + 0.1 * x[qubit], qubit)
    return Case(circuit, list(x), [[one for one in w if one in circuit.parameters]])


def test_random_circuits():
    """Some have halves and some do not."""
    have = []
    for seed in range(60 if NIGHTLY else 16):
        n, is_double = 8 + seed % 3, bool(seed // 2 % 2)
        case, observables = random_case(n, seed), READ[("z", "terms", "state")[seed % 3]](n)
        shape = FORCED[is_double][seed % 3]
        circuit = judged(case, observables)[0]
        have.append(halved(circuit) is not None)
        if have[-1]:
            assert_agrees(case, observables, is_double, shape)
        else:
            with pytest.raises(ValueError, match=f"the circuit has none in shape '{shape.name}'; leave it out"):
                Plan.of(circuit, BATCH, is_double, H100, shape, from_halves=True)
    assert 3 <= sum(have) <= len(have) - 3


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize(("wave", "waves_at_once"), [(1, 1), (1, 3), (2, 2), (2, 7), (5, 1)])
def test_waves_share_their_halves(wave, waves_at_once, keeps):
    for reads in READ:
        circuit, given, expected = judged(CASES["qaoa"][1](8), READ[reads](8), 5)
        plan = Plan.of(circuit, 5, True, H100, FORCED[True][1], from_halves=True)
        plan = replace(plan, wave=wave, waves_at_once=waves_at_once, keeps=keeps)
        assert_close(computed(plan, given), expected, 1e-11)
        kernels = [launch.kernel for launch in plan.values(POINTERS)]
        assert kernels.count("qtm_join") == -(-5 // wave)
        assert kernels.count("qtm_prepare") == -(-5 // wave) + 2 * -(-5 // (wave * waves_at_once))


POINTERS = Pointers(**dict.fromkeys(vars(Pointers()), 1 << 20))


def test_waves_that_the_second_cache_holds():
    circuit = judged(CASES["apart"][1](9), READ["z"](9))[0]
    whole = Plan.of(circuit, 8, True, H100, FORCED[True][2], from_halves=True)
    tight = Plan.of(circuit, 8, True, replace(H100, l2_bytes=8 * whole.state_bytes), Shape("wave", Tile(3, 4)), True)
    # Four of 512 amplitudes, ket and bra of two samples; halves have 16 and 32.
    assert (tight.wave, tight.waves_at_once) == (2, 4)
    assert [(half.wave, half.state_bytes) for half in tight.halves] == [(8, 16 * 16), (8, 16 * 32)]
    # As many groups as need be, about as many waves in each.
    assert replace(tight, batch=20)._most_waves(6 * 2 * 2 * 48 * 16) == 5
    # A card with less memory first has halves of one wave at a time, then no kets on the tape.
    apart = replace(whole, wave=4, waves_at_once=2)
    assert apart.all_bytes > replace(apart, waves_at_once=1).all_bytes > replace(apart, keeps=False).all_bytes / 2


def test_a_tape_serves_several_times():
    for reads in READ:
        circuit, (inputs, weights, cotangent), expected = judged(CASES["ring"][1](8), READ[reads](8))
        twin = Twin(Plan.of(circuit, BATCH, True, H100, FORCED[True][1], from_halves=True))
        twin.values(inputs, weights)
        twin.gradients(cotangent + 1)
        assert_close(twin.gradients(cotangent), expected[1:], 1e-11)


def test_what_has_no_digits_is_flagged():
    circuit, (inputs, weights, _), _ = judged(CASES["ring"][1](8), READ["z"](8))
    twin = Twin(Plan.of(circuit, BATCH, True, H100, FORCED[True][1], from_halves=True))
    inputs[1, 2] = np.inf
    values = twin.values(inputs, weights)
    assert twin.flag[0] == 1
    assert np.isnan(values[1]).all()
    assert not np.isnan(values[[0, 2]]).any()


def test_gradients_of_what_is_wanted():
    circuit, (inputs, weights, cotangent), expected = judged(CASES["ring"][1](8), READ["z"](8))
    plan = Plan.of(circuit, BATCH, True, H100, FORCED[True][1], from_halves=True)
    twin = Twin(plan)
    twin.values(inputs, weights)
    whole = [launch.kernel for launch in plan.gradients(POINTERS)]
    assert whole.count("qtm_weights") == whole.count("qtm_angles") == 3
    of_inputs = [launch.kernel for launch in plan.gradients(replace(POINTERS, weight_gradient=0))]
    assert "qtm_weights" not in of_inputs
    found = np.full_like(inputs, np.nan)
    pointers = twin._pointers(inputs=inputs, weights=weights, cotangent=cotangent, input_gradient=found)
    cuda_twin.launch(plan, plan.gradients(pointers))
    assert_close([found], [expected[1]], 1e-11)


def test_where_a_tile_holds_the_state_there_are_none():
    circuit = judged(CASES["ring"][1](9), READ["z"](9))[0]
    with pytest.raises(ValueError, match="none in shape 'block'"):
        Plan.of(circuit, BATCH, True, H100, shapes(True)[1], from_halves=True)
    assert not plan_of(circuit, 1000, True, H100).halves


def test_halves_that_are_switched_off():
    case = ansatz(ring)(13)
    with compiler_passes(halved_start=False):
        circuit = Circuit.of(module_of(case, READ["z"](13))._program)
    assert halved(circuit) is None
    assert not plan_of(circuit, 1000, False, H100).halves


def test_deep_circuits():
    """Halves that no gate joins are of a dozen layers and some runs at most; circuits of very many layers have none."""
    for layers, depth in ((20, 13), (70, None)):
        circuit, w = QuantumCircuit(8), iter(ParameterVector("w", 2 * 8 * layers))
        for _ in range(layers):
            for qubit in range(8):
                circuit.ry(next(w), qubit)
            for qubit in (*range(3), *range(4, 7)):
                circuit.cx(qubit, qubit + 1)
            circuit.cx(3, 0)
            circuit.cx(7, 4)
        case = Case(circuit, [], [list(circuit.parameters)])
        found = halved(Circuit.of(module_of(case, READ["terms"](8))._program))
        assert (None if found is None else len(found.low.layers)) == depth


@pytest.mark.parametrize("name", CARDS)
@BOTH
def test_halves_are_taken_where_they_pay(name, is_double):
    """By count: not for a single small sample, whose launches take longer; for many samples and for large states."""
    taken = {}
    for n in (13, 16, 22):
        circuit = Circuit.of(module_of(ansatz(ring)(n), READ["z"](n))._program)
        for batch in (1, 400):
            plan = plan_of(circuit, batch, is_double, CARDS[name])
            taken[n, batch] = bool(plan.halves)
            other = Plan.of(circuit, batch, is_double, CARDS[name], from_halves=not plan.halves)
            assert seconds_of(plan) <= seconds_of(other)
    assert not taken[13, 1]
    assert all(taken[n, 400] for n in (13, 16, 22))
    assert taken[22, 1]


def test_a_card_without_the_memory_for_halves_has_none():
    circuit = Circuit.of(module_of(ansatz(ring)(22), READ["z"](22))._program)
    memory = replace(Plan.of(circuit, 1, False, H100), keeps=False).all_bytes
    tight = replace(H100, memory_bytes=memory)
    assert not plan_of(circuit, 1, False, tight).halves
    with pytest.raises(MemoryError):
        Plan.of(circuit, 1, False, tight, from_halves=True)
    unknown = replace(H100, bytes_per_second=0.0, float_operations=0.0)
    assert plan_of(circuit, 1, False, unknown).halves


@pytest.mark.parametrize(("n", "is_double"), [(13, True), (14, False)])
def test_what_is_chosen_agrees_with_the_engine(n, is_double):
    circuit, given, expected = judged(ansatz(ring)(n), READ["z"](n), 24)
    plan = plan_of(circuit, 24, is_double, CARDS["RTX 5090"])
    assert plan.halves
    assert_close(computed(plan, given), expected, TOLERANCE[is_double])


def test_states_that_are_spared():
    """20 qubits, a ring of CNOTs, five layers, the last one absorbed: halves hold three of the four others."""
    circuit = Circuit.of(module_of(ansatz(ring, real=True)(20), READ["z"](20))._program)
    plans = [Plan.of(circuit, 1, False, H100, None, from_halves) for from_halves in (False, True)]
    whole, from_halves = ([one.bytes / plans[0].state_bytes for one in work_of(plan)] for plan in plans)
    assert plans[1].layout.glue_bits == 4
    assert whole[0] - from_halves[0] > 7
    assert whole[1] - from_halves[1] > 18
    # Of an amplitude, 16 products there and twice as many back, for two layers of 20 runs and their phases.
    whole, from_halves = ([one.operations / 2**20 for one in work_of(plan)] for plan in plans)
    assert whole[0] - from_halves[0] == pytest.approx(2 * (6 * 20 + 6) - 8 * 16, abs=25)
    assert whole[1] > from_halves[1]


def test_explain_tells():
    for n, batch, said in ((13, 100, "first layers on 6 and 7 qubits, a sum of 16 products of states"), (8, 100, "no")):
        case = ansatz(ring)(n)
        model = QuantumModule(case.circuit, case.encoding, case.variational, method=TwinCuda())
        found = explain(model, batch_size=batch)
        assert said in found.kernels
        assert f"kernels                {found.kernels}" in str(found)
    assert explain(case.circuit).kernels == ""
