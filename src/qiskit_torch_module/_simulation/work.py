"""Operations and bytes of a plan, counted: what `explain` says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._program.controlled import parts, sweeps
from .._program.dense import Matrix, Step
from .._program.effort import counts_of_flips
from .._program.layers import Rotation
from .._program.unjoined import Unjoined
from .._reading.paulis import PauliTerms


@dataclass(frozen=True)
class Work:
    """Of one sample: real floating-point operations and bytes of state read and written, as the sweeps are counted.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> work = qtm.explain(circuit, x).gradients
        >>> work.flops > 0, work.bytes > 0
        (True, True)
    """

    flops: float
    bytes: float


# Real operations on an amplitude: a complex product, or a rotation by cosine and sine; one by its tangent; moments X
# and Y of a run, or the one of a step. And a product of amplitudes of two halves, added up.
_PRODUCT, _ROTATION, _MOMENTS, _MOMENT, _JOINED = 6, 4, 8, 4, 8


def work_of_layers(
    num_qubits: int,
    runs: Sequence[int],
    sweeps: Sequence[int],
    products: Sequence[int],
    absorbed: int,
    amplitude: int,
    shared_layers: int,
    batch_size: int,
    branches: int | None,
) -> tuple[Work, Work]:
    """Operations and bytes as written in src/engine; bytes without a cache. `products`: of the phase before a layer.

    What halves take by themselves, which are small, is left out.
    """
    forward = backward = read = kept = 0.0
    skipped = sweeps.count(0) if branches else 0
    if branches:
        forward, backward, read, kept = _JOINED * branches, 2 * _JOINED * branches, 1, 2
    for layer, (count, passes, before) in enumerate(zip(runs, sweeps, products, strict=True)):
        if layer < skipped:
            continue
        share = 1 / batch_size if layer < shared_layers else 1.0
        phase = _PRODUCT * before
        if absorbed and layer + 1 == len(runs):
            forward += phase + _MOMENTS / 2 * absorbed
            backward += phase + _ROTATION * absorbed
            read, kept = read + 2 * passes, kept + 2 * passes
            continue
        applied = phase + _ROTATION * count if layer > 0 else 0
        forward += share * applied
        backward += share * (applied + _MOMENTS * count)
        read, kept = read + share * 2 * passes, kept + share * (3 * passes if layer > 0 else 2)
    size = float(2**num_qubits)
    return Work(forward * size, read * amplitude * size), Work(backward * size, kept * amplitude * size)


def work_of_halves(unjoined: Unjoined, amplitude: int) -> tuple[Work, Work]:
    """As above, where the halves are never joined; what a batch shares is counted for every sample."""
    forward = backward = read = kept = 0.0
    for half in (unjoined.halves.low, unjoined.halves.high):
        size = 2.0**half.num_qubits
        for layer in half.layers[1:]:
            applied = _PRODUCT + _ROTATION * len(layer.runs)
            forward += size * applied
            backward += size * (applied + _MOMENTS * len(layer.runs))
        read += 2 * size * len(half.layers)
        kept += 3 * size * len(half.layers)
    sizes = [2.0**half.num_qubits for half in (unjoined.halves.low, unjoined.halves.high)]
    branches = 2.0**unjoined.halves.glue
    for gram in unjoined.grams:
        near, far = sizes[gram.half], sizes[1 - gram.half]
        forward += _JOINED * (branches / 2 * near + branches * far + gram.num_flips * far)
        backward += _JOINED * (branches * 1.5 * far + branches * near + 2 * gram.num_flips * far)
        read += near + (2 + gram.num_flips) * far
        kept += near + (4 + gram.num_flips) * far
    return Work(forward, read * amplitude), Work(backward, kept * amplitude)


def work_of_steps(num_qubits: int, steps: Sequence[Step], amplitude: int) -> tuple[Work, Work]:
    """As above: a step passes over its part of the state, on the way back over ket and bra, from the last ket on."""
    forward = backward = 0.0
    for step, part in zip(steps, parts(steps, num_qubits), strict=True):
        product = 8 * step.columns if isinstance(step, Matrix) else _PRODUCT
        undone = _ROTATION if isinstance(step, Rotation) else product
        forward += part * product
        backward += part * (2 * undone + (0 if isinstance(step, Matrix) else _MOMENT))
    size = float(2**num_qubits)
    passes = 2 * amplitude * sweeps(steps, num_qubits) * size
    return Work(forward * size, passes), Work(backward * size, 2 * passes)


# Terms that go through the state together; real operations on an amplitude: a product of two, added up; its sign and
# a sum; a number times an amplitude, added to the bra.
_AT_ONCE, _OVERLAP, _SIGNED, _SEEDED = 32, 3, 2, 4


def work_of_terms(num_qubits: int, terms: PauliTerms, amplitude: int) -> tuple[Work, Work]:
    """What reading Pauli terms from the last state, and starting the way back with them, take; nothing is absorbed."""
    read = seeded = 0.0
    few = passes = 0
    for count in counts_of_flips(terms).tolist():
        if 2 * count > num_qubits:  # by a transform
            read += _OVERLAP + num_qubits
            seeded += _SEEDED + num_qubits
            passes += 1
        else:  # one of each pair of amplitudes
            read += count * (_OVERLAP + _SIGNED) / 2
            seeded += count * _SEEDED
            few += count
    size = float(2**num_qubits)
    passes += -(-few // _AT_ONCE)
    return Work(read * size, 2 * amplitude * passes * size), Work(seeded * size, 3 * amplitude * passes * size)
