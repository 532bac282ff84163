"""The native engine, which is given tensors by their address in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch

from .._engine import Engine, Tape32, Tape64
from .._program.program import Program
from .columns import explained
from .costs import native_cost, refused_states, state_bytes
from .engines import engine_of, engine_of_series
from .method import Cost, Method, Optional, Powers, Refusal, Runner, Task
from .threads import engine_threads

# Batches of fewer rows do not fill the lanes: gradients of weights are computed row by row, and then added up.
_LEAST_SUMMED = 8

Tape = Tape32 | Tape64
Tensors = tuple[torch.Tensor, ...]


class Native(Method):
    """State vectors in the native engine on the CPU.

    It reads expectation values, states, and probabilities of their basis states; all have gradients, and both have
    derivatives along directions. Other outputs are read from its states by PyTorch. Derivatives beyond the third, and
    tensors elsewhere, come from the same simulation in plain PyTorch.

    Source: Meyer et al., arXiv:2404.06314; Jones and Gacon, arXiv:2009.02823.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, method="native")
        >>> model.method
        Native()
    """

    name = "native"

    def cost(self, program: Program, task: Task) -> Cost | Refusal:
        """From the number of steps; nothing is planned."""
        if task.device not in ("cpu", "meta"):
            return Refusal(
                f"it computes on the CPU, not on '{task.device}'; use method='auto', or model.cpu()", is_of_device=True
            )
        if (reason := program.evolution.too_wide) is not None:
            return Refusal(reason)
        if (refusal := refused_states(program, task)) is not None:
            return refusal
        cost = native_cost(program, task)
        return Cost(cost.seconds, cost.bytes + state_bytes(program, task))

    def prepare(self, program: Program) -> Runner:
        """Plans nothing yet: the engine is made for the first values."""
        if program.expectation_values is not None or program.reads_probabilities:
            return NativeRunner(program, self)
        from .states import runner_of_states

        return runner_of_states(program, self)


class NativeRunner(Runner):
    """Calls of the native engine."""

    has_operators = True
    highest_power = 2
    _engine: Engine | None = None  # that of the program, at hand

    def _made(self) -> Engine:
        self._engine = engine_of(self.program)
        return self._engine

    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, Tape | None]:
        """Values (B, M), or probabilities (B, 2^n), without a graph.

        If recorded, with the states on the way where gradients are faster with them.

        Raises:
            TypeError, ValueError, RuntimeError: a tensor is not on the CPU, has another dtype, or no memory.
        """
        engine, size, threads = self._engine or self._made(), inputs.shape[0], engine_threads(num_threads)
        # Called where it is looked up: PyTorch's compiler loses the object of a method that it cannot trace.
        try:
            if inputs.dtype is torch.float64:
                return engine.tensor_values_float64(inputs, size, weights, threads, record)
            return engine.tensor_values_float32(inputs, size, weights, threads, record)
        except ValueError as error:
            raise self._explained(error, inputs, weights) from None

    def pull_back(
        self,
        cotangent: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        wants: Sequence[bool],
        num_threads: int = 0,
        tape: Any = None,
    ) -> Optional:
        """Gradients with respect to the inputs and each set, without a graph; None where not wanted.

        One adjoint state for all observables, swept back once.

        Raises:
            TypeError, ValueError, RuntimeError: as `values`.
        """
        engine, size, threads = self._engine or self._made(), inputs.shape[0], engine_threads(num_threads)
        try:
            if inputs.dtype is torch.float64:
                return engine.tensor_gradients_float64(inputs, size, weights, cotangent, wants, threads, tape)
            return engine.tensor_gradients_float32(inputs, size, weights, cotangent, wants, threads, tape)
        except ValueError as error:
            raise self._explained(error, inputs, weights) from None

    def pull_backs(
        self,
        cotangents: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        wants: Sequence[bool],
        num_threads: int = 0,
    ) -> Optional:
        """As `pull_back` for V cotangents (V, B, M) of the same values, from one way forward.

        Returns:
            Gradients (V, B, N) with respect to the inputs, and (V, W_i) for each set; None where not wanted.

        Raises:
            TypeError, ValueError, RuntimeError: as `values`.
        """
        widths = [inputs.shape[1], *map(len, weights)]
        if any(wants[1:]) and len(inputs) < _LEAST_SUMMED:
            together = torch.cat([inputs, *(vector.expand(len(inputs), -1) for vector in weights)], dim=1)
            [joint] = cast(NativeRunner, self.unshared).pull_backs(cotangents, together, (), (True,), num_threads)
            first, *rest = torch.split(cast(torch.Tensor, joint), widths, dim=2)
            parts: list[torch.Tensor | None] = [first, *(gradient.sum(1) for gradient in rest)]
            return [part if want else None for part, want in zip(parts, wants, strict=True)]
        engine, wanted = self._engine or self._made(), np.repeat(np.array(wants, dtype=np.bool_), widths)
        rows, row, seeds = (as_stored(tensor).numpy() for tensor in (inputs, joined(weights, inputs), cotangents))
        try:
            gradients = engine.vector_jacobian_products(rows, row, seeds, wanted, engine_threads(num_threads))
        except ValueError as error:
            raise self._explained(error, inputs, weights) from None
        of_inputs, of_weights = (None if gradient is None else torch.from_numpy(gradient) for gradient in gradients)
        # None where no number is wanted; inputs of width 0 may be, all the same.
        nothing = cotangents.new_zeros(len(cotangents), 0)
        sets = [nothing] * len(weights) if of_weights is None else torch.split(of_weights, widths[1:], dim=1)
        parts = [nothing[:, None].expand(-1, len(inputs), 0) if of_inputs is None else of_inputs, *sets]
        return [part if want else None for part, want in zip(parts, wants, strict=True)]

    def values_along(self, inputs: Powers, weights: Sequence[Optional], num_threads: int = 0) -> Sequence[torch.Tensor]:
        """As `Runner.values_along`; at most two powers besides the values.

        Raises:
            TypeError, ValueError, RuntimeError: as `values`.
        """
        powers: Sequence[torch.Tensor] = self._series("values", inputs, weights, (), num_threads)
        return powers

    def pull_back_along(
        self,
        cotangent: Powers,
        inputs: Powers,
        weights: Sequence[Optional],
        wants: Sequence[bool],
        num_threads: int = 0,
    ) -> Sequence[Optional]:
        """As `Runner.pull_back_along`; at most two powers besides the gradients.

        Raises:
            TypeError, ValueError, RuntimeError: as `values`.
        """
        powers: Sequence[Optional] = self._series("gradients", inputs, weights, (cotangent, wants), num_threads)
        return powers

    def _series(
        self, what: str, inputs: Powers, weights: Sequence[Optional], others: tuple[Any, ...], num_threads: int
    ) -> Any:
        at = inputs[0]
        assert at is not None
        engine, size, threads = engine_of_series(self.program), at.shape[0], engine_threads(num_threads)
        call = getattr(engine, f"series_{what}_float{64 if at.dtype is torch.float64 else 32}")
        try:
            return call(len(inputs) - 1, inputs, size, weights, *others, threads)
        except ValueError as error:
            raise self._explained(error, at, weights[0]) from None

    def _explained(self, error: ValueError, inputs: torch.Tensor, weights: Any) -> ValueError:
        if not inputs.is_cpu or inputs.layout is not torch.strided or inputs.ndim != 2:
            return error
        return explained(self.program.evolution, error, inputs, joined(weights, inputs))


def as_stored(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers as engines read them: row after row, and no view that PyTorch would negate when it is read."""
    return tensor.detach().resolve_neg().contiguous()


def joined(weights: Sequence[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
    """All weights in one vector; an empty one of the dtype of the inputs where there are none."""
    if len(weights) == 1:
        return weights[0]
    return torch.cat(tuple(weights)) if weights else inputs.new_empty(0)


def chosen(gradients: Optional) -> Tensors:
    """The wanted gradients."""
    return tuple(gradient for gradient in gradients if gradient is not None)
