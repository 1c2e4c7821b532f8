"""A thousand real wheels of many build tools are taken apart and come together bit for bit."""

from __future__ import annotations

import hashlib
import itertools
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from tests.data import DATA
from wheelhouse_builder.adapters.index import IndexClient, IndexFile
from wheelhouse_builder.errors import IndexFailure
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.pack.crew import Crew
from wheelhouse_builder.pack.members import Anatomy, take_apart
from wheelhouse_builder.pack.streams import Streams
from wheelhouse_builder.runtime.skeleton import VERBATIM

INDEX = "https://pypi.org/simple"
WHEELS, PROJECTS = 1000, 300
EACH = 3
"""At most so many wheels of one project, each of another tag."""
LARGEST = 6_000_000
"""Bytes. The way in which a tool deflates shows in small wheels too, and the test stays within minutes."""


@pytest.mark.slow
@pytest.mark.network
def test_a_thousand_real_wheels_are_rebuilt_bit_for_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheels = list(itertools.islice(real_wheels(tmp_path), WHEELS))
    with Crew() as crew:
        known = Streams()
        anatomies = list(crew.each(lambda wheel: take_apart(wheel, unheard, known), wheels, weight=lambda wheel: wheel.size))
    with capsys.disabled():
        print("\n" + report(anatomies))  # noqa: T201 # this is what the test is for
    assert len(anatomies) == WHEELS
    assert len({anatomy.wheel.project for anatomy in anatomies}) >= PROJECTS
    whole = [anatomy.wheel.filename for anatomy in anatomies if is_whole(anatomy)]
    assert not whole, "carried whole, because its members do not make it again"


def real_wheels(directory: Path) -> Iterator[Wheel]:
    """Wheels of the most downloaded projects, the newest first."""
    projects = (DATA / "top-1000-projects.txt").read_text().split()
    with IndexClient() as client, httpx.Client(follow_redirects=True, timeout=60) as http, ThreadPoolExecutor(8) as threads:
        for start in range(0, len(projects), 50):  # so that we stop asking when there is enough
            for found in threads.map(lambda project: wheels_of(project, client, http, directory), projects[start : start + 50]):
                yield from found


def wheels_of(project: str, client: IndexClient, http: httpx.Client, directory: Path) -> list[Wheel]:
    try:
        files = client.files(INDEX, canonicalize_name(project))
    except IndexFailure:  # a project may have left the index since the list was made
        return []
    fetched = (fetched_wheel(file, http, directory) for file in newest_first(files))
    return list(itertools.islice((wheel for wheel in fetched if wheel), EACH))


def newest_first(files: tuple[IndexFile, ...]) -> list[IndexFile]:
    """The newest wheel for each platform, so that one project shows several build tools."""
    best: dict[str, tuple[Version, IndexFile]] = {}
    for file in files:
        try:
            version = parse_wheel_filename(file.filename)[1]
        except (ValueError, InvalidVersion):
            continue
        platform = re.sub(r"\d+", "", file.filename.rsplit("-", 1)[-1])
        if platform not in best or best[platform][0] < version:
            best[platform] = (version, file)
    return [file for _, file in sorted(best.values(), key=lambda item: item[0], reverse=True)][: 2 * EACH]


def fetched_wheel(file: IndexFile, http: httpx.Client, directory: Path) -> Wheel | None:
    """The file in ``directory``, unless it is too large."""
    with http.stream("GET", file.url) as answer:
        if answer.status_code != httpx.codes.OK or int(answer.headers.get("content-length", 0)) > LARGEST:
            return None
        data = answer.read()
    path = directory / file.filename
    path.write_bytes(data)
    project, version, _, _ = parse_wheel_filename(file.filename)
    digest = hashlib.sha256(data).hexdigest()
    return Wheel(project=project, version=version, filename=file.filename, sha256=digest, size=len(data), path=path, url=file.url)


def is_whole(anatomy: Anatomy) -> bool:
    return len(anatomy.parts) == 1 and anatomy.parts[0].content.path == anatomy.wheel.filename


def report(anatomies: list[Anatomy]) -> str:
    """By build tool: wheels, their bytes, and the shares of bytes that travel raw and as the deflate stream that they were."""
    wheels: Counter[str] = Counter()
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    for anatomy in anatomies:
        for tool in (generator(anatomy.wheel.path), "all"):
            wheels[tool] += 1
            sizes[tool]["whole"] += is_whole(anatomy)
            for part in anatomy.parts:
                sizes[tool]["verbatim" if part.method == VERBATIM else "raw"] += part.content.size
    projects = len({anatomy.wheel.project for anatomy in anatomies})
    lines = [
        f"{len(anatomies)} wheels of {projects} projects",
        f"{'build tool':24}{'wheels':>8}{'whole':>8}{'raw MB':>10}{'verbatim MB':>13}{'verbatim':>10}",
    ]
    for tool, count in wheels.most_common():
        raw, verbatim = sizes[tool]["raw"], sizes[tool]["verbatim"]
        share = verbatim / (raw + verbatim or 1)
        lines.append(f"{tool:24}{count:8}{sizes[tool]['whole']:8}{raw / 1e6:10.1f}{verbatim / 1e6:13.1f}{share:10.1%}")
    return "\n".join(lines)


def generator(path: Path) -> str:
    """The name of the tool that wrote WHEEL, without its version."""
    with zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.endswith(".dist-info/WHEEL")), None)
        text = archive.read(name).decode(errors="replace") if name else ""
    found = re.search(r"^Generator:\s*([A-Za-z_-]+)", text, re.MULTILINE)
    return found.group(1) if found else "unknown"


def unheard(amount: int) -> None:
    """A pulse that nobody listens to."""
