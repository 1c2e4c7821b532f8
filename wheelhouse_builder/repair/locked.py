"""The audit of wheels that others built: their tags may lie, and not everything that they need is in them.

What is certain to fail on a target is refused. What may be right is told and passes: many wheels need a library that another wheel of the
lock brings, that hosts with the hardware have, or that an administrator installs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from packaging.utils import NormalizedName

from wheelhouse_builder.adapters.findings import Findings
from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.repair.audit import audit_code
from wheelhouse_builder.repair.contents import Contents
from wheelhouse_builder.repair.remembered import contents_of, findings
from wheelhouse_builder.repair.values import Options, Problem
from wheelhouse_builder.reporter import Reporter
from wheelhouse_builder.runtime.cores import cores

HINT = "constrain the project to another release, or name it under `excused` in wheelhouse.yaml, with the reason for which it may pass"


@dataclass(frozen=True, kw_only=True, slots=True)
class Auditor:
    """Looks into the code of fetched wheels; what it reads of them is remembered in the store at ``root``."""

    root: Path
    reporter: Reporter
    excused: Mapping[NormalizedName, str]
    """Projects whose wheels may pass, and why."""

    def audit(self, locks: Iterable[Lock], wheels: Mapping[str, Wheel]) -> dict[str, Wheel]:
        """All of ``wheels``, by file name, if those of ``locks`` may work on their targets; those that are excused say what is wrong.

        What is only perhaps a problem is noted, one line a wheel. Raises DistributionError with everything that is certain to fail.
        """
        refused: list[str] = []
        noted: list[str] = []
        passed = dict(wheels)
        for lock, wheel, problems in self._audits(locks, wheels):
            certain = [f"on {lock.target}: {problem}" for problem in problems if problem.certain]
            if wheel.project not in self.excused:
                refused += [f"{wheel.filename} {problem}" for problem in certain]
            elif certain:
                told = passed[wheel.filename]
                passed[wheel.filename] = replace(told, excuse=self.excused[wheel.project], problems=(*told.problems, *certain))
            perhaps = [problem for problem in problems if not problem.certain and not problem.harmless]
            noted += _notes(wheel.filename, str(lock.target), perhaps)
        if refused:
            raise DistributionError(*refused, hint=HINT)
        for note in noted:
            self.reporter.note(note)
        return passed

    def refused(self, locks: Iterable[Lock], wheels: Mapping[str, Wheel]) -> dict[str, dict[str, str]]:
        """The wheels that are certain to fail and have no excuse: by target, then by file name, and why."""
        found: dict[str, dict[str, str]] = {}
        for lock, wheel, problems in self._audits(locks, wheels):
            why = next((problem for problem in problems if problem.certain), None)
            if why and wheel.project not in self.excused:
                found.setdefault(lock.target.name, {})[wheel.filename] = f"{wheel.filename}: {why}"
        return found

    def _audits(self, locks: Iterable[Lock], wheels: Mapping[str, Wheel]) -> Iterator[tuple[Lock, Wheel, tuple[Problem, ...]]]:
        """What is wrong with each wheel of each lock that has code."""
        chosen = [(lock, [wheel for locked in lock.wheels if _has_code(wheel := wheels[locked.filename])]) for lock in locks]
        known = findings(self.root)
        self._read({wheel.sha256: wheel for _, held in chosen for wheel in held}.values(), known)
        for lock, held in chosen:
            contents = [contents_of(wheel, known) for wheel in held]
            options = Options(exclude=tuple(_brought(contents)))
            for wheel, each in zip(held, contents, strict=True):
                yield lock, wheel, audit_code(each, lock.target, options=options)

    def _read(self, wheels: Iterable[Wheel], known: Findings) -> None:
        """Have those read that nobody read before; of what they hold only one lock's is in memory at a time."""
        new = [wheel for wheel in wheels if known.find(wheel.sha256) is None]
        with self.reporter.step("auditing", total=len(new), unit="wheels") as step, ThreadPoolExecutor(cores(), "audit") as threads:

            def read(wheel: Wheel) -> None:
                contents_of(wheel, known)
                step.advance()

            for _ in threads.map(read, new):
                pass  # what it raises is raised here


def _has_code(wheel: Wheel) -> bool:
    """Whether it is for a platform; what was built here has been audited, and what breaks the rules by permission may not be readable."""
    return not (wheel.filename.endswith("-any.whl") or wheel.build or wheel.excuse)


def _brought(contents: Iterable[Contents]) -> Iterator[str]:
    """The names of all libraries that the wheels of one lock bring: modules of one may be linked with those of another."""
    for each in contents:
        for member, code in each.code.items():
            name = PurePosixPath(member).name
            yield from {name, name.lower(), code.name.rpartition("/")[2]} - {""}


def _notes(filename: str, target: str, problems: list[Problem]) -> Iterator[str]:
    if problems:
        more = f", and {len(problems) - 1} more like that" if len(problems) > 1 else ""
        yield f"{filename} on {target}: {problems[0]}{more}"
