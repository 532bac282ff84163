"""The seam between what is computed and how: a method prepares runners for programs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from .._core.shown import Shown
from .._program.program import Program

# Gradients of which some are not wanted; powers of a parameter of which some are zero.
Optional = Sequence[torch.Tensor | None]
Powers = Sequence[torch.Tensor | None]


@dataclass(frozen=True)
class Task:
    """How a program is to be computed.

    Attributes:
        batch_size: Number of samples in a call.
        dtype: ``torch.float32`` or ``torch.float64``, in which real numbers are.
        device: Type of the device on which tensors are, such as "cpu".
        order: Order of the derivatives that are wanted: 0 for values alone.
        num_threads: Maximal number of threads.

    Example:
        >>> qtm.methods.Task(
        ...     batch_size=48, dtype=torch.float32, device="cpu", order=1, num_threads=2
        ... ).order
        1
    """

    batch_size: int = 1
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    order: int = 1
    num_threads: int = 1


@dataclass(frozen=True)
class Cost:
    """What a call is expected to take.

    Attributes:
        seconds: Time, within a factor of a few; used to choose between methods. Infinite: nobody knows.
        bytes: Memory, in addition to that of the program.

    Example:
        >>> qtm.methods.Cost(seconds=1e-3, bytes=2**20).seconds
        0.001
    """

    seconds: float
    bytes: float = 0.0


@dataclass(frozen=True)
class Spending:
    """What is sent to somebody else: a simulator, or a device that is paid for.

    Attributes:
        jobs: Calls of ``run``, each of which may wait in a queue.
        pubs: Circuits with arrays of observables and of angles, in all jobs.
        circuits: Those that run: settings of angles times groups of observables that are measured together.
        shots: How often these run, all together; 0: values are exact.

    Example:
        >>> qtm.methods.Spending(
        ...     jobs=1, shots=300
        ... ) + qtm.methods.Spending(jobs=1, shots=200)
        Spending(jobs=2, pubs=0, circuits=0, shots=500)
    """

    jobs: int = 0
    pubs: int = 0
    circuits: int = 0
    shots: int = 0

    def __add__(self, other: Spending) -> Spending:
        return Spending(
            self.jobs + other.jobs,
            self.pubs + other.pubs,
            self.circuits + other.circuits,
            self.shots + other.shots,
        )


@dataclass(frozen=True)
class Refusal:
    """Why a method cannot do a task, and what would help.

    Attributes:
        reason: In words, with the remedy.
        is_of_device: Whether it is only that it computes on other devices.

    Example:
        >>> print(
        ...     qtm.methods.Refusal("it has no derivatives; use method='native'").reason
        ... )
        it has no derivatives; use method='native'
    """

    reason: str
    is_of_device: bool = False


class Runner(ABC):
    """Computes one program.

    In all calls, inputs have the shape (B, N) and weights are sets of shape (W_i,), of the same dtype and device; N and
    the sum of all W_i are ``num_all_inputs`` and ``num_all_weights`` of the evolution: variables that are computed from
    others are there already.

    Args:
        program: What it computes.
        method: The method that prepared it.

    Attributes:
        is_differentiable: Whether `values` is made of functions that PyTorch differentiates by itself, to any order;
            `pull_back` is not called then.
        states: Of programs that read the state by functions of PyTorch: computes the state itself; else None. Code
            that builds a graph uses it, and reads its states (`reading.read`).
        others: And those of other circuits that the output reads, too.
        has_operators: Whether it computes on the CPU alone, and operators of PyTorch stand for it wherever tensors are:
            those of `Native`. Other exact methods that are registered have operators on the CPU.
        highest_power: Up to which power `values_along` and `pull_back_along` go; 0: there are none, and derivatives of
            gradients come from `function`.
    """

    is_differentiable = False
    has_operators = False
    highest_power = 0
    states: Runner | None = None
    others: Sequence[Runner] = ()

    def __init__(self, program: Program, method: Method) -> None:
        self.program, self.method = program, method

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.method!r}, num_qubits={self.program.evolution.num_qubits})"

    @abstractmethod
    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, Any]:
        """What the program reads from the final states.

        Args:
            inputs: Shape (B, N).
            weights: Sets of weights.
            num_threads: Maximal number of threads; 0: as ``torch.get_num_threads()``.
            record: Whether `pull_back` will follow.

        Returns:
            Shape ``(B, *shape)`` of the output; and a tape for `pull_back`, which may be None.
        """

    def pull_back(
        self,
        cotangent: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        wants: Sequence[bool],
        num_threads: int = 0,
        tape: Any = None,
    ) -> Optional:
        """Gradients of ``(cotangent * values).sum()`` with respect to the inputs and each set; None where not wanted.

        Args:
            cotangent: Of the shape of the values.
            inputs: As for `values`.
            weights: As for `values`.
            wants: Which gradients are wanted: of the inputs, and of each set.
            num_threads: As for `values`.
            tape: What `values` recorded for the same arguments; None: nothing.

        Raises:
            NotImplementedError: the method has none.
        """
        raise NotImplementedError(f"method '{self.method.name}' has no gradients; use method='auto'")

    def values_along(self, inputs: Powers, weights: Sequence[Optional], num_threads: int = 0) -> Sequence[torch.Tensor]:
        """Values along a curve, in powers of its parameter t: ``values(t) = powers[0] + powers[1] t + ...``.

        Args:
            inputs: Powers 0, 1, ... of the inputs, each (B, N); None: zero.
            weights: Powers of the sets, one sequence for each power.
            num_threads: As for `values`.

        Returns:
            As many powers of the values.

        Raises:
            NotImplementedError: the method has none.
        """
        raise self._has_no_directions()

    def pull_back_along(
        self,
        cotangent: Powers,
        inputs: Powers,
        weights: Sequence[Optional],
        wants: Sequence[bool],
        num_threads: int = 0,
    ) -> Sequence[Optional]:
        """Gradients, as `pull_back` has them, along a curve: one sequence for each power.

        Args:
            cotangent: Powers of the cotangent; None: zero.
            inputs: As for `values_along`.
            weights: As for `values_along`.
            wants: As for `pull_back`.
            num_threads: As for `values`.

        Raises:
            NotImplementedError: the method has none.
        """
        raise self._has_no_directions()

    def _has_no_directions(self) -> NotImplementedError:
        return NotImplementedError(
            f"method '{self.method.name}' has no values and gradients along directions; its runner needs both "
            "`values_along` and `pull_back_along`, or highest_power = 0"
        )

    def function(self) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """The values as a function of inputs and all weights that PyTorch differentiates, for further derivatives.

        That of an exact method is the same simulation in plain PyTorch.

        Raises:
            NotImplementedError: the method is not exact.
        """
        if not self.method.is_exact:
            raise NotImplementedError(
                f"method '{self.method.name}' has first gradients only; use method='auto' for derivatives of gradients"
            )
        from .pytorch import values

        return lambda inputs, weights: values(self.program, inputs, weights)

    def spending(self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], wants: Sequence[bool]) -> Spending:
        """What a call with these arguments sends, and the gradients that are wanted after it: here nothing.

        Args:
            inputs: As for `values`.
            weights: As for `values`.
            wants: As for `pull_back`.
        """
        return Spending()

    @cached_property
    def unshared(self) -> Runner:
        """That of the program in which all weights are inputs, for weights that differ from sample to sample."""
        return self.method.prepare(self.program.unshared)


class Method(Shown, ABC):
    """A way to compute programs. Its options, which are its attributes, are fixed when it is made.

    Attributes:
        name: The name that `QuantumModule` takes, and that errors and `explain` print.
        is_exact: Whether values are exact up to rounding; ``method="auto"`` takes no other.
        prepares_at_once: Whether a module has its runner prepared when it is made, so that what may go wrong there is
            said then; else with the first call.
        computes_on: Type of the device on which operators of PyTorch take it; elsewhere they are plain PyTorch.
        is_bare: Whether its runners use nothing of PyTorch's autograd, and return tensors of their own: operators then
            call them as they are.
    """

    name: str
    is_exact: bool = True
    prepares_at_once: bool = False
    computes_on: str = "cpu"
    is_bare: bool = False

    def offer(self, program: Program, task: Task) -> Cost | Refusal:
        """What it says to ``method="auto"``: as `cost`, unless it wants to be asked for."""
        return self.cost(program, task)

    @abstractmethod
    def cost(self, program: Program, task: Task) -> Cost | Refusal:
        """What a call would take, or why there can be none. Asked often: nothing is prepared for it."""

    @abstractmethod
    def prepare(self, program: Program) -> Runner:
        """A runner for a program that `cost` did not refuse."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self.name))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
