"""XXH64, the checksum at the end of a zstd frame. Source: the XXH64 chapter of the xxHash specification, seed 0."""

import struct

MASK = (1 << 64) - 1
PRIME_1 = 0x9E3779B185EBCA87
PRIME_2 = 0xC2B2AE3D27D4EB4F
PRIME_3 = 0x165667B19E3779F9
PRIME_4 = 0x85EBCA77C2B2AE63
PRIME_5 = 0x27D4EB2F165667C5

STRIPE = 32
"""Bytes that the four accumulators take at once, eight each."""


class Xxh64:
    """The digest of everything that ``update`` was given."""

    def __init__(self) -> None:
        self._lanes = ((PRIME_1 + PRIME_2) & MASK, PRIME_2, 0, -PRIME_1 & MASK)
        self._rest = b""
        self._length = 0

    def update(self, data: bytes) -> None:
        """Take ``data`` in."""
        self._length += len(data)
        data = self._rest + data
        whole = len(data) - len(data) % STRIPE
        self._rest = data[whole:]
        self._take_stripes(data[:whole])

    def _take_stripes(self, data: bytes) -> None:
        # The four rounds are written out, because each byte of a payload passes here. Bits above the 64th need no mask before
        # the multiplication: they cannot reach the lower ones.
        mask, prime_1, prime_2 = MASK, PRIME_1, PRIME_2
        a, b, c, d = self._lanes
        for one, two, three, four in struct.iter_unpack("<4Q", data):
            a = (a + one * prime_2) & mask
            a = ((a << 31 | a >> 33) * prime_1) & mask
            b = (b + two * prime_2) & mask
            b = ((b << 31 | b >> 33) * prime_1) & mask
            c = (c + three * prime_2) & mask
            c = ((c << 31 | c >> 33) * prime_1) & mask
            d = (d + four * prime_2) & mask
            d = ((d << 31 | d >> 33) * prime_1) & mask
        self._lanes = (a, b, c, d)

    def digest(self) -> int:
        """The 64-bit digest of what came so far."""
        value = self._converge() if self._length >= STRIPE else PRIME_5
        return _avalanche(_take_rest((value + self._length) & MASK, self._rest))

    def _converge(self) -> int:
        a, b, c, d = self._lanes
        value = (_rotate(a, 1) + _rotate(b, 7) + _rotate(c, 12) + _rotate(d, 18)) & MASK
        for lane in self._lanes:
            value = ((value ^ _round(0, lane)) * PRIME_1 + PRIME_4) & MASK
        return value


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & MASK


def _round(lane: int, word: int) -> int:
    return (_rotate((lane + word * PRIME_2) & MASK, 31) * PRIME_1) & MASK


def _take_rest(value: int, rest: bytes) -> int:
    """``value`` with the last bytes, fewer than a stripe, mixed in: by eights, then four, then one by one."""
    eights = len(rest) // 8 * 8
    for (word,) in struct.iter_unpack("<Q", rest[:eights]):
        value = (_rotate(value ^ _round(0, word), 27) * PRIME_1 + PRIME_4) & MASK
    rest = rest[eights:]
    if len(rest) >= 4:
        word = int.from_bytes(rest[:4], "little")
        value = (_rotate(value ^ (word * PRIME_1 & MASK), 23) * PRIME_2 + PRIME_3) & MASK
        rest = rest[4:]
    for byte in rest:
        value = (_rotate(value ^ (byte * PRIME_5 & MASK), 11) * PRIME_1) & MASK
    return value


def _avalanche(value: int) -> int:
    value = ((value ^ value >> 33) * PRIME_2) & MASK
    value = ((value ^ value >> 29) * PRIME_3) & MASK
    return value ^ value >> 32
