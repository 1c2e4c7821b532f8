"""A host that was probed: its file in the spec, and what the bundle then holds for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.cli import environment
from tests.support.index import LocalIndex
from tests.support.pip import bundled_pip
from tests.support.wheels import make_wheel
from tests.support.workplace import workplace
from wheelhouse_builder.runtime import probe


def test_a_probed_host_gets_its_own_wheels_and_installs_them(tmp_path: Path) -> None:
    shelf = tmp_path / "index"
    best, *_, worst = [tag for tag in probe.accepted_tags() if tag.startswith("cp3") and "manylinux_" in tag]
    make_wheel(shelf, "compiled", "1.0", tag=best, files={"compiled.py": "WHICH = 'best'\n"})
    make_wheel(shelf, "compiled", "1.0", tag=worst, files={"compiled.py": "WHICH = 'worst'\n"})
    make_wheel(shelf, bundled_pip().name.split("-")[0], "1.0")  # older than the real one, so never chosen
    (shelf / bundled_pip().name).write_bytes(bundled_pip().read_bytes())
    with LocalIndex(shelf) as index:
        place = workplace(tmp_path / "work", index)
        (place.folder / "targets").mkdir()
        place.run("probe", "-o", "targets/web01.json")
        place.write_spec(targets=["targets/web01.json"], requirements=["compiled"])
        name = f"{best.split('-')[1]}-web01"
        assert place.run("lock").stdout == f"pylock.{name}.toml: 1 project, new\n"
        place.run("bundle", "-o", "acme.whb")
    (compiled,) = [each for each in place.run("inspect", "acme.whb", "--json").document["distributions"] if each["project"] == "compiled"]
    assert compiled["filename"] == f"compiled-1.0-{best}.whl"
    place.run("install", "acme.whb", "--venv", "venv", "--trust", "key.allowed_signers")
    said = [str(place.folder / "venv/bin/python"), "-c", "import compiled; print(compiled.WHICH)"]
    assert subprocess.run(said, env=environment(place.folder), check=True, capture_output=True).stdout == b"best\n"


def test_a_file_that_is_no_probe_is_told_with_the_spec_s_line(tmp_path: Path) -> None:
    with LocalIndex(tmp_path) as index:
        place = workplace(tmp_path / "work", index)
        (place.folder / "web01.json").write_text("{}")
        place.write_spec(targets=["web01.json", "web02.json"])
        told = place.run("lock", expect=3).stderr
    assert "web01.json: wheelhouse-probe: must be 1" in told
    assert "there is no file" in told
    assert sys.executable not in told
