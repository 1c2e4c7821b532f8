"""Keys: the one place that makes and reads private ones.

A key is Ed25519 or ECDSA P-384 in OpenSSH's own format, so ``ssh-keygen``, agents and administrators know it, or ML-DSA-87 in
PKCS #8, for OpenSSH has no such keys yet. Signatures are made by ``cryptography``, or by an agent; checking them is the runtime's work and
needs the standard library alone. A passphrase comes in as bytes, and goes nowhere.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA87PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from wheelhouse_builder.adapters.agent import AgentKey, agent_key
from wheelhouse_builder.adapters.pkcs8 import encrypted_pkcs8
from wheelhouse_builder.errors import KeyFailure
from wheelhouse_builder.runtime.layout import NAMESPACE
from wheelhouse_builder.runtime.sshsig import ECDSA_P384, ED25519, KEY_TYPES, MLDSA_87, fingerprint, key_type, string

DEFAULT_PRINCIPAL = "wheelhouse"
"""Who signs, as ``allowed_signers`` and ``verify`` say it, until an administrator writes a better name there."""
SECOND_HALF = ".mldsa87"
"""How the name of a hybrid key's second half goes on: the private key that lies beside the first one."""

_MOST_BYTES = 1 << 16
"""No key file is longer; what is longer is something else, and is not read."""
_BCRYPT_ROUNDS = 24
"""Of OpenSSH's key derivation, as its newest releases have it: a quarter of a second for us, and for each guess of a thief."""

_Private = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | MLDSA87PrivateKey


class Signer(Protocol):
    """Someone who holds a private key and signs with it."""

    @property
    def public_key(self) -> bytes:
        """The public key's wire bytes, as :mod:`~wheelhouse_builder.runtime.sshsig` has them."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data`` as SSH sends it: its type, then what belongs to that type."""
        ...


AskPassphrase = Callable[[Path], bytes]
"""Told the path of an encrypted key, says its passphrase."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewKey:
    """A key that was made, or one half of a hybrid one, and where its files lie."""

    public_key: bytes
    """Wire bytes."""
    path: Path
    """The private key; mode 0600."""

    @property
    def public(self) -> Path:
        """``PATH.pub``: one line, as ssh-keygen writes it."""
        return _beside(self.path, ".pub")

    @property
    def algorithm(self) -> str:
        """One of ``sshsig.KEY_TYPES``."""
        return key_type(self.public_key)

    @property
    def fingerprint(self) -> str:
        """``SHA256:…``, as ``ssh-keygen -l`` prints it."""
        return fingerprint(self.public_key)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewKeys:
    """What :func:`generate` made."""

    keys: tuple[NewKey, ...]
    """One; two if it is hybrid."""
    allowed_signers: Path
    """``PATH.allowed_signers``: what the far side must trust; carry it there by another way than the bundle."""


@dataclass(frozen=True, slots=True, repr=False)
class KeyFile:
    """The real :class:`Signer`: a private key that was read from a file."""

    _private: _Private

    @property
    def public_key(self) -> bytes:
        """See :class:`Signer`."""
        match self._private:
            case ec.EllipticCurvePrivateKey() as private:
                encoding, form = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
                return _fields(ECDSA_P384, b"nistp384", private.public_key().public_bytes(encoding, form))
            case Ed25519PrivateKey() as private:
                return _fields(ED25519, private.public_key().public_bytes_raw())
            case private:
                return _fields(MLDSA_87, private.public_key().public_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """See :class:`Signer`."""
        match self._private:
            case ec.EllipticCurvePrivateKey() as private:
                r, s = decode_dss_signature(private.sign(data, ec.ECDSA(hashes.SHA384())))
                return _fields(ECDSA_P384, string(_mpint(r)) + string(_mpint(s)))
            case Ed25519PrivateKey() as private:
                return _fields(ED25519, private.sign(data))
            case private:
                return _fields(MLDSA_87, private.sign(data))


_MAKERS: dict[str, Callable[[], _Private]] = {
    ED25519: Ed25519PrivateKey.generate,
    ECDSA_P384: lambda: ec.generate_private_key(ec.SECP384R1()),
    MLDSA_87: MLDSA87PrivateKey.generate,
}


def generate(path: Path, *, algorithm: str = ED25519, hybrid: bool = False, passphrase: bytes | None = None) -> NewKeys:
    """Make a new key at ``path``, with its public key and its ``allowed_signers`` line beside it.

    ``algorithm`` is one of ``sshsig.KEY_TYPES`` that is no security key; ``hybrid`` makes an ML-DSA-87 key too, at ``path`` with
    :data:`SECOND_HALF`. With a ``passphrase`` the private keys are encrypted under it. Writes all files or none, and overwrites nothing.
    Raises KeyFailure.
    """
    places = {path: algorithm} | ({_beside(path, SECOND_HALF): MLDSA_87} if hybrid else {})
    made = {place: _MAKERS[kind]() for place, kind in places.items()}
    keys = tuple(NewKey(public_key=KeyFile(each).public_key, path=place) for place, each in made.items())
    allowed_signers = _beside(path, ".allowed_signers")
    files = {place: (_private_text(each, passphrase), 0o600) for place, each in made.items()}
    files |= {each.public: (f"{_public_text(each.public_key)} {DEFAULT_PRINCIPAL}\n".encode(), 0o644) for each in keys}
    lines = (f'{DEFAULT_PRINCIPAL} namespaces="{NAMESPACE}" {_public_text(each.public_key)}\n' for each in keys)
    files[allowed_signers] = ("".join(lines).encode(), 0o644)
    _refuse_to_overwrite(files)
    _write_all(files)
    return NewKeys(keys=keys, allowed_signers=allowed_signers)


def load_signers(path: Path, ask: AskPassphrase) -> tuple[Signer, ...]:
    """Who signs with the key at ``path``: its holder, and the second half of a hybrid key if that lies beside it.

    A public key (``PATH.pub``) means the private one that an agent holds. ``ask`` is asked for the passphrase of an encrypted key.
    Raises KeyFailure.
    """
    data = _read_key(path)
    public_key = _parse_public(data)
    if public_key is not None:
        return (agent_signer(fingerprint(public_key)),)
    second = _beside(path, SECOND_HALF)
    return tuple(_load(each, _read_key(each), ask) for each in (path, second) if each == path or each.exists())


def agent_signer(wanted: str) -> AgentKey:
    """The signer whose key, with this fingerprint, an agent holds. Raises KeyFailure, also for a type that no reader can check."""
    held = agent_key(wanted)
    if key_type(held.public_key) not in KEY_TYPES:
        raise _wrong_type(f"the agent's key {wanted}", key_type(held.public_key))
    return held


def _load(path: Path, data: bytes, ask: AskPassphrase) -> KeyFile:
    """The key at ``path``, whose file holds ``data``."""
    load = serialization.load_ssh_private_key if b"OPENSSH PRIVATE KEY" in data else serialization.load_pem_private_key
    try:
        private = load(data, password=None)
    except TypeError:  # it is encrypted
        try:
            private = load(data, password=ask(path))
        except ValueError as error:
            raise KeyFailure(f"the passphrase of {path} is wrong, or the file is damaged", hint="try again") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFailure(f"{path} is not a private key that can sign bundles", hint=_wrong_file_hint(data)) from error
    match private:
        case Ed25519PrivateKey() | MLDSA87PrivateKey():
            return KeyFile(private)
        case ec.EllipticCurvePrivateKey(curve=ec.SECP384R1()):
            return KeyFile(private)
        case ec.EllipticCurvePrivateKey(curve=curve):
            raise _wrong_type(f"the key {path}", f"ECDSA on {curve.name}")
    raise _wrong_type(f"the key {path}", type(private).__name__.removeprefix("_").removesuffix("PrivateKey"))


def _wrong_type(what: str, kind: str) -> KeyFailure:
    return KeyFailure(
        f"{what} is {kind}; bundles are signed with {', '.join(KEY_TYPES)}", hint="make one with `wheelhouse keygen --key PATH`"
    )


def _parse_public(data: bytes) -> bytes | None:
    """The wire bytes of the key in a ``.pub`` file, or None if ``data`` is something else."""
    words = data.split(None, 2)
    if len(words) < 2 or not words[0].startswith((b"ssh-", b"ecdsa-", b"sk-", MLDSA_87.encode())):
        return None
    try:
        return base64.b64decode(words[1], validate=True)
    except binascii.Error:
        return None


def _fields(kind: str, *fields: bytes) -> bytes:
    return b"".join(map(string, (kind.encode(), *fields)))


def _mpint(number: int) -> bytes:
    """A positive number as RFC 4251, section 5, has it."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _public_text(public_key: bytes) -> str:
    return f"{key_type(public_key)} {base64.b64encode(public_key).decode()}"


def _private_text(private: _Private, passphrase: bytes | None) -> bytes:
    pem, pkcs8, openssh = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.OpenSSH
    if isinstance(private, MLDSA87PrivateKey):
        return encrypted_pkcs8(private, passphrase) if passphrase else private.private_bytes(pem, pkcs8, serialization.NoEncryption())
    if passphrase:
        return private.private_bytes(pem, openssh, openssh.encryption_builder().kdf_rounds(_BCRYPT_ROUNDS).build(passphrase))
    return private.private_bytes(pem, openssh, serialization.NoEncryption())


def _beside(path: Path, suffix: str) -> Path:
    """The file next to ``path`` whose name goes on with ``suffix``."""
    return path.with_name(path.name + suffix)


def _refuse_to_overwrite(paths: dict[Path, tuple[bytes, int]]) -> None:
    """Raise KeyFailure with every one of ``paths`` that is there already, a dangling link included."""
    there = [path for path in paths if os.path.lexists(path)]
    if there:
        raise KeyFailure(
            *(f"{path} exists and is not overwritten" for path in there),
            hint="keep that key, or choose another place with --key PATH",
        )


def _write_all(files: dict[Path, tuple[bytes, int]]) -> None:
    """Write each file with its contents and mode; when one fails, take the others back."""
    written: list[Path] = []
    try:
        next(iter(files)).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, (data, mode) in files.items():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            written.append(path)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                os.fsync(descriptor)
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise KeyFailure(
                f"the key cannot be written to {error.filename or path}: {error.strerror}", hint="choose another place with --key PATH"
            ) from error
        raise


def _read_key(path: Path) -> bytes:
    """The bytes of the key file at ``path``. Raises KeyFailure."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise KeyFailure(f"there is no key at {path}", hint="make one with `wheelhouse keygen`, or name yours with --key PATH") from error
    except OSError as error:
        raise KeyFailure(
            f"the key {path} cannot be read: {error.strerror}", hint="check the path and its permissions, or name another with --key PATH"
        ) from error
    if len(data) > _MOST_BYTES:
        raise KeyFailure(f"{path} is too long for a private key", hint="name the private key that `wheelhouse keygen` wrote")
    return data


def _wrong_file_hint(data: bytes) -> str:
    """What to do about a file that is not a private key, after a look at what it is."""
    if b"-----BEGIN OPENSSH" in data and b"-----END OPENSSH" in data:
        return "if the key lives in hardware, name its .pub file and sign through ssh-agent, or see `wheelhouse manifest --help`"
    if b"-----BEGIN" in data or data.startswith(b"PuTTY"):
        return "this key is in another format, or cut off; make one with `wheelhouse keygen`"
    return "name the private key that `wheelhouse keygen` or `ssh-keygen -t ed25519` wrote"
