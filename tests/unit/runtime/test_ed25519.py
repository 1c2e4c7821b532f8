from __future__ import annotations

import hashlib
import random
import time

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from wheelhouse_builder.runtime import ed25519

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493

RFC_8032 = {
    "TEST 1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        b"",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "TEST 2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        b"\x72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "TEST 3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        b"\xaf\x82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    "TEST SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").digest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
}
SMALL_ORDER = (
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
)
NOT_CANONICAL = (
    "0100000000000000000000000000000000000000000000000000000000000080",  # x = 0 with a sign
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # y = p
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # y = p + 1
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
)
IDENTITY = bytes.fromhex(SMALL_ORDER[0])


@pytest.mark.parametrize("name", RFC_8032)
def test_the_vectors_of_rfc_8032_verify(name: str) -> None:
    public, message, signature = RFC_8032[name]
    assert ed25519.verify(bytes.fromhex(public), message, bytes.fromhex(signature))


def openssl_accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_it_agrees_with_openssl_on_300_random_signatures_and_their_corruptions() -> None:
    chance = random.Random(8032)
    for length in range(300):
        private = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
        public, message = private.public_key().public_bytes_raw(), chance.randbytes(length)
        signature = private.sign(message)
        assert ed25519.verify(public, message, signature)
        wrong = bytearray(signature)
        wrong[chance.randrange(64)] ^= 1 << chance.randrange(8)
        assert ed25519.verify(public, message, bytes(wrong)) == openssl_accepts(public, message, bytes(wrong))


PRIVATE = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = PRIVATE.public_key().public_bytes_raw()
SIGNATURE = PRIVATE.sign(b"message")


def test_every_flipped_bit_of_a_signature_and_of_a_key_is_refused() -> None:
    for bit in range(512):
        wrong = (int.from_bytes(SIGNATURE, "little") ^ 1 << bit).to_bytes(64, "little")
        assert not ed25519.verify(PUBLIC, b"message", wrong)
    for bit in range(256):
        wrong = (int.from_bytes(PUBLIC, "little") ^ 1 << bit).to_bytes(32, "little")
        assert not ed25519.verify(wrong, b"message", SIGNATURE)


def test_s_that_is_not_below_the_order_is_refused() -> None:
    s = int.from_bytes(SIGNATURE[32:], "little")
    for multiple in range(1, 16):
        if s + multiple * ORDER < 2**256:
            assert not ed25519.verify(PUBLIC, b"message", SIGNATURE[:32] + (s + multiple * ORDER).to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    assert not ed25519.verify(PUBLIC, b"message", (SIGNATURE * 2)[:length])


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    assert not ed25519.verify((PUBLIC * 2)[:length], b"message", SIGNATURE)


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_a_key_of_small_order_is_refused(key: str) -> None:
    """S = 0 and a small R would satisfy the equation for at least one message in eight."""
    for point in SMALL_ORDER:
        for message in (b"%d" % number for number in range(16)):
            assert not ed25519.verify(bytes.fromhex(key), message, bytes.fromhex(point) + bytes(32))


@pytest.mark.parametrize("key", NOT_CANONICAL)
def test_a_key_that_is_not_canonically_encoded_is_refused(key: str) -> None:
    for point in (*SMALL_ORDER, *NOT_CANONICAL):
        for message in (b"%d" % number for number in range(8)):
            assert not ed25519.verify(bytes.fromhex(key), message, bytes.fromhex(point) + bytes(32))


def test_a_key_that_is_no_point_is_refused() -> None:
    no_points = [y for y in range(2, 40) if ed25519._decode(y.to_bytes(32, "little")) is None]
    assert len(no_points) > 10
    for y in no_points:
        assert not ed25519.verify(y.to_bytes(32, "little"), b"message", SIGNATURE)


def signed_with_r(r: bytes) -> bytes:
    """A signature of the key's holder that satisfies the equation if ``r`` encodes the identity."""
    digest = bytearray(hashlib.sha512(b"k" * 32).digest()[:32])
    digest[0] &= 248
    digest[31] = digest[31] & 127 | 64
    k = int.from_bytes(hashlib.sha512(r + PUBLIC + b"message").digest(), "little")
    return r + (k * int.from_bytes(digest, "little") % ORDER).to_bytes(32, "little")


def test_r_of_small_order_is_refused_though_the_equation_holds() -> None:
    signature = signed_with_r(IDENTITY)
    assert openssl_accepts(PUBLIC, b"message", signature)  # so the equation does hold
    assert not ed25519.verify(PUBLIC, b"message", signature)


@pytest.mark.parametrize("r", [NOT_CANONICAL[0], NOT_CANONICAL[3]])
def test_r_that_is_not_canonically_encoded_is_refused(r: str) -> None:
    assert not ed25519.verify(PUBLIC, b"message", signed_with_r(bytes.fromhex(r)))


@given(st.binary(max_size=40), st.binary(max_size=70))
def test_any_bytes_are_judged_without_an_error(key: bytes, signature: bytes) -> None:
    assert not ed25519.verify(key, b"message", signature)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))
def test_any_bytes_of_the_right_length_are_judged_without_an_error(key: bytes, signature: bytes) -> None:
    assert not ed25519.verify(key, b"message", signature)


def test_a_verification_takes_less_than_15_milliseconds() -> None:
    times = []
    for _ in range(20):
        start = time.process_time()
        ed25519.verify(PUBLIC, b"message", SIGNATURE)
        times.append(time.process_time() - start)
    assert min(times) < 0.015
