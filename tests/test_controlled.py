"""Rotations taken together as ones that act where controls say: against a dense simulator, and one against one."""

from functools import cache, reduce
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import CRYGate, HamiltonianGate, PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp, random_hermitian

from circuits_zoo import fixed_and_free, random_observables, reuploading
from conftest import NIGHTLY
from judgement import Judgement
from qiskit_torch_module import FastReverseEstimatorGradient, QuantumModule, _engine, compiler_passes, explain
from qiskit_torch_module._program.arrays import AngleTable, engine_arrays
from qiskit_torch_module._program.compile import compile_program
from qiskit_torch_module._program.controlled import sweeps, taken_together
from qiskit_torch_module._program.dense import ControlledRotation, VirtualQubits, step_arrays
from qiskit_torch_module._program.frame import Frame
from qiskit_torch_module._program.layers import Rotation, X, Y, Z
from qiskit_torch_module._reading.polynomials import Polynomial
from qiskit_torch_module._simulation.engines import NO_STATE, NO_WORDS, observable_arrays
from qiskit_torch_module.outputs import State
from reference import central_differences, opened_values, state

NUM_INPUTS, NUM_WEIGHTS = 2, 4

# Words of an excitation on four qubits and on two, and those of hopping: what is left of them once they are together.
DOUBLE = {"XXXY": 1, "XXYX": 1, "XYXX": -1, "YXXX": -1, "YYYX": -1, "YYXY": -1, "YXYY": 1, "XYYY": 1}
SINGLE = {"XY": 1, "YX": -1}
HOPPING = {"XX": 1, "YY": 1}


def rotate(circuit, word, angle, qubits, as_ladder):
    """A rotation of letters on qubits, Z in between: as an evolution, or as gates that end in one RZ."""
    between = [q for q in range(min(qubits), max(qubits)) if q not in qubits and as_ladder is not None]
    letters = dict(zip(qubits, word, strict=True)) | dict.fromkeys(between, "Z")
    on = sorted(letters)
    if not as_ladder:
        label = "".join(letters[q] for q in reversed(on))
        circuit.append(PauliEvolutionGate(SparsePauliOp(label), angle / 2), on)
        return
    for q in on:
        {"X": circuit.h, "Y": circuit.sx, "Z": circuit.id}[letters[q]](q)
    for pair in pairwise(on):
        circuit.cx(*pair)
    circuit.rz(angle, on[-1])
    for pair in reversed(list(pairwise(on))):
        circuit.cx(*pair)
    for q in on:
        {"X": circuit.h, "Y": circuit.sxdg, "Z": circuit.id}[letters[q]](q)


def chemistry(num_qubits, seed, length=9):
    """Excitations, some of them spoilt, rotations with controls, and what stands between them."""
    rng = np.random.default_rng(seed)
    x, w = ParameterVector("x", NUM_INPUTS), ParameterVector("w", NUM_WEIGHTS)
    angles = [w[0], x[0], w[1], x[1] * w[2], 0.7 * w[3] - 0.2, 0.4]
    circuit = QuantumCircuit(num_qubits)
    for number, parameter in enumerate((*x, *w)):
        circuit.ry(parameter, number % num_qubits)
    for _ in range(length):
        order = [int(q) for q in rng.permutation(num_qubits)]
        angle, kind = angles[rng.integers(len(angles))], rng.integers(7)
        words = {0: DOUBLE, 1: SINGLE, 2: HOPPING}.get(int(kind))
        if words is not None and num_qubits >= len(next(iter(words))):
            spoils, as_ladder = rng.random() < 0.25, [True, False, None][rng.integers(3)]
            for word in rng.permutation(list(words)):
                scale = words[word] * (rng.uniform(0.5, 2) if spoils else 0.5)
                rotate(circuit, str(word), scale * angle, order[: len(word)], as_ladder)
        elif kind == 3 and num_qubits > 1:
            [circuit.crx, circuit.cry, circuit.crz, circuit.cp][rng.integers(4)](angle, *order[:2])
        elif kind == 4 and num_qubits > 1:
            circuit.append(CRYGate(float(rng.uniform(-2, 2)), ctrl_state=int(rng.integers(2))), order[:2])
        elif kind == 5 and num_qubits > 1:
            [circuit.cx, circuit.cz, circuit.swap][rng.integers(3)](*order[:2])
        else:
            [circuit.rx, circuit.ry, circuit.rz][rng.integers(3)](angle, order[0])
    return circuit, x, w


@cache
def judged(num_qubits, seed):
    return Judgement(*chemistry(num_qubits, seed), seed, opened_values)


@pytest.mark.parametrize("seed", range(60) if NIGHTLY else range(3))
@pytest.mark.parametrize("num_qubits", [1, 2, 4, 6])
def test_values_and_gradients(num_qubits, seed, instruction_set, step_by_step, float64):
    judged(num_qubits, seed).assert_agrees()


@pytest.mark.parametrize("num_qubits", [9, 11])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_states_agree_with_layers(num_qubits, dtype, layout, step_by_step):
    circuit, x, w = chemistry(num_qubits, seed=7, length=24)
    observables = random_observables(num_qubits, 7)
    rows = torch.rand(5, NUM_INPUTS, dtype=dtype)
    results = []
    for fusion in (True, False):
        with compiler_passes(fusion=fusion):
            model = QuantumModule(circuit, x, w, observables=observables, seed_init=0).to(dtype)
        assert bool(explain(model).controls) == fusion
        inputs = rows.clone().requires_grad_()
        values = model(inputs)
        values.sin().sum().backward()
        results.append([values.detach(), inputs.grad, *(one.grad for one in model.parameters())])
    tolerance = 2e-4 if dtype is torch.float32 else 1e-11
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # torch.func.jvp of new versions
def test_derivatives_of_all_kinds(step_by_step, float64):
    circuit, x, w = chemistry(4, seed=3)
    observables = random_observables(4, 3)
    model = QuantumModule(circuit, x, w, observables=observables, seed_init=1)
    plain = QuantumModule(circuit, x, w, observables=observables, seed_init=1, method="pytorch")
    assert explain(model).controls
    rows, weights = torch.rand(2, NUM_INPUTS), next(model.parameters()).detach()

    def loss(module):
        return lambda at: torch.func.functional_call(module, {module.variational_names[0]: at}, (rows,)).square().sum()

    for derivative in (torch.func.jacrev, torch.func.jacfwd, torch.func.hessian):
        torch.testing.assert_close(derivative(loss(model))(weights), derivative(loss(plain))(weights))
    values = torch.cat([rows, weights.expand(2, -1)], dim=1).numpy()
    columns = {parameter: number for number, parameter in enumerate((*x, *w))}
    gradient = FastReverseEstimatorGradient()
    jacobian = gradient.jacobian(circuit, observables, values[:, [columns[one] for one in circuit.parameters]])
    with compiler_passes(fusion=False):
        expected = gradient.jacobian(circuit, observables, values[:, [columns[one] for one in circuit.parameters]])
    np.testing.assert_allclose(jacobian, expected, atol=1e-11)


@pytest.mark.parametrize("angle", [0.0, np.pi / 2, np.pi, 2 * np.pi])
def test_at_angles_where_nothing_or_all_moves(angle, instruction_set, step_by_step, float64):
    circuit, w = QuantumCircuit(5), ParameterVector("w", 2)
    circuit.x([0, 1])
    for word, sign in DOUBLE.items():
        rotate(circuit, word, sign * w[0] / 4, [4, 0, 2, 1], as_ladder=False)
    circuit.cry(w[1], 4, 3)
    observables = random_observables(5, 0)
    model = QuantumModule(circuit, None, w, observables=observables, variational_params_initial=[angle, angle])
    found = model()
    expected = opened_values(circuit, observables, list(w), np.full((1, 2), angle))[0]
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-13)
    found.sum().backward()
    slopes = central_differences(
        lambda at: opened_values(circuit, observables, list(w), at[None])[0], np.full(2, angle)
    )
    np.testing.assert_allclose(next(model.parameters()).grad.numpy(), [one.sum() for one in slopes], atol=1e-8)


def rotations(words, angle, frame=None):
    frame = frame or Frame(4)
    return [
        rotation for word, sign in words.items() for rotation in frame.rotations(word, range(len(word)), sign * angle)
    ]


ANGLE = Polynomial.variable(0)


@pytest.mark.parametrize(
    ("words", "controls", "axis", "scale"),
    [
        (DOUBLE, 3, Y, 8),
        (SINGLE, 1, Y, 2),
        (HOPPING, 1, X, 2),
        ({"Y": 1, "YZ": -1}, 1, Y, 2),
        ({"X": 1, "XZ": 1}, 1, X, 2),
    ],
)
def test_what_becomes_of_words(words, controls, axis, scale):
    (step,) = taken_together(rotations(words, ANGLE))[0]
    assert isinstance(step, ControlledRotation)
    assert (len(step.controls), step.rotation.axis) == (controls, axis)
    assert [abs(c) for _, c in step.rotation.angle.terms] == [scale]
    step.controls.require_sound(4)


def test_what_does_not_commute_stays_apart():
    for between in (Rotation(Y, 2, 2, ANGLE), Rotation(Z, 0, 1, ANGLE)):
        first, second = rotations(SINGLE, ANGLE)
        assert taken_together([first, between, second])[0] == [first, between, second]
    first, second = rotations(SINGLE, ANGLE)
    other = Rotation(Y, 4, 4, ANGLE)
    assert len(taken_together([first, other, second])[0]) == 2
    unlike = [first, Rotation(Y, first.x, second.z, Polynomial.variable(1))]
    assert len(taken_together(unlike)[0]) == 2
    assert sweeps(taken_together(unlike)[0]) == 1.0


@pytest.mark.parametrize("constant", [np.pi / 2, -np.pi, 7 * np.pi / 2, np.pi / 2 + 1e-12, 1e6 * np.pi / 2, 0.3])
def test_constants_keep_their_digits(constant):
    steps = [
        Rotation(Y, 1, 1, Polynomial.constant(constant)),
        Rotation(Y, 3, 1, ANGLE + Polynomial.constant(constant)),
        Rotation(Z, 0, 2, Polynomial.constant(-constant)),
        Rotation(X, 2, 2, ANGLE),
    ]
    found, expected = (
        reduce(lambda matrix, step: matrix_of(step, 2, [0.4]) @ matrix, many, np.eye(4))
        for many in (taken_together(steps)[0], steps)
    )
    phase = np.vdot(expected, found) / 4
    np.testing.assert_allclose(abs(phase), 1.0, atol=1e-13)
    np.testing.assert_allclose(found, phase * expected, atol=1e-13)


def test_what_cancels_is_gone():
    steps = [*rotations(DOUBLE, ANGLE), *rotations(DOUBLE, -ANGLE)]
    assert taken_together(steps)[0] == []


PAULIS = [np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1.0, -1.0])]


def matrix_of(step, num_qubits, value):
    """exp(-i angle/2 P), where the controls are in |0>."""
    rotation = step.rotation if isinstance(step, ControlledRotation) else step
    size = 1 << num_qubits
    index = np.arange(size)
    parity = np.array([(rotation.z & i).bit_count() & 1 for i in range(size)])
    word = np.zeros((size, size), dtype=complex)
    word[index ^ rotation.x, index] = {X: 1, Y: 1j, Z: 1}[rotation.axis] * (1 if rotation.axis == X else (-1) ** parity)
    active = np.ones(size, dtype=bool)
    if isinstance(step, ControlledRotation):
        for sign, negative in zip(step.controls.signs, step.controls.negatives, strict=True):
            active &= np.array([((sign & i).bit_count() & 1) == negative for i in range(size)])
    angle = sum(c * np.prod([value[v] for v in variables]) for variables, c in rotation.angle.terms)
    turned = np.cos(angle / 2) * np.eye(size) - 1j * np.sin(angle / 2) * word
    return np.where(active[None, :] | active[:, None], turned, np.eye(size))


@given(
    words=st.lists(st.tuples(st.sampled_from(["".join(one) for one in product("IXYZ", repeat=3)][1:]), st.integers(0, 2), st.sampled_from([1.0, -1.0, 0.5])), max_size=10),
    relabelled=st.lists(st.permutations(range(3)), max_size=2),
)  # fmt: skip
def test_the_same_unitary(words, relabelled):
    frame = Frame(3)
    for order in relabelled:
        frame.relabel("cx", order[:2])
    steps = []
    for word, variable, scale in words:
        letters = [(letter, qubit) for qubit, letter in enumerate(word) if letter != "I"]
        steps += frame.rotations(
            "".join(letter for letter, _ in letters), [q for _, q in letters], scale * Polynomial.variable(variable)
        )
    value = [0.3, -1.1, 2.0]
    found, expected = (
        reduce(lambda matrix, step: matrix_of(step, 3, value) @ matrix, many, np.eye(8))
        for many in (taken_together(steps)[0], steps)
    )
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert len(taken_together(steps)[0]) <= len(steps)


def test_said_by_explain():
    circuit, w = QuantumCircuit(6), ParameterVector("w", 3)
    circuit.x([0, 1])
    for number, qubits in enumerate(([2, 3, 0, 1], [4, 5, 0, 1], [2, 5, 0, 1])):
        for word, sign in DOUBLE.items():
            rotate(circuit, word, sign * w[number] / 4, qubits, as_ladder=True)
    with compiler_passes(symmetry_reduction=False):
        found = explain(circuit, observables="tensoredZ")
    assert found.controls == (3, 3, 3)
    assert found.swept == 7 / 256  # the first ones touch what is reached from |0...0>
    assert "rotations as 3 that act where controls say" in str(found)
    assert "passes over the state" in str(found)
    for case in (reuploading(4, 2), fixed_and_free(4, 1)):
        assert not explain(case.circuit, case.encoding).controls


def test_threads_share_a_state_step_by_step():
    n, w = 17, ParameterVector("w", 16)
    circuit = QuantumCircuit(n)
    circuit.x(range(0, n, 2))
    for qubit in range(n - 1):
        for word, sign in SINGLE.items():
            rotate(circuit, word, sign * w[qubit], [qubit, qubit + 1], as_ladder=False)
    model = QuantumModule(circuit, None, w, observables=["Z" * n, "X" * n], seed_init=0)
    alone = explain(model, num_threads=1)
    assert alone.schedule["by_steps"]
    assert alone.controls
    assert not alone.schedule["is_team"]
    shared = explain(model, num_threads=8)
    assert shared.schedule["by_steps"]
    assert shared.schedule["is_team"]
    assert shared.controls == alone.controls
    results = []
    for threads in (1, 2, 8):
        model.set_num_threads_forward(threads)
        model.set_num_threads_backward(threads)
        model.zero_grad()
        values = model()
        values.sum().backward()
        results.append([values.detach(), *(one.grad.clone() for one in model.parameters())])
    for found, expected in zip(results[1] + results[2], 2 * results[0], strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("derivative", ["real", "imag"])
def test_a_team_of_three_cuts_the_bra_alike(derivative):
    """Terms by a transform and terms by themselves, and what turns the bra: threads do not meet in between."""
    n, w, rng = 14, ParameterVector("w", 28), np.random.default_rng(0)
    circuit = QuantumCircuit(n)
    for qubit in range(n):
        circuit.ry(w[qubit], qubit)
    for qubit in range(n - 1):
        circuit.cx(qubit, qubit + 1)
    for qubit in range(n):
        circuit.rx(w[n + qubit], qubit)
    labels = [
        "".join(rng.choice(list(letters), n)) for letters, count in (("IZ", 16), ("IXYZ", 20)) for _ in range(count)
    ]
    observable = SparsePauliOp(labels, rng.normal(size=len(labels)))
    torch.use_deterministic_algorithms(True)  # as many threads as are asked for
    try:
        values = rng.uniform(-1, 1, (1, circuit.num_parameters))
        alone, *shared = (
            FastReverseEstimatorGradient(num_threads=threads, derivative_type=derivative)
            .run([circuit], [observable], values)
            .result()
            .gradients[0]
            for threads in (1, *[3] * 25)
        )
    finally:
        torch.use_deterministic_algorithms(False)
    for gradient in shared:
        np.testing.assert_allclose(gradient, alone, atol=1e-10)


def test_imaginary_derivatives_see_phases_once(step_by_step, float64):
    circuit, w = QuantumCircuit(6), ParameterVector("w", 3)
    circuit.x([0, 1])
    circuit.rz(w[2], 0)  # a phase on |0>, and on |1>
    for number, qubits in enumerate(([2, 3, 0, 1], [4, 5, 0, 1])):
        for word, sign in DOUBLE.items():
            rotate(circuit, word, sign * w[number] / 4, qubits, as_ladder=False)
    observable = SparsePauliOp(["ZIIIII", "XXIIII", "IIIIII"], [0.3, 0.5, 0.7])
    assert explain(circuit, observables=[observable]).controls
    at, opened = np.array([0.3, 0.5, 0.7]), circuit.decompose(["PauliEvolution"])

    def of(values):
        return state(opened.assign_parameters(dict(zip(w, values, strict=True))))

    slopes = [(of(at + step) - of(at - step)) / 2e-5 for step in 1e-5 * np.eye(3)]
    expected = [2 * np.vdot(of(at), observable.to_matrix() @ slope).imag for slope in slopes]
    found = FastReverseEstimatorGradient(derivative_type="imag").run([circuit], [observable], at[None]).result()
    np.testing.assert_allclose(found.gradients[0], expected, atol=1e-8)


def test_states_of_circuits_with_matrices_keep_their_phases(float64):
    circuit, w = QuantumCircuit(5), ParameterVector("w", 1)
    circuit.ry(w[0], 0)
    circuit.append(HamiltonianGate(random_hermitian(32, seed=1), 0.3), range(5))
    circuit.rz(2 * np.pi, 0)
    circuit.rx(np.pi, 2)
    model = QuantumModule(circuit, None, w, observables=State(), variational_params_initial=[0.4])
    expected = state(circuit.assign_parameters({w[0]: 0.4}))
    np.testing.assert_allclose(model().detach().numpy(), expected, atol=1e-12)


def test_beside_matrices(step_by_step, float64):
    circuit, x, w = chemistry(6, seed=5)
    again = circuit.copy()
    circuit.append(HamiltonianGate(random_hermitian(32, seed=1), 0.3), range(5))
    circuit.compose(again, range(5, -1, -1), inplace=True)
    observables, rows = random_observables(6, 5), np.random.default_rng(0).uniform(-1, 1, (2, NUM_INPUTS))
    model = QuantumModule(circuit, x, w, observables=observables, seed_init=0)
    assert explain(model).controls
    assert explain(model).dense_qubits
    values = np.hstack([rows, np.tile(next(model.parameters()).detach().numpy(), (2, 1))])
    expected = opened_values(circuit, observables, [*x, *w], values)
    np.testing.assert_allclose(model(torch.tensor(rows)).detach().numpy(), expected, atol=1e-12)


def test_arrays_that_contradict_each_other_are_refused_not_read():
    angles = AngleTable()
    output = compile_program(QuantumCircuit(4), ["ZZZZ"], [], []).output
    controls = VirtualQubits((4, 8), (4, 8), (False, True))

    def engine(step, **changes):
        table = AngleTable()
        steps = {**step_arrays([step], table), **changes}
        arrays = {**engine_arrays([]), **observable_arrays(output), **table.arrays(), **NO_STATE, **NO_WORDS}
        return _engine.Engine(4, 0, 0, arrays, steps=steps)

    right = ControlledRotation(Rotation(Y, 1, 1, Polynomial.constant(1.0)), controls)
    engine(right)
    wrong = [
        ControlledRotation(Rotation(Z, 0, 1, Polynomial.constant(1.0)), controls),
        ControlledRotation(Rotation(X, 5, 1, Polynomial.constant(1.0)), controls),
        ControlledRotation(right.rotation, VirtualQubits((4, 4), (4, 4), (False, False))),
        ControlledRotation(right.rotation, VirtualQubits((2, 4, 8, 16), (2, 4, 8, 16), (False,) * 4)),
    ]
    for step in wrong:
        with pytest.raises(ValueError, match="inconsistent program"):
            engine(step)
    assert not angles.rows


def test_states_are_read_with_their_phases(step_by_step, float64):
    circuit, x, w = chemistry(4, seed=2)
    model = QuantumModule(circuit, x, w, observables=State(), seed_init=0)
    rows = torch.rand(1, NUM_INPUTS)
    bound = dict(zip((*x, *w), [*rows[0].tolist(), *next(model.parameters()).tolist()], strict=True))
    expected = state(circuit.decompose(["PauliEvolution"]).assign_parameters(bound))
    np.testing.assert_allclose(model(rows)[0].detach().numpy(), expected, atol=1e-12)
