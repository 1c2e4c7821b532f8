"""The file: frames back to back, then the control part in a skippable frame (FORMAT.md, sections 2 to 4)."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO

from wheelhouse_builder.adapters.keys import Signer
from wheelhouse_builder.errors import BundleRefused, UsageError
from wheelhouse_builder.pack.contents import Contents
from wheelhouse_builder.pack.decoders import decoders_tar, packed
from wheelhouse_builder.pack.document import Written
from wheelhouse_builder.pack.frames import Frame
from wheelhouse_builder.runtime import bundle, sshsig
from wheelhouse_builder.runtime.control import deflated, encode_control, is_deflated
from wheelhouse_builder.runtime.layout import CHUNK_SIZE, DECODERS, MAIN, NAMESPACE, RUNTIME, SKIPPABLE_MAGIC
from wheelhouse_builder.runtime.policy import Policy, Trust
from wheelhouse_builder.runtime.trust import AllowedSigner, AllowedSigners

_RUNTIME_PACKAGE = "wheelhouse_builder.runtime"
_MAIN_SOURCE = "bundle_main.py"
"""The runtime's module that becomes the bundle's ``__main__.py``."""


def reader_members() -> dict[str, bytes]:
    """The reader, which the manifest names file by file."""
    sources = {source.name: source.read_bytes() for source in files(_RUNTIME_PACKAGE).iterdir() if source.name.endswith(".py")}
    members = {MAIN: sources.pop(_MAIN_SOURCE)}
    return members | {RUNTIME + name: text for name, text in sources.items()}


def standing(reader: Mapping[str, bytes], contents: Contents) -> dict[str, bytes]:
    """The members as they stand in the control part: the modules of the ``reader`` deflated, and the decoders that the targets need."""
    decoders = contents.decoders()
    carried = {DECODERS: packed(decoders_tar(decoders))} if decoders else {}
    return carried | {name: deflated(data) if is_deflated(name) else data for name, data in reader.items()}


def append(out: BinaryIO, compressed: Path, frame: Frame) -> Written:
    """Write the file ``compressed`` after what is there, chunk by chunk, and remove it."""
    size, chunks = 0, []
    with compressed.open("rb") as file:
        while chunk := file.read(CHUNK_SIZE):
            out.write(chunk)
            size += len(chunk)
            chunks.append(hashlib.sha256(chunk).hexdigest())
    compressed.unlink()
    return Written(frame=frame, size=size, chunks=tuple(chunks))


def signatures(manifest: bytes, signers: Iterable[Signer]) -> dict[str, bytes]:
    """The control members that hold a signature over ``manifest`` by each of ``signers``."""
    data = sshsig.signed_data(manifest, NAMESPACE)
    return {sshsig.member_name(each.public_key): sshsig.encode(each.public_key, NAMESPACE, each.sign(data)) for each in signers}


def seal(out: BinaryIO, members: Mapping[str, bytes]) -> None:
    """Write the control part, the last part of the file. Raises UsageError where it grows beyond the format's bounds."""
    try:
        part = encode_control(members)
    except BundleRefused as error:
        raise UsageError(*error.problems, hint="bundle fewer targets or distributions in one file") from error
    out.write(SKIPPABLE_MAGIC + struct.pack("<I", len(part)) + part)


def prove(path: Path, public_keys: Iterable[bytes]) -> bundle.VerifiedBundle:
    """Verify the finished file as the far side will, with ``public_keys``, of those who signed it, as the only ones trusted."""
    own = tuple(AllowedSigner("the packer", each, None, None, None) for each in public_keys)
    audience = bundle.open_bundle(str(path)).manifest.policy.audience
    trust = Trust(AllowedSigners("the packer's own keys", own), Policy(audience=audience[0] if audience else None))
    return bundle.verify(str(path), trust)


def publish(draft: Path, output: Path) -> None:
    """Let the finished file be seen under its name, in one step and for good."""
    draft.replace(output)
    directory = os.open(output.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
