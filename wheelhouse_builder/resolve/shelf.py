"""What an index has: which releases of a project have a wheel for a target. Each project page is read once in a run.

A wheel's Requires-Python is remembered beyond the run, by the wheel's digest: it cannot change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock as Mutex
from types import TracebackType
from typing import Protocol, Self, TypeVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, NormalizedName, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from wheelhouse_builder.adapters.index import IndexFile, is_absent
from wheelhouse_builder.errors import IndexFailure
from wheelhouse_builder.model.distribution import LockedWheel
from wheelhouse_builder.model.target import Target

T = TypeVar("T")

AT_ONCE = 16
"""Pages that are read at the same time."""


class Pages(Protocol):
    """An index, as far as this room reads it; :class:`~wheelhouse_builder.adapters.index.IndexClient` is one."""

    def files(self, index: str, project: str) -> Sequence[IndexFile]:
        """All distributions of a project. Raises IndexFailure."""
        ...


class Shelf:
    """The index at ``url``, read through ``pages``; facts that do not change are kept in the directory ``memory``.

    Use it as a context manager; any thread may call it.
    """

    def __init__(self, pages: Pages, url: str, memory: Path) -> None:
        self._pages = pages
        self._url = url
        self._memory = memory
        self._known: dict[NormalizedName, Future[Sequence[IndexFile]]] = {}
        self._pythons: dict[NormalizedName, Mapping[str, str]] = {}
        self._mutex = Mutex()
        self._threads = ThreadPoolExecutor(AT_ONCE, "pages")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def read(self, projects: Iterable[NormalizedName]) -> None:
        """Have the pages of ``projects`` read, many at a time, and wait for them."""
        for future in [self._ask(project) for project in projects]:
            future.exception()

    def listed(self, project: NormalizedName) -> Sequence[IndexFile]:
        """All distributions of a project; none when the index has no such page. Raises IndexFailure when the index failed."""
        try:
            return self._ask(project).result()
        except IndexFailure as failure:
            if is_absent(failure):
                return ()
            raise

    def extract(self, project: NormalizedName, take: Callable[[NormalizedName, Sequence[IndexFile]], T]) -> Future[T]:
        """What ``take`` takes from the page of ``project``, in a thread, some day soon; nothing else of the page is kept.

        It is given no files where the index does not have the project. The future raises IndexFailure when the index failed.
        """

        def taken() -> T:
            try:
                files = self._pages.files(self._url, project)
            except IndexFailure as failure:
                if not is_absent(failure):
                    raise
                files = ()
            return take(project, files)

        return self._threads.submit(taken)

    def fitting(self, project: NormalizedName, target: Target) -> list[Version]:
        """Releases with a wheel that ``target`` accepts, oldest first; what was yanked does not count (PEP 592)."""
        fits = partial(_fits, target=target, tags=frozenset(target.tags))
        return sorted({version for file in self._files(project) if (version := fits(file)) is not None})

    def unrepaired(self, project: NormalizedName, target: Target) -> str | None:
        """The newest wheel for ``target`` that promises nothing but Linux (``linux_x86_64``), as private indexes have them."""
        plain = f"linux_{target.markers['platform_machine']}"
        tags = frozenset(Tag(tag.interpreter, tag.abi, plain) for tag in target.tags if tag.platform == target.platforms[0])
        fits = partial(_fits, target=target, tags=tags)
        found = [(version, file.filename) for file in self._files(project) if (version := fits(file)) is not None]
        return max(found)[1] if found and "linux" in target.platforms[0] else None

    def releases(self, project: NormalizedName) -> list[Version]:
        """Every release, oldest first."""
        return sorted({version for file in self._files(project) if (version := _version(file)) is not None})

    def wheels(self, project: NormalizedName, version: Version) -> list[IndexFile]:
        """The wheels of a release, in the index's order."""
        return [file for file in self._files(project) if file.filename.endswith(".whl") and _version(file) == version]

    def sdists(self, project: NormalizedName, target: Target) -> list[tuple[Version, IndexFile]]:
        """The sdists that the Python of ``target`` may have, in the index's order, without those that were yanked or have no digest."""
        return [
            (version, file)
            for file in self._files(project)
            if file.filename.endswith((".tar.gz", ".zip")) and not file.yanked and "sha256" in file.hashes
            if (version := _version(file)) is not None and admits(file.requires_python, target)
        ]

    def for_other_pythons(self, wheels: Iterable[LockedWheel], target: Target) -> list[LockedWheel]:
        """Those of ``wheels`` whose Requires-Python shuts out the Python of ``target``. Pages are read for wheels never seen before."""
        wheels = list(wheels)
        for wheel in wheels:
            if wheel.sha256 not in self._remembered(wheel.project):
                self._ask(wheel.project)
        return [wheel for wheel in wheels if not admits(self._requires_python(wheel), target)]

    def _requires_python(self, wheel: LockedWheel) -> str | None:
        """What the index says of it; None when it says nothing."""
        remembered = self._remembered(wheel.project)
        if wheel.sha256 not in remembered:
            said = {file.hashes["sha256"]: file.requires_python or "" for file in self._files(wheel.project) if "sha256" in file.hashes}
            remembered = {wheel.sha256: "", **remembered, **said}
            self._remember(wheel.project, remembered)
        return remembered[wheel.sha256]

    def _remembered(self, project: NormalizedName) -> Mapping[str, str]:
        with self._mutex:
            if project not in self._pythons:
                self._pythons[project] = _read_memory(self._memory / f"{project}.json")
            return self._pythons[project]

    def _remember(self, project: NormalizedName, pythons: Mapping[str, str]) -> None:
        with self._mutex:
            self._pythons[project] = pythons
            self._memory.mkdir(parents=True, exist_ok=True)
            path = self._memory / f"{project}.json"
            fresh = path.with_suffix(".part")
            fresh.write_text(json.dumps(dict(pythons)), encoding="utf-8")
            fresh.replace(path)

    def _files(self, project: NormalizedName) -> Sequence[IndexFile]:
        try:
            return self._ask(project).result()
        except IndexFailure:
            # The resolver has read this page a moment ago, so the index is not down: it has no such page.
            return ()

    def _ask(self, project: NormalizedName) -> Future[Sequence[IndexFile]]:
        """Have the page read, once; the answer is awaited by whoever needs it."""
        with self._mutex:
            if project not in self._known:
                self._known[project] = self._threads.submit(self._pages.files, self._url, project)
            return self._known[project]


def _read_memory(path: Path) -> Mapping[str, str]:
    """Digest → Requires-Python, as far as it is remembered."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def admits(requires_python: str | None, target: Target) -> bool:
    """Whether the Python of ``target`` may have it; what is no specifier says nothing."""
    try:
        return SpecifierSet(requires_python or "").contains(target.environment["python_full_version"], prereleases=True)
    except InvalidSpecifier:
        return True


def _fits(file: IndexFile, *, target: Target, tags: frozenset[object]) -> Version | None:
    try:
        _, version, _, offered = parse_wheel_filename(file.filename)
    except InvalidWheelFilename:
        return None
    fits = not file.yanked and not tags.isdisjoint(offered) and admits(file.requires_python, target)
    return version if fits else None


def _version(file: IndexFile) -> Version | None:
    try:
        return parse_wheel_filename(file.filename)[1] if file.filename.endswith(".whl") else parse_sdist_filename(file.filename)[1]
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
