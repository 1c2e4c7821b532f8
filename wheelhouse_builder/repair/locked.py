"""The audit of wheels that others built: their tags may lie, and not everything that they need is in them.

What is certain to fail on a target is refused. What may be right is told and passes: many wheels need a library that another wheel of the
lock brings, that hosts with the hardware have, or that an administrator installs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.repair.audit import audit_code
from wheelhouse_builder.repair.contents import Contents
from wheelhouse_builder.repair.values import Options, Problem
from wheelhouse_builder.reporter import Reporter

HINT = "constrain the project to another release, or name it under `excused` in wheelhouse.yaml, with the reason for which it may pass"


def audit_locked(locks: Iterable[Lock], wheels: Mapping[str, Wheel], *, reporter: Reporter) -> None:
    """Look into the code of all fetched wheels of ``locks``, for each lock's target.

    What is only perhaps a problem is noted, one line a wheel. Raises DistributionError with everything that is certain to fail.
    """
    contents = _read(wheels.values(), reporter)
    refused: list[str] = []
    noted: list[str] = []
    for lock in locks:
        held = {locked.filename: contents[locked.filename] for locked in lock.wheels if locked.filename in contents}
        options = Options(exclude=tuple(_brought(held.values())))
        for filename, each in held.items():
            problems = audit_code(each, lock.target, options=options)
            refused += [f"{filename} on {lock.target}: {problem}" for problem in problems if problem.certain]
            noted += _notes(filename, str(lock.target), [problem for problem in problems if not problem.certain and not problem.harmless])
    if refused:
        raise DistributionError(*refused, hint=HINT)
    for note in noted:
        reporter.note(note)


def _read(wheels: Iterable[Wheel], reporter: Reporter) -> dict[str, Contents]:
    """What is compiled in those that have code, were not built here, and are not excused."""
    chosen = [wheel for wheel in wheels if not (wheel.filename.endswith("-any.whl") or wheel.build or wheel.excuse)]
    found: dict[str, Contents] = {}
    with reporter.step("auditing", total=len(chosen), unit="wheels") as step, ThreadPoolExecutor(os.cpu_count(), "audit") as threads:
        for wheel, contents in zip(chosen, threads.map(lambda wheel: Contents.of(wheel.path), chosen), strict=True):
            found[wheel.filename] = contents
            step.advance()
    return found


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
