"""Wheels: as a lock names them, and as the store holds them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from packaging.utils import NormalizedName
from packaging.version import Version


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
