"""Launches of kernels: which, how large, with which arguments."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Launch:
    """One launch of a kernel; launches of a list run one after the other.

    Attributes:
        kernel: Its name in the source, such as "qtm_forward".
        blocks: Number of blocks, in one dimension.
        threads: Threads of a block.
        shared_bytes: Dynamic shared memory of a block; above 48 KiB the driver has to be asked first.
        arguments: The one struct that it takes, by value.
    """

    kernel: str
    blocks: int
    threads: int
    shared_bytes: int
    arguments: bytes


@dataclass(frozen=True)
class Pointers:
    """Addresses on the device; 0 where there is nothing.

    Attributes:
        constants: `Plan.constants`, copied there once, aligned to 8 bytes.
        inputs: (B, N) of real numbers, row after row.
        weights: (W,).
        values: (B, M); states as (B, 2 * 2^n) of real and imaginary parts, side by side, of the simulated qubits.
        cotangent: As the values.
        input_gradient: (B, N), or 0: not wanted.
        weight_gradient: (W,), or 0: not wanted.
        workspace: `Plan.workspace_bytes`, whatever is in it; aligned to 256 bytes.
        tape: `Plan.tape_bytes`, aligned likewise: what values leave for gradients; always needed.
        flag: An int32, set to 1 where an input, a weight or an angle is not finite or has no digits left.
    """

    constants: int = 0
    inputs: int = 0
    weights: int = 0
    values: int = 0
    cotangent: int = 0
    input_gradient: int = 0
    weight_gradient: int = 0
    workspace: int = 0
    tape: int = 0
    flag: int = 0
