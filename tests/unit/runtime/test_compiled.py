"""`verify --deep` looks at bytecode as an installation does: each belongs to one source of its wheel, for the CPython that it names."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest

from tests.support.bundles import OURS, write_trust
from tests.support.handmade import bundle_for
from tests.support.pythons import cpythons
from tests.support.wheels import make_wheel
from tests.unit.runtime.test_carried import DEMO, SOURCES, compiled, entry
from wheelhouse_builder.runtime.commands import run_verify
from wheelhouse_builder.runtime.compiled import NEW, OLD, hash_for, siphash
from wheelhouse_builder.runtime.errors import BundleRefused
from wheelhouse_builder.runtime.host import this_host
from wheelhouse_builder.runtime.layout import bytecode_entry

INIT = SOURCES["demo/__init__.py"]
GOOD = (("demo/__init__.py", compiled(INIT)), ("demo/other.py", compiled(b"ANSWER = 43\n")), ("moved.py", compiled(b"ANSWER = 44\n")))
ASK = "import _imp, sys; print(_imp.source_hash(int(sys.argv[1]), bytes.fromhex(sys.argv[2])).hex())"


def verified(folder: Path, carried: bytes, *, instead: bytes | None = None) -> None:
    wheel, pip = make_wheel(folder / "made", "demo", "1.0", files=SOURCES), make_wheel(folder / "made", "pip", "26.3")
    name = bytecode_entry(this_host().interpreter, DEMO)
    wrong = {} if instead is None else {name: instead}
    path = folder / "acme.whb"
    path.write_bytes(bundle_for(this_host(), [wheel], pip, mode="dense", retold={name: carried}, wrong=wrong).signed(OURS))
    run_verify(str(path), str(write_trust(folder, OURS)), deep=True)


def test_what_was_compiled_of_the_sources_passes(tmp_path: Path) -> None:
    verified(tmp_path, entry(*GOOD))


@pytest.mark.parametrize(
    ("carried", "said"),
    [
        (entry(("demo/__init__.py", compiled(INIT, of=b"other"))), "'demo/__init__.py' was compiled of another source"),
        (entry(("demo/__init__.py", compiled(INIT, magic=b"\0\0\r\n"))), "'demo/__init__.py' was compiled by another Python"),
        (entry(("demo/__init__.py", importlib.util.MAGIC_NUMBER + bytes(12) + b"x")), "is not valid by a hash"),
        (entry(("demo/__init__.py", compiled(INIT)[:16])), "'demo/__init__.py' is cut off"),
        (entry(("demo/absent.py", compiled(INIT))), "'demo/absent.py' is no source of its wheel"),
        (entry(*GOOD, GOOD[0]), "'demo/__init__.py' is no source of its wheel, or there twice"),
        (entry(*GOOD)[:-1], "it is cut off"),
        (b"WHBC\2", "it does not begin as bytecode does"),
    ],
)
def test_what_was_not_is_refused_and_named(tmp_path: Path, carried: bytes, said: str) -> None:
    with pytest.raises(BundleRefused) as refusal:
        verified(tmp_path, carried)
    assert said in str(refusal.value)
    assert bytecode_entry(this_host().interpreter, DEMO) in str(refusal.value)


def test_other_bytes_than_the_manifest_names_are_refused(tmp_path: Path) -> None:
    good = entry(*GOOD)
    with pytest.raises(BundleRefused, match="size or SHA-256"):
        verified(tmp_path, good, instead=good[:-1] + bytes([good[-1] ^ 1]))


@pytest.mark.parametrize("version", [version for version in cpythons() if version != "3.6"])
def test_the_hash_is_what_each_cpython_computes(version: str) -> None:
    magic, interpreter = 168627522, f"cp{version.replace('.', '')}"
    for size in (0, 1, 7, 8, 9, 300):
        source = bytes(number % 251 for number in range(size))
        command: list[str | Path] = [cpythons()[version], "-I", "-c", ASK, str(magic), source.hex()]
        said = subprocess.run(command, capture_output=True, check=True, encoding="ascii").stdout.strip()
        assert hash_for(interpreter)(magic, source).hex() == said
        assert siphash(NEW if int(version[2:]) >= 11 else OLD, magic, source).hex() == said
