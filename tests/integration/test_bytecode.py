"""``bytecode: true``: the bundle carries what its targets' Pythons would compile, and no host inside compiles it again."""

from __future__ import annotations

from pathlib import Path

from tests import independent_reader
from tests.support.index import LocalIndex
from tests.support.keys import trusted_keys
from tests.support.workplace import publish_acme, publish_compiled, this_target, workplace

INTERPRETER = this_target().partition("-")[0]
ACME = "acme-1.0-py3-none-any.whl"


def test_it_is_packed_the_same_twice_and_installed_without_compiling(tmp_path: Path) -> None:
    shelf, others = publish_acme(tmp_path / "index"), (f"{INTERPRETER}-win_amd64", "cp38-win_amd64")
    for target in others:
        publish_compiled(shelf, target)
    with LocalIndex(shelf) as index:
        place = workplace(tmp_path / "work", index)
        spec = place.folder / "wheelhouse.yaml"
        place.write_spec(targets=[this_target(), *others])
        spec.write_text(spec.read_text() + "bytecode: true\n")
        said = place.run("bundle", "-o", "acme.whb").stdout
        first = (place.folder / "acme.whb").read_bytes()
        place.run("bundle", "-o", "acme.whb")
    assert (place.folder / "acme.whb").read_bytes() == first
    carried = {path for path in files_of(place.folder / "acme.whb") if path.startswith("bytecode/") and path.endswith(ACME)}
    assert f"bytecode/{INTERPRETER}/{ACME}" in carried
    assert ("none for cp38-win_amd64, whose Python is not on this host" in said) == (f"bytecode/cp38/{ACME}" not in carried)
    place.run("verify", "acme.whb", "--trust", "key.allowed_signers", "--deep")
    place.run("install", "acme.whb", "--venv", "venv", "--trust", "key.allowed_signers", "--engine", "direct", "--no-compile")
    compiled = sorted((place.folder / "venv").glob("lib/python*/site-packages/acme/__pycache__/*.pyc"))
    assert [path.read_bytes()[4:8] for path in compiled] == [b"\1\0\0\0"]


def files_of(bundle: Path) -> set[str]:
    """The other files of the payload, by a reader that proved them."""
    keys = trusted_keys((bundle.parent / "key.allowed_signers").read_text())
    manifest, _ = independent_reader.verify(bundle, keys)
    return {each["path"] for each in manifest["files"]}
