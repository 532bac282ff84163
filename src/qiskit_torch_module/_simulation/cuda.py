"""The engine on a GPU as a method; its kernels and what launches them are loaded when they are needed."""

from __future__ import annotations

import os
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from .._program.program import Program
from .costs import CUDA, by_steps
from .method import Cost, Method, Refusal, Runner, Task

if TYPE_CHECKING:
    from .._cuda.circuit import Circuit
    from .._cuda.device import Device

# Who computes on a GPU for method="auto".
VARIABLE = "QTM_CUDA"
PLAIN, ENGINE = "plain", "engine"


def setting() -> str:
    """What ``QTM_CUDA`` says: "plain" (PyTorch, the default) or "engine".

    Raises:
        ValueError: something else.
    """
    given = os.environ.get(VARIABLE) or PLAIN
    if given not in (PLAIN, ENGINE):
        raise ValueError(f"{VARIABLE}: expected '{PLAIN}' or '{ENGINE}', got {given!r}")
    return given


class Cuda(Method):
    """State vectors in kernels of the engine's own on a GPU of NVIDIA. Experimental.

    They read expectation values and states, in float32 and float64, with gradients; other outputs are read from the
    states by PyTorch. Derivatives of gradients and forward mode come from the same simulation in plain PyTorch, on the
    GPU. Nothing waits for the GPU: numbers that are not finite show as NaN, and when `require_finite` is asked.

    ``method="auto"`` takes it where the environment variable ``QTM_CUDA`` is "engine".

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, method="cuda")
        >>> if torch.cuda.is_available():
        ...     values = model.to("cuda")(torch.rand(3, 2, device="cuda"))
    """

    name = "cuda"
    is_bare = True
    computes_on = "cuda"

    def offer(self, program: Program, task: Task) -> Cost | Refusal:
        """As `cost`, if it is asked for by ``QTM_CUDA``."""
        if task.device == self.computes_on and setting() == PLAIN:
            return Refusal(f"experimental; set {VARIABLE}={ENGINE}, or method='{self.name}'")
        said = self.cost(program, task)
        if isinstance(said, Refusal) or (missing := self.missing()) is None:
            return said
        if torch.cuda.is_available():  # else nobody has tensors there
            warnings.warn(f"{VARIABLE}={ENGINE}, but plain PyTorch computes: {missing}", RuntimeWarning, stacklevel=2)
        return Refusal(missing)

    def cost(self, program: Program, task: Task) -> Cost | Refusal:
        """From the number of steps, by rates that are not measured yet; on a card with the memory of an H100."""
        if task.device != self.computes_on:
            return Refusal(
                f"it computes on GPUs of NVIDIA, not on '{task.device}'; use model.to('cuda'), or method='auto'",
                is_of_device=True,
            )
        if torch.version.hip is not None:
            return Refusal("it computes on GPUs of NVIDIA, not of AMD; use method='auto'")
        if (reason := program.evolution.too_wide) is not None:
            return Refusal(reason)
        circuit = circuit_of(_computed(program))
        if isinstance(circuit, str):
            return Refusal(circuit)
        from .._cuda.card import H100
        from .._cuda.room import bytes_of

        size = bytes_of(circuit, task.batch_size, task.dtype is torch.float64, H100)
        return Cost(CUDA.seconds(*by_steps(program, task), task.order), size)

    def prepare(self, program: Program) -> Runner:
        """Compiles nothing yet: kernels are made for the first values.

        Raises:
            ValueError: there are none for this circuit.
        """
        from .gpu import CudaProbabilityRunner, CudaRunner, CudaStateRunner
        from .states import ReadingRunner

        if program.expectation_values is not None:
            return CudaRunner(program, self)
        if program.reads_probabilities:
            return CudaProbabilityRunner(program, self)
        return CudaStateRunner(program, self) if _computed(program) is program else ReadingRunner(program, self)

    def missing(self) -> str | None:
        """Why it cannot compute on this machine; None: it can."""
        if not torch.cuda.is_available():
            return "PyTorch sees no GPU"
        from .._cuda.driver import DriverError
        from .._cuda.libraries import MissingLibraryError
        from .._cuda.nvrtc import CompilationError

        try:
            self.device(torch.device("cuda", torch.cuda.current_device()))
        except (CompilationError, DriverError, MissingLibraryError) as error:
            return str(error)
        return None

    def kernels(self, program: Program, task: Task) -> str:
        """How kernels would run a task, in words; nothing where it refuses."""
        circuit = circuit_of(_computed(program))
        if isinstance(circuit, str) or task.device != self.computes_on:
            return ""
        from .._cuda.choice import plan_of

        place = torch.device(self.computes_on)
        if place.type == "cuda":
            place = torch.device("cuda", torch.cuda.current_device())
        card = self.device(place).card
        return plan_of(circuit, task.batch_size, task.dtype is torch.float64, card).described

    def device(self, place: torch.device) -> Device:
        """Where kernels for tensors in a place run."""
        from .._cuda.device import gpu

        assert place.index is not None
        return gpu(place.index)


def _computed(program: Program) -> Program:
    """The program that kernels compute: itself, or that of the state."""
    from .states import states_of

    return program if program.expectation_values is not None else states_of(program)


@lru_cache(maxsize=128)  # as many as there are engines
def circuit_of(program: Program) -> Circuit | str:
    """What kernels read of a program; or why there are none for it."""
    from .._cuda.circuit import Circuit

    return Circuit.of(program)


def require_finite() -> None:
    """Checks that no number which the engine has met on a GPU was beyond it, since this was last asked.

    On the CPU a call raises at once where an input or a weight is not finite, or an angle has no digits left; on a GPU
    that would have to wait for it. Values and gradients of such samples are NaN there, and this says so: ask once an
    epoch, for example. It waits for all that was launched.

    Raises:
        ValueError: there was one; on which GPUs.

    Example:
        >>> qtm.methods.require_finite()  # nothing was computed on a GPU yet
    """
    from .._cuda.device import flags

    at_fault = [str(flag.device) for flag in flags() if int(flag)]
    if not at_fault:
        return
    for flag in flags():
        flag.zero_()
    raise ValueError(
        f"method 'cuda': an input or a weight on {', '.join(at_fault)} was not finite, or an angle had no digits left, "
        "since this was last asked; the values of such samples are NaN. The same call on the CPU says which one it is"
    )
