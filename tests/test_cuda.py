"""The kernels for GPUs, run by their twin on the CPU, against the engine."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import UnitaryGate
from qiskit.quantum_info import SparsePauliOp

import cuda_twin
import gate_zoo
import qiskit_torch_module as qtm
from circuits_zoo import Case, cases, random_observables, reuploading
from conftest import NIGHTLY
from cuda_twin import COMPILER, Twin
from qiskit_torch_module import QuantumModule
from qiskit_torch_module._cuda.card import CARDS, H100
from qiskit_torch_module._cuda.choice import plan_of
from qiskit_torch_module._cuda.circuit import Circuit
from qiskit_torch_module._cuda.counts import work_of
from qiskit_torch_module._cuda.launches import Layout, Plan, Pointers
from qiskit_torch_module._cuda.orders import Order, exchange
from qiskit_torch_module._cuda.passes import Tile
from qiskit_torch_module._cuda.shapes import Shape, shape_of, shapes
from qiskit_torch_module._cuda.sources import KERNELS, source
from qiskit_torch_module._program.gf2 import Basis, echelon, sum_of
from qiskit_torch_module._simulation.cuda import Cuda
from qiskit_torch_module._simulation.method import Task
from test_halves import phases_apart

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")

BATCH = 3
TOLERANCE = {True: 1e-11, False: 1e-5}


@pytest.fixture(scope="module", autouse=True)
def twins():
    """All twins of the shapes, built side by side."""
    circuit = circuit_of(cases(1)["reuploading"], 1)
    for is_double in (True, False):
        for shape in shapes(is_double):
            cuda_twin.start_building(Layout(circuit, shape, is_double).defines)


def module_of(case, observables):
    return QuantumModule(case.circuit, case.encoding, case.variational, observables=observables, seed_init=1).double()


def circuit_of(case, n):
    circuit = Circuit.of(module_of(case, random_observables(n, 1))._program)
    assert isinstance(circuit, Circuit)
    return circuit


def single_z(n):
    """Z of all qubits but one, which the runs of a last layer absorb; one observable is a sum of them."""
    some = [("Z", [qubit], 0.3 + qubit) for qubit in range(max(1, n - 1))]
    sums = [some[::2], *([term] for term in some), [*some[::-1], ("", [], -0.7)]]
    return [SparsePauliOp.from_sparse_list(terms, n) for terms in sums]


READ = {"terms": lambda n: random_observables(n, 1), "state": lambda _: qtm.outputs.State(), "z": single_z}


@cache
def judged(n, name, reads="terms"):
    """The program of a case, numbers for it, and what the engine makes of them in double precision."""
    others = {"half_turned": half_turned, "phases": phases_apart}
    case = others[name](n) if name in others else cases(n)[name]
    observables, reads_state = READ[reads](n), reads == "state"
    model, rng = module_of(case, observables), np.random.default_rng(n)
    inputs = torch.tensor(rng.normal(size=(BATCH, len(case.encoding))), requires_grad=True)
    values = model(inputs)
    cotangent = torch.tensor(rng.normal(size=values.shape), dtype=values.dtype)
    if reads_state:
        cotangent = torch.complex(cotangent.real, torch.tensor(rng.normal(size=values.shape)))
    values.backward(cotangent)
    weights = np.concatenate([one.detach().numpy() for one in model.parameters()])
    of_weights = np.concatenate([one.grad.numpy() for one in model.parameters()])
    numbers = [real(values), inputs.grad.numpy(), of_weights]
    return model._program, (inputs.detach().numpy(), weights, real(cotangent)), numbers


def real(tensor):
    tensor = tensor.detach()
    return (torch.view_as_real(tensor).flatten(-2) if tensor.is_complex() else tensor).numpy()


def computed(plan, given, backwards=False):
    inputs, weights, cotangent = given
    twin = Twin(plan, backwards)
    values = twin.values(inputs[: plan.batch], weights)
    found = [values, *twin.gradients(cotangent[: plan.batch])]
    assert not twin.flag[0]
    return found


def assert_close(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        scale = max(1.0, abs(other).max(initial=0.0))
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * scale)


def half_turned(n):
    """Every other qubit is turned last, by runs of several gates; Z of the others is read before that."""
    case, free = cases(n)["reuploading"], ParameterVector("free", 3 * n)
    circuit = case.circuit.copy()
    for qubit in range(0, n - 1, 2):
        circuit.cx(qubit, qubit + 1)
    for qubit in range(0, n, 2):
        circuit.rx(free[3 * qubit], qubit)
        circuit.rz(free[3 * qubit + 1] * case.encoding[0], qubit)
        circuit.ry(free[3 * qubit + 2], qubit)
    return Case(circuit, case.encoding, [*case.variational, [one for one in free if one in circuit.parameters]])


def assert_agrees(n, name, is_double, shape=None, reads="terms"):
    program, given, expected = judged(n, name, reads)
    circuit = Circuit.of(program)
    assert isinstance(circuit, Circuit)
    plan = Plan.of(circuit, BATCH, is_double, H100, shape)
    assert_close(computed(plan, given), expected, TOLERANCE[is_double])


# Tiles that are smaller than any shape's make many of them of few qubits.
FORCED = {
    True: [*shapes(True), *(Shape("memory", Tile(3, threads)) for threads in (0, 1, 4, 6))],
    False: [*shapes(False), *(Shape("wave", Tile(4, threads)) for threads in (0, 2, 5))],
}
CASES = [(n, name) for n in range(1, 11) for name in cases(n)]


@pytest.mark.parametrize("is_double", [True, False], ids=["float64", "float32"])
@pytest.mark.parametrize("n", range(1, 11))
def test_every_shape_agrees_with_the_engine(n, is_double):
    for shape in FORCED[is_double]:
        if shape.is_resident and n > shape.tile.bits:
            continue
        for name in cases(n):
            assert_agrees(n, name, is_double, shape)


LARGE = [
    (11, "reuploading", True, "block"),
    (11, "fixed_and_free", True, "block"),
    (12, "qaoa", False, "block"),
    (12, "reuploading", False, "block"),
    (14, "qaoa", True, "wave"),
    (14, "reuploading", False, "wave"),
    (16, "reuploading", True, "memory"),
    (16, "qaoa", False, "wave"),
]
LARGE_NIGHTLY = [
    (n, name, is_double, shape.name)
    for n in range(11, 17)
    for name in ("reuploading", "fixed_and_free", "qaoa")
    for is_double in (True, False)
    for shape in shapes(is_double)
    if not shape.is_resident or n <= shape.tile.bits
]


@pytest.mark.parametrize(("n", "name", "is_double", "shape"), LARGE_NIGHTLY if NIGHTLY else LARGE)
def test_large_states(n, name, is_double, shape):
    [forced] = {one for one in shapes(is_double) if one.name == shape and (n <= one.tile.bits or not one.is_resident)}
    assert_agrees(n, name, is_double, forced)


@pytest.mark.parametrize("is_double", [True, False], ids=["float64", "float32"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_states(n, is_double):
    for shape in (None, FORCED[is_double][-3]):
        for name in cases(n):
            assert_agrees(n, name, is_double, shape, reads="state")


@pytest.mark.parametrize("is_double", [True, False], ids=["float64", "float32"])
@pytest.mark.parametrize("n", range(1, 11) if NIGHTLY else (1, 2, 3, 6, 9))
def test_a_last_layer_that_observables_absorb(n, is_double):
    names = ("reuploading", "qaoa", "half_turned", "fixed_and_free")
    for name in names[:: 1 if n > 1 else 3]:
        for shape in FORCED[is_double]:
            if not shape.is_resident or n <= shape.tile.bits:
                assert_agrees(n, name, is_double, shape, reads="z")


@pytest.mark.parametrize("name", ["reuploading", "qaoa", "half_turned"])
def test_what_is_absorbed(name):
    """The last layer is in no pass; what it turns is in the moments; others of its runs change nothing."""
    circuit = Circuit.of(judged(6, name, "z")[0])
    assert circuit.moments
    schedule = Plan.of(circuit, BATCH, True, H100).layout.schedule
    turned = {run for one in schedule.passes for run in one.runs} - {-1}
    assert turned == {*range(circuit.num_runs - len(circuit.layers[-1].runs))}
    last = {*range(circuit.num_runs)} - turned
    assert {moment.run for moment in circuit.moments} <= last
    assert bool(circuit.slots) == (name == "half_turned")
    assert not Circuit.of(judged(6, name)[0]).moments


@pytest.mark.parametrize("shape", [None, Shape("memory", Tile(3, 2))])
def test_a_last_phase_that_nobody_sees(shape):
    """Its rotations have no gradient, and no sums, which nobody would write."""
    circuit = Circuit.of(judged(9, "phases", "z")[0])
    assert not circuit.last_phase_matters
    assert circuit.characters[len(circuit.layers)]
    assert_agrees(9, "phases", True, shape, reads="z")


def test_moments_stay_on_the_tape():
    """In waves, with kets that are computed again, for several cotangents, in both orders of threads."""
    program, (inputs, weights, cotangent), expected = judged(6, "half_turned", "z")
    circuit, shape = Circuit.of(program), Shape("memory", Tile(3, 1))
    whole = Plan.of(circuit, BATCH, True, H100, shape)
    tight = card_of(memory_bytes=replace(whole, wave=1).all_bytes - 1)
    small, resident = Plan.of(circuit, BATCH, True, tight, shape), Plan.of(circuit, BATCH, True, H100)
    assert (small.wave, small.keeps) == (1, False)
    again = replace(resident, wave=2, keeps=False)
    for plan in (whole, small, resident, again):
        both = []
        for backwards in (False, True):
            twin = Twin(plan, backwards)
            found = twin.values(inputs, weights)
            twin.gradients(cotangent + 1)
            both.append([found, *twin.gradients(cotangent)])
            assert_close(both[-1], expected, 1e-11)
        assert [one.tobytes() for one in both[0]] == [one.tobytes() for one in both[1]]


@pytest.mark.parametrize("shape", [None, Shape("memory", Tile(3, 2))])
def test_many_terms(shape):
    """Terms of one flip are read together, flips in as few views as hold them."""
    n, rng = 8, np.random.default_rng(5)
    labels = ["".join(rng.choice(list("IIXYZ"), n)) for _ in range(40)] + ["".join(z) for z in _words("IZ", n, rng)]
    observables = [SparsePauliOp(labels, rng.normal(size=len(labels))), SparsePauliOp(labels[::3])]
    case = cases(n)["reuploading"]
    model = module_of(case, observables)
    inputs = torch.tensor(rng.normal(size=(2, len(case.encoding))), requires_grad=True)
    values, cotangent = model(inputs), torch.tensor(rng.normal(size=(2, 2)))
    values.backward(cotangent)
    weights = [np.concatenate([of(one) for one in model.parameters()]) for of in (_number, _gradient)]
    plan = Plan.of(Circuit.of(model._program), 2, True, H100, shape)
    expected = [values.detach().numpy(), inputs.grad.numpy(), weights[1]]
    assert_close(computed(plan, (inputs.detach().numpy(), weights[0], cotangent.numpy())), expected, 1e-11)
    flips, views = {slot.flip for slot in plan.layout.circuit.slots}, plan.layout.views
    assert {flip for view in views for flip in view.flips} == flips
    assert 1 < len(views) < len(flips) // 2 if shape else len(views) == 1


def _words(letters, length, rng):
    return rng.choice(list(letters), (60, length))


def _number(parameter):
    return parameter.detach().numpy()


def _gradient(parameter):
    return parameter.grad.numpy()


@pytest.mark.parametrize("is_double", [True, False], ids=["float64", "float32"])
def test_both_orders_of_threads_give_the_same_bits(is_double):
    for shape in FORCED[is_double]:
        program, given, _ = judged(7, "fixed_and_free")
        plan = Plan.of(Circuit.of(program), BATCH, is_double, H100, shape)
        for one, other in zip(computed(plan, given), computed(plan, given, backwards=True), strict=True):
            assert one.tobytes() == other.tobytes()


@pytest.mark.skipif(not NIGHTLY, reason="builds a twin for every barrier")
def test_a_missing_barrier_is_seen(monkeypatch):
    circuit = Circuit.of(judged(9, "fixed_and_free")[0])
    # The last one has flips of terms that cross threads.
    tiles = ("block", Tile(3, 6)), ("memory", Tile(3, 1)), ("memory", Tile(3, 4))
    plans = [(Plan.of(circuit, BATCH, True, H100, Shape(*tile)), "fixed_and_free") for tile in tiles]
    circuit = Circuit.of(judged(9, "qaoa")[0])
    plans.append((Plan.of(circuit, BATCH, True, H100, Shape(*tiles[1]), from_halves=True), "qaoa"))
    mutants = [*cuda_twin.mutants(plans[0][0].defines)]
    assert len(mutants) >= 6
    for mutant in mutants:
        monkeypatch.setattr(cuda_twin, "library", lambda _, mutant=mutant: mutant)
        with pytest.raises(AssertionError):
            assert_all_agree(plans)


def assert_all_agree(plans):
    """In both orders of the threads."""
    for plan, name in plans:
        _, given, expected = judged(9, name)
        for backwards in (False, True):
            assert_close(computed(plan, given, backwards), expected, 1e-11)


GATES = {
    name: cls
    for name, cls in gate_zoo.operation_classes().items()
    if name not in gate_zoo.REFUSED and name not in gate_zoo.IDLE
}


@pytest.mark.filterwarnings("ignore")  # Qiskit has many of them as deprecated
def test_gates():
    """Every operation of Qiskit that layers take, between gates that break symmetries."""
    taken = 0
    for name, cls in GATES.items():
        for operation in gate_zoo.specimens(name, cls):
            n = operation.num_qubits
            if not 0 < n < 5 or operation.num_clbits or name == "Initialize":
                continue
            circuit, free = QuantumCircuit(n), Parameter("free")
            for qubit in range(n):
                circuit.u(0.4 + qubit, 0.9, -0.3, qubit)
            circuit.append(operation, range(n))
            for qubit in range(n):
                circuit.ry((qubit + 0.7) * free, qubit)
            taken += holds(circuit, n)
    assert taken > 50


def holds(circuit, n):
    """Whether layers take a circuit; if so, the twin agrees."""
    model = QuantumModule(circuit, [], list(circuit.parameters), observables=random_observables(n, 2)).double()
    found = Circuit.of(model._program)
    if isinstance(found, str):
        return False
    values = model(torch.empty(1, 0))
    cotangent = torch.linspace(-1, 1, values.shape[1], dtype=torch.float64)[None]
    values.backward(cotangent)
    [weights] = model.parameters()
    given = np.empty((1, 0)), weights.detach().numpy(), cotangent.numpy()
    expected = [values.detach().numpy(), np.empty((1, 0)), weights.grad.numpy()]
    assert_close(computed(Plan.of(found, 1, True, H100), given), expected, 1e-11)
    return True


def test_waves_and_tapes():
    """Samples that do not fit at once go in waves; kets that do not fit are computed again."""
    program, given, expected = judged(8, "reuploading")
    circuit = Circuit.of(program)
    shape = Shape("memory", Tile(3, 2))
    whole = Plan.of(circuit, BATCH, True, H100, shape)
    assert (whole.wave, whole.keeps) == (BATCH, True)
    in_waves = Plan.of(circuit, BATCH, True, card_of(l2_bytes=4 * 2 * whole.state_bytes), Shape("wave", Tile(3, 2)))
    assert (in_waves.wave, in_waves.keeps) == (2, True)
    tight = card_of(memory_bytes=replace(whole, wave=1).all_bytes - 1)
    small = Plan.of(circuit, BATCH, True, tight, shape)
    assert (small.wave, small.keeps) == (1, False)
    for plan in (whole, in_waves, small):
        assert plan.all_bytes <= plan.card.memory_bytes
        assert_close(computed(plan, given), expected, 1e-11)
    with pytest.raises(MemoryError, match=r"bytes for 8 qubits and 3 samples, got 1,000; take fewer samples"):
        Plan.of(circuit, BATCH, True, card_of(memory_bytes=1000), shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_qubits", [8, 12, 16, 20, 24])
def test_memory_that_is_told_before_a_plan_is_about_that_of_the_plan(num_qubits, dtype):
    """Of a batch in waves, too, and of one whose kets do not all fit."""
    case = reuploading(num_qubits, 3)
    program = QuantumModule(case.circuit, case.encoding, case.variational)._program
    plans = [plan_of(Circuit.of(program), batch, dtype == torch.float64, H100) for batch in (64, 2000, 100_000)]
    for plan in plans:
        told = Cuda().cost(program, Task(plan.batch, dtype, "cuda")).bytes
        assert 0.25 * plan.all_bytes < told < 1.2 * plan.all_bytes
    assert plans[-1].wave < plans[-1].batch or plans[-1].layout.schedule.is_resident
    assert plans[-1].keeps == (plans[-1].batch * plans[-1].state_bytes < H100.memory_bytes)


def test_states_that_are_read_take_memory_as_well():
    """As tensors of the caller, and so do their cotangents: a card that has no room for them keeps no kets."""
    program, given, expected = judged(8, "reuploading", "state")
    circuit, shape = Circuit.of(program), Shape("memory", Tile(3, 2))
    whole = Plan.of(circuit, BATCH, True, H100, shape)
    own, callers = whole.tape_bytes + whole.workspace_bytes + len(whole.constants), 2 * BATCH * whole.state_bytes
    assert whole.all_bytes == own + callers
    tight = Plan.of(circuit, BATCH, True, card_of(memory_bytes=whole.all_bytes - 1, l2_bytes=0), shape)
    assert not tight.keeps
    tighter = Plan.of(circuit, BATCH, True, card_of(memory_bytes=own), shape)
    assert tighter.all_bytes <= own
    for plan in (whole, tight, tighter):
        assert_close(computed(plan, given), expected, 1e-11)


def card_of(**changes):
    return replace(H100, **changes)


def test_the_product_state_stays_in_registers():
    """Where states lie in memory: the first sweep makes it in the order of the second layer, and no other writes it."""
    circuit = circuit_of(cases(8)["reuploading"], 8)
    plan = Plan.of(circuit, BATCH, True, H100, Shape("memory", Tile(3, 1)))
    schedule, pointers = plan.layout.schedule, Pointers(**dict.fromkeys(vars(Pointers()), 1 << 20))
    kernels = [launch.kernel for launch in plan.values(pointers)]
    of_first = [sweep for sweep in schedule.sweeps if not schedule.changes(sweep)]
    assert len(of_first) > 1
    assert kernels.count("qtm_forward") == len(schedule.sweeps) - len(of_first)


def test_a_tape_serves_several_times():
    program, (inputs, weights, cotangent), expected = judged(6, "qaoa")
    for shape in (None, Shape("memory", Tile(3, 1))):
        twin = Twin(Plan.of(Circuit.of(program), BATCH, True, H100, shape))
        twin.values(inputs, weights)
        for _ in range(2):
            assert_close(twin.gradients(cotangent), expected[1:], 1e-11)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e17])
@pytest.mark.parametrize("where", ["inputs", "weights"])
def test_what_has_no_digits_is_flagged(wrong, where):
    program, (inputs, weights, _), _ = judged(3, "qaoa")
    numbers = {"inputs": inputs.copy(), "weights": weights.copy()}
    numbers[where].flat[1] = wrong
    twin = Twin(Plan.of(Circuit.of(program), BATCH, True, H100))
    values = twin.values(**numbers)
    assert twin.flag[0] == 1
    # No number of a sample at fault is right, and others are.
    faulty = [True] * BATCH if where == "weights" else [True, False, False]
    assert [bool(np.isnan(row).any()) for row in values] == faulty


@pytest.mark.parametrize("shape", [None, Shape("memory", Tile(3, 2))])
def test_what_is_computed_and_moved(shape):
    """Counted by hand: layers of RY and RZ on all qubits of a ring, their inputs and one observable of Z."""
    circuit, n, depth = QuantumCircuit(8), 8, 3
    free = [Parameter(f"p{i}") for i in range(2 * n * depth)]
    for layer in range(depth):
        for qubit in range(n):
            circuit.ry(free[2 * (n * layer + qubit)], qubit)
            circuit.rz(free[2 * (n * layer + qubit) + 1], qubit)
        for qubit in range(n):
            circuit.cx(qubit, (qubit + 1) % n)
    model = QuantumModule(circuit, [], free, observables=SparsePauliOp("Z" * n)).double()
    plan = Plan.of(Circuit.of(model._program), BATCH, True, H100, shape)
    values, gradients = work_of(plan)
    # RY takes 12 operations for a pair, a phase one complex product of 6; the first layer is a product state. The term
    # takes a product, a transform over 8 registers, and one number of that.
    assert values.operations == BATCH * 2**n * ((depth - 1) * (6 * n + 6) + 4 + 3 + 2 / 8)
    sweeps = 1 if shape is None else len(plan.layout.schedule.sweeps)
    assert sweeps >= (1 if shape is None else 2 * depth)
    # Of ket and bra, each sweep but those of the first layer reads and writes both.
    assert gradients.bytes >= BATCH * 16 * 2**n * (2 if shape is None else 4 * sweeps - 2 * sweeps // depth)
    both, twice = values + gradients, Plan.of(Circuit.of(model._program), 2 * BATCH, True, H100, shape)
    assert both.times(2) == work_of(twice)[0] + work_of(twice)[1]
    assert both.least_seconds(H100, True) >= both.operations / H100.double_operations > 0
    assert both.least_seconds(replace(H100, bytes_per_second=0, double_operations=0), True) == 0


@pytest.mark.skipif(not NIGHTLY, reason="takes minutes")
def test_no_sanitizer_complains():
    """Addresses beyond an array, shared memory included, and what C++ leaves undefined."""
    runtime = subprocess.run([COMPILER, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = {
        **os.environ,
        "QTM_NIGHTLY": "0",
        "QTM_TWIN_FLAGS": "-fsanitize=address,undefined -fno-sanitize-recover=all",
        "LD_PRELOAD": runtime.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
    }
    chosen = "every_shape or states or waves or several_times or both_orders or absorb or moments or many_terms or agree_with or wanted"
    files = [__file__, str(Path(__file__).with_name("test_cuda_halves.py"))]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", chosen]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def test_refusals():
    circuit = QuantumCircuit(4)
    circuit.append(UnitaryGate(np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0]), range(4))
    circuit.ry(Parameter("t"), 0)
    model = QuantumModule(circuit, [], list(circuit.parameters))
    assert "use method='pytorch'" in Circuit.of(model._program)
    case = cases(2)["qaoa"]
    probabilities = QuantumModule(
        case.circuit, case.encoding, case.variational, observables=qtm.outputs.Probabilities()
    )
    assert "PyTorch reads it from states" in Circuit.of(probabilities._program)
    with pytest.raises(ValueError, match="'warp' holds up to 8 qubits, got 9"):
        Shape("warp", Tile(3, 5)).cut(9)


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("is_double", [True, False])
def test_shapes_grow_with_the_circuit(name, is_double):
    names = [shape_of(n, is_double, CARDS[name]).name for n in range(1, 31)]
    assert list(dict.fromkeys(names)) == ["warp", "block", "wave", "memory"]
    assert names == sorted(names, key=["warp", "block", "wave", "memory"].index)


def test_no_circuit_depends_on_its_batch_or_card():
    circuit = circuit_of(cases(4)["qaoa"], 4)
    one, other = Plan.of(circuit, 2, False, H100), Plan.of(circuit, 700, False, CARDS["A100"])
    assert one.constants is other.constants
    assert one.defines == other.defines
    assert Circuit.of(module_of(cases(4)["qaoa"], random_observables(4, 1))._program) is circuit


def test_every_kernel_is_in_the_source():
    assert all(f"QTM_KERNEL({name}, " in source() for name in KERNELS)


@st.composite
def orders(draw):
    bits = draw(st.integers(1, 10))
    units = [1 << bit for bit in range(bits)]
    found = []
    for _ in range(2):
        masks = draw(st.lists(st.integers(1, (1 << bits) - 1), max_size=2 * bits))
        found.append(Order(tuple(Basis([*masks, *units]).elements)))
    return bits, *found


@settings(max_examples=200)
@given(orders(), st.integers(0, 5))
def test_no_two_lanes_meet_in_a_bank(drawn, lane_bits):
    bits, before, after = drawn
    lane_bits = min(lane_bits, bits)
    write, read = exchange(before, after, bits, lane_bits)
    for order, flips in ((before, write), (after, read)):
        # All addresses are different, and agree on where an amplitude is.
        addresses = {place: sum_of(flips[bit] for bit in range(bits) if place >> bit & 1) for place in range(1 << bits)}
        assert sorted(addresses.values()) == list(range(1 << bits))
        index = sum_of(order.vectors)
        assert addresses[order.place(index)] == sum_of(flips)
        banks = {addresses[lane] % (1 << lane_bits) for lane in range(1 << lane_bits)}
        assert len(banks) == 1 << lane_bits
    for index in (1, (1 << bits) - 1):
        of = [
            sum_of(flips[bit] for bit in range(bits) if order.place(index) >> bit & 1)
            for order, flips in ((before, write), (after, read))
        ]
        assert of[0] == of[1]


@given(st.lists(st.integers(0, 1023), max_size=12))
def test_echelon(masks):
    rows = echelon(masks)
    assert len(rows) == len(Basis(masks))
    assert len(Basis([*masks, *(row for row, _ in rows)])) == len(rows)
    for row, pivot in rows:
        assert pivot == row & -row
        assert [other for other, _ in rows if other & pivot] == [row]
