"""Shots of a module."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch

from .._core.arguments import flag, generator_of, whole_number
from .._core.sizes import counted
from .._reading import compat
from .._reading.measurements import Measurements
from .._simulation.draws import CHUNK, drawn
from .._simulation.outcomes import probabilities
from .._simulation.room import require_bytes
from .._simulation.states import states_at_once
from ..primitives.measured import Measured

if TYPE_CHECKING:
    from .module import QuantumModule

# Its engine is made once.
_works: WeakKeyDictionary[QuantumModule, Measured] = WeakKeyDictionary()


def sampled(model: QuantumModule, input: Any, shots: Any, generator: Any, as_tensor: Any) -> Any:
    """As `QuantumModule.sample`."""
    shots, as_tensor = whole_number(shots, "shots", 1), flag(as_tensor, "as_tensor")
    generator = generator_of(generator)
    if not as_tensor and compat.SamplerPub is None:
        raise TypeError("as_tensor: Qiskit has a BitArray from version 1.0 on; give as_tensor=True, or use a newer one")
    inputs, weights, _ = model._variables(input)
    if inputs.is_meta:
        raise TypeError("sample: expected a model and an input with numbers, got them on device meta, which has none")
    lead, device = inputs.shape[:-1], inputs.device
    flat = inputs.detach().reshape(math.prod(lead), model.input_size).to("cpu", torch.float64)
    row = torch.cat([flat.new_empty(0), *(vector.detach().to("cpu", torch.float64) for vector in weights)])
    work = _work(model)
    num_bits = len(work.measurements.bits)
    _require_room(len(flat), shots, num_bits, as_tensor)
    array = _bytes(work, flat, row, shots, generator, model.num_threads_forward)
    array = array.reshape(*lead, *array.shape[1:])
    if not as_tensor:
        return compat.BitArray(array, num_bits)
    # The highest bit comes first.
    bits = np.unpackbits(array, axis=-1)[..., : -num_bits - 1 : -1]
    return torch.from_numpy(bits.copy()).to(device)  # strides of a single number may be negative


def _require_room(num_rows: int, shots: int, num_bits: int, as_tensor: bool) -> None:
    """Checks that shots fit the memory budget, eight bits a byte, and for a tensor one a byte, twice.

    Raises:
        ValueError: they do not.
    """
    num_bytes = -(-num_bits // 8)
    size = num_rows * shots * (num_bytes + (8 * num_bytes + num_bits if as_tensor else 0))
    leaner = "leave as_tensor out, " if as_tensor and compat.SamplerPub is not None else ""
    require_bytes(
        size, f"shots: the bits of {counted(shots, 'shot')} of {counted(num_rows, 'sample')}", f"{leaner}draw fewer"
    )


def _work(model: QuantumModule) -> Measured:
    """The measured bits of its circuit, or all qubits of one that measures nothing."""
    evolution, work = model._program.evolution, _works.get(model)
    if work is None or work.program.evolution is not evolution:
        measurements = model._final_measurements()
        if not measurements.qubits:
            measurements = Measurements(tuple(range(model._num_qubits)))
        work = _works[model] = Measured.of(evolution, measurements)
    return work


def _bytes(
    work: Measured, inputs: torch.Tensor, weights: torch.Tensor, shots: int, generator: Any, num_threads: int
) -> npt.NDArray[np.uint8]:
    """Shape (B, shots, bytes)."""
    bits = work.measurements.bits
    array = np.zeros((len(inputs), shots, -(-len(bits) // 8)), dtype=np.uint8)
    write = work.writer(bits, len(inputs) * shots)
    at_once = states_at_once(len(inputs), work.num_amplitudes)
    for first in range(0, len(inputs), at_once):
        try:
            table = probabilities(work.program, work.outcomes, inputs[first : first + at_once], weights, num_threads)
        except ValueError as error:
            origins = work.program.evolution.origins
            fault = None if origins is None else origins.fault(inputs, weights)  # by the number of its sample in all
            raise error if fault is None else ValueError(fault) from None
        for number, row in enumerate(table, first):
            for chunk, outcomes in drawn(row, shots, lambda count: _uniform(count, generator)):
                write(outcomes, array[number, chunk])
    return array


def _uniform(count: int, generator: torch.Generator | None) -> Iterator[npt.NDArray[np.float64]]:
    device = "cpu" if generator is None else generator.device
    for begin in range(0, count, CHUNK):
        size = min(CHUNK, count - begin)
        yield torch.rand(size, dtype=torch.float64, generator=generator, device=device).numpy(force=True)
