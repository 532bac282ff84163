"""The angles of a circuit as the engine takes them: polynomials, where those lose no digits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from qiskit.circuit import Parameter, ParameterExpression

from .compat import num_parameters
from .expressions import Derived, Expression, Node, operands_of, part_of, real_number, renamed, text_of
from .parameter_expressions import Reading, read
from .polynomials import MAX_DEGREE, Polynomial

# A sum of products while it is built: coefficients by variables, as in a `Polynomial`. Variables below 0 stand
# for nodes of the expression, -1 for the first.
Terms = dict[tuple[int, ...], float]

# Digits that a product may lose where it is multiplied out: so many times the error of a number of size 1.
MOST_CANCELLATION = 1e5

# From this size on, an angle has no digit left in single precision.
_LARGE = 2.0**23


class Angles:
    """Reads the angles of a circuit: polynomials of its variables, and of *derived* ones where those do not suffice.

    A sine, a quotient, or a factor that would lose its digits if it were multiplied out, becomes a variable of its own,
    computed from the others once for each sample before the engine starts.

    Args:
        variables: Index of every parameter of the circuit.

    Attributes:
        derived: The derived variables, numbered on after those of the circuit.
        given: The angles so far, each once, with the first gate that has it and its qubits.
    """

    def __init__(self, variables: Mapping[Parameter, int]) -> None:
        self._variables = variables
        self.derived: list[Derived] = []
        self._index: dict[Expression, int] = {}
        self.given: dict[Reading | int, tuple[str, Sequence[int]]] = {}

    def polynomial(self, angle: Any, gate: str, qubits: Sequence[int] = ()) -> Polynomial:
        """The angle of a gate, a number or a ``ParameterExpression``.

        Raises:
            ValueError: the angle is not finite or not real.
        """
        if isinstance(angle, Parameter):
            index = self._variables.get(angle)
            if index is not None:
                self.given.setdefault(index, (gate, qubits))
                return Polynomial.variable(index)
        try:
            if not isinstance(angle, ParameterExpression) or num_parameters(angle) == 0:
                number = real_number(angle)
                if abs(number) >= _LARGE:
                    self.given.setdefault(Reading((number,), ()), (gate, qubits))
                return Polynomial.constant(number)
            reading = read(angle)
            if all(map(self._variables.__contains__, reading.parameters)):
                self.given.setdefault(reading, (gate, qubits))
                return self._of(reading, gate)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise ValueError(f"gate '{gate}': expected a finite real angle, got {_shortened(angle)}") from error
        hidden = next(parameter.name for parameter in reading.parameters if parameter not in self._variables)
        raise ValueError(
            f"gate '{gate}': parameter '{hidden}' is not among circuit.parameters, because the gate that holds it does "
            "not tell Qiskit; unroll that gate with circuit.decompose or qiskit.transpile first"
        )

    def _of(self, reading: Reading, gate: str) -> Polynomial:
        variables = [self._variables[parameter] for parameter in reading.parameters]
        terms = sum_of_products(reading.expression)

        def index(i: int) -> int:
            return variables[i] if i >= 0 else self._derived(part_of(reading.expression, -1 - i), reading, gate)

        return Polynomial.sum_of([(tuple(sorted(map(index, term))), coefficient) for term, coefficient in terms])

    def _derived(self, part: Expression, reading: Reading, gate: str) -> int:
        expression = renamed(part, [self._variables[parameter] for parameter in reading.parameters])
        if expression not in self._index:
            self._index[expression] = len(self._variables) + len(self.derived)
            text = text_of(part, [parameter.name for parameter in reading.parameters])
            self.derived.append(Derived(expression, f"angle {text} of gate '{gate}'"))
        return self._index[expression]


def _shortened(angle: Any) -> str:
    try:
        text = str(angle)
    except RecursionError:
        return "an expression nested too deep to be printed"
    return text if len(text) <= 200 else f"{text[:100]} ... {text[-100:]}"


@lru_cache(maxsize=4096)
def sum_of_products(expression: Expression) -> tuple[tuple[tuple[int, ...], float], ...]:
    """Variables and coefficient of every term; those below 0 stand for nodes of the expression, -1 for the first.

    Raises:
        OverflowError: a coefficient is beyond the range of double precision.
    """
    terms = _SumOfProducts(expression).terms
    if not all(map(math.isfinite, terms.values())):
        raise OverflowError("a coefficient beyond the range of double precision")
    return tuple(terms.items())


class _SumOfProducts:
    """Multiplies an expression out, from its first node to its last, where that keeps digits and stays small.

    Sums and multiples keep their digits. A product of sums does not: (x - 1000)^2 is 1 where x is 1001, but its terms
    are a million. Only factors of the form c + k x are multiplied out, whose cancellation is known: it occurs at
    x = -c/k. Other sums are left as they are and count as variables.

    Attributes:
        terms: What the last node is.
    """

    def __init__(self, nodes: Expression) -> None:
        self._uses = Counter(place for node in nodes for place in operands_of(node))
        self._sums: list[Terms] = []
        for place, node in enumerate(nodes):
            terms = self._of(node)
            self._sums.append(_alone(place) if terms is None else terms)
        self.terms = self._sums[-1]

    def _of(self, node: Node) -> Terms | None:
        """None: no sum of products."""
        if not isinstance(node, tuple):
            return {(): node} if node != 0.0 else {}
        name, *operands = node
        if name == "variable":
            return {(operands[0],): 1.0}
        if name in ("add", "sub"):
            return self._sum(operands, 1.0 if name == "add" else -1.0)
        if name == "mul":
            return self._product(operands)
        if name == "conjugate":  # of a real number
            return dict(self._sums[operands[0]])
        if name == "div":
            return self._quotient(*operands)
        if name == "pow":
            return self._power(*operands)
        return None

    def _sum(self, operands: Sequence[int], sign: float) -> Terms:
        # Into the larger one, where nobody else needs that: thousands of terms take time that grows with their number.
        first, *rest = operands
        total, is_own = self._sums[first], self._uses[first] == 1
        for place in rest:
            terms, factor = self._sums[place], sign
            if self._uses[place] == 1 and len(terms) > len(total):
                total, terms = (terms if sign > 0.0 else _scaled(terms, -1.0)), total
                is_own, factor = True, 1.0
            if not is_own:
                total, is_own = dict(total), True
            for variables, coefficient in terms.items():
                value = total.pop(variables, 0.0) + factor * coefficient
                if value != 0.0:
                    total[variables] = value
        return total

    def _product(self, operands: Sequence[int]) -> Terms | None:
        scale, factors = 1.0, []
        for place in operands:
            terms = self._sums[place]
            if _is_constant(terms):
                scale *= terms.get((), 0.0)
            else:
                factors.append(place)
        if scale == 0.0 or not factors:
            return {(): scale} if scale != 0.0 else {}
        if len(factors) == 1:
            return _scaled(self._sums[factors[0]], scale)
        product = _multiplied_out([self._factor(place) for place in factors])
        if product is None:
            product = _multiplied_out([self._factor(place, 1) for place in factors])
        return None if product is None else _scaled(product, scale)

    def _quotient(self, numerator: int, *denominators: int) -> Terms | None:
        divisor = 1.0
        for place in denominators:
            terms = self._sums[place]
            if not _is_constant(terms):
                return None
            divisor *= terms.get((), 0.0)
        return {variables: coefficient / divisor for variables, coefficient in self._sums[numerator].items()}

    def _power(self, base: int, exponent: int) -> Terms | None:
        terms = self._sums[exponent]
        power = terms.get((), 0.0)
        if not _is_constant(terms) or power not in range(MAX_DEGREE + 1):
            return None
        if power <= 1.0:
            return dict(self._sums[base]) if power == 1.0 else {(): 1.0}
        product = _multiplied_out([self._factor(base)] * int(power))
        return _multiplied_out([self._factor(base, 1)] * int(power)) if product is None else product

    def _factor(self, place: int, most_terms: int = 2) -> Terms:
        """A node as a factor: itself if it is one product or c + k x, a variable otherwise."""
        terms = self._sums[place]
        if len(terms) <= most_terms and (len(terms) == 1 or _offset(terms) is not None):
            return terms
        return _alone(place)


def _alone(place: int) -> Terms:
    return {(-1 - place,): 1.0}


def _is_constant(terms: Terms) -> bool:
    return not terms or (len(terms) == 1 and () in terms)


def _scaled(terms: Terms, factor: float) -> Terms:
    return {variables: factor * coefficient for variables, coefficient in terms.items()}


def _offset(terms: Terms) -> tuple[int, float] | None:
    """Of c + k x: the variable, and the size at which it cancels c; None: of no such form."""
    if len(terms) != 2 or () not in terms:
        return None
    ((variables, slope),) = [item for item in terms.items() if item[0]]
    return (variables[0], abs(terms[()] / slope)) if len(variables) == 1 else None


def _multiplied_out(factors: Sequence[Terms]) -> Terms | None:
    """The product; None: it has too high a degree, or would lose digits."""
    if sum(max(map(len, terms)) for terms in factors) > MAX_DEGREE:
        return None
    size: dict[int, float] = {}
    for terms in factors:
        offset = _offset(terms)
        if offset is not None:
            size[offset[0]] = max(size.get(offset[0], 1.0), offset[1])
    bound = 1.0
    for terms in factors:
        if len(terms) > 1:
            bound *= sum(abs(c) * math.prod(size.get(i, 1.0) for i in variables) for variables, c in terms.items())
    if not bound <= MOST_CANCELLATION:
        return None
    product: Terms = {(): 1.0}
    for terms in factors:
        longer: Terms = {}
        for first, a in product.items():
            for second, b in terms.items():
                variables = tuple(sorted(first + second))
                longer[variables] = longer.get(variables, 0.0) + a * b
        product = longer
    return {variables: c for variables, c in product.items() if c != 0.0}
