"""How often each outcome is drawn, where shots are so many that nobody looks at them one by one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def drawn_counts(
    probabilities: npt.NDArray[np.floating], shots: int, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Counts of a multinomial distribution, in a time that does not depend on the number of shots.

    Shots are shared out between halves of the outcomes, between halves of these, and so on: each time a binomial
    distribution, whose probability is a quotient of sums and so keeps its digits however small both are. What cannot be
    found is not.

    Args:
        probabilities: Shape (K, 2^n); their sums need not be 1 to the last digit.
        shots: Of each row.
        generator: What they are drawn by; rows take its numbers one after the other.

    Returns:
        Shape (K, 2^n); the sum of each row is the number of shots.
    """
    return np.stack([_shared_out(row.astype(np.float64), shots, generator) for row in probabilities])


def _shared_out(row: npt.NDArray[np.float64], shots: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    levels = [row]
    while len(levels[-1]) > 1:
        levels.append(levels[-1].reshape(-1, 2).sum(1))
    counts = np.array([shots])
    for level in levels[-2::-1]:
        first, second = level.reshape(-1, 2).T
        total = first + second
        share = np.divide(first, total, out=np.zeros_like(total), where=total > 0)
        taken = generator.binomial(counts, share)
        counts = np.stack([taken, counts - taken], axis=1).ravel()
    return counts
