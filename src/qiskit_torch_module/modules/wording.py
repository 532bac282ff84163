"""What was found of a circuit, in words: the rows of a table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._core.sizes import said_bytes, scaled
from .._simulation.method import Cost, Refusal, Spending
from .._simulation.work import Work

if TYPE_CHECKING:
    from .explanation import Explanation

_BOUND = "bound row by row; derivatives by the shift rule where it is exact, else central differences"


def rows_of(found: Explanation) -> list[tuple[str, str]]:
    """What there is to say, each under its heading, in order."""
    gates = ", ".join(f"{count} {name}" for name, count in found.gates.items())
    layers, samples = len(found.runs_of_layers), found.schedule["samples_in_a_tile"]
    idle = found.num_qubits - found.num_simulated_qubits - found.num_settled_qubits
    rotations = _many(found.num_rotations, "rotation")
    qubits = _many(found.num_qubits, "qubit") + (f" ({idle} idle, not simulated)" if idle else "")
    lanes = _lanes(found)
    passes = [
        ("fusion", f"{rotations}: {_many(sum(found.runs_of_layers), 'run')} in {_many(layers, 'layer')}"),
        ("diagonal merging", f"{_many(sum(found.characters_of_phases), 'factor')} in {_many(layers, 'phase')}"),
        ("product state", f"{_many(found.runs_of_layers[0] if layers else 0, 'run')} of the first layer"),
        ("symmetry reduction", f"{_many(found.num_settled_qubits, 'qubit')} settled by symmetries"),
        ("halved start", _halves(found)),
        ("shared prefix", f"{found.prefix_layers} of {_many(layers, 'layer')}"),
        ("observable absorption", f"{_many(found.absorbed_runs, 'run')} of the last layer"),
        ("sweeps", " + ".join(map(str, found.sweeps_of_layers)) or "none"),
    ]
    if found.controls or found.dense_qubits:
        dense = f" and {_matrices(found.dense_qubits)}" if found.dense_qubits else ""
        passes = [("step by step", f"{rotations}{dense}: {found.swept:.3g} passes over the state")]
    if any(found.controls):
        together = f"{rotations} as {len(found.controls)} that act where controls say"
        passes.insert(0, ("taken together", together))
    rows = [
        ("circuit", f"{qubits}, {_many(sum(found.gates.values()), 'gate')}" + (f": {gates}" if gates else "")),
        ("permutation folding", f"{found.num_relabellings} CX, SWAP and X move no amplitude"),
        *passes,
        *[("amplitude encoding", f"{_short(name)}: a tree of rotations") for name in found.encodings],
        *[("numbers only", f"{_short(name)}: {_BOUND}") for name in found.bound],
        ("values of a sample", _work(found.values)),
        ("its gradients", _work(found.gradients)),
        ("engine", f"{found.instruction_set}, {found.precision}, {lanes} in a vector"),
        ("batch", f"{found.batch_size} in tiles of {samples} on {_many(found.schedule['num_threads'], 'thread')}"),
        ("kets", "kept" if found.schedule["keeps_kets"] else "undone along with the bra"),
        (
            "memory",
            f"{said_bytes(found.schedule['scratch_bytes'])} scratch, {said_bytes(found.schedule['tape_bytes'])} tape",
        ),
        *[(f"method {name}", _said(offer, name == found.chosen)) for name, offer in found.methods.items()],
        *([("kernels", found.kernels)] if found.kernels else []),
        *([("a training step", _spent(found.spending))] if found.spending != Spending() else []),
    ]
    return rows


def _halves(found: Explanation) -> str:
    if found.halves is None:
        return "none"
    low, high, glue = found.halves
    layers = found.sweeps_of_layers.count(0) - (found.words > 0 and found.absorbed_runs > 0)
    started = f"{layers} layers on {low - glue} and {high - glue} qubits, a sum of {2**glue} products of states"
    if not found.words:
        return started
    return f"{started}, never joined: {found.words} Pauli words by {_many(found.half_words, 'half-word')}"


def _said(offer: Cost | Refusal, is_chosen: bool) -> str:
    if isinstance(offer, Refusal):
        return f"refuses: {offer.reason}"
    taken = ", chosen" if is_chosen else ""
    if math.isinf(offer.seconds):
        return f"takes as long as who computes elsewhere{taken}"
    milliseconds = float(f"{1e3 * offer.seconds:.2g}")
    return f"about {milliseconds:g} ms and {said_bytes(offer.bytes)} a call with gradients{taken}"


def _spent(spending: Spending) -> str:
    counts = [("job", spending.jobs), ("PUB", spending.pubs), ("circuit", spending.circuits), ("shot", spending.shots)]
    return ", ".join(f"{count:,} {name}{'' if count == 1 else 's'}" for name, count in counts if count)


def _short(name: str) -> str:
    return name.removeprefix("circuit: ")


def _lanes(found: Explanation) -> str:
    lanes, samples = found.schedule["lanes"], found.schedule["samples_in_a_tile"]
    if not found.schedule["is_spread"]:
        return f"{lanes} samples"
    return f"{lanes} amplitudes" if samples == 1 else f"{lanes // samples} amplitudes of each of {samples} samples"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _matrices(dense_qubits: Sequence[int]) -> str:
    sizes = ", ".join(f"{count} on {_many(size, 'qubit')}" for size, count in sorted(Counter(dense_qubits).items()))
    return f"{len(dense_qubits)} {'matrix' if len(dense_qubits) == 1 else 'matrices'} ({sizes})"


def _work(work: Work) -> str:
    return f"{scaled(work.flops, 1000)}flop, {said_bytes(work.bytes)} read and written"
