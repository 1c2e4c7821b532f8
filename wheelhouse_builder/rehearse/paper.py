"""The rehearsal: before anything is packed, prove on paper that each target can be installed from the chosen wheels alone.

For each target:

1. every locked wheel is there, is the file that was locked, calls itself what the lock calls it, and has a tag that the target accepts; no
   project has two;
2. its Requires-Python admits the target's Python;
3. every Requires-Dist that holds under the target's markers, with the extras that somebody asks for, is satisfied by the set; so are
   the requirements themselves, and every project is there because somebody needs it;
4. no two wheels put different contents at one path. Equal contents are no problem: whichever is written last, the result is the same;
   in a catalogue each thing that was asked for is a set by itself, and paths are not compared;
5. pip is there for the target's Python, and whatever else is to be carried to install the others.

The wheels' own metadata decide, not what an index said of them.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidWheelFilename, NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from wheelhouse_builder.adapters.metadata import UNREADABLE, Metadata, dist_info, read_metadata
from wheelhouse_builder.errors import RehearsalError
from wheelhouse_builder.model.distribution import LockedWheel, Wheel
from wheelhouse_builder.model.lock import Lock, Overridden
from wheelhouse_builder.model.markers import Holds, remembering
from wheelhouse_builder.model.target import Target

HINT = "lock again with --upgrade, or constrain the projects named above to releases that fit"
SCHEMES_IN_SITE_PACKAGES = ("purelib", "platlib")
EXTRA = re.compile(r'extra == "[^"]*"')
FOLDS_CASE = ("win32", "darwin")
"""Where two names that differ in case alone are one file."""


def with_overridden(lock: Lock, wheels: Mapping[str, Wheel]) -> Lock:
    """``lock``, and which requirements of its ``wheels`` (by file name) its overrides leave unmet: the far side will stumble over them."""
    if not lock.overrides:
        return lock
    rehearsal = _Rehearsal(lock=lock, library=_Library(wheels), nearest=nobody_knows)
    found = {each.project: each for locked in lock.wheels if isinstance(each := rehearsal.identify(locked), Metadata)}
    return replace(lock, overridden=tuple(sorted(set(_overridden(found, lock)))))


Nearest = Callable[[NormalizedName, Target, SpecifierSet], Version | None]
"""The newest release of a project that has a wheel for a target, within bounds; None where there is none, or nobody knows."""


def nobody_knows(_project: NormalizedName, _target: Target, _bounds: SpecifierSet) -> None:
    """The :data:`Nearest` of those who ask no index."""


def rehearse(locks: Iterable[Lock], wheels: Mapping[str, Wheel], *, nearest: Nearest = nobody_knows) -> None:
    """Prove that each lock's target can be installed from ``wheels`` (by file name) alone.

    Raises RehearsalError with every problem of every target: the target, the project, the reason, and what ``nearest`` knows would fit.
    """
    library = _Library(wheels)
    rehearsals = (_Rehearsal(lock=lock, library=library, nearest=nearest) for lock in locks)
    problems = [f"{each.lock.target}: {problem}" for each in rehearsals for problem in each.problems()]
    if problems:
        raise RehearsalError(*dict.fromkeys(problems), hint=HINT)


T = TypeVar("T")
Advice = Callable[[NormalizedName, SpecifierSet], str]
Found = Mapping[NormalizedName, Metadata]
"""What one set of wheels says of itself, by project."""
Files = Mapping[str, str]
"""Where a wheel's files are installed → what is there: a digest, or the object that a script calls."""


class _Library:
    """The wheels at hand, each read once."""

    def __init__(self, wheels: Mapping[str, Wheel]) -> None:
        self.wheels = wheels
        self._metadata: dict[str, Metadata | str] = {}
        self._files: dict[str, Files | str] = {}

    def metadata(self, wheel: Wheel) -> Metadata | str:
        """What the wheel says of itself, or why that cannot be read."""
        return _read_once(wheel, self._metadata, lambda: read_metadata(wheel.path))

    def files(self, wheel: Wheel) -> Files | str:
        """What installing it writes, or why that cannot be read."""
        return _read_once(wheel, self._files, lambda: _installed_files(wheel))


def _read_once(wheel: Wheel, known: dict[str, T | str], read: Callable[[], T]) -> T | str:
    if wheel.sha256 not in known:
        try:
            known[wheel.sha256] = read()
        except (*UNREADABLE, ConfigError) as error:
            known[wheel.sha256] = f"{wheel.filename} cannot be read: {error}"
    return known[wheel.sha256]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rehearsal:
    """One target's."""

    lock: Lock
    library: _Library
    nearest: Nearest

    def advice(self, project: NormalizedName, bounds: SpecifierSet | None = None) -> str:
        """What would fit in the place of a release that does not, as the end of a sentence."""
        found = self.nearest(project, self.lock.target, bounds if bounds is not None else SpecifierSet())
        return f"; nearest: {project} {found} has a wheel for it" if found else ""

    def problems(self) -> Iterator[str]:
        """Tell everything that stands in the way."""
        described = [self.identify(locked) for locked in self.lock.wheels]
        yield from (each for each in described if isinstance(each, str))
        known = {locked.filename: each for locked, each in zip(self.lock.wheels, described, strict=True) if not isinstance(each, str)}
        for metadata in known.values():
            yield from self._python_problems(metadata)
        holds = remembering(self.lock.target)
        if self.lock.closures is None:
            yield from _set_problems(known, self.lock, holds, self.advice)
            yield from self._collisions(known)
        for closure in self.lock.closures or ():
            chosen = {filename: known[filename] for filename in closure.wheels if filename in known}
            yield from _set_problems(chosen, replace(self.lock, requirements=(closure.requirement,)), holds, self.advice)
        yield from self._bootstrap_problems()

    def _collisions(self, known: Mapping[str, Metadata]) -> Iterator[str]:
        """Paths at which wheels of two projects put different things."""
        installed = {_identity(metadata): self.library.files(self.library.wheels[filename]) for filename, metadata in known.items()}
        yield from (files for files in installed.values() if isinstance(files, str))
        readable = {identity: files for identity, files in installed.items() if not isinstance(files, str)}
        yield from _clashes(readable, fold=self.lock.target.markers["sys_platform"] in FOLDS_CASE)

    def identify(self, locked: LockedWheel) -> Metadata | str:
        """Return what the very file that was locked says of itself, or what is wrong with it."""
        wheel = self.library.wheels.get(locked.filename)
        if wheel is None:
            return f"{locked.project}: {locked.filename} is not there"
        if wheel.sha256 != locked.sha256:
            return f"{locked.project}: {locked.filename} is another file than was locked"
        if problem := _tag_problem(locked, self.lock.target):
            return problem + self.advice(locked.project)
        metadata = self.library.metadata(wheel)
        if isinstance(metadata, str):
            return f"{locked.project}: {metadata}"
        if (metadata.project, metadata.version) != (locked.project, locked.version):
            return f"{locked.project}: {locked.filename} calls itself {_identity(metadata)}, the lock {locked.version}"
        return metadata

    def _python_problems(self, metadata: Metadata) -> Iterator[str]:
        python = self.lock.target.environment["python_full_version"]
        if not metadata.requires_python.contains(python, prereleases=True):
            advice = self.advice(metadata.project)
            yield f"{_identity(metadata)} requires Python {metadata.requires_python}, this is {python}{advice}"

    def _bootstrap_problems(self) -> Iterator[str]:
        for locked in self.lock.bootstrap:
            metadata = self.identify(locked)
            if isinstance(metadata, str):
                yield f"bootstrap: {metadata}"
            else:
                yield from (f"bootstrap: {problem}" for problem in self._python_problems(metadata))
        if not any(locked.project == "pip" for locked in self.lock.bootstrap):
            yield "bootstrap: there is no pip to install the others with"


def _tag_problem(locked: LockedWheel, target: Target) -> str | None:
    try:
        tags = parse_wheel_filename(locked.filename)[-1]
    except InvalidWheelFilename as error:
        return f"{locked.project}: {error}"
    return f"{locked.project}: {locked.filename} does not fit" if tags.isdisjoint(target.tags) else None


def _set_problems(known: Mapping[str, Metadata], lock: Lock, holds: Holds, advice: Advice) -> Iterator[str]:
    """Why wheels, by file name, are not what installs the requirements of ``lock``."""
    found: dict[NormalizedName, Metadata] = {}
    for metadata in known.values():
        if metadata.project in found:
            yield f"{metadata.project}: two wheels are locked"
        found.setdefault(metadata.project, metadata)
    yield from _closure_problems(found, lock, holds, advice)
    yield from _superfluous(found, lock, holds)


def _closure_problems(found: Found, lock: Lock, holds: Holds, advice: Advice) -> Iterator[str]:
    """Follow every requirement that holds, from the user's own and from every wheel, with extras as they are asked for."""
    instead = partial(_instead, overrides=_by_project(lock.overrides))
    asked: dict[NormalizedName, set[str]] = {project: set() for project in found}
    waiting: list[tuple[str, Iterable[Requirement], frozenset[str]]] = [("the requirements ask for", lock.requirements, frozenset())]
    waiting += [(f"{project} requires", metadata.requires, frozenset()) for project, metadata in found.items()]
    while waiting:
        who, requirements, extras = waiting.pop()
        for requirement in instead(requirements):
            needed = holds(requirement.marker, extras)
            if needed is None:
                yield f"{who} {requirement}, and only a probe of the host could tell whether that holds"
            elif needed:
                problem = _unsatisfied(requirement, found)
                if problem:
                    yield f"{who} {requirement}, {problem}{advice(canonicalize_name(requirement.name), requirement.specifier)}"
                    continue
                name = canonicalize_name(requirement.name)
                if news := {canonicalize_name(extra) for extra in requirement.extras} - asked[name]:
                    asked[name] |= news
                    waiting.append((f"{name} requires", found[name].requires, frozenset(asked[name])))


def _superfluous(found: Found, lock: Lock, holds: Holds) -> Iterator[str]:
    """Projects that no requirement leads to. A lock of another tool does not tell what was asked for, so nothing can be said of it."""
    overrides = _by_project(lock.overrides)
    asked: dict[NormalizedName, set[str]] = {}
    waiting: list[tuple[Iterable[Requirement], frozenset[str]]] = [(lock.requirements, frozenset())]
    while waiting:
        requirements, extras = waiting.pop()
        for requirement in _instead(requirements, overrides):
            name = canonicalize_name(requirement.name)
            wanted = {canonicalize_name(extra) for extra in requirement.extras}
            if name not in found or holds(requirement.marker, extras) is False or (name in asked and wanted <= asked[name]):
                continue
            asked[name] = asked.get(name, set()) | wanted
            waiting.append((found[name].requires, frozenset(asked[name])))
    if lock.requirements:
        yield from (f"{_identity(found[name])} is locked, and nobody needs it" for name in sorted(found.keys() - asked.keys()))


def _by_project(requirements: Iterable[Requirement]) -> Mapping[NormalizedName, tuple[Requirement, ...]]:
    found: dict[NormalizedName, tuple[Requirement, ...]] = {}
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        found[name] = (*found.get(name, ()), requirement)
    return found


def _instead(requirements: Iterable[Requirement], overrides: Mapping[NormalizedName, tuple[Requirement, ...]]) -> Iterator[Requirement]:
    """The requirements; in place of those on overridden projects what overrides them, markers included, but for the same extras."""
    for requirement in requirements:
        for override in overrides.get(canonicalize_name(requirement.name), (requirement,)):
            yield override if override is requirement else _for_extras_of(requirement, override)


def _for_extras_of(requirement: Requirement, override: Requirement) -> Requirement:
    """``override``, and only with the extras for which ``requirement`` is there."""
    extras = " or ".join(EXTRA.findall(str(requirement.marker)))
    both = Requirement(str(override))
    markers = [f"({text})" for text in (extras, str(override.marker or "")) if text]
    both.marker = Marker(" and ".join(markers)) if markers else None
    return both


def _overridden(found: Found, lock: Lock) -> Iterator[Overridden]:
    """Requirements on overridden projects that hold and are not met; those of extras are nobody's business once all is installed."""
    holds, overrides = remembering(lock.target), _by_project(lock.overrides)
    for metadata in found.values():
        for requirement in metadata.requires:
            name = canonicalize_name(requirement.name)
            if name in overrides and holds(requirement.marker, frozenset()) and _unsatisfied(requirement, found):
                yield Overridden(project=metadata.project, requires=name)


def _unsatisfied(requirement: Requirement, found: Found) -> str | None:
    there = found.get(canonicalize_name(requirement.name))
    if there is None:
        return "which is not there"
    if requirement.specifier.contains(there.version, prereleases=True):
        return None
    return f"but {there.version} is there"


def _clashes(installed: Mapping[str, Files], *, fold: bool) -> Iterator[str]:
    """For each pair of releases that put different things at one path the first such path, and how many more there are."""
    owners: dict[str, tuple[str, str]] = {}
    clashes: dict[tuple[str, str], list[str]] = {}
    for identity, files in installed.items():
        for path, what in files.items():
            owner, theirs = owners.setdefault(path.lower() if fold else path, (identity, what))
            if owner != identity and theirs != what:
                clashes.setdefault((owner, identity), []).append(path)
    for (one, other), paths in clashes.items():
        if one.partition(" ")[0] == other.partition(" ")[0]:
            continue  # that there are two of them was told
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        yield f"{one} and {other} both write {min(paths)}{more}, each something else"


def _identity(metadata: Metadata) -> str:
    return f"{metadata.project} {metadata.version}"


# Reading wheels


def _installed_files(wheel: Wheel) -> Files:
    """Every path that installing writes, and what is written there.

    RECORD has the digests. Files under ``.data/purelib`` and ``.data/platlib`` land in site-packages, others under ``.data`` in places of
    their own; entry points become scripts. Raises what :data:`UNREADABLE` lists, and what configparser raises.
    """
    with zipfile.ZipFile(wheel.path) as archive:
        folder = dist_info(archive)
        scripts = {f"<scripts>/{name}": target for name, target in _scripts(archive, folder)}
        return {**dict(_recorded(archive, folder)), **scripts}


def _recorded(archive: zipfile.ZipFile, dist_info: str) -> Iterator[tuple[str, str]]:
    data = dist_info.removesuffix(".dist-info") + ".data/"
    for row in csv.reader(io.StringIO(archive.read(f"{dist_info}/RECORD").decode("utf-8"))):
        if not row or row[0].startswith(f"{dist_info}/"):
            continue
        path, digest = row[0], row[1] if len(row) > 1 else ""
        if path.startswith(data):
            scheme, _, rest = path.removeprefix(data).partition("/")
            path = rest if scheme in SCHEMES_IN_SITE_PACKAGES else f"<{scheme}>/{rest}"
        yield path, digest


def _scripts(archive: zipfile.ZipFile, dist_info: str) -> Iterator[tuple[str, str]]:
    if f"{dist_info}/entry_points.txt" not in archive.namelist():
        return
    points = ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    points.optionxform = str  # type: ignore[method-assign,assignment] # names are as they are written
    points.read_string(archive.read(f"{dist_info}/entry_points.txt").decode("utf-8"))
    for group in ("console_scripts", "gui_scripts"):
        if points.has_section(group):
            yield from ((name, target.strip()) for name, target in points.items(group))
