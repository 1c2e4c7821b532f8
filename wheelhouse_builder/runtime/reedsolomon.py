"""Reed–Solomon over GF(256): as many lost volumes are computed again as there are recovery volumes (FORMAT.md, section 12).

Byte by byte, recovery volume r is the sum of ``coefficient(r, c)`` times data volume c, both counted from 0. Any square part of
these coefficients can be inverted, since they are a Cauchy matrix whose columns were scaled; the first row is all ones, a plain XOR.

A product with a constant is ``bytes.translate``, a sum is XOR of big integers, so this runs at about a gigabyte per second and term
in the standard library alone.
"""

from typing import Dict, Iterable, List, Sequence, Tuple

MAX_VOLUMES = 255
"""Data and recovery volumes together: rows and columns are distinct elements of the field."""
_POLYNOMIAL = 0x11D
_LAST = 255


def _powers() -> List[int]:
    """The powers of 2, twice around, so that a sum of two logarithms needs no modulus."""
    powers, value = [], 1
    for _ in range(_LAST):
        powers.append(value)
        value <<= 1
        if value > _LAST:
            value ^= _POLYNOMIAL
    return powers * 2


_POWERS = _powers()
_LOGARITHMS = {value: exponent for exponent, value in enumerate(_POWERS[:_LAST])}

Term = Tuple[int, bytes]
"""A factor of the field and the bytes that it multiplies."""


def multiply(one: int, other: int) -> int:
    """The product of two elements of the field."""
    return _POWERS[_LOGARITHMS[one] + _LOGARITHMS[other]] if one and other else 0


def inverse(element: int) -> int:
    """What makes 1 when multiplied with ``element``, which is not 0."""
    return _POWERS[_LAST - _LOGARITHMS[element]]


def coefficient(row: int, column: int) -> int:
    """How recovery volume ``row`` weighs data volume ``column``."""
    element = _LAST - column
    return multiply(element, inverse(row ^ element))


def combine(terms: Iterable[Term], length: int) -> bytes:
    """The sum of all products, ``length`` bytes; bytes that are shorter count as followed by zeros."""
    total = 0
    for factor, data in terms:
        total ^= int.from_bytes(data if factor == 1 else data.translate(_table(factor)), "little")
    return total.to_bytes(length, "little")


def solve(lost: Sequence[int], rows: Sequence[int], present: Sequence[int]) -> Dict[int, Tuple[Dict[int, int], Dict[int, int]]]:
    """How to compute the data volumes ``lost`` from as many recovery volumes ``rows`` and the data volumes ``present``.

    For each lost volume: the factors of the recovery volumes, by row, and those of the data volumes, by column.
    """
    inverted = _inverted([[coefficient(row, column) for column in lost] for row in rows])
    recipes = {}
    for number, column in enumerate(lost):
        by_row = dict(zip(rows, inverted[number]))
        by_column = {other: _sum(multiply(factor, coefficient(row, other)) for row, factor in by_row.items()) for other in present}
        recipes[column] = (by_row, by_column)
    return recipes


def _inverted(matrix: List[List[int]]) -> List[List[int]]:
    """The inverse of a square matrix, by Gauss and Jordan; no pivot of a Cauchy matrix is 0, as its leading parts are such, too."""
    size = len(matrix)
    wide = [list(row) + [int(column == number) for column in range(size)] for number, row in enumerate(matrix)]
    for pivot in range(size):
        scale = inverse(wide[pivot][pivot])
        wide[pivot] = [multiply(scale, element) for element in wide[pivot]]
        for number in range(size):
            factor = wide[number][pivot]
            if number != pivot and factor:
                wide[number] = [element ^ multiply(factor, other) for element, other in zip(wide[number], wide[pivot])]
    return [row[size:] for row in wide]


def _sum(elements: Iterable[int]) -> int:
    total = 0
    for element in elements:
        total ^= element
    return total


_TABLES: Dict[int, bytes] = {}


def _table(factor: int) -> bytes:
    """The products of ``factor`` with each byte, for bytes.translate."""
    if factor not in _TABLES:
        _TABLES[factor] = bytes(multiply(factor, byte) for byte in range(256))
    return _TABLES[factor]
