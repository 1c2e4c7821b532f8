"""A process of its own in which pip-tools sees the index as another Python on another platform.

Started by :mod:`~wheelhouse_builder.resolve.piptools` as ``python -P piptools_child.py question.json``, in a folder that holds the
question's files; nothing imports it. It prints one JSON document: ``{"pins": [line, …]}``, ``{"index": problem}``, or
``{"unsolvable": [reason, …], "suspects": [project, …]}``.

pip has options for a foreign target, but with them it still evaluates markers on the host, takes the host for the Python that
Requires-Python means, and does not expand platform tags. So its own ideas of these are replaced here, at names that are private to
pip: hence the narrow ranges of pip and pip-tools in pyproject.toml. When a name is gone, this process ends with that error.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from packaging import markers
from pip._internal.exceptions import (
    ConnectionFailedError,
    ConnectionTimeoutError,
    NetworkConnectionError,
    PipError,
    ProxyConnectionError,
    SSLVerificationError,
)
from pip._internal.index import collector
from pip._internal.metadata.importlib import Distribution
from pip._internal.models.target_python import TargetPython
from pip._internal.resolution.resolvelib import factory
from pip._internal.resolution.resolvelib.candidates import RequiresPythonCandidate
from pip._internal.utils.misc import redact_auth_from_url
from pip._vendor.packaging import markers as vendored_markers
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.tags import Tag
from pip._vendor.packaging.utils import canonicalize_name
from piptools.scripts.compile import cli

_EXTRA = re.compile(r'extra == "([^"]*)"')


class IndexTrouble(Exception):
    """An index did not answer as one must. pip itself would go on as if it had no such project."""


def become(environment: dict[str, str], tags: Iterable[str]) -> None:
    """Let everything in this process take the host for the target."""
    for module in (markers, vendored_markers):
        _replace(module, "default_environment", lambda: dict(environment))
    version = tuple(int(part) for part in environment["python_full_version"].split("."))
    accepted = [Tag(*tag.split("-")) for tag in tags]
    first_init, first_python = TargetPython.__init__, RequiresPythonCandidate.__init__

    def init(self: Any, *_: object, **__: object) -> None:
        first_init(self, py_version_info=version)
        self._valid_tags, self._valid_tags_set = accepted, set(accepted)

    _replace(TargetPython, "__init__", init)
    _replace(RequiresPythonCandidate, "__init__", lambda self, _: first_python(self, version))


def override(lines: Iterable[str]) -> None:
    """Let each wheel that depends on an overridden project, on whatever target, ask for what overrides that, where its marker holds."""
    instead: dict[str, list[Requirement]] = {}
    for each in map(Requirement, lines):
        instead.setdefault(canonicalize_name(each.name), []).append(each)
    first = Distribution.iter_dependencies

    def dependencies(self: Any, extras: Collection[str] = ()) -> Iterator[Requirement]:
        yield from (requirement for requirement in first(self, extras) if canonicalize_name(requirement.name) not in instead)
        for requirement in map(Requirement, self.metadata.get_all("Requires-Dist", [])):
            for each in instead.get(canonicalize_name(requirement.name), ()) if _of_extras(requirement, extras) else ():
                if each.marker is None or each.marker.evaluate():
                    yield each

    _replace(Distribution, "iter_dependencies", dependencies)


def _of_extras(requirement: Requirement, extras: Collection[str]) -> bool:
    """Whether it is there for one of ``extras``, or for none in particular."""
    named = _EXTRA.findall(str(requirement.marker))
    return not named or not {canonicalize_name(extra) for extra in named}.isdisjoint(map(canonicalize_name, extras))


def leave_out(excluded: Collection[str]) -> None:
    """Let no wheel depend on the excluded projects."""
    first = Distribution.iter_dependencies

    def dependencies(self: Any, extras: Collection[str] = ()) -> Iterator[Requirement]:
        return (requirement for requirement in first(self, extras) if canonicalize_name(requirement.name) not in excluded)

    _replace(Distribution, "iter_dependencies", dependencies)


def heed_failures() -> None:
    """Let an index that fails be a failure; only a page that is not there means that there is no such project."""

    def fail(link: Any, reason: object, meth: object = None) -> None:  # noqa: ARG001 # pip calls it so
        status = getattr(getattr(reason, "response", None), "status_code", None)
        if status not in (404, 410):
            raise IndexTrouble(f"{redact_auth_from_url(link.url_without_fragment)}: {reason}")

    _replace(collector, "_handle_get_simple_fail", fail)


def _replace(owner: Any, name: str, value: object) -> None:
    """Set an attribute that must be there already. Raises AttributeError."""
    getattr(owner, name)
    setattr(owner, name, value)


def with_login(url: str) -> str:
    """The URL of the index, with the credentials that stand in the environment: they are in no command line."""
    password = os.environ.get("WHEELHOUSE_INDEX_PASSWORD")
    if password is None:
        return url
    parts = urlsplit(url)
    login = f"{quote(os.environ['WHEELHOUSE_INDEX_USER'], safe='')}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))


def compile_pins(question: dict[str, Any]) -> list[str]:
    """Run pip-compile; the lines of its answer. Raises what pip and pip-tools raise."""
    url = with_login(question["index"])
    trusted = [f"--trusted-host={urlsplit(url).hostname}"] if url.startswith("http:") else []
    arguments = [
        *("--no-config", "--quiet", "--allow-unsafe", "--strip-extras", "--no-header", "--no-annotate", "--newline=lf"),
        *("--no-emit-index-url", "--no-emit-options", "--no-emit-trusted-host", "--max-rounds=50"),
        *("--cache-dir", question["cache"], "--index-url", url, *trusted, "--find-links", question["links"]),
        *("--pip-args", "--only-binary=:all: --no-input --disable-pip-version-check"),
        *("--constraint", question["constraints"], "--output-file", question["answer"], question["requirements"]),
    ]
    cli.main(arguments, prog_name="pip-compile", standalone_mode=False)
    with open(question["answer"], encoding="utf-8") as answer:  # noqa: PTH123 # one line says it all
        return [line.strip() for line in answer if line.strip() and not line.startswith(("#", "-"))]


def suspects(error: BaseException, said: Iterable[str]) -> list[str]:
    """Projects of which pip says that nothing fits, and those whose requirements meet in a conflict."""
    causes = getattr(error.__cause__, "causes", ())
    named = (line.partition(" satisfies the requirement ")[2] for line in said)
    return list(dict.fromkeys([*(cause.requirement.project_name for cause in causes), *(_project(text) for text in named if text)]))


def _project(text: str) -> str:
    try:
        return str(Requirement(text.partition(" (from")[0]).name)
    except InvalidRequirement:
        return text.split(maxsplit=1)[0]


class _Reasons(logging.Handler):
    """What pip gives as the reasons of its failure."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += [line for line in record.getMessage().splitlines() if line.strip()]


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The JSON document for ``question``."""
    become(question["environment"], question["tags"])
    override(question["overrides"])
    leave_out(frozenset(question["excluded"]))
    heed_failures()
    reasons = _Reasons()
    factory.logger.addHandler(reasons)
    factory.logger.setLevel(logging.INFO)
    try:
        return {"pins": compile_pins(question)}
    except (
        IndexTrouble,
        ConnectionFailedError,
        ConnectionTimeoutError,
        NetworkConnectionError,
        ProxyConnectionError,
        SSLVerificationError,
    ) as error:
        return {"index": str(error)}
    except PipError as error:
        return {"unsolvable": reasons.lines or str(error).splitlines(), "suspects": suspects(error, reasons.lines)}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123 # as above
        sys.stdout.write(json.dumps(answer(json.load(file))))
