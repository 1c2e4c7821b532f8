"""Sets with many markers, target by target: what is locked is what pip itself would install there, and elsewhere what uv says.

Where a target can be run here, pip resolves in that very interpreter; of each project the file has to be the same, not the version alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import uv

from tests.support.cli import environment
from tests.support.pythons import cpythons
from wheelhouse_builder.adapters.index import IndexClient
from wheelhouse_builder.adapters.interpreters import probed_by
from wheelhouse_builder.adapters.process import Processes
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.fetch import fetch
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.probed import probed_target
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.resolve import Requirements, resolve

pytestmark = [pytest.mark.slow, pytest.mark.network]

SETS = {
    "uvicorn": ("uvicorn[standard]",),
    "jupyterlab": ("jupyterlab",),
    "ipython": ("ipython",),
    "keyring": ("keyring",),
    "docker": ("docker",),
    "pytest": ("pytest", "pytest-xdist", "anyio[trio]"),
    "numpy": ("numpy",),
    "pandas": ("pandas", "pyarrow"),
    "sqlalchemy": ("sqlalchemy[asyncio]", "psycopg2-binary", "alembic"),
    "flask": ("flask[async]", "celery"),
    "aiohttp": ("aiohttp[speedups]",),
    "rich-click": ("click", "tqdm", "rich", "colorlog"),
    "importlib": ("importlib-metadata", "importlib-resources", "backports.tarfile; python_version >= '3.8' and python_version < '3.12'"),
    "twine": ("twine", "build"),
    "splits": ("pyinstaller", "sounddevice"),
}
"""Requirements whose closure hangs on platform, machine or Python."""

ELSEWHERE = {
    "cp312-win_amd64": "x86_64-pc-windows-msvc",
    "cp310-win_amd64": "x86_64-pc-windows-msvc",
    "cp313-macosx_14_0_arm64": "aarch64-apple-darwin",
    "cp311-macosx_14_0_x86_64": "x86_64-apple-darwin",
    "cp312-manylinux_2_28_aarch64": "aarch64-manylinux_2_28",
    "cp311-musllinux_1_2_x86_64": "x86_64-unknown-linux-musl",
}
"""Targets that cannot be run here, and uv's names for them."""

FREE_THREADED = ("cp313t-manylinux_2_28_x86_64", "cp314t-manylinux_2_28_x86_64", "cp314t-win_amd64", "cp314t-macosx_14_0_arm64")
"""Targets that uv has no name for; there pip is told their tags."""

HAS_REPORT = [version for version in cpythons() if int(version.partition(".")[2]) >= 7]
"""Pythons whose newest pip can tell what it would install; the one for 3.6 cannot."""


@pytest.fixture(scope="module")
def client() -> Iterator[IndexClient]:
    with IndexClient() as client:
        yield client


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def locked(texts: tuple[str, ...], target: Target, client: IndexClient, store: Store) -> Lock:
    (lock,) = resolve(Requirements.from_texts(*texts), [target], pages=client, cache=store.root)
    return lock


def chosen_by_pip(python: Path, pip: Path, texts: tuple[str, ...], folder: Path) -> set[str]:
    """The files that pip would install; it may choose among wheels only, as we do."""
    report = folder / "report.json"
    run = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('pip', run_name='__main__', alter_sys=True)"
    command: list[str | Path] = [
        python,
        "-I",
        "-c",
        run,
        pip,
        "install",
        "--isolated",
        "--quiet",
        "--disable-pip-version-check",
        "--dry-run",
    ]
    command += ["--ignore-installed", "--only-binary=:all:", "--report", report, *texts]
    done = subprocess.run(command, env=environment(folder.parent), capture_output=True, check=False, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())["install"]
    return {unquote(urlsplit(each["download_info"]["url"]).path.rpartition("/")[2]) for each in found}


def chosen_by_uv(name: str, target: Target, texts: tuple[str, ...], folder: Path) -> set[str]:
    """``project==version`` of what uv would install."""
    command = [uv.find_uv_bin(), "pip", "compile", "--no-config", "--quiet", "--no-build", "--no-header", "--no-annotate"]
    command += ["--python-platform", name, "--python-version", str(target.markers["python_full_version"]), "-"]
    done = subprocess.run(
        command, env=environment(folder), input="\n".join(texts), capture_output=True, check=False, encoding="utf-8", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("version", HAS_REPORT)
@pytest.mark.parametrize("name", SETS)
def test_the_files_are_those_that_pip_itself_chooses(
    name: str, version: str, client: IndexClient, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python = cpythons()[version]
    target = probed_target(probed_by(python, Processes()), name="here", where=str(python))
    lock = locked(SETS[name], target, client, store)
    (pip,) = fetch((each for each in lock.bootstrap if each.project == "pip"), store, client=client, reporter=Silent()).values()
    folder = tmp_path_factory.mktemp("pip")
    wheel = folder / pip.filename
    wheel.hardlink_to(pip.path)
    assert {each.filename for each in lock.wheels} == chosen_by_pip(python, wheel, SETS[name], folder)


@pytest.mark.parametrize("target_name", ELSEWHERE)
@pytest.mark.parametrize("name", SETS)
def test_the_versions_are_those_of_uv_where_no_pip_can_be_asked(
    name: str, target_name: str, client: IndexClient, store: Store, tmp_path: Path
) -> None:
    target = Target.parse(target_name)
    lock = locked(SETS[name], target, client, store)
    assert {f"{each.project}=={each.version}" for each in lock.wheels} == chosen_by_uv(ELSEWHERE[target_name], target, SETS[name], tmp_path)


@pytest.mark.parametrize("target_name", FREE_THREADED)
def test_free_threaded_pythons_get_the_file_that_pip_takes_when_it_is_told_their_tags(
    target_name: str, client: IndexClient, store: Store, tmp_path: Path
) -> None:
    target = Target.parse(target_name)
    lock = locked(("numpy",), target, client, store)
    command: list[str | Path] = [sys.executable, "-m", "pip", "--isolated", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--abi", target.abi, "--python-version", str(target.markers["python_version"])]
    command += [word for platform in target.platforms for word in ("--platform", platform)]
    done = subprocess.run([*command, "--dest", tmp_path, "numpy"], env=environment(tmp_path), capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert [each.filename for each in lock.wheels] == [path.name for path in tmp_path.glob("numpy-*.whl")]
