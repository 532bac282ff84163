"""JSON from outside, read strictly, in time and memory of the order of its length."""

from __future__ import annotations

import json
import re
from typing import Any

# Python takes quadratic time for such numbers. No text has so many digits behind one of these characters by accident.
_ENDLESS_NUMBER = re.compile(r"[\[,:\s+\-.][0-9]{400}")


def parsed_json(text: str) -> Any:
    """The value of a text in JSON.

    Raises:
        ValueError: it is not JSON, is nested too deep, holds a name twice in one object, NaN, or an endless number.
    """
    if _ENDLESS_NUMBER.search(text):
        raise ValueError("a number of more than 400 digits")
    try:
        return json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"expected finite numbers, got {name}")
