"""What an index has for a target: of each project the releases that have a wheel for it, newest first, each with its best wheel.

A page is read once for all targets of a run, and so is each wheel's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.tags import InvalidTag, Tag, parse_tag
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from wheelhouse_builder.adapters.index import IndexFile
from wheelhouse_builder.errors import IndexFailure
from wheelhouse_builder.model.distribution import LockedWheel
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve.shelf import Pages, Shelf, admits

_WHEEL = re.compile(r"(?P<project>[^-]+)-(?P<version>[^-]+)(?:-(?P<number>\d+)(?P<build>[^-]*))?-(?P<tags>[^-]+-[^-]+-[^-]+)\.whl")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Named:
    """A wheel whose name was read."""

    file: IndexFile
    version: Version
    build: tuple[int, str]
    """(-1, "") where the name has no build tag."""
    tags: frozenset[Tag]


class Stock:
    """What the index behind ``shelf`` has. Not for several threads at a time.

    It remembers hundreds of thousands of names, which have to go when it goes: nothing of that is kept for the whole process.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._version = cache(Version)
        self._tags = cache(parse_tag)
        self._ranks = cache(_ranks)
        self._named: dict[NormalizedName, Sequence[_Named]] = {}
        self._chosen: dict[tuple[NormalizedName, str], tuple[LockedWheel, ...]] = {}
        self._locked: dict[str, LockedWheel] = {}

    def read(self, projects: Iterable[NormalizedName]) -> None:
        """Have the pages of ``projects`` read, many at a time. Raises IndexFailure when the index, not the project, is at fault."""
        new = [project for project in projects if project not in self._named]
        self._shelf.read(new)
        for project in new:
            self._named[project] = [named for file in self._shelf.listed(project) if (named := self._name(project, file)) is not None]

    def knows(self, project: NormalizedName) -> bool:
        """Whether the page of ``project`` was read."""
        return project in self._named

    def of(self, project: NormalizedName, target: Target) -> tuple[LockedWheel, ...]:
        """The wheels of ``project`` for ``target``, one for each release, newest first; what was yanked is left out (PEP 592)."""
        key = (project, target.name)
        if key not in self._chosen:
            self._chosen[key] = self._choose(project, target)
        return self._chosen[key]

    def has_wheels(self, project: NormalizedName) -> bool:
        """Whether there are wheels of ``project``, whatever they are for."""
        return bool(self._named[project])

    def _choose(self, project: NormalizedName, target: Target) -> tuple[LockedWheel, ...]:
        """The best wheel of each release: the tag that the target likes best, then the newest build."""
        ranks = self._ranks(target.tags)
        best: dict[Version, tuple[tuple[int, tuple[int, str], str], _Named]] = {}
        for wheel in self._named[project]:
            position = min((ranks[tag] for tag in wheel.tags if tag in ranks), default=None)
            if position is None or not admits(wheel.file.requires_python, target):
                continue
            rank = (-position, wheel.build, wheel.file.filename)
            if wheel.version not in best or rank > best[wheel.version][0]:
                best[wheel.version] = (rank, wheel)
        return tuple(self._as_locked(project, best[version][1]) for version in sorted(best, reverse=True))

    def _name(self, project: NormalizedName, file: IndexFile) -> _Named | None:
        """The wheel, if it is one that could be chosen: not yanked, with a digest, and with a name that is one."""
        match = _WHEEL.fullmatch(file.filename)
        if match is None or file.yanked or "sha256" not in file.hashes or canonicalize_name(match["project"]) != project:
            return None
        try:
            version, tags = self._version(match["version"]), self._tags(match["tags"])
        except (InvalidVersion, InvalidTag):
            return None
        build = (int(match["number"]), match["build"]) if match["number"] else (-1, "")
        return _Named(file=file, version=version, build=build, tags=tags)

    def _as_locked(self, project: NormalizedName, wheel: _Named) -> LockedWheel:
        file = wheel.file
        if file.url not in self._locked:
            self._locked[file.url] = LockedWheel(
                project=project,
                version=wheel.version,
                filename=file.filename,
                url=file.url,
                sha256=file.hashes["sha256"],
                size=file.size,
                uploaded=file.uploaded,
            )
        return self._locked[file.url]


def nearest_release(project: NormalizedName, target: Target, bounds: SpecifierSet, *, pages: Pages, memory: Path) -> Version | None:
    """The newest release of ``project`` within ``bounds`` that has a wheel for ``target``; None also where the index does not answer."""
    with Shelf(pages, "", memory) as shelf:
        stock = Stock(shelf)
        try:
            stock.read([project])
        except IndexFailure:  # what somebody is told of is worse than this
            return None
        return next(bounds.filter(wheel.version for wheel in stock.of(project, target)), None)


def _ranks(tags: tuple[Tag, ...]) -> Mapping[Tag, int]:
    return {tag: position for position, tag in reversed(list(enumerate(tags)))}
