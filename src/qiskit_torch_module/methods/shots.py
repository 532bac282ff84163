"""Expectation values from finite numbers of shots, which are drawn natively."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .._core.arguments import whole_number
from .._program.program import Program
from .._program.rotations import varying
from .._program.settings import Setting
from .._simulation.costs import native_seconds, refused_states
from .._simulation.engines import engine_of
from .._simulation.method import Cost, Method, Optional, Refusal, Runner, Spending, Task
from .._simulation.native import Native
from .._simulation.threads import engine_threads
from ..outputs.probabilities import Probabilities
from .counts import drawn_counts
from .estimated import Estimated
from .rules import ParameterShift, Rule, rule_of
from .stream import Stream

Array = npt.NDArray[np.float64]

EXACT = "exact"
_PROBABILITIES = Probabilities()  # type: ignore[abstract]  # frozen dataclasses have a hash
# So many shots are noisier than single precision rounds, by a factor of a hundred.
_MOST_SHOTS_OF_SINGLE = 10**8
# A table says what is read of every outcome where it has no more numbers; else each shot is looked at by itself.
_MOST_NUMBERS_OF_TABLE = 1 << 20
_SHOTS_AT_ONCE = 1 << 18
# Outcomes that are held at once, 256 MiB of them; those of further rows have a seed of their own.
_MOST_OUTCOMES = 1 << 26
# More shots than that, and than so many for each outcome, are counted by outcomes.
_MOST_ONE_BY_ONE, _MOST_OF_OUTCOME = 10**6, 4
# States whose probabilities are computed together before they are drawn from, as in the engine; larger ones take all
# threads. The numbers of a batch that is computed otherwise are rounded otherwise.
_AMPLITUDES_AT_ONCE, _MOST_QUBITS_OF_THREAD = 1 << 15, 21
# Angles of so many periods lose as many digits in single precision as a state of many gates does.
_MOST_TURNS = 4
# Seconds of a call with gradients, of each rotation in PyTorch, and the share of these that values take; to add up the
# probability of an amplitude, and to draw a shot, or how often an outcome is found, and all of a row.
_SECONDS_OF_CALL, _SECONDS_OF_ROTATION, _SHARE_OF_VALUES = 6e-4, 2.5e-5, 0.4
_SECONDS_OF_AMPLITUDE, _SECONDS_OF_SHOT = 1.5e-9, 7e-9
_SECONDS_OF_COUNT, _SECONDS_OF_COUNTED = 1.5e-7, 6e-5
# Bytes of an amplitude whose probability is drawn from, one by one or counted.
_BYTES_ONE_BY_ONE, _BYTES_COUNTED = 24.0, 72.0


class Shots(Method):
    """Expectation values of Paulis as measurements find them: means over shots, drawn from the states of the engine.

    Paulis that can be measured at once, qubit by qubit, share a setting, and so their shots; each setting has `n` shots
    of its own for every sample. Every call draws new ones: the stream of random numbers moves on. What is drawn does
    not depend on the number of threads. More than a million shots, and than four for each outcome, are not drawn one
    by one: how often each outcome is found is drawn from a multinomial distribution, in a time that does not grow with
    `n`.

    Args:
        n: Shots of each setting, at most 2**48.
        gradient: "parameter_shift": two values for each rotation, each with shots of its own; "spsa", "guided_spsa":
            along random directions; or a rule with options, such as ``qtm.methods.SPSA(directions=4)``. "exact": values
            are sampled, gradients are those of the native engine, without noise.
        generator: A seed, a generator of PyTorch (which is shared), or None: the global one of PyTorch.

    Raises:
        TypeError, ValueError: an argument cannot be used.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> shots = qtm.methods.Shots(1000, generator=0)
        >>> model = qtm.QuantumModule(circuit, x, w, method=shots, seed_init=0)
        >>> values = model(torch.zeros(3, 2))
        >>> values.shape, shots.standard_errors.shape
        (torch.Size([3, 2]), torch.Size([3, 2]))
    """

    name = "shots"
    is_exact = False

    def __init__(
        self, n: int, gradient: str | Rule = "parameter_shift", generator: torch.Generator | int | None = None
    ) -> None:
        self.n, self.stream = whole_number(n, "n", 1), Stream(generator)
        rule = rule_of(gradient, (EXACT,))
        self.rule = None if isinstance(rule, str) else rule
        if isinstance(gradient, str) and hasattr(rule, "stream"):
            rule.stream = self.stream  # one seed for all that is drawn
        self._last = _Last()

    @property
    def standard_errors(self) -> torch.Tensor | None:
        """Of the values of the last call, shape (B, M) for a batch of B rows, float64; None before.

        NaN for a single shot, which tells nothing of its error.
        """
        return self._last.standard_errors

    def cost(self, program: Program, task: Task) -> Cost | Refusal:
        """Of the states of all settings and shifts, and of drawing from them."""
        if task.device != "cpu":
            return Refusal(f"it samples on the CPU, not on '{task.device}'; use model.cpu()")
        refusal = Estimated.refusal(program)
        if refusal is None and (reason := program.evolution.too_wide) is not None:
            refusal = Refusal(reason)
        if refusal is None and program.evolution.frame is None:
            refusal = Refusal("its file does not say which qubits are measured; build the model from its circuit")
        states = Program(program.evolution, _PROBABILITIES)
        refusal = refusal or refused_states(states, Task(dtype=self._dtype))
        if refusal is not None:
            return refusal
        rows = task.batch_size
        if task.order and self.rule is not None:
            rows += self.rule.num_bindings(program, task.batch_size)
        rows *= len(program.settings)
        threads = max(1, min(task.num_threads, rows))
        amplitudes = 2.0**program.evolution.num_qubits
        evolved = native_seconds(states, Task(max(rows, 1), self._dtype, order=0, num_threads=threads))
        counts = _counts_outcomes(self.n, program.evolution.num_qubits)
        drawn = rows * (amplitudes * _SECONDS_OF_COUNT + _SECONDS_OF_COUNTED)
        if not counts:
            drawn = rows * (amplitudes * _SECONDS_OF_AMPLITUDE + self.n * _SECONDS_OF_SHOT) / threads
        exact = native_seconds(program, task) if self.rule is None and task.order else 0.0
        fixed = _SECONDS_OF_CALL + len(program.evolution.rotations) * _SECONDS_OF_ROTATION
        memory = _BYTES_COUNTED if counts else _BYTES_ONE_BY_ONE * threads
        fixed *= 1 if task.order else _SHARE_OF_VALUES
        return Cost(fixed + evolved + drawn + exact, memory * amplitudes)

    @property
    def _dtype(self) -> torch.dtype:
        return torch.float32 if self.n <= _MOST_SHOTS_OF_SINGLE else torch.float64

    def prepare(self, program: Program) -> Runner:
        """Plans nothing yet."""
        return ExactGradients(program, self) if self.rule is None else ShotsRunner(program, self, self.rule)

    def __repr__(self) -> str:
        gradient = f"'{EXACT}'" if self.rule is None else repr(self.rule)
        return f"Shots({self.n}, gradient={gradient})"


def _counts_outcomes(shots: int, num_qubits: int) -> bool:
    return shots > max(_MOST_ONE_BY_ONE, _MOST_OF_OUTCOME << num_qubits)


class _Last:
    """What is known of the last call."""

    standard_errors: torch.Tensor | None = None


class ShotsRunner(Estimated):
    """Means over shots of the native engine."""

    method: Shots
    _means: list[Array]  # of the last estimates

    @property
    def precision(self) -> float:  # type: ignore[override]
        """That of a Pauli of expectation value 0."""
        return 1 / math.sqrt(self.method.n)

    @cached_property
    def _readers(self) -> list[_Reader]:
        evolution = self.program.apart.evolution
        return [
            _Reader(Program(setting.after(evolution), _PROBABILITIES), setting) for setting in self.program.settings
        ]

    @cached_property
    def _columns(self) -> list[int]:
        return varying(self.program.evolution)

    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, Any]:
        """As `Estimated.values`; the method keeps the standard errors."""
        found = super().values(inputs, weights, num_threads, record)
        self.method._last.standard_errors = self._standard_errors(len(inputs))
        return found

    def estimates(self, angles: torch.Tensor, num_threads: int = 0) -> torch.Tensor:
        """As `Estimated.estimates`: means over new shots."""
        output, method = self.program.expectation_values, self.method
        assert output is not None
        rows, threads = self._rows(angles), engine_threads(num_threads)
        values = np.tile(output.constants, (len(rows), 1))
        self._means = [reader.means(rows, method.n, method.stream.seed(), threads) for reader in self._readers]
        for reader, means in zip(self._readers, self._means, strict=True):
            reader.add_values(means, values)
        return torch.from_numpy(values)

    def _rows(self, angles: torch.Tensor) -> npt.NDArray[Any]:
        """Those that vary, in the precision of the simulation."""
        rows = angles.numpy()
        if len(self._columns) < rows.shape[1]:
            rows = rows[:, self._columns]
        if rows.size and max(rows.max(), -rows.min()) > _MOST_TURNS * 4 * math.pi:  # digits would be lost
            rows = np.remainder(rows, 4 * math.pi)
        return np.ascontiguousarray(rows, np.float32 if self.method._dtype == torch.float32 else np.float64)

    def _standard_errors(self, count: int) -> torch.Tensor:
        """Of the first rows of the last estimates."""
        variances = np.zeros((count, self.program.output_size))
        for reader, means in zip(self._readers, self._means, strict=True):
            reader.add_variances(means[:count], variances)
        with np.errstate(invalid="ignore"):  # 0 / 0: one shot does not tell
            return torch.from_numpy(np.sqrt(variances / np.float64(self.method.n - 1)))

    def spending(self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], wants: Sequence[bool]) -> Spending:
        """As `Runner.spending`: circuits and shots, all of which are done here."""
        count = len(inputs)
        if any(wants):
            widths = [inputs.shape[1], *map(len, weights)]
            is_wanted = [want for want, width in zip(wants, widths, strict=True) for _ in range(width)]
            count += self.rule.num_bindings(self.program, len(inputs), is_wanted)
        circuits = count * len(self.program.settings)
        return Spending(circuits=circuits, shots=circuits * self.method.n)


class ExactGradients(Runner):
    """Means over shots; gradients of the native engine."""

    def __init__(self, program: Program, method: Shots) -> None:
        super().__init__(program, method)
        self._sampled, self._native = ShotsRunner(program, method, ParameterShift()), Native().prepare(program)

    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, Any]:
        """Shape (B, M); nothing is recorded."""
        return self._sampled.values(inputs, weights, num_threads)

    def spending(self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], wants: Sequence[bool]) -> Spending:
        """As `Runner.spending`: that of the values."""
        return self._sampled.spending(inputs, weights, ())

    def pull_back(
        self,
        cotangent: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        wants: Sequence[bool],
        num_threads: int = 0,
        tape: Any = None,
    ) -> Optional:
        """As that of the native engine."""
        return self._native.pull_back(cotangent, inputs, weights, wants, num_threads)


class _Reader:
    """Reads the observables of a setting from shots.

    Args:
        program: Reads the probabilities of a circuit that ends in the basis of Z.
        setting: What its bits mean.
    """

    def __init__(self, program: Program, setting: Setting) -> None:
        self._program, self.setting = program, setting
        self._sums = np.searchsorted(setting.observables, setting.sums)
        # A term by itself has the same square whatever is found.
        self._squares = np.zeros(len(setting.observables))
        self._squares[np.searchsorted(setting.observables, setting.observable)] = setting.coefficient**2

    @cached_property
    def _table(self) -> Array | None:
        """For every outcome, what is read of each observable, and its square if it varies; None: it would be large."""
        count = 1 << self._program.evolution.num_qubits
        if count * (len(self._squares) + len(self._sums)) > _MOST_NUMBERS_OF_TABLE:
            return None
        return self._values(np.arange(count, dtype=np.uint32))

    def _values(self, bits: npt.NDArray[np.uint32]) -> Array:
        values = self.setting.values(bits)
        return np.ascontiguousarray(np.concatenate([values, values[..., self._sums] ** 2], axis=-1))

    def means(self, rows: npt.NDArray[Any], shots: int, seed: int, num_threads: int) -> Array:
        """Means over shots of each observable, and of the squares of those that vary: shape (K, columns).

        Args:
            rows: Angles (K, R) that vary.
            shots: How many.
            seed: What they are drawn by.
            num_threads: As the engine takes it.
        """
        engine, nothing = engine_of(self._program), np.empty(0, rows.dtype)
        if _counts_outcomes(shots, self._program.evolution.num_qubits):
            return self._counted_means(rows, shots, seed, num_threads)
        if self._table is not None:
            return engine.drawn_means(rows, nothing, self._table, shots, seed, num_threads)
        at_once = max(1, _MOST_OUTCOMES // shots)
        parts = [rows[first : first + at_once] for first in range(0, len(rows), at_once)] or [rows]
        outcomes = (engine.drawn_outcomes(part, nothing, shots, seed + i, num_threads) for i, part in enumerate(parts))
        return np.concatenate([self._means_of(one) for one in outcomes])

    def _counted_means(self, rows: npt.NDArray[Any], shots: int, seed: int, num_threads: int) -> Array:
        engine, nothing = engine_of(self._program), np.empty(0, rows.dtype)
        num_qubits, generator = self._program.evolution.num_qubits, np.random.default_rng(seed)
        threads = num_threads if num_qubits > _MOST_QUBITS_OF_THREAD else 1
        at_once = max(1, _AMPLITUDES_AT_ONCE >> num_qubits)
        means = []
        for first in range(0, len(rows), at_once):
            probabilities = engine.values(rows[first : first + at_once], nothing, threads)
            means.append(self._weighted(drawn_counts(probabilities, shots, generator) / shots))
        return np.concatenate(means) if means else np.empty((0, len(self._squares) + len(self._sums)))

    def _weighted(self, shares: Array) -> Array:
        """Means over outcomes of which each has a share, (K, 2^n)."""
        if self._table is not None:
            return shares @ self._table
        parts = range(0, shares.shape[1], _SHOTS_AT_ONCE)
        bits = np.arange(shares.shape[1], dtype=np.uint32)
        return sum(
            (shares[:, i : i + _SHOTS_AT_ONCE] @ self._values(bits[i : i + _SHOTS_AT_ONCE]) for i in parts),
            np.zeros((len(shares), len(self._squares) + len(self._sums))),
        )

    def add_values(self, means: Array, values: Array) -> None:
        """Adds what is read to values (K, M) of all observables."""
        values[:, self.setting.observables] += means[:, : len(self._squares)]

    def add_variances(self, means: Array, variances: Array) -> None:
        """Adds the variance of a shot, but for rounding at least 0, to those (K, M) of all observables."""
        count = len(self._squares)
        squares = np.tile(self._squares, (len(means), 1))
        squares[:, self._sums] = means[:, count:]
        variances[:, self.setting.observables] += np.maximum(squares - means[:, :count] ** 2, 0.0)

    def _means_of(self, outcomes: npt.NDArray[np.uint32]) -> Array:
        at_once = max(1, _SHOTS_AT_ONCE // outcomes.shape[1])
        parts = [outcomes[first : first + at_once] for first in range(0, len(outcomes), at_once)]
        return np.concatenate([self._values(part).mean(axis=1) for part in parts])
