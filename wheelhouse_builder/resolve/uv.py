"""uv as the resolver: one run of ``uv pip compile`` answers for one target."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import tomli_w
import uv
from packaging.pylock import Pylock, PylockValidationError
from packaging.utils import NormalizedName, canonicalize_name

from wheelhouse_builder.adapters.process import Finished, Runner
from wheelhouse_builder.errors import EnvironmentFailure, IndexFailure
from wheelhouse_builder.model.facts import MinorVersion
from wheelhouse_builder.model.platform import Platform, parse_platform
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve.engine import Answer, Question, Unsolvable, login_of, with_yanked, write_promised

GLIBC_STEPS = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)
"""Minor versions of glibc 2 that uv has a name for.

Between two of them we take the higher one, and our own tags refuse what is too new: so no release is overlooked. Beyond the last one, a
release that has nothing but wheels for a newer glibc is overlooked; pip-tools finds it.
"""
OLDEST_MUSL = (1, 2)
"""uv takes every musl for this one or a later one."""
INDEX_NAME = "wheelhouse"
"""What we call the index, so that credentials reach uv by environment, not by a command line that others can read."""
PROMISED = "promised"
"""Folder of the wheels that are not there yet."""
YANKED = re.compile(r'^warning: `([^`=]+)==[^`]+` is yanked(?: \(reason: "(.*)"\))?$', re.MULTILINE)
LACKS_WHEEL = re.compile(r"Wheels are (?:required|available) for `([^`]+)`|only found wheels for `([^`]+)`")

NETWORK_TROUBLE = (
    "error sending request",
    "Request failed after",
    "Failed to fetch",
    "HTTP status",
    "error decoding response",
    "timed out",
)
CREDENTIAL_TROUBLE = re.compile(r"\b(401|403)\b|Unauthorized|Forbidden|[Mm]issing credentials|authentication credentials")


@dataclass(frozen=True, kw_only=True, slots=True)
class Uv:
    """uv, which keeps what it learns in ``cache`` and sees no configuration but ours. Ask it for targets that it :func:`describes`."""

    runner: Runner
    cache: Path
    program: str = field(default_factory=uv.find_uv_bin)
    """Found once, not in every thread: on older Pythons sysconfig's first use is not safe among threads."""

    def answer(self, question: Question) -> Answer:
        """See :class:`~wheelhouse_builder.resolve.engine.Engine`."""
        with TemporaryDirectory(prefix="wheelhouse-") as scratch:
            folder = Path(scratch)
            arguments = list(_write_inputs(question, folder))
            finished = self.runner.run([*self._command(question, folder), *arguments], env=_environment(question), cwd=folder)
            if finished.returncode == 0:
                answer = _read_answer((folder / "pylock.answer.toml").read_text(encoding="utf-8"))
                return with_yanked(answer, {match[1]: match[2] or "" for match in YANKED.finditer(finished.stderr)})
            return _read_refusal(finished, question, folder)

    def _command(self, question: Question, folder: Path) -> list[str]:
        return [
            *(self.program, "pip", "compile", "--no-config", "--color", "never", "--no-progress"),
            *("--cache-dir", str(self.cache)),
            *("--python", sys.executable, "--no-python-downloads"),
            *("--python-version", str(question.target.markers["python_full_version"])),
            *("--python-platform", str(_python_platform(question.target))),
            *("--no-build", "--no-sources", *(() if question.dependencies else ("--no-deps",))),
            *("--default-index", f"{INDEX_NAME}={question.index.url}"),
            *("--format", "pylock.toml", "--output-file", str(folder / "pylock.answer.toml")),
        ]


def describes(target: Target) -> bool:
    """Whether uv has a name for the platform, the Python and the ABI of ``target``, one that promises no more than the target has."""
    return _python_platform(target) is not None


def _python_platform(target: Target) -> str | None:
    platform = parse_platform(target.platforms[0])
    if not isinstance(platform, Platform) or not target.interpreter.startswith("cp3") or target.abi.endswith("t"):
        return None
    return _platform_name(platform)


def _platform_name(platform: Platform) -> str | None:
    match platform.system, platform.machine:
        case "manylinux", ("x86_64" | "aarch64") as machine if platform.version[1] >= GLIBC_STEPS[0]:
            return f"{machine}-manylinux_2_{_glibc_step(platform.version)}"
        case "musllinux", ("x86_64" | "aarch64") as machine if platform.version >= OLDEST_MUSL:
            return f"{machine}-unknown-linux-musl"
        case "macosx", machine:
            return {"arm64": "aarch64", "x86_64": "x86_64"}[machine] + "-apple-darwin"
        case "win", machine:
            return {"AMD64": "x86_64", "ARM64": "aarch64", "x86": "i686"}[machine] + "-pc-windows-msvc"
    return None


def _glibc_step(version: MinorVersion) -> int:
    return min((step for step in GLIBC_STEPS if step >= version[1]), default=GLIBC_STEPS[-1])


def _environment(question: Question) -> dict[str, str]:
    """Return what uv must see besides the clean environment: the oldest macOS that counts, and credentials."""
    platform = parse_platform(question.target.platforms[0])
    floor = (
        {"MACOSX_DEPLOYMENT_TARGET": "{}.{}".format(*platform.version)}
        if isinstance(platform, Platform) and platform.system == "macosx"
        else {}
    )
    return floor | _credentials(question)


def _credentials(question: Question) -> dict[str, str]:
    login = login_of(question)
    name = f"UV_INDEX_{INDEX_NAME.upper()}"
    return {f"{name}_USERNAME": login.user, f"{name}_PASSWORD": login.password} if login else {}


def _write_inputs(question: Question, folder: Path) -> Iterator[str]:
    """Write the question into ``folder``, as files that hold one line each for what is asked; yield the arguments that name them."""
    constraints = [*question.constraints, *(f"{project}!={version}" for project, version in sorted(question.refused))]
    files = {
        "requirements.in": ((), question.requirements),
        "constraints.txt": (("--constraints",), constraints),
        "overrides.txt": (("--overrides",), question.overrides),
        "excluded.txt": (("--excludes",), sorted(question.excluded)),
    }
    for name, (option, lines) in files.items():
        path = folder / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        yield from (*option, str(path))
    if question.promised:
        write_promised(question, folder / PROMISED)
        yield from ("--find-links", str(folder / PROMISED))
    if question.preferred is not None:
        (folder / "pylock.answer.toml").write_text(tomli_w.dumps(dict(question.preferred.to_dict())), encoding="utf-8")


def _read_answer(text: str) -> Pylock:
    """Read uv's lock, without credentials that an index may have put into its URLs; a wheel in a folder has a file: URL as others have."""
    try:
        return Pylock.from_dict(_with_file_urls(_without_credentials(tomllib.loads(text))))
    except (tomllib.TOMLDecodeError, PylockValidationError) as error:
        raise EnvironmentFailure(f"uv wrote a lock that cannot be read: {error}", hint="pip install --upgrade uv") from error


def _with_file_urls(document: dict[str, Any]) -> dict[str, Any]:
    for package in document.get("packages", ()):
        for file in (package.get("archive", {}), *package.get("wheels", ())):
            if "path" in file:
                file["url"] = Path(file.pop("path")).as_uri()
    return document


def _without_credentials(value: Any) -> Any:
    match value:
        case dict():
            return {key: _public_url(entry) if key in {"url", "index"} else _without_credentials(entry) for key, entry in value.items()}
        case list():
            return [_without_credentials(entry) for entry in value]
        case _:
            return value


def _public_url(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _read_refusal(finished: Finished, question: Question, folder: Path) -> Unsolvable:
    text = _readable(finished.stderr, folder)
    if "No solution found" in text and not CREDENTIAL_TROUBLE.search(text):
        return Unsolvable(explanation=_explanation(text), suspects=tuple(_suspects(text)))
    if CREDENTIAL_TROUBLE.search(text):
        raise IndexFailure(
            f"{question.index.url} wants credentials, or other ones: {_first_line(text)}",
            hint="name the variables that hold them under index: in the spec, or put them into ~/.netrc",
        )
    if any(trouble in text for trouble in NETWORK_TROUBLE):
        raise IndexFailure(
            f"{question.index.url} cannot be reached: {_deepest_cause(text)}", hint="is the URL right, is there a proxy, is the network up?"
        )
    if finished.returncode == 1 and text:
        return Unsolvable(explanation=_explanation(text), suspects=tuple(_suspects(text)))
    raise EnvironmentFailure(
        f"uv failed with exit code {finished.returncode}: {text or 'without a word'}", hint="does `uv --version` work on this host?"
    )


def _readable(text: str, folder: Path) -> str:
    """What uv says, without warnings, and without the names of files that are gone by now."""
    lines = [line for line in text.replace(f"{folder}{os.sep}", "").splitlines() if not line.startswith("warning:")]
    return "\n".join(lines).strip()


def _explanation(text: str) -> tuple[str, ...]:
    """The chain of reasons, without uv's headline, margin and blank lines."""
    lines = [re.sub(r"^( {9}|  cause: |error: )", "", line) for line in text.splitlines()]
    return tuple(line for line in lines if line and not line.startswith("No solution found"))


def _suspects(text: str) -> Iterator[NormalizedName]:
    yield from dict.fromkeys(canonicalize_name(first or second) for first, second in LACKS_WHEEL.findall(text))


def _first_line(text: str) -> str:
    """The line that tells of the credentials."""
    return next((line.strip().removeprefix("hint: ") for line in text.splitlines() if CREDENTIAL_TROUBLE.search(line)), text)


def _deepest_cause(text: str) -> str:
    lines = [re.sub(r"^\s*(error|cause): ", "", line) for line in text.splitlines() if line.strip() and not line.startswith("hint:")]
    return lines[-1]
