"""ML-DSA-87 in the standard library: the verdicts of ``cryptography``, and no others."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Sequence

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA87PrivateKey, MLDSA87PublicKey
from hypothesis import given
from hypothesis import strategies as st

from wheelhouse_builder.runtime import mldsa

MESSAGE = b"message"
Z_START, HINTS_START = 64, 64 + 7 * 640
LARGEST = 2**19 - 120 - 1
"""No coefficient of z may be further from 0."""


def accepted(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        MLDSA87PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def agree_on(count: int) -> None:
    """Random keys, messages, signatures and their corruptions: both verdicts are the same."""
    chance = random.Random(204)
    for length in range(count):
        private, message = MLDSA87PrivateKey.from_seed_bytes(chance.randbytes(32)), chance.randbytes(length)
        public, signature = private.public_key().public_bytes_raw(), private.sign(message)
        assert mldsa.verify(public, message, signature)
        wrong = bytearray(signature)
        wrong[chance.randrange(len(wrong))] ^= 1 << chance.randrange(8)
        assert mldsa.verify(public, message, bytes(wrong)) == accepted(public, message, bytes(wrong))


def test_it_agrees_with_cryptography_on_100_random_signatures_and_their_corruptions() -> None:
    agree_on(100)


@pytest.mark.slow
def test_it_agrees_with_cryptography_on_1000_random_signatures_and_their_corruptions() -> None:
    agree_on(1000)


PRIVATE = MLDSA87PrivateKey.from_seed_bytes(b"k" * 32)
PUBLIC = PRIVATE.public_key().public_bytes_raw()
SIGNATURE = PRIVATE.sign(MESSAGE)


def flipped(data: bytes, bit: int) -> bytes:
    return (int.from_bytes(data, "little") ^ 1 << bit).to_bytes(len(data), "little")


def test_flipped_bits_of_a_signature_and_of_a_key_are_refused() -> None:
    chance = random.Random(87)
    for bit in [*range(0, 512, 64), *chance.sample(range(512, 8 * HINTS_START), 20), *range(8 * HINTS_START, 8 * len(SIGNATURE), 19)]:
        assert not mldsa.verify(PUBLIC, MESSAGE, flipped(SIGNATURE, bit))
    for bit in chance.sample(range(8 * len(PUBLIC)), 20):
        assert not mldsa.verify(flipped(PUBLIC, bit), MESSAGE, SIGNATURE)


@pytest.mark.parametrize("length", [0, 1, 64, 4626, 4628, 9254])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    assert not mldsa.verify(PUBLIC, MESSAGE, (SIGNATURE * 2)[:length])


@pytest.mark.parametrize("length", [0, 32, 2591, 2593, 5184])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    assert not mldsa.verify((PUBLIC * 2)[:length], MESSAGE, SIGNATURE)


def test_a_signature_with_a_context_is_refused() -> None:
    assert not mldsa.verify(PUBLIC, MESSAGE, PRIVATE.sign(MESSAGE, context=b"wheelhouse"))


def test_a_context_cannot_be_moved_into_the_message() -> None:
    assert not mldsa.verify(PUBLIC, b"a" + MESSAGE, PRIVATE.sign(MESSAGE, context=b"a"))
    assert not mldsa.verify(PUBLIC, b"\0\0" + MESSAGE, SIGNATURE)


def test_a_signature_over_the_digest_of_the_message_is_refused() -> None:
    assert not mldsa.verify(PUBLIC, MESSAGE, PRIVATE.sign(hashlib.sha512(MESSAGE).digest()))


def test_a_signature_or_key_of_ml_dsa_65_is_refused() -> None:
    other = MLDSA65PrivateKey.from_seed_bytes(b"k" * 32)
    assert not mldsa.verify(PUBLIC, MESSAGE, other.sign(MESSAGE))
    assert not mldsa.verify(other.public_key().public_bytes_raw(), MESSAGE, other.sign(MESSAGE))
    assert not mldsa.verify(PUBLIC, MESSAGE, other.sign(MESSAGE).ljust(len(SIGNATURE), b"\0"))


# A key whose t1 is 0 asks nothing of z but its bounds: whoever chose it can sign with any z and any hints. So each of these
# signatures is good but for the one defect that it is to show.

EASY_KEY = b"s" * 32 + bytes(8 * 320)
Hints = Sequence[Sequence[int]]
NO_HINTS: Hints = [[]] * 8


def packed(coefficients: dict[int, int]) -> bytes:
    """The vector z, 0 but for these of its 1,792 coefficients."""
    bits = 0
    for index in range(7 * 256):
        bits |= (2**19 - coefficients.get(index, 0)) << 20 * index
    return bits.to_bytes(7 * 640, "little")


def hint_bytes(hints: Hints) -> bytes:
    positions = [position for row in hints for position in row]
    ends = [sum(map(len, hints[: row + 1])) for row in range(8)]
    return bytes(positions).ljust(75, b"\0") + bytes(ends)


def made(coefficients: dict[int, int], hints: Hints = NO_HINTS, *, written: bytes | None = None) -> bytes:
    """A signature by the easy key; its hints are written as ``written``, if that is given."""
    z = packed(coefficients)
    approximate = mldsa._approximate(EASY_KEY, b"any", mldsa._response(z))
    assert approximate
    high = b"".join(mldsa._pack_high_bits(w, list(row)) for w, row in zip(approximate, hints, strict=True))
    representative = hashlib.shake_256(hashlib.shake_256(EASY_KEY).digest(64) + b"\0\0" + MESSAGE).digest(64)
    return hashlib.shake_256(representative + high).digest(64) + z + (hint_bytes(hints) if written is None else written)


GOOD = {
    "z = 0": made({}),
    "z as large as it may be": made({0: LARGEST, 1: -LARGEST, 1791: LARGEST}),
    "one hint": made({5: 77}, [[7], *[[]] * 7]),
    "75 hints": made({5: 77}, [list(range(10)), [255], list(range(100, 164)), *[[]] * 5]),
    "75 hints in the last row": made({5: 77}, [*[[]] * 7, list(range(180, 255))]),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_signature_at_the_bounds_is_good_for_both(name: str) -> None:
    assert mldsa.verify(EASY_KEY, MESSAGE, GOOD[name])
    assert accepted(EASY_KEY, MESSAGE, GOOD[name])


TWO: Hints = [[3, 9], *[[]] * 7]
BAD = {
    "z at the bound": made({0: LARGEST + 1}),
    "z at the lower bound": made({0: -LARGEST - 1}),
    "last coefficient of z at the bound": made({1791: LARGEST + 1}),
    "z as large as it can be written": made({700: 2**19}),
    "z as small as it can be written": made({700: 1 - 2**19}),
    "hints out of order": made({}, TWO, written=bytes([9, 3]).ljust(75, b"\0") + bytes([2] * 8)),
    "a hint twice": made({}, [[3], *[[]] * 7], written=bytes([3, 3]).ljust(75, b"\0") + bytes([2] * 8)),
    "a number after the last hint": made({}, TWO, written=bytes([3, 9, 1]).ljust(75, b"\0") + bytes([2] * 8)),
    "a number in the last place": made({}, TWO, written=bytes([3, 9]).ljust(74, b"\0") + b"\1" + bytes([2] * 8)),
    "rows that end before they begin": made({}, TWO, written=bytes([3, 9]).ljust(75, b"\0") + bytes([2, 2, 2, 2, 2, 2, 2, 1])),
    "a row that ends before it begins": made({}, TWO, written=bytes([3, 9]).ljust(75, b"\0") + bytes([2, 0, 2, 2, 2, 2, 2, 2])),
    "76 hints": made({}, TWO, written=bytes(range(75)) + bytes([76] * 8)),
    "255 hints": made({}, TWO, written=bytes(range(75)) + bytes([255] * 8)),
    "76 hints in a row before the last": made({}, TWO, written=bytes(range(75)) + bytes([76] + [75] * 7)),
    "a hint in another row": made({}, TWO, written=bytes([3, 9]).ljust(75, b"\0") + bytes([1, 2, 2, 2, 2, 2, 2, 2])),
    "a hint left out": made({}, TWO, written=bytes([3]).ljust(75, b"\0") + bytes([1] * 8)),
    "no bounds of rows": made({}, TWO, written=bytes([3, 9]).ljust(83, b"\0")),
    "another challenge": flipped(made({}), 0),
    "another z": made({})[:64] + packed({0: 1}) + made({})[-83:],
}


@pytest.mark.parametrize("name", BAD)
def test_a_signature_with_one_defect_is_refused_by_both(name: str) -> None:
    assert not mldsa.verify(EASY_KEY, MESSAGE, BAD[name])
    assert not accepted(EASY_KEY, MESSAGE, BAD[name])


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes_are_judged_without_an_error(key: bytes, signature: bytes) -> None:
    assert not mldsa.verify(key, MESSAGE, signature)
    assert not mldsa.verify(PUBLIC, MESSAGE, signature)
    assert not mldsa.verify(PUBLIC, MESSAGE, signature.ljust(len(SIGNATURE), b"\0"))


def test_a_seed_or_challenge_that_gives_no_polynomial_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody will ever find one: here so few bytes are squeezed that each is one."""
    for name in ("_MATRIX_BYTES", "_BALL_BYTES"):
        with monkeypatch.context() as patch:
            patch.setattr(mldsa, name, 60)
            assert not mldsa.verify(PUBLIC, MESSAGE, SIGNATURE)


def test_a_verification_takes_less_than_50_milliseconds() -> None:
    times = []
    for _ in range(10):
        start = time.process_time()
        mldsa.verify(PUBLIC, MESSAGE, SIGNATURE)
        times.append(time.process_time() - start)
    assert min(times) < 0.05
