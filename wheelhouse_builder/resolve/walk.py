"""One thing that a catalogue is asked for, answered without a resolver where that is easy: newest releases that suit each other.

The walk starts at one release of the project and follows what wheels say of themselves. Of each project that somebody requires it takes
the newest release within the bounds; as new bounds come to light it starts over with them, until nothing changes. That ends in a set that
can be installed, in which each release is the newest that the others allow. Where it does not end, where a release is lacking, or where a
marker cannot be decided, it gives up: then a resolver has to search.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from wheelhouse_builder.adapters.metadata import Metadata
from wheelhouse_builder.model.distribution import LockedWheel
from wheelhouse_builder.model.markers import Holds, remembering
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve.stock import Stock

MOST_ROUNDS = 12
"""How often bounds may change: in practice two or three times."""

Bounds = Mapping[NormalizedName, set[SpecifierSet]]
"""What those who require a project say of its releases."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The walk cannot go on before these are known."""

    pages: frozenset[NormalizedName] = frozenset()
    wheels: frozenset[LockedWheel] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Stuck:
    """It takes a search."""

    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoiled:
    """A wheel that is needed cannot be had."""

    why: str


Set = Mapping[NormalizedName, LockedWheel]
"""What installs the first of it."""


@dataclass(kw_only=True, slots=True)
class Knowledge:
    """What is known of wheels, and what was worked out from it; the same for all walks of a run."""

    stock: Stock
    constraints: tuple[Requirement, ...] = ()
    """The user's own, for all targets."""
    _metadata: dict[str, Metadata | str] = field(default_factory=dict)
    _active: dict[tuple[str, str, frozenset[str]], tuple[Requirement, ...] | None] = field(default_factory=dict)
    _markers: dict[str, Holds] = field(default_factory=dict)
    _newest: dict[tuple[NormalizedName, str, frozenset[SpecifierSet]], LockedWheel | None] = field(default_factory=dict)

    def take(self, filename: str, metadata: Metadata | str) -> None:
        """Learn what a wheel says of itself, or why it cannot be had."""
        self._metadata[filename] = metadata

    def has_read(self, wheel: LockedWheel) -> bool:
        """Whether the wheel was read, or cannot be."""
        return wheel.filename in self._metadata

    def why_spoiled(self, wheel: LockedWheel) -> str | None:
        """Why the wheel cannot be had; None when it can, so far as is known."""
        metadata = self._metadata.get(wheel.filename)
        return metadata if isinstance(metadata, str) else None

    def requires(self, wheel: LockedWheel, target: Target, extras: frozenset[str]) -> tuple[Requirement, ...] | None:
        """What the wheel requires on ``target`` with ``extras``; None where only a host could tell."""
        key = (wheel.filename, target.name, extras)
        if key not in self._active:
            metadata = self._metadata[wheel.filename]
            self._active[key] = () if isinstance(metadata, str) else self.true_ones(metadata.requires, target, extras)
        return self._active[key]

    def true_ones(
        self, requirements: Iterable[Requirement], target: Target, extras: frozenset[str] = frozenset()
    ) -> tuple[Requirement, ...] | None:
        """Those whose markers hold; None where only a host could tell of one."""
        verdicts = [(requirement, self._holds(requirement, target, extras)) for requirement in requirements]
        return None if any(holds is None for _, holds in verdicts) else tuple(requirement for requirement, holds in verdicts if holds)

    def newest(self, project: NormalizedName, target: Target, bounds: frozenset[SpecifierSet]) -> LockedWheel | None:
        """The newest release within ``bounds``."""
        key = (project, target.name, bounds)
        if key not in self._newest or not self._suits(self._newest[key], target):
            self._newest[key] = next(self.allowed(project, target, bounds), None)
        return self._newest[key]

    def allowed(
        self, project: NormalizedName, target: Target, bounds: Iterable[SpecifierSet], *, previews: bool = False
    ) -> Iterator[LockedWheel]:
        """All releases within ``bounds``, newest first; pre-releases with ``previews``, or where there is nothing else (PEP 440)."""
        bounds = (*bounds, *self._constraints_of(project, target))
        return (wheel for wheel in self._offers(project, target, bounds, previews=previews) if self._suits(wheel, target))

    def _offers(self, project: NormalizedName, target: Target, bounds: Iterable[SpecifierSet], *, previews: bool) -> Iterator[LockedWheel]:
        """The same, whatever the wheels themselves say; older ones are looked at when somebody wants them."""
        offers = (wheel for wheel in self.stock.of(project, target) if self.within(wheel.version, bounds))
        passed_over = []
        final = False
        for wheel in offers:
            if previews or not wheel.version.is_prerelease:
                final = True
                yield wheel
            else:
                passed_over.append(wheel)
        if not final:
            yield from passed_over

    def _suits(self, wheel: LockedWheel | None, target: Target) -> bool:
        """Whether the wheel itself, as far as it is known, is for this Python: an index may not say."""
        metadata = self._metadata.get(wheel.filename) if wheel else None
        return not isinstance(metadata, Metadata) or metadata.requires_python.contains(
            target.environment["python_full_version"], prereleases=True
        )

    def _constraints_of(self, project: NormalizedName, target: Target) -> Iterator[SpecifierSet]:
        for constraint in self.constraints:
            if canonicalize_name(constraint.name) == project and self._holds(constraint, target, frozenset()):
                yield constraint.specifier

    @staticmethod
    def within(version: Version, bounds: Iterable[SpecifierSet]) -> bool:
        """Whether all bounds admit the release."""
        return all(bound.contains(version, prereleases=True) for bound in bounds)

    def _holds(self, requirement: Requirement, target: Target, extras: frozenset[str]) -> bool | None:
        if target.name not in self._markers:
            self._markers[target.name] = remembering(target)
        return self._markers[target.name](requirement.marker, extras)


def walk(root: Requirement, first: LockedWheel, target: Target, known: Knowledge) -> Set | Wanted | Stuck | Spoiled:
    """Find what installs ``first``, a release of the project of ``root``, on ``target``."""
    bounds: Bounds = {}
    for _ in range(MOST_ROUNDS):
        round_ = _Round(root=root, first=first, target=target, known=known, bounds=bounds)
        if (stuck := round_.run()) is not None:
            return stuck
        if round_.pages or round_.wheels:
            return Wanted(pages=frozenset(round_.pages), wheels=frozenset(round_.wheels))
        if round_.is_last():
            spoiled = next(filter(None, map(known.why_spoiled, round_.chosen.values())), None)
            return round_.chosen if spoiled is None else Spoiled(why=spoiled)
        bounds = round_.met
    return Stuck(why="the newest releases do not suit each other")


@dataclass(kw_only=True, slots=True)
class _Round:
    """One time from the root to all that it leads to, within the bounds that the round before has met."""

    root: Requirement
    first: LockedWheel
    target: Target
    known: Knowledge
    bounds: Bounds
    chosen: dict[NormalizedName, LockedWheel] = field(default_factory=dict)
    extras: dict[NormalizedName, set[str]] = field(default_factory=dict)
    met: dict[NormalizedName, set[SpecifierSet]] = field(default_factory=dict)
    pages: set[NormalizedName] = field(default_factory=set)
    wheels: set[LockedWheel] = field(default_factory=set)

    def run(self) -> Stuck | None:
        self.chosen[self.first.project] = self.first
        waiting = [self.root]
        while waiting:
            requirement = waiting.pop()
            if requirement.url:
                return Stuck(why=f"{requirement} names a file")
            name = canonicalize_name(requirement.name)
            news = {canonicalize_name(extra) for extra in requirement.extras} - self.extras.get(name, set())
            seen = name in self.extras
            self.extras.setdefault(name, set()).update(news)
            self.met.setdefault(name, set()).add(requirement.specifier)
            if not seen and (stuck := self._choose(name)) is not None:
                return stuck
            if (news or not seen) and name in self.chosen:
                required = self._required(self.chosen[name], frozenset(self.extras[name]))
                if required is None:
                    return Stuck(why=f"{name} hangs on a marker that only the host can tell")
                waiting += required
        return None

    def is_last(self) -> bool:
        """Whether all that was chosen is within all bounds, and no bound counted that nobody sets any more."""
        within = all(self.known.within(wheel.version, self.met[name]) for name, wheel in self.chosen.items())
        return within and all(bounds <= self.met.get(name, set()) for name, bounds in self.bounds.items())

    def _choose(self, name: NormalizedName) -> Stuck | None:
        """Choose a release, unless that is done or its page is to be read first."""
        bounds = frozenset({*self.bounds.get(name, ()), *self.met[name]})
        if name in self.chosen:
            return None if self.known.within(self.first.version, bounds) else Stuck(why=f"{name} {self.first.version} is not wanted")
        if not self.known.stock.knows(name):
            self.pages.add(name)
            return None
        wheel = self.known.newest(name, self.target, bounds)
        if wheel is None:
            return Stuck(why=f"{name} has no release within all bounds")
        self.chosen[name] = wheel
        return None

    def _required(self, wheel: LockedWheel, extras: frozenset[str]) -> tuple[Requirement, ...] | None:
        """What the wheel requires, so far as it is known."""
        if not self.known.has_read(wheel):
            self.wheels.add(wheel)
            return ()
        return self.known.requires(wheel, self.target, extras)
