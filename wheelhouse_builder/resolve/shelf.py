"""What an index has: which releases of a project have a wheel for a target. Each project page is read once in a run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from threading import Lock as Mutex
from typing import Protocol

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, NormalizedName, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from wheelhouse_builder.adapters.index import IndexFile
from wheelhouse_builder.errors import IndexFailure
from wheelhouse_builder.model.target import Target


class Pages(Protocol):
    """An index, as far as this room reads it; :class:`~wheelhouse_builder.adapters.index.IndexClient` is one."""

    def files(self, index: str, project: str) -> Sequence[IndexFile]:
        """All distributions of a project. Raises IndexFailure."""
        ...


class Shelf:
    """The index at ``url``, read through ``pages``. Any thread may call it."""

    def __init__(self, pages: Pages, url: str) -> None:
        self._pages = pages
        self._url = url
        self._known: dict[NormalizedName, Sequence[IndexFile]] = {}
        self._mutex = Mutex()

    def fitting(self, project: NormalizedName, target: Target) -> list[Version]:
        """Releases with a wheel that ``target`` accepts, oldest first; what was yanked does not count (PEP 592)."""
        fits = partial(_fits, target=target, tags=frozenset(target.tags))
        return sorted({version for file in self._files(project) if (version := fits(file)) is not None})

    def releases(self, project: NormalizedName) -> list[Version]:
        """Every release, oldest first."""
        return sorted({version for file in self._files(project) if (version := _version(file)) is not None})

    def wheels(self, project: NormalizedName, version: Version) -> list[IndexFile]:
        """The wheels of a release, in the index's order."""
        return [file for file in self._files(project) if file.filename.endswith(".whl") and _version(file) == version]

    def _files(self, project: NormalizedName) -> Sequence[IndexFile]:
        with self._mutex:
            if project not in self._known:
                try:
                    self._known[project] = self._pages.files(self._url, project)
                except IndexFailure:
                    # The resolver has read this page a moment ago, so the index is not down: it has no such page.
                    self._known[project] = ()
            return self._known[project]


def _fits(file: IndexFile, *, target: Target, tags: frozenset[object]) -> Version | None:
    try:
        _, version, _, offered = parse_wheel_filename(file.filename)
        python = SpecifierSet(file.requires_python or "")
    except (InvalidWheelFilename, InvalidSpecifier):
        return None
    fits = not file.yanked and not tags.isdisjoint(offered) and python.contains(target.environment["python_full_version"])
    return version if fits else None


def _version(file: IndexFile) -> Version | None:
    try:
        return parse_wheel_filename(file.filename)[1] if file.filename.endswith(".whl") else parse_sdist_filename(file.filename)[1]
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
