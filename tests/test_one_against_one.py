"""`run` of Qiskit's own estimators and of ours on odd calls: the same values, shapes and metadata, or errors of both.

An error comes from the same place, ``run`` or ``result``, wherever Qiskit raises it in ``run``.
"""

import warnings

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import Pauli, PauliList, SparsePauliOp

from conftest import NIGHTLY
from hooks import counting
from qiskit_torch_module import FastEstimator
from qiskit_torch_module._reading import compat

needs_v2 = pytest.mark.skipif(compat.EstimatorPub is None, reason="this Qiskit has no V2 primitives")
needs_v1 = pytest.mark.skipif(compat.EstimatorResult is None, reason="this Qiskit has no V1 primitives")

A, B = Parameter("a"), ParameterVector("b", 2)
CIRCUIT = QuantumCircuit(2, metadata={"name": "two"})
CIRCUIT.ry(A, 0)
CIRCUIT.rx(B[0] * B[1], 1)
CIRCUIT.cx(0, 1)
BOUND = CIRCUIT.assign_parameters([0.1, 0.2, 0.3])
EMPTY = QuantumCircuit(2)
NOTHING = QuantumCircuit(0, global_phase=A)  # no qubit at all
NOTHING_BOUND = QuantumCircuit(0, 2)


def outcome(estimator, *arguments, **options):
    """(where it failed, None), or (None, result)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            job = estimator.run(*arguments, **options)
        except Exception as error:
            return type(error), None
        try:
            return None, job.result()
        except Exception:
            return "result", None


def agree_v2(pubs, **options):
    """Compares both; returns where they failed."""
    expected_failure, expected = outcome(compat.StatevectorEstimator(seed=5), pubs, **options)
    failure, found = outcome(FastEstimator(seed=5), pubs, **options)
    if expected is None:
        assert found is None
        if expected_failure != "result":
            assert failure != "result"
        return expected_failure
    if any(np.isnan(np.asarray(one.data.evs, dtype=float)).any() for one in expected):
        assert found is None  # what is no number is refused
        return "nan"
    assert failure is None
    assert found.metadata == expected.metadata
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.metadata == other.metadata
        assert type(one) is type(other)
        for name in ("evs", "stds"):
            mine, theirs = getattr(one.data, name), getattr(other.data, name)
            assert kind_of(mine) == kind_of(theirs)
            np.testing.assert_allclose(mine, theirs, atol=1e-10)
        assert shape_of(one.data) == shape_of(other.data)
    return None


def kind_of(values):
    return type(values), values.shape, values.dtype, values.flags.writeable


def shape_of(data):
    return data.shape if hasattr(data, "shape") else data._SHAPE  # Qiskit 1.0


PUBS = {
    "nothing": [],
    "no values, bound": [(BOUND, "ZZ")],
    "None as values": [(BOUND, "ZZ", None)],
    "no values, free": [(CIRCUIT, "ZZ")],
    "[] for a bound one": [(BOUND, "ZZ", [])],
    "[[]] for a bound one": [(BOUND, "ZZ", [[]])],
    "[[], []] for a bound one": [(BOUND, "ZZ", [[], []])],
    "[[]] and observables": [(BOUND, [["ZZ"], ["XX"]], [[]])],
    "values for a bound one": [(BOUND, "ZZ", [0.1])],
    "too long": [(CIRCUIT, "ZZ", [0.1] * 4)],
    "too short": [(CIRCUIT, "ZZ", [0.1] * 2)],
    "rows too long": [(CIRCUIT, "ZZ", [[0.1] * 4] * 2)],
    "rows of two lengths": [(CIRCUIT, "ZZ", [[0.1] * 3, [0.1] * 2])],
    "no rows": [(CIRCUIT, "ZZ", np.empty((0, 3)))],
    "no observables": [(CIRCUIT, [], [0.1] * 3)],
    "an empty mapping": [(BOUND, "ZZ", {})],
    "a mapping that lacks one": [(CIRCUIT, "ZZ", {A: 0.1})],
    "a mapping with another": [(CIRCUIT, "ZZ", {A: 0.1, B: [0.2, 0.3], Parameter("c"): 0.1})],
    "names as keys": [(CIRCUIT, "ZZ", {"a": 0.1, ("b[1]", "b[0]"): [0.2, 0.3]})],
    "two shapes": [(CIRCUIT, "ZZ", {A: [0.1, 0.4], B: [[0.2, 0.3]] * 3})],
    "a scalar": [(CIRCUIT, "ZZ", 0.1)],
    "text": [(CIRCUIT, "ZZ", ["x", "y", "z"])],
    "complex": [(CIRCUIT, "ZZ", [1j, 0, 0])],
    "None among values": [(CIRCUIT, "ZZ", [None, 0.1, 0.2])],
    "whole numbers": [(CIRCUIT, "ZZ", [1, 2, 3])],
    "single precision": [(CIRCUIT, "ZZ", np.float32([0.1, 0.2, 0.3]))],
    "three axes": [(CIRCUIT, [["ZZ"], ["XX"]], np.linspace(0, 1, 24).reshape(4, 2, 3))],
    "no broadcast": [(CIRCUIT, ["ZZ", "XX"], [[0.1] * 3] * 3)],
    "wrong width": [(CIRCUIT, "ZZZ", [0.1] * 3)],
    "no label": [(CIRCUIT, "ZQ", [0.1] * 3)],
    "an empty label": [(CIRCUIT, "", [0.1] * 3)],
    "an empty mapping of Paulis": [(CIRCUIT, {}, [0.1] * 3)],
    "a Pauli": [(CIRCUIT, Pauli("-XY"), [0.1] * 3)],
    "an i Pauli": [(CIRCUIT, Pauli("iXY"), [0.1] * 3)],
    "a list of Paulis": [(CIRCUIT, PauliList(["XY", "ZI"]), [0.1] * 3)],
    "the same twice": [(CIRCUIT, ["ZZ", "ZZ"], [[0.1] * 3] * 2)],
    "a sum with a term twice": [(CIRCUIT, SparsePauliOp(["ZZ", "ZZ"], [0.5, 1.0]), [0.1] * 3)],
    "zero": [(CIRCUIT, SparsePauliOp("ZZ", 0.0), [0.1] * 3)],
    "a number": [(CIRCUIT, 5, [0.1] * 3)],
    "None": [(CIRCUIT, None, [0.1] * 3)],
    "a precision": [(CIRCUIT, ["ZZ", "XX"], [0.1] * 3, 0.25)],
    "None as precision": [(CIRCUIT, "ZZ", [0.1] * 3, None)],
    "negative precision": [(CIRCUIT, "ZZ", [0.1] * 3, -1.0)],
    "text as precision": [(CIRCUIT, "ZZ", [0.1] * 3, "0.1")],
    "five parts": [(CIRCUIT, "ZZ", [0.1] * 3, 0.1, 1)],
    "one part": [(CIRCUIT,)],
    "no list around it": (CIRCUIT, "ZZ", [0.1] * 3),
    "a circuit alone": [CIRCUIT],
    "no circuit": [("circuit", "ZZ", [])],
    "None as PUBs": None,
    "an empty circuit": [(EMPTY, ["ZZ", "XX", "II"])],
    "several, one circuit": [(CIRCUIT, one, [0.1, 0.2, 0.3]) for one in ("ZZ", "XX", ["YY", "ZZ"])],
    "several, other values": [(CIRCUIT, "XX", [0.1 * i, 0.2, 0.3]) for i in range(3)],
    "no qubits": [(NOTHING_BOUND, "")],
    "no qubits, a free phase": [(NOTHING, "", [0.3])],
    "no qubits, rows": [(NOTHING, ["", {"": 2.0}], [[0.3], [0.4]])],
    "no qubits, no rows": [(NOTHING, "", np.empty((0, 1)))],
    "no qubits, [[], []]": [(NOTHING_BOUND, [[""], [""]], [[], []])],
    "no qubits, [] as observables": [(NOTHING_BOUND, [])],
    "no qubits, a sum": [(NOTHING, [SparsePauliOp(["", ""], [0.5, 1.0]), Pauli("")], {A: 0.2})],
    "no qubits, no values": [(NOTHING, "")],
    "no qubits, values too long": [(NOTHING, "", [0.3, 0.4])],
    "no qubits, not a number": [(NOTHING, "", [float("nan")])],
    "no qubits, a label of one": [(NOTHING_BOUND, "Z")],
    "no qubits, a number": [(NOTHING_BOUND, 5)],
    "an observable of no qubits": [(CIRCUIT, SparsePauliOp([""], [0.5]), [0.1] * 3)],
    "observables of no and of two qubits": [(CIRCUIT, ["ZZ", ""], [0.1] * 3)],
    "[[]] as observables": [(CIRCUIT, [[]], [0.1] * 3)],
    "an array of no observables": [(CIRCUIT, np.empty((0, 3), dtype=object), [[0.1] * 3] * 3)],
    "rows of no observables": [(CIRCUIT, np.empty((3, 0), dtype=object), [0.1] * 3)],
    "no observables for two rows": [(CIRCUIT, [], [[0.1] * 3] * 2)],
    "no observables for one row": [(CIRCUIT, [], [[0.1] * 3])],
    "no observables, no rows": [(CIRCUIT, [], np.empty((0, 3)))],
    "a list of no Paulis": [(CIRCUIT, PauliList(["XY"])[:0], [0.1] * 3)],
    "several, one of no qubits": [(CIRCUIT, "ZZ", [0.1] * 3), (NOTHING, "", [0.3]), (NOTHING_BOUND, [""])],
    "several, other circuits": [(CIRCUIT, "XX", [0.1, 0.2, 0.3]), (BOUND, "XX"), (EMPTY, "ZI", [], 0.5)],
}


@needs_v2
@pytest.mark.parametrize("name", PUBS)
def test_odd_pubs(name):
    agree_v2(PUBS[name])


@needs_v2
@pytest.mark.parametrize("precision", [0.0, 0.1, 1, -0.5, "0.1", None])
def test_precision_of_a_call(precision):
    agree_v2([(CIRCUIT, ["ZZ", "XX"], [0.1] * 3), (CIRCUIT, ["ZZ", "XX"], [0.1] * 3, 0.5)], precision=precision)


OF_TWO = ["ZZ", "XY", {"IZ": 0.5, "XX": -2.0}, SparsePauliOp(["YI", "II"], [0.3, 1.0])]
OF_NONE = ["", {"": 0.5}, SparsePauliOp(["", ""], [0.3, 1.0])]


def random_pub(rng):
    """A PUB of random shapes, right or wrong."""
    circuit = [CIRCUIT, BOUND, EMPTY, NOTHING, NOTHING_BOUND][rng.integers(5)]

    def shape():
        return tuple(rng.integers(0, 4, rng.integers(0, 3)))

    observables = np.empty(shape(), dtype=object)
    for index in np.ndindex(observables.shape):
        kinds = OF_TWO if circuit.num_qubits and rng.integers(20) else OF_NONE
        observables[index] = kinds[rng.integers(len(kinds))]
    width = circuit.num_parameters + rng.choice([0, 0, 0, 0, 1, -1])
    values = rng.normal(size=(*shape(), max(0, width)))
    kind = rng.integers(4)
    parts = [circuit, observables.tolist() if kind else observables]
    if circuit.num_parameters or kind > 1:
        parts.append(values.tolist() if kind == 3 else values)
    if len(parts) == 3 and kind == 2:
        parts.append([0.0, 0.2, None][rng.integers(3)])
    return tuple(parts)


@needs_v2
def test_random_pubs():
    rng = np.random.default_rng(None if NIGHTLY else 0)
    failures = [
        agree_v2([random_pub(rng) for _ in range(rng.integers(1, 4))]) for _ in range(20_000 if NIGHTLY else 250)
    ]
    assert 20 < failures.count(None) < len(failures)  # right ones and wrong ones


def agree_v1(*arguments, **options):
    """Compares both; returns where they failed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stock = compat.Estimator(options={"seed": 5})
    expected_failure, expected = outcome(stock, *arguments, **options)
    failure, found = outcome(FastEstimator(options={"seed": 5}), *arguments, **options)
    if expected is None:
        assert found is None
        if expected_failure != "result":
            assert failure != "result"
        return
    assert failure is None
    assert type(found) is type(expected)
    assert found.values.shape == expected.values.shape
    np.testing.assert_allclose(found.values, expected.values, atol=1e-10)
    assert [list(one) for one in found.metadata] == [list(one) for one in expected.metadata]
    for one, other in zip(found.metadata, expected.metadata, strict=True):
        assert one == pytest.approx(other, abs=1e-10)


ROW, SUM = [0.1, 0.2, 0.3], SparsePauliOp(["ZZ", "XI"], [0.5, 2.0])
CALLS = {
    "one": (CIRCUIT, SUM, ROW),
    "one, a label": (CIRCUIT, "ZX", ROW),
    "one, an array": (CIRCUIT, SUM, np.array(ROW)),
    "one, a row of one": (CIRCUIT, SUM, [ROW]),
    "lists": ([CIRCUIT, CIRCUIT], [SUM, "XX"], [ROW, [1, 2, 3]]),
    "tuples and arrays": ((CIRCUIT, CIRCUIT), (SUM, Pauli("YY")), np.array([ROW, ROW])),
    "arrays in a list": ([CIRCUIT], [SUM], [np.array(ROW)]),
    "bound, none": ([BOUND], [SUM]),
    "bound, None": ([BOUND], [SUM], None),
    "bound, []": ([BOUND], [SUM], []),
    "bound, [[]]": ([BOUND], [SUM], [[]]),
    "two bound, [[]]": ([BOUND] * 2, [SUM] * 2, [[]]),
    "two bound, []": ([BOUND] * 2, [SUM] * 2, []),
    "two bound, [[], []]": ([BOUND, EMPTY], [SUM] * 2, [[], []]),
    "free, none": ([CIRCUIT], [SUM]),
    "no qubits, too long": ([NOTHING], [""], [ROW]),
    "no qubits, a label of one": ([NOTHING_BOUND], ["Z"]),
    "an observable of no qubits": ([CIRCUIT], [""], [ROW]),
    "too long": ([CIRCUIT], [SUM], [ROW + ROW]),
    "too short": ([CIRCUIT], [SUM], [ROW[:2]]),
    "too few rows": ([CIRCUIT] * 2, [SUM] * 2, [ROW]),
    "too few observables": ([CIRCUIT] * 2, [SUM], [ROW] * 2),
    "no circuits": ([], [], []),
    "no observables": ([CIRCUIT], [], [ROW]),
    "wrong width": ([CIRCUIT], ["ZZZ"], [ROW]),
    "no label": ([CIRCUIT], ["ZQ"], [ROW]),
    "text": ([CIRCUIT], [SUM], [["x", "y", "z"]]),
    "complex": ([CIRCUIT], [SUM], [[1j, 0, 0]]),
    "not a number": ([CIRCUIT], [SUM], [[float("nan"), 0, 0]]),
    "infinite": ([CIRCUIT], [SUM], [[float("inf"), 0, 0]]),
    "no circuit": (["circuit"], [SUM], [ROW]),
    "a set of circuits": ({1: CIRCUIT}, [SUM], [ROW]),
    "a number as circuits": (5, [SUM], [ROW]),
}


@needs_v1
@pytest.mark.parametrize(
    "options", [{}, {"shots": None}, {"shots": 100}, {"shots": 100, "seed": 3, "other": 1}], ids=str
)
@pytest.mark.parametrize("name", CALLS)
def test_odd_v1_calls(name, options):
    agree_v1(*CALLS[name], **options)


@needs_v1
@pytest.mark.parametrize(
    "observable", ["", Pauli(""), SparsePauliOp(["", ""], [0.5, 1.0])], ids=["label", "Pauli", "sum"]
)
def test_v1_without_qubits(observable):
    """With shots Qiskit cannot square such an observable; a number has no variance."""
    arguments = [NOTHING, CIRCUIT, NOTHING_BOUND], [observable, SUM, ""], [[0.3], ROW, []]
    agree_v1(*arguments)
    exact = compat.Estimator().run(*arguments).result().values
    drawn = FastEstimator().run(*arguments, shots=10, seed=3).result()
    np.testing.assert_allclose(drawn.values[[0, 2]], exact[[0, 2]], atol=1e-12)
    assert [one["variance"] for one in drawn.metadata][::2] == [0.0, 0.0]


@needs_v1
def test_v1_arguments_by_name():
    agree_v1(circuits=[CIRCUIT], observables=[SUM], parameter_values=[ROW])
    agree_v1([CIRCUIT], observables=[SUM], parameter_values=[ROW], shots=10)
    agree_v1([BOUND], observables=[SUM])


@needs_v1
def test_v1_options_are_those_of_the_estimator_then_of_the_call():
    estimator = FastEstimator(options={"shots": 100, "seed": 1})
    assert vars(estimator.options) == {"shots": 100, "seed": 1}
    [first, second] = (estimator.run([CIRCUIT], [SUM], [ROW]).result() for _ in range(2))
    assert first.values.tolist() == second.values.tolist()
    assert first.metadata[0]["shots"] == 100
    estimator.set_options(shots=None)
    [exact] = FastEstimator().expectation_values(CIRCUIT, SUM, ROW)
    assert estimator.run([CIRCUIT], [SUM], [ROW]).result().values == pytest.approx(exact)
    assert estimator.run([CIRCUIT], [SUM], [ROW], shots=50).result().metadata[0]["shots"] == 50
    assert FastEstimator(exact=True).run([CIRCUIT], [SUM], [ROW], shots=50).result().values == pytest.approx(exact)


def test_options_need_v1():
    if compat.EstimatorResult is None:
        with pytest.raises(TypeError, match="options: Qiskit 2 has no V1 primitives; give default_precision and seed"):
            FastEstimator(options={"shots": 100})
    assert vars(FastEstimator().options) == {}


@needs_v2
def test_options_of_v1_in_a_v2_call_are_refused():
    with pytest.raises(TypeError, match=r"run: \['shots'\]: options of V1 calls only; PUBs take a precision"):
        FastEstimator().run([(CIRCUIT, "ZZ", ROW)], shots=10)


@needs_v2
@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("default_precision", [0.0, 0.25])
@pytest.mark.parametrize("exact", [None, True, False])
@pytest.mark.parametrize("asked", [None, 0.0, 0.5])
def test_whose_values_are_exact(exact, default_precision, seed, asked):
    """exact=None: noise only from an estimator that was given a precision or a seed, as QMLEstimator has it."""
    estimator = FastEstimator(exact=exact, default_precision=default_precision, seed=seed)
    [found] = estimator.run([(CIRCUIT, ["ZZ"] * 20, ROW)], precision=asked).result()
    wanted = default_precision if asked is None else asked
    noisy = wanted > 0 and (exact is False or (exact is None and (default_precision > 0 or seed is not None)))
    assert (np.std(found.data.evs) > 0.05 * wanted) == noisy or wanted == 0
    if not noisy:
        assert np.ptp(found.data.evs) == 0


@needs_v2
def test_hooks_of_v2_subclasses():
    counts = []
    for base in (compat.StatevectorEstimator, FastEstimator):
        estimator = counting(base)()
        result = estimator.run([(CIRCUIT, one, ROW) for one in ("ZZ", "XX")]).result()
        counts.append((estimator.runs, estimator.pubs, [float(one.data.evs) for one in result]))
    assert counts[0][:2] == counts[1][:2] == ([2], 2)
    assert counts[0][2] == pytest.approx(counts[1][2])


@needs_v1
@pytest.mark.filterwarnings("ignore")
def test_hooks_of_v1_subclasses():
    counts = []
    for base in (compat.Estimator, FastEstimator):
        estimator = counting(base)(options={"shots": None})
        values = estimator.run([CIRCUIT] * 2, [SUM] * 2, [ROW] * 2).result().values
        counts.append((estimator.runs, values.tolist()))
    assert counts[0][0] == counts[1][0] == [2]
    assert counts[0][1] == pytest.approx(counts[1][1])


@needs_v2
def test_a_result_that_a_subclass_makes_is_the_result():
    class Shifted(FastEstimator):
        def _run_pub(self, pub):
            result = super()._run_pub(pub)
            return compat.PubResult(compat.estimates(result.data.evs + 1, result.data.stds))

    [found] = Shifted().run([(EMPTY, "ZZ")]).result()
    assert found.data.evs == 2.0


@needs_v2
@pytest.mark.parametrize("num_qubits", [2, 15])
def test_jobs_of_every_size_are_jobs(num_qubits):
    """Small ones are done at once, large ones in a thread; errors of the work come from the result of both."""
    circuit = QuantumCircuit(num_qubits)
    circuit.h(0)
    job = FastEstimator().run([(circuit, "Z" * num_qubits)])
    assert job.result()[0].data.evs == pytest.approx(0.0)
    assert job.done()
    assert job.in_final_state()
    assert not job.running()
    circuit.measure_all()
    job = FastEstimator().run([(circuit, "Z" * num_qubits)])
    with pytest.raises(ValueError, match="'measure' on qubits"):
        job.result()
    assert not job.done()
