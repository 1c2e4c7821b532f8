"""ECDSA P-384 in the standard library: OpenSSL's verdicts, and no others."""

from __future__ import annotations

import hashlib
import random
import time

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from wheelhouse_builder.runtime import ecdsa

P = 2**384 - 2**128 - 2**96 + 2**32 - 1
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
B = 0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF
MESSAGE = b"message"
DIGEST = int.from_bytes(hashlib.sha384(MESSAGE).digest(), "big")


def number(value: int) -> bytes:
    return value.to_bytes(48, "big")


def private_key(scalar: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(scalar, ec.SECP384R1())


def encoded(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def signed(private: ec.EllipticCurvePrivateKey, message: bytes) -> tuple[int, int]:
    return decode_dss_signature(private.sign(message, ec.ECDSA(hashes.SHA384())))


def openssl_accepts(public: bytes, message: bytes, r: int, s: int) -> bool:
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), public)
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA384()))
    except (InvalidSignature, ValueError):
        return False
    return True


def agree_on(count: int) -> None:
    """Random keys, messages, signatures and their corruptions: both verdicts are the same."""
    chance = random.Random(1865)
    for length in range(count):
        private, message = private_key(chance.randrange(1, N)), chance.randbytes(length)
        public, (r, s) = encoded(private), signed(private, message)
        assert ecdsa.verify(public, message, number(r) + number(s))
        wrong = int.from_bytes(number(r) + number(s), "big") ^ 1 << chance.randrange(768)
        r, s = wrong >> 384, wrong & (2**384 - 1)
        assert ecdsa.verify(public, message, number(r) + number(s)) == openssl_accepts(public, message, r, s)


def test_it_agrees_with_openssl_on_100_random_signatures_and_their_corruptions() -> None:
    agree_on(100)


@pytest.mark.slow
def test_it_agrees_with_openssl_on_1000_random_signatures_and_their_corruptions() -> None:
    agree_on(1000)


PRIVATE = private_key(0x1234567)
PUBLIC = encoded(PRIVATE)
R, S = signed(PRIVATE, MESSAGE)
X, Y = int.from_bytes(PUBLIC[1:49], "big"), int.from_bytes(PUBLIC[49:], "big")


def test_the_vector_of_rfc_6979_verifies() -> None:
    """Appendix A.2.6, SHA-384, message "sample": a signature that another implementation made."""
    scalar = 0x6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5
    r = 0x94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46
    s = 0x99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8
    assert ecdsa.verify(encoded(private_key(scalar)), b"sample", number(r) + number(s))


@pytest.mark.parametrize("scalar", [1, 2, 3, N - 1, N - 2, (N + 1) // 2])
def test_keys_whose_multiples_meet_those_of_the_base_point_verify(scalar: int) -> None:
    """Equal and opposite points meet in the additions then."""
    private = private_key(scalar)
    for text in (b"", b"a", b"b", b"c"):
        r, s = signed(private, text)
        assert ecdsa.verify(encoded(private), text, number(r) + number(s))
        assert not ecdsa.verify(encoded(private), text + b"x", number(r) + number(s))


def test_the_other_s_of_a_signature_is_good_as_fips_186_has_it() -> None:
    assert ecdsa.verify(PUBLIC, MESSAGE, number(R) + number(N - S))
    assert openssl_accepts(PUBLIC, MESSAGE, R, N - S)


NUMBERS = {
    "r = 0": (0, S),
    "s = 0": (R, 0),
    "both 0": (0, 0),
    "r = n": (N, S),
    "s = n": (R, N),
    "both n": (N, N),
    "r + n, cut": ((R + N) % 2**384, S),
    "s + n, cut": (R, (S + N) % 2**384),
    "-r": (N - R, S),
    "r and s exchanged": (S, R),
    "r = 1": (1, S),
    "s = 1": (R, 1),
    "both 1": (1, 1),
    "r = n - 1": (N - 1, S),
    "s = n - 1": (R, N - 1),
    "r = p": (P, S),
    "r = p - n": (P - N, S),
    "all ones": (2**384 - 1, 2**384 - 1),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_signature_of_such_numbers_is_refused_by_both(name: str) -> None:
    r, s = NUMBERS[name]
    assert not ecdsa.verify(PUBLIC, MESSAGE, number(r) + number(s))
    assert not openssl_accepts(PUBLIC, MESSAGE, r, s)


KEYS = {
    "empty": b"",
    "infinity": b"\0",
    "infinity, padded": bytes(97),
    "compressed": bytes([2 | Y & 1]) + number(X),
    "compressed, padded": bytes([2 | Y & 1]) + number(X) + bytes(48),
    "hybrid": bytes([6 | Y & 1]) + number(X) + number(Y),
    "one byte short": PUBLIC[:-1],
    "one byte more": PUBLIC + b"\0",
    "not on the curve": b"\4" + number(X) + number(Y ^ 1),
    "x and y exchanged": b"\4" + number(Y) + number(X),
    "the origin": b"\4" + bytes(96),
    "y = 0": b"\4" + number(X) + bytes(48),
    "x + p, cut": b"\4" + number((X + P) % 2**384) + number(Y),
    "x = p": b"\4" + number(P) + number(Y),
    "the other y": b"\4" + number(X) + number(P - Y),
    "on the twist": b"\4" + number(X) + number(pow(X**3 - 3 * X + B + 1, (P + 1) // 4, P)),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_signature_by_such_a_key_is_refused(name: str) -> None:
    assert not ecdsa.verify(KEYS[name], MESSAGE, number(R) + number(S))


def test_coordinates_that_are_not_reduced_are_refused_though_the_point_is_there() -> None:
    """A point whose x is so small that x + p still has 48 bytes."""
    x = next(x for x in range(1, 1000) if pow(pow(x**3 - 3 * x + B, (P + 1) // 4, P), 2, P) == (x**3 - 3 * x + B) % P)
    y = pow(x**3 - 3 * x + B, (P + 1) // 4, P)
    assert ecdsa._decode(b"\4" + number(x) + number(y))
    assert ecdsa._decode(b"\4" + number(x + P) + number(y)) is None


def forged_for(point: ecdsa.Point, r: int, s: int) -> bytes:
    """The key by which ``r``, ``s`` over our message leads to ``point``: (sR - zG) / r."""
    inverse = pow(r, N - 2, N)
    x, y, z = ecdsa._sum_of_products(s * inverse % N, point, -DIGEST * inverse % N, ecdsa._BASE)
    return b"\4" + number(x * pow(z, P - 2, P) % P) + number(y * pow(z, P - 2, P) % P)


def test_r_is_compared_modulo_n_where_the_points_x_is_larger() -> None:
    x = next(x for x in range(N + 1, P) if pow(pow(x**3 - 3 * x + B, (P + 1) // 4, P), 2, P) == (x**3 - 3 * x + B) % P)
    public = forged_for((x, pow(x**3 - 3 * x + B, (P + 1) // 4, P), 1), x - N, 12345)
    assert ecdsa.verify(public, MESSAGE, number(x - N) + number(12345))
    assert openssl_accepts(public, MESSAGE, x - N, 12345)
    assert not ecdsa.verify(public, MESSAGE, number(x) + number(12345))


def test_a_signature_that_leads_to_infinity_is_refused() -> None:
    r = 99
    private = private_key(-DIGEST * pow(r, N - 2, N) % N)
    for s in (1, 2, 12345):
        assert not ecdsa.verify(encoded(private), MESSAGE, number(r) + number(s))
        assert not openssl_accepts(encoded(private), MESSAGE, r, s)


@pytest.mark.parametrize("length", [0, 1, 48, 95, 97, 192])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    assert not ecdsa.verify(PUBLIC, MESSAGE, (number(R) + number(S)) * 2 if length == 192 else (number(R) + number(S) + b"\0")[:length])


def test_flipped_bits_of_a_signature_and_of_a_key_are_refused() -> None:
    signature = int.from_bytes(number(R) + number(S), "big")
    for bit in range(0, 768, 9):
        assert not ecdsa.verify(PUBLIC, MESSAGE, (signature ^ 1 << bit).to_bytes(96, "big"))
    for bit in range(776):
        assert not ecdsa.verify((int.from_bytes(PUBLIC, "big") ^ 1 << bit).to_bytes(97, "big"), MESSAGE, number(R) + number(S))


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_any_bytes_are_judged_without_an_error(key: bytes, signature: bytes) -> None:
    assert not ecdsa.verify(key, MESSAGE, signature)
    assert not ecdsa.verify(PUBLIC, MESSAGE, signature)


def test_a_verification_takes_less_than_50_milliseconds() -> None:
    times = []
    for _ in range(10):
        start = time.process_time()
        ecdsa.verify(PUBLIC, MESSAGE, number(R) + number(S))
        times.append(time.process_time() - start)
    assert min(times) < 0.05
