"""The native engine as registered PyTorch operators, which ``torch.compile`` and ``torch.export`` take without a break.

Operators take tensors and numbers only, so that a program goes by its number in this process.
"""

from __future__ import annotations

import itertools
import threading
from typing import Any
from weakref import WeakValueDictionary

import torch

from . import _autograd
from ._program import Program

_programs: WeakValueDictionary[int, Program] = WeakValueDictionary()
_numbers = itertools.count()
_lock = threading.Lock()


def number_of(program: Program) -> int:
    """The number under which operators of this process find a program, as long as the program lives."""
    with _lock:
        number = program.__dict__.get("number")
        if number is None:
            number = program.__dict__["number"] = next(_numbers)
            _programs[number] = program
    return int(number)


def _program(number: int) -> Program:
    try:
        return _programs[number]
    except KeyError:
        raise RuntimeError(
            f"no program number {number} in this process: an exported graph works only while the QuantumModule it came "
            "from is alive; export the module again here"
        ) from None


@torch.library.custom_op("qiskit_torch_module::values", mutates_args=())
def values(
    inputs: torch.Tensor, weights: torch.Tensor, program: int, num_threads: int, num_threads_backward: int
) -> torch.Tensor:
    """Expectation values (B, M) of inputs (B, N) and weights (W,)."""
    return _autograd.native_values(_program(program), num_threads, inputs, [weights])


@values.register_fake
def _(
    inputs: torch.Tensor, weights: torch.Tensor, program: int, num_threads: int, num_threads_backward: int
) -> torch.Tensor:
    return inputs.new_empty(inputs.shape[0], _program(program).num_observables)


@torch.library.custom_op("qiskit_torch_module::gradients", mutates_args=())
def gradients(
    cotangent: torch.Tensor, inputs: torch.Tensor, weights: torch.Tensor, program: int, num_threads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of sum(cotangent * values) with respect to inputs and weights."""
    variables = (inputs, weights)
    found = _autograd.native_gradients(
        _program(program), num_threads, (True, True), cotangent, inputs, [weights]
    )
    first, second = _autograd.chosen(found, (True, True), variables)
    return first, second


@gradients.register_fake
def _(
    cotangent: torch.Tensor, inputs: torch.Tensor, weights: torch.Tensor, program: int, num_threads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty_like(inputs), torch.empty_like(weights)


def _keep_for_values(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.program, ctx.num_threads = inputs[2], inputs[4]


def _values_backward(ctx: Any, cotangent: torch.Tensor) -> tuple[Any, ...]:
    return (*gradients(cotangent, *ctx.saved_tensors, ctx.program, ctx.num_threads), None, None, None)


def _keep_for_gradients(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.program = inputs[3]


def _gradients_backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[Any, ...]:
    function = _autograd.gradient_function(_program(ctx.program), (True, True))
    _, pull_back = torch.func.vjp(function, *ctx.saved_tensors)
    return (*pull_back(cotangents), None, None)


values.register_autograd(_values_backward, setup_context=_keep_for_values)
gradients.register_autograd(_gradients_backward, setup_context=_keep_for_gradients)
