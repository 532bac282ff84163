"""`FastSampler` against Qiskit's own samplers: the same shots for the same seed, shapes, metadata, or errors of both.

An error comes from the same place, ``run`` or ``result``, wherever Qiskit raises it in ``run``.
"""

import pickle

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit, Parameter, ParameterVector, Qubit
from qiskit.circuit.library import RealAmplitudes
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Statevector

from conftest import NIGHTLY
from hooks import counting
from qiskit_torch_module import FastSampler
from qiskit_torch_module._reading import compat
from qiskit_torch_module._simulation.draws import Streams, inversion, look_up, packed

pytestmark = pytest.mark.filterwarnings("ignore")  # of Qiskit's V1 classes and library circuits, about their future
needs_v2 = pytest.mark.skipif(compat.SamplerPub is None, reason="this Qiskit has no V2 primitives")
needs_v1 = pytest.mark.skipif(compat.SamplerResult is None, reason="this Qiskit has no V1 primitives")

A, B = Parameter("a"), ParameterVector("b", 2)


def circuit_of(*registers):
    circuit = QuantumCircuit(QuantumRegister(3, "q"), *registers, metadata={"name": "three"})
    circuit.ry(A, 0)
    circuit.rx(B[0] * B[1], 1)
    circuit.cx(0, 1)
    circuit.ry(0.4, 2)
    return circuit


def measured_all():
    circuit = circuit_of()
    circuit.measure_all()
    return circuit


def several():
    """Two registers, bits in another order, some that nothing is measured into; one needs two bytes."""
    circuit = circuit_of(ClassicalRegister(2, "x"), ClassicalRegister(11, "y"))
    circuit.measure([1, 2, 2], [12, 0, 4])
    return circuit


def in_two_registers():
    bits = [Clbit(), Clbit()]
    circuit = QuantumCircuit([Qubit(), Qubit()], bits)
    circuit.add_register(ClassicalRegister(name="x", bits=bits), ClassicalRegister(name="y", bits=bits[::-1]))
    circuit.h(0)
    circuit.ry(0.2, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def nothing_measured():
    return circuit_of(ClassicalRegister(2, "x"))


FREE = measured_all()
BOUND = FREE.assign_parameters([0.1, 0.2, 0.3])
MANY = several()
PAIR = in_two_registers()
UNREAD = nothing_measured()
NO_BITS = circuit_of()
NO_QUBITS = QuantumCircuit(QuantumRegister(0), ClassicalRegister(3, "z"), global_phase=A)
NO_QUBITS_BOUND = QuantumCircuit(0, 2)
ROW = [0.1, 0.2, 0.3]


def outcome(sampler, *arguments, **options):
    """(where it failed, None), or (None, result)."""
    try:
        job = sampler.run(*arguments, **options)
    except Exception as error:
        return type(error), None
    try:
        return None, job.result()
    except Exception:
        return "result", None


def agree(pubs, seed=5, **options):
    """Compares both; returns where they failed."""
    expected_failure, expected = outcome(compat.StatevectorSampler(seed=seeded(seed)), pubs, **options)
    failure, found = outcome(FastSampler(seed=seeded(seed)), pubs, **options)
    if expected is None:
        assert found is None
        if expected_failure != "result":
            assert failure != "result"
        return expected_failure
    assert failure is None
    assert found.metadata == expected.metadata
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.metadata == other.metadata
        assert type(one) is type(other)
        assert fields_of(one.data) == fields_of(other.data)
        for name in fields_of(one.data):
            mine, theirs = getattr(one.data, name), getattr(other.data, name)
            assert type(mine) is type(theirs)
            assert (mine.shape, mine.num_bits, mine.num_shots) == (theirs.shape, theirs.num_bits, theirs.num_shots)
            assert mine.array.dtype == theirs.array.dtype
            assert np.array_equal(mine.array, theirs.array)
    return None


def seeded(seed):
    return np.random.default_rng(seed[0]) if isinstance(seed, tuple) else seed


def fields_of(data):
    return list(data._FIELDS) if hasattr(data, "_FIELDS") else list(data)


PUBS = {
    "nothing": [],
    "a circuit": [BOUND],
    "no values": [(BOUND,)],
    "None as values": [(BOUND, None)],
    "no values, free": [FREE],
    "() for a bound one": [(BOUND, ())],
    "[()] for a bound one": [(BOUND, [()])],
    "three empty rows": [(BOUND, [(), (), ()])],
    "values for a bound one": [(BOUND, [0.1])],
    "too long": [(FREE, [0.1] * 4)],
    "too short": [(FREE, [0.1] * 2)],
    "rows of two lengths": [(FREE, [[0.1] * 3, [0.1] * 2])],
    "no rows": [(FREE, np.empty((0, 3)))],
    "no rows of many": [(FREE, np.empty((2, 0, 3)))],
    "an empty mapping": [(BOUND, {})],
    "a mapping that lacks one": [(FREE, {A: 0.1})],
    "a mapping with another": [(FREE, {A: 0.1, B: [0.2, 0.3], Parameter("c"): 0.1})],
    "names as keys": [(FREE, {"a": 0.1, ("b[1]", "b[0]"): [0.2, 0.3]})],
    "two shapes": [(FREE, {A: [0.1, 0.4], B: [[0.2, 0.3]] * 3})],
    "broadcast": [(FREE, {A: [[0.1], [0.4]], B: [[0.2, 0.3]] * 3})],
    "three axes": [(FREE, np.linspace(0, 1, 24).reshape(4, 2, 3))],
    "a scalar": [(FREE, 0.1)],
    "text": [(FREE, ["x", "y", "z"])],
    "complex": [(FREE, [1j, 0, 0])],
    "None among values": [(FREE, [None, 0.1, 0.2])],
    "not a number": [(FREE, [float("nan"), 0.1, 0.2])],
    "infinite": [(FREE, [float("inf"), 0.1, 0.2])],
    "whole numbers": [(FREE, [1, 2, 3])],
    "single precision": [(FREE, np.float32(ROW))],
    "shots": [(FREE, ROW, 7)],
    "one shot": [(FREE, [ROW, ROW], 1)],
    "many shots": [(FREE, [ROW, ROW], 70_000)],
    "None as shots": [(FREE, ROW, None)],
    "no shots": [(FREE, ROW, 0)],
    "negative shots": [(FREE, ROW, -3)],
    "half a shot": [(FREE, ROW, 0.5)],
    "text as shots": [(FREE, ROW, "7")],
    "True as shots": [(FREE, ROW, True)],
    "four parts": [(FREE, ROW, 7, 1)],
    "no parts": [()],
    "no list around it": (FREE, ROW),
    "a circuit alone, in no list": NO_BITS,
    "no circuit": [("circuit", [])],
    "text as PUB": ["circuit"],
    "None as PUB": [None],
    "None as PUBs": None,
    "a number as PUBs": 5,
    "several registers": [(MANY, [ROW] * 3)],
    "several registers, few shots": [(MANY, [ROW] * 3, 2)],
    "several registers, many shots": [(MANY, ROW, 300_000)],
    "one bit in two registers": [PAIR],
    "nothing measured": [(UNREAD, ROW)],
    "nothing measured, rows": [(UNREAD, [ROW] * 2)],
    "no classical bits": [(NO_BITS, [ROW, ROW])],
    "no qubits": [NO_QUBITS_BOUND],
    "no qubits, a free phase": [(NO_QUBITS, [[0.3], [0.4]])],
    "several, one circuit": [(FREE, row) for row in (ROW, [1, 2, 3], [ROW, ROW])],
    "several circuits": [(FREE, ROW), (MANY, [ROW], 8), BOUND, (FREE, [[3, 2, 1]] * 2, 5), PAIR],
    "one of several is wrong": [(FREE, ROW), (FREE, [0.1])],
}


@needs_v2
@pytest.mark.parametrize("seed", [5, (5,)], ids=["a number", "a generator"])
@pytest.mark.parametrize("name", PUBS)
def test_odd_pubs(name, seed):
    if name == "a circuit alone, in no list" and compat.SamplerResult is not None:
        pytest.skip("a V1 call")
    agree(PUBS[name], seed)


@needs_v2
@pytest.mark.parametrize("shots", [1, 33, np.int64(4), 0, -1, 1.5, "3", True, None])
def test_shots_of_a_call(shots):
    agree([(FREE, ROW), (MANY, [ROW] * 2, 3)], shots=shots)


def random_circuit(rng):
    """Gates of three qubits, then measurements into any bits, some twice."""
    circuit = QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(3, "a"), ClassicalRegister(9, "b"))
    for _ in range(rng.integers(0, 7)):
        first, second = rng.permutation(3)[:2]
        kind = rng.integers(4)
        if kind == 0:
            circuit.ry(A * rng.normal(), first)
        elif kind == 1:
            circuit.rx(B[int(first) % 2], second)
        elif kind == 2:
            circuit.cx(first, second)
        else:
            circuit.x(first)
    for _ in range(rng.integers(0, 6)):
        circuit.measure(rng.integers(3), rng.integers(12))
        if rng.integers(30) == 0:
            circuit.h(rng.integers(3))
    return circuit


def random_pub(rng):
    circuit = random_circuit(rng)
    shape = tuple(rng.integers(0, 3, rng.integers(0, 3)))
    width = max(0, circuit.num_parameters + rng.choice([0, 0, 0, 0, 0, 0, 1, -1]))
    return circuit, rng.normal(size=(*shape, width)), [None, 1, 40][rng.integers(3)]


@needs_v2
def test_random_pubs():
    rng = np.random.default_rng(None if NIGHTLY else 0)
    failures = [
        agree([random_pub(rng) for _ in range(rng.integers(1, 4))], [3, (3,)][rng.integers(2)], shots=60)
        for _ in range(10_000 if NIGHTLY else 120)
    ]
    assert 20 < failures.count(None) < len(failures)  # right ones and wrong ones


@needs_v2
@pytest.mark.parametrize("num_qubits", [1, 5, 11])
def test_shots_are_those_of_qiskit_for_many_outcomes(num_qubits):
    """Few shots and many, with and without a table; all qubits and some."""
    circuit = RealAmplitudes(num_qubits, reps=2)
    rows = np.random.default_rng(1).normal(size=(2, circuit.num_parameters))
    everything, some = circuit.copy(), circuit.decompose()
    everything.measure_all()
    some.add_register(ClassicalRegister(2, "c"))
    some.measure(num_qubits // 2, 1)
    agree([(everything, rows, 10), (everything, rows[0], 200_000), (some, rows, 100)])


@needs_v2
def test_counts_follow_the_probabilities():
    """Chi-square of a million shots, by different seeds."""
    circuit = RealAmplitudes(6, reps=1)
    row = np.random.default_rng(2).normal(size=circuit.num_parameters)
    expected = 1_000_000 * Statevector(circuit.assign_parameters(row)).probabilities()
    circuit.measure_all()
    for seed in range(3):
        [result] = FastSampler(seed=seed).run([(circuit, row, 1_000_000)]).result()
        counts = np.bincount(result.data.meas.array[:, 0], minlength=64)
        assert counts.sum() == 1_000_000
        likely = expected > 5
        chi_square = ((counts - expected)[likely] ** 2 / expected[likely]).sum()
        degrees = likely.sum() - 1
        assert abs(chi_square - degrees) < 5 * np.sqrt(2 * degrees)


@needs_v2
def test_without_a_seed_shots_differ():
    sampler = FastSampler()
    first, second = (sampler.run([(FREE, ROW)], shots=1000).result()[0].data.meas for _ in range(2))
    assert not np.array_equal(first.array, second.array)


@needs_v2
def test_elements_are_independent_with_a_generator():
    [result] = FastSampler(seed=np.random.default_rng(0)).run([(FREE, [ROW] * 2)]).result()
    assert not np.array_equal(*result.data.meas.array)


@needs_v2
def test_impossible_outcomes_are_never_drawn():
    circuit = QuantumCircuit(4)
    circuit.h(1)
    circuit.x(3)
    circuit.measure_all()
    [result] = FastSampler(seed=0).run([circuit], shots=100_000).result()
    assert set(result.data.meas.get_int_counts()) == {0b1000, 0b1010}


@needs_v2
def test_qubits_that_are_not_simulated_are_zero():
    """A circuit of 130 qubits, of which gates act on two."""
    circuit = QuantumCircuit(130)
    circuit.x(128)
    circuit.h(3)
    circuit.measure_all()
    [result] = FastSampler(seed=0, exact=True).run([circuit], shots=1000).result()
    numbers = {1 << 128, 1 << 128 | 1 << 3}
    assert {int.from_bytes(row.tobytes(), "big") for row in result.data.meas.array} == numbers
    assert result.data.meas.get_int_counts() == pytest.approx(dict.fromkeys(numbers, 500.0))


REFUSED = {
    "in the middle": (lambda c: [c.measure(0, 0), c.h(0)], r"'measure' on qubits \[0\] into classical bit 0: .*'h'"),
    "reset": (lambda c: [c.h(0), c.reset(0), c.measure(0, 0)], r"'reset' on qubits \[0\] resets qubits"),
    "a branch": (lambda c: branch(c), "'if_else'"),
    "a loop": (lambda c: loop(c), r"'for_loop': expected a circuit without control flow"),
}


def branch(circuit):
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)


def loop(circuit):
    with circuit.for_loop(range(3)):
        circuit.h(0)
    circuit.measure(0, 0)


@needs_v2
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_sampled_says_why(name):
    circuit = QuantumCircuit(1, 1)
    build, message = REFUSED[name]
    build(circuit)
    job = FastSampler().run([circuit])
    with pytest.raises(ValueError, match=f"^circuit: {message}") as error:
        job.result()
    assert isinstance(error.value, QiskitError)


@needs_v2
def test_states_beyond_the_budget_are_refused(own_budget):
    circuit = QuantumCircuit(16)
    circuit.h(range(16))
    circuit.measure_all()
    own_budget(1 << 19)
    with pytest.raises(ValueError, match="states of 16 qubits take 1 MiB in a batch of 1, more than the"):
        FastSampler().run([circuit]).result()


@pytest.mark.parametrize("shots", [0, -1])
def test_shots_that_are_not_positive(shots):
    with pytest.raises(ValueError, match="default_shots: expected a whole number from 1"):
        FastSampler(default_shots=shots)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"default_shots": 1.5}, "default_shots: expected a whole number"),
        ({"default_shots": True}, "default_shots: expected a whole number"),
        ({"seed": "x"}, "seed: expected an integer"),
        ({"exact": 1}, "exact: expected True or False"),
        ({"exact_evolution": 1}, "exact_evolution: expected True or False"),
    ],
)
def test_arguments_of_the_wrong_kind(arguments, message):
    with pytest.raises(TypeError, match=message):
        FastSampler(**arguments)


def test_options_need_v1():
    if compat.SamplerResult is None:
        with pytest.raises(TypeError, match="options: Qiskit 2 has no V1 primitives; give default_shots and seed"):
            FastSampler(options={"shots": 100})
        with pytest.raises(TypeError, match="run: Qiskit 2 has no V1 primitives"):
            FastSampler().run([FREE], [ROW])
    assert vars(FastSampler().options) == {}


@needs_v2
def test_options_of_v1_in_a_v2_call_are_refused():
    with pytest.raises(TypeError, match=r"run: \['seed'\]: options of V1 calls only; PUBs take a number of shots"):
        FastSampler().run([(FREE, ROW)], seed=10)


@needs_v2
def test_a_circuit_without_bits_is_said():
    with pytest.warns(UserWarning, match="has no output classical registers"):
        [result] = FastSampler().run([(NO_BITS, ROW)]).result()
    assert fields_of(result.data) == []


@needs_v2
def test_hooks_of_v2_subclasses():
    found = []
    for base in (compat.StatevectorSampler, FastSampler):
        sampler = counting(base)(seed=1)
        result = sampler.run([(FREE, ROW), (FREE, [3, 2, 1])]).result()
        found.append((sampler.runs, sampler.pubs, [one.data.meas.get_counts() for one in result]))
    assert found[0] == found[1]
    assert found[0][:2] == ([2], 2)


@needs_v2
@pytest.mark.parametrize("num_qubits", [2, 15])
def test_jobs_of_every_size_are_jobs(num_qubits):
    circuit = QuantumCircuit(num_qubits)
    circuit.measure_all()
    job = FastSampler().run([circuit], shots=3)
    assert job.result()[0].data.meas.get_int_counts() == {0: 3}
    assert job.done()
    assert job.in_final_state()


@needs_v2
def test_pubs_of_one_circuit_are_one_call(monkeypatch):
    """And so are all rows of a PUB; shots come in the order of the PUBs all the same."""
    from qiskit_torch_module._simulation import states
    from qiskit_torch_module.primitives import measured

    calls, evaluate = [], measured.probabilities
    monkeypatch.setattr(measured, "probabilities", lambda *given: calls.append(len(given[2])) or evaluate(*given))
    pubs = [(FREE, [ROW] * 3), (MANY, ROW), (FREE, ROW)]
    agree(pubs, (1,))
    assert calls == [4, 1]
    calls.clear()
    monkeypatch.setattr(states, "MOST_AMPLITUDES", 16)  # two states at once
    agree(pubs, (1,))
    assert calls == [2, 1, 1, 1]


needs_joining = pytest.mark.skipif(not hasattr(compat.SamplerPubResult, "join_data"), reason="Qiskit 1.0 joins nothing")


@needs_v2
def test_exact_counts():
    """Those of each element, of all together, and of slices; bits are drawn as ever."""
    rows = np.random.default_rng(3).normal(size=(2, 3, 3))
    [drawn], [exact] = (FastSampler(seed=1, exact=one).run([(MANY, rows, 100)]).result() for one in (False, True))
    for name, sources in (("x", [2, None]), ("y", [*[None] * 2, 2, *[None] * 7, 1])):
        bits, total = getattr(exact.data, name), {}
        assert np.array_equal(bits.array, getattr(drawn.data, name).array)
        assert isinstance(bits, compat.BitArray)
        for index in np.ndindex(2, 3):
            expected = written(Statevector(circuit_of().assign_parameters(rows[index])), sources)
            assert bits.get_int_counts(index) == pytest.approx(expected)
            if hasattr(bits, "slice_shots"):  # from Qiskit 1.1 on
                assert bits[index].get_int_counts() == pytest.approx(expected)
                assert bits.transpose(1, 0).get_int_counts(index[::-1]) == pytest.approx(expected)
            assert bits.reshape(6).get_int_counts(3 * index[0] + index[1]) == pytest.approx(expected)
            strings = {format(number, f"0{bits.num_bits}b"): count for number, count in expected.items()}
            assert bits.get_counts(index) == pytest.approx(strings)
            total = {number: total.get(number, 0) + count for number, count in expected.items()}
        assert bits.get_int_counts() == pytest.approx(total)
        assert type(bits.reshape(2, 300)) is compat.BitArray


def written(state, sources, shots=100):
    """How often each number is expected in bits that the given qubits are measured into."""
    counts = {}
    for outcome_, probability in enumerate(state.probabilities()):
        number = sum((outcome_ >> qubit & 1) << bit for bit, qubit in enumerate(sources) if qubit is not None)
        if probability:
            counts[number] = counts.get(number, 0.0) + shots * probability
    return counts


@needs_v2
@needs_joining
@pytest.mark.parametrize("names", [None, ["x"], ["y", "x"]])
def test_exact_counts_of_joined_registers(names):
    [drawn], [exact] = (
        FastSampler(seed=1, exact=one).run([(MANY, [ROW] * 2, 50_000)]).result() for one in (False, True)
    )
    bits, theirs = exact.join_data(names), drawn.join_data(names)
    assert np.array_equal(bits.array, theirs.array)
    counts, likely = bits.get_int_counts(1), theirs.get_int_counts(1)
    assert set(likely) <= set(counts)
    assert sum(counts.values()) == pytest.approx(50_000)
    assert all(
        abs(likely.get(number, 0) - count) < 6 * np.sqrt(count) for number, count in counts.items() if count > 50
    )
    with pytest.raises(ValueError, match="z"):
        exact.join_data(["z"])


@needs_v2
@pytest.mark.parametrize("exact", [None, True, False])
@pytest.mark.parametrize("asked", ["by nobody", "by default_shots", "by seed", "by the call", "by the PUB", "later"])
def test_whose_counts_are_exact(exact, asked):
    """exact=None: those that nobody asked a number of shots for, as with the default sampler of SamplerQNN."""
    arguments = {"by default_shots": {"default_shots": 1024}, "by seed": {"seed": 3}}.get(asked, {})
    sampler = FastSampler(exact=exact, **arguments)
    if asked == "later":
        sampler.default_shots = 1024
    pubs = [(FREE, [ROW] * 2, *([1024] if asked == "by the PUB" else [])), (MANY, ROW, 5)]
    first, second = sampler.run(pubs, shots=1024 if asked == "by the call" else None).result()
    bits = first.data.meas
    is_exact = exact is True or (exact is None and asked == "by nobody")
    assert (type(bits) is not compat.BitArray) == is_exact
    assert (bits.num_shots, second.data.x.num_shots) == (1024, 5)
    assert (type(second.data.x) is not compat.BitArray) == (exact is True)
    expected = written(Statevector(circuit_of().assign_parameters(ROW)), [0, 1, 2], 1024)
    assert (bits.get_int_counts(1) == pytest.approx(expected, abs=1e-9)) == is_exact
    if not is_exact:
        assert all(type(count) is int for count in bits.get_counts(1).values())


@needs_v2
def test_exact_counts_travel():
    """To other processes, as any result."""
    [result] = FastSampler().run([(MANY, [ROW] * 2)]).result()
    again = pickle.loads(pickle.dumps(result.data.y))
    assert again.get_int_counts(1) == result.data.y.get_int_counts(1)
    assert np.array_equal(again.array, result.data.y.array)


@needs_v2
def test_half_of_the_shots_is_half():
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    [result] = FastSampler().run([circuit]).result()
    assert result.data.meas.get_counts() == {"00": 512, "11": 512}


# V1: probabilities or frequencies of what is written into all bits.

V1_CALLS = {
    "one": (FREE, ROW),
    "one, an array": (FREE, np.array(ROW)),
    "one, a row of one": (FREE, [ROW]),
    "lists": ([FREE, FREE], [ROW, [1, 2, 3]]),
    "tuples and arrays": ((FREE, FREE), np.array([ROW, ROW])),
    "two circuits": ([FREE, BOUND, FREE], [ROW, [], ROW]),
    "bound, []": ([BOUND], []),
    "bound, [[]]": ([BOUND], [[]]),
    "two bound, [[], []]": ([BOUND, BOUND], [[], []]),
    "two bound, [[]]": ([BOUND] * 2, [[]]),
    "too long": ([FREE], [ROW + ROW]),
    "too short": ([FREE], [ROW[:2]]),
    "too few rows": ([FREE] * 2, [ROW]),
    "text": ([FREE], [["x", "y", "z"]]),
    "complex": ([FREE], [[1j, 0, 0]]),
    "not a number": ([FREE], [[float("nan"), 0, 0]]),
    "no circuits": ([], []),
    "no circuit": (["circuit"], [ROW]),
    "a number as circuits": (5, [ROW]),
    "no classical bits": ([NO_BITS], [ROW]),
    "nothing measured": ([UNREAD], [ROW]),
    "bits that nothing is measured into": ([MANY], [ROW]),
}


def agree_v1(*arguments, **options):
    """Compares both; returns where they failed."""
    expected_failure, expected = outcome(compat.Sampler(options={"seed": 5}), *arguments, **options)
    failure, found = outcome(FastSampler(options={"seed": 5}), *arguments, **options)
    if expected is None:
        assert found is None
        if expected_failure != "result":
            assert failure != "result"
        return
    assert failure is None
    assert type(found) is type(expected)
    assert found.metadata == expected.metadata
    for one, other in zip(found.quasi_dists, expected.quasi_dists, strict=True):
        assert type(one) is type(other)
        assert one.shots == other.shots
        assert list(one) == list(other)
        assert one == pytest.approx(other, abs=1e-12)


@needs_v1
@pytest.mark.parametrize("options", [{}, {"shots": None}, {"shots": 100}, {"shots": 1000, "seed": 3}], ids=str)
@pytest.mark.parametrize("name", V1_CALLS)
def test_odd_v1_calls(name, options):
    agree_v1(*V1_CALLS[name], **options)


@needs_v1
def test_v1_bits_in_another_order():
    circuit = circuit_of(ClassicalRegister(1, "x"), ClassicalRegister(2, "y"))
    circuit.measure([2, 0, 1], [0, 1, 2])
    agree_v1([circuit] * 2, [ROW, [1, 2, 3]])
    agree_v1(circuits=[circuit], parameter_values=[ROW])
    agree_v1([circuit], parameter_values=[ROW], shots=10)


@needs_v1
def test_v1_options_are_those_of_the_sampler_then_of_the_call():
    sampler = FastSampler(options={"shots": 100, "seed": 1})
    assert vars(sampler.options) == {"shots": 100, "seed": 1}
    first, second = (sampler.run([FREE], [ROW]).result() for _ in range(2))
    assert first.quasi_dists == second.quasi_dists
    assert first.metadata == [{"shots": 100}]
    sampler.set_options(shots=None)
    assert sampler.run([FREE], [ROW]).result().metadata == [{}]
    assert sampler.run([FREE], [ROW], shots=50).result().metadata == [{"shots": 50}]


@needs_v1
@pytest.mark.parametrize("shots", [0, -1])
def test_v1_shots_that_are_not_positive(shots):
    with pytest.raises(ValueError, match="shots: expected a whole number from 1"):
        FastSampler().run([FREE], [ROW], shots=shots).result()


@needs_v1
def test_a_circuit_alone_is_a_v1_call():
    circuit = QuantumCircuit(1)
    circuit.h(0)
    circuit.measure_all()
    assert FastSampler().run(circuit).result().quasi_dists[0] == pytest.approx({0: 0.5, 1: 0.5})


@needs_v1
def test_hooks_of_v1_subclasses():
    found = []
    for base in (compat.Sampler, FastSampler):
        sampler = counting(base)(options={"shots": None})
        result = sampler.run([FREE] * 2, [ROW] * 2).result()
        found.append((sampler.runs, [dict(one) for one in result.quasi_dists]))
    assert found[0][0] == found[1][0] == [2]
    for one, other in zip(found[0][1], found[1][1], strict=True):
        assert one == pytest.approx(other)


def test_it_is_a_sampler_of_every_line():
    for base in (compat.BaseSamplerV1, compat.BaseSamplerV2):
        assert base is None or isinstance(FastSampler(), base)


# What draws and packs.


@pytest.mark.parametrize("count", [1, 2, 3, 40, 1000, 5000])
@pytest.mark.parametrize("draws", [10, 300_000])
def test_draws_are_those_of_numpy(count, draws):
    """Outcomes that cannot be, and almost cannot be, included; with and without a table."""
    rng = np.random.default_rng(count)
    probabilities = rng.dirichlet(np.full(count, 0.1))
    probabilities[rng.random(count) < 0.2] = 0.0
    probabilities[rng.integers(count)] += 1e-300
    probabilities /= probabilities.sum()
    expected = np.random.default_rng(7).choice(count, size=draws, p=probabilities)
    for seed in (7, np.random.default_rng(7)):
        outcomes_of = inversion(probabilities, draws)
        found = np.concatenate([outcomes_of(uniform) for uniform in Streams(seed)(draws)])
        assert np.array_equal(found, expected)


def test_numbers_at_the_ends_of_the_table():
    """Those that fall on an end belong to the outcome after it, as in NumPy; the last number is below 1."""
    probabilities = np.full(64, 1 / 64)
    uniform = np.concatenate([np.arange(64) / 64, np.nextafter(np.arange(1, 65) / 64, 0)])
    expected = np.concatenate([np.arange(64), np.arange(64)])
    for draws in (1, 1_000_000):
        assert np.array_equal(inversion(probabilities, draws)(uniform), expected)


def test_a_sum_that_is_not_one_to_the_last_digit():
    for scale in (1 - 1e-9, 1 + 1e-9):
        outcomes = inversion(np.array([0.5, 0.5]) * scale, 4)(np.array([0.0, 0.49, 0.51, np.nextafter(1, 0)]))
        assert outcomes.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("num_bits", [1, 3, 8, 9, 16, 20, 33, 64, 70])
def test_bytes_of_bits(num_bits):
    rng = np.random.default_rng(num_bits)
    sources = [None if rng.integers(3) == 0 else int(rng.integers(5)) for _ in range(num_bits)]
    place, outcomes = {0: 0, 2: 1, 3: 2}, rng.integers(8, size=50)
    found = packed(outcomes, sources, place)
    for outcome_, row in zip(outcomes, found, strict=True):
        bits = [0 if q not in place else int(outcome_) >> place[q] & 1 for q in sources]
        assert int.from_bytes(row.tobytes(), "big") == sum(bit << i for i, bit in enumerate(bits))
    again = np.empty_like(found)
    look_up(packed(np.arange(8), sources, place), outcomes, again)
    assert np.array_equal(again, found)


def test_probabilities_of_what_is_not_measured_are_refused():
    for circuit in (circuit_of(), circuit_of(ClassicalRegister(2, "c"))):
        with pytest.raises(
            ValueError, match=r"circuit: expected measurements at its end, got none; add them \(circuit\."
        ):
            FastSampler().probabilities(circuit, [[0.1, 0.2, 0.3]])
