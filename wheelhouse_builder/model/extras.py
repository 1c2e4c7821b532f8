"""What a bundle brings beside its distributions: files that are put into the environment, and commands that prove it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedFile:
    """One file, put into the environment as it is."""

    path: str
    """Where, below the directory ``files`` of the environment; with slashes."""
    source: Path
    mode: str = "0644"
    """One of :data:`~wheelhouse_builder.runtime.manifest.FILE_MODES`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extras:
    """All of it."""

    files: tuple[PlacedFile, ...] = ()
    smoke: tuple[tuple[str, ...], ...] = ()
    """Commands of the environment, each with its arguments, that must succeed inside before it is used."""
