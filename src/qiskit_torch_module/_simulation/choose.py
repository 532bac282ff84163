"""Which method computes a program: the one that is asked for, or the cheapest exact one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import torch

from .._program.program import Program
from .cuda import Cuda
from .method import Cost, Method, Refusal, Runner, Task
from .native import Native
from .pytorch import PyTorch

AUTO = "auto"
_DEVICES = ("cpu", "cuda", "mps", "xpu")
_known: dict[str, Method] = {}


def _require_name(method: Method) -> None:
    name = getattr(method, "name", None)
    if not isinstance(name, str) or not name.isidentifier() or name == AUTO:
        raise ValueError(
            f"method: expected an identifier other than '{AUTO}' as `name` of {type(method).__name__}, got {name!r}"
        )


def _kind(given: Any) -> str:
    if isinstance(given, type) and issubclass(given, Method):
        return f"the class {given.__name__}; give {given.__name__}(...)"
    return type(given).__name__


def register(method: Method) -> None:
    """Makes a method known by its name, and to ``method="auto"`` if it is exact.

    Raises:
        TypeError: it is no `Method`.
        ValueError: its name is no identifier, or taken by a method of another class.
    """
    if not isinstance(method, Method):
        raise TypeError(f"method: expected a qtm.methods.Method, got {_kind(method)}")
    _require_name(method)
    taken = _known.get(method.name)
    if taken is not None and type(taken) is not type(method):
        raise ValueError(f"method: the name '{method.name}' is taken by {taken!r}; choose another one")
    _known[method.name] = method


register(Native())
register(PyTorch())
register(Cuda())


def known() -> dict[str, Method]:
    """All methods that are known, by name.

    Example:
        >>> {"native", "pytorch"} <= set(qtm.methods.known())
        True
    """
    return dict(_known)


def method_of(given: Any) -> Method | None:
    """The method that an argument names, or is; None: "auto".

    Raises:
        TypeError: neither a name nor a method.
        ValueError: an unknown name, or a method without one.
    """
    if isinstance(given, Method):
        _require_name(given)
        return given
    if not isinstance(given, str):
        shots = f"; for shots, give qtm.methods.Shots({given})" if type(given) is int and given > 0 else ""
        raise TypeError(f"method: expected a name or a qtm.methods.Method, got {_kind(given)}{shots}")
    if given == AUTO:
        return None
    if given not in _known:
        raise ValueError(
            f"method: unknown method {given!r}; expected one of {', '.join([AUTO, *_known])}, or an object such as "
            "qtm.methods.Shots(1000)"
        )
    return _known[given]


def require_exact(method: Method | None, argument: str) -> None:
    """Checks that a method does not only estimate.

    Raises:
        ValueError: it does.
    """
    if method is not None and not method.is_exact:
        raise ValueError(
            f"{argument}: expected an exact method, got '{method.name}', which estimates; use method='auto' here"
        )


def offers(program: Program, task: Task) -> dict[str, Cost | Refusal]:
    """What each known method says of a task to ``method="auto"``."""
    return {name: method.offer(program, task) for name, method in _known.items()}


def choose(program: Program, task: Task) -> Method:
    """The cheapest exact method.

    Raises:
        ValueError: all refuse; the message says why each does.
    """
    return _cheapest(offers(program, task))


def _cheapest(said: Mapping[str, Cost | Refusal]) -> Method:
    said = {name: answer for name, answer in said.items() if _known[name].is_exact}
    costs = {name: answer.seconds for name, answer in said.items() if isinstance(answer, Cost)}
    if not costs:
        refused = {name: answer for name, answer in said.items() if isinstance(answer, Refusal)}
        here = {name: answer for name, answer in refused.items() if not answer.is_of_device}
        refusals = {name: answer.reason for name, answer in (here or refused).items()}
        if len(set(refusals.values())) == 1:
            raise ValueError(next(iter(refusals.values())))
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refusals.items())
        raise ValueError(f"method: none can compute this circuit ({reasons})")
    return _known[min(costs, key=costs.__getitem__)]


# Device, dtype, and bits of the size of a batch.
_Key: TypeAlias = tuple[str, torch.dtype, int]


class Runners:
    """The runners of a program, made when they are first asked for; copies and pickles make their own.

    Args:
        program: What they compute.
        method: The method that computes; None: the cheapest exact one, task by task.
    """

    def __init__(self, program: Program, method: Method | None) -> None:
        self.program, self.method = program, method
        self._by_task: dict[_Key, Runner] = {}
        self._up_to: dict[_Key, tuple[int, Runner]] = {}
        self._by_method: dict[Method, Runner] = {}

    def __reduce__(self) -> Any:
        return Runners, (self.program, self.method)

    def __call__(self, inputs: torch.Tensor) -> Runner:
        """The runner for inputs of their device, dtype and size, up to a factor of two.

        Raises:
            ValueError: the method refuses, or all do.
        """
        # Asked in every step: the name of a device takes half a microsecond.
        device, size = "cpu" if inputs.is_cpu else inputs.device.type, inputs.shape[0]
        bits = size.bit_length() if type(size) is int else 1
        runner = self._by_task.get((device, inputs.dtype, bits))
        if runner is None:
            runner = self._judged((device, inputs.dtype, bits), size if type(size) is int else 1)
        return runner

    def _judged(self, key: _Key, size: int) -> Runner:
        """The runner for a size, chosen by the largest one of as many bits and remembered for all of them.

        Where a method refuses that one, all are asked for the size itself: what is chosen may then hold up to it alone.
        """
        device, dtype, bits = key
        at_most, known_runner = self._up_to.get(key, (-1, None))
        if known_runner is not None and size <= at_most:
            return known_runner
        task = Task(max((1 << bits) - 1, 1), dtype, device, num_threads=torch.get_num_threads())
        said = self._offers(task)
        for_all = [name for name, answer in said.items() if isinstance(answer, Cost)]
        if any(isinstance(answer, Refusal) and not answer.is_of_device for answer in said.values()):
            said = self._offers(replace(task, batch_size=max(size, 1)))
        method = self._chosen(said)
        runner = self._prepared(method)
        if method.name in for_all:
            self._by_task[key] = runner
        else:
            self._up_to[key] = size, runner
        return runner

    def require_method(self) -> None:
        """Checks that there is a method for the smallest task, on whichever device a module may be moved to.

        Raises:
            ValueError: the method refuses, or all do; it says why on the CPU.
        """
        refusals = []
        for device in _DEVICES:
            try:
                method = self._chosen(self._offers(Task(device=device)))
            except ValueError as error:
                refusals.append(error)
            else:
                if self.method is not None and method.prepares_at_once:
                    self._prepared(method)
                return
        raise refusals[0]

    def _offers(self, task: Task) -> dict[str, Cost | Refusal]:
        if self.method is None:
            return offers(self.program, task)
        return {self.method.name: self.method.cost(self.program, task)}

    def _chosen(self, said: Mapping[str, Cost | Refusal]) -> Method:
        if self.method is None:
            return _cheapest(said)
        answer = said[self.method.name]
        if isinstance(answer, Refusal):
            raise ValueError(f"method '{self.method.name}': {answer.reason}")
        return self.method

    def _prepared(self, method: Method) -> Runner:
        if method not in self._by_method:
            self._by_method[method] = method.prepare(self.program)
        return self._by_method[method]
