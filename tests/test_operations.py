"""What an operation is: its class, definition or matrix decide, never its name; and what acts on |0> as nothing."""

import itertools

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Instruction, Parameter, ParameterVector
from qiskit.circuit.library import Barrier, PauliEvolutionGate, RXGate, RXXGate, RYGate, U3Gate, XGate
from qiskit.quantum_info import Kraus, Operator, SparsePauliOp, Statevector, random_unitary
from torch.func import functional_call

import reference
from circuits_zoo import random_observables
from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient, QuantumModule, explain, load, save
from qiskit_torch_module._reading import compat
from qiskit_torch_module._reading.compat import AnnotatedOperation, ControlModifier, InverseModifier, PowerModifier
from qiskit_torch_module._reading.gates import GATES

T = Parameter("t")

# Qiskit itself looks at the duration of what is called a delay, which warns in some versions.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# Every name that Qiskit or this package gives to something special.
NAMES = [
    *GATES,
    *("barrier", "delay", "measure", "reset", "initialize", "state_preparation", "unitary", "diagonal", "hamiltonian"),
    *("box", "if_else", "for_loop", "while_loop", "switch_case", "break_loop", "continue_loop", "snapshot"),
    *("PauliEvolution", "ParameterizedInitialize", "annotated", "clifford", "kraus", "phase", "circuits", "matrix"),
]


def prepared(num_qubits):
    """A state without symmetry."""
    circuit = QuantumCircuit(num_qubits)
    for q in range(num_qubits):
        circuit.u(0.3 + q, 1.1 * q - 0.2, 0.7, q)
    for q in range(num_qubits - 1):
        circuit.cx(q, q + 1)
    return circuit


def judged(circuit, observables, at):
    bound = circuit.assign_parameters(dict(zip(circuit.parameters, at, strict=True)))
    psi = Statevector(bound)
    return np.array([psi.expectation_value(one).real for one in observables])


def check(circuit, judge=None, at=0.37, atol=1e-9):
    """Values and gradients against Qiskit's simulator, of another circuit where it cannot take this one."""
    observables = random_observables(circuit.num_qubits, 3)[:3]
    judge = circuit if judge is None else judge
    point = np.full(len(circuit.parameters), at)
    row = [point] if len(point) else None
    expected = judged(judge, observables, point)
    np.testing.assert_allclose(FastEstimator().expectation_values(circuit, observables, row), [expected], atol=atol)
    if len(point):
        jacobian = FastReverseEstimatorGradient().jacobian(circuit, observables, row)[0]
        slopes = reference.central_differences(lambda at: judged(judge, observables, at), point)
        np.testing.assert_allclose(jacobian, slopes.T, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [Gate, Instruction])
def test_an_own_gate_may_have_any_name(name, kind):
    inner = QuantumCircuit(2, global_phase=0.3)
    inner.ry(0.4, 0)
    inner.cx(0, 1)
    circuit = prepared(3)
    for qubits in ([0, 2], [2, 1]):
        own = kind(name, 2, 0, []) if kind is Instruction else kind(name, 2, [])
        own.definition = inner
        circuit.append(own, qubits)
    plain = prepared(3)
    plain.compose(inner, [0, 2], inplace=True)
    plain.compose(inner, [2, 1], inplace=True)
    check(circuit, plain)


class OnlyMatrix(Gate):
    def __init__(self, name="mine", num_qubits=2):
        super().__init__(name, num_qubits, [])

    def __array__(self, dtype=None, copy=None):
        return np.asarray(random_unitary(2**self.num_qubits, seed=2).data, dtype=dtype)


class OwnMatrixMethod(Gate):
    def __init__(self):
        super().__init__("method", 1, [])

    def to_matrix(self):
        return np.asarray(random_unitary(2, seed=3).data)


class Both(OnlyMatrix):
    def _define(self):
        self.definition = QuantumCircuit(self.num_qubits)  # what Qiskit's simulators do not look at
        self.definition.h(0)


@pytest.mark.parametrize(
    ("gate", "qubits"),
    [
        (OnlyMatrix(), [2, 0]),
        (OnlyMatrix("delay"), [0, 1]),
        (OnlyMatrix("rx", 1), [1]),
        (OnlyMatrix("reset", 3), [1, 0, 2]),
        (OwnMatrixMethod(), [2]),
        (Both(), [1, 2]),
    ],
)
def test_gates_that_are_only_a_matrix(gate, qubits):
    circuit = prepared(3)
    circuit.append(gate, qubits)
    circuit.ry(T, qubits[0])
    check(circuit)
    inner = QuantumCircuit(gate.num_qubits, name="outer")
    inner.append(gate, range(gate.num_qubits))
    nested = prepared(3)
    nested.append(inner.to_instruction(), qubits)
    check(nested)


def test_a_matrix_that_is_not_unitary_is_refused():
    class Wrong(OnlyMatrix):
        def __array__(self, dtype=None, copy=None):
            return np.ones((4, 4), dtype=dtype)

    circuit = QuantumCircuit(2)
    circuit.append(Wrong(), [0, 1])
    with pytest.raises(ValueError, match=r"circuit: 'mine' on qubits \[0, 1\]: expected a unitary matrix"):
        QuantumModule(circuit, None, None)


S = Parameter("s")


def composite(angles):
    """Phases, gates without parameters, a product formula, and an operation that is annotated itself."""
    t, s = angles
    circuit = QuantumCircuit(2, global_phase=0.3 * t + 0.2)
    circuit.h(0)
    circuit.rz(t, 0)
    circuit.cx(0, 1)
    circuit.swap(0, 1)
    circuit.u(s, 2 * t, 0.3, 1)
    circuit.append(PauliEvolutionGate(SparsePauliOp(["XX", "ZI"], [0.3, 0.5]), s), [0, 1])
    circuit.append(AnnotatedOperation(RXXGate(t), [InverseModifier()]), [0, 1])
    return circuit.to_gate()


def modifier(name):
    """The inverse, a power, or controls in a state."""
    if name == "inverse":
        return InverseModifier()
    return PowerModifier(int(name[2:])) if name.startswith("**") else ControlModifier(len(name), int(name, 2))


BASES = {
    "rotation": lambda angles: RXGate(angles[0]),
    "phase": lambda angles: U3Gate(*angles, 0.2),
    "word": lambda angles: RXXGate(angles[0]),
    "composite": composite,
}


@pytest.mark.filterwarnings("ignore")  # Qiskit 1.3 warns of its own controls
@pytest.mark.skipif(not hasattr(AnnotatedOperation, "params"), reason="Qiskit loses parameters under annotations")
@pytest.mark.parametrize(
    "modifiers", [["01"], ["1001"], ["inverse", "10"], ["01", "inverse", "**2", "0"], ["inverse"], ["**0", "11"]]
)
@pytest.mark.parametrize("base", BASES)
def test_annotated_operations_with_parameters(base, modifiers):
    operation = AnnotatedOperation(BASES[base]((T, S)), [*map(modifier, modifiers)])
    size = operation.num_qubits
    circuit = prepared(size)
    circuit.append(operation, range(size))
    after = prepared(size)
    observables = random_observables(size, 3)[:1]

    def judge(at):
        matrix = Operator(BASES[base](tuple(at)).definition.decompose(reps=2)).data
        for one in operation.modifiers:
            if isinstance(one, ControlModifier):
                inner, rows = matrix, one.ctrl_state + (np.arange(len(matrix)) << one.num_ctrl_qubits)
                matrix = np.eye(len(inner) << one.num_ctrl_qubits, dtype=complex)
                matrix[np.ix_(rows, rows)] = inner
            else:
                power = one.power if isinstance(one, PowerModifier) else -1
                matrix = np.linalg.matrix_power(matrix, power)
        psi = Statevector(matrix @ Statevector(prepared(size)).data).evolve(after)
        return np.array([psi.expectation_value(one).real for one in observables])

    circuit.compose(after, inplace=True)
    own = [one for one in (T, S) if one in circuit.parameters]
    point = np.array([0.37, -0.81])
    model = QuantumModule(circuit, None, own, variational_params_initial=point[: len(own)], observables=observables)
    model = model.double()
    np.testing.assert_allclose(model().detach(), judge(point), atol=1e-10)
    weights = model.variational_[0].detach().clone().requires_grad_()

    def values(at):
        return functional_call(model, {model.variational_names[0]: at}, ())

    jacobian = torch.autograd.functional.jacobian(values, weights)
    slopes = reference.central_differences(judge, point)[: len(own)]
    np.testing.assert_allclose(jacobian.T, slopes, atol=1e-7)
    if size < 5:  # larger ones take their time
        assert torch.autograd.gradgradcheck(values, weights)


def test_a_renamed_gate_of_the_library_stays_what_it_is():
    for gate, name in ((XGate(), "y"), (RXGate(0.3), "ry"), (RYGate(T), "barrier")):
        renamed = gate.to_mutable() if hasattr(gate, "to_mutable") else gate.copy()
        renamed.name = name
        circuit, plain = prepared(2), prepared(2)
        circuit.append(renamed, [1])
        plain.append(gate, [1])
        check(circuit, plain)


def inside(circuit, qubits=None):
    """The same within an instruction within an instruction."""
    outer = QuantumCircuit(circuit.num_qubits)
    outer.append(circuit.to_instruction(), range(circuit.num_qubits))
    whole = QuantumCircuit(circuit.num_qubits)
    whole.append(outer.to_instruction(), range(circuit.num_qubits))
    return whole


def trivial_at_zero():
    """Everything here leaves qubits 0 and 1 of |000> as they are."""
    circuit = QuantumCircuit(3)
    circuit.id(0)
    circuit.barrier()
    circuit.rz(0.4, 0)
    circuit.p(T, 1)
    circuit.cz(0, 1)
    circuit.rzz(T, 0, 1)
    circuit.cx(0, 1)
    circuit.swap(0, 1)
    circuit.reset(1)
    circuit.ry(0.3, 2)
    circuit.rzz(0.2, 2, 0)
    circuit.swap(2, 1)  # which are 0 and 2 now
    circuit.swap(2, 1)
    return circuit


@pytest.mark.parametrize("nest", [lambda circuit: circuit, inside], ids=["plain", "nested"])
@pytest.mark.parametrize("what", ["reset", "initialize", "label", "integer"])
def test_resets_of_qubits_in_zero(nest, what):
    actions = {
        "reset": lambda c: c.reset(0),
        "initialize": lambda c: c.initialize([0.6, 0.8j], 0),
        "label": lambda c: c.initialize("-1", [0, 1]),
        "integer": lambda c: c.initialize(2, [0, 1]),
    }
    circuit = trivial_at_zero()
    actions[what](circuit)
    circuit = nest(circuit)
    circuit.u(T, 0.2, 0.3, 0)
    circuit.cx(0, 1)
    circuit.cx(0, 2)
    check(circuit)  # Qiskit's simulator draws resets, which are certain here


@pytest.mark.parametrize(
    ("name", "action"), [("reset", lambda c: c.reset(0)), ("initialize", lambda c: c.initialize([0.6, 0.8], 0))]
)
@pytest.mark.parametrize("nest", [lambda circuit: circuit, inside], ids=["plain", "nested"])
def test_resets_elsewhere_go_to_qiskit(name, action, nest):
    circuit = QuantumCircuit(2)
    circuit.x(0)
    action(circuit)
    circuit = nest(circuit)
    circuit.ry(T, 1)
    with pytest.raises(ValueError, match=rf"'{name}' on qubits \[0\] resets qubits"):
        FastEstimator().expectation_values(circuit, "ZZ", [0.3])
    if compat.StatevectorEstimator is not None:
        expected = compat.StatevectorEstimator(seed=1).run([(circuit, "ZZ", [0.3])]).result()[0].data.evs
        found = FastEstimator(seed=1).run([(circuit, "ZZ", [0.3])]).result()[0].data.evs
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_idle_qubits_are_not_simulated():
    small, large = QuantumCircuit(4), QuantumCircuit(127)
    places = [90, 3, 64, 126]
    angles = ParameterVector("a", 4)
    for circuit, on in ((small, range(4)), (large, places)):
        for angle, q in zip(angles, on, strict=True):
            circuit.ry(angle, q)
        for first, second in itertools.pairwise(on):
            circuit.cx(first, second)
    large.barrier()
    large.id(range(50))
    large.rz(0.3, 5)
    large.swap(3, 7)  # where qubit 7 takes over
    places[1] = 7
    for label in ("ZXYI", "ZZZZ", "XIXI"):
        padded = SparsePauliOp.from_sparse_list([(label[::-1], places, 1.0)], num_qubits=127)
        values = np.linspace(-1, 1, 4)
        expected = FastEstimator().expectation_values(small, label, [values])
        np.testing.assert_allclose(FastEstimator().expectation_values(large, padded, [values]), expected, atol=1e-12)
    elsewhere = [
        SparsePauliOp.from_sparse_list([(letters, [100, 3], 2.0)], num_qubits=127) for letters in ("ZZ", "XI", "ZY")
    ]
    np.testing.assert_allclose(FastEstimator().expectation_values(large, elsewhere, [values]), [[2.0, 0.0, 0.0]])
    model = QuantumModule(large, angles, None)
    assert model(torch.zeros(2, 4)).tolist() == [[1.0] * 127] * 2
    assert model.circuit.num_qubits == 127
    found = explain(model)
    assert (found.num_qubits, found.num_simulated_qubits) == (127, 4)
    assert "127 qubits (123 idle, not simulated)" in str(found)


# What each letter is in |0>.
LETTERS = {"I": 1.0, "Z": 1.0, "X": 0.0, "Y": 0.0, "0": 1.0, "1": 0.0, "+": 0.5, "-": 0.5, "r": 0.5, "l": 0.5}


@pytest.mark.skipif(compat.SparseObservable is None, reason="no projectors before Qiskit 1.3")
@pytest.mark.parametrize("kind", ["mapping", "sparse", "list", "pub"])
@pytest.mark.parametrize("letter", LETTERS)
def test_observables_on_idle_qubits_of_a_device(letter, kind, tmp_path):
    """All of them, of every kind: what they are in |0>, whatever acts on the busy ones."""
    places, angle = [90, 3, 64, 126], 0.3
    small, large = QuantumCircuit(4), QuantumCircuit(127)
    for circuit, on in ((small, range(4)), (large, places)):
        for first, second in itertools.pairwise(on):
            circuit.ry((first + 1) * T if circuit is small else (places.index(first) + 1) * T, first)
            circuit.cx(first, second)
    large.id(4)
    large.rz(0.3, 5)
    factor = LETTERS[letter] ** 123
    for busy in ("1010", "Z0X+", "IIII", letter * 4):
        label = [letter] * 127
        for place, one in zip(places, busy, strict=True):
            label[126 - place] = one
        label, alone = "".join(label), {busy[::-1]: 2.0}
        observable = {label: 2.0}
        if kind == "sparse":
            observable = compat.SparseObservable.from_list([(label, 2.0)])
        if kind == "list":
            observable = [{label: 2.0}]
        estimator = FastEstimator()
        [[expected]] = estimator.expectation_values(small, [alone], [[angle]])
        if kind == "pub":
            found = estimator.run([(large, {label: 2.0}, [angle])]).result()[0].data.evs
        else:
            [[found]] = estimator.expectation_values(large, observable, [[angle]])
        assert found == pytest.approx(factor * expected, rel=1e-12, abs=1e-14 * factor)
    model = QuantumModule(large, None, [T], observables=observable if kind != "list" else observable[0])
    save(model, tmp_path / "model.qtm")
    torch.testing.assert_close(load(tmp_path / "model.qtm")(), model())


def test_a_circuit_that_does_nothing():
    assert QuantumModule(QuantumCircuit(40), None, None)().tolist() == [1.0] * 40
    assert QuantumModule(QuantumCircuit(2), None, None, observables=["XZ", "ZI", "IY"])().tolist() == [0.0, 1.0, 0.0]


def boxed():
    circuit = prepared(3)
    with circuit.box():
        circuit.cx(0, 2)
        circuit.ry(T, 2)
        with circuit.box():
            circuit.rx(2 * T, 0)
    return circuit


def looped(values):
    circuit = prepared(3)
    with circuit.for_loop(values) as index:
        circuit.rx(0.1 * index + T, 0)
        circuit.cx(0, 1)
        with circuit.for_loop(range(2)):
            circuit.ry(T, 2)
    return circuit


def unrolled(values):
    circuit = prepared(3)
    for value in values:
        circuit.rx(0.1 * value + T, 0)
        circuit.cx(0, 1)
        circuit.ry(T, 2)
        circuit.ry(T, 2)
    return circuit


@pytest.mark.skipif(not hasattr(QuantumCircuit, "box"), reason="Qiskit has no boxes yet")
def test_boxes_are_inlined():
    plain = prepared(3)
    plain.cx(0, 2)
    plain.ry(T, 2)
    plain.rx(2 * T, 0)
    check(boxed(), plain)


@pytest.mark.parametrize("values", [range(3), range(4, 0, -2), [2, 5, 5], range(0)])
def test_fixed_loops_are_unrolled(values):
    circuit, plain = looped(values), unrolled(values)
    for one in (circuit, plain):
        one.rz(T, 0)
    # By the module, whose parameters are listed: some versions of Qiskit count that of the loop to those of the circuit.
    found, expected = (
        QuantumModule(one, None, [T], variational_params_initial=[[0.3]], observables=["ZXY", "IZZ"]).double()
        for one in (circuit, plain)
    )
    np.testing.assert_allclose(found().detach(), expected().detach(), atol=1e-12)
    np.testing.assert_allclose(
        *(torch.autograd.grad(one().sum(), one.variational_[0])[0] for one in (found, expected)), atol=1e-12
    )


def with_break():
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(3)):
        circuit.x(0)
        circuit.break_loop()
    return circuit


def with_while():
    circuit = QuantumCircuit(1, 1)
    with circuit.while_loop((circuit.clbits[0], 0)):
        circuit.x(0)
    return circuit


def with_switch():
    circuit = QuantumCircuit(1, 1)
    with circuit.switch(circuit.clbits[0]) as case, case(0):
        circuit.x(0)
    return circuit


def noisy():
    circuit = QuantumCircuit(1)
    flip = np.array([[0, 1], [1, 0]])
    circuit.append(Kraus([np.eye(2) * 0.9**0.5, flip * 0.1**0.5]).to_instruction(), [0])
    return circuit


def raising():
    class Broken(Gate):
        def _define(self):
            raise RuntimeError("no luck")

    circuit = QuantumCircuit(2)
    circuit.append(Broken("broken", 2, []), [1, 0])
    return circuit


def annotated():
    annotated = pytest.importorskip("qiskit.circuit.annotated_operation")
    inner = QuantumCircuit(1)
    inner.reset(0)
    circuit = QuantumCircuit(1)
    circuit.h(0)
    circuit.append(annotated.AnnotatedOperation(inner.to_instruction(), annotated.InverseModifier()), [0])
    return circuit


def endless():
    circuit = QuantumCircuit(1)
    with circuit.for_loop(range(10**9)):
        circuit.x(0)
    return circuit


def doubled(levels):
    circuit = QuantumCircuit(1)
    circuit.rx(0.1, 0)
    for _ in range(levels):
        gate = Gate("twice", 1, [])
        gate.definition = circuit
        circuit = QuantumCircuit(1)
        circuit.append(gate, [0])
        circuit.append(gate, [0])
    return circuit


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (with_break, "'break_loop' on qubits [0]: classical control"),
        (with_while, "'while_loop' on qubits [0]: classical control"),
        (with_switch, "'switch_case' on qubits [0]: classical control"),
        (noisy, "'kraus' on qubits [0] is not a unitary gate (a noise channel"),
        (raising, "'broken' on qubits [1, 0]: Qiskit cannot say what it is made of (RuntimeError: no luck)"),
        (annotated, "'annotated' on qubits [0]: Qiskit cannot say what it is made of"),
        (endless, "expected at most 2000000 operations"),
        (lambda: doubled(40), "expected at most 2000000 operations"),
    ],
)
def test_refused_by_name(build, message):
    with pytest.raises(ValueError, match="^circuit: ") as error:
        QuantumModule(build(), None, None)
    assert message in str(error.value)


@pytest.mark.parametrize("levels", [3, 1000])
def test_gates_nested_deep(levels):
    plain = QuantumCircuit(1)
    plain.ry(0.3, 0)
    nested = plain
    for _ in range(levels):
        gate = Gate("inner", 1, [])
        gate.definition = nested
        nested = QuantumCircuit(1)
        nested.append(gate, [0])
    np.testing.assert_allclose(FastEstimator().expectation_values(nested, "Z"), [[np.cos(0.3)]], atol=1e-12)
    np.testing.assert_allclose(QuantumModule(nested, None, None)().item(), np.cos(0.3), atol=1e-6)


def test_repeated_definitions_are_read_once():
    np.testing.assert_allclose(FastEstimator().expectation_values(doubled(10), "Z"), [[np.cos(0.1 * 1024)]], atol=1e-10)


def test_equal_content_of_other_objects_is_found_again():
    def build(angle):
        inner = QuantumCircuit(1, name="inner")
        inner.ry(angle, 0)
        circuit = QuantumCircuit(2)
        circuit.append(inner.to_instruction(), [1])
        circuit.append(Barrier(2), [0, 1])
        return circuit

    first, second, third = (QuantumModule(build(angle), None, None) for angle in (0.3, 0.3, 0.4))
    assert first._program is second._program
    assert first._program is not third._program


@pytest.mark.filterwarnings("ignore")  # Gate.control changes its default
def test_large_matrices_with_other_controls_are_not_taken_for_each_other():
    gate = compat.UnitaryGate(random_unitary(16, seed=5))
    circuits = [prepared(6) for _ in range(3)]
    for state, circuit in enumerate(circuits):
        circuit.append(gate.control(2, ctrl_state=state), range(6)) if state else circuit.append(gate, range(4))
        FastEstimator().expectation_values(circuit, "ZZXYZZ")
        check(circuit)
