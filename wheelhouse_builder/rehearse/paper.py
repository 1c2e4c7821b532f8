"""The rehearsal: before anything is packed, prove on paper that each target can be installed from the chosen wheels alone.

For each target:

1. every locked wheel is there, is the file that was locked, calls itself what the lock calls it, and has a tag that the target accepts; no
   project has two;
2. its Requires-Python admits the target's Python;
3. every Requires-Dist that holds under the target's markers, with the extras that somebody asks for, is satisfied by the set; so are
   the requirements themselves, and every project is there because somebody needs it;
4. no two wheels put different contents at one path. Equal contents are no problem: whichever is written last, the result is the same;
5. pip is there for the target's Python, and whatever else is to be carried to install the others.

The wheels' own metadata decide, not what an index said of them.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from wheelhouse_builder.errors import RehearsalError
from wheelhouse_builder.model.distribution import LockedWheel, Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.markers import holds
from wheelhouse_builder.model.target import Target

HINT = "lock again with --upgrade, or constrain the projects named above to releases that fit"
SCHEMES_IN_SITE_PACKAGES = ("purelib", "platlib")
FOLDS_CASE = ("win32", "darwin")
"""Where two names that differ in case alone are one file."""


def rehearse(locks: Iterable[Lock], wheels: Mapping[str, Wheel]) -> None:
    """Prove that each lock's target can be installed from ``wheels`` (by file name) alone.

    Raises RehearsalError with every problem of every target: the target, the project, the reason.
    """
    library = _Library(wheels)
    problems = [f"{lock.target}: {problem}" for lock in locks for problem in _Rehearsal(lock=lock, library=library).problems()]
    if problems:
        raise RehearsalError(*dict.fromkeys(problems), hint=HINT)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Contents:
    """What a wheel says of itself."""

    project: NormalizedName
    version: Version
    requires_python: SpecifierSet
    requires: tuple[Requirement, ...]
    files: Mapping[str, str]
    """Where it is installed → what is there: a digest, or the object that a script calls."""


class _Library:
    """The wheels at hand, each read once."""

    def __init__(self, wheels: Mapping[str, Wheel]) -> None:
        self.wheels = wheels
        self._read: dict[str, _Contents | str] = {}

    def contents(self, wheel: Wheel) -> _Contents | str:
        """What the wheel says of itself, or why that cannot be read."""
        if wheel.sha256 not in self._read:
            try:
                self._read[wheel.sha256] = _read_wheel(wheel)
            except (OSError, zipfile.BadZipFile, KeyError, ValueError, ConfigError) as error:
                self._read[wheel.sha256] = f"{wheel.filename} cannot be read: {error}"
        return self._read[wheel.sha256]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rehearsal:
    """One target's."""

    lock: Lock
    library: _Library

    def problems(self) -> Iterator[str]:
        """Tell everything that stands in the way."""
        target = self.lock.target
        found: dict[NormalizedName, _Contents] = {}
        for locked in self.lock.wheels:
            contents = self._identify(locked)
            if isinstance(contents, str):
                yield contents
            elif locked.project in found:
                yield f"{locked.project}: two wheels are locked"
            else:
                found[locked.project] = contents
        for contents in found.values():
            yield from _python_problems(contents, target)
        yield from _closure_problems(found, self.lock)
        yield from _superfluous(found, self.lock)
        yield from _collisions(found.values(), target)
        yield from self._bootstrap_problems()

    def _identify(self, locked: LockedWheel) -> _Contents | str:
        """Return the contents of the very file that was locked, or what is wrong with it."""
        wheel = self.library.wheels.get(locked.filename)
        if wheel is None:
            return f"{locked.project}: {locked.filename} is not there"
        if wheel.sha256 != locked.sha256:
            return f"{locked.project}: {locked.filename} is another file than was locked"
        if problem := _tag_problem(locked, self.lock.target):
            return problem
        contents = self.library.contents(wheel)
        if isinstance(contents, _Contents) and (contents.project, contents.version) != (locked.project, locked.version):
            return f"{locked.project}: {locked.filename} calls itself {contents.project} {contents.version}, the lock {locked.version}"
        return contents if isinstance(contents, _Contents) else f"{locked.project}: {contents}"

    def _bootstrap_problems(self) -> Iterator[str]:
        for locked in self.lock.bootstrap:
            contents = self._identify(locked)
            if isinstance(contents, str):
                yield f"bootstrap: {contents}"
            else:
                yield from (f"bootstrap: {problem}" for problem in _python_problems(contents, self.lock.target))
        if not any(locked.project == "pip" for locked in self.lock.bootstrap):
            yield "bootstrap: there is no pip to install the others with"


def _tag_problem(locked: LockedWheel, target: Target) -> str | None:
    try:
        tags = parse_wheel_filename(locked.filename)[-1]
    except InvalidWheelFilename as error:
        return f"{locked.project}: {error}"
    return f"{locked.project}: {locked.filename} does not fit" if tags.isdisjoint(target.tags) else None


def _python_problems(contents: _Contents, target: Target) -> Iterator[str]:
    python = target.environment["python_full_version"]
    if not contents.requires_python.contains(python, prereleases=True):
        yield f"{_identity(contents)} requires Python {contents.requires_python}, this is {python}"


def _closure_problems(found: Mapping[NormalizedName, _Contents], lock: Lock) -> Iterator[str]:
    """Follow every requirement that holds, from the user's own and from every wheel, with extras as they are asked for."""
    asked: dict[NormalizedName, set[str]] = {project: set() for project in found}
    waiting: list[tuple[str, Iterable[Requirement], frozenset[str]]] = [("the requirements ask for", lock.requirements, frozenset())]
    waiting += [(f"{project} requires", contents.requires, frozenset()) for project, contents in found.items()]
    while waiting:
        who, requirements, extras = waiting.pop()
        for requirement in requirements:
            needed = holds(requirement.marker, lock.target, extras)
            if needed is None:
                yield f"{who} {requirement}, and only a probe of the host could tell whether that holds"
            elif needed:
                problem = _unsatisfied(requirement, found)
                if problem:
                    yield f"{who} {requirement}, {problem}"
                    continue
                name = canonicalize_name(requirement.name)
                if news := {canonicalize_name(extra) for extra in requirement.extras} - asked[name]:
                    asked[name] |= news
                    waiting.append((f"{name} requires", found[name].requires, frozenset(asked[name])))


def _superfluous(found: Mapping[NormalizedName, _Contents], lock: Lock) -> Iterator[str]:
    """Projects that no requirement leads to. A lock of another tool does not tell what was asked for, so nothing can be said of it."""
    asked: dict[NormalizedName, set[str]] = {}
    waiting: list[tuple[Iterable[Requirement], frozenset[str]]] = [(lock.requirements, frozenset())]
    while waiting:
        requirements, extras = waiting.pop()
        for requirement in requirements:
            name = canonicalize_name(requirement.name)
            wanted = {canonicalize_name(extra) for extra in requirement.extras}
            if name not in found or holds(requirement.marker, lock.target, extras) is False or (name in asked and wanted <= asked[name]):
                continue
            asked[name] = asked.get(name, set()) | wanted
            waiting.append((found[name].requires, frozenset(asked[name])))
    if lock.requirements:
        yield from (f"{_identity(found[name])} is locked, and nobody needs it" for name in sorted(found.keys() - asked.keys()))


def _unsatisfied(requirement: Requirement, found: Mapping[NormalizedName, _Contents]) -> str | None:
    there = found.get(canonicalize_name(requirement.name))
    if there is None:
        return "which is not there"
    if requirement.specifier.contains(there.version, prereleases=True):
        return None
    return f"but {there.version} is there"


def _collisions(found: Iterable[_Contents], target: Target) -> Iterator[str]:
    """Paths at which two wheels put different things; for each pair of projects the first of them, and how many more there are."""
    fold = target.markers["sys_platform"] in FOLDS_CASE
    owners: dict[str, tuple[_Contents, str]] = {}
    clashes: dict[tuple[str, str], list[str]] = {}
    for contents in found:
        for path, what in contents.files.items():
            owner, theirs = owners.setdefault(path.lower() if fold else path, (contents, what))
            if owner is not contents and theirs != what:
                clashes.setdefault((_identity(owner), _identity(contents)), []).append(path)
    for (one, other), paths in clashes.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        yield f"{one} and {other} both write {min(paths)}{more}, each something else"


def _identity(contents: _Contents) -> str:
    return f"{contents.project} {contents.version}"


# Reading wheels


def _read_wheel(wheel: Wheel) -> _Contents:
    """Read the parts of a wheel that say what it is. Raises ValueError, KeyError and what zipfile and configparser raise."""
    with zipfile.ZipFile(wheel.path) as archive:
        folder = _dist_info(archive)
        metadata, _ = parse_email(archive.read(f"{folder}/METADATA"))
        try:
            return _Contents(
                project=canonicalize_name(metadata["name"]),
                version=Version(metadata["version"]),
                requires_python=SpecifierSet(metadata.get("requires_python", "")),
                requires=tuple(map(Requirement, metadata.get("requires_dist", ()))),
                files=dict(_installed_files(archive, folder)),
            )
        except (InvalidVersion, InvalidSpecifier, InvalidRequirement) as error:
            raise ValueError(f"its METADATA is not as it must be: {str(error).splitlines()[0]}") from error


def _dist_info(archive: zipfile.ZipFile) -> str:
    folders = {name.partition("/")[0] for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)}
    if len(folders) != 1:
        raise ValueError(f"it has {len(folders)} .dist-info directories, not one")
    return folders.pop()


def _installed_files(archive: zipfile.ZipFile, dist_info: str) -> Iterator[tuple[str, str]]:
    """Every path that installing writes, and what is written there.

    RECORD has the digests. Files under ``.data/purelib`` and ``.data/platlib`` land in site-packages, others under ``.data`` in places of
    their own; entry points become scripts.
    """
    data = dist_info.removesuffix(".dist-info") + ".data/"
    for row in csv.reader(io.StringIO(archive.read(f"{dist_info}/RECORD").decode("utf-8"))):
        if not row or row[0].startswith(f"{dist_info}/"):
            continue
        path, digest = row[0], row[1] if len(row) > 1 else ""
        if path.startswith(data):
            scheme, _, rest = path.removeprefix(data).partition("/")
            path = rest if scheme in SCHEMES_IN_SITE_PACKAGES else f"<{scheme}>/{rest}"
        yield path, digest
    for name, target in _scripts(archive, dist_info):
        yield f"<scripts>/{name}", target


def _scripts(archive: zipfile.ZipFile, dist_info: str) -> Iterator[tuple[str, str]]:
    if f"{dist_info}/entry_points.txt" not in archive.namelist():
        return
    points = ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    points.optionxform = str  # type: ignore[method-assign,assignment] # names are as they are written
    points.read_string(archive.read(f"{dist_info}/entry_points.txt").decode("utf-8"))
    for group in ("console_scripts", "gui_scripts"):
        if points.has_section(group):
            yield from ((name, target.strip()) for name, target in points.items(group))
