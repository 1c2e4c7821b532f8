"""Targets: one Python on one platform, and all that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.tags import Tag


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One Python on one platform that a bundle must serve.

    The single source for resolving, for choosing files and for checking the host before an install.
    """

    name: str
    """``<python tag>-<platform tag>``, as ``cp312-manylinux_2_28_x86_64``; holds no dot."""
    interpreter: str
    """First part of the most specific tag: ``cp312``."""
    abi: str
    """Second part: ``cp312``, ``cp313t``, ``cp37m``."""
    platforms: tuple[str, ...]
    """Platform tags that it accepts, best first; the first one is its floor."""
    markers: Mapping[str, str | None]
    """All eleven keys of PEP 508's marker environment; None where only a probe of the host could tell."""
    tags: tuple[Tag, ...]
    """Every wheel tag that it accepts, best first."""
