"""Angles: what is a polynomial of the parameters, and what is refused."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit import Parameter, ParameterVector

from qiskit_torch_module._reading.angles import Angles
from qiskit_torch_module._reading.polynomials import Polynomial

P, Q, R = Parameter("p"), Parameter("q"), Parameter("r")
VARIABLES = {P: 0, Q: 1, R: 2}


def polynomial(angle, variables, gate):
    return Angles(variables).polynomial(angle, gate)


def value(found: Polynomial, at):
    return sum(c * math.prod(at[i] for i in variables) for variables, c in found.terms)


@pytest.mark.parametrize(
    ("angle", "terms"),
    [
        (0.5, {(): 0.5}),
        (0, {}),
        (P, {(0,): 1.0}),
        (2.5 * P, {(0,): 2.5}),
        (P / 4 - 1, {(): -1.0, (0,): 0.25}),
        (-(P + Q), {(0,): -1.0, (1,): -1.0}),
        (P * Q, {(0, 1): 1.0}),
        (Q * P - P * Q, {}),
        ((P + 1) * (Q - 2), {(0, 1): 1.0, (0,): -2.0, (1,): 1.0, (): -2.0}),
        (P * P, {(0, 0): 1.0}),
        (P * Q * R + P * P * P, {(0, 1, 2): 1.0, (0, 0, 0): 1.0}),
    ],
)
def test_terms(angle, terms):
    found = dict(polynomial(angle, VARIABLES, "rx").terms)
    assert found.keys() == terms.keys()
    for variables, coefficient in terms.items():
        assert found[variables] == pytest.approx(coefficient, abs=1e-15)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-3, 3), st.lists(st.sampled_from([P, Q, R]), max_size=3)), min_size=1, max_size=4),
    st.tuples(*[st.floats(-2, 2)] * 3),
)
def test_sums_of_products_keep_their_value(terms, at):
    expression = 0.0
    for coefficient, factors in terms:
        term = coefficient
        for factor in factors:
            term = term * factor
        expression = expression + term
    expected = sum(c * math.prod(at[VARIABLES[f]] for f in factors) for c, factors in terms)
    assert value(polynomial(expression, VARIABLES, "rx"), at) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("angle", [float("nan"), float("inf"), 1j])
def test_numbers_must_be_finite_and_real(angle):
    with pytest.raises(ValueError, match="gate 'rz': expected a finite real angle"):
        polynomial(angle, VARIABLES, "rz")


def test_elements_of_a_vector_are_parameters():
    vector = ParameterVector("v", 3)
    assert polynomial(vector[2], {vector[2]: 7}, "rx") == Polynomial.variable(7)
