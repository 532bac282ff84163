"""Runners of the engine on a GPU: tensors of PyTorch, their addresses, and launches that are made once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from .._cuda.choice import plan_of
from .._cuda.device import Device, Shared
from .._cuda.launches import Plan
from .._cuda.replay import Replay
from .._program.program import Program
from .cuda import circuit_of
from .method import Optional, Runner
from .native import as_stored, joined
from .states import OfStates, states_of

if TYPE_CHECKING:
    from .cuda import Cuda

# Plans that are kept: batches of so many sizes, in both precisions.
_MOST_PLANS = 64
_ALIGNMENT = 256
_ALWAYS = ("constants", "inputs", "weights", "workspace", "tape", "flag")
_WANTED = ("input_gradient", "weight_gradient")


class _Key(NamedTuple):
    """What a plan is for."""

    place: torch.device
    is_double: bool
    size: int


class _Prepared:
    """A plan, with its launches.

    Attributes:
        device: Where it runs.
        plan: What runs.
        constants: What its kernels read of the circuit, on the device.
    """

    def __init__(self, device: Device, plan: Plan, constants: Shared) -> None:
        self.device, self.plan, self.constants = device, plan, constants
        self._values: Replay | None = None
        self._gradients: dict[tuple[bool, bool], Replay] = {}

    def values(self) -> Replay:
        """Launches for values, which leave a tape."""
        if self._values is None:
            self.device.require_not_recording()
            self._values = Replay(self.device, self.plan.defines, self.plan.values, (*_ALWAYS, "values"))
        return self._values

    def gradients(self, wishes: tuple[bool, bool]) -> Replay:
        """Launches for gradients from a tape: of the inputs, of the weights."""
        if wishes not in self._gradients:
            self.device.require_not_recording()
            wanted = [name for name, wish in zip(_WANTED, wishes, strict=True) if wish]
            present = (*_ALWAYS, "cotangent", *wanted)
            self._gradients[wishes] = Replay(self.device, self.plan.defines, self.plan.gradients, present)
        return self._gradients[wishes]


class CudaRunner(Runner):
    """Calls of kernels that read expectation values.

    Raises:
        ValueError: there are none for the circuit.
    """

    method: Cuda

    def __init__(self, program: Program, method: Cuda) -> None:
        super().__init__(program, method)
        circuit = circuit_of(program)
        if isinstance(circuit, str):
            raise ValueError(f"method '{method.name}': {circuit}")
        self._circuit = circuit
        self._prepared: OrderedDict[_Key, _Prepared] = OrderedDict()
        # By identity, which holds while they are here: for as long as the runner, as recorded graphs read them.
        self._constants: dict[tuple[torch.device, int], tuple[Any, Shared]] = {}

    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Values (B, M) without a graph, on the current stream; nothing waits for the GPU.

        Raises:
            TypeError, ValueError: tensors differ in device or dtype, or have other shapes than the circuit says.
            MemoryError: the GPU has too little.
            RuntimeError: the driver or its compiler refuses, or a graph is recorded before anything was prepared.
        """
        rows, row = self._checked(inputs, weights)
        values = rows.new_empty(len(rows), self._circuit.num_values)
        if not len(rows):
            return values, None
        prepared = self._for(rows)
        tape = _empty(prepared.plan.tape_bytes, rows.device)
        self._launch(prepared, prepared.values(), (rows, row), tape, (values,))
        return values, tape if record else None

    def pull_back(
        self,
        cotangent: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        wants: Sequence[bool],
        num_threads: int = 0,
        tape: Any = None,
    ) -> Optional:
        """Gradients without a graph, as `values`; sums over the batch are in a fixed order.

        Raises:
            TypeError, ValueError, MemoryError, RuntimeError: as `values`.
        """
        rows, row = self._checked(inputs, weights)
        seeds = as_stored(cotangent)
        expected = (len(rows), self._circuit.num_values), rows.dtype, rows.device
        if (seeds.shape, seeds.dtype, seeds.device) != expected:
            raise ValueError(f"{self._called}: expected a cotangent of {expected}, got {_said(seeds)}")
        wishes = wants[0] and rows.shape[1] > 0, any(wants[1:]) and len(row) > 0
        found = [torch.empty_like(one) for one, wish in zip((rows, row), wishes, strict=True) if wish]
        if len(rows) and found:
            self._write_gradients(found, wishes, (rows, row), seeds, tape)
        elif found:
            found = [one.zero_() for one in found]
        remaining = iter(found)
        of_inputs, of_weights = (
            next(remaining) if wish else torch.zeros_like(one) for wish, one in zip(wishes, (rows, row), strict=True)
        )
        sets = torch.split(of_weights, [len(vector) for vector in weights]) if weights else ()
        return [gradient if want else None for gradient, want in zip((of_inputs, *sets), wants, strict=True)]

    def _write_gradients(
        self,
        found: Sequence[torch.Tensor],
        wishes: tuple[bool, bool],
        variables: tuple[torch.Tensor, torch.Tensor],
        seeds: torch.Tensor,
        tape: torch.Tensor | None,
    ) -> None:
        prepared = self._for(variables[0])
        if tape is None:
            tape = _empty(prepared.plan.tape_bytes, seeds.device)
            self._launch(prepared, prepared.values(), variables, tape, (torch.empty_like(seeds),))
        self._launch(prepared, prepared.gradients(wishes), variables, tape, (seeds, *found))

    def _launch(
        self,
        prepared: _Prepared,
        replay: Replay,
        variables: tuple[torch.Tensor, torch.Tensor],
        tape: torch.Tensor,
        others: Sequence[torch.Tensor],
    ) -> None:
        device, constants = prepared.device, prepared.constants
        workspace = _empty(prepared.plan.workspace_bytes, tape.device)
        addresses = (
            constants.tensor.data_ptr(),
            *(tensor.data_ptr() for tensor in variables),
            _aligned(workspace),
            _aligned(tape),
            device.flag.data_ptr(),
            *(tensor.data_ptr() for tensor in others),
        )
        with device.active():
            stream = device.stream()
            device.keep(constants, stream)
            replay(addresses, stream)

    def _for(self, rows: torch.Tensor) -> _Prepared:
        key = _Key(rows.device, rows.dtype is torch.float64, len(rows))
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = self._prepared[key] = self._made(key)
            if len(self._prepared) > _MOST_PLANS:
                self._prepared.popitem(last=False)  # that was not used for longest
        else:
            with suppress(KeyError):  # another thread's plan took its place just now
                self._prepared.move_to_end(key)
        return prepared

    def _made(self, key: _Key) -> _Prepared:
        device = self.method.device(key.place)
        plan = plan_of(self._circuit, key.size, key.is_double, device.card)
        place = key.place, id(plan.constants)
        if place not in self._constants:
            device.require_not_recording()
            self._constants[place] = plan.constants, device.upload(plan.constants)
        return _Prepared(device, plan, self._constants[place][1])

    @property
    def _called(self) -> str:
        return f"method '{self.method.name}'"

    def _checked(self, inputs: torch.Tensor, weights: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and all weights, as kernels read them."""
        if inputs.dtype not in (torch.float32, torch.float64) or inputs.device.type != self.method.computes_on:
            where = self.method.computes_on
            raise TypeError(f"{self._called}: expected float32 or float64 on '{where}', got {_said(inputs)}")
        for vector in weights:
            if vector.device != inputs.device or vector.dtype is not inputs.dtype:
                raise ValueError(
                    f"{self._called}: expected weights of {inputs.dtype} on {inputs.device}, as the inputs are, got "
                    f"{_said(vector)}; move the model or the inputs"
                )
        row = joined(weights, inputs)
        widths = self._circuit.num_inputs, self._circuit.num_weights
        if inputs.ndim != 2 or row.ndim != 1 or (inputs.shape[1], len(row)) != widths:
            raise ValueError(
                f"{self._called}: expected inputs of shape (B, {widths[0]}) and {widths[1]} weights, got "
                f"{_said(inputs)} and {_said(row)}"
            )
        return as_stored(inputs), as_stored(row)


class CudaStateRunner(OfStates, CudaRunner):
    """Calls of kernels that read states (B, 2^n), and take gradients with respect to them."""


class CudaProbabilityRunner(Runner):
    """Probabilities of basis states, and gradients with respect to them, by those of states: |z|^2 and 2 c z."""

    def __init__(self, program: Program, method: Cuda) -> None:
        super().__init__(program, method)
        self._states = method.prepare(states_of(program))

    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, Any]:
        states, tape = self._states.values(inputs, weights, num_threads, record)
        return torch.view_as_real(states).square().sum(-1), (states, tape) if record else None

    def pull_back(
        self,
        cotangent: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        wants: Sequence[bool],
        num_threads: int = 0,
        tape: Any = None,
    ) -> Optional:
        states, inner = tape or self._states.values(inputs, weights, num_threads, record=True)
        return self._states.pull_back(2 * cotangent * states, inputs, weights, wants, num_threads, inner)


def _said(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} of {tensor.dtype} on {tensor.device}"


def _empty(size: int, place: torch.device) -> torch.Tensor:
    """Bytes, with room to align them; PyTorch's memory on a GPU is aligned."""
    return torch.empty(size + (0 if place.type == "cuda" else _ALIGNMENT - 1), dtype=torch.uint8, device=place)


def _aligned(tensor: torch.Tensor) -> int:
    return -(-tensor.data_ptr() // _ALIGNMENT) * _ALIGNMENT
