"""Signatures as ``ssh-keygen -Y sign`` makes them: SSHSIG, OpenSSH's PROTOCOL.sshsig, with SHA-512, over several types of key.

This module knows the envelope and how each algorithm is written in it; the mathematics is in :mod:`.ed25519`, :mod:`.ecdsa` and
:mod:`.mldsa`, the trust in :mod:`.trust`. A public key is everywhere the key as SSH sends it: its "wire" bytes, which begin with
its type and whose base64 form stands in ``.pub`` and ``allowed_signers`` files.
"""

import base64
import binascii
import hashlib
import struct
from typing import Callable, Dict, List, NamedTuple

from . import ecdsa, ed25519, mldsa
from .errors import SignatureRefused
from .layout import MAX_SIGNATURE_SIZE, SIGNATURES

ED25519 = "ssh-ed25519"
SECURITY_KEY = "sk-ssh-ed25519@openssh.com"
"""Ed25519 in a FIDO2 key, which signs only when it is touched (OpenSSH's PROTOCOL.u2f)."""
ECDSA_P384 = "ecdsa-sha2-nistp384"
MLDSA_87 = "mldsa87@wheelhouse"
"""Our own name: OpenSSH has none yet. Our FORMAT.md, section 4, says how its keys and signatures are written."""
HASH = "sha512"

_CURVE = "nistp384"
_POINT_SIZE, _SCALAR_SIZE = 97, 48
_TOUCHED = 1
"""The flag of a security key that says that somebody was there."""
_MAGIC = b"SSHSIG"
_VERSION = 1
_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
_LINE = 70
_LENGTH = struct.Struct(">I")


class Sshsig(NamedTuple):
    """One signature, with what it says of itself. Nothing here is verified."""

    public_key: bytes
    """Wire bytes."""
    namespace: str
    signature: bytes
    """As SSH sends it: the type of signature, then what belongs to that type."""


def parse(armored: bytes) -> Sshsig:
    """The signature in ``armored``.

    Raises SignatureRefused for another version or hash, and for anything that :func:`encode` would write differently: what is looked at
    has one possible form. What key and signature are made of is looked at by :func:`verify`, once somebody trusts the key.
    """
    if len(armored) > MAX_SIGNATURE_SIZE:
        raise _malformed("it has {} bytes, {} are allowed".format(len(armored), MAX_SIGNATURE_SIZE))
    found = _parse_blob(_dearmor(armored))
    if encode(found.public_key, found.namespace, found.signature) != armored:
        raise _malformed("it is not written in the one way that the format allows")
    return found


def encode(public_key: bytes, namespace: str, signature: bytes) -> bytes:
    """The armored signature, byte for byte as ``ssh-keygen -Y sign`` writes it."""
    fields = (public_key, namespace.encode("utf-8"), b"", HASH.encode("ascii"), signature)  # the empty one is reserved
    text = base64.b64encode(_MAGIC + _LENGTH.pack(_VERSION) + b"".join(map(string, fields)))
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return b"\n".join([_BEGIN, *lines, _END, b""])


def signed_data(message: bytes, namespace: str) -> bytes:
    """What the key signs in place of ``message``."""
    parts = (namespace.encode("utf-8"), b"", HASH.encode("ascii"), hashlib.sha512(message).digest())
    return _MAGIC + b"".join(map(string, parts))


def verify(found: Sshsig, message: bytes) -> bool:
    """Whether ``found`` is a signature over ``message`` by its own key, for its own namespace; False for a type that is not known here.

    Says nothing of trust. Raises SignatureRefused for a key or signature that is not written in the one way of its type.
    """
    algorithm = _ALGORITHMS.get(key_type(found.public_key))
    if algorithm is None:
        return False
    key = algorithm.read_key(_Fields(found.public_key))
    signature = algorithm.read_signature(_Fields(found.signature))
    return algorithm.verify(key, signed_data(message, found.namespace), signature)


def key_type(public_key: bytes) -> str:
    """The type of the key, such as ``ssh-ed25519``, whether it is known here or not. Raises SignatureRefused if it has none."""
    return _name(_Fields(public_key).string(), "key type")


def require_key(public_key: bytes) -> None:
    """Raise SignatureRefused if ``public_key`` is of a type in :data:`KEY_TYPES` and not written as that type has it."""
    algorithm = _ALGORITHMS.get(key_type(public_key))
    if algorithm is not None:
        algorithm.read_key(_Fields(public_key))


def fingerprint(public_key: bytes) -> str:
    """The key's fingerprint, as ``ssh-keygen -l`` prints it: ``SHA256:…``."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(public_key).digest()).decode("ascii").rstrip("=")


def member_name(public_key: bytes) -> str:
    """The control member that holds this key's signature."""
    return SIGNATURES + hashlib.sha256(public_key).hexdigest()[:32] + ".sig"


def string(data: bytes) -> bytes:
    """``data`` as SSH sends it: after its length (RFC 4251, section 5)."""
    return _LENGTH.pack(len(data)) + data


class _Fields:
    """SSH's fields, read one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        start = self._position
        if size > len(self._data) - start:
            raise _malformed("it is cut off")
        self._position = start + size
        return self._data[start : self._position]

    def number(self) -> int:
        """The next unsigned 32-bit number."""
        return int(_LENGTH.unpack(self.take(_LENGTH.size))[0])

    def string(self) -> bytes:
        """The next string."""
        return self.take(self.number())

    def sized(self, size: int, what: str) -> bytes:
        """The next string, which must have ``size`` bytes."""
        data = self.string()
        if len(data) != size:
            raise _malformed("its {} has {} bytes instead of {}".format(what, len(data), size))
        return data

    def require(self, wanted: str, what: str) -> None:
        """Refuse any next string but ``wanted``."""
        found = self.string()
        if found != wanted.encode("ascii"):
            raise _malformed("its {} is {}, {!r} is required".format(what, ascii(found[:64])[1:], wanted))

    def require_end(self) -> None:
        """Refuse bytes that follow."""
        if self._position != len(self._data):
            raise _malformed("bytes follow its end")


# How each algorithm is written


class _Algorithm(NamedTuple):
    read_key: Callable[[_Fields], bytes]
    """The key in the wire bytes, as ``verify`` wants it; the next does the same for the signature. Both raise SignatureRefused."""
    read_signature: Callable[[_Fields], bytes]
    verify: Callable[[bytes, bytes, bytes], bool]
    """Takes key, message, signature."""


def _plain(kind: str, key_size: int, signature_size: int, verify_: Callable[[bytes, bytes, bytes], bool]) -> _Algorithm:
    """An algorithm whose keys and signatures are strings of one length."""

    def read(fields: _Fields, what: str, size: int) -> bytes:
        fields.require(kind, what + " type")
        data = fields.sized(size, what)
        fields.require_end()
        return data

    return _Algorithm(lambda fields: read(fields, "key", key_size), lambda fields: read(fields, "signature", signature_size), verify_)


def _ecdsa_key(fields: _Fields) -> bytes:
    """RFC 5656, section 3.1; only uncompressed points, as OpenSSH has it."""
    fields.require(ECDSA_P384, "key type")
    fields.require(_CURVE, "curve")
    point = fields.sized(_POINT_SIZE, "key")
    fields.require_end()
    return point


def _ecdsa_signature(fields: _Fields) -> bytes:
    """The numbers r and s with 48 bytes each (RFC 5656, section 3.1.2)."""
    fields.require(ECDSA_P384, "signature type")
    pair = _Fields(fields.string())
    fields.require_end()
    numbers = _scalar(pair.string()) + _scalar(pair.string())
    pair.require_end()
    return numbers


def _scalar(data: bytes) -> bytes:
    """The number in the mpint ``data`` (RFC 4251, section 5), which must be positive or 0 and as short as can be, with 48 bytes."""
    number = int.from_bytes(data, "big")
    size = number.bit_length() // 8 + 1 if number else 0
    if len(data) != size:  # the highest bit is the sign, so a positive number has room for it
        raise _malformed("a number in its signature is negative or not written in the one way that the format allows")
    if number.bit_length() > 8 * _SCALAR_SIZE:
        raise _malformed("a number in its signature has more than {} bits".format(8 * _SCALAR_SIZE))
    return number.to_bytes(_SCALAR_SIZE, "big")


def _security_key(fields: _Fields) -> bytes:
    """The Ed25519 key, then the application for which the security key made it."""
    fields.require(SECURITY_KEY, "key type")
    key, application = fields.sized(32, "key"), fields.string()
    fields.require_end()
    return key + application


def _security_key_signature(fields: _Fields) -> bytes:
    """The Ed25519 signature, then one byte of flags and four of a counter."""
    fields.require(SECURITY_KEY, "signature type")
    signature, flags_and_counter = fields.sized(64, "signature"), fields.take(5)
    fields.require_end()
    return signature + flags_and_counter


def _verify_security_key(key: bytes, message: bytes, signature: bytes) -> bool:
    """False also if the security key was not touched."""
    flags_and_counter = signature[64:]
    data = hashlib.sha256(key[32:]).digest() + flags_and_counter + hashlib.sha256(message).digest()
    return bool(flags_and_counter[0] & _TOUCHED) and ed25519.verify(key[:32], data, signature[:64])


_ALGORITHMS: Dict[str, _Algorithm] = {
    ED25519: _plain(ED25519, 32, 64, ed25519.verify),
    SECURITY_KEY: _Algorithm(_security_key, _security_key_signature, _verify_security_key),
    ECDSA_P384: _Algorithm(_ecdsa_key, _ecdsa_signature, ecdsa.verify),
    MLDSA_87: _plain(MLDSA_87, mldsa.PUBLIC_KEY_SIZE, mldsa.SIGNATURE_SIZE, mldsa.verify),
}

KEY_TYPES = tuple(_ALGORITHMS)
"""The types of key whose signatures this reader can check."""


# The envelope


def _dearmor(armored: bytes) -> bytes:
    """What stands between the first and the last line; :func:`parse` compares how it is written."""
    lines: List[bytes] = armored.split(b"\n")
    if len(lines) < 4 or lines[0] != _BEGIN or lines[-2:] != [_END, b""]:
        raise _malformed("it does not stand between {} and {}".format(_BEGIN.decode("ascii"), _END.decode("ascii")))
    try:
        return base64.b64decode(b"".join(lines[1:-2]), validate=True)
    except binascii.Error:
        raise _malformed("it is not base64") from None


def _parse_blob(blob: bytes) -> Sshsig:
    fields = _Fields(blob)
    if fields.take(len(_MAGIC)) != _MAGIC:
        raise _malformed("it does not begin with SSHSIG")
    version = fields.number()
    if version != _VERSION:
        raise _malformed("its version is {}, this reader knows {}".format(version, _VERSION))
    public_key = fields.string()
    namespace = _text(fields.string())
    fields.require("", "reserved field")
    fields.require(HASH, "hash")
    signature = fields.string()
    fields.require_end()
    return Sshsig(public_key, namespace, signature)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("its namespace is not UTF-8") from None


def _name(data: bytes, what: str) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise _malformed("its {} is not ASCII".format(what)) from None


def _malformed(why: str) -> SignatureRefused:
    return SignatureRefused(
        "A signature is malformed: {}.".format(why),
        hint="Sign with 'wheelhouse sign', or with 'ssh-keygen -Y sign' and a key of one of these types: {}.".format(", ".join(KEY_TYPES)),
    )
