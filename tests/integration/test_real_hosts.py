"""A real set of requirements, on hosts of every kind that have nothing: verified, installed, and each of its modules imported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data import DATA
from tests.support.cli import wheelhouse
from tests.support.hosts import CACHE, MEDIA, PLACE, Host, bubblewrap, debian_root, hosts, run_on_windows, windows

pytestmark = [pytest.mark.network, pytest.mark.slow]

BUNDLE, TRUST = "web.whb", "key.allowed_signers"
IMPORT_ALL = """\
import csv, glob, importlib, os, sys, sysconfig
names = set()
for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
    for record in glob.glob(os.path.join(place, "*.dist-info", "RECORD")):
        with open(record, encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                top, folder, rest = row[0].partition("/")
                if "/" not in rest and top[0] not in "._" and not (folder and "." in top) and row[0].endswith((".py", ".so", ".pyd")):
                    names.add(top.partition(".")[0])
names -= set(sys.argv[1:])
for name in sorted(names, key=lambda name: (name == "pip", name)):
    importlib.import_module(name)
print("imported: " + " ".join(sorted(names)))
"""
"""Imports every top-level module of the environment but those that are named, and names them; for Python 3.6 too."""


def make_bundle(folder: Path, target: str, left_out: frozenset[str] = frozenset()) -> Path:
    """A folder with the bundle of web.in for ``target``, but for what is left out, and whom to trust."""
    wanted = [line for line in (DATA / "web.in").read_text().split() if line not in left_out]
    (folder / "requirements.in").write_text("\n".join(wanted))
    resolver = "resolver: pip-tools\n" if target.startswith("cp36") else ""
    (folder / "wheelhouse.yaml").write_text(
        f'bundle: web\nversion: "1"\nrequirements: [requirements.in]\ntargets: ["{target}"]\nsign: {{key: key}}\n{resolver}'
    )
    wheelhouse("keygen", "--key", "key", cwd=folder)
    wheelhouse("bundle", "-o", BUNDLE, "--effort", "fast", cwd=folder, env={"XDG_CACHE_HOME": str(CACHE / "fetched")})
    return folder


def imported(said: str) -> set[str]:
    return set(said.strip().rpartition("imported: ")[2].split())


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Host], Path]:
    """What is carried to a host; made when it is first asked for."""
    made: dict[str, Path] = {}

    def of(host: Host) -> Path:
        if host.target not in made:
            made[host.target] = make_bundle(tmp_path_factory.mktemp("media"), host.target, host.left_out)
        return made[host.target]

    return of


@pytest.mark.parametrize("engine", ["direct", "pip"])
@pytest.mark.parametrize("host", hosts(), ids=lambda host: host.name)
def test_it_installs_where_nothing_is(host: Host, engine: str, media: Callable[[Host], Path], tmp_path: Path) -> None:
    def run(*command: str) -> str:
        return host.run(*command, media=media(host), place=tmp_path)

    bundle, trust = f"{MEDIA}/{BUNDLE}", f"{MEDIA}/{TRUST}"
    run(host.python, bundle, "verify", "--trust", trust)
    install = (host.python, bundle, "install", "--venv", f"{PLACE}/web", "--trust", trust, "--engine", engine)
    run(*install)
    names = imported(run(f"{PLACE}/web/bin/python", "-I", "-c", IMPORT_ALL, *host.lacks))
    assert names > {"PIL", "django", "fastapi", "grpc", "lxml", "numpy", "pandas", "psycopg2", "pydantic", "sqlalchemy", "uvicorn", "yaml"}
    assert json.loads(run(*install, "--json"))["changed"] is False
    assert [path.name for path in tmp_path.iterdir()] == ["web"]


NOT_UNDER_WINE = frozenset(["numpy", "pandas", "cryptography", "pydantic", "fastapi", "uvicorn[standard]"])
"""numpy, and what is written in Rust, want more of Windows than wine has."""


def test_it_installs_on_windows(tmp_path: Path) -> None:
    make_bundle(tmp_path, "cp311-win_amd64", NOT_UNDER_WINE)
    python = windows("3.11") / "cp311/python.exe"
    run_on_windows(python, BUNDLE, "verify", "--trust", TRUST, cwd=tmp_path)
    run_on_windows(python, BUNDLE, "install", "--venv", "web", "--trust", TRUST, cwd=tmp_path)
    names = imported(run_on_windows("web/Scripts/python.exe", "-I", "-c", IMPORT_ALL, cwd=tmp_path))
    assert names > {"PIL", "django", "gevent", "grpc", "lxml", "psycopg2", "requests", "sqlalchemy", "yaml"}


def test_a_python_that_is_less_than_the_library_says_what_it_lacks(tmp_path: Path) -> None:
    """Debian's python3-minimal has no json, and nobody claims that it were a whole Python."""
    media, place = tmp_path / "media", tmp_path / "place"
    media.mkdir()
    place.mkdir()
    (media / "requirements.in").write_text("click")
    (media / "wheelhouse.yaml").write_text(
        'bundle: web\nversion: "1"\nrequirements: [click]\ntargets: [cp311-manylinux_2_28_x86_64]\nsign: {key: key}\n'
    )
    wheelhouse("keygen", "--key", "key", cwd=media)
    wheelhouse("bundle", "-o", BUNDLE, cwd=media)
    root = debian_root("bookworm", "amd64", "python3-minimal")
    minimal = Host(name="", target="", python="python3", enter=lambda media, place: bubblewrap(root, media, place))
    said = minimal.run("python3", f"{MEDIA}/{BUNDLE}", "inspect", media=media, place=place, expect=9)
    assert said.startswith("error: this Python lacks a part of the standard library: ")
