"""What methods are expected to take."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import random_unitary

from circuits_zoo import reuploading
from qiskit_torch_module import QuantumModule, compiler_passes, explain
from qiskit_torch_module._program.compile import compile_program
from qiskit_torch_module._program.evolution import Evolution
from qiskit_torch_module._program.layers import Rotation, Y
from qiskit_torch_module._program.output import ExpectationValues
from qiskit_torch_module._program.program import Program
from qiskit_torch_module._reading.paulis import PauliTerms
from qiskit_torch_module._reading.polynomials import Polynomial
from qiskit_torch_module._simulation.costs import by_steps, native_cost, num_steps, plain_cost
from qiskit_torch_module._simulation.engines import engine_of
from qiskit_torch_module._simulation.method import Task
from qiskit_torch_module._simulation.native import Native

tasks = st.builds(
    Task,
    batch_size=st.integers(1, 1000),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    order=st.integers(0, 3),
    num_threads=st.integers(1, 64),
)


@st.composite
def evolutions(draw):
    num_qubits = draw(st.integers(1, 30))
    angle = Polynomial.constant(0.5)
    rotations = draw(st.lists(st.integers(0, num_qubits - 1).map(lambda bit: Rotation(Y, 1 << bit, 1 << bit, angle))))
    return Evolution(num_qubits, 0, 0, tuple(rotations), Polynomial())


METHODS = {"native": native_cost, "pytorch": plain_cost}


@st.composite
def programs(draw):
    evolution = draw(evolutions())
    masks = st.integers(0, (1 << evolution.num_qubits) - 1)
    strings = draw(st.lists(st.tuples(masks, masks), max_size=20))
    x, z = (np.array(part, dtype=np.uint32) for part in (zip(*strings, strict=True) if strings else ((), ())))
    count = len(strings)
    terms = PauliTerms(np.zeros(count, dtype=np.int32), x, z, np.ones(count))
    return Program(evolution, ExpectationValues((0.0,), terms))


@given(programs(), tasks)
def test_the_engine_is_the_cheaper_one_wherever_it_can_compute(program, task):
    assert 0 < native_cost(program, task).seconds < plain_cost(program, task).seconds


@given(programs(), tasks, st.sampled_from(sorted(METHODS)))
def test_more_work_takes_no_less(program, task, method):
    cost = METHODS[method]
    whole = cost(program, task)
    for one in (
        Task(2 * task.batch_size, task.dtype, order=task.order, num_threads=task.num_threads),
        Task(task.batch_size, torch.float64, order=task.order, num_threads=task.num_threads),
        Task(task.batch_size, task.dtype, order=task.order + 1, num_threads=task.num_threads),
    ):
        more = cost(program, one)
        assert more.seconds >= whole.seconds * (1 - 1e-12)
        assert more.bytes >= whole.bytes or task.order == 0 or method == "native"
    assert num_steps(program.evolution) == len(program.evolution.rotations)


def test_plain_pytorch_multiplies_all_columns_of_a_matrix_at_once():
    circuit, w = QuantumCircuit(8), ParameterVector("w", 8)
    for qubit in range(8):
        circuit.ry(w[qubit], qubit)
    without = compile_program(circuit, "individualZ", [], [w])
    circuit.unitary(random_unitary(256, seed=1), range(8))
    program = compile_program(circuit, "individualZ", [], [w])
    (steps, amplitudes), (others, of_others) = (by_steps(one, Task(4)) for one in (program, without))
    assert steps == others + 1
    assert 20 < (amplitudes - of_others) / (4 * 2**8) < 256


MIB = 2**20
# Depth, and passes that are switched off.
WAYS = {"joined": (3, {"halved_start": False}), "halves": (3, {"unjoined_halves": False}), "apart": (1, {})}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("num_qubits", [4, 12, 18])
def test_a_batch_takes_the_memory_of_its_tiles(num_qubits, way):
    depth, passes = WAYS[way]
    case = reuploading(num_qubits, depth)
    with compiler_passes(**passes):
        model = QuantumModule(case.circuit, case.encoding, case.variational)
    engine = engine_of(model._program)
    for batch_size in (1, 48, 1000, 100_000):
        for threads in (1, 2):
            for order in (0, 1):
                how = engine.schedule_float32(batch_size, threads, order == 1)
                said = Native().cost(model._program, Task(batch_size, torch.float32, "cpu", order, threads)).bytes
                scratch, tape = how["scratch_bytes"], how["tape_bytes"]
                assert scratch / 4 - MIB < said < 4 * scratch + max(1.5 * tape, 17 * MIB)
            told = explain(model, batch_size=batch_size, num_threads=threads).methods["native"].bytes
            assert told == how["scratch_bytes"] + how["tape_bytes"]


@pytest.mark.parametrize(("num_qubits", "dtype"), [(17, torch.float64), (18, torch.float32)])
@pytest.mark.parametrize("threads", [1, 2])
def test_last_kets_of_large_states_count_while_they_fit_their_share(num_qubits, dtype, threads, own_budget):
    case = reuploading(num_qubits, 3)
    with compiler_passes(halved_start=False):
        model = QuantumModule(case.circuit, case.encoding, case.variational)
    state, most = 2 * MIB, 160

    def said(batch_size, order=1):
        return Native().cost(model._program, Task(batch_size, dtype, "cpu", order, threads)).bytes

    own_budget(8 * most * state)
    for batch_size in (16, 64, 128):
        told = explain(model, batch_size=batch_size, dtype=dtype, num_threads=threads).methods["native"].bytes
        assert told > batch_size * state
        assert told / 1.5 < said(batch_size) < 1.5 * told
    assert said(most) > most * state > 3 * said(most + 1)
    assert said(most, order=0) < 40 * MIB
    told = explain(model, batch_size=most + 1, dtype=dtype, num_threads=threads).methods["native"].bytes
    assert told < most * state / 3
