"""A model as a Fourier series of its inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .._core.arguments import tensor_of, whole_number
from .._core.shown import Result
from .._differentiation import autograd
from .._program.evolution import Evolution
from .._program.output import ExpectationValues, Output
from .._program.program import Program
from .._reading.polynomials import Polynomial
from .._simulation.choose import Runners, require_exact
from .._simulation.room import require_bytes
from .._simulation.states import states_at_once
from ..modules.initial import Initial, random_numbers
from ..modules.module import QuantumModule
from ..outputs import Fidelity, Probabilities
from ..outputs.columns import Columns
from .axes import axes_of
from .family import Real, weights_of
from .spectrum import Encoding, encoding_of, present_weights, require_inputs

Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True, eq=False, repr=False)
class FourierCoefficients(Result):
    """What `fourier_coefficients` finds.

    Attributes:
        frequencies: Angular frequencies of each input, shape (F, input_size), in ascending order.
        coefficients: Of each frequency and output, shape ``(F, *shape)``; of random weights
            ``(samples, F, *shape)``.
        samples: Number of random weights; None: those of the model.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> found = qtm.analysis.fourier_coefficients(model, samples=5)
        >>> found.coefficients.shape
        (5, 9, 2)
    """

    frequencies: Real = field(repr=False)
    coefficients: Complex = field(repr=False)
    samples: int | None = None

    @property
    def value(self) -> Real:
        """The squared size of each coefficient, its mean over random weights; shape ``(F, *shape)``."""
        power = np.abs(self.coefficients) ** 2
        return power if self.samples is None else power.mean(0)

    @property
    def standard_error(self) -> Real:
        """That of the mean power, 0 where nothing is random; shape ``(F, *shape)``."""
        if self.samples is None:
            return np.zeros(self.coefficients.shape)
        error: Real = (np.abs(self.coefficients) ** 2).std(0, ddof=1) / math.sqrt(self.samples)
        return error

    def __call__(self, inputs: Any) -> Real:
        """The series at inputs (B, input_size); ``(B, *shape)``, or of random weights ``(samples, B, *shape)``."""
        rows = tensor_of(inputs, torch.float64, argument="inputs").detach().numpy()
        width = self.frequencies.shape[1]
        if rows.ndim != 2 or rows.shape[1] != width:
            raise ValueError(f"inputs: expected shape (B, {width}), one column for each input, got {rows.shape}")
        waves = np.exp(1j * rows @ self.frequencies.T)
        place = 0 if self.samples is None else 1
        return np.moveaxis(np.tensordot(waves, self.coefficients, (1, place)), 0, place).real

    def plot(self, axes: Any = None, output: int = 0) -> Any:
        """Coefficients of one output; returns the axes (None: the current ones of matplotlib).

        Real and imaginary parts against the frequency, for random weights as in the paper; for two inputs the root of
        the power as an image; for more, against the length of the frequency.
        """
        axes, width = axes_of(axes), self.frequencies.shape[1]
        if width == 2:
            return _image(axes, self.frequencies, np.sqrt(self.value.reshape(len(self.frequencies), -1)[:, output]))
        lead = 1 if self.samples is None else self.samples
        columns = self.coefficients.reshape(lead, len(self.frequencies), -1)[:, :, output]
        if width > 2:
            lengths = np.linalg.norm(self.frequencies, axis=1)
            axes.plot(lengths, np.abs(columns).T, ".", color="tab:blue", alpha=0.5)
            axes.set(xlabel="length of the frequency", ylabel="|c|")
            return axes
        for shift, name, part in ((-0.1, "real part", columns.real), (0.1, "imaginary part", columns.imag)):
            gap = np.diff(self.frequencies[:, 0]).min() if len(self.frequencies) > 1 else 1.0
            places = np.tile(self.frequencies[:, 0] + shift * gap, lead)
            axes.plot(places, part.ravel(), ".", alpha=0.8 if lead == 1 else 0.3, label=name)
        axes.axhline(0.0, color="gray", linewidth=0.8)
        axes.set(xlabel="frequency", ylabel="coefficient")
        axes.legend()
        return axes


def _image(axes: Any, frequencies: Real, sizes: Real) -> Any:
    points = axes.scatter(*frequencies.T, c=sizes, marker="s", s=80)
    axes.margins(0.1)
    axes.figure.colorbar(points, ax=axes, label="|c|")
    axes.set(xlabel="frequency of input 0", ylabel="frequency of input 1", aspect="equal")
    return axes


def fourier_coefficients(
    model: QuantumModule,
    samples: int | None = None,
    *,
    initial: Initial | None = "uniform",
    generator: torch.Generator | int | None = None,
) -> FourierCoefficients:
    """The coefficients of a model as a Fourier series of its inputs: f(x) = sum of c exp(i frequency x).

    Exact: the frequencies are those of `fourier_spectrum`, read from the circuit, and a fast Fourier transform of the
    values on a grid that they ask for, one native call, gives all coefficients. Frequencies need not be whole: units
    that are no multiples of each other are dimensions of the grid.

    Source: Schuld, Sweke and Meyer, "Effect of data encoding on the expressive power of variational quantum machine
    learning models", Physical Review A 103, 032430 (2021), arXiv:2008.08605.

    Args:
        model: A `QuantumModule` whose angles are linear in its inputs, and whose outputs are expectation values,
            `Probabilities` or `Fidelity`.
        samples: Number of random weights; None: those of the model.
        initial: How random weights are drawn, as `variational_params_initial` of `QuantumModule`; None: as the model
            starts.
        generator: Of random numbers: a generator of PyTorch, or a seed; None: the global one.

    Returns:
        Frequencies and coefficients. Called with inputs, they are the model again.

    Raises:
        TypeError: an argument is of the wrong kind, or an output has other frequencies than the encoding.
        ValueError: the model's method estimates; there are no inputs, an angle is not linear in them, which is named,
            or its coefficient is a random weight; or the grid takes more than the memory budget.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> found = qtm.analysis.fourier_coefficients(model, samples=5)
        >>> found.samples
        5
    """
    require_inputs(model)
    require_exact(model._runners.method, "model")
    program = model._program
    _require_quadratic(program.output)
    if samples is None:
        encoding = encoding_of(program.evolution, present_weights(model))
        return FourierCoefficients(*_of(model, encoding, [encoding])[:2])
    samples = whole_number(samples, "samples", 2)
    with random_numbers(generator):
        weights = weights_of(model, samples, initial)
    encodings = [encoding_of(program.evolution, row) for row in weights]
    first = encodings[0]
    if any(one.units != first.units or not np.array_equal(one.multiples, first.multiples) for one in encodings):
        raise ValueError(
            "samples: expected frequencies that do not depend on weights, got angles in which weights scale inputs; "
            "leave samples out for the present weights"
        )
    frequencies, coefficients = _of(model, first, encodings)
    return FourierCoefficients(frequencies, coefficients, samples)


def _of(model: QuantumModule, encoding: Encoding, encodings: Sequence[Encoding]) -> tuple[Real, Complex]:
    """Frequencies, and coefficients (F, *shape) or (samples, F, *shape), of encodings that differ by offsets alone."""
    places = np.argwhere(encoding.redundancies() > 0.0)
    frequencies = encoding.frequencies(places)
    order = np.lexsort(frequencies.T[::-1])
    middle = np.array(encoding.sizes, dtype=np.int64) // 2
    index = tuple((places[order] - middle).T)  # negative frequencies are the last ones of a transform
    encoding.require_memory(32.0 * model.output_size + 8.0 * len(encoding.sizes))
    size = 32 * len(encodings) * len(places) * model.output_size  # all, and each while they are put together
    require_bytes(size, f"samples: the coefficients of {len(encodings):,} samples", "draw fewer")
    found = []
    for values in _values(model, encoding, encodings):
        transformed = np.fft.fftn(values, axes=range(len(encoding.sizes)), norm="forward")
        found.append(transformed[index] if index else transformed[None])
    return frequencies[order], found[0] if len(encodings) == 1 else np.stack(found)


def _values(model: QuantumModule, encoding: Encoding, encodings: Sequence[Encoding]) -> Any:
    """On the grid (*sizes, *shape), one after the other."""
    evolution, moved = _on_torus(model._program.evolution, encoding)
    program = Program(evolution, model._program.output)
    runners, sums = Runners(program, None), model._sums
    steps = [2.0 * math.pi / size * torch.arange(size, dtype=torch.float64) for size in encoding.sizes]
    rows = torch.cartesian_prod(*steps).reshape(math.prod(encoding.sizes), -1) if steps else torch.zeros(1, 0)
    trained = [vector.detach().double().cpu() for vector in model._coefficients()]
    size = states_at_once(len(rows), 1 << evolution.num_qubits)
    for one in encodings:
        weights = torch.from_numpy(np.concatenate([one.offsets[list(moved)], one.diagonals]))
        parts = []
        for part in torch.split(rows.double(), size):
            values = autograd.values(runners(part), (0, 0), part, weights)
            parts.append(values if sums is None else sums.of(values, trained))
        values = torch.cat(parts)
        yield values.reshape(*encoding.sizes, *values.shape[1:]).numpy()


def _on_torus(evolution: Evolution, encoding: Encoding) -> tuple[Evolution, tuple[int, ...]]:
    """The evolution as a function of angles on the torus, its inputs; its weights are the offsets of some rotations.

    Returns those rotations as well; after their offsets come the angles of all diagonals.
    """
    num_inputs = len(encoding.sizes)
    multiples = dict(zip(encoding.rotations, encoding.multiples.tolist(), strict=True))
    moved = tuple([r for r, rotation in enumerate(evolution.rotations) if rotation.angle.degree > 0])
    rotations = list(evolution.rotations)
    for weight, r in enumerate(moved):
        turns = [((t,), float(m)) for t, m in enumerate(multiples.get(r, ())) if m]
        angle = Polynomial.sum_of([*turns, ((num_inputs + weight,), 1.0)])
        rotations[r] = replace(rotations[r], angle=angle)
    first = num_inputs + len(moved)
    diagonals = [replace(one, angle=Polynomial.variable(first + d)) for d, one in enumerate(evolution.diagonals)]
    torus = replace(
        evolution.underived,
        num_inputs=num_inputs,
        num_weights=len(moved) + len(diagonals),
        rotations=tuple(rotations),
        diagonals=tuple(diagonals),
        phase=Polynomial(),
    )
    return torus, moved


def _others(part: Any) -> bool:
    """Whether an output reads states of other circuits, too."""
    return isinstance(part, Output) and bool(part.evolutions)


def _require_quadratic(output: ExpectationValues | Output) -> None:
    """Checks that what is read is a Hermitian form of the state, whose frequencies are those of the encoding."""
    parts = output.outputs if isinstance(output, Columns) else [output]
    for part in parts:
        if not isinstance(part, (ExpectationValues, Probabilities, Fidelity)) or _others(part):
            raise TypeError(
                "model: expected expectation values, Probabilities or Fidelity, which have the frequencies of the "
                f"encoding, got {type(part).__name__}"
            )
