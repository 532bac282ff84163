"""The kernels as one text that a compiler takes, with nothing to include."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from .schema import header

# In the order in which they build on one another; what `schema` writes comes after the first.
_PARTS = (
    *("threads", "prepare", "tile", "sums", "forward", "views", "moments", "read", "seed", "adjoint", "gradients"),
    "join",
)

KERNELS = (
    *("prepare", "forward", "read", "reduce", "values", "states", "seed", "adjoint", "angles", "weights"),
    *("join", "split", "gather"),
)


@cache
def source() -> str:
    """CUDA C++17 for NVRTC; with QTM_TWIN defined, C++20 for the CPU, after its standard library."""
    texts = []
    for name in _PARTS:
        path = Path(__file__).parent / f"{name}.cuh"
        texts.append(f'#line 1 "{name}.cuh"\n{path.read_text(encoding="utf-8")}')
    texts.insert(1, header())
    return "\n".join(texts)
