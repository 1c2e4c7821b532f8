"""The lock of another tool as the answer: its releases and digests as they are, of its files what each target's tags and markers choose.

That is a ``pylock.toml`` (PEP 751), such as ``uv export --format pylock.toml`` writes, or a requirements file in which each line names one
release and its digests, as ``uv export``, ``pip-compile --generate-hashes`` and ``poetry export`` write them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.pylock import Package, PackageWheel, Pylock, PylockValidationError
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from wheelhouse_builder.adapters.index import IndexFile
from wheelhouse_builder.errors import ResolutionError, SpecError
from wheelhouse_builder.model.markers import ASK_THE_HOST, holds
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve.choose import Choice
from wheelhouse_builder.resolve.locks import pylock_of
from wheelhouse_builder.resolve.requirements import Line, Requirements
from wheelhouse_builder.resolve.shelf import Shelf

HINT = "`uv export --no-emit-project --format pylock.toml -o pylock.toml` writes one; `--format requirements.txt` another that will do"
CREATED_BY = "wheelhouse"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """A release that a requirements file names."""

    line: Line
    project: NormalizedName
    version: Version


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A lock that was read."""

    path: Path
    lock: Pylock | tuple[Pin, ...]


def read_taken(path: Path) -> Taken:
    """Read the lock at ``path``. Raises SpecError for what is none."""
    try:
        lock = _read_pylock(path) if path.suffix == ".toml" else tuple(_pins(path))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, PylockValidationError) as error:
        raise SpecError(f"{path}: not a lock: {error}", hint=HINT) from error
    return Taken(path=path, lock=lock)


def taken_for(taken: Taken, target: Target, shelf: Shelf) -> Pylock:
    """What of the lock ``target`` may need; which file it is to be is decided as always. Raises ResolutionError, IndexFailure."""
    if isinstance(taken.lock, Pylock):
        _refuse_other_python(taken.lock, taken.path, target)
        return taken.lock
    pins = [pin for pin in taken.lock if _needed(pin, target)]
    shelf.read(pin.project for pin in pins)
    packages = [_package(pin, shelf) for pin in sorted(pins, key=lambda pin: pin.project)]
    return Pylock(lock_version=Version("1.0"), created_by=CREATED_BY, packages=packages)


def _read_pylock(path: Path) -> Pylock:
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    for package in document.get("packages", ()):
        for file in (package.get("archive", {}), *package.get("wheels", ())):
            _locate(file, path.parent)
    return Pylock.from_dict(document)


def _locate(file: dict[str, Any], folder: Path) -> None:
    """Paths of a lock are relative to it; from here on they are URLs as all others."""
    if "path" in file and "url" not in file:
        file["url"] = (folder / file.pop("path")).resolve().as_uri()


def _refuse_other_python(lock: Pylock, path: Path, target: Target) -> None:
    python = target.environment["python_full_version"]
    if lock.requires_python is not None and not lock.requires_python.contains(python, prereleases=True):
        raise ResolutionError(f"{target}: {path.name} is for Python {lock.requires_python}, this is {python}", hint=HINT)


def _pins(path: Path) -> Iterator[Pin]:
    """The releases of a requirements file. Raises SpecError with each line that does not name exactly one and its digests."""
    lines = Requirements.from_files(path).requirements
    vague = [line for line in lines if _version_of(line) is None or not line.hashes]
    if vague:
        problems = [f"{line.where}: {line.requirement} is no release with its hashes: 'name==1.0 --hash=sha256:…'" for line in vague]
        raise SpecError(*problems, hint=HINT)
    for line in lines:
        if (version := _version_of(line)) is not None:
            yield Pin(line=line, project=canonicalize_name(line.requirement.name), version=version)


def _version_of(line: Line) -> Version | None:
    """The one release that the line allows."""
    specifiers = list(line.requirement.specifier)
    if line.requirement.url or len(specifiers) != 1 or specifiers[0].operator not in ("==", "==="):
        return None
    try:
        return Version(specifiers[0].version)
    except InvalidVersion:
        return None


def _needed(pin: Pin, target: Target) -> bool:
    needed = holds(pin.line.requirement.marker, target)
    if needed is None:
        raise ResolutionError(
            f"{target}: {pin.line.where}: {pin.line.requirement} hangs on a marker that only the host can tell",
            hint=ASK_THE_HOST,
        )
    return needed


def _package(pin: Pin, shelf: Shelf) -> Package:
    """The release with those of its wheels that the line has the digests of."""
    files = [file for file in shelf.listed(pin.project) if _is_of(file, pin)]
    return Package(name=pin.project, version=pin.version, wheels=[_wheel(file) for file in files] or None)


def only_chosen(pylock: Pylock, choice: Choice) -> Pylock:
    """The lock that is left when the choice was made for one target."""
    built = {sdist.project for sdist in choice.sdists}
    kept = [*pylock_of(choice.wheels).packages, *(package for package in pylock.packages if package.name in built)]
    return Pylock(lock_version=Version("1.0"), created_by=CREATED_BY, packages=sorted(kept, key=lambda package: package.name))


def _is_of(file: IndexFile, pin: Pin) -> bool:
    return file.filename.endswith(".whl") and f"sha256:{file.hashes.get('sha256')}" in pin.line.hashes


def _wheel(file: IndexFile) -> PackageWheel:
    return PackageWheel(name=file.filename, url=file.url, size=file.size, upload_time=file.uploaded, hashes=dict(file.hashes))
