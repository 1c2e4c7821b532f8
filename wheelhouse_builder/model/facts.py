"""What is known of Pythons and platforms: the data files, read once.

Refreshed by ``python scripts/refresh_data.py``.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

MinorVersion = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class LinuxRelease:
    """A Linux release: its C library and its own Python."""

    libc: str
    """``manylinux`` (glibc) or ``musllinux`` (musl)."""
    version: MinorVersion
    python: MinorVersion


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Everything in the data files."""

    cpython: Mapping[MinorVersion, str]
    """The newest patch level of each minor version."""
    pypy: Mapping[MinorVersion, tuple[str, str]]
    """The newest PyPy for each minor version: its Python's version, its own."""
    glibc: MinorVersion
    """The newest."""
    musl: MinorVersion
    """The newest."""
    macos: tuple[MinorVersion, ...]
    """Every release, oldest first."""
    linux: Mapping[str, LinuxRelease]
    """By friendly name, rebuilds of the same sources included."""


def minor_version(text: str) -> MinorVersion:
    """``3.12`` as (3, 12)."""
    major, minor = text.split(".")
    return int(major), int(minor)


@cache
def facts() -> Facts:
    """Read the data files."""
    folder = files("wheelhouse_builder.data")
    pythons = json.loads((folder / "pythons.json").read_text(encoding="utf-8"))
    platforms = tomllib.loads((folder / "platforms.toml").read_text(encoding="utf-8"))
    linux = {name: _linux_release(entry) for name, entry in platforms["linux"].items()}
    return Facts(
        cpython={minor_version(minor): version for minor, version in pythons["cpython"].items()},
        pypy={minor_version(minor): (python, pypy) for minor, (python, pypy) in pythons["pypy"].items()},
        glibc=minor_version(platforms["newest"]["glibc"]),
        musl=minor_version(platforms["newest"]["musl"]),
        macos=tuple(map(minor_version, platforms["macos"]["releases"])),
        linux=linux | {alias: linux[name] for alias, name in platforms["alias"].items()},
    )


def _linux_release(entry: Mapping[str, str]) -> LinuxRelease:
    libc = "glibc" if "glibc" in entry else "musl"
    return LinuxRelease(
        libc={"glibc": "manylinux", "musl": "musllinux"}[libc],
        version=minor_version(entry[libc]),
        python=minor_version(entry["python"]),
    )
