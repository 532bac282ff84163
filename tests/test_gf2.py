"""Linear algebra over GF(2), held against all masks there are."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiskit_torch_module._program.gf2 import Basis, Elimination, Latest, duals, is_odd, overlaps, solution, sum_of

BITS = 6
MASKS = range(1 << BITS)
masks = st.integers(0, MASKS[-1])


def span(some):
    """All sums of some of the masks."""
    sums = {0}
    for mask in some:
        sums |= {mask ^ other for other in sums}
    return sums


@given(st.lists(masks), masks)
def test_sums_and_overlaps_are_those_of_bits(some, mask):
    assert [sum_of(some) >> bit & 1 for bit in range(BITS)] == [
        sum(one >> bit & 1 for one in some) % 2 for bit in range(BITS)
    ]
    odd = [sum(mask >> bit & other >> bit & 1 for bit in range(BITS)) % 2 for other in some]
    assert [overlaps(mask, some) >> i & 1 for i in range(len(some))] == odd
    assert overlaps(mask, some) >> len(some) == 0


@given(st.lists(st.tuples(masks, st.booleans()), max_size=8))
def test_a_solution_solves_all_equations_and_is_missing_only_where_there_is_none(equations):
    def solves(mask):
        return all(is_odd(mask & other) == odd for other, odd in equations)

    mask = solution(equations)
    assert solves(mask) if mask is not None else not any(map(solves, MASKS))


@given(st.lists(masks, max_size=10), masks)
def test_a_basis_is_made_of_the_first_independent_masks(some, mask):
    basis = Basis(some)
    assert basis.elements == [one for i, one in enumerate(some) if one not in span(some[:i])]
    assert len(basis) == len(basis.elements)
    assert span(basis.elements) == span(some)
    if mask in span(some):
        parts = basis.coordinates(mask)
        assert sum_of(one for i, one in enumerate(basis.elements) if parts >> i & 1) == mask
        assert parts >> len(basis) == 0


@given(st.lists(masks, max_size=10), masks)
def test_what_is_left_of_a_mask_says_what_was_taken(some, mask):
    elimination, before = Elimination(), []
    for i, one in enumerate([*some, mask]):
        left, label = elimination.add(one, 1 << i)
        before.append(one)
        assert sum_of(other for j, other in enumerate(before) if label >> j & 1) == left
        assert (left == 0) == (one in span(before[:-1]))
    assert elimination.reduced(mask, 0)[0] == 0


@given(st.randoms(use_true_random=False), st.integers(0, 70))
def test_duals_are_the_inverse_of_the_transpose(random_, size):
    """Masks wider than a machine's word as well."""
    columns = [1 << i for i in range(size)]
    for _ in range(4 * size if size > 1 else 0):
        one, other = random_.sample(range(size), 2)
        columns[one] ^= columns[other]
    for i, dual in enumerate(duals(columns)):
        assert overlaps(dual, columns) == 1 << i
        assert dual >> size == 0


@pytest.mark.parametrize("size", [1, 2, 3])
def test_duals_of_all_small_bases(size):
    def bases(count):
        yield from (
            [[]]
            if count == 0
            else ([*some, one] for some in bases(count - 1) for one in range(1 << size) if one not in span(some))
        )

    for columns in bases(size):
        assert [overlaps(dual, columns) for dual in duals(columns)] == [1 << i for i in range(size)]


def test_the_latest_odd_overlap_is_that_of_all_masks():
    choice = random.Random(0)
    for _ in range(300):
        latest, added, bits = Latest(), [], choice.randint(1, 8)
        for _ in range(choice.randint(0, 40)):
            added.append((choice.randrange(1 << bits), choice.randrange(12)))
            latest.add(*added[-1])
        for mask in range(1 << min(bits, 6)):
            odd = [time for other, time in added if (other & mask).bit_count() % 2]
            assert latest.odd(mask) == max(odd, default=-1)
