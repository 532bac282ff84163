"""Rows of PUBs, evaluated many at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .._simulation.states import amplitudes_at_once
from .measured import Measured, Rows
from .pubs import pub_rows
from .refusals import position_named

# Position of a PUB, its first row in question, and an array with one row for that and each after it.
Part = tuple[int, int, Rows]


def batches(pubs: Sequence[Any], works: Mapping[int, Measured], num_threads: int) -> Iterator[Part]:
    """Probabilities of the rows of PUBs, in order: position of the PUB, first row, and one row for each after it.

    Many rows are evaluated at once, those of different PUBs of one circuit together.
    """
    names: dict[int, tuple[str, ...]] = {}
    waiting: list[Part] = []
    size, listed = 0, [(pub_rows(pub, names), works[id(pub.circuit)].num_amplitudes) for pub in pubs]
    most = amplitudes_at_once(sum(len(rows) * width for rows, width in listed))
    for position, (rows, width) in enumerate(listed):
        at_once = max(1, most // width)
        for first in range(0, len(rows), at_once):
            part = rows[first : first + at_once]
            if waiting and size + len(part) * width > most:
                yield from _evaluated(waiting, pubs, works, num_threads)
                waiting, size = [], 0
            waiting.append((position, first, part))
            size += len(part) * width
    yield from _evaluated(waiting, pubs, works, num_threads)


def _evaluated(
    waiting: Sequence[Part],
    pubs: Sequence[Any],
    works: Mapping[int, Measured],
    num_threads: int,
) -> Iterator[Part]:
    parts: dict[int, list[Part]] = {}
    for part in waiting:
        parts.setdefault(id(pubs[part[0]].circuit), []).append(part)
    tables = {}
    for key, several in parts.items():
        try:
            tables[key] = works[key].probabilities(np.concatenate([rows for *_, rows in several]), num_threads)
        except ValueError:
            for position, _, rows in several:  # one of them is at fault
                with position_named("pubs", position, len(pubs)):
                    works[key].probabilities(rows, num_threads)
            raise
    begins = dict.fromkeys(tables, 0)
    for position, first, rows in waiting:
        key = id(pubs[position].circuit)
        begin = begins[key]
        begins[key] += len(rows)
        yield position, first, tables[key][begin : begins[key]]
