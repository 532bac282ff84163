"""A circuit that starts from two halves of its qubits: what each half runs, and what is left."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from .._program.halves import deepest_halves_of
from .._program.output import ExpectationValues
from .circuit import Circuit, Part, part_of

# In deeper circuits halves are too little of the whole for what it takes to prepare both.
_MOST_LAYERS = 64


@dataclass(frozen=True, eq=False)
class Halved:
    """The state after as many first layers as can be is a sum of products of two halves (`_program.halves`).

    Attributes:
        low, high: The first layers on either half; their last qubits are the glue.
        rest: What follows, by another index: bits of the low half, then those of the high one.
        glue: Number of qubits of the glue.
    """

    low: Circuit
    high: Circuit
    rest: Circuit
    glue: int


@lru_cache(maxsize=64)
def halved(circuit: Circuit) -> Halved | None:
    """The halves of a whole circuit; None where there are none, or they are switched off.

    Layers that are the same for a batch count as others do: the kernels share none of them.
    """
    program = circuit.program
    if not program.evolution.passes.halved_start or len(circuit.layers) > _MOST_LAYERS:
        return None
    found = deepest_halves_of(circuit.layers, circuit.num_qubits)
    if found is None:
        return None
    read = circuit.output.moved(found.index)
    nothing, has_phase = ExpectationValues.none(), circuit.reads_state
    low, high = (
        part_of(program, half.num_qubits, half.layers, nothing, Part.HALF, has_phase)
        for half in (found.low, found.high)
    )
    return Halved(low, high, part_of(program, circuit.num_qubits, found.rest, read, Part.REST), found.glue)
