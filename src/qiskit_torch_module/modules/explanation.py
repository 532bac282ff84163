"""What a circuit became and what running it takes, as numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .._core.shown import card
from .._simulation.method import Cost, Refusal, Spending
from .._simulation.work import Work
from .wording import rows_of


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
        controls: If it runs step by step, the number of controls of each rotation: those that flip the same bits are
            taken together as ones that act on a part of the state. What is said of layers holds for derivatives along
            directions.
        swept: And how many passes over the state all steps take; one that touches a part of it counts as that part.
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
    swept: float
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
        return "\n".join(f"{name:<22} {text}" for name, text in rows_of(self))

    def _repr_html_(self) -> str:
        """For notebooks."""
        return card("What the compiler makes of it", rows_of(self))
