"""Matrices and diagonals of many qubits, which are applied as they are: against a dense simulator."""

import base64
import json
import pickle
import time
from collections import OrderedDict
from functools import cache

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import StatePreparation
from qiskit.quantum_info import SparsePauliOp, Statevector, random_hermitian, random_unitary

from conftest import NIGHTLY
from judgement import Judgement
from qiskit_torch_module import FastReverseEstimatorGradient, QuantumModule, _engine, explain
from qiskit_torch_module._program import cache as _cache
from qiskit_torch_module._program.amplitudes import NO_STATE
from qiskit_torch_module._program.arrays import AngleTable, engine_arrays
from qiskit_torch_module._program.cache import cached_program
from qiskit_torch_module._program.compile import compile_program
from qiskit_torch_module._program.dense import step_arrays
from qiskit_torch_module._program.layers import Rotation, Y, layers_of
from qiskit_torch_module._reading.compat import DiagonalGate, HamiltonianGate, Initialize, Isometry, UnitaryGate
from qiskit_torch_module._reading.polynomials import Polynomial
from qiskit_torch_module._simulation import pytorch
from qiskit_torch_module._simulation.columns import with_derived_columns
from qiskit_torch_module._simulation.engines import NO_WORDS, engine_of, observable_arrays
from qiskit_torch_module._storage.portable import from_text, to_text
from reference import batch_values, central_differences, state

NUM_INPUTS, NUM_WEIGHTS = 2, 3


def mixed_circuit(num_qubits, seed, length=14):
    """Rotations of inputs and weights, gates that relabel, and matrices on random qubits in random order."""
    rng = np.random.default_rng(seed)
    x, w = ParameterVector("x", NUM_INPUTS), ParameterVector("w", NUM_WEIGHTS)
    angles = [x[0], x[1], w[0], w[1], w[2], x[0] * w[1], 0.7, 2 * w[2] + 0.3]
    circuit = QuantumCircuit(num_qubits)
    for parameter in (*x, *w):
        circuit.ry(parameter, int(rng.integers(num_qubits)))
    for _ in range(length):
        order = [int(qubit) for qubit in rng.permutation(num_qubits)]
        angle = angles[rng.integers(len(angles))]
        size = int(rng.integers(1, num_qubits + 1))
        kind = rng.integers(8)
        if kind == 0 and num_qubits > 1:
            circuit.cx(*order[:2])
        elif kind == 1 and num_qubits > 1:
            circuit.swap(*order[:2])
        elif kind == 2:
            circuit.x(order[0])
        elif kind == 3:
            [circuit.rx, circuit.ry, circuit.rz][rng.integers(3)](angle, order[0])
        elif kind == 4 and num_qubits > 1:
            [circuit.rxx, circuit.ryy, circuit.rzz, circuit.rzx][rng.integers(4)](angle, *order[:2])
        elif kind == 5:
            hamiltonian = random_hermitian(2**size, seed=int(rng.integers(1000)))
            circuit.append(HamiltonianGate(hamiltonian, angle), order[:size])
        elif kind == 6:
            circuit.append(DiagonalGate(list(np.exp(1j * rng.uniform(-3, 3, 2**size)))), order[:size])
        else:
            circuit.append(UnitaryGate(random_unitary(2**size, seed=int(rng.integers(1000)))), order[:size])
    return circuit, x, w


@cache
def judged(num_qubits, seed):
    return Judgement(*mixed_circuit(num_qubits, seed), seed, batch_values)


@pytest.mark.parametrize("seed", range(100) if NIGHTLY else range(2))
@pytest.mark.parametrize("num_qubits", [1, 2, 3, 5])
def test_values_and_gradients(num_qubits, seed, instruction_set, all_dense, float64):
    judged(num_qubits, seed).assert_agrees()


def test_other_layouts_and_threads_agree(all_dense, layout):
    circuit, x, w, observables = judged(5, 1).problem
    model = QuantumModule(circuit, x, [w], observables=observables, seed_init=0).double()
    rows = torch.rand(7, NUM_INPUTS, dtype=torch.float64)
    results = []
    for threads in (1, 3):
        model.set_num_threads_forward(threads)
        model.set_num_threads_backward(threads)
        model.zero_grad()
        inputs = rows.clone().requires_grad_()
        values = model(inputs)
        (values**2).sum().backward()
        results.append((values.detach(), inputs.grad, next(model.parameters()).grad))
    for first, second in zip(*results, strict=True):
        torch.testing.assert_close(first, second, atol=1e-12, rtol=0)


def test_single_precision(all_dense, instruction_set):
    judgement = judged(5, 2)
    circuit, x, w, observables = judgement.problem
    rows, values = judgement.rows, judgement.values
    model = QuantumModule(circuit, x, [w], observables=observables, variational_params_initial=[rows[0, NUM_INPUTS:]])
    inputs = torch.tensor(rows[:, :NUM_INPUTS], dtype=torch.float32, requires_grad=True)
    found = model(inputs)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.detach().numpy(), values, atol=2e-4)
    (gradient,) = torch.autograd.grad(found.sum(), inputs)
    exact = inputs.detach().double().requires_grad_()
    (expected,) = torch.autograd.grad(model.double()(exact).sum(), exact)
    torch.testing.assert_close(gradient.double(), expected, atol=1e-2, rtol=1e-4)


def test_derivatives_of_derivatives(all_dense):
    """Native gradients, differentiated by the same circuit in plain PyTorch; and that circuit by itself."""
    circuit, x, w, observables = judged(3, 0).problem
    program = QuantumModule(circuit, x, [w], observables=observables)._program
    inputs, weights = torch.rand(2, NUM_INPUTS).double(), torch.rand(NUM_WEIGHTS).double()
    extended = with_derived_columns(program.evolution, inputs, weights)
    torch.testing.assert_close(
        pytorch.values(program, *extended),
        torch.from_numpy(engine_of(program).values(extended[0].numpy(), extended[1].numpy(), 1)),
        atol=1e-12,
        rtol=0,
    )
    model = QuantumModule(circuit, x, [w], observables=observables).double()
    names = [name for name, _ in model.named_parameters()]

    def values(of_inputs, of_weights):
        return torch.func.functional_call(model, {names[0]: of_weights}, (of_inputs,))

    inputs, weights = inputs.requires_grad_(), weights.requires_grad_()
    assert torch.autograd.gradcheck(values, (inputs, weights), eps=1e-5, atol=1e-6)
    assert torch.autograd.gradgradcheck(values, (inputs, weights), eps=1e-5, atol=1e-5)
    ensemble = torch.rand(4, NUM_WEIGHTS).double()
    mapped = torch.func.vmap(values, in_dims=(None, 0))(inputs.detach(), ensemble)
    for one, row in zip(mapped, ensemble, strict=True):
        torch.testing.assert_close(one, values(inputs.detach(), row), atol=1e-12, rtol=0)


def test_imaginary_derivatives(all_dense):
    """2 Im <psi|O|d psi>, global phase included."""
    circuit, _, _, observables = judged(3, 1).problem
    columns = list(circuit.parameters)
    point = np.linspace(-1, 1, len(columns))
    found = FastReverseEstimatorGradient("imaginary").run([circuit], [observables[0]], [point]).result().gradients[0]

    def states(values):
        return state(circuit.assign_parameters(dict(zip(columns, values, strict=True))))

    slopes = central_differences(states, point, step=0.01)
    expected = [2 * np.vdot(states(point), observables[0].to_matrix() @ slope).imag for slope in slopes]
    np.testing.assert_allclose(found, expected, atol=1e-8)


def dense_circuit(num_qubits=6, size=5):
    (x, w) = (ParameterVector("x", num_qubits), ParameterVector("w", num_qubits))
    circuit = QuantumCircuit(num_qubits)
    for parameters in (x, w):
        for qubit, angle in enumerate(parameters):
            circuit.ry(angle, qubit)
        circuit.append(UnitaryGate(random_unitary(2**size, seed=1)), range(num_qubits - size, num_qubits))
    return circuit, list(x), list(w)


def vector(num_qubits):
    rng = np.random.default_rng(num_qubits)
    amplitudes = rng.normal(size=2**num_qubits) + 1j * rng.normal(size=2**num_qubits)
    return amplitudes / np.linalg.norm(amplitudes)


UNITARY, HERMITIAN = random_unitary(16, seed=1).data, random_hermitian(8, seed=1)
ISOMETRY = UNITARY[:, :4]
ANGLE = Parameter("t")

# Operation, its qubits, on which of them a gate has acted before, and how many columns its matrices have.
OPERATIONS = {
    "three qubits": (UnitaryGate(random_unitary(8, seed=1)), [0, 2, 3], [0, 3], [8]),
    "four qubits": (UnitaryGate(UNITARY), [4, 0, 2, 3], [0, 3], [16]),
    "controlled": (UnitaryGate(random_unitary(4, seed=1)).control(2, ctrl_state=1), [0, 2, 3, 5], [0, 2, 5], [16]),
    "evolution": (HamiltonianGate(HERMITIAN, ANGLE), [3, 1, 4], [1, 2], [8, 8]),
    "evolution by a number": (HamiltonianGate(HERMITIAN, 0.3), [3, 1, 4], [1, 2], [8]),
    "large diagonal": (DiagonalGate(list(np.exp(1j * np.arange(512)))), range(9), [0, 1, 2, 4, 6, 8], []),
    "preparation": (StatePreparation(vector(4)), [1, 4, 2, 0], [], [1]),
    "preparation next to others": (StatePreparation(vector(3)), [1, 4, 2], [0, 3], [1]),
    "preparation where others acted": (StatePreparation(vector(3)), [1, 4, 2], [1], []),
    "inverse preparation": (StatePreparation(vector(3)).inverse(), [1, 4, 2], [], []),
    "initialize": (Initialize(vector(3)), [1, 4, 2], [0], [1]),
    "initialize by a label": (Initialize("+r01"), [1, 4, 2, 0], [], []),
    "isometry": (Isometry(ISOMETRY, 0, 0), [0, 2, 3, 4], [0, 2, 5], [4]),
    "isometry where others acted": (Isometry(ISOMETRY, 0, 0), [0, 2, 3, 4], [0, 3], []),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Qiskit 0.44, while it takes gates apart
@pytest.mark.parametrize("num_layers", [1, 40])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name, num_layers):
    """As they are in a small circuit, taken apart in one of many rotations where that is quick: the same numbers."""
    operation, qubits, before, columns = OPERATIONS[name]
    num_qubits = max(6, len(qubits))
    circuit = QuantumCircuit(num_qubits)
    for qubit in before:
        circuit.ry(ANGLE, qubit)
    circuit.append(operation, qubits)
    for _ in range(num_layers):
        circuit.rx(ANGLE * 0.7, range(num_qubits))
        circuit.cz(range(num_qubits - 1), range(1, num_qubits))
    observables = [SparsePauliOp("X" + "Z" * (num_qubits - 1)), SparsePauliOp("Z" * (num_qubits - 1) + "Y")]
    program = compile_program(circuit, observables, [ANGLE], [])
    kept = name == "large diagonal" or num_layers == 1
    assert [one.columns for one in program.evolution.matrices] == (columns if kept else [])
    found = engine_of(program).values(np.array([[0.37]]), np.empty(0), 1)
    psi = Statevector(circuit.assign_parameters({ANGLE: 0.37}))
    np.testing.assert_allclose(found[0], [psi.expectation_value(one).real for one in observables], atol=1e-12)


def test_a_program_with_matrices_is_a_value():
    circuit, x, w = dense_circuit()
    programs = [compile_program(circuit, "individualZ", x, [w]) for _ in range(2)]
    assert programs[0] == programs[1]
    assert hash(programs[0]) == hash(programs[1])
    assert pickle.loads(pickle.dumps(programs[0])) == programs[0]
    assert from_text(to_text(programs[0])) == programs[0]
    assert cached_program(circuit, "individualZ", x, [w]) is cached_program(circuit.copy(), "individualZ", x, [w])
    other = circuit.copy()
    other.data[-1] = other.data[-1].replace(operation=UnitaryGate(random_unitary(32, seed=2)))
    assert cached_program(other, "individualZ", x, [w]) != programs[0]


def test_a_matrix_that_is_changed_in_place_is_a_new_one():
    matrix = random_unitary(32, seed=3).data.copy()
    circuit = QuantumCircuit(5)
    circuit.append(UnitaryGate(matrix), range(5))
    before = cached_program(circuit, "individualZ", [])
    circuit.data[0].operation.params[0][:, 0] *= -1j
    after = cached_program(circuit, "individualZ", [])
    assert after.evolution.matrices[0].array[0, 0] == pytest.approx(-1j * before.evolution.matrices[0].array[0, 0])


def test_programs_that_were_compiled_before_take_no_more_than_some_memory(monkeypatch):
    monkeypatch.setattr(_cache, "_MOST_DENSE_BYTES", 3 * 16 * 4**6)
    monkeypatch.setattr(_cache, "_programs", OrderedDict())
    circuits = [QuantumCircuit(6) for _ in range(5)]
    for seed, circuit in enumerate(circuits):
        circuit.append(UnitaryGate(random_unitary(64, seed=seed)), range(6))
    programs = [cached_program(circuit, "individualZ", []) for circuit in circuits]
    assert len(_cache._programs) == 3
    assert cached_program(circuits[-1], "individualZ", []) is programs[-1]
    assert cached_program(circuits[0], "individualZ", []) is not programs[0]


def test_text_that_describes_no_matrix_is_refused():
    circuit, x, w = dense_circuit()
    circuit.append(HamiltonianGate(random_hermitian(32, seed=1), w[0]), range(5))
    content = json.loads(to_text(compile_program(circuit, "individualZ", x, [w])))

    def changed(change):
        copy = json.loads(json.dumps(content))
        change(copy["program"])
        return json.dumps(copy)

    # Rows: place, (flips, signs, negatives), columns, entries; and place, qubits, energies, angle.
    wrong = {
        "place": lambda p: p["matrices"][0].__setitem__(0, 10**6),
        "two at one place": lambda p: p["matrices"][0].__setitem__(0, p["matrices"][1][0]),
        "flips": lambda p: p["matrices"][0][1][0].__setitem__(0, 4),
        "one sign less": lambda p: p["matrices"][0][1][1].pop(),
        "no qubits": lambda p: p["matrices"][0].__setitem__(1, [[], [], []]),
        "beyond": lambda p: p.update(num_qubits=5),
        "columns": lambda p: p["matrices"][0].__setitem__(2, 16),
        "no columns": lambda p: p["matrices"][0].__setitem__(2, 0),
        "entries": lambda p: p["matrices"][0].__setitem__(3, "AAAA"),
        "not finite": lambda p: p["diagonals"][0].__setitem__(2, base64.b64encode(np.full(32, np.nan)).decode()),
        "energies": lambda p: p["diagonals"][0].__setitem__(2, base64.b64encode(np.zeros(16)).decode()),
        "a variable": lambda p: p["diagonals"][0].__setitem__(3, [[1.0, 99]]),
    }
    for change in wrong.values():
        text = changed(change)
        with pytest.raises(ValueError, match="compiled program as text"):
            from_text(text)


def test_arrays_that_contradict_each_other_are_refused_not_read():
    circuit, x, w = dense_circuit()
    circuit.append(HamiltonianGate(random_hermitian(32, seed=1), w[0]), range(5))
    program = compile_program(circuit, ["XYZXYZ"], x, [w])
    angles = AngleTable()
    arrays, steps = engine_arrays([]), step_arrays(program.evolution.steps, angles)
    arrays.update(observable_arrays(program.output), **angles.arrays(), **NO_STATE, **NO_WORDS)

    def engine(**changes):
        return _engine.Engine(
            6, program.evolution.num_inputs, program.evolution.num_weights, arrays, steps={**steps, **changes}
        )

    engine()
    for name, array in steps.items():
        if name.endswith("_in_sweeps"):
            continue
        for broken in (np.append(array, array[-1:]), array[:-1], np.full_like(array, 99)):
            if (name in ("entries", "qubit_is_negative") and len(broken) == len(array)) or name == "z":
                continue  # any number will do there; a Z may be any where the rotation flips nothing
            with pytest.raises(ValueError, match="inconsistent program"):
                engine(**{name: broken})
    in_sweeps = [{f"{what}_in_sweeps": number} for what in ("layers", "reading") for number in (-1.0, np.nan)]
    for broken in ({"z": np.full_like(steps["z"], 1 << 6)}, *in_sweeps):
        with pytest.raises(ValueError, match="inconsistent program"):
            engine(**broken)
    layers, _ = layers_of([Rotation(Y, 1, 1, Polynomial.constant(1.0))])
    with pytest.raises(ValueError, match="inconsistent program: steps beside layers"):
        _engine.Engine(
            6,
            program.evolution.num_inputs,
            program.evolution.num_weights,
            {**arrays, **engine_arrays(layers, angles=angles), **angles.arrays()},
            steps=steps,
        )


@pytest.mark.parametrize("gradient", [False, True])
def test_memory_is_predicted_before_it_is_taken(gradient, own_budget):
    circuit, x, w = dense_circuit(8, 8)
    model = QuantumModule(circuit, x, [w])
    inputs = torch.rand(3, 8, requires_grad=gradient)
    needed = engine_of(model._program).schedule_float32(3, 1, gradient)["scratch_bytes"]
    assert needed > 2 * 8 * 4**8  # both matrices in single precision
    own_budget(8 * 4**8)
    with pytest.raises(ValueError, match=r"with matrices needs 1.0 MiB of memory, but the budget is 512.0 KiB"):
        model(inputs)
    own_budget(None)
    assert torch.isfinite(model(inputs)).all()


def test_what_is_not_unitary_is_named():
    circuit = QuantumCircuit(5)
    circuit.append(UnitaryGate(2 * np.eye(32), check_input=False, label="mine"), range(5))
    with pytest.raises(ValueError, match=r"'unitary' on qubits \[0, 1, 2, 3, 4\]: expected a unitary matrix"):
        QuantumModule(circuit, None, [])


def test_explain_says_that_it_runs_step_by_step():
    circuit, x, w = dense_circuit()
    found = explain(QuantumModule(circuit, x, [w]), batch_size=48)
    assert found.dense_qubits == (5, 5)
    assert found.runs_of_layers == found.sweeps_of_layers == ()
    said = f"12 rotations and 2 matrices (2 on 5 qubits): {found.swept:.3g} passes over the state"
    assert f"step by step           {said}" in str(found)
    assert 2 < found.swept < 14  # the first ones touch what is reached from |0...0>
    assert found.gradients.flops > found.values.flops > 2 * 8 * 32 * 2**6


def test_eight_qubits_take_no_decomposition():
    circuit, x, w = dense_circuit(8, 8)
    begin = time.perf_counter()
    model = QuantumModule(circuit, x, [w])
    inputs = torch.rand(2, 8)
    found = model(inputs)
    assert time.perf_counter() - begin < 20  # 84 s, one gate after the other
    rows = np.hstack([inputs.numpy(), np.tile(next(model.parameters()).detach().numpy(), (2, 1))])
    observables = [SparsePauliOp("I" * (7 - q) + "Z" + "I" * q) for q in range(8)]
    np.testing.assert_allclose(found.detach().numpy(), batch_values(circuit, observables, [*x, *w], rows), atol=1e-5)
