"""Starts against barren plateaus, for ``variational_params_initial``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import pi, sqrt

import torch

from ._core.arguments import whole_number


def small_angles(num_qubits: int, depth: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Gaussian angles whose variance falls as 1 / (number of qubits * depth), which keeps gradients from vanishing.

    Source: Zhang et al., "Escaping from the barren plateau via Gaussian initializations in deep variational quantum
    circuits", NeurIPS 2022, arXiv:2203.09376.

    Args:
        num_qubits: Number of qubits, or of those that an observable acts on.
        depth: Number of layers.

    Raises:
        TypeError: something other than a whole number.
        ValueError: a number that is not positive.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> start = qtm.initializers.small_angles(num_qubits=2, depth=1)
        >>> model = qtm.QuantumModule(
        ...     circuit, x, w, variational_params_initial=start, seed_init=0
        ... )
    """
    num_qubits, depth = whole_number(num_qubits, "num_qubits", 1), whole_number(depth, "depth", 1)
    std = 1 / sqrt(4 * num_qubits * (depth + 2))
    return partial(torch.nn.init.normal_, mean=0.0, std=std)


def identity_blocks(block_size: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Random angles for blocks U(a) U(b)^dagger that start as the identity.

    The set holds the angles block after block; the second half of each block repeats, mirrored and negated, what undoes
    the first. The circuit must be built accordingly: the gates of the second half are those of the first in reverse
    order, entangling gates (their own inverses, such as CX and CZ) included.

    Source: Grant et al., "An initialization strategy for addressing barren plateaus in parametrized quantum circuits",
    Quantum 3, 214 (2019), arXiv:1903.05076.

    Args:
        block_size: Number of angles of a block, even.

    Raises:
        TypeError: something other than a whole number.
        ValueError: `block_size` is not a positive even number, or does not divide the size of the set.

    Example:
        >>> angles = qtm.initializers.identity_blocks(4)(torch.empty(8)).tolist()
        >>> angles[0] == -angles[3], angles[1] == -angles[2]
        (True, True)
    """
    block_size = whole_number(block_size, "block_size", 2)
    if block_size % 2:
        raise ValueError(f"identity_blocks: expected a positive even block_size, got {block_size}")

    return partial(_fill_with_blocks, block_size=block_size)


def _fill_with_blocks(values: torch.Tensor, block_size: int) -> torch.Tensor:
    if len(values) % block_size:
        raise ValueError(
            f"identity_blocks: expected a number of values that block_size {block_size} divides, got {len(values)}; "
            "give a block_size that does, or the parameters of other layers as a set of their own"
        )
    blocks = values.view(-1, block_size)
    first = torch.nn.init.uniform_(torch.empty_like(blocks[:, : block_size // 2]), 0.0, 2 * pi)
    blocks.copy_(torch.cat([first, -first.flip(1)], dim=1))
    return values
