"""Targets: one Python on one platform, and all that follows from it."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import cast

from packaging.markers import Environment, default_environment
from packaging.tags import Tag, platform_tags

from wheelhouse_builder.errors import SpecError
from wheelhouse_builder.model.facts import MinorVersion, facts
from wheelhouse_builder.model.platform import SAME_MACHINE, Platform, Unknown, macos, parse_platform, windows
from wheelhouse_builder.model.python import Python, cpython, parse_python

HINT = "A target is a python tag and a platform tag, as cp312-manylinux_2_28_x86_64, or a friendly name, as debian12 or windows-py312."

NEEDS_AT_LEAST = {("macosx", "arm64"): (3, 8), ("win", "ARM64"): (3, 8)}
"""The first CPython that runs on a platform, where that was not always so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One Python on one platform that a bundle must serve.

    The single source for resolving, for choosing files and for checking the host before an install.
    """

    name: str
    """``<python tag>-<platform tag>``, as ``cp312-manylinux_2_28_x86_64``; holds no dot."""
    interpreter: str
    """First part of the most specific tag: ``cp312``."""
    abi: str
    """Second part: ``cp312``, ``cp313t``, ``cp37m``."""
    platforms: tuple[str, ...]
    """Platform tags that it accepts, best first; the first one is its floor."""
    markers: Mapping[str, str | None]
    """All eleven keys of PEP 508's marker environment; None where only a probe of the host could tell."""
    tags: tuple[Tag, ...]
    """Every wheel tag that it accepts, best first."""

    @classmethod
    def parse(cls, name: str) -> Target:
        """Read a name: tags, a friendly name, or ``this`` for the running interpreter.

        Raises SpecError, which says what part of the name is wrong and what would be right.
        """
        if name == "this":
            return this_target()
        friendly = _parse_friendly(name)
        python_text, _, platform_text = name.partition("-")
        python, platform = friendly or (parse_python(python_text), parse_platform(platform_text))
        match python, platform:
            case Python(), Platform():
                return _target(python, platform)
            case _:
                raise _unknown(name, python, platform)

    @property
    def environment(self) -> Environment:
        """The marker environment with empty strings for what is not known.

        Look at :func:`wheelhouse_builder.model.markers.holds` first: an empty string is an answer, and it may be the wrong one.
        """
        return cast("Environment", {key: value or "" for key, value in self.markers.items()})

    def __str__(self) -> str:
        return self.name


def make_target(python: Python, platform: Platform, *, unknowable: Mapping[str, str | None] | None = None) -> Target:
    """One Python on one platform; ``unknowable`` holds the markers that only a host can tell."""
    sys_platform = {"sys_platform": "linux2"} if python.minor < (3, 0) and platform.system.endswith("linux") else {}
    return Target(
        name=f"{python.name}-{platform.name}",
        interpreter=python.interpreter,
        abi=python.abi,
        platforms=platform.tags,
        markers={
            "platform_release": None,
            "platform_version": None,
            **(unknowable or {}),
            **python.markers,
            **platform.markers,
            **sys_platform,
        },
        tags=tuple(dict.fromkeys(python.tags(platform.tags))),
    )


def this_target() -> Target:
    """Return the running interpreter as a target: its exact markers, the C library that it runs on.

    Raises SpecError for a Python that has no name here.
    """
    here = cast("Mapping[str, str]", default_environment())
    platform = next((known for tag in platform_tags() if isinstance(known := parse_platform(tag), Platform)), None)
    minor = sys.version_info[:2]
    if platform is None or sys.implementation.name != "cpython" or minor not in facts().cpython:
        raise SpecError(
            f"target this: {sys.implementation.name} {here['python_version']} on {here['platform_machine']} is not one that has wheels",
            hint=HINT,
        )
    flags = "t" if "t" in getattr(sys, "abiflags", "") else ""
    python = cpython(minor, flags, full_version=here["python_full_version"])
    return make_target(python, platform, unknowable={key: here[key] for key in ("platform_release", "platform_version")})


def friendly_names() -> tuple[str, ...]:
    """Every operating system that has a friendly name, without the Python that may follow it."""
    mac = [f"macos{major}-{machine}" for major, _ in facts().macos if major > 10 for machine in ("arm64", "x86_64")]
    return (*facts().linux, *mac, "windows", "windows-arm64", "windows-x86")


def friendly_targets() -> dict[str, Target]:
    """What each friendly name means; with the newest Python where the system has none of its own."""
    newest = "-py{}{}".format(*max(facts().cpython))
    names = (name if name in facts().linux else name + newest for name in friendly_names())
    return {name: Target.parse(name) for name in names}


def _target(python: Python, platform: Platform) -> Target:
    first = NEEDS_AT_LEAST.get((platform.system, platform.machine), (0, 0))
    if python.minor < first:
        nearest = f"cp{first[0]}{first[1]}-{platform.name}"
        version = python.markers["python_version"]
        raise SpecError(
            f"target {python.name}-{platform.name}: no Python {version} runs on {platform.name}; the nearest is {nearest}", hint=HINT
        )
    return make_target(python, platform)


def _unknown(name: str, python: Python | Unknown, platform: Platform | Unknown) -> SpecError:
    friendly = get_close_matches(re.sub(r"-py[\d.]+t?$", "", name), friendly_names(), n=1, cutoff=0.7)
    problems = [part.problem for part in (python, platform) if isinstance(part, Unknown) and part.problem]
    if friendly and len(problems) == 2:
        return SpecError(f"target {name}: no such name; the nearest is {friendly[0]}", hint=HINT)
    parts = [part.nearest if isinstance(part, Unknown) else part.name for part in (python, platform)]
    return SpecError(f"target {name}: {'; '.join(problems)}; the nearest is {'-'.join(parts)}", hint=HINT)


def _parse_friendly(name: str) -> tuple[Python | Unknown, Platform | Unknown] | None:
    """Read ``<system>[-<machine>][-py<version>]``; None when the name does not begin with a system that has a friendly name."""
    system, *rest = name.split("-")
    python_text = rest.pop().removeprefix("py") if rest and re.fullmatch(r"py3\.?\d+t?", rest[-1]) else ""
    machine = "-".join(rest)
    if system in facts().linux:
        release = facts().linux[system]
        machine = SAME_MACHINE.get(machine, machine) or "x86_64"
        return _friendly_python(python_text, release.python), parse_platform(
            f"{release.libc}_{release.version[0]}_{release.version[1]}_{machine}"
        )
    if match := re.fullmatch(r"macos(\d+)", system):
        return _friendly_python(python_text, None), parse_platform(macos((int(match[1]), 0), machine or "arm64").name)
    if system == "windows":
        tag = {"": "win_amd64", "amd64": "win_amd64", "x86_64": "win_amd64", "arm64": "win_arm64", "x86": "win32"}.get(machine)
        return _friendly_python(python_text, None), windows(tag) if tag else parse_platform(f"win_{machine}")
    return None


def _friendly_python(text: str, default: MinorVersion | None) -> Python | Unknown:
    if text:
        return parse_python(f"cp{text.replace('.', '')}")
    if default is None:
        return Unknown(problem="this system has no Python of its own; say which, as -py312 does", nearest="cp312")
    return cpython(default)
