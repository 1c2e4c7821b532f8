"""A lock: what one target installs, file by file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.pylock import Pylock
from packaging.requirements import Requirement
from packaging.utils import NormalizedName
from packaging.version import Version

from wheelhouse_builder.model.distribution import LockedSdist, LockedWheel
from wheelhouse_builder.model.target import Target

TOOL = "wheelhouse"
"""What is ours in a lock as a file, where PEP 751 has no place for it."""
YANKED = "yanked"
"""Of a release: that it was, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Closure:
    """What of a catalogue installs one of the things that it was asked for."""

    requirement: Requirement
    """One release of the project, with the extras that were asked for: ``uvicorn[standard]==0.38.0``."""
    wheels: tuple[str, ...]
    """File names, sorted: the project's own wheel and all that it needs."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Overridden:
    """A requirement that the set does not meet, because the user overrode it."""

    project: NormalizedName
    """Whose requirement it is."""
    requires: NormalizedName
    """The project that it is about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lacking:
    """What a catalogue was asked for and cannot have."""

    requirement: Requirement
    reason: str
    nearest: Version | None = None
    """A release that could be had, if another one were asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """The answer of a resolver for one target, and the wheels that we chose from it."""

    target: Target
    pylock: Pylock
    """As the resolver gave it (PEP 751), with URLs; what ``wheelhouse lock`` writes for review."""
    wheels: tuple[LockedWheel, ...]
    """One for each project, the best tag that the target accepts, sorted by project; in a catalogue one for each release."""
    sdists: tuple[LockedSdist, ...] = ()
    """For the projects that have no such wheel, sorted by project; when they are built, their wheels stand with the others."""
    bootstrap: tuple[LockedWheel, ...]
    """pip for the target's Python and, before Python 3.14, a zstd decoder: carried to install the others."""
    requirements: tuple[Requirement, ...] = ()
    """What was asked for on this target: with the extras and markers that a lock no longer shows."""
    inputs: str = ""
    """Digest of everything that the answer rests on; empty for a lock that another tool wrote."""
    overrides: tuple[Requirement, ...] = ()
    """What was asked for in place of all that anybody else asks of these projects."""
    overridden: tuple[Overridden, ...] = ()
    """Sorted; known when the wheels have been read."""
    closures: tuple[Closure, ...] | None = None
    """Of a catalogue, each of which can be installed by itself; None: this is no catalogue, all wheels are installed together."""
    lacking: tuple[Lacking, ...] = ()
    """Of a catalogue."""

    @property
    def yanked(self) -> Iterator[tuple[str, str]]:
        """The releases that their publishers have withdrawn (PEP 592), which somebody asked for all the same; and why they did."""
        for package in self.pylock.packages:
            ours = (package.tool or {}).get(TOOL, {})
            if YANKED in ours:
                yield f"{package.name} {package.version}", str(ours[YANKED])

    @property
    def files(self) -> Iterator[LockedWheel]:
        """All wheels to be fetched: those that are installed, what installs them, and what the sdists are built with."""
        yield from (*self.wheels, *self.bootstrap)
        for sdist in self.sdists:
            yield from sdist.build_requirements
