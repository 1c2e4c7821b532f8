"""Pack: wheels and locks → one signed bundle, as FORMAT.md in this directory describes it.

``Contents`` are taken apart into members (members.py, streams.py), laid out so that what resembles stands together (pool.py), compressed
frame by frame (frames.py, payload.py), described (document.py) and signed (container.py). Nothing is seen at the destination before the
whole file has been verified with the code of the far side.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wheelhouse_builder.adapters.keys import Signer
from wheelhouse_builder.errors import EnvironmentFailure, UsageError
from wheelhouse_builder.pack.attestations import attestations_files
from wheelhouse_builder.pack.container import prove, publish, reader_members, seal, signatures, standing
from wheelhouse_builder.pack.contents import Contents, placed_files
from wheelhouse_builder.pack.crew import Crew
from wheelhouse_builder.pack.delta import Base, read_base
from wheelhouse_builder.pack.document import manifest
from wheelhouse_builder.pack.effort import EFFORTS, effort_named
from wheelhouse_builder.pack.locks import lock_files
from wheelhouse_builder.pack.payload import Workshop, dense_payload, plain_payload, write_frames
from wheelhouse_builder.pack.readme import readme_text
from wheelhouse_builder.pack.remembered import Memory
from wheelhouse_builder.reporter import Reporter, Silent
from wheelhouse_builder.runtime.layout import MANIFEST, README
from wheelhouse_builder.runtime.manifest import ManifestBase, canonical_json
from wheelhouse_builder.runtime.sshsig import fingerprint

__all__ = ["EFFORTS", "Base", "Contents", "Memory", "Packed", "pack", "read_base"]

_SCRATCH = ".wheelhouse-"
"""How the name of the private directory beside the destination begins."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """A bundle that was written, and that verifies."""

    path: Path
    size: int
    """Bytes of the file."""
    digest: str
    """Content digest: the bundle's identity."""
    fingerprints: tuple[str, ...]
    """Of the keys that signed it: ``SHA256:…``."""
    targets: int
    distributions: int
    """Wheels in it; decoders are none."""
    wheels_size: int
    """Bytes of these wheels."""
    base: ManifestBase | None
    """What a delta needs; None for a bundle that is whole in itself."""


def pack(
    contents: Contents,
    output: Path,
    *,
    signers: Sequence[Signer],
    plain: bool = False,
    base: Base | None = None,
    effort: str = "balanced",
    reporter: Reporter | None = None,
    memory: Memory | None = None,
    threads: int | None = None,
) -> Packed:
    """Write the bundle of ``contents`` to ``output``, replacing what is there in one step at the end; leave nothing when it fails.

    ``plain`` carries the wheels as they are. Of what ``base`` holds nothing travels: the bundle is a delta.
    ``effort`` is one of :data:`EFFORTS`. The same contents make the same
    bytes, whatever the number of ``threads`` (by default one for each core), and whatever ``memory`` knows of them.
    Raises UsageError, DistributionError, EnvironmentFailure.
    """
    chosen = effort_named(effort)
    with _disk_failures(output), _private_directory(output) as scratch, Crew(threads) as crew:
        shop = Workshop(scratch=scratch, crew=crew, effort=chosen, reporter=reporter or Silent(), memory=memory)
        draft = scratch / "bundle"
        _write(contents, draft, signers, shop, plain=plain, base=base)
        packed = _proved(draft, output, contents, signers)
        publish(draft, output)
    return packed


def _write(contents: Contents, draft: Path, signers: Sequence[Signer], shop: Workshop, *, plain: bool, base: Base | None) -> None:
    """Write the whole file to the new file ``draft``, and to the disk."""
    files = {README: readme_text(contents).encode(), **lock_files(contents), **attestations_files(contents), **placed_files(contents)}
    reader = reader_members()
    members = standing(reader, contents)
    payload = (plain_payload if plain else dense_payload)(contents, files, shop, base)
    with draft.open("xb") as out:
        written = write_frames(out, payload.frames, shop)
        listed = {**files, **contents.bytecode}
        document = manifest(contents, files=listed, control=reader, members=members, frames=written, plain=plain, base=payload.base)
        encoded = canonical_json(document)
        seal(out, members | {MANIFEST: encoded} | signatures(encoded, signers))
        out.flush()
        os.fsync(out.fileno())


def _proved(draft: Path, output: Path, contents: Contents, signers: Sequence[Signer]) -> Packed:
    """What was packed, after the far side's checks."""
    with prove(draft, [each.public_key for each in signers]) as verified:
        wheels = [distribution.wheel for distribution in contents.distributions()]
        return Packed(
            path=output,
            size=verified.size,
            digest=verified.digest,
            fingerprints=tuple(fingerprint(each.public_key) for each in signers),
            targets=len(contents.locks),
            distributions=len(wheels),
            wheels_size=sum(wheel.size for wheel in wheels),
            base=verified.manifest.base,
        )


@contextmanager
def _private_directory(output: Path) -> Iterator[Path]:
    """A directory of our own on the disk of ``output``, gone at the end with all that is in it. Raises UsageError."""
    if output.is_dir():
        raise UsageError(f"{output} is a directory", hint=f"name the file to write, as in {output / 'NAME-VERSION.whb'}")
    scratch = output.parent / f"{_SCRATCH}{secrets.token_hex(8)}"
    try:  # before the directory is there: an interrupt may come right after
        scratch.mkdir(mode=0o700)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _disk_failures(output: Path) -> Iterator[None]:
    """Tell what the operating system refuses as EnvironmentFailure."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if error.filename and _SCRATCH not in str(error.filename):
            hint = "run again: what the store lacks is fetched anew; if it stays so, check the permissions and the disk"
            raise EnvironmentFailure(f"{error.filename} could not be read: {why}", hint=hint) from error
        raise EnvironmentFailure(f"{output} could not be written: {why}", hint=_remedy(output)) from error


def _remedy(output: Path) -> str:
    if not output.parent.is_dir():
        return f"make the directory {output.parent}, or name another with -o"
    return f"packing needs about twice the bundle's size in {output.parent}: make room, get write access, or name another place with -o"
