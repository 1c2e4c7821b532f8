"""Ed25519, the checking half (RFC 8032), strict: one signature has one encoding and was made for one key.

Only public values pass through here, so nothing need take constant time. Points are in extended coordinates (X, Y, Z, T) with
x = X/Z, y = Y/Z and xy = T/Z, after Hisil, Wong, Carter and Dawson, "Twisted Edwards Curves Revisited" (2008).
"""

import hashlib
from typing import List, Optional, Tuple

Point = Tuple[int, int, int, int]

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
"""The prime order L of the base point."""
_D = -121665 * pow(121666, _P - 2, _P) % _P
_2D = 2 * _D % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_IDENTITY: Point = (0, 1, 1, 0)
_WIDTH = 5
"""Bits of a window: both multiplications share their doublings and add every fifth or sixth time."""


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` (64 bytes) over ``message`` was made with the private half of ``public_key`` (32 bytes).

    False also for what RFC 8032 leaves open: S that is not below the group's order, a key or R that is not canonically encoded
    or of small order. The equation is checked without the cofactor, as OpenSSH and OpenSSL do.
    """
    if len(public_key) != 32 or len(signature) != 64:
        return False
    key = _decode(public_key)
    s = int.from_bytes(signature[32:], "little")
    if key is None or _is_small(key) or s >= _ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % _ORDER
    r = _sum_of_products(s, _BASE, k, _negative(key))
    # R is computed, encoded canonically and compared, so another encoding of the same point fails here.
    return not _is_small(r) and _encode(r) == signature[:32]


def _decode(data: bytes) -> Optional[Point]:
    """The point that ``data`` encodes, or None (RFC 8032, section 5.1.3)."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if v * x * x % _P == -u % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if v * x * x % _P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _encode(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, _P - 2, _P)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def _is_small(point: Point) -> bool:
    """Whether eight times ``point`` is nothing."""
    x, y, z, _ = _double(_double(_double(point)))
    return x == 0 and y == z


def _negative(point: Point) -> Point:
    x, y, z, t = point
    return (_P - x, y, z, _P - t)


def _add(first: Point, second: Point) -> Point:
    """The sum; the formula is complete, it holds for equal points and for the identity too."""
    x1, y1, z1, t1 = first
    x2, y2, z2, t2 = second
    a = (y1 - x1) * (y2 - x2) % _P
    b = (y1 + x1) * (y2 + x2) % _P
    c = t1 * t2 % _P * _2D % _P
    d = 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _double(point: Point) -> Point:
    x, y, z, _ = point
    a, b = x * x % _P, y * y % _P
    h = a + b
    e = h - (x + y) * (x + y) % _P
    g = a - b
    f = 2 * z * z % _P + g
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _sum_of_products(m: int, first: Point, n: int, second: Point) -> Point:
    """``m`` times ``first`` plus ``n`` times ``second``, by Straus's method: one chain of doublings serves both."""
    terms = [(_windows(m), _odd_multiples(first)), (_windows(n), _odd_multiples(second))]
    total = _IDENTITY
    for position in range(max(len(windows) for windows, _ in terms) - 1, -1, -1):
        total = _double(total)
        for windows, multiples in terms:
            digit = windows[position] if position < len(windows) else 0
            if digit > 0:
                total = _add(total, multiples[digit >> 1])
            elif digit < 0:
                total = _add(total, _negative(multiples[-digit >> 1]))
    return total


def _windows(number: int) -> List[int]:
    """``number`` in non-adjacent form: signed odd digits below 2**(width - 1), lowest first, with zeros between."""
    digits = []
    while number:
        digit = 0
        if number & 1:
            digit = number & (2**_WIDTH - 1)
            if digit >> (_WIDTH - 1):
                digit -= 2**_WIDTH
            number -= digit
        digits.append(digit)
        number >>= 1
    return digits


def _odd_multiples(point: Point) -> List[Point]:
    """1, 3, 5, … times ``point``, as many as a window can name."""
    twice = _double(point)
    multiples = [point]
    while len(multiples) < 2 ** (_WIDTH - 2):
        multiples.append(_add(multiples[-1], twice))
    return multiples


def _base() -> Point:
    """The point with y = 4/5 and even x."""
    point = _decode((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))
    assert point is not None  # noqa: S101 - a constant of the curve
    return point


_BASE = _base()
