"""Checks of plain arguments that several classes share."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any

import numpy as np
import torch

# More threads than any machine has processors.
MOST_THREADS = 1 << 16


def thread_count(count: Any, argument: str) -> int:
    """A number of threads; 0 stands for as many as PyTorch uses.

    Raises:
        ValueError: not an integer, negative, or more than any machine has processors.
    """
    number = _index(count)
    if number is None or not 0 <= number <= MOST_THREADS:
        most = f"at most {MOST_THREADS}, " if number is not None and number > 0 else ""
        raise ValueError(
            f"{argument}: expected a number of threads, {most}0 for as many as PyTorch uses, got {count!r}"
        )
    return number


_MOST = 1 << 48  # what the engine can count


def whole_number(value: Any, argument: str, least: int, most: int = _MOST) -> int:
    """An integer within bounds, by default up to what the engine can count.

    Raises:
        TypeError: not an integer.
        ValueError: too small or too large.
    """
    number = _index(value)
    if number is None:
        raise TypeError(f"{argument}: expected a whole number, at least {least}, got {value!r}")
    if not least <= number <= most:
        bounds = f"from {least} on" if number < least and most == _MOST else f"from {least} to {most}"
        raise ValueError(f"{argument}: expected a whole number {bounds}, got {number}")
    return number


def _index(value: Any) -> int | None:
    """The integer that a value is; None: it is not one. Truth values do not count as numbers."""
    if isinstance(value, (bool, np.bool_)):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def flag(value: Any, argument: str) -> bool:
    """A switch.

    Raises:
        TypeError: neither True nor False.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{argument}: expected True or False, got {value!r}")
    return bool(value)


def noise_precision(value: Any, argument: str) -> float:
    """A standard deviation of noise; 0 stands for none.

    Raises:
        TypeError: not a number.
        ValueError: negative, infinite or NaN.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{argument}: expected a finite number, at least 0, got {value!r}")
    number = float(value)
    if not math.isfinite(number) or number < 0.0:
        raise ValueError(f"{argument}: expected a finite number, at least 0, got {value}")
    return number


def noise_seed(value: Any, argument: str) -> int | np.random.Generator | None:
    """A seed of NumPy's generator of random numbers, or such a generator; None: a new seed each time.

    Raises:
        TypeError: of another kind.
        ValueError: a negative number.
    """
    if value is None or isinstance(value, np.random.Generator):
        return value
    number = _index(value)
    if number is None:
        raise TypeError(f"{argument}: expected an integer, a numpy.random.Generator or None, got {value!r}")
    if number < 0:
        raise ValueError(f"{argument}: expected an integer, at least 0, got {number}")
    return number


def generator_of(value: Any, argument: str = "generator") -> torch.Generator | None:
    """A generator of random numbers of PyTorch: itself, or one on the CPU that a seed starts; None: the global one.

    Raises:
        TypeError: of another kind.
        ValueError: a number that is no seed.
    """
    if value is None or isinstance(value, torch.Generator):
        return value
    seed = _index(value)
    if seed is None:
        raise TypeError(f"{argument}: expected a torch.Generator, a whole number as seed or None, got {value!r}")
    if not 0 <= seed < 1 << 63:
        raise ValueError(f"{argument}: expected a seed from 0 to 2^63 - 1, got {seed}")
    return torch.Generator().manual_seed(seed)


def shot_count(value: Any, argument: str) -> float | None:
    """A number of shots; None stands for exact values.

    Raises:
        TypeError: not a number.
        ValueError: not positive.
    """
    if value is None:
        return None
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{argument}: expected a positive number or None, got {value!r}")
    number = value if isinstance(value, int) else float(value)
    if not 0 < number < math.inf:
        raise ValueError(f"{argument}: expected a positive number or None, got {value}")
    return number


def tensor_of(
    values: Any, dtype: torch.dtype, device: torch.device | None = None, argument: str = "input"
) -> torch.Tensor:
    """Real numbers of any kind, also lists of arrays or of tensors (whose graph is kept), as one tensor.

    Raises:
        TypeError: anything other than real numbers.
        ValueError: rows of different lengths.
    """
    if isinstance(values, (list, tuple)) and _holds_tensors(values):
        rows = [tensor_of(row, dtype, device, argument) for row in values]
        if len({row.shape for row in rows}) > 1:
            shapes = [tuple(row.shape) for row in rows]
            raise ValueError(f"{argument}: expected rows of one length, got shapes {shapes}")
        return torch.stack(rows)
    if isinstance(values, (list, tuple)):
        try:
            values = np.asarray(values)
        except ValueError as error:
            raise ValueError(f"{argument}: expected rows of one length, got {_short(values)}") from error
    expected = f"{argument}: expected a tensor, an array or lists of real numbers"
    if values.is_complex() if isinstance(values, torch.Tensor) else np.iscomplexobj(values):
        raise TypeError(f"{expected}, got complex ones; take .real, or both parts as columns")
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf" and not _is_readable(values):
        values = np.array(values, dtype=np.float64)
    try:
        return torch.as_tensor(values, dtype=dtype, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{expected}, got {_short(values)}") from error


def _is_readable(array: np.ndarray[Any, Any]) -> bool:
    """Whether PyTorch can take it: not backwards (a flipped image), in the byte order of the machine, of known size."""
    return array.dtype.isnative and array.itemsize <= 8 and all(stride >= 0 for stride in array.strides)


def _short(values: Any) -> str:
    text = f"{type(values).__name__} {values!r}".replace("\n", " ")
    return text if len(text) <= 100 else f"{text[:100]}..."


def _holds_tensors(values: Any) -> bool:
    if isinstance(values, (list, tuple)):
        return any(_holds_tensors(value) for value in values)
    return isinstance(values, torch.Tensor)


def finite_number(value: Any, argument: str, above: float, or_equal: bool = False) -> float:
    """A real number above a bound.

    Args:
        value: The number.
        argument: What errors call it.
        above: The bound.
        or_equal: Whether it may be the bound itself.

    Raises:
        TypeError: not a number.
        ValueError: not above the bound, infinite or NaN.
    """
    expected = f"{argument}: expected a finite number {'at least' if or_equal else 'above'} {above:g}"
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{expected}, got {value!r}")
    number = float(value)
    if not math.isfinite(number) or number < above or (number == above and not or_equal):
        raise ValueError(f"{expected}, got {value}")
    return number
