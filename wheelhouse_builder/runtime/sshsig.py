"""Signatures as ``ssh-keygen -Y sign`` makes them: SSHSIG, OpenSSH's PROTOCOL.sshsig, with Ed25519 and SHA-512 alone.

This module knows the envelope; the mathematics is in :mod:`.ed25519`, the trust in :mod:`.trust`.
"""

import base64
import binascii
import hashlib
import struct
from typing import List, NamedTuple

from .errors import SignatureRefused
from .layout import MAX_SIGNATURE_SIZE, SIGNATURES

KEY_TYPE = "ssh-ed25519"
HASH = "sha512"
PUBLIC_KEY_SIZE = 32
SIGNATURE_SIZE = 64

_MAGIC = b"SSHSIG"
_VERSION = 1
_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
_LINE = 70
_LENGTH = struct.Struct(">I")


class Sshsig(NamedTuple):
    """One signature, with what it says of itself. Nothing here is verified."""

    public_key: bytes
    """32 bytes, as RFC 8032 encodes it."""
    namespace: str
    signature: bytes
    """64 bytes, R and S."""


def parse(armored: bytes) -> Sshsig:
    """The signature in ``armored``.

    Raises SignatureRefused for another version, key type or hash, and for anything that :func:`encode` would write differently:
    each signature has one possible form.
    """
    if len(armored) > MAX_SIGNATURE_SIZE:
        raise _malformed("it has {} bytes, {} are allowed".format(len(armored), MAX_SIGNATURE_SIZE))
    found = _parse_blob(_dearmor(armored))
    if encode(found.public_key, found.namespace, found.signature) != armored:
        raise _malformed("it is not written in the one way that the format allows")
    return found


def encode(public_key: bytes, namespace: str, signature: bytes) -> bytes:
    """The armored signature, byte for byte as ``ssh-keygen -Y sign`` writes it."""
    blob = b"".join((
        _MAGIC,
        _LENGTH.pack(_VERSION),
        _string(wire(public_key)),
        _string(namespace.encode("utf-8")),
        _string(b""),  # reserved
        _string(HASH.encode("ascii")),
        _string(_string(KEY_TYPE.encode("ascii")) + _string(signature)),
    ))  # fmt: skip
    text = base64.b64encode(blob)
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return b"\n".join([_BEGIN, *lines, _END, b""])


def signed_data(message: bytes, namespace: str) -> bytes:
    """What Ed25519 signs in place of ``message``."""
    parts = (namespace.encode("utf-8"), b"", HASH.encode("ascii"), hashlib.sha512(message).digest())
    return _MAGIC + b"".join(map(_string, parts))


def wire(public_key: bytes) -> bytes:
    """The key as SSH sends it (RFC 8709); its base64 form stands in ``.pub`` and ``allowed_signers`` files."""
    return _string(KEY_TYPE.encode("ascii")) + _string(public_key)


def parse_wire(data: bytes) -> bytes:
    """The 32 bytes of the Ed25519 key in ``data``; SignatureRefused if it is anything else."""
    fields = _Fields(data)
    _require(fields.string(), KEY_TYPE, "key type")
    public_key = fields.string()
    fields.require_end()
    if len(public_key) != PUBLIC_KEY_SIZE:
        raise _malformed("its public key has {} bytes instead of {}".format(len(public_key), PUBLIC_KEY_SIZE))
    return public_key


def fingerprint(public_key: bytes) -> str:
    """The key's fingerprint, as ``ssh-keygen -l`` prints it: ``SHA256:…``."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(wire(public_key)).digest()).decode("ascii").rstrip("=")


def member_name(public_key: bytes) -> str:
    """The control member that holds this key's signature."""
    return SIGNATURES + hashlib.sha256(wire(public_key)).hexdigest()[:32] + ".sig"


class _Fields:
    """SSH's length-prefixed strings (RFC 4251, section 5), read one after the other."""

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

    def require_end(self) -> None:
        """Refuse bytes that follow."""
        if self._position != len(self._data):
            raise _malformed("bytes follow its end")


def _string(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


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
    public_key = parse_wire(fields.string())
    namespace = _text(fields.string())
    _require(fields.string(), "", "reserved field")
    _require(fields.string(), HASH, "hash")
    signature = fields.string()
    fields.require_end()
    return Sshsig(public_key, namespace, _parse_signature(signature))


def _parse_signature(data: bytes) -> bytes:
    fields = _Fields(data)
    _require(fields.string(), KEY_TYPE, "signature type")
    signature = fields.string()
    fields.require_end()
    if len(signature) != SIGNATURE_SIZE:
        raise _malformed("its signature has {} bytes instead of {}".format(len(signature), SIGNATURE_SIZE))
    return signature


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("its namespace is not UTF-8") from None


def _require(found: bytes, wanted: str, what: str) -> None:
    if found != wanted.encode("ascii"):
        raise _malformed("its {} is {}, {!r} is required".format(what, ascii(found[:64])[1:], wanted))


def _malformed(why: str) -> SignatureRefused:
    return SignatureRefused(
        "A signature is malformed: {}.".format(why),
        hint="Sign with 'wheelhouse bundle', or with 'ssh-keygen -Y sign' and a key of type {}.".format(KEY_TYPE),
    )
