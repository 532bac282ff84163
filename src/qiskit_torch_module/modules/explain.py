"""What the compiler made of a circuit, and what running it takes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .. import _engine
from .._core.arguments import thread_count, whole_number
from .._core.shown import card
from .._program.arrays import AngleTable, characters_of
from .._program.blocks import AmplitudeBlock, BoundBlock
from .._program.dense import ControlledRotation, Step
from .._program.layers import Rotation
from .._program.symmetries import without_settled
from .._reading.observables import Observables
from .._reading.parameters import parameter_list
from .._simulation.choose import choose, offers
from .._simulation.costs import Work, state_bytes, work_of_halves, work_of_layers, work_of_steps
from .._simulation.cuda import Cuda
from .._simulation.engines import engine_of, steps_of
from .._simulation.method import Cost, Method, Refusal, Spending, Task
from .._simulation.native import Native
from .._simulation.states import states_of
from .hybrid import HybridModule
from .module import QuantumModule


@dataclass(frozen=True, repr=False)
class Explanation:
    """What `explain` found, shown as a table.

    Attributes:
        num_qubits: Number of qubits of the circuit.
        num_simulated_qubits: Those that gates act on, without those that symmetries settle; others stay in the ground
            state and cost nothing.
        num_settled_qubits: Those that symmetries of the circuit settle: fewer qubits hold its states.
        gates: How often the circuit has each operation, composite ones unopened.
        num_relabellings: CX, SWAP and X, of composite gates too, that only relabel basis states.
        num_rotations: Rotations of Pauli words that are left.
        runs_of_layers: Fused runs in each layer.
        characters_of_phases: Diagonal factors in the phase after each layer.
        sweeps_of_layers: Passes over the state that each layer takes; none for the first, which makes a product state,
            or for the first ones, where it starts from halves.
        halves: Qubits of the low half, of the high half, and of the glue, which are part of both, if the state starts
            from halves in place of the first layers; else None.
        words: If halves hold all layers but one that is absorbed, and are never joined: the number of Pauli words that
            are read from them; else 0.
        half_words: And how many half-words all of these have one of: each takes a Gram matrix.
        prefix_layers: Layers that are the same for the whole batch.
        absorbed_runs: Runs of the last layer that the observables absorb.
        dense_qubits: Qubits of each matrix and diagonal that is applied as it is. Where there are any, the circuit runs
            step by step: it has no layers, and what is said of them is empty.
        controls: Number of controls of each rotation, where those that flip the same bits are taken together as ones
            that act on a part of the state. Where there are any, the circuit runs step by step; what is said of layers
            holds for derivatives along directions.
        encodings: What errors call each instruction that encodes amplitudes.
        bound: And each gate that can be evaluated only with numbers: row by row, by Qiskit.
        values: Work of one sample.
        gradients: And that of its gradients, which does not repeat that of the values.
        precision: "float32" or "float64".
        instruction_set: That of the kernels.
        batch_size: Number of samples.
        schedule: How the engine would run the batch for gradients: layout, lanes, threads, bytes.
        methods: What each method expects such a call to cost, with gradients, or why it refuses; seconds are those of a
            machine with AVX-512, whichever is in use, and bytes of the engine those of the schedule. Kernels for GPUs
            are left out where PyTorch sees none.
        chosen: The method that is taken.
        kernels: If these are the kernels for GPUs: their shape, and whether they start from halves, which they decide
            by themselves; else nothing.
        spending: What a training step of a method that estimates sends to a device, or samples here.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> found = qtm.explain(circuit, x, batch_size=48)
        >>> found.num_qubits, found.num_rotations, found.batch_size
        (2, 12, 48)
    """

    num_qubits: int
    num_simulated_qubits: int
    num_settled_qubits: int
    gates: dict[str, int]
    num_relabellings: int
    num_rotations: int
    runs_of_layers: tuple[int, ...]
    characters_of_phases: tuple[int, ...]
    sweeps_of_layers: tuple[int, ...]
    halves: tuple[int, int, int] | None
    words: int
    half_words: int
    prefix_layers: int
    absorbed_runs: int
    dense_qubits: tuple[int, ...]
    controls: tuple[int, ...]
    encodings: tuple[str, ...]
    bound: tuple[str, ...]
    values: Work
    gradients: Work
    precision: str
    instruction_set: str
    batch_size: int
    schedule: dict[str, Any]
    methods: dict[str, Cost | Refusal]
    chosen: str
    kernels: str = ""
    spending: Spending = field(default_factory=Spending)

    def __repr__(self) -> str:
        return "\n".join(f"{name:<22} {text}" for name, text in self._rows())

    def _repr_html_(self) -> str:
        """For notebooks."""
        return card("What the compiler makes of it", self._rows())

    def _halves(self) -> str:
        if self.halves is None:
            return "none"
        low, high, glue = self.halves
        layers = self.sweeps_of_layers.count(0) - (self.words > 0 and self.absorbed_runs > 0)
        found = f"{layers} layers on {low - glue} and {high - glue} qubits, a sum of {2**glue} products of states"
        if not self.words:
            return found
        return f"{found}, never joined: {self.words} Pauli words by {_many(self.half_words, 'half-word')}"

    def _rows(self) -> list[tuple[str, str]]:
        gates = ", ".join(f"{count} {name}" for name, count in self.gates.items())
        layers, samples = len(self.runs_of_layers), self.schedule["samples_in_a_tile"]
        idle = self.num_qubits - self.num_simulated_qubits - self.num_settled_qubits
        rotations = _many(self.num_rotations, "rotation")
        qubits = _many(self.num_qubits, "qubit") + (f" ({idle} idle, not simulated)" if idle else "")
        lanes = "amplitudes" if self.schedule["is_spread"] else "samples"
        passes = [
            ("fusion", f"{rotations}: {_many(sum(self.runs_of_layers), 'run')} in {_many(layers, 'layer')}"),
            ("diagonal merging", f"{_many(sum(self.characters_of_phases), 'factor')} in {_many(layers, 'phase')}"),
            ("product state", f"{_many(self.runs_of_layers[0] if layers else 0, 'run')} of the first layer"),
            ("symmetry reduction", f"{_many(self.num_settled_qubits, 'qubit')} settled by symmetries"),
            ("halved start", self._halves()),
            ("shared prefix", f"{self.prefix_layers} of {_many(layers, 'layer')}"),
            ("observable absorption", f"{_many(self.absorbed_runs, 'run')} of the last layer"),
            ("sweeps", " + ".join(map(str, self.sweeps_of_layers)) or "none"),
        ]
        if self.dense_qubits:
            passes = [
                ("step by step", f"{rotations} and {_matrices(self.dense_qubits)}; a pass over the state for each")
            ]
        if self.controls:
            together = f"{rotations} as {len(self.controls)} that act where controls say"
            swept = sum(0.5**count for count in self.controls)
            passes.insert(0, ("taken together", f"{together}: {swept:.3g} passes over the state"))
            passes = passes[: 1 + bool(self.dense_qubits)]
        rows = [
            ("circuit", f"{qubits}, {_many(sum(self.gates.values()), 'gate')}" + (f": {gates}" if gates else "")),
            ("permutation folding", f"{self.num_relabellings} CX, SWAP and X move no amplitude"),
            *passes,
            *[("amplitude encoding", f"{_short(name)}: a tree of rotations") for name in self.encodings],
            *[("numbers only", f"{_short(name)}: {_BOUND}") for name in self.bound],
            ("values of a sample", _work(self.values)),
            ("its gradients", _work(self.gradients)),
            ("engine", f"{self.instruction_set}, {self.precision}, {self.schedule['lanes']} {lanes} in a vector"),
            ("batch", f"{self.batch_size} in tiles of {samples} on {_many(self.schedule['num_threads'], 'thread')}"),
            ("kets", "kept" if self.schedule["keeps_kets"] else "undone along with the bra"),
            ("memory", f"{_bytes(self.schedule['scratch_bytes'])} scratch, {_bytes(self.schedule['tape_bytes'])} tape"),
            *[(f"method {name}", _said(offer, name == self.chosen)) for name, offer in self.methods.items()],
            *([("kernels", self.kernels)] if self.kernels else []),
            *([("a training step", _spent(self.spending))] if self.spending != Spending() else []),
        ]
        return rows


_BOUND = "bound row by row; derivatives by the shift rule where it is exact, else central differences"


def _said(offer: Cost | Refusal, is_chosen: bool) -> str:
    if isinstance(offer, Refusal):
        return f"refuses: {offer.reason}"
    taken = ", chosen" if is_chosen else ""
    if math.isinf(offer.seconds):
        return f"takes as long as who computes elsewhere{taken}"
    milliseconds = float(f"{1e3 * offer.seconds:.2g}")
    return f"about {milliseconds:g} ms and {_bytes(offer.bytes)} a call with gradients{taken}"


def _spent(spending: Spending) -> str:
    counts = [("job", spending.jobs), ("PUB", spending.pubs), ("circuit", spending.circuits), ("shot", spending.shots)]
    return ", ".join(f"{count:,} {name}{'' if count == 1 else 's'}" for name, count in counts if count)


def _short(name: str) -> str:
    return name.removeprefix("circuit: ")


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
    program = without_settled(model._program)
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
    sweeps = (*[0] * (before + 1), *schedule["sweeps_of_layers"][1:]) if runs else ()
    unjoined = program.unjoined if schedule["words"] else None
    steps, amplitude = steps_of(program), 16 if dtype == torch.float64 else 8
    if unjoined is not None:
        sweeps = (0,) * len(runs)
        values, gradients = work_of_halves(unjoined, amplitude)
    elif steps is None or not schedule["by_steps"]:
        values, gradients = _work_of_layers(evolution.num_qubits, schedule, runs, sweeps, batch_size, amplitude)
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
        sweeps_of_layers=sweeps,
        halves=schedule["halves"],
        words=schedule["words"],
        half_words=0 if unjoined is None else len(unjoined.grams),
        prefix_layers=schedule["prefix_layers"],
        absorbed_runs=schedule["measured_runs"],
        dense_qubits=tuple(len(step.qubits) for step in evolution.steps if not isinstance(step, Rotation)),
        controls=_controls(steps if steps and schedule["by_steps"] else ()),
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
    """Of each rotation, if any has some."""
    rotations = [step for step in steps if isinstance(step, (Rotation, ControlledRotation))]
    counts = tuple(len(step.controls) if isinstance(step, ControlledRotation) else 0 for step in rotations)
    return counts if any(counts) else ()


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


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _matrices(dense_qubits: Sequence[int]) -> str:
    sizes = ", ".join(f"{count} on {_many(size, 'qubit')}" for size, count in sorted(Counter(dense_qubits).items()))
    return f"{len(dense_qubits)} {'matrix' if len(dense_qubits) == 1 else 'matrices'} ({sizes})"


def _work(work: Work) -> str:
    return f"{_scaled(work.flops, 1000)}flop, {_bytes(work.bytes)} read and written"


def _bytes(count: float) -> str:
    return f"{_scaled(count, 1024, 'i')}B"


def _scaled(value: float, base: int, binary: str = "") -> str:
    for prefix in ("", "k", "M", "G", "T"):
        if value < 999.5 or prefix == "T":  # three digits, whatever the base
            break
        value /= base
    unit = prefix.upper() + binary if binary and prefix else prefix
    return f"{value:.3g} {unit}"
