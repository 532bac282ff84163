"""Memory that a batch takes: how many states are at work at once, and how much it comes to before it is planned."""

from __future__ import annotations

from .card import Card
from .circuit import Circuit
from .shapes import Shape, shape_of
from .tables import sample_bytes


def room_of(shape: Shape, card: Card) -> int:
    """Bytes for ket and bra of the samples of a wave, where a launch is one of many."""
    return card.l2_bytes // 2 if shape.name == "wave" else card.memory_bytes // 4


def bytes_of(circuit: Circuit, batch: int, is_double: bool, card: Card) -> int:
    """What values and gradients take, roughly; a plan knows it (`Plan.all_bytes`).

    The last ket of every sample is kept, if all fit, with what its angles are turned into; ket and bra of those that
    are at work are in the workspace.
    """
    shape, real = shape_of(circuit.num_qubits, is_double, card), 8 if is_double else 4
    state = 2 * real << circuit.num_qubits
    taped, read = sample_bytes(circuit, is_double) + state, 2 * batch * circuit.num_values * real
    if shape.is_resident:
        return batch * taped + read
    wave = max(1, min(batch, room_of(shape, card) // (2 * state)))
    workspace = wave * 2 * state
    kept = batch * taped + workspace + read
    return kept if kept <= card.memory_bytes else wave * taped + workspace + read
