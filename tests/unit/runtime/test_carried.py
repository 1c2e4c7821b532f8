"""Bytecode that travels stays if it is for this Python and this source; else the source is compiled, or what does not fit is refused."""

from __future__ import annotations

import csv
import importlib.util
import marshal
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.bundles import OURS, write_trust
from tests.support.handmade import bundle_for
from tests.support.pip import bundled_pip
from tests.support.wheels import make_wheel
from wheelhouse_builder.runtime.carried import write_bytecode
from wheelhouse_builder.runtime.commands import Destination, Manner, run_install
from wheelhouse_builder.runtime.errors import BundleRefused
from wheelhouse_builder.runtime.host import this_host
from wheelhouse_builder.runtime.layout import bytecode_entry
from wheelhouse_builder.runtime.placing import Placed

SOURCES = {"demo/__init__.py": b"ANSWER = 42\n", "demo/other.py": b"ANSWER = 43\n", "demo-1.0.data/purelib/moved.py": b"ANSWER = 44\n"}
DEMO = "demo-1.0-py3-none-any.whl"
CARRIED, COMPILED = b"\1\0\0\0", b"\0\0\0\0"
"""The flags of a .pyc (PEP 552)."""


def compiled(source: bytes, *, magic: bytes = importlib.util.MAGIC_NUMBER, of: bytes | None = None) -> bytes:
    code = compile(source, "elsewhere.py", "exec")
    return magic + CARRIED + importlib.util.source_hash(source if of is None else of) + marshal.dumps(code)


def entry(*members: tuple[str, bytes]) -> bytes:
    return b"WHBC\1" + b"".join(struct.pack("<LL", len(path), len(data)) + path.encode() + data for path, data in members)


def install(
    folder: Path,
    carried: bytes,
    *,
    engine: str = "direct",
    compiling: bool = True,
    sources: Mapping[str, bytes] = SOURCES,
    instead: bytes | None = None,
    with_python: Path | None = None,
) -> Path:
    """The site-packages after installing demo with ``carried``; ``instead`` stands in the payload behind the manifest's back."""
    wheel = make_wheel(folder / "made", "demo", "1.0", files=sources)
    path, venv = folder / "acme.whb", folder / "venv"
    name = bytecode_entry(this_host().interpreter, DEMO)
    wrong = {} if instead is None else {name: instead}
    draft = bundle_for(this_host(), [wheel], bundled_pip(), mode="dense", retold={name: carried}, wrong=wrong)
    path.write_bytes(draft.signed(OURS))
    manner = Manner(engine=engine, compile=compiling, imports=False, with_python=str(with_python) if with_python else None)
    run_install(str(path), Destination(venv=str(venv)), str(write_trust(folder, OURS)), manner)
    [site] = venv.glob("lib/python*/site-packages")
    return site


def flags(site: Path, name: str) -> bytes | None:
    """The flags of the .pyc of a source; None: it has none."""
    path = Path(importlib.util.cache_from_source(str(site / name)))
    return path.read_bytes()[4:8] if path.exists() else None


def listed(site: Path) -> set[str]:
    with (site / "demo-1.0.dist-info/RECORD").open(newline="") as file:
        return {row[0] for row in csv.reader(file) if row[0].endswith(".pyc")}


def pyc(name: str) -> str:
    return importlib.util.cache_from_source(name)


@pytest.fixture(params=["itself", "another"])
def python(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """The interpreter that will load it: the one that installs, or another, which it asks."""
    if request.param == "itself":
        return None
    another = tmp_path / "python"
    another.symlink_to(Path(sys.executable).resolve())
    return another


@pytest.mark.parametrize(("engine", "compiling"), [("direct", True), ("direct", False), ("pip", False)])
def test_it_is_what_python_loads_and_record_lists_it(tmp_path: Path, engine: str, compiling: bool, python: Path | None) -> None:
    members = [("demo/__init__.py", compiled(SOURCES["demo/__init__.py"])), ("moved.py", compiled(b"ANSWER = 44\n"))]
    site = install(tmp_path, entry(*members), engine=engine, compiling=compiling, with_python=python)
    assert (flags(site, "demo/__init__.py"), flags(site, "moved.py")) == (CARRIED, CARRIED)
    assert flags(site, "demo/other.py") == (COMPILED if compiling else None)
    assert listed(site) == {pyc("demo/__init__.py"), pyc("moved.py"), *([pyc("demo/other.py")] if compiling else [])}
    code = "import demo, moved; print(demo.ANSWER, moved.ANSWER)"
    said = subprocess.run([tmp_path / "venv/bin/python", "-I", "-c", code], check=True, capture_output=True, encoding="utf-8").stdout
    assert said == "42 44\n"
    assert flags(site, "demo/__init__.py") == CARRIED


WRONG = {
    "another_source": compiled(b"ANSWER = 666\n"),
    "another_magic": compiled(b"ANSWER = 42\n", magic=b"\0\0\r\n"),
    "another_hash": compiled(b"ANSWER = 42\n", of=b"ANSWER = 42 \n"),
    "cut_off": compiled(b"ANSWER = 42\n")[:10],
    "by_time": compiled(b"ANSWER = 42\n").replace(CARRIED, COMPILED, 1),
    "other_flags": compiled(b"ANSWER = 42\n").replace(CARRIED, b"\2\0\0\0", 1),
    "empty": b"",
}
"""By the name of a module whose source is the same for all."""


@pytest.mark.parametrize("compiling", [True, False])
def test_what_is_for_another_python_or_another_source_goes(tmp_path: Path, compiling: bool, python: Path | None) -> None:
    sources = {f"{name}.py": b"ANSWER = 42\n" for name in WRONG}
    carried = entry(*((f"{name}.py", data) for name, data in WRONG.items()))
    site = install(tmp_path, carried, sources=sources, compiling=compiling, with_python=python)
    found = {name: flags(site, f"{name}.py") for name in WRONG}
    assert found == dict.fromkeys(WRONG, COMPILED if compiling else None)
    assert listed(site) == ({pyc(f"{name}.py") for name in WRONG} if compiling else set())


def test_the_digest_in_the_manifest_counts(tmp_path: Path) -> None:
    carried = entry(("demo/__init__.py", compiled(SOURCES["demo/__init__.py"])))
    with pytest.raises(BundleRefused, match="size or SHA-256"):
        install(tmp_path, carried, instead=carried[:-1] + b"x")
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(
    ("carried", "why"),
    [
        (entry(("absent.py", b"")), "no source of its wheel"),
        (entry(("../../../../evil.py", b"")), "no source of its wheel"),
        (entry(("demo/__init__.py", b""), ("demo/__init__.py", b"")), "twice"),
        (entry(("demo/__init__.py", b"x" * 20))[:-1], "cut off"),
        (entry() + b"\0", "cut off"),
        (b"WHBC\2", "does not begin"),
        (b"", "does not begin"),
    ],
)
def test_what_is_no_bytecode_of_the_wheel_is_refused(tmp_path: Path, carried: bytes, why: str) -> None:
    placed = Placed(str(tmp_path), "demo-1.0.dist-info", (), ("demo/__init__.py",))
    with pytest.raises(BundleRefused, match=why):
        list(write_bytecode("bytecode/cp312/demo", carried, placed, "cp312"))
    assert {path.name for path in tmp_path.rglob("*.pyc")} <= {"__init__.cpython-312.pyc"}
