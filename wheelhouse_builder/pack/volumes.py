"""Split and join: one bundle ↔ volumes for media of any size, as FORMAT.md in this directory describes them.

The last volume ends as the bundle ends, with the whole control part, so Python can run it; each recovery volume carries a copy of
the control part for the case that just the last volume is lost.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wheelhouse_builder.errors import AlreadyThere, BundleRefused, EnvironmentFailure, UsageError
from wheelhouse_builder.reporter import Reporter, Step
from wheelhouse_builder.runtime import reedsolomon
from wheelhouse_builder.runtime.bundle import Bundle, open_bundle
from wheelhouse_builder.runtime.reedsolomon import coefficient, combine
from wheelhouse_builder.runtime.source import File, Source
from wheelhouse_builder.runtime.volumes import HEADER, MAX_VOLUMES, Header, VolumeSet, begins_like_a_volume, extent, open_source, title

MEDIA = {"cd": 735_000_000, "dvd": 4_690_000_000, "bd": 25_000_000_000, "fat32": (4 << 30) - 1}
"""Bytes of one file that surely fit: on a disc beside its file system, and below FAT32's bound for a file."""
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_SIZE = re.compile(r"([0-9]{1,15})([kMGT]i?|)B?")
_BLOCK = 1 << 20
"""Bytes read at once, of each volume."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Volumes that were written."""

    digest: str
    """Content digest of the bundle."""
    volumes: tuple[Path, ...]
    recovery: tuple[Path, ...]
    largest: int
    """Bytes of the largest file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """A bundle that was written from its volumes."""

    path: Path
    size: int
    sha256: str
    """Of the whole file."""
    digest: str
    """Content digest."""
    recovered: tuple[str, ...]
    """Volumes that were missing or damaged and could be computed."""


def parse_size(text: str) -> int:
    """Bytes: a medium of :data:`MEDIA`, or a number with a unit: ``4G`` is 4·10⁹, ``4Gi`` 4·2³⁰. Raises UsageError."""
    if text.lower() in MEDIA:
        return MEDIA[text.lower()]
    found = _SIZE.fullmatch(text)
    if found is None or not int(found[1]):
        raise UsageError(f"{text!r} is no size", hint=f"write it as 650M, 4G or 4Gi, or name a medium: {', '.join(MEDIA)}")
    return int(found[1]) * _UNITS[found[2]]


def split(path: Path, size: int, directory: Path, *, recovery: int, reporter: Reporter) -> Split:
    """Write the bundle at ``path`` to ``directory`` as volumes of at most ``size`` bytes, and ``recovery`` that replace as many lost ones.

    Raises UsageError, AlreadyThere, BundleRefused, EnvironmentFailure; then nothing was written.
    """
    bundle = open_bundle(str(path))
    control = bundle.file.size - bundle.manifest.payload_size
    plan = _plan(bundle, control, size, recovery)
    names = _names(path.name, plan)
    _require_absent(directory, names)
    with _scratch(directory) as scratch, _opened(path) as source:
        with reporter.step("splitting", total=plan.size * (1 + bool(recovery)), unit="B") as step:
            _write(source, plan, control, [scratch / name for name in names], step)
        for name in names:
            (scratch / name).rename(directory / name)
    written = tuple(directory / name for name in names)
    largest = max(each.stat().st_size for each in written)
    return Split(digest=bundle.digest, volumes=written[: plan.volumes], recovery=written[plan.volumes :], largest=largest)


def join(path: Path, others: Sequence[str], output: Path | None, *, reporter: Reporter) -> Joined:
    """Write the bundle whose volumes are ``path`` and ``others`` to ``output``, by default NAME-VERSION.whb here.

    Raises AlreadyThere, BundleRefused, EnvironmentFailure; then nothing was written.
    """
    bundle = open_bundle(str(path), others)
    target = output or Path(f"{bundle.manifest.name}-{bundle.manifest.version}.whb")
    _require_absent(target.parent, [target.name])
    with _scratch(target.parent) as scratch:
        source = open_source(str(path), others)
        try:
            if not isinstance(source, VolumeSet):
                raise UsageError(f"{path} is no volume: there is nothing to join", hint="name a volume, or the directory of the volumes")
            draft = scratch / target.name
            sha256 = _copy(source, draft, reporter)
            if sha256 != source.header.sha256.hex():
                sha256 = _copied_again(source, draft, reporter)
            recovered = tuple(title(source.header, number) for number in source.lost)
        finally:
            source.close()
        draft.rename(target)
    return Joined(path=target, size=target.stat().st_size, sha256=sha256, digest=bundle.digest, recovered=recovered)


def _plan(bundle: Bundle, control: int, limit: int, recovery: int) -> Header:
    """How the bundle is cut: a header that lacks its number and the digests of files. The last volume holds the whole control part."""
    size = bundle.file.size
    most = limit - HEADER.size - (control if recovery else 0)
    if most < control:
        least = HEADER.size + control * (2 if recovery else 1)
        raise UsageError(f"volumes of {limit} bytes are too small for this bundle", hint=f"the last volume needs {least} bytes")
    count = -(-size // most)
    slice_size = max(-(-size // count), control) if recovery else min(most, size)
    count = -(-size // slice_size)
    if recovery and count + recovery > reedsolomon.MAX_VOLUMES:
        raise UsageError(
            f"{count} volumes and {recovery} for recovery are too many",
            hint=f"choose a larger --size: at most {reedsolomon.MAX_VOLUMES} in all",
        )
    if count > MAX_VOLUMES:
        raise UsageError(f"these would be {count} volumes", hint=f"choose a larger --size: there may be {MAX_VOLUMES}")
    tail = max(size - (count - 1) * slice_size, control)
    return Header(1, count, recovery, size, slice_size, tail, bytes.fromhex(bundle.digest), b"", b"")


def _names(name: str, plan: Header) -> list[str]:
    """The volumes' file names, in the order of their numbers."""
    data = [_name(name, "v", number, plan.volumes) for number in range(1, plan.volumes + 1)]
    return data + [_name(name, "r", number, plan.recovery) for number in range(1, plan.recovery + 1)]


def _name(name: str, kind: str, number: int, count: int) -> str:
    width = max(2, len(str(count)))
    return f"{name}.{kind}{number:0{width}}of{count:0{width}}"


def _require_absent(directory: Path, names: Sequence[str]) -> None:
    if not directory.is_dir():
        raise EnvironmentFailure(f"{directory} is no directory", hint="make it first, or name another with -o")
    there = [str(directory / name) for name in names if (directory / name).exists()]
    if there:
        raise AlreadyThere(*(f"{each} is there already" for each in there), hint="remove it, or name another place with -o")


@contextmanager
def _scratch(directory: Path) -> Iterator[Path]:
    """A private directory within ``directory``, gone at the end. Raises EnvironmentFailure for what the system refuses."""
    scratch = directory / f".wheelhouse-{secrets.token_hex(8)}"
    try:
        scratch.mkdir(mode=0o700)
        yield scratch
    except OSError as error:
        why = error.strerror or str(error)
        raise EnvironmentFailure(f"{directory} could not be written to: {why}", hint="make room, get write access, or use -o") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _opened(path: Path) -> Iterator[Source]:
    """The bundle, which must be one file."""
    source = File(str(path))
    try:
        if begins_like_a_volume(source.read(0, min(HEADER.size, source.size))):
            raise BundleRefused(f"{path} is a volume", hint="join the volumes first: `wheelhouse join`")
        yield source
    finally:
        source.close()


def _write(source: Source, plan: Header, control: int, paths: Sequence[Path], step: Step) -> None:
    """Write all volumes; their headers come last, when all digests are known."""
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("xb")) for path in paths]
        for file in files:
            file.write(bytes(HEADER.size))
        whole = hashlib.sha256()
        digests = [_write_data(source, *extent(plan, number), file, whole, step) for number, file in enumerate(files[: plan.volumes], 1)]
        digests += _write_recovery(source, plan, files[plan.volumes :], control, step)
        for number, (file, digest) in enumerate(zip(files, digests, strict=True), 1):
            file.seek(0)
            file.write(plan._replace(number=number, sha256=whole.digest(), data_sha256=digest).encode())
            file.flush()
            os.fsync(file.fileno())


def _write_data(source: Source, start: int, size: int, file: BinaryIO, whole: hashlib._Hash, step: Step) -> bytes:
    """Write one volume's part of the bundle; returns its digest."""
    own = hashlib.sha256()
    for at in range(start, start + size, _BLOCK):
        block = source.read(at, min(_BLOCK, start + size - at))
        own.update(block)
        whole.update(block)
        file.write(block)
        step.advance(len(block))
    return own.digest()


def _write_recovery(source: Source, plan: Header, files: Sequence[BinaryIO], control: int, step: Step) -> list[bytes]:
    """Write what the recovery volumes hold, all at once, a block at a time; returns their digests."""
    if not files:
        return []
    digests = [hashlib.sha256() for _ in files]
    for at in range(0, plan.slice, _BLOCK):
        length = min(_BLOCK, plan.slice - at)
        blocks = [_block(source, *extent(plan, number), at) for number in range(1, plan.volumes + 1)]
        for row, (file, digest) in enumerate(zip(files, digests, strict=True)):
            mixed = combine(((coefficient(row, column), block) for column, block in enumerate(blocks)), length)
            digest.update(mixed)
            file.write(mixed)
        step.advance(sum(map(len, blocks)))
    copy = source.read(plan.size - control, control)
    for file, digest in zip(files, digests, strict=True):
        file.write(copy)
        digest.update(copy)
    return [digest.digest() for digest in digests]


def _block(source: Source, start: int, size: int, at: int) -> bytes:
    """A block of one volume's data; shorter, or empty, at its end."""
    return source.read(start + at, max(0, min(_BLOCK, size - at)))


def _copy(source: Source, draft: Path, reporter: Reporter) -> str:
    """Write all of ``source`` to the file ``draft``; returns its SHA-256."""
    digest = hashlib.sha256()
    with draft.open("wb") as out, reporter.step("joining", total=source.size, unit="B") as step:
        for at in range(0, source.size, _BLOCK):
            block = source.read(at, min(_BLOCK, source.size - at))
            digest.update(block)
            out.write(block)
            step.advance(len(block))
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _copied_again(source: VolumeSet, draft: Path, reporter: Reporter) -> str:
    """The same once more, after damaged volumes were found and replaced. Raises BundleRefused, which names them."""
    wanted = source.header.sha256.hex()
    if not source.heal() or _copy(source, draft, reporter) != wanted:
        raise BundleRefused(
            f"joined, these volumes have another SHA-256 than {wanted}", *source.damage(), hint="copy the damaged volumes again"
        )
    return wanted
