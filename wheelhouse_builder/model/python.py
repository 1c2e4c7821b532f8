"""Pythons: the first half of a target's name, and what follows from it alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.tags import Tag, compatible_tags, cpython_tags, generic_tags

from wheelhouse_builder.model.facts import MinorVersion, facts
from wheelhouse_builder.model.platform import Unknown

FREE_THREADED_SINCE = (3, 13)
NO_ABI_FLAGS_SINCE = (3, 8)
"""CPython 3.8 dropped the ``m`` of ``cp37m`` (bpo-36707)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Python:
    """An interpreter: implementation, versions, ABI."""

    name: str
    """The python part of a target's name: ``cp312``, ``cp313t``, ``cp27mu``, ``pp311``."""
    implementation: str
    """``cpython`` or ``pypy``."""
    minor: MinorVersion
    full_version: str
    """Of the language: ``3.12.16``."""
    implementation_version: str
    """The same for CPython; PyPy counts its own."""
    abi: str
    """``cp312``, ``cp313t``, ``cp37m``, ``pypy311_pp80``."""

    @property
    def interpreter(self) -> str:
        """The python tag of the most specific wheel: ``cp313`` for ``cp313t`` too."""
        return f"{'cp' if self.implementation == 'cpython' else 'pp'}{_nodot(self.minor)}"

    @property
    def free_threaded(self) -> bool:
        """Whether it runs without the global interpreter lock (PEP 703)."""
        return self.name.endswith("t")

    def tags(self, platforms: Iterable[str]) -> Iterator[Tag]:
        """Every wheel tag that it accepts where ``platforms`` are accepted, best first."""
        platforms = tuple(platforms)
        if self.implementation == "cpython":
            yield from cpython_tags(self.minor, [self.abi], platforms)
            yield from compatible_tags(self.minor, self.interpreter, platforms)
        else:
            yield from generic_tags(self.interpreter, [self.abi], platforms)
            yield from compatible_tags(self.minor, "pp3", platforms)

    @property
    def markers(self) -> Mapping[str, str]:
        """What it settles of PEP 508's marker environment; Python 2 has no ``sys.implementation``, hence the PEP's stand-ins."""
        legacy = self.minor < (3, 0)
        return {
            "implementation_name": "" if legacy else self.implementation,
            "implementation_version": "0" if legacy else self.implementation_version,
            "platform_python_implementation": {"cpython": "CPython", "pypy": "PyPy"}[self.implementation],
            "python_version": ".".join(map(str, self.minor)),
            "python_full_version": self.full_version,
        }


def cpython(minor: MinorVersion, flags: str = "", *, full_version: str | None = None) -> Python:
    """CPython, at its newest patch level unless ``full_version`` says another."""
    pymalloc = "m" if (3, 0) < minor < NO_ABI_FLAGS_SINCE else ""
    version = full_version or facts().cpython[minor]
    return Python(
        name=f"cp{_nodot(minor)}{flags}",
        implementation="cpython",
        minor=minor,
        full_version=version,
        implementation_version=version,
        abi=f"cp{_nodot(minor)}{pymalloc or flags}",
    )


def pypy(minor: MinorVersion) -> Python:
    """PyPy, the newest for this version of the language; its ABI is called after the first release that had it."""
    full_version, own_version = facts().pypy[minor]
    abi = "pp73" if own_version.startswith("7.3.") else f"pp{own_version.split('.')[0]}0"
    return Python(
        name=f"pp{_nodot(minor)}",
        implementation="pypy",
        minor=minor,
        full_version=full_version,
        implementation_version=own_version,
        abi=f"pypy{_nodot(minor)}_{abi}",
    )


def parse_python(text: str) -> Python | Unknown:
    """Read a python tag, with its ABI flags where it has any."""
    match = re.fullmatch(r"(cp|pp)([23])_?(\d{1,2})(t|mu?)?", text)
    if match is None:
        return Unknown(problem=f"{text} is not a python tag, as cp312, cp313t or pp311 are", nearest=_nearest_python(text))
    minor, flags = (int(match[2]), int(match[3])), match[4] or ""
    if match[1] == "pp":
        return _parse_pypy(text, minor, flags)
    return _parse_cpython(text, minor, flags)


def _parse_cpython(text: str, minor: MinorVersion, flags: str) -> Python | Unknown:
    known = facts().cpython
    if minor not in known:
        nearest = min((version for version in known if version[0] == 3), key=lambda version: abs(version[1] - minor[1]))
        return Unknown(problem=f"{text}: CPython {_dotted(minor)} is not among those that have wheels", nearest=f"cp{_nodot(nearest)}")
    possible = _possible_flags(minor)
    if flags not in possible:
        problem = f"{text}: CPython {_dotted(minor)} has no ABI {flags!r}" if flags else f"{text}: say which ABI, m or mu"
        return Unknown(problem=problem, nearest=f"cp{_nodot(minor)}{possible[0] if minor < (3, 0) else ''}")
    return cpython(minor, "" if flags == "m" and minor > (3, 0) else flags)


def _possible_flags(minor: MinorVersion) -> tuple[str, ...]:
    if minor < (3, 0):
        return ("m", "mu")
    if minor < NO_ABI_FLAGS_SINCE:
        return ("", "m")
    return ("", "t") if minor >= FREE_THREADED_SINCE else ("",)


def _parse_pypy(text: str, minor: MinorVersion, flags: str) -> Python | Unknown:
    known = facts().pypy
    if minor in known and not flags:
        return pypy(minor)
    nearest = min(known, key=lambda version: abs(version[1] - minor[1]))
    problem = f"{text}: PyPy has no ABI {flags!r}" if minor in known else f"{text}: there is no PyPy {_dotted(minor)}"
    return Unknown(problem=problem, nearest=f"pp{_nodot(nearest)}")


def _nearest_python(text: str) -> str:
    """Take the first digits for a version: ``py312``, ``python3.12`` and ``3.12`` all mean cp312."""
    match = re.search(r"3[._]?(\d{1,2})", text)
    known = [version for version in facts().cpython if version[0] == 3]
    wanted = (3, int(match[1])) if match else (3, 12)
    return f"cp{_nodot(min(known, key=lambda version: abs(version[1] - wanted[1])))}"


def _nodot(version: MinorVersion) -> str:
    return f"{version[0]}{version[1]}"


def _dotted(version: MinorVersion) -> str:
    return f"{version[0]}.{version[1]}"
