"""Room in memory for what a call makes, which is looked for before anything is allocated."""

from __future__ import annotations

from .._engine import memory_budget

# Fewer bytes fit: to ask for the budget takes a third of a millisecond.
LEAST_ASKED = 1 << 20
_MOST = 1 << 900  # few enough for a float


def require_bytes(size: float, what: str, remedy: str, least: int | None = None) -> None:
    """Checks that so many bytes fit the memory budget.

    Args:
        size: Bytes.
        what: What takes them, in the plural, behind the argument that says how many: "shots: 5 shots of 2 rows".
        remedy: What helps besides a larger budget.
        least: Fewer bytes fit; None: `LEAST_ASKED`.

    Raises:
        ValueError: they do not fit.
    """
    if size >= (LEAST_ASKED if least is None else least) and size > (budget := memory_budget()):
        raise ValueError(
            f"{what} take {gibibytes(size)}, more than the memory budget of {gibibytes(budget)}; {remedy}, or raise it "
            "with set_memory_budget"
        )


def require_states(num_qubits: int, num_states: int) -> None:
    """Checks that states in double precision fit the memory budget.

    Raises:
        ValueError: they do not; the message says how much they take.
    """
    size = 16 * num_states << num_qubits
    if size >= LEAST_ASKED and size > (budget := memory_budget()):
        raise ValueError(
            f"states of {num_qubits} qubits take {gibibytes(size)} in a batch of {num_states}, more than the memory "
            f"budget of {gibibytes(budget)}; use smaller batches or fewer qubits"
        )


def gibibytes(size: float) -> str:
    """As messages say it."""
    return f"{min(size, _MOST) / 2**30:.3g} GiB"
