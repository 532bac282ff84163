"""Parameters as plain data, and back as the same: equal to those that were written, in any process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from qiskit.circuit import Parameter

from .compat import ParameterVectorElement, identified_parameter, identified_vector, identity_of

_LONGEST_NAME = 1 << 12
# Elements of vectors that nothing uses take no room in a file, so their number is limited.
_MOST_ELEMENTS = 1 << 18


def written_parameters(parameters: Sequence[Parameter]) -> tuple[list[Any], list[Any]]:
    """Vectors as (name, length, root), and parameters as (name, identity) or (place of the vector, index)."""
    place: dict[tuple[str, int], int] = {}
    vectors: list[Any] = []
    rows: list[Any] = []
    for parameter in parameters:
        number = identity_of(parameter).int
        root = number - parameter.index if isinstance(parameter, ParameterVectorElement) else -1
        if root < 0:
            rows.append([parameter.name, f"{number:032x}"])
            continue
        vector = parameter.vector
        at = place.setdefault((vector.name, root), len(vectors))
        if at == len(vectors):
            vectors.append([vector.name, 0, f"{root:032x}"])
        vectors[at][1] = max(vectors[at][1], len(vector), parameter.index + 1)
        rows.append([at, parameter.index])
    return vectors, rows


def read_parameters(vectors: Any, rows: Any) -> list[Parameter]:
    """The parameters that `written_parameters` wrote.

    Raises:
        ValueError: they are damaged, or too many.
    """
    made = [_vector(*fields) for fields in _checked(vectors, (str, int, str), _MOST_ELEMENTS + 16 * len(rows))]
    parameters: list[Parameter] = []
    for row in rows:
        if type(row) is not list or len(row) != 2:
            raise ValueError("expected parameters as pairs")
        if type(row[0]) is str and type(row[1]) is str and len(row[0]) <= _LONGEST_NAME:
            parameters.append(identified_parameter(row[0], _identity(row[1])))
        elif type(row[0]) is int and 0 <= row[0] < len(made) and type(row[1]) is int:
            if not 0 <= row[1] < len(made[row[0]]):
                raise ValueError("an element of a vector that is not there")
            parameters.append(made[row[0]][row[1]])
        else:
            raise ValueError("expected a name and an identity, or a vector and an index, for every parameter")
    return parameters


def _checked(rows: Any, types: tuple[type, ...], most: int) -> list[list[Any]]:
    for row in rows:
        if type(row) is not list or tuple(map(type, row)) != types or len(row[0]) > _LONGEST_NAME or row[1] < 1:
            raise ValueError("expected vectors of parameters as name, length and identity")
    if sum(row[1] for row in rows) > most:
        raise ValueError(f"vectors of more than {most} parameters, most of which nothing uses")
    return list(rows)


def _vector(name: str, length: int, root: str) -> Any:
    number = _identity(root).int
    if number + length >= 1 << 128:
        raise ValueError("expected identities of 128 bits")
    return identified_vector(name, length, UUID(int=number))


def _identity(text: str) -> UUID:
    if len(text) != 32 or not set(text) <= set("0123456789abcdef"):
        raise ValueError("expected identities of 32 hexadecimal digits")
    return UUID(hex=text)
