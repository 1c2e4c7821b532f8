"""What a resolver is to the rest of this room: a question for one target, and its three kinds of answer."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from packaging.pylock import Pylock
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from wheelhouse_builder.adapters.index import Login, login_from_environment
from wheelhouse_builder.model.lock import TOOL, YANKED
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.spec import Index


@dataclass(frozen=True, kw_only=True, slots=True)
class Promised:
    """A wheel that is not there yet: a resolver is to see it as if it were."""

    filename: str
    metadata: str
    """What its METADATA will say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What one call of a resolver must answer."""

    target: Target
    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    index: Index
    login: Login | None = None
    """For the index, where its credentials do not stand in the environment variables that it names."""
    excluded: frozenset[NormalizedName] = frozenset()
    """Projects to leave out, as if nobody needed them."""
    refused: frozenset[tuple[NormalizedName, Version]] = frozenset()
    """Releases that must not be chosen."""
    preferred: Pylock | None = None
    """An earlier answer, whose versions stay where they still fit."""
    dependencies: bool = True
    """Whether to follow dependencies."""
    promised: tuple[Promised, ...] = ()
    """Wheels that count beside those of the index."""
    overrides: tuple[str, ...] = ()
    """Asked for in place of what anybody else asks of their projects."""


def write_promised(question: Question, folder: Path) -> None:
    """Write the wheels that are promised into the new ``folder``."""
    write_wheels(question.promised, folder)


def write_wheels(promised: Iterable[Promised], folder: Path) -> None:
    """Write ``promised`` wheels into the new ``folder``: nothing but what says what they are."""
    folder.mkdir()
    for each in promised:
        inner = "-".join(each.filename.split("-")[:2]) + ".dist-info"
        files = {f"{inner}/METADATA": each.metadata, f"{inner}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"}
        record = "".join(f"{path},,\n" for path in (*files, f"{inner}/RECORD"))
        with zipfile.ZipFile(folder / each.filename, "w") as archive:
            for path, text in (files | {f"{inner}/RECORD": record}).items():
                archive.writestr(path, text)


def login_of(question: Question) -> Login | None:
    """The credentials for the index of ``question``. Raises EnvironmentFailure when a variable that the spec names is not set."""
    if question.login is not None or question.index.password_variable is None:
        return question.login
    return login_from_environment(question.index.user_variable, question.index.password_variable)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsolvable:
    """There is no answer."""

    explanation: tuple[str, ...]
    """The resolver's own words, line by line."""
    suspects: tuple[NormalizedName, ...] = ()
    """Projects of which it says that a wheel is lacking."""


Answer = Pylock | Unsolvable


def with_yanked(pylock: Pylock, reasons: Mapping[str, str]) -> Pylock:
    """``pylock``, in which each release of ``reasons``, by project, says that it was yanked, and why (PEP 592)."""
    named = {canonicalize_name(project): reason for project, reason in reasons.items()}
    packages = [
        replace(package, tool={**(package.tool or {}), TOOL: {YANKED: named[package.name]}}) if package.name in named else package
        for package in pylock.packages
    ]
    return replace(pylock, packages=packages) if named else pylock


class Engine(Protocol):
    """A resolver."""

    def answer(self, question: Question) -> Answer:
        """Resolve for one target with wheels alone. Raises IndexFailure or EnvironmentFailure when it could not even try."""
        ...
