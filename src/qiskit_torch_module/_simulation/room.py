"""Room in memory for what a call makes, which is looked for before anything is allocated."""

from __future__ import annotations

from .._core.sizes import counted, said_bytes
from .._engine import memory_budget

# Fewer bytes fit: to ask for the budget takes a third of a millisecond.
LEAST_ASKED = 1 << 20


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
            f"{what} take {said_bytes(size)}, more than the memory budget of {said_bytes(budget)}; {remedy}, or raise "
            "it with set_memory_budget"
        )


def require_states(num_qubits: int, batch_size: int, each: int = 1) -> None:
    """Checks that states in double precision, so many for each sample, fit the memory budget.

    Raises:
        ValueError: they do not; the message says how much they take.
    """
    size = 16 * each * batch_size << num_qubits
    if size >= LEAST_ASKED and size > (budget := memory_budget()):
        held = f", {each} for each sample," if each > 1 else ""
        raise ValueError(states_beyond(budget, size, num_qubits, batch_size, held))


def states_beyond(budget: int, size: float, num_qubits: int, batch_size: int, held: str = "") -> str:
    """Why states that take so many bytes are not computed, and what helps; `held`: what else is told of them."""
    return (
        f"states of {counted(num_qubits, 'qubit')}{held} take {said_bytes(size)} in a batch of {batch_size}, more than "
        f"the memory budget of {said_bytes(budget)}; use smaller batches or fewer qubits, or raise it with "
        "set_memory_budget"
    )
