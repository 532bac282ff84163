"""What methods are expected to take."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from qiskit_torch_module._program.evolution import Evolution
from qiskit_torch_module._program.layers import Rotation, Y
from qiskit_torch_module._reading.polynomials import Polynomial
from qiskit_torch_module._simulation.costs import NATIVE, PYTORCH, num_steps
from qiskit_torch_module._simulation.method import Task

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


@given(evolutions(), tasks)
def test_the_engine_is_the_cheaper_one_wherever_it_can_compute(evolution, task):
    native, pytorch = NATIVE.of(evolution, task), PYTORCH.of(evolution, task)
    assert 0 < native.seconds < pytorch.seconds


@given(evolutions(), tasks, st.sampled_from([NATIVE, PYTORCH]))
def test_more_work_takes_no_less(evolution, task, rates):
    whole = rates.of(evolution, task)
    for one in (
        Task(2 * task.batch_size, task.dtype, order=task.order, num_threads=task.num_threads),
        Task(task.batch_size, torch.float64, order=task.order, num_threads=task.num_threads),
        Task(task.batch_size, task.dtype, order=task.order + 1, num_threads=task.num_threads),
    ):
        more = rates.of(evolution, one)
        assert more.seconds >= whole.seconds - 1e-12
        assert more.bytes >= whole.bytes or task.order == 0
    assert num_steps(evolution) == len(evolution.rotations)
