"""Strictness costs honest users nothing: what the strict check says of the newest wheels of the most downloaded projects."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from tests.data import DATA
from wheelhouse_builder.adapters.index import IndexClient, IndexFile, is_absent
from wheelhouse_builder.errors import IndexFailure
from wheelhouse_builder.runtime.wheel import wheel_problems

INDEX = "https://pypi.org/simple"
PROJECTS, AT_ONCE = 300, 4
SYSTEMS = (
    r"(any|(many)?linux.*_x86_64)", r"manylinux.*_aarch64", r"musllinux.*_x86_64",
    r"win32", r"win_amd64", r"win_arm64",
    r"macosx_.*_x86_64", r"macosx_.*_(arm64|universal2)",
)  # fmt: skip
"""Platform tags, as regular expressions: one wheel is looked at for each."""
REFUSED = {
    "playwright-": "py3-none-any",
    # The last ones for a platform that these projects no longer serve, or not with such wheels:
    "PyNaCl-1.4.0-cp35-abi3-macosx": "cp35-abi3-macosx_10_9_x86_64",
    "greenlet-3.0.0-cp310-universal2-macosx": "none",
    "grpcio-1.51.1-cp311-cp311-macosx": "cp311-cp311-macosx_10_10_universal2",
    "grpcio_tools-1.51.1-cp311-cp311-macosx": "cp311-cp311-macosx_10_10_universal2",
}
"""How the names of the wheels begin that are refused, and the reason: the tags in WHEEL, which are not those of the file name."""
ALSO = ("playwright",)
"""Looked at for its defect, though it is not among the first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """A wheel that was looked at."""

    project: str
    filename: str
    size: int
    problems: list[str]

    @property
    def tags(self) -> str:
        """Each one, sorted."""
        return " ".join(sorted(map(str, parse_wheel_filename(self.filename)[3])))

    @property
    def platform(self) -> str:
        return self.filename.removesuffix(".whl").rpartition("-")[2]


@pytest.mark.slow
@pytest.mark.network
def test_of_the_newest_wheels_of_three_hundred_projects_none_is_refused_but_those_named_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [canonicalize_name(name) for name in [*(DATA / "top-1000-projects.txt").read_text().split()[:PROJECTS], *ALSO]]
    with IndexClient() as client, ThreadPoolExecutor(AT_ONCE) as threads:
        tried = [each for found in threads.map(lambda name: list(looked_at(client, name, tmp_path)), names) for each in found]
    with capsys.disabled():
        print("\n" + report(tried))  # noqa: T201 # this is what the test is for
    assert len({each.project for each in tried}) >= PROJECTS - 10  # some of the list have left the index, or publish no wheel
    assert {each.filename: each.problems for each in tried if each.problems} == expected(tried)
    assert not list(tmp_path.iterdir())


def expected(tried: list[Tried]) -> dict[str, list[str]]:
    """What is refused of ``tried``, with the reason. What a project mends has to leave the list."""
    return {
        each.filename: [f"WHEEL has the tags {tags}, the file name has {each.tags}"]
        for each in tried
        for beginning, tags in REFUSED.items()
        if each.filename.startswith(beginning)
    }


def looked_at(client: IndexClient, project: str, directory: Path) -> Iterator[Tried]:
    """The project's newest wheels, each fetched, looked at and thrown away."""
    for file in newest(client, project):
        path = directory / file.filename
        try:
            client.download(file.url, Arriving(path))
            with path.open("rb") as wheel:
                assert hashlib.file_digest(wheel, "sha256").hexdigest() == file.hashes["sha256"], file.filename
                problems = wheel_problems(wheel, file.filename)
            yield Tried(project=project, filename=file.filename, size=path.stat().st_size, problems=problems)
        finally:
            path.unlink(missing_ok=True)


def newest(client: IndexClient, project: str) -> list[IndexFile]:
    """For each platform the wheel of the newest version that has one, of the newest Python where there are several."""
    try:
        wheels = [(version, file) for file in client.files(INDEX, project) if (version := version_of(file))]
    except IndexFailure as failure:
        if not is_absent(failure):
            raise
        return []
    found = {}
    for pattern in SYSTEMS:
        fitting = [wheel for wheel in wheels if re.search(rf"[-.]{pattern}\.whl$", wheel[1].filename)]
        if fitting:
            best = max(fitting, key=lambda wheel: (wheel[0], python_of(wheel[1].filename)))[1]
            found[best.filename] = best
    return list(found.values())


def version_of(file: IndexFile) -> Version | None:
    """None: it is no wheel, was yanked, or is a pre-release."""
    try:
        version = parse_wheel_filename(file.filename)[1]
    except InvalidWheelFilename:
        return None
    return None if file.yanked or version.is_prerelease else version


def python_of(filename: str) -> int:
    """The newest minor version of CPython 3 that the file name has; 0 where it has none."""
    return max((int(minor) for minor in re.findall(r"cp3(\d+)", filename.split("-")[-3])), default=0)


class Arriving:
    """A file that is written to the disk as it comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.restart()

    def expect(self, size: int) -> None:
        pass

    def write(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)
        self.size += len(data)

    def restart(self) -> None:
        self.path.write_bytes(b"")
        self.size = 0


def report(tried: list[Tried]) -> str:
    systems = Counter(re.sub(r"\d.*", "", each.platform.rpartition(".")[2]) for each in tried)
    refused = [each for each in tried if each.problems]
    lines = [f"{len(tried)} wheels of {len({each.project for each in tried})} projects, {sum(each.size for each in tried) / 1e9:.1f} GB"]
    lines += [f"  {count:5} {system.rstrip('_')}" for system, count in systems.most_common()]
    lines += [f"{len(refused)} refused", *(f"  {each.filename}: {problem}" for each in refused for problem in each.problems)]
    return "\n".join(lines)
