"""Reads Qiskit's ``ParameterExpression``: nothing is trusted that ``bind``, which is public, does not confirm.

Qiskit tells what an expression is made of in private structures, which change from release to release and are wrong in
some. So every distinct expression is read in one way after the other, fast ones first, until one gives what ``bind``
gives at points drawn once and for all. The last way is ``bind`` itself.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from qiskit.circuit import Parameter

from .compat import KEEPS_RECORDS, num_parameters, recorded_steps, symbolic_expression
from .domains import points_within, value_and_slopes
from .expressions import Builder, Expression, number_of, rounding_of
from .opaque import Opaque, bound


class Reading(NamedTuple):
    """An expression: its variables are the places of its parameters."""

    expression: Expression
    parameters: tuple[Parameter, ...]


# With more parameters than that, Qiskit takes long to tell how an expression was built: quadratic time.
MOST_RECORDED = 48

# Size of the points, and sign of every other coordinate: first where every function is defined, then where `abs` and
# `sign` matter, then wherever else an expression may be defined.
_SCALES = (
    *((0.9, 1.0), (1.9, -1.0), (4.0, 1.0), (4.0, -1.0), (0.1, 1.0), (0.1, -1.0), (60.0, 1.0), (60.0, -1.0)),
    *((1e-3, 1.0), (1e-3, -1.0), (5e3, 1.0), (5e3, -1.0), (5e6, 1.0), (5e6, -1.0)),
)
_LEAST_CONFIRMED = 2
# Points at which derivatives are checked, for expressions of which nothing is known.
_MOST_POINTS = 3
# Some versions take smaller numbers for zero.
_NOTHING = 1e-18

_MOST_KEPT = 1 << 14
_lock = threading.Lock()


class _Memory(dict[Hashable, Any]):
    """What was read before; all of it is forgotten when it becomes too much."""

    def keep(self, key: Hashable, value: Any) -> None:
        with _lock:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[key] = value


_slowly_read = _Memory()


class _Structure:
    """What some expressions are told to be made of, and the values of those for which it was confirmed.

    Equal structures may stand for different expressions where they are wrong: each has to give its own value.
    """

    def __init__(self, expression: Expression) -> None:
        self.expression = expression
        self.confirmed: set[float | None] = set()


def read(expression: Any) -> Reading:
    """What a ``ParameterExpression`` that has parameters is made of.

    Raises:
        ValueError: it has no finite real value, wherever it was tried.
    """
    try:
        structure, parameters = _told(expression)
        reading = Reading(structure.expression, parameters)
        value = _bound(expression, _point(0, parameters))
        if value in structure.confirmed:
            return reading
        if _confirm(reading, expression):
            if value is not None:
                structure.confirmed.add(value)
            return reading
    except Exception:  # a private structure that is not as expected may raise anything
        return _read_slowly(expression)
    return _read_slowly(expression)


def _told(expression: Any) -> tuple[_Structure, tuple[Parameter, ...]]:
    """What Qiskit tells quickly, right or wrong."""
    symbols = symbolic_expression(expression)
    if symbols is not None:
        nodes, parameters = _of_symbols(symbols, expression)
        return _structure(nodes), parameters
    if not KEEPS_RECORDS and num_parameters(expression) > MOST_RECORDED:
        raise ValueError("takes long")
    places: dict[Parameter, int] = {}
    steps = tuple(recorded_steps(expression, places))
    return _structure_of_steps(steps), tuple(places)


@lru_cache(maxsize=4096)
def _structure(expression: Expression) -> _Structure:
    return _Structure(expression)


@lru_cache(maxsize=4096)
def _structure_of_steps(steps: tuple[tuple[str, Any], ...]) -> _Structure:
    return _structure(_of_steps(steps))


def _read_slowly(expression: Any) -> Reading:
    parameters = tuple(sorted(expression.parameters, key=lambda parameter: str(parameter.name)))
    value = _bound(expression, _point(0, parameters))
    key = (str(expression), parameters, value)
    reading: Reading | None = _slowly_read.get(key)
    if reading is None:
        reading = next(_confirmed_ways(expression, parameters), None) or _opaque(expression, parameters)
        if value is not None:  # without a value, the text alone would tell them apart
            _slowly_read.keep(key, reading)
    return reading


def _ways(expression: Any, parameters: Sequence[Parameter]) -> list[Callable[[], Reading]]:
    ways: list[Callable[[], Reading]] = [lambda: _of_symbols(expression.sympify(), expression)]
    if len(parameters) > MOST_RECORDED:
        ways = [lambda: _of_slopes(expression, parameters), lambda: _of_record(expression), *ways]
    return ways


def _confirmed_ways(expression: Any, parameters: Sequence[Parameter]) -> Iterator[Reading]:
    for way in _ways(expression, parameters):
        try:
            reading = way()
            if _confirm(reading, expression):
                yield reading
        except Exception:  # missing or wrong information is no error here: there is a way left
            continue


def _opaque(expression: Any, parameters: tuple[Parameter, ...]) -> Reading:
    points = [at for at in _scattered(len(parameters)) if _value_at(expression, parameters, at) is not None]
    points = points or _home(expression, parameters)
    if not points:
        raise ValueError(f"{expression} is not a finite real number for any values that were tried")
    builder = Builder()
    operands = [builder.variable(place) for place in range(len(parameters))]
    place = builder.opaque(Opaque(expression, parameters, points[:_MOST_POINTS]), operands)
    return Reading(builder.expression(place), parameters)


def _home(expression: Any, parameters: tuple[Parameter, ...]) -> list[tuple[float, ...]]:
    """Points where an expression has a value, although all that is told of it is wrong: that may be near enough."""
    told: list[Callable[[], Reading]] = [lambda: _of_record(expression), *_ways(expression, parameters)]
    for way in told:
        try:
            reading = way()
            places = [reading.parameters.index(parameter) for parameter in parameters]
            walked = points_within(reading.expression, _scattered(len(parameters)))
            points = [tuple(at[i] for i in places) for at in walked]
        except Exception:  # as in `_confirmed_ways`
            continue
        points = [at for at in points if _value_at(expression, parameters, at) is not None]
        if points:
            return points
    return []


def _confirm(reading: Reading, expression: Any) -> bool:
    """Whether what was read has the values of the expression, at enough points within its domain, and its slopes."""
    confirmed = 0
    for at in _points(reading):
        try:
            own = number_of(reading.expression, at)
            if not math.isfinite(own):
                continue
            value = _value_at(expression, reading.parameters, at)
            if value is None or (
                own != value and abs(own - value) > _NOTHING + 16.0 * rounding_of(reading.expression, at)
            ):
                return False
        except (ArithmeticError, ValueError):
            continue  # outside of the domain
        confirmed += 1
        if confirmed == _LEAST_CONFIRMED:
            return _has_slopes(reading, expression, at)
    return False


def _points(reading: Reading) -> Iterator[tuple[float, ...]]:
    """Where an expression may be defined: here and there, and then where it has to be."""
    scattered = _scattered(len(reading.parameters))
    yield from scattered
    yield from points_within(reading.expression, scattered)


_STEPS = (1e-3, 1e-5, 1e-7)


def _may_lack_slopes(expression: Expression) -> bool:
    """Whether an operation can have a value where it has no slope, though the whole has one: acos(x / x)."""
    for node in expression:
        if isinstance(node, tuple) and node[0] in ("asin", "acos", "pow"):
            exponent = expression[node[2]] if node[0] == "pow" else None
            if not (isinstance(exponent, float) and exponent >= 1.0 and exponent.is_integer()):
                return True
    return False


def _has_slopes(reading: Reading, expression: Any, at: Sequence[float]) -> bool:
    """Whether PyTorch finds the slope that small steps of the expression show, all variables at once."""
    if not _may_lack_slopes(reading.expression):
        return True
    own = sum(value_and_slopes(reading.expression, at)[1])
    size = abs(number_of(reading.expression, at))
    differences = []
    for step in (factor * max(1.0, *map(abs, at)) for factor in _STEPS):
        values = [_value_at(expression, reading.parameters, [x + k * step for x in at]) for k in (-2, -1, 1, 2)]
        if None not in values:
            far_left, left, right, far_right = map(float, values)  # type: ignore[arg-type]
            differences.append((8.0 * (right - left) - (far_right - far_left)) / (12.0 * step))
            if abs(own - differences[-1]) <= 1e-3 * max(1.0, abs(own)) + 1e-13 * size / step:
                return True
    return math.isfinite(own) and not differences


def _point(index: int, parameters: Sequence[Parameter]) -> dict[Parameter, float]:
    """A value for every parameter: the same in every process, and without any relation between them."""
    return dict(zip(parameters, _coordinates(index, len(parameters)), strict=False))


@lru_cache(maxsize=1024)
def _coordinates(index: int, count: int) -> tuple[float, ...]:
    size, sign = _SCALES[index]
    fractions = [(0.3819660112501052 * (position + 1) + 0.2360679774997896 * index) % 1.0 for position in range(count)]
    return tuple([size * (0.05 + 0.95 * fraction) * sign ** (i % 2 == 0) for i, fraction in enumerate(fractions)])


def _scattered(count: int) -> list[tuple[float, ...]]:
    return [_coordinates(index, count) for index in range(len(_SCALES))]


def _value_at(expression: Any, parameters: Sequence[Parameter], at: Sequence[float]) -> float | None:
    return _bound(expression, dict(zip(parameters, at, strict=True)))


def _bound(expression: Any, point: dict[Parameter, float]) -> float | None:
    """The value at a point; None: it is not a finite real number."""
    value = bound(expression, point)
    return value if math.isfinite(value) else None


def _of_record(expression: Any) -> Reading:
    """From the steps in which Qiskit built it."""
    places: dict[Parameter, int] = {}
    return Reading(_of_steps(recorded_steps(expression, places)), tuple(places))


def _of_steps(steps: Sequence[tuple[str, Any]]) -> Expression:
    builder = Builder()
    stack: list[int] = []
    for name, value in steps:
        if name == "variable":
            stack.append(builder.variable(value))
        elif name == "number":
            stack.append(builder.number(value))
        else:
            operands = stack[len(stack) - value :]
            del stack[len(stack) - value :]
            stack.append(builder.operation(name, operands))
    (place,) = stack
    return builder.expression(place)


_SYMBOLIC_NAMES = {"Abs": "abs", "ASin": "asin", "ACos": "acos", "ATan": "atan"}


def _of_symbols(symbols: Any, expression: Any) -> Reading:
    """From an expression of symengine or SymPy."""
    by_name = {parameter.name: parameter for parameter in expression.parameters}
    parameters: dict[Parameter, int] = {}
    builder = Builder()
    places: dict[Any, int] = {}
    stack = [symbols]
    while stack:
        node = stack[-1]
        arguments = node.args
        missing = [argument for argument in arguments if argument not in places]
        if missing:
            stack += missing
            continue
        stack.pop()
        if arguments:
            name = type(node).__name__
            operands = [places[argument] for argument in arguments]
            places[node] = builder.operation(_SYMBOLIC_NAMES.get(name) or name.lower(), operands)
        elif getattr(node, "is_Symbol", False):
            parameter = by_name[node.name]
            places[node] = builder.variable(parameters.setdefault(parameter, len(parameters)))
        else:
            places[node] = builder.number(node)
    return Reading(builder.expression(places[symbols]), tuple(parameters))


def _of_slopes(expression: Any, parameters: Sequence[Parameter]) -> Reading:
    """A sum of multiples of parameters: half of them after the other is set to 0, until one is left to differentiate.

    Raises:
        TypeError: the expression is not such a sum.
    """
    builder = Builder()
    terms = [builder.number(expression.bind(dict.fromkeys(parameters, 0.0)))]
    stack: list[tuple[Any, range]] = [(expression, range(len(parameters)))]
    while stack:
        part, free = stack.pop()
        if len(free) == 1:
            slope = builder.number(part.gradient(parameters[free[0]]))
            terms.append(builder.operation("mul", [slope, builder.variable(free[0])]))
            continue
        middle = len(free) // 2
        for kept, cleared in ((free[:middle], free[middle:]), (free[middle:], free[:middle])):
            stack.append((part.bind({parameters[place]: 0.0 for place in cleared}), kept))
    return Reading(builder.expression(builder.operation("add", terms)), tuple(parameters))
