"""What a wheel says of itself in its METADATA (core metadata): who it is, which Pythons it is for, what it requires."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

UNREADABLE = (OSError, zipfile.BadZipFile, KeyError, ValueError)
"""What reading a wheel may raise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """A wheel's own words."""

    project: NormalizedName
    version: Version
    requires_python: SpecifierSet
    requires: tuple[Requirement, ...]


def read_metadata(path: Path) -> Metadata:
    """Read the METADATA of the wheel at ``path``. Raises what :data:`UNREADABLE` lists."""
    with zipfile.ZipFile(path) as archive:
        return parse_metadata(archive.read(f"{dist_info(archive)}/METADATA"))


def parse_metadata(data: bytes) -> Metadata:
    """Take METADATA's bytes apart. Raises KeyError and ValueError."""
    raw, _ = parse_email(data)
    try:
        return Metadata(
            project=canonicalize_name(raw["name"]),
            version=Version(raw["version"]),
            requires_python=SpecifierSet(raw.get("requires_python", "")),
            requires=tuple(map(Requirement, raw.get("requires_dist", ()))),
        )
    except (InvalidVersion, InvalidSpecifier, InvalidRequirement) as error:
        raise ValueError(f"its METADATA is not as it must be: {str(error).splitlines()[0]}") from error


def dist_info(archive: zipfile.ZipFile) -> str:
    """The name of the wheel's one ``.dist-info`` directory. Raises ValueError."""
    folders = {name.partition("/")[0] for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)}
    if len(folders) != 1:
        raise ValueError(f"it has {len(folders)} .dist-info directories, not one")
    return folders.pop()
