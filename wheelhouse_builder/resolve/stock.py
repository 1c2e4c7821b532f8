"""What an index has for a target: of each project the releases that have a wheel for it, newest first, each with its best wheel.

A page is read once for all targets of a run, and so is each wheel's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache, partial
from itertools import count
from operator import itemgetter
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
    build: tuple[int, str]
    """(-1, "") where the name has no build tag."""
    tags: frozenset[Tag]
    """The same object for all wheels that have the same."""


_Release = tuple[Version, list[_Named]]


class Stock:
    """What the index behind ``shelf`` has for ``targets``. Not for several threads at a time.

    It remembers hundreds of thousands of names, which have to go when it goes: nothing of that is kept for the whole process.
    """

    def __init__(self, shelf: Shelf, targets: Iterable[Target]) -> None:
        self._shelf = shelf
        self._wanted = frozenset(tag for target in targets for tag in target.tags)
        self._version = cache(Version)
        self._tags = cache(parse_tag)
        self._asked: dict[NormalizedName, Future[Sequence[_Release]]] = {}
        self._releases: dict[NormalizedName, Sequence[_Release]] = {}
        self._with_wheels: set[NormalizedName] = set()
        self._tastes: dict[str, _Taste] = {}
        self._chosen: dict[tuple[NormalizedName, str], tuple[list[LockedWheel], Iterator[LockedWheel]]] = {}
        self._locked: dict[str, LockedWheel] = {}

    def ask(self, projects: Iterable[NormalizedName]) -> None:
        """Begin to read the pages of ``projects``, many at a time."""
        for project in projects:
            if project not in self._asked:
                self._asked[project] = self._shelf.extract(project, self._by_release)

    def read(self, projects: Iterable[NormalizedName]) -> None:
        """Have the pages of ``projects`` read. Raises IndexFailure when the index, not the project, is at fault."""
        projects = set(projects)
        self.ask(projects)
        self._releases |= {project: self._asked[project].result() for project in projects}

    def knows(self, project: NormalizedName) -> bool:
        """Whether the page of ``project`` was read."""
        return project in self._releases

    def of(self, project: NormalizedName, target: Target) -> Iterator[LockedWheel]:
        """The wheels of ``project`` for ``target``, one for each release, newest first; what was yanked is left out (PEP 592).

        Mostly the first one will do, so each is chosen when somebody gets there, once.
        """
        key = (project, target.name)
        if key not in self._chosen:
            self._chosen[key] = ([], self._choose(project, target))
        known, further = self._chosen[key]
        for position in count():
            if position == len(known):
                if (wheel := next(further, None)) is None:
                    return
                known.append(wheel)
            yield known[position]

    def has_wheels(self, project: NormalizedName) -> bool:
        """Whether there are wheels of ``project``, whatever they are for."""
        return project in self._with_wheels

    def _by_release(self, project: NormalizedName, files: Iterable[IndexFile]) -> Sequence[_Release]:
        """Newest first, without what no target accepts."""
        found: dict[Version, list[_Named]] = {}
        for file in files:
            if (named := self._name(project, file)) is None:
                continue
            self._with_wheels.add(project)
            if not named[1].tags.isdisjoint(self._wanted):
                found.setdefault(named[0], []).append(named[1])
        return sorted(found.items(), key=itemgetter(0), reverse=True)

    def _choose(self, project: NormalizedName, target: Target) -> Iterator[LockedWheel]:
        """The best wheel of each release: the tag that the target likes best, then the newest build."""
        taste = self._taste_of(target)
        for version, wheels in self._releases[project]:
            ranked = [(rank, wheel) for wheel in wheels if (rank := taste.rank(wheel)) is not None]
            if ranked:
                yield self._as_locked(project, version, max(ranked, key=itemgetter(0))[1].file)

    def _taste_of(self, target: Target) -> _Taste:
        if target.name not in self._tastes:
            self._tastes[target.name] = _Taste(target)
        return self._tastes[target.name]

    def _name(self, project: NormalizedName, file: IndexFile) -> tuple[Version, _Named] | None:
        """The wheel, if it is one that could be chosen: not yanked, with a digest, and with a name that is one."""
        match = _WHEEL.fullmatch(file.filename)
        if match is None or file.yanked or "sha256" not in file.hashes or canonicalize_name(match["project"]) != project:
            return None
        try:
            version, tags = self._version(match["version"]), self._tags(match["tags"])
        except (InvalidVersion, InvalidTag):
            return None
        build = (int(match["number"]), match["build"]) if match["number"] else (-1, "")
        return version, _Named(file=file, build=build, tags=tags)

    def _as_locked(self, project: NormalizedName, version: Version, file: IndexFile) -> LockedWheel:
        if file.url not in self._locked:
            self._locked[file.url] = LockedWheel(
                project=project,
                version=version,
                filename=file.filename,
                url=file.url,
                sha256=file.hashes["sha256"],
                size=file.size,
                uploaded=file.uploaded,
            )
        return self._locked[file.url]


class _Taste:
    """What one target thinks of wheels. Thousands say the same of themselves, so each thought is thought once."""

    def __init__(self, target: Target) -> None:
        self._positions = {tag: position for position, tag in enumerate(target.tags)}
        self._position = cache(self._best)
        self._admits = cache(partial(admits, target=target))

    def rank(self, wheel: _Named) -> tuple[int, tuple[int, str], str] | None:
        """The higher the better; None: it is not for this target."""
        position = self._position(wheel.tags)
        if position is None or not self._admits(wheel.file.requires_python):
            return None
        return -position, wheel.build, wheel.file.filename

    def _best(self, tags: frozenset[Tag]) -> int | None:
        return min((self._positions[tag] for tag in tags if tag in self._positions), default=None)


def nearest_release(project: NormalizedName, target: Target, bounds: SpecifierSet, *, pages: Pages, memory: Path) -> Version | None:
    """The newest release of ``project`` within ``bounds`` that has a wheel for ``target``; None also where the index does not answer."""
    with Shelf(pages, "", memory) as shelf:
        stock = Stock(shelf, [target])
        try:
            stock.read([project])
        except IndexFailure:  # what somebody is told of is worse than this
            return None
        return next(bounds.filter(wheel.version for wheel in stock.of(project, target)), None)
