"""What the compiler made of a circuit, and what running it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .. import _engine
from .._core.arguments import thread_count, whole_number
from .._program.arrays import AngleTable, characters_of
from .._program.blocks import AmplitudeBlock, BoundBlock
from .._program.controlled import sweeps
from .._program.dense import ControlledRotation, Step
from .._program.layers import Rotation
from .._reading.observables import Observables
from .._reading.parameters import parameter_list
from .._simulation.choose import choose, offers
from .._simulation.costs import state_bytes
from .._simulation.cuda import Cuda
from .._simulation.engines import engine_of
from .._simulation.method import Cost, Method, Refusal, Spending, Task
from .._simulation.native import Native
from .._simulation.states import states_of
from .._simulation.work import Work, work_of_halves, work_of_layers, work_of_steps
from .explanation import Explanation
from .hybrid import HybridModule
from .module import QuantumModule


def explain(
    circuit: QuantumCircuit | QuantumModule | HybridModule,
    encoding_params: Iterable[Parameter] | None = None,
    observables: Observables | None = None,
    *,
    batch_size: int = 1,
    dtype: torch.dtype | None = None,
    num_threads: int = 0,
) -> Explanation:
    """Says what the compiler does to a circuit and how the engine would run it.

    Args:
        circuit: A circuit, or a module made from one; of a `HybridModule` its quantum layer.
        encoding_params: Parameters that take a value for each sample; all others are weights. Not for a module.
        observables: As for `QuantumModule`; None: "individualZ". Not for a module.
        batch_size: Number of samples in a call.
        dtype: ``torch.float32`` or ``torch.float64``; None: that of the module, or float32 for a circuit.
        num_threads: Most threads; 0: as ``torch.get_num_threads()``.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an argument cannot be used; the message names it and a remedy.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w)
        >>> print(qtm.explain(model, batch_size=48))
        circuit                2 qubits, 13 gates: ...
    """
    model = _module(circuit, encoding_params, observables)
    batch_size = whole_number(batch_size, "batch_size", 1)
    threads = thread_count(num_threads, "num_threads") or torch.get_num_threads()
    dtype = _precision(model if dtype is None and isinstance(circuit, torch.nn.Module) else dtype)
    task = Task(batch_size, dtype, _own(model).device.type, 1, threads)
    said, chosen = _offers(model, task)
    program = model._program.simulated
    if program.expectation_values is None and not program.reads_probabilities:
        program = states_of(program)
    evolution, engine = program.evolution, engine_of(program)
    schedule_of = engine.schedule_float64 if dtype == torch.float64 else engine.schedule_float32
    schedule = schedule_of(batch_size, threads, True)
    if isinstance(said.get(Native.name), Cost):  # which plans nothing, and the engine knows
        taken = schedule["scratch_bytes"] + schedule["tape_bytes"] + state_bytes(model._program, task)
        said[Native.name] = replace(said[Native.name], bytes=taken)
    runs = tuple(len(layer.runs) for layer in evolution.layers)
    before = len(runs) - len(schedule["sweeps_of_layers"])  # layers of halves but for the last one, which joins them
    of_layers = (*[0] * (before + 1), *schedule["sweeps_of_layers"][1:]) if runs else ()
    unjoined = program.unjoined if schedule["words"] else None
    steps: Sequence[Step] = (program.taken_steps or ()) if schedule["by_steps"] else ()
    amplitude = 16 if dtype == torch.float64 else 8
    if unjoined is not None:
        of_layers = (0,) * len(runs)
        values, gradients = work_of_halves(unjoined, amplitude)
    elif not schedule["by_steps"]:
        values, gradients = _work_of_layers(evolution.num_qubits, schedule, runs, of_layers, batch_size, amplitude)
    else:
        values, gradients = work_of_steps(evolution.num_qubits, steps, amplitude)
    blocks = [*evolution.input_blocks, *evolution.weight_blocks]
    return Explanation(
        num_qubits=model.circuit.num_qubits,
        num_simulated_qubits=evolution.num_qubits,
        num_settled_qubits=model._program.evolution.num_qubits - evolution.num_qubits,
        gates=dict(Counter(instruction.operation.name for instruction in model.circuit.data)),
        num_relabellings=evolution.num_relabellings,
        num_rotations=len(model._program.evolution.rotations),
        runs_of_layers=runs,
        characters_of_phases=tuple(map(len, characters_of(evolution.layers, AngleTable()))),
        sweeps_of_layers=of_layers,
        halves=schedule["halves"],
        words=schedule["words"],
        half_words=0 if unjoined is None else len(unjoined.grams),
        prefix_layers=schedule["prefix_layers"],
        absorbed_runs=schedule["measured_runs"],
        dense_qubits=tuple(len(step.qubits) for step in evolution.steps if not isinstance(step, Rotation)),
        controls=_controls(steps),
        swept=sweeps(steps, evolution.num_qubits),
        encodings=tuple(block.name for block in blocks if isinstance(block, AmplitudeBlock)),
        bound=tuple(block.name for block in blocks if isinstance(block, BoundBlock)),
        values=values,
        gradients=gradients,
        precision=str(dtype).removeprefix("torch."),
        instruction_set=_engine.instruction_set(),
        batch_size=batch_size,
        schedule=schedule,
        methods=said,
        chosen=chosen.name,
        kernels=_kernels(model, chosen, task) if isinstance(said[chosen.name], Cost) else "",
        spending=_spending(model, batch_size) if isinstance(said[chosen.name], Cost) else Spending(),
    )


def _work_of_layers(
    num_qubits: int,
    schedule: dict[str, Any],
    runs: tuple[int, ...],
    sweeps: tuple[int, ...],
    batch_size: int,
    amplitude: int,
) -> tuple[Work, Work]:
    """Work of values and of gradients, on amplitudes of so many bytes."""
    halves, products = schedule["halves"], schedule["products_of_phases"]
    return work_of_layers(
        num_qubits,
        runs,
        sweeps,
        (*[0] * (len(runs) - len(schedule["sweeps_of_layers"])), *products),
        schedule["measured_runs"],
        amplitude,
        schedule["prefix_layers"] if schedule["shares_prefix"] else 0,
        batch_size,
        None if halves is None else 2 ** halves[2],
    )


def _offers(model: QuantumModule, task: Task) -> tuple[dict[str, Cost | Refusal], Method]:
    """What the known methods, and that of the module, say of a task; and which is taken."""
    said = offers(model._program, task)
    on_gpus = said.get(Cuda.name)
    if isinstance(on_gpus, Refusal) and on_gpus.is_of_device and not torch.cuda.is_available():
        del said[Cuda.name]  # nobody asks what a GPU would do that is not there
    if not isinstance(model.method, Method):
        return said, choose(model._program, task)
    return {**said, model.method.name: model.method.cost(model._program, task)}, model.method


def _kernels(model: QuantumModule, chosen: Method, task: Task) -> str:
    return chosen.kernels(model._program, task) if isinstance(chosen, Cuda) else ""


def _spending(model: QuantumModule, batch_size: int) -> Spending:
    """Of a step in which all gradients are wanted."""
    if isinstance(model.method, str) or model.method.is_exact:
        return Spending()
    own, evolution = _own(model), model._program.evolution
    inputs = own.new_zeros(batch_size, evolution.num_all_inputs)
    wants = (evolution.num_all_inputs > 0, evolution.num_all_weights > 0)
    return model._runners(inputs).spending(inputs, [own.new_zeros(evolution.num_all_weights)], wants)


def _controls(steps: Sequence[Step]) -> tuple[int, ...]:
    """Of each rotation."""
    rotations = [step for step in steps if isinstance(step, (Rotation, ControlledRotation))]
    return tuple([len(step.controls) if isinstance(step, ControlledRotation) else 0 for step in rotations])


def _own(model: QuantumModule) -> torch.Tensor:
    """What tells the dtype and device of a module."""
    return (model.variational_ or model._without_weights())[0]


def _module(
    circuit: Any, encoding_params: Iterable[Parameter] | None, observables: Observables | None
) -> QuantumModule:
    if isinstance(circuit, HybridModule):
        circuit = circuit.quantum
    if isinstance(circuit, QuantumModule):
        for argument, value in (("encoding_params", encoding_params), ("observables", observables)):
            if value is not None:
                if isinstance(value, torch.Tensor):
                    raise TypeError(
                        f"{argument}: a module has its own, got a tensor of shape {tuple(value.shape)}; no input is "
                        "needed, but its number of samples: batch_size=..."
                    )
                raise ValueError(f"{argument}: a module has its own, got {value!r}; leave it out, or pass the circuit")
        return circuit
    if not isinstance(circuit, QuantumCircuit):
        remedy = "; pass the quantum layer in it" if isinstance(circuit, torch.nn.Module) else ""
        expected = "expected a QuantumCircuit, QuantumModule or HybridModule"
        raise TypeError(f"circuit: {expected}, got {type(circuit).__name__}{remedy}")
    encoding = parameter_list(encoding_params, "encoding_params")
    chosen = set(encoding)
    weights = [parameter for parameter in circuit.parameters if parameter not in chosen]
    return QuantumModule(circuit, encoding, weights, observables="individualZ" if observables is None else observables)


def _precision(given: Any) -> torch.dtype:
    """The dtype to compute in: as given, or that of a module."""
    if isinstance(given, QuantumModule):
        return torch.promote_types(_own(given).dtype, torch.float32)
    if not any(given is dtype for dtype in (None, torch.float32, torch.float64)):
        raise ValueError(
            f"dtype: expected torch.float32 or torch.float64, got {given!r}; halves are computed in torch.float32"
        )
    return torch.float32 if given is None else given
