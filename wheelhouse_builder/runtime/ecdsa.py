"""ECDSA on the curve P-384 with SHA-384, the checking half (FIPS 186-5, SP 800-186).

Only public values pass through here, so nothing need take constant time. Points are in projective coordinates (X, Y, Z) with
x = X/Z and y = Y/Z, and Z = 0 for the point at infinity.
"""

import hashlib
from typing import List, Optional, Tuple

Point = Tuple[int, int, int]

_P = 2**384 - 2**128 - 2**96 + 2**32 - 1
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
"""The prime order n of the group; the cofactor is 1, so every point on the curve is in it."""
_B = 0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF
"""The curve is y² = x³ - 3x + b."""
_BASE: Point = (
    0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
    0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
    1,
)
_INFINITY: Point = (0, 1, 0)
_SIZE = 48
"""Bytes of a coordinate, of r and of s."""
_WIDTH = 4
"""Bits of a window."""


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` over ``message`` was made with the private half of ``public_key``.

    The key is an uncompressed point (97 bytes: 4, x, y), the signature is r and s (48 bytes each, big-endian). False also for
    a key that is not on the curve, and for r or s that is 0 or not below the group's order.
    """
    key = _decode(public_key)
    if key is None or len(signature) != 2 * _SIZE:
        return False
    r, s = _number(signature[:_SIZE]), _number(signature[_SIZE:])
    if not (0 < r < _ORDER and 0 < s < _ORDER):
        return False
    inverse = pow(s, _ORDER - 2, _ORDER)
    digest = _number(hashlib.sha384(message).digest())
    x, _, z = _sum_of_products(digest * inverse % _ORDER, _BASE, r * inverse % _ORDER, key)
    return z != 0 and x * pow(z, _P - 2, _P) % _P % _ORDER == r


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _decode(data: bytes) -> Optional[Point]:
    """The point that ``data`` encodes uncompressed (SEC 1, section 2.3.4), or None if it is not on the curve."""
    if len(data) != 1 + 2 * _SIZE or data[0] != 4:
        return None
    x, y = _number(data[1 : 1 + _SIZE]), _number(data[1 + _SIZE :])
    if x >= _P or y >= _P or (y * y - (x * x - 3) * x - _B) % _P:
        return None
    return (x, y, 1)


def _add(first: Point, second: Point) -> Point:
    """The sum, by the complete formula of Renes, Costello and Batina (2016): it holds for equal points and for infinity too."""
    x1, y1, z1 = first
    x2, y2, z2 = second
    xx, yy, zz = x1 * x2 % _P, y1 * y2 % _P, z1 * z2 % _P
    xy = ((x1 + y1) * (x2 + y2) - xx - yy) % _P
    yz = ((y1 + z1) * (y2 + z2) - yy - zz) % _P
    xz = ((x1 + z1) * (x2 + z2) - xx - zz) % _P
    slant = 3 * (_B * zz - xz) % _P
    minus, plus = yy - slant, yy + slant
    curve = 3 * (_B * xz - xx - 3 * zz) % _P
    tangent = 3 * (xx - zz)
    return ((xy * minus - yz * curve) % _P, (tangent * curve + plus * minus) % _P, (yz * plus + xy * tangent) % _P)


def _sum_of_products(m: int, first: Point, n: int, second: Point) -> Point:
    """``m`` times ``first`` plus ``n`` times ``second``, by Straus's method: one chain of doublings serves both."""
    tables = _multiples(first), _multiples(second)
    total = _INFINITY
    for position in range(8 * _SIZE - _WIDTH, -1, -_WIDTH):
        for _ in range(_WIDTH):
            total = _add(total, total)
        for number, multiples in zip((m, n), tables):
            total = _add(total, multiples[number >> position & (2**_WIDTH - 1)])
    return total


def _multiples(point: Point) -> List[Point]:
    """0, 1, 2, … times ``point``, as many as a window can name."""
    multiples = [_INFINITY]
    while len(multiples) < 2**_WIDTH:
        multiples.append(_add(multiples[-1], point))
    return multiples
