"""What to resolve: requirements, constraints and the index, read from every place that names them into one list."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.dependency_groups import DependencyGroupResolver
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from wheelhouse_builder.errors import SpecError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve.named import Named, read_named, with_name
from wheelhouse_builder.spec import UV, Change, Index, Pyproject, Spec

HINT = "mend the lines named above; indexes, credentials and targets belong in wheelhouse.yaml"
_IN_THE_SPEC = "indexes stand in wheelhouse.yaml, under index"
_REFUSED_OPTIONS = {
    **dict.fromkeys(("-e", "--editable"), "what travels is built: name the folder or the repository without this option"),
    "--pre": "pre-releases are asked for by project, as 'fastapi>=1.0a0' does",
    **dict.fromkeys(("-i", "--index-url", "--extra-index-url", "--no-index", "-f", "--find-links"), _IN_THE_SPEC),
}
"""Options of requirements files that are understood and cannot be had, and why."""
HARMLESS_OPTIONS = ("--only-binary", "--prefer-binary", "--require-hashes")
"""Options of requirements files that ask for what is done anyway."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One requirement or constraint, and where it was written."""

    requirement: Requirement
    where: str
    """``requirements.in:3``."""
    hashes: tuple[str, ...] = ()
    """``sha256:…``, where the line insists on them, or its URL does."""
    source: Named | None = None
    """What it names to be built; the requirement itself then has no URL."""

    def __str__(self) -> str:
        return " ".join([self.at(self.source.text if self.source else ""), *(f"--hash={digest}" for digest in self.hashes)])

    def at(self, url: str) -> str:
        """The requirement, to be had from ``url`` unless that is empty."""
        wanted = Requirement(str(self.requirement))
        wanted.url = url or wanted.url
        return str(wanted)


@dataclass(frozen=True, kw_only=True, slots=True)
class Special:
    """What one target is asked for in another way than the others."""

    added: tuple[Line, ...] = ()
    excluded: frozenset[NormalizedName] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirements:
    """All that a resolver must know besides the target."""

    requirements: tuple[Line, ...]
    constraints: tuple[Line, ...] = ()
    overrides: tuple[Line, ...] = ()
    """Asked for in place of all that anybody else asks of their projects."""
    requires_python: SpecifierSet = field(default_factory=SpecifierSet)
    """What the projects themselves say, all together."""
    indexes: tuple[Index, ...] = (Index(),)
    exclude_newer: str | None = None
    resolver: str = UV
    locked: Path | None = None
    """The lock of another tool, which is the answer."""
    keep: int | None = None
    """Of a catalogue: how many releases of each project; None: it is none."""
    special: Mapping[str, Special] = field(default_factory=dict)
    """By the name of the target."""
    no_binary: frozenset[NormalizedName] = frozenset()
    """Projects that are built though they have wheels."""

    @classmethod
    def of(cls, spec: Spec) -> Requirements:
        """Gather what ``spec`` names.

        Raises SpecError with every line that is not understood.
        """
        reader = _Reader(spec.folder)
        reader.no_binary |= spec.no_binary
        for path in spec.requirement_files:
            reader.read_file(path, reader.requirements)
        for requirement in spec.requirements:
            line = spec.lines.get(str(requirement))
            reader.take(str(requirement), f"{spec.path.name}:{line}" if line else spec.path.name, reader.requirements)
        for folder in spec.projects:
            reader.take(str(folder.path), f"{spec.path.name}:{folder.line}", reader.requirements)
        for pyproject in spec.pyprojects:
            reader.read_pyproject(pyproject)
        for path in spec.constraints:
            reader.read_file(path, reader.constraints)
        for path in spec.override_files:
            reader.read_file(path, reader.overrides)
        for requirement in spec.overrides:
            reader.take(str(requirement), str(spec.path.name), reader.overrides)
        special = {name: reader.take_change(change, f"{spec.path.name}: {name}") for name, change in spec.changes.items()}
        return reader.finish(
            indexes=spec.indexes,
            exclude_newer=spec.exclude_newer,
            resolver=spec.resolver,
            locked=spec.locked,
            keep=spec.keep,
            special=special,
        )

    @classmethod
    def from_files(cls, *paths: Path, constraints: tuple[Path, ...] = (), index: Index | None = None) -> Requirements:
        """Gather what requirements files name. Raises SpecError."""
        reader = _Reader(paths[0].parent)
        for path in paths:
            reader.read_file(path, reader.requirements)
        for path in constraints:
            reader.read_file(path, reader.constraints)
        return reader.finish(indexes=(index or Index(),))

    @classmethod
    def from_texts(cls, *texts: str, constraints: tuple[str, ...] = (), index: Index | None = None) -> Requirements:
        """Take requirements as they stand. Raises SpecError."""
        reader = _Reader(Path())
        for text in texts:
            reader.take(text, "requirement", reader.requirements)
        for text in constraints:
            reader.take(text, "constraint", reader.constraints)
        return reader.finish(indexes=(index or Index(),))

    @property
    def all_asked(self) -> tuple[Line, ...]:
        """The requirements of all targets."""
        return (*self.requirements, *(line for special in self.special.values() for line in special.added))

    def asked_of(self, target: Target) -> tuple[Line, ...]:
        """The requirements as ``target`` is asked for them."""
        special = self.special.get(target.name, Special())
        kept = (line for line in self.requirements if canonicalize_name(line.requirement.name) not in special.excluded)
        return (*kept, *special.added)

    def digest(self, target: Target) -> str:
        """Return the identity of the question for ``target``: while it stays the same, so may the answer."""
        question: dict[str, Any] = {
            "requirements": sorted(map(str, self.asked_of(target))),
            "constraints": sorted(map(str, self.constraints)),
            "requires-python": str(self.requires_python),
            "indexes": [[index.url, *index.projects] for index in self.indexes],
            "exclude-newer": self.exclude_newer,
            "resolver": self.resolver,
            "target": target.name,
            "markers": dict(target.markers),
        }
        if self.locked is not None:
            question["locked"] = hashlib.sha256(self.locked.read_bytes()).hexdigest()
        if self.overrides:
            question["overrides"] = sorted(map(str, self.overrides))
        if self.keep is not None:
            question["keep"] = self.keep
        if self.no_binary:
            question["no-binary"] = sorted(self.no_binary)
        return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


class _Reader:
    """Reads files and what they include, and remembers every problem."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self.requirements: list[Line] = []
        self.constraints: list[Line] = []
        self.overrides: list[Line] = []
        self.requires_python = SpecifierSet()
        self.no_binary: set[NormalizedName] = set()
        self.problems: list[str] = []

    def finish(self, **rest: Any) -> Requirements:
        """Return the list with the ``rest`` of what is to be known, or raise SpecError with all problems."""
        if rest.get("keep") is not None:
            built = (line for line in self.requirements if line.source)
            self.problems += [f"{line.where}: {line.at('')}: a catalogue holds what indexes have, so nothing is built" for line in built]
        if self.problems:
            raise SpecError(*self.problems, hint=HINT)
        return Requirements(
            requirements=tuple(self.requirements),
            constraints=tuple(self.constraints),
            overrides=tuple(self.overrides),
            requires_python=self.requires_python,
            no_binary=frozenset(self.no_binary),
            **rest,
        )

    def take_change(self, change: Change, where: str) -> Special:
        """Read what one target is asked for in another way; call it when all requirements are read."""
        known = {canonicalize_name(line.requirement.name) for line in self.requirements}
        self.problems += [f"{where}: exclude: no requirement names {project}" for project in sorted(change.exclude - known)]
        added: list[Line] = []
        for requirement in change.add:
            self.take(str(requirement), where, added)
        return Special(added=tuple(added), excluded=change.exclude)

    def read_file(self, path: Path, into: list[Line], *, above: tuple[Path, ...] = ()) -> None:
        """Read a requirements or constraints file and those that it includes."""
        if path.resolve() in above:
            circle = above[above.index(path.resolve()) :]
            self.problems.append(f"{' → '.join(file.name for file in (*circle, path))}: these files include each other in a circle")
            return
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"{path}: cannot be read: {error}")
            return
        for number, line in _logical_lines(text):
            where = f"{path.name}:{number}"
            if line.startswith("-"):
                self._option(line, where, path, into, (*above, path.resolve()))
            else:
                self.take(line, where, into, path.parent)

    def take(self, text: str, where: str, into: list[Line], base: Path | None = None) -> None:
        """Read one requirement; paths in it are relative to ``base``, by default to where the spec lies."""
        base = base or self._top
        body, *options = re.split(r"\s+--hash[= ]", text)
        try:
            requirement = Requirement(with_name(body, base, self._top) or body)
        except InvalidRequirement as error:
            self.problems.append(f"{where}: {_why_not(body) or f'{body!r} is not a requirement: {str(error).splitlines()[0]}'}")
            return
        except ValueError as error:
            self.problems.append(f"{where}: {error}")
            return
        source = self._source(requirement, into, base)
        if isinstance(source, str):
            self.problems.append(f"{where}: {requirement.name}: {source}")
            return
        fragment = re.search(r"#.*\bsha256=([0-9a-fA-F]{64})", requirement.url or "")
        hashes = [option.strip() for option in options] + ([f"sha256:{fragment[1].lower()}"] if fragment else [])
        if source:
            requirement.url = None
        into.append(Line(requirement=requirement, where=where, hashes=tuple(hashes), source=source))

    def _source(self, requirement: Requirement, into: list[Line], base: Path) -> Named | str | None:
        """What is to be built, or why it cannot be; None: it is a wheel, or comes from an index."""
        url = requirement.url or ""
        if not url or _is_wheel(url):
            return None
        if into is self.constraints or into is self.overrides:
            return f"{url} would have to be built, and constraints and overrides cannot ask for that: make it a requirement"
        return read_named(url, base, self._top)

    def read_pyproject(self, wanted: Pyproject) -> None:
        """Read a project's dependencies, with those of the wanted extras and dependency groups."""
        where = wanted.path.name
        try:
            document = tomllib.loads(wanted.path.read_text(encoding="utf-8"))
            requirements = [*_project_dependencies(document, wanted.extras), *_group_dependencies(document, wanted.groups)]
            self.requires_python &= SpecifierSet(document.get("project", {}).get("requires-python", ""))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, InvalidSpecifier, ValueError, LookupError, TypeError) as error:
            self.problems.append(f"{where}: {error}")
            return
        for text in requirements:
            self.take(text, where, self.requirements)

    def _option(self, line: str, where: str, path: Path, into: list[Line], above: tuple[Path, ...]) -> None:
        match = re.match(r"(-r|-c|--requirement|--constraint)(?:\s+|=|(?<=-[rc]))(\S.*)", line)
        if match:
            included = path.parent / match[2].strip()
            self.read_file(included, self.constraints if "c" in match[1][:3] else into, above=above)
        elif match := re.match(r"--no-binary(?:\s+|=)(\S+)$", line):
            names = [name.strip() for name in match[1].split(",")]
            self.problems += [
                f"{where}: --no-binary is understood of projects alone, not {name}: {line}" for name in names if name.startswith(":")
            ]
            self.no_binary |= {canonicalize_name(name) for name in names}
        elif not line.startswith(HARMLESS_OPTIONS):
            option = re.split(r"[\s=]", line, maxsplit=1)[0]
            self.problems.append(f"{where}: {_REFUSED_OPTIONS.get(option, f'the option {option} is not understood here')}: {line}")


def _is_wheel(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("https", "http", "file") and parts.path.endswith(".whl")


def _why_not(text: str) -> str | None:
    """What a line is that is no requirement of PEP 508, where that can be said."""
    if text.endswith(".whl"):
        return f"{text} is the path of a wheel: write it as 'project @ file:///…/{text.replace(chr(92), '/').rpartition('/')[2]}'"
    if re.match(r"(git|hg|svn|bzr)\+|[./~]|(file|https?):", text):
        return f"{text} does not say its project's name: write it as 'project @ {text}'"
    return None


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    r"""Lines without comments, joined where one ends in a backslash, each with the number of its first."""
    pending, first = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        first = first if pending else number
        line = re.sub(r"(^|\s+)#.*$", "", raw)
        if line.endswith("\\"):
            pending += line[:-1]
            continue
        if complete := (pending + line).strip():
            yield first, complete
        pending = ""
    if pending.strip():
        yield first, pending.strip()


def _project_dependencies(document: dict[str, Any], extras: tuple[str, ...]) -> Iterator[str]:
    """PEP 621's dependencies and those of ``extras``, which may name other extras of the same project."""
    project = document.get("project", {})
    dynamic = {"dependencies", "optional-dependencies"} & set(project.get("dynamic", ()))
    if dynamic:
        raise ValueError(f"{' and '.join(sorted(dynamic))} are dynamic: only building the project would tell")
    if not project and extras:
        raise ValueError("there is no [project] table, so there are no extras")
    yield from project.get("dependencies", ())
    offered = {canonicalize_name(name): entries for name, entries in project.get("optional-dependencies", {}).items()}
    yield from _extra_dependencies(canonicalize_name(project.get("name", "")), offered, [canonicalize_name(extra) for extra in extras])


def _extra_dependencies(project: str, offered: dict[Any, list[str]], wanted: list[Any]) -> Iterator[str]:
    seen: set[str] = set()
    while wanted:
        extra = wanted.pop()
        if extra in seen:
            continue
        seen.add(extra)
        if extra not in offered:
            raise ValueError(f"there is no extra {extra!r} among {', '.join(sorted(offered)) or 'none'}")
        for text in offered[extra]:
            requirement = Requirement(text)
            if canonicalize_name(requirement.name) == project:
                wanted.extend(canonicalize_name(name) for name in requirement.extras)
            else:
                yield text


def _group_dependencies(document: dict[str, Any], groups: tuple[str, ...]) -> Iterator[str]:
    """PEP 735's groups, with those that they include."""
    resolver = DependencyGroupResolver(document.get("dependency-groups", {}))
    for group in groups:
        try:
            yield from map(str, resolver.resolve(group))
        except ExceptionGroup as problems:
            raise ValueError(f"dependency group {group!r}: {'; '.join(map(str, problems.exceptions))}") from problems
