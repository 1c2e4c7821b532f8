"""Distributions: as a lock names them, and as the store holds them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from packaging.utils import NormalizedName
from packaging.version import Version

from wheelhouse_builder.model.provenance import Provenance


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedWheel:
    """The one wheel that a lock gives a target for a project: where it is found and what it must be."""

    project: NormalizedName
    version: Version
    filename: str
    url: str
    """https:, http: or file:, without credentials."""
    sha256: str
    """64 lower-case hexadecimal digits."""
    size: int | None = None
    """Bytes, where the index said so."""
    uploaded: datetime | None = None
    """Upload time, UTC, where the index said so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """A source tree that nobody serves as a file: an archive is made of it, of the same tree always the same."""

    place: str
    """The URL of a git repository, or the path of a folder, relative to that of the spec, with ``/``."""
    commit: str = ""
    """Of a repository; empty: it is a folder."""
    revision: str = ""
    """The branch, tag or commit that was asked for; empty: what the repository has for its own."""
    subdirectory: str = ""
    """Of a repository, where the project lies; empty: at its top."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedSdist:
    """The sdist that a lock gives a target for a project, because no wheel fits or the user named it: a recipe builds it."""

    project: NormalizedName
    version: Version
    filename: str
    url: str
    """As that of a wheel."""
    sha256: str
    size: int | None = None
    uploaded: datetime | None = None
    build_requirements: tuple[LockedWheel, ...] = ()
    """What is installed where it is built, and nothing else: sorted by project, for the Python that builds."""
    build_inputs: str = ""
    """Digest of the question that :attr:`build_requirements` answer."""
    named: bool = False
    """The user named it, by URL or by path: it is built without a recipe, too."""
    metadata: str = ""
    """What the METADATA of its wheel will say, where the archive itself does not say it."""
    tree: Tree | None = None
    """What the archive is made of, where nobody serves it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wheel:
    """A wheel whose bytes were checked and lie in the store."""

    project: NormalizedName
    version: Version
    filename: str
    sha256: str
    size: int
    path: Path
    """Where the store keeps it: named by digest, so not by ``filename``."""
    url: str
    uploaded: datetime | None = None
    problems: tuple[str, ...] = ()
    """What the strict check says of it; not empty only where it is excused."""
    excuse: str = ""
    """Why it is let pass in spite of its problems."""
    attestations: bytes | None = None
    """The provenance document of the index (PEP 740), verified; None: it was not asked for, or there is none."""
    build: Provenance | None = None
    """How it was made; None for one that was fetched."""
