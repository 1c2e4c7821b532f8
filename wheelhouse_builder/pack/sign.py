"""Sign: one more signature for a bundle that is there already. Its payload and its manifest stay as they are.

The file is not written in place: a copy with the new control part is made beside it, verified whole with the code of the far side, and
then takes its name in one step. So whenever this ends, the file has its old signatures or its new ones. It costs the time to copy and to
read the bundle once, and its size on the disk for as long; where the file system shares blocks (Btrfs, XFS), the copy costs nothing.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from wheelhouse_builder.adapters.keys import Signer
from wheelhouse_builder.errors import EnvironmentFailure, SignatureRefused, UsageError
from wheelhouse_builder.pack.container import prove, publish, seal, signatures
from wheelhouse_builder.runtime import sshsig
from wheelhouse_builder.runtime.bundle import open_bundle
from wheelhouse_builder.runtime.control import encode_control
from wheelhouse_builder.runtime.layout import MANIFEST, MAX_SIGNATURE_SIZE, MAX_SIGNATURES, NAMESPACE, SIGNATURES, SKIPPABLE_HEADER_SIZE

_SCRATCH = ".wheelhouse-"
"""How the name of the private copy begins."""
_STRETCH = 1 << 30
"""Bytes that the system copies in one call."""


class _Identity(NamedTuple):
    """What changes when a file does."""

    device: int
    inode: int
    size: int
    """Bytes."""
    modified: int
    """Nanoseconds since 1970."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signed:
    """A bundle that has the signatures that it was to get."""

    path: Path
    digest: str
    """Content digest: the bundle's identity."""
    added: tuple[str, ...]
    """Fingerprints of the keys whose signatures are new; none if all were there."""
    fingerprints: tuple[str, ...]
    """Of all keys whose signatures it carries now."""


def manifest_bytes(path: Path) -> bytes:
    """The bytes that the signatures of the bundle at ``path`` are over; nothing is verified. Raises BundleRefused, EnvironmentFailure."""
    return open_bundle(str(path)).control[MANIFEST]


def sign(path: Path, signers: Iterable[Signer]) -> Signed:
    """Add a signature by each of ``signers`` to the bundle at ``path``, which must be whole.

    Raises BundleRefused, SignatureRefused, KeyFailure, UsageError, EnvironmentFailure; then the file is as it was.
    """
    return _with_signatures(path, signatures(manifest_bytes(path), signers))


def attach(path: Path, signature: Path) -> Signed:
    """Add the signature in the file ``signature``, which ``ssh-keygen -Y sign`` made elsewhere over this bundle's manifest.

    Raises SignatureRefused for one that is not good, or over another manifest, and what :func:`sign` raises.
    """
    armored = _read(signature)
    return _with_signatures(path, {sshsig.member_name(sshsig.parse(armored).public_key): armored})


def _with_signatures(path: Path, wanted: dict[str, bytes]) -> Signed:
    """The bundle at ``path`` with the signature members ``wanted``, each checked before it is written, the whole file after."""
    path = path.resolve()  # a link stays one
    before = _identity(path)
    found = open_bundle(str(path))
    if before.size != found.manifest.payload_size + SKIPPABLE_HEADER_SIZE + len(encode_control(found.control)):
        raise UsageError(f"{path} is not a bundle in one file", hint="sign the bundle before it is split into volumes")
    for armored in wanted.values():
        _require_good(armored, found.control[MANIFEST])
    new = {name: armored for name, armored in wanted.items() if not _is_there(found.control, name)}
    control = found.control | new
    if sum(name.startswith(SIGNATURES) for name in control) > MAX_SIGNATURES:
        raise UsageError(f"{path} has {MAX_SIGNATURES} signatures, and no more are allowed", hint="hand on what is signed")
    if new:
        with _disk_failures(path), _draft(path) as draft:
            _write(path, draft, found.manifest.payload_size, control)
            prove(draft, [sshsig.parse(armored).public_key for armored in new.values()]).close()
            if _identity(path) != before:
                raise EnvironmentFailure(
                    f"{path} changed while it was signed", hint="does somebody else sign it? run the same command again"
                )
            publish(draft, path)
    return Signed(
        path=path,
        digest=found.digest,
        added=tuple(_fingerprint(armored) for armored in new.values()),
        fingerprints=tuple(_fingerprint(control[name]) for name in sorted(control) if name.startswith(SIGNATURES)),
    )


def _read(signature: Path) -> bytes:
    try:
        with signature.open("rb") as file:
            return file.read(MAX_SIGNATURE_SIZE + 1)
    except OSError as error:
        raise EnvironmentFailure(
            f"the signature {signature} cannot be read: {error.strerror}", hint="name the .sig file that `ssh-keygen -Y sign` wrote"
        ) from error


def _require_good(armored: bytes, manifest: bytes) -> None:
    """Refuse a signature that the far side would refuse. Raises SignatureRefused."""
    found = sshsig.parse(armored)
    kind, name = sshsig.key_type(found.public_key), sshsig.fingerprint(found.public_key)
    again = f"sign what `wheelhouse manifest FILE` prints: ssh-keygen -Y sign -n {NAMESPACE} -f KEY MANIFEST"
    if kind not in sshsig.KEY_TYPES:
        raise SignatureRefused(
            f"the signature by {name} is of type {kind[:80]!a}, which no reader can check",
            hint=f"sign with one of {', '.join(sshsig.KEY_TYPES)}",
        )
    if found.namespace != NAMESPACE:
        raise SignatureRefused(f"the signature by {name} is for {found.namespace[:80]!a}, not for {NAMESPACE!r}", hint=again)
    if not sshsig.verify(found, manifest):
        raise SignatureRefused(f"the signature by {name} is not over this bundle's manifest", hint=again)


def _is_there(control: dict[str, bytes], name: str) -> bool:
    """Whether there is a good signature of that name already."""
    if name not in control:
        return False
    found = sshsig.parse(control[name])
    return found.namespace == NAMESPACE and sshsig.verify(found, control[MANIFEST])


def _fingerprint(armored: bytes) -> str:
    return sshsig.fingerprint(sshsig.parse(armored).public_key)


def _write(path: Path, draft: Path, payload_size: int, control: dict[str, bytes]) -> None:
    """Copy the payload to the new file ``draft``, write the control part after it, and all to the disk."""
    with path.open("rb") as source, draft.open("xb") as out:
        _copy(source, out)
        out.truncate(payload_size)
        out.seek(payload_size)
        seal(out, control)
        out.flush()
        os.fsync(out.fileno())
    shutil.copymode(path, draft)


def _copy(source: BinaryIO, out: BinaryIO) -> None:
    """Copy the whole file. Where the system can do it, it does, and shares the blocks if the file system can do that."""
    try:
        while os.copy_file_range(source.fileno(), out.fileno(), _STRETCH):
            pass
    except (AttributeError, OSError):  # not Linux, or not this file system; a true failure comes again
        source.seek(0)
        out.seek(0)
        shutil.copyfileobj(source, out, 1 << 20)
        out.flush()


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A new file's name beside ``path``; gone at the end unless it has become the bundle."""
    draft = path.with_name(f"{_SCRATCH}{secrets.token_hex(8)}")
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _identity(path: Path) -> _Identity:
    try:
        status = path.stat()
    except OSError as error:
        raise EnvironmentFailure(f"{path} cannot be read: {error.strerror}", hint="name the bundle to sign") from error
    return _Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@contextmanager
def _disk_failures(path: Path) -> Iterator[None]:
    """Tell what the operating system refuses as EnvironmentFailure."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFailure(
            f"{path} could not be signed: {error.strerror or error}",
            hint=f"signing writes a copy beside the bundle: {path.parent} must be writable, with room for it; or use `wheelhouse manifest`",
        ) from error
