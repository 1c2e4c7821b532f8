"""PKCS #8 private keys under a passphrase (RFC 5958, RFC 8018).

``cryptography`` writes them with 2,048 rounds of PBKDF2, which holds off no thief. It reads them with scrypt (RFC 7914) too, as
OpenSSL does, so these are written here.
"""

from __future__ import annotations

import base64
import secrets

from cryptography.hazmat.primitives import padding, serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

_COST, _BLOCKS, _PARALLEL = 2**14, 8, 5
"""scrypt's N, r and p: 16 MiB, five times; the largest N that OpenSSL's own programs read unasked."""
_PBES2, _SCRYPT, _AES_256_CBC = "2a864886f70d01050d", "2b06010401da47040b", "60864801650304012a"
"""Object identifiers, as DER has them."""
_INTEGER, _OCTETS, _OBJECT_IDENTIFIER, _SEQUENCE = 0x02, 0x04, 0x06, 0x30


def encrypted_pkcs8(private: PrivateKeyTypes, passphrase: bytes) -> bytes:
    """The PEM text of ``private``, encrypted with AES-256 under ``passphrase``."""
    salt, start = secrets.token_bytes(16), secrets.token_bytes(16)
    key = Scrypt(salt=salt, length=32, n=_COST, r=_BLOCKS, p=_PARALLEL).derive(passphrase)
    derivation = _der(_SEQUENCE, _named(_SCRYPT), _der(_SEQUENCE, _der(_OCTETS, salt), *map(_number, (_COST, _BLOCKS, _PARALLEL))))
    encryption = _der(_SEQUENCE, _named(_AES_256_CBC), _der(_OCTETS, start))
    scheme = _der(_SEQUENCE, _named(_PBES2), _der(_SEQUENCE, derivation, encryption))
    return _pem(_der(_SEQUENCE, scheme, _der(_OCTETS, _encrypted(_plain(private), key, start))))


def _plain(private: PrivateKeyTypes) -> bytes:
    return private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _encrypted(data: bytes, key: bytes, start: bytes) -> bytes:
    padder, encryptor = padding.PKCS7(128).padder(), Cipher(algorithms.AES256(key), modes.CBC(start)).encryptor()
    return encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()


def _named(identifier: str) -> bytes:
    return _der(_OBJECT_IDENTIFIER, bytes.fromhex(identifier))


def _number(number: int) -> bytes:
    return _der(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, len(body)] if len(body) < 128 else [tag, 128 | len(size), *size]) + body


def _pem(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return b"\n".join([b"-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, b"-----END ENCRYPTED PRIVATE KEY-----", b""])
