"""Keys: the one place that makes and reads private ones.

A key is Ed25519 in OpenSSH's own format, so ``ssh-keygen``, agents and administrators know it. Signatures are made by
``cryptography``; checking them is the runtime's work and needs the standard library alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wheelhouse_builder.errors import KeyFailure
from wheelhouse_builder.runtime.layout import NAMESPACE
from wheelhouse_builder.runtime.sshsig import ED25519, fingerprint, string

DEFAULT_PRINCIPAL = "wheelhouse"
"""Who signs, as ``allowed_signers`` and ``verify`` say it, until an administrator writes a better name there."""
_MOST_BYTES = 1 << 16
"""No OpenSSH key file is longer; what is longer is something else, and is not read."""


class Signer(Protocol):
    """Someone who holds a private key and signs with it."""

    @property
    def public_key(self) -> bytes:
        """The public key's wire bytes, as :mod:`~wheelhouse_builder.runtime.sshsig` has them."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data`` as SSH sends it: its type, then what belongs to that type."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicKey:
    """The public half of a new key, and where its files lie."""

    raw: bytes
    """Wire bytes."""
    path: Path
    """The private key; mode 0600."""
    public: Path
    """``PATH.pub``: one line, as ssh-keygen writes it."""
    allowed_signers: Path
    """``PATH.allowed_signers``: what the far side must trust; carry it there by another way than the bundle."""

    @property
    def fingerprint(self) -> str:
        """``SHA256:…``, as ``ssh-keygen -l`` prints it."""
        return fingerprint(self.raw)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The real :class:`Signer`: a private key that was read from a file."""

    _private: Ed25519PrivateKey

    @property
    def public_key(self) -> bytes:
        """See :class:`Signer`."""
        return string(ED25519.encode()) + string(self._private.public_key().public_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """See :class:`Signer`."""
        return string(ED25519.encode()) + string(self._private.sign(data))


def generate(path: Path) -> PublicKey:
    """Make a new key at ``path``, with its public key and its ``allowed_signers`` line beside it.

    Writes three files or none, and overwrites nothing. Raises KeyFailure.
    """
    private = Ed25519PrivateKey.generate()
    key = PublicKey(
        raw=KeyFile(private).public_key,
        path=path,
        public=_beside(path, ".pub"),
        allowed_signers=_beside(path, ".allowed_signers"),
    )
    public_line = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    secret = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    files = {
        key.path: (secret, 0o600),
        key.public: (public_line + b" " + DEFAULT_PRINCIPAL.encode() + b"\n", 0o644),
        key.allowed_signers: (f'{DEFAULT_PRINCIPAL} namespaces="{NAMESPACE}" '.encode() + public_line + b"\n", 0o644),
    }
    _refuse_to_overwrite(files)
    _write_all(files)
    return key


def load_signer(path: Path) -> KeyFile:
    """The signer whose private key lies at ``path``. Raises KeyFailure."""
    data = _read_key(path)
    try:
        private = serialization.load_ssh_private_key(data, password=None)
    except TypeError as error:
        raise KeyFailure(
            f"the key {path} is encrypted with a passphrase",
            hint="make a key for bundles with `wheelhouse keygen`, or write an unencrypted copy with `ssh-keygen -p -N '' -f COPY`",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFailure(f"{path} is not an OpenSSH private key", hint=_wrong_file_hint(data)) from error
    if not isinstance(private, Ed25519PrivateKey):
        kind = type(private).__name__.removeprefix("_").removesuffix("PrivateKey")
        raise KeyFailure(f"the key {path} is {kind}; bundles are signed with Ed25519", hint="make one with `wheelhouse keygen --key PATH`")
    return KeyFile(private)


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
    if data.startswith((b"ssh-", b"ecdsa-", b"sk-")):
        return "this is a public key; name the private one, whose name lacks .pub"
    if b"-----BEGIN" in data and b"OPENSSH" not in data:
        return "this key is in another format; make one with `wheelhouse keygen`"
    return "name the private key that `wheelhouse keygen` or `ssh-keygen -t ed25519` wrote"
