"""What goes into a bundle: locks, wheels, a name and a date; checked against each other before anything is written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from wheelhouse_builder.errors import DistributionError, SpecError, UsageError
from wheelhouse_builder.model.distribution import LockedWheel, Wheel
from wheelhouse_builder.model.extras import Extras, PlacedFile
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.policy import Policy
from wheelhouse_builder.runtime.layout import path_problem, paths_problem, placed_entry
from wheelhouse_builder.runtime.manifest import APPLICATION, CATALOGUE

EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"
"""Seconds since 1970; see reproducible-builds.org. It dates the bundle in place of the newest upload."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """One wheel of the bundle."""

    wheel: Wheel
    targets: tuple[str, ...]
    """Names of the targets whose lock holds it, sorted."""
    bootstrap: bool
    """No lock holds it: it is carried to install the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """All that a bundle is made from. Born valid: raises SpecError and DistributionError with every problem."""

    name: str
    version: str
    locks: tuple[Lock, ...]
    """One for each target, sorted by its name."""
    wheels: Mapping[str, Wheel]
    """By file name: every wheel that a lock names, its bootstrap included."""
    as_of: datetime | None = None
    """What the bundle says of its age; whole seconds, UTC."""
    policy: Policy = field(default_factory=Policy)
    extras: Extras = field(default_factory=Extras)
    bytecode: Mapping[str, bytes] = field(default_factory=dict)
    """Payload path → what was compiled of a wheel for a Python."""

    def __post_init__(self) -> None:
        _refuse(SpecError, self._naming_problems(), "change `bundle`, `version` or `targets` in wheelhouse.yaml")
        _refuse(DistributionError, self._wheel_problems(), "run `wheelhouse lock` again, then `wheelhouse bundle`")

    @classmethod
    def gather(
        cls,
        *,
        name: str,
        version: str,
        locks: Iterable[Lock],
        wheels: Mapping[str, Wheel],
        policy: Policy | None = None,
        extras: Extras | None = None,
        bytecode: Mapping[str, bytes] | None = None,
    ) -> Self:
        """Contents in their order, dated by SOURCE_DATE_EPOCH or by the newest upload within. Raises UsageError too."""
        locks = tuple(sorted(locks, key=lambda lock: lock.target.name))
        named = {locked.filename for lock in locks for locked in (*lock.wheels, *lock.bootstrap)}
        held = {filename: wheels[filename] for filename in sorted(named & wheels.keys())}
        return cls(
            name=name,
            version=version,
            locks=locks,
            wheels=held,
            as_of=_epoch() or _newest_upload(held.values()),
            policy=policy or Policy(),
            extras=extras or Extras(),
            bytecode=bytecode or {},
        )

    @property
    def placed(self) -> tuple[PlacedFile, ...]:
        """The files that are put into the environment, sorted by path."""
        return tuple(sorted(self.extras.files, key=lambda each: each.path))

    @property
    def kind(self) -> str:
        """What the manifest calls it."""
        return CATALOGUE if any(lock.closures is not None for lock in self.locks) else APPLICATION

    def pip(self, lock: Lock) -> Wheel:
        """The wheel that installs the others on the lock's target."""
        return next(self.wheels[locked.filename] for locked in lock.bootstrap if locked.project == "pip")

    def decoder(self, lock: Lock) -> Wheel | None:
        """The wheel with a zstd decoder for the lock's target, if its Python needs one."""
        return next((self.wheels[locked.filename] for locked in lock.bootstrap if locked.project != "pip"), None)

    def decoders(self) -> tuple[Wheel, ...]:
        """The wheels whose decoders are carried, sorted by file name."""
        return tuple(wheel for _, wheel in sorted({wheel.filename: wheel for wheel in map(self.decoder, self.locks) if wheel}.items()))

    def distributions(self) -> tuple[Distribution, ...]:
        """The payload's wheels, sorted by file name. Decoders are none: they travel in the control part."""
        holders: dict[str, list[str]] = {self.pip(lock).filename: [] for lock in self.locks}
        for lock in self.locks:
            for locked in lock.wheels:
                holders.setdefault(locked.filename, []).append(lock.target.name)
        return tuple(
            Distribution(wheel=self.wheels[filename], targets=tuple(sorted(targets)), bootstrap=not targets)
            for filename, targets in sorted(holders.items())
        )

    def _naming_problems(self) -> Iterator[str]:
        for what, text in (("name", self.name), ("version", self.version)):
            problem = "has a slash" if "/" in text else path_problem(text)
            if problem:
                yield f"the bundle's {what} {text!r} {problem}"
        names = [lock.target.name for lock in self.locks]
        if not names:
            yield "the bundle has no target"
        if names != sorted(set(names)):
            yield f"the targets are not each there once, sorted by name: {', '.join(names)}"

    def _wheel_problems(self) -> Iterator[str]:
        for lock in self.locks:
            for locked in (*lock.wheels, *lock.bootstrap):
                yield from self._misfit(lock, locked)
            projects = sorted(locked.project for locked in lock.bootstrap)
            pips = [project for project in projects if project == "pip"]
            if len(pips) != 1 or len(projects) - len(pips) > 1:
                found = ", ".join(projects) or "neither"
                yield f"{lock.target.name}: installing needs one pip and at most one zstd decoder, and the lock brings {found}"
        if self.kind == CATALOGUE and self.extras != Extras():
            yield "a catalogue is not installed: it has no files to place and no commands to run"
        twins = paths_problem(self.wheels)
        if twins:
            yield f"the wheel {twins}"

    def _misfit(self, lock: Lock, locked: LockedWheel) -> Iterator[str]:
        wheel = self.wheels.get(locked.filename)
        if wheel is None:
            yield f"{lock.target.name}: {locked.filename} was not fetched"
        elif wheel.sha256 != locked.sha256:
            yield f"{lock.target.name}: {locked.filename} has SHA-256 {wheel.sha256}, its lock says {locked.sha256}"


def placed_files(contents: Contents) -> dict[str, bytes]:
    """Payload path → content, of each file that is put into the environment. Raises SpecError for one that cannot be read."""
    try:
        return {placed_entry(each.path): each.source.read_bytes() for each in contents.placed}
    except OSError as error:
        raise SpecError(f"{error.filename}: {error.strerror}", hint="mend `files` in wheelhouse.yaml") from error


def as_text(moment: datetime | None) -> str | None:
    """``2026-11-19T12:00:00Z``, as the manifest writes a time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def _refuse(error: type[SpecError | DistributionError], problems: Iterable[str], hint: str) -> None:
    found = list(dict.fromkeys(problems))
    if found:
        raise error(*found, hint=hint)


def _epoch() -> datetime | None:
    """SOURCE_DATE_EPOCH, if it is set. Raises UsageError."""
    text = os.environ.get(EPOCH_VARIABLE)
    if not text:
        return None
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f"{EPOCH_VARIABLE}={text} is no time in seconds since 1970", hint=f"unset {EPOCH_VARIABLE} or set it to a whole number"
        ) from error


def _newest_upload(wheels: Iterable[Wheel]) -> datetime | None:
    return max((wheel.uploaded for wheel in wheels if wheel.uploaded), default=None)
