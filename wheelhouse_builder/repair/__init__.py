"""Repair: a wheel as it was built → one that carries the libraries that it needs, and works on a target that has none of them.

:func:`repair` runs the field's own tool for the target's system, auditwheel, delocate or delvewheel; :func:`audit` trusts none of them, and
says what a wheel lacks to work on a target. :class:`Auditor` looks at wheels from an index in the same way.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from packaging.utils import parse_wheel_filename

from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.repair.audit import audit, audit_code
from wheelhouse_builder.repair.contents import Contents, newest
from wheelhouse_builder.repair.linux import repair_linux
from wheelhouse_builder.repair.locked import Auditor
from wheelhouse_builder.repair.macos import repair_macos
from wheelhouse_builder.repair.sbom import FILE, add_member, count_libraries, sbom, sboms
from wheelhouse_builder.repair.tools import Ran
from wheelhouse_builder.repair.values import Grafted, Options, Problem, Repaired, Symbol, TooNew
from wheelhouse_builder.repair.windows import repair_windows

__all__ = ["Auditor", "Grafted", "Options", "Problem", "Repaired", "Symbol", "TooNew", "audit", "repair"]

BUILD_LOWER = "build it with the zig toolchain, or in an older system's root; or name a target that has what it needs"
SHOW_LIBRARIES = "name the folder of the library that is missing, or exclude it where the target has it"
MEND = "mend what the recipe builds, or say under its repair options why it may be so"

_MANGLED = re.compile(r"-[0-9a-f]{8,64}(?=\.)")
"""What auditwheel and delvewheel add to the names of libraries, so that no other wheel's is taken for this one's."""


def repair(wheel: Path, target: Target, *, options: Options, output: Path, runner: Runner) -> Repaired:
    """Make ``wheel`` carry what it needs on ``target``; the result lies in the directory ``output``, or nothing new does.

    A pure wheel passes as it is, unless an extension is demanded. Raises DistributionError with everything that stands in the way: a
    library that cannot be found, a symbol that the target is too old for, what else the audit says.
    """
    options = replace(options, library_paths=tuple(path.resolve() for path in options.library_paths))
    with TemporaryDirectory(prefix="wheelhouse-repair-") as folder:
        scratch = Path(folder)
        source = Path(shutil.copyfile(wheel, scratch / wheel.name))
        before = Contents.of(source)
        ran = _run(source, before, target, options, scratch, runner)
        after = Contents.of(ran.wheel or source)
        grafted = tuple(_grafted(before, after))
        made = _with_sbom(source, ran.wheel or source, grafted, scratch)
        _refuse(made, target, options)
        return _repaired(wheel, _place(made, output), after, grafted, ran.tool)


def _run(wheel: Path, contents: Contents, target: Target, options: Options, scratch: Path, runner: Runner) -> Ran:
    """What the target's repair tool made of ``wheel``."""
    if not contents.code:
        return Ran(tool="", wheel=wheel, said=())
    system = re.split(r"[_\d]", target.platforms[0])[0]
    tools = {"manylinux": repair_linux, "musllinux": repair_linux, "macosx": repair_macos, "win": repair_windows}
    ran = tools[system](wheel, target, options=options, scratch=scratch, runner=runner)
    if ran.wheel is None:
        certain = [problem for problem in audit_code(contents, target, options=options) if problem.certain]
        raise DistributionError(
            *(f"{wheel.name}: {problem}" for problem in certain),
            f"{wheel.name}: {ran.tool} could not repair it for {target}: {' / '.join(ran.said)}",
            hint=BUILD_LOWER if certain else SHOW_LIBRARIES,
        )
    return ran


def _grafted(before: Contents, after: Contents) -> Iterator[Grafted]:
    """The code that was not there before, by member."""
    for member in sorted(after.code.keys() - before.code.keys()):
        yield Grafted(member=member, library=_MANGLED.sub("", PurePosixPath(member).name), sha256=after.digest(member))


def _with_sbom(source: Path, wheel: Path, grafted: tuple[Grafted, ...], scratch: Path) -> Path:
    """``wheel``, made of ``source``, with a list of what was grafted unless the repair tool wrote one that knows all of it (PEP 770)."""
    written = set(sboms(wheel)) - set(sboms(source))
    if sum(count_libraries(wheel, member) for member in written) >= len(grafted):
        return wheel
    project, release, *_ = parse_wheel_filename(wheel.name)
    listed = scratch / "listed" / wheel.name
    listed.parent.mkdir()
    add_member(wheel, f"sboms/{FILE}", sbom(project, str(release), grafted), listed)
    return listed


def _refuse(wheel: Path, target: Target, options: Options) -> None:
    """Raise DistributionError with all that the audit finds; TooNew where only the target's age is in the way."""
    problems = audit(wheel, target, options=options)
    if not problems:
        return
    too_new = [problem for problem in problems if problem.version]
    others = [problem for problem in problems if not problem.version]
    told = [f"{wheel.name}: {text}" for text in _newest_of_each(too_new)]
    if too_new and all(map(_of_tags, others)):
        floor = _floor(wheel, target)
        raise TooNew(*told, f"{wheel.name}: it works from {floor} on", floor=floor, hint=BUILD_LOWER)
    raise DistributionError(*told, *(f"{wheel.name}: {problem}" for problem in others), hint=BUILD_LOWER if too_new else MEND)


def _of_tags(problem: Problem) -> bool:
    """Whether it is about the wheel's name: where its code is too new, the repair tool says so in the tags."""
    return not problem.member and problem.what.startswith("has the tags ")


def _newest_of_each(problems: Iterable[Problem]) -> Iterator[str]:
    """Of the symbols that are too new one for each family of versions, and how many more files ask for such."""
    newest: dict[str, tuple[tuple[int, ...], Problem]] = {}
    members: dict[str, set[str]] = {}
    for problem in problems:
        family, _, number = problem.version.partition("_")
        rank = tuple(int(part) for part in number.split(".") if part.isdigit())
        if family not in newest or rank > newest[family][0]:
            newest[family] = rank, problem
        members.setdefault(family, set()).add(problem.member)
    for family, (_, problem) in newest.items():
        more = len(members[family]) - 1
        yield f"{problem}{f'; {more} more of its files ask for newer ones, too' if more else ''}"


def _floor(wheel: Path, target: Target) -> str:
    """The oldest platform on which ``wheel`` works, as its symbols and its tags say."""
    machine = re.sub(r"[a-z]+_\d+_\d+_", "", target.platforms[0])
    asked = {symbol.version for symbol in newest(Contents.of(wheel))} | {tag.platform for tag in parse_wheel_filename(wheel.name)[3]}
    found = [match for text in asked if (match := re.match(r"GLIBC_(\d+)\.(\d+)|manylinux_(\d+)_(\d+)", text))]
    tags = [(int(match[3]), int(match[4])) for match in found if match[3]]
    symbols = [(int(match[1]), int(match[2])) for match in found if match[1]]
    return "manylinux_{}_{}_{}".format(*max([*symbols, min(tags, default=(0, 0))]), machine)


def _place(wheel: Path, output: Path) -> Path:
    """Move the finished wheel to where it is wanted: whole, or not at all."""
    output.mkdir(parents=True, exist_ok=True)
    partial = Path(shutil.copyfile(wheel, output / f".{wheel.name}.{os.getpid()}"))
    return partial.replace(output / wheel.name)


def _repaired(source: Path, made: Path, contents: Contents, grafted: tuple[Grafted, ...], tool: str) -> Repaired:
    return Repaired(
        path=made,
        sha256=_sha256(made),
        size=made.stat().st_size,
        source_sha256=_sha256(source),
        tags_before=_tags(source),
        tags_after=_tags(made),
        grafted=grafted,
        symbols=newest(contents),
        sboms=sboms(made),
        tool=tool,
    )


def _tags(wheel: Path) -> tuple[str, ...]:
    return tuple(sorted(map(str, parse_wheel_filename(wheel.name)[3])))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
