"""Numbers of things, of bytes and of operations, as messages and tables say them."""

from __future__ import annotations

_MOST = 1 << 900  # few enough for a float


def counted(count: int, noun: str) -> str:
    """So many of something: "1 qubit", "1,000 qubits"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def said_bytes(count: float) -> str:
    """In three digits, of units of 1024."""
    return f"{scaled(count, 1024, 'i')}B"


def scaled(value: float, base: int, binary: str = "") -> str:
    """In three digits and with the prefix of a unit, such as "1.5 M", behind which the unit stands."""
    value = min(value, _MOST)
    for prefix in ("", "k", "M", "G", "T"):
        if value < 999.5 or prefix == "T":  # three digits, whatever the base
            break
        value /= base
    unit = prefix.upper() + binary if binary and prefix else prefix
    return f"{value:.3g} {unit}"
