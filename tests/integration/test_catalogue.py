"""A catalogue from its spec to ``pip install`` on the far side."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.independent_reader import verify
from tests.support.cli import environment
from tests.support.index import LocalIndex
from tests.support.keys import trusted_keys
from tests.support.pe import write_pe
from tests.support.wheels import make_wheel
from tests.support.workplace import WINDOWS, Workplace, publish_acme, this_target, workplace

LYING = f"lying-1.0-{WINDOWS.replace('-', '-none-')}.whl"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A catalogue that holds what cannot stand together, and lacks something for Windows."""
    root = tmp_path_factory.mktemp("catalogue")
    wheels = publish_acme(root / "index")
    for version in ("1.0", "2.0", "3.0"):
        make_wheel(wheels, "library", version)
    make_wheel(wheels, "older", "1.0", requires=["library<2"])
    make_wheel(wheels, "newer", "1.0", requires=["library>=2"])
    make_wheel(wheels, "unixy", "1.0", tag=f"py3-none-{this_target().partition('-')[2]}")
    code = write_pe(root / "_code.pyd", ["python39.dll", "KERNEL32.dll"]).read_bytes()
    make_wheel(wheels, "lying", "1.0")
    make_wheel(wheels, "lying", "1.0", tag=WINDOWS.replace("-", "-none-"), files={"lying/_code.pyd": code})
    make_wheel(wheels, "trusting", "1.0", requires=["lying", "library"])
    with LocalIndex(wheels) as index:
        place = workplace(root / "work", index)
        asked = ("acme", "older", "newer", "unixy", "lying", "trusting>=1")
        place.write_spec(requirements=asked, targets=(this_target(), WINDOWS))
        with (place.folder / "wheelhouse.yaml").open("a") as spec:
            spec.write("kind: catalogue\nkeep: 2\n")
        (place.folder / "told.txt").write_text(place.run("bundle", "-o", "shelf.whb").stdout)
        yield place


def pip(place: Workplace, *arguments: str | Path, expect: int = 0) -> str:
    command = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, cwd=place.folder, env=environment(place.folder), capture_output=True, check=False, encoding="utf-8")
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


def test_pip_installs_each_of_its_projects_from_what_was_unpacked(place: Workplace) -> None:
    place.run("unpack", "shelf.whb", "out", "--target", "all", "--trust", "key.allowed_signers")
    for project, found in (("older", "library-1.0"), ("newer", "library-3.0")):
        pip(place, "install", "--no-index", "--find-links", "out/wheels", "--no-compile", "--target", project, project)
        assert (place.folder / project / f"{found}.dist-info").is_dir()
    assert not (place.folder / "out/targets").exists()


def test_it_is_not_installed_as_a_whole(place: Workplace) -> None:
    told = place.run("install", "shelf.whb", "--venv", "venv", "--trust", "key.allowed_signers", expect=2).stderr
    assert "is a catalogue" in told
    assert "--find-links DIRECTORY/wheels PROJECT" in told


def test_what_it_lacks_is_a_table_and_strictly_an_error(place: Workplace) -> None:
    told = (place.folder / "told.txt").read_text()
    assert f"unixy: no release has a wheel: {WINDOWS}" in told
    for project in ("lying", "trusting>=1"):
        assert f"{project}: {LYING}: lying/_code.pyd: needs python39.dll, the library of another Python: {WINDOWS}" in told
    assert f"unixy: no release has a wheel: {WINDOWS}" in place.run("bundle", "-o", "strict.whb", "--strict", expect=5).stderr
    assert not (place.folder / "strict.whb").exists()


def test_another_reader_agrees(place: Workplace) -> None:
    manifest, _ = verify(place.folder / "shelf.whb", trusted_keys((place.folder / "key.allowed_signers").read_text()))
    assert manifest["bundle"]["kind"] == "catalogue"
    assert {"library-1.0-py3-none-any.whl", "library-3.0-py3-none-any.whl"} <= {each["filename"] for each in manifest["distributions"]}


def test_its_locks_are_reviewed_as_those_of_applications(place: Workplace, tmp_path: Path) -> None:
    work = workplace(tmp_path / "work", place.index)
    (work.folder / "wheelhouse.yaml").write_text((place.folder / "wheelhouse.yaml").read_text())
    first = work.run("lock", "--json").document
    assert [each["path"].rpartition("/")[2] for each in first["locks"]] == [f"catalogue.{name}.toml" for name in (this_target(), WINDOWS)]
    unixy, *others = first["lacking"]
    assert unixy == {"requirement": "unixy", "target": WINDOWS, "reason": "no release has a wheel", "nearest": None}
    assert [(each["requirement"], each["reason"].partition(":")[0]) for each in others] == [("lying", LYING), ("trusting>=1", LYING)]
    assert f"{this_target()}.toml: {first['locks'][0]['projects']} releases, nothing changed" in work.run("lock").stdout
    assert not any(each["changed"] or each["added"] for each in work.run("lock", "--check", "--json").document["locks"])
    work.run("bundle", "-o", "shelf.whb")
    assert distributions(work) == distributions(place)
    assert "a catalogue holds the newest releases" in work.run("lock", "-P", "library", expect=2).stderr


def test_what_the_audit_refuses_is_not_within_and_what_needs_it_neither(place: Workplace) -> None:
    within = {each["filename"]: each["targets"] for each in place.run("inspect", "shelf.whb", "--json").document["distributions"]}
    assert LYING not in within
    assert within["trusting-1.0-py3-none-any.whl"] == within["lying-1.0-py3-none-any.whl"] == [this_target()]
    assert set(within["library-3.0-py3-none-any.whl"]) == {this_target(), WINDOWS}


def test_with_an_excuse_it_is_within_and_says_so(place: Workplace, tmp_path: Path) -> None:
    work = workplace(tmp_path / "work", place.index)
    excuse = "excused: {lying: looked at by hand}\n"
    (work.folder / "wheelhouse.yaml").write_text((place.folder / "wheelhouse.yaml").read_text() + excuse)
    work.run("bundle", "-o", "shelf.whb")
    told = work.run("verify", "shelf.whb", "--trust", "key.allowed_signers", "--deep").stdout
    assert LYING in told
    assert f"on {WINDOWS}: lying/_code.pyd: needs python39.dll" in told


def distributions(place: Workplace) -> object:
    return place.run("inspect", "shelf.whb", "--json").document["distributions"]


def test_each_thing_is_rehearsed_by_itself(place: Workplace) -> None:
    here, windows = place.run("bundle", "-o", "tried.whb", "--rehearse", "run", "--json").document["rehearsed"]
    assert (here["target"], here["wanting"]) == (this_target(), [])
    assert here["python"]
    assert windows["python"] is None


def test_options_for_the_other_kind_are_refused(place: Workplace, tmp_path: Path) -> None:
    assert "--strict is for catalogues" in workplace(tmp_path / "work", place.index).run("bundle", "--strict", expect=2).stderr
