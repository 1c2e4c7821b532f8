from __future__ import annotations

import random
from itertools import combinations

import pytest

from wheelhouse_builder.runtime.reedsolomon import MAX_VOLUMES, coefficient, combine, inverse, multiply, solve


def slow_product(one: int, other: int) -> int:
    """Multiplication as the polynomial says it, bit by bit."""
    product = 0
    for bit in range(8):
        if other >> bit & 1:
            product ^= one << bit
    for bit in range(14, 7, -1):
        if product >> bit & 1:
            product ^= 0x11D << bit - 8
    return product


def test_products_are_those_of_the_polynomial() -> None:
    assert all(multiply(one, other) == slow_product(one, other) for one in range(256) for other in range(256))


def test_every_element_but_zero_has_an_inverse() -> None:
    assert all(multiply(element, inverse(element)) == 1 for element in range(1, 256))


def test_the_first_recovery_volume_is_the_xor_of_all() -> None:
    assert {coefficient(0, column) for column in range(MAX_VOLUMES - 1)} == {1}


def test_no_coefficient_is_zero() -> None:
    assert all(coefficient(row, column) for row in range(100) for column in range(MAX_VOLUMES - 100))


@pytest.mark.parametrize(("data", "recovery"), [(1, 1), (1, 3), (5, 4)])
def test_any_lost_volumes_are_computed_from_any_as_many_others(data: int, recovery: int) -> None:
    blocks = [random.Random(number).randbytes(50 + number) for number in range(data)]  # the last is the longest
    length = 50 + data - 1
    rows = [combine(((coefficient(row, column), block) for column, block in enumerate(blocks)), length) for row in range(recovery)]
    for number in range(1, min(data, recovery) + 1):
        for lost in combinations(range(data), number):
            present = [column for column in range(data) if column not in lost]
            for used in combinations(range(recovery), number):
                for column, (by_row, by_column) in solve(lost, used, present).items():
                    terms = [(factor, rows[row]) for row, factor in by_row.items()]
                    terms += [(factor, blocks[other]) for other, factor in by_column.items()]
                    assert combine(terms, length) == blocks[column].ljust(length, b"\0")


def test_the_largest_set_can_be_solved() -> None:
    lost = list(range(50))
    recipes = solve(lost, list(range(50)), list(range(50, MAX_VOLUMES - 50)))
    assert sorted(recipes) == lost
