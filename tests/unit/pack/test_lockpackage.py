"""The lock package requires exactly what was tested, on each target what was tested there."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from tests.support.cli import environment
from tests.support.contents import held, make_lock
from tests.support.index import LocalIndex
from tests.support.pythons import cpythons
from tests.support.wheels import make_wheel
from tests.support.workplace import publish_acme, publish_compiled, workplace
from wheelhouse_builder.errors import SpecError
from wheelhouse_builder.model.lock import Closure, Lock, Overridden
from wheelhouse_builder.model.markers import holds
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.pack.lockpackage import lock_package, telling_marker
from wheelhouse_builder.runtime.wheel import wheel_problems

LINUX_11, LINUX, WINDOWS, ARM = (
    "cp311-manylinux_2_28_x86_64",
    "cp312-manylinux_2_28_x86_64",
    "cp312-win_amd64",
    "cp312-manylinux_2_28_aarch64",
)
MUSL = "cp312-musllinux_1_2_x86_64"


def locks_of(directory: Path, pins: dict[str, Sequence[str]]) -> list[Lock]:
    """A lock for each target, with projects as ``NAME-VERSION``."""
    return [
        make_lock(target, [held(make_wheel(directory / target, *name.rsplit("-", 1))) for name in names], [])
        for target, names in pins.items()
    ]


def requirements(content: bytes) -> list[str]:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        metadata = archive.read("acme_web_lock-2026.11.dist-info/METADATA").decode()
    return [line.removeprefix("Requires-Dist: ") for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]


def test_what_all_share_has_no_marker_and_what_differs_has_the_shortest(tmp_path: Path) -> None:
    locks = locks_of(
        tmp_path, {LINUX_11: ["a-1", "b-1", "c-1"], LINUX: ["a-1", "b-2"], WINDOWS: ["a-1", "b-2", "d-1"], ARM: ["a-1", "b-2"]}
    )
    package = lock_package("acme-web", "2026.11", locks)
    assert package.filename == "acme_web_lock-2026.11-py3-none-any.whl"
    assert requirements(package.content) == [
        "a==1",
        "b==1 ; python_version == '3.11'",
        "b==2 ; python_version == '3.12'",
        "c==1 ; python_version == '3.11'",
        "d==1 ; sys_platform == 'win32'",
    ]
    assert wheel_problems(BytesIO(package.content), package.filename) == []
    assert lock_package("acme-web", "2026.11", list(reversed(locks))) == package


@pytest.mark.parametrize("chosen", [[LINUX], [LINUX_11, WINDOWS], [LINUX_11, ARM], [LINUX, ARM, WINDOWS]])
def test_a_marker_holds_where_it_should_and_nowhere_else(chosen: list[str]) -> None:
    targets = {name: Target.parse(name) for name in (LINUX_11, LINUX, WINDOWS, ARM)}
    marker = telling_marker([targets[name] for name in chosen], [target for name, target in targets.items() if name not in chosen])
    assert marker is not None
    held_by = [name for name, target in targets.items() if holds(Marker(marker), target)]
    assert held_by == sorted(chosen, key=list(targets).index)
    assert Requirement(f"demo==1 ; {marker}").marker is not None


def test_what_no_marker_tells_is_refused_with_everything_else_that_is_wrong(tmp_path: Path) -> None:
    locks = locks_of(tmp_path, {LINUX: ["a-1"], MUSL: ["a-2", "odd-name-lock-1"]})
    overridden = [replace(lock, overridden=(Overridden(project="a", requires="b"),)) for lock in locks]  # type: ignore[arg-type]
    with pytest.raises(SpecError) as failure:
        lock_package("odd name", "first", overridden)
    text = "\n".join(failure.value.problems)
    assert "no marker tells all of these apart" in text
    assert "'first' is no version" in text
    assert "'odd name' is no name" in text
    assert "overridden" in text
    with pytest.raises(SpecError, match="holds acme-lock already"):
        lock_package("acme", "1", locks_of(tmp_path / "more", {LINUX: ["acme-lock-1"]}))
    [catalogue] = locks_of(tmp_path / "other", {LINUX: ["a-1"]})
    with pytest.raises(SpecError, match="catalogue"):
        lock_package("acme", "1", [replace(catalogue, closures=(Closure(requirement=Requirement("a==1"), wheels=()),))])


def test_from_a_plain_index_each_python_gets_exactly_its_lock(tmp_path: Path) -> None:
    older, newer = [version for version in cpythons() if int(version.partition(".")[2]) >= 9][-2:]
    shelf = publish_acme(tmp_path / "index")
    make_wheel(shelf, "moving", "1.0")
    make_wheel(shelf, "moving", "2.0", requires_python=f">={newer}")
    make_wheel(shelf, "moving", "3.0", requires_python=">=4")
    targets = [f"cp{version.replace('.', '')}-manylinux_2_28_x86_64" for version in (older, newer)]
    for target in targets:
        publish_compiled(shelf, target)
    with LocalIndex(shelf) as index:
        place = workplace(tmp_path / "work", index)
        place.write_spec(requirements=("moving", "acme"), targets=targets, name="acme-web")
        place.run("bundle", "--lock-package", "-o", "acme.whb")
        first = (place.folder / "acme.whb").read_bytes()
        place.run("bundle", "--lock-package", "-o", "acme.whb")
    assert (place.folder / "acme.whb").read_bytes() == first
    place.run("unpack", "acme.whb", "house", "--target", "all", "--trust", "key.allowed_signers")
    make_wheel(place.folder / "house/wheels", "moving", "1.5")  # as an index holds more than one bundle
    for version, target in zip((older, newer), targets, strict=True):
        locked = (place.folder / "house/targets" / target / "requirements.txt").read_text()
        assert installed_from(place.folder / "house/wheels", cpythons()[version], tmp_path / version) == pinned(locked)


def pinned(lock: str) -> set[str]:
    return {word for word in lock.split() if "==" in word}


def installed_from(wheels: Path, python: Path, venv: Path) -> set[str]:
    """What a fresh environment holds after ``pip install acme-web-lock``."""
    subprocess.run([python, "-m", "venv", "--without-pip", venv], check=True)
    pip: list[str | Path] = [sys.executable, "-I", "-m", "pip", "--isolated", "--python", venv / "bin/python"]
    env = environment(venv) | {"PIP_CONFIG_FILE": "/dev/null"}
    subprocess.run(
        [*pip, "install", "-q", "--disable-pip-version-check", "--no-index", "--find-links", wheels, "acme-web-lock"], check=True, env=env
    )
    return set(subprocess.run([*pip, "freeze", "--all"], check=True, env=env, capture_output=True, encoding="utf-8").stdout.split())
