"""The audit: whether a wheel works on a target that has nothing but what every system of its platform has.

No tool is trusted for having exited with 0, and no tag for being there:

1. it is a wheel, true to its RECORD, and its code is what its own tags say (see :mod:`wheelhouse_builder.runtime.wheel`);
2. the target accepts its tags;
3. it holds compiled code, where that is demanded;
4. no code asks for symbols of a version that the target's libraries are too old for;
5. every library that code needs is in the wheel, where it will be found, or on the target, or excluded on purpose;
6. no search path names a place on the host that built it;
7. code for macOS was built for a macOS as old as the target's, and its signature holds.

What is certain to fail is told apart from what fails only where a target has nothing more than its platform promises.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from packaging.utils import parse_wheel_filename

from wheelhouse_builder.model.target import Target
from wheelhouse_builder.repair.code import Code, Versioned
from wheelhouse_builder.repair.contents import Contents
from wheelhouse_builder.repair.policies import Policy, has_on_macos, has_on_windows, policy_of
from wheelhouse_builder.repair.values import Options, Problem
from wheelhouse_builder.runtime.native import ELF, MACH_O, PE, promise
from wheelhouse_builder.runtime.wheel import wheel_problems

ORIGIN = ("$ORIGIN", "${ORIGIN}", "@loader_path")
"""The folder of the file that says so, on Linux and on macOS."""
_OF_ONE_PYTHON = re.compile(r"\.(?:cpython-|cp)(\d+t?)-[^./]+\.(?:so|pyd)$")
"""The name of an extension module of one CPython, as its importlib.machinery.EXTENSION_SUFFIXES have it."""


def audit(wheel: Path, target: Target, *, options: Options | None = None) -> tuple[Problem, ...]:
    """Everything that is wrong with ``wheel``, whose name must be its own, on ``target``; empty: it passes."""
    with wheel.open("rb") as file:
        problems = [Problem(member="", what=what) for what in wheel_problems(file, wheel.name)]
    if problems:
        return tuple(problems)
    problems.extend(audit_code(Contents.of(wheel), target, options=options or Options()))
    tags = parse_wheel_filename(wheel.name)[3]
    if tags.isdisjoint(target.tags):
        problems.append(Problem(member="", what=f"has the tags {' '.join(sorted(map(str, tags)))}, none of which {target} accepts"))
    return tuple(problems)


def audit_code(contents: Contents, target: Target, *, options: Options) -> tuple[Problem, ...]:
    """The part of the audit that looks into compiled code: checks 3 to 7."""
    names = frozenset(name for name in options.exclude if "*" not in name)
    patterns = tuple(name for name in options.exclude if "*" in name)
    return tuple(dict.fromkeys(_Audit(contents=contents, target=target, options=options, names=names, patterns=patterns).problems()))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Audit:
    """One wheel on one target; numbers are those of the module's docstring."""

    contents: Contents
    target: Target
    options: Options
    names: frozenset[str]
    """Libraries that are excluded; there may be thousands."""
    patterns: tuple[str, ...]

    def problems(self) -> Iterator[Problem]:
        yield from self.contents.unreadable
        if self.options.demands_extension and not self.contents.extensions:  # 3
            yield Problem(member="", what="holds no compiled code: the build went on without its extension")
        kind, machines = next(iter(self._promised.items()), ("", frozenset()))
        for member, code in self.contents.code.items():
            if code.format == kind and code.machines & machines:
                found = {ELF: self._elf, PE: self._pe, MACH_O: self._macho}[kind](member, code)
                yield from found if self._loads(member) else (replace(each, certain=False, harmless=True) for each in found)

    def _loads(self, member: str) -> bool:
        """Whether the target's Python would import ``member``: some wheels hold the modules of other Pythons, too."""
        named = _OF_ONE_PYTHON.search(member)
        return named is None or f"cp{named[1]}" == self.target.abi

    @property
    def _promised(self) -> dict[str, frozenset[str]]:
        """Format and machine of the target's code."""
        promised = promise(self.target.platforms[:1])
        return promised.machines if promised else {}

    def _elf(self, member: str, code: Code) -> Iterator[Problem]:
        policy = policy_of(self.target.platforms[0])
        if policy is None:
            return
        yield from self._versions(member, code, policy)
        for library in code.libraries:
            if not (policy.has(library) or self._excluded(library)):
                yield from self._grafted(member, library, policy.platform)
        yield from self._search_paths(member, code)

    def _versions(self, member: str, code: Code, policy: Policy) -> Iterator[Problem]:  # 4
        wanted = [needed for needed in code.versions if policy.lacks(needed.version) and not self.contents.inside(needed.library)]
        if not wanted:
            return
        symbols = self.contents.symbols(member, wanted)
        for needed in wanted:
            yield Problem(
                member=member,
                what=f"needs {symbols.get(needed, 'a symbol')}@{needed.version}, {_too_old(needed, policy)}",
                certain=needed.version.startswith("GLIBC_"),
                version=needed.version,
            )

    def _grafted(self, member: str, library: str, platform: str) -> Iterator[Problem]:  # 5
        places = {posixpath.dirname(found) for found in self.contents.inside(library)}
        if not places:
            where = "no Python needs to bring" if library.startswith("libpython") else f"is neither in the wheel nor on every {platform}"
            # every policy for glibc has it, so here the target has musl
            yield Problem(member=member, what=f"needs {library}, which {where}", certain=library == "libc.so.6")
        elif places.isdisjoint(self._searched):
            yield Problem(member=member, what=f"needs {library}, which lies in the wheel where nothing looks for it", certain=False)

    @property
    def _searched(self) -> frozenset[str]:
        """Every folder of the wheel that some file in it has among its search paths; the loader passes them on."""
        return frozenset(
            place for member, code in self.contents.code.items() for path in code.rpaths if (place := _within(member, path)) is not None
        )

    def _search_paths(self, member: str, code: Code) -> Iterator[Problem]:  # 6
        for path in code.rpaths:
            if any(path.startswith(forbidden) for forbidden in self.options.forbidden_rpaths) or _within(member, path) is None:
                yield Problem(
                    member=member,
                    what=f"has the search path {path or '“” (wherever it is started)'}: {_LEAKS}",
                    certain=False,
                    harmless=True,
                )

    def _pe(self, member: str, code: Code) -> Iterator[Problem]:  # 5
        inside = {PurePosixPath(name).name.lower() for name in self.contents.code}
        for library in code.libraries:
            found = has_on_windows(library, self.target)
            if found or library in inside or self._excluded(library):
                continue
            if found is None:
                yield Problem(
                    member=member, what=f"needs {library}, which is neither in the wheel nor part of Windows or Python", certain=False
                )
            else:
                yield Problem(member=member, what=f"needs {library}, the library of another Python")

    def _macho(self, member: str, code: Code) -> Iterator[Problem]:
        for library in code.libraries:  # 5
            if not (has_on_macos(library) or self._excluded(library) or self._resolves(member, library)):
                yield Problem(member=member, what=f"needs {library}, which is neither in the wheel nor part of macOS", certain=False)
        yield from self._search_paths(member, code)
        target = tuple(map(int, self.target.platforms[0].split("_")[1:3]))
        if code.system and code.system > target:  # 7
            built, has = (".".join(map(str, version)) for version in (code.system, target))
            yield Problem(member=member, what=f"was built for macOS {built}, the target has {has}", certain=False)
        if code.signature:
            yield Problem(member=member, what=code.signature, certain=self.target.platforms[0].endswith("_arm64"))

    def _resolves(self, member: str, library: str) -> bool:
        """Whether a library that is named by a path relative to something lies there in the wheel."""
        head, _, rest = library.partition("/")
        if head == "@rpath":
            return any(posixpath.normpath(f"{place}/{rest}").lstrip("/") in self.contents.code for place in self._searched | {""})
        place = _within(member, head)
        return place is not None and posixpath.normpath(posixpath.join(place, rest)) in self.contents.code

    def _excluded(self, library: str) -> bool:
        name = posixpath.basename(library)
        return name in self.names or any(fnmatchcase(name, pattern) for pattern in self.patterns)


_LEAKS = "a place on the host that built it, which whoever can write there on the target takes over"


def _within(member: str, path: str) -> str | None:
    """The folder of the wheel that ``path``, said by ``member``, means; None where it is none. The top is the empty string."""
    if path.startswith("@executable_path"):
        return ""  # where Python lies: no place of the host that built it, and nothing of the wheel's
    for origin in ORIGIN:
        if path == origin or path.startswith(origin + "/"):
            place = posixpath.normpath(posixpath.join(posixpath.dirname(member), "./" + path[len(origin) :]))
            return None if place.startswith("..") else place.removeprefix(".")
    return None


def _too_old(needed: Versioned, policy: Policy) -> str:
    family = needed.version.partition("_")[0]
    if family == "GLIBC":
        return "the target has musl" if policy.musl else "the target has {}.{}".format(*policy.libc)
    return f"newer than {needed.library} of {policy.platform}"
