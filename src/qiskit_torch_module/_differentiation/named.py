"""Methods that are registered from outside the package, as operators take them: a name before the program as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from .._program.output import ExpectationValues, State
from .._program.program import Program
from .._simulation.choose import Runners, choose, known
from .._simulation.method import Method, Optional, Runner, Task
from .._simulation.native import Native
from .._simulation.pytorch import PyTorch
from .._storage.portable import from_text


def name_in_text(program: Program, method: Method | None) -> str | None:
    """What stands in front of a program: nothing for the native engine, or "auto"; None: no operators stand for it.

    They stand for expectation values, states and probabilities of their basis states by exact methods that can be
    looked up by name: PyTorch may merge equal calls in a graph, which would be wrong for samples. Plain PyTorch uses no
    operators, since these would end its derivatives of every order.
    """
    if not isinstance(program.output, (ExpectationValues, State)) and not program.reads_probabilities:
        return None
    if method is None or isinstance(method, Native):
        return ""
    is_found = known().get(method.name) == method
    return method.name if is_found and method.is_exact and not isinstance(method, PyTorch) else None


def name_elsewhere(program: Program, method: Method | None, device: str) -> str | None:
    """As `name_in_text` for tensors on another device than the CPU: "auto" stands for who computes there."""
    if method is None:
        method = choose(program, Task(device=device))
    return name_in_text(program, method) if method.computes_on == device else None


class NamedRunner(Runner):
    """The runner of a registered method inside operators.

    Each call has a thread of its own: inside an operator PyTorch records nothing, which a method may need in order
    to differentiate angles. Results are copied: operators return neither their arguments nor views.
    """

    def __init__(self, name: str, program: Program) -> None:
        super().__init__(program, _known_method(name))
        self._name, self._runners = name, Runners(program, self.method)

    def _runner(self, inputs: torch.Tensor) -> Runner:
        method = _known_method(self._name)
        if method != self.method:  # registered again, with other options
            self.method, self._runners = method, Runners(self.program, method)
        return self._runners(inputs)

    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, None]:
        values = _apart(self._runner(inputs).values, inputs, weights, num_threads, record)[0]
        return _copied(values), None

    def pull_back(
        self,
        cotangent: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        wants: Sequence[bool],
        num_threads: int = 0,
        tape: Any = None,
    ) -> Optional:
        gradients = _apart(self._runner(inputs).pull_back, cotangent, inputs, weights, wants, num_threads)
        return [None if gradient is None else _copied(gradient) for gradient in gradients]


def runner_of_named(text: str) -> Runner:
    """The runner of a program as text with the name of a method in front.

    Raises:
        ValueError: no method of that name is known, or the text is damaged.
    """
    name, _, _ = text.partition("{")
    program, method = from_text(text[len(name) :]), _known_method(name)
    return method.prepare(program) if method.is_bare else NamedRunner(name, program)


def _known_method(name: str) -> Method:
    method = known().get(name)
    if method is None:
        raise ValueError(
            f"method: '{name}', by which this graph computes, is not known in this process; call qtm.methods.register "
            "with it first"
        )
    return method


def _apart(function: Callable[..., Any], *arguments: Any) -> Any:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *arguments).result()


def _copied(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().clone(memory_format=torch.contiguous_format)
