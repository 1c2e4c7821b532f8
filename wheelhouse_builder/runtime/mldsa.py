"""ML-DSA-87, the checking half (FIPS 204, "pure", with an empty context): signatures that a quantum computer cannot forge.

Only public values pass through here, so nothing need take constant time. A polynomial is the list of its 256 coefficients modulo q,
a vector a list of polynomials. The names are those of FIPS 204 where it has one; numbers of algorithms are its own.
"""

import hashlib
from itertools import islice
from typing import Iterator, List, Optional

Polynomial = List[int]

PUBLIC_KEY_SIZE = 2592
SIGNATURE_SIZE = 4627

_Q = 8380417
_DROPPED = 13
"""d: so many low bits of t are not in the public key."""
_ROWS, _COLUMNS = 8, 7
"""k and l, of the matrix A."""
_TAU = 60
"""So many coefficients of the challenge are 1 or -1, the others 0."""
_GAMMA_1 = 2**19
_GAMMA_2 = (_Q - 1) // 32
_BETA = 2 * _TAU
_OMEGA = 75
"""At most so many hints."""
_SEED_SIZE, _CHALLENGE_SIZE = 32, 64
_Z_BITS, _T1_BITS = 20, 10
_Z_SIZE, _T1_SIZE = 32 * _Z_BITS, 32 * _T1_BITS
"""Bytes of one polynomial of z and of t1."""
_MATRIX_BYTES, _BALL_BYTES = 3 * 336, 8 + 256
"""What is squeezed for one polynomial of the matrix and for the challenge: both more than Appendix C requires of a bounded reader."""
_ZETAS = [pow(1753, int("{:08b}".format(number)[::-1], 2), _Q) for number in range(256)]
"""Powers of the 512th root of unity in bit-reversed order (Appendix B)."""
_INVERSE_256 = pow(256, _Q - 2, _Q)


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` (4,627 bytes) over ``message`` was made with the private half of ``public_key`` (2,592 bytes).

    Algorithms 3 and 8. False also for every encoding that FIPS 204 does not allow.
    """
    if len(public_key) != PUBLIC_KEY_SIZE or len(signature) != SIGNATURE_SIZE:
        return False
    challenge_end = _CHALLENGE_SIZE + _COLUMNS * _Z_SIZE
    challenge, z = signature[:_CHALLENGE_SIZE], _response(signature[_CHALLENGE_SIZE:challenge_end])
    hints = _hints(signature[challenge_end:])
    if hints is None or any(abs(each) >= _GAMMA_1 - _BETA for polynomial in z for each in polynomial):
        return False
    approximate = _approximate(public_key, challenge, z)
    if approximate is None:
        return False
    high_bits = b"".join(_pack_high_bits(w, hint) for w, hint in zip(approximate, hints))
    # M' of algorithm 3: 0 for "pure", 0 for the length of the context; mu of algorithm 8
    representative = _shake256(_shake256(public_key, 64) + b"\0\0" + message, 64)
    return _shake256(representative + high_bits, _CHALLENGE_SIZE) == challenge


def _shake256(data: bytes, size: int) -> bytes:
    return hashlib.shake_256(data).digest(size)


def _response(data: bytes) -> List[Polynomial]:
    """The vector z, with signed coefficients."""
    return [[_GAMMA_1 - each for each in _unpack(part, _Z_BITS)] for part in _parts(data, _Z_SIZE)]


def _parts(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def _unpack(data: bytes, bits: int) -> Iterator[int]:
    """The numbers of ``bits`` bits in ``data``, lowest first; ``bits`` divides 40."""
    mask, shifts = 2**bits - 1, range(0, 40, bits)
    for part in _parts(data, 5):
        number = int.from_bytes(part, "little")
        for shift in shifts:
            yield number >> shift & mask


def _hints(data: bytes) -> Optional[List[List[int]]]:
    """For each row the positions of its hints, or None if they are not written in the one allowed way (algorithm 21)."""
    rows, end = [], 0
    for bound in data[_OMEGA:]:
        start, end = end, bound
        if not start <= end <= _OMEGA:
            return None
        row = list(data[start:end])
        if row != sorted(set(row)):
            return None
        rows.append(row)
    return None if any(data[end:_OMEGA]) else rows


def _approximate(public_key: bytes, challenge: bytes, z: List[Polynomial]) -> Optional[List[Polynomial]]:
    """Az - ct1·2^d: what the signer committed to, up to what the hints say. None for a seed or challenge that gives no polynomial."""
    seed, t1 = public_key[:_SEED_SIZE], _parts(public_key[_SEED_SIZE:], _T1_SIZE)
    ball = _sample_in_ball(challenge)
    if ball is None:
        return None
    transformed, ball = [_ntt(polynomial) for polynomial in z], _ntt(ball)
    rows = []
    for row, part in enumerate(t1):
        total = [-c * t for c, t in zip(ball, _ntt([each << _DROPPED for each in _unpack(part, _T1_BITS)]))]
        for column, polynomial in enumerate(transformed):
            entry = _matrix_entry(seed, row, column)
            if entry is None:
                return None
            total = [sum_ + a * b for sum_, a, b in zip(total, entry, polynomial)]
        rows.append(_inverse_ntt(total))
    return rows


def _matrix_entry(seed: bytes, row: int, column: int) -> Optional[Polynomial]:
    """One polynomial of the matrix A, already transformed (algorithms 30 and 32)."""
    data = hashlib.shake_128(seed + bytes((column, row))).digest(_MATRIX_BYTES)
    candidates = (low | middle << 8 | (high & 127) << 16 for low, middle, high in zip(data[0::3], data[1::3], data[2::3]))
    found = list(islice((each for each in candidates if each < _Q), 256))
    return found if len(found) == 256 else None


def _sample_in_ball(challenge: bytes) -> Optional[Polynomial]:
    """The challenge as a polynomial (algorithm 29)."""
    data = _shake256(challenge, _BALL_BYTES)
    signs, positions = int.from_bytes(data[:8], "little"), iter(data[8:])
    ball = [0] * 256
    for index in range(256 - _TAU, 256):
        position = next((each for each in positions if each <= index), None)
        if position is None:
            return None
        ball[index] = ball[position]
        ball[position] = -1 if signs & 1 else 1
        signs >>= 1
    return ball


def _ntt(polynomial: Polynomial) -> Polynomial:
    """The number-theoretic transform (algorithm 41). Sums are left unreduced: they stay below 2**31."""
    values, number, step = list(polynomial), 0, 128
    while step:
        for start in range(0, 256, 2 * step):
            number += 1
            zeta, middle, end = _ZETAS[number], start + step, start + 2 * step
            low, high = values[start:middle], [zeta * each % _Q for each in values[middle:end]]
            values[start:middle] = [a + b for a, b in zip(low, high)]
            values[middle:end] = [a - b for a, b in zip(low, high)]
        step >>= 1
    return values


def _inverse_ntt(polynomial: Polynomial) -> Polynomial:
    """The way back (algorithm 42), reduced."""
    values, number, step = [each % _Q for each in polynomial], 256, 1
    while step < 256:
        for start in range(0, 256, 2 * step):
            number -= 1
            zeta, middle, end = _ZETAS[number], start + step, start + 2 * step
            low, high = values[start:middle], values[middle:end]
            values[start:middle] = [a + b for a, b in zip(low, high)]
            values[middle:end] = [zeta * (b - a) % _Q for a, b in zip(low, high)]
        step <<= 1
    return [each * _INVERSE_256 % _Q for each in values]


def _pack_high_bits(polynomial: Polynomial, hints: List[int]) -> bytes:
    """The high bits of each coefficient, set right by the hints (algorithms 28, 36 and 40): four bits each."""
    high = [(each + _GAMMA_2 - 1) // (2 * _GAMMA_2) for each in polynomial]
    for position in hints:
        # The low bits are positive or not: then the true high bits are the next ones above or below.
        high[position] += 1 if polynomial[position] > high[position] * 2 * _GAMMA_2 else -1
    return bytes(first & 15 | (second & 15) << 4 for first, second in zip(high[0::2], high[1::2]))
