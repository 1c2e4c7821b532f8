"""pip-tools as the resolver: one run of ``pip-compile``, in a process that takes the host for the target, answers for one target.

It knows every target that has tags and markers, so it answers for those that uv has no name for. It is slower: where an index does not
publish metadata, pip fetches whole wheels to look into them. It decides on versions alone; the files come from our own reading of the
index, so that they are chosen as always.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging.pylock import Package, PackageArchive, PackageWheel, Pylock
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from wheelhouse_builder.adapters.index import IndexFile
from wheelhouse_builder.adapters.process import Finished, Runner
from wheelhouse_builder.errors import EnvironmentFailure, IndexFailure, ResolutionError
from wheelhouse_builder.resolve.engine import Answer, Question, Unsolvable, login_of, with_yanked, write_promised
from wheelhouse_builder.resolve.shelf import Shelf

CHILD = Path(__file__).with_name("piptools_child.py")
CREATED_BY = "pip-tools"
REQUIREMENTS, CONSTRAINTS, ANSWER, PROMISED = "requirements.in", "constraints.txt", "requirements.txt", "promised"


@dataclass(frozen=True, kw_only=True, slots=True)
class PipTools:
    """pip-tools, which keeps what it learns in ``cache`` and sees no configuration but ours; files are looked up on ``shelf``."""

    runner: Runner
    cache: Path
    shelf: Shelf

    def answer(self, question: Question) -> Answer:
        """See :class:`~wheelhouse_builder.resolve.engine.Engine`."""
        return self._with_dependencies(question) if question.dependencies else self._alone(question)

    def _with_dependencies(self, question: Question) -> Answer:
        with TemporaryDirectory(prefix="wheelhouse-") as scratch:
            folder = Path(scratch)
            _write_inputs(question, self.cache, folder)
            # -P: the child's own folder is no place to import from; PYTHON* variables do not reach it.
            command = [sys.executable, "-P", str(CHILD), "question.json"]
            finished = self.runner.run(command, env=_environment(question), cwd=folder)
        said = _read_child(finished)
        match said:
            case {"pins": list() as pins}:
                return self._pylock([Requirement(str(pin)) for pin in pins])
            case {"unsolvable": list() as reasons, "suspects": list() as suspects}:
                named = dict.fromkeys(canonicalize_name(str(project)) for project in suspects)
                return Unsolvable(explanation=tuple(_explanation(map(str, reasons), question)), suspects=tuple(named))
            case {"index": problem}:
                raise IndexFailure(f"pip: {problem}", hint="is the URL right, does it want credentials, is the network up?")
            case _:
                raise _broken(f"it answered {said}")

    def _alone(self, question: Question) -> Answer:
        """Without dependencies there is nothing to resolve: the newest release that fits is the answer."""
        pins = []
        for wanted in map(Requirement, question.requirements):
            project = canonicalize_name(wanted.name)
            fitting = set(self.shelf.fitting(project, question.target)) - {version for name, version in question.refused if name == project}
            allowed = list(wanted.specifier.filter(sorted(fitting)))
            if not allowed:
                return Unsolvable(explanation=(f"{wanted}: no release has a wheel",), suspects=(project,))
            pins.append(Requirement(f"{project}=={allowed[-1]}"))
        return self._pylock(pins)

    def _pylock(self, pins: Iterable[Requirement]) -> Pylock:
        pins = list(pins)
        packages = [self._archive(pin) if pin.url else self._release(pin) for pin in pins]
        pylock = Pylock(lock_version=Version("1.0"), created_by=CREATED_BY, packages=sorted(packages, key=lambda package: package.name))
        return with_yanked(pylock, {pin.name: file.yanked_reason for pin in pins for file in self._files(pin) if file.yanked})

    def _files(self, pin: Requirement) -> list[IndexFile]:
        """The wheels of the release that is pinned; none of a file at a URL."""
        return [] if pin.url else self.shelf.wheels(canonicalize_name(pin.name), Version(next(iter(pin.specifier)).version))

    def _release(self, pin: Requirement) -> Package:
        project = canonicalize_name(pin.name)
        version = Version(next(iter(pin.specifier)).version)
        wheels = [
            PackageWheel(name=file.filename, url=file.url, size=file.size, upload_time=file.uploaded, hashes=dict(file.hashes))
            for file in self._files(pin)
            if file.hashes
        ]
        return Package(name=project, version=version, wheels=wheels or None)

    def _archive(self, pin: Requirement) -> Package:
        url, _, fragment = str(pin.url).partition("#")
        algorithm, _, digest = fragment.partition("=")
        if algorithm != "sha256":
            raise ResolutionError(
                f"{pin.name} is named by its URL {url}, but not by its digest", hint=f"write it as {pin.name} @ {url}#sha256=…"
            )
        return Package(name=canonicalize_name(pin.name), archive=PackageArchive(url=url, hashes={"sha256": digest}))


def _write_inputs(question: Question, cache: Path, folder: Path) -> None:
    """Write the question into ``folder``."""
    refused = [f"{project}!={version}" for project, version in sorted(question.refused)]
    files: dict[str, Iterable[str]] = {
        REQUIREMENTS: _asked(question),
        CONSTRAINTS: [*map(_bare, question.constraints), *refused],
        ANSWER: _pins(question.preferred),
    }
    for name, lines in files.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    write_promised(question, folder / PROMISED)
    document = {
        "environment": dict(question.target.environment),
        "tags": list(map(str, question.target.tags)),
        "index": question.index.url,
        "overrides": list(map(_bare, question.overrides)),
        "excluded": sorted(question.excluded),
        "cache": str(cache),
        "requirements": REQUIREMENTS,
        "constraints": CONSTRAINTS,
        "answer": ANSWER,
        "links": PROMISED,
    }
    (folder / "question.json").write_text(json.dumps(document), encoding="utf-8")


def _asked(question: Question) -> list[str]:
    """The requirements, without what is excluded, and in place of those on overridden projects what overrides them.

    And without hashes, which make pip ask for those of everything; the wheels that we choose are held against them.
    """
    overrides: dict[NormalizedName, list[str]] = {}
    for text in map(_bare, question.overrides):
        overrides.setdefault(_project(text), []).append(text)
    bare = [text for text in map(_bare, question.requirements) if _project(text) not in question.excluded]
    return list(dict.fromkeys(chain.from_iterable(overrides.get(_project(text), [text]) for text in bare)))


def _project(line: str) -> NormalizedName:
    return canonicalize_name(Requirement(line).name)


def _bare(line: str) -> str:
    return line.partition(" --hash=")[0]


def _pins(preferred: Pylock | None) -> Iterator[str]:
    for package in preferred.packages if preferred else ():
        if package.version is not None and package.archive is None:
            yield f"{package.name}=={package.version}"


def _environment(question: Question) -> Mapping[str, str]:
    """Return what the child must see besides the clean environment. Raises EnvironmentFailure when a variable is not set."""
    login = login_of(question)
    credentials = {"WHEELHOUSE_INDEX_USER": login.user, "WHEELHOUSE_INDEX_PASSWORD": login.password} if login else {}
    return {"PIP_CONFIG_FILE": os.devnull, **credentials}


def _read_child(finished: Finished) -> Mapping[str, Any]:
    try:
        document = json.loads(finished.stdout)
    except ValueError:
        document = None
    if finished.returncode != 0 or not isinstance(document, dict):
        raise _broken(finished.stderr.strip().rpartition("\n")[2] or f"exit code {finished.returncode}")
    return document


def _explanation(reasons: Iterable[str], question: Question) -> Iterator[str]:
    """The reasons of pip without its advice, with the requirements that it numbers, and of each list of versions the newest ones."""
    asked = _asked(question)
    for reason in reasons:
        if reason.startswith(("Additionally,", "To fix this")):
            return
        text = re.sub(r"-r requirements\.in \(line (\d+)\)", lambda match: asked[int(match[1]) - 1], reason)
        yield re.sub(r"\(from versions: .*?((?:[^,()]+, ){0,4}[^,()]+)\)", lambda match: f"(versions: … {match[1].strip()})", text)


def _broken(problem: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"pip-tools does not work as it must: {problem}",
        hint="pip install --upgrade wheelhouse-builder: it names the pip and pip-tools it needs",
    )
