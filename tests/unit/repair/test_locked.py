"""The audit of wheels that others built: what refuses, what is told, and what is no problem at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.pylock import Pylock
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from tests.support.macho import write_macho
from tests.support.native import ANSWER, EXTENSION, asking, gcc, linux_extension, newer_system, second_library, wheel_of
from tests.support.pe import write_pe
from tests.support.wheels import make_wheel
from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.model.distribution import LockedWheel, Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.repair import Auditor
from wheelhouse_builder.repair.contents import Contents
from wheelhouse_builder.repair.remembered import contents_of, findings
from wheelhouse_builder.reporter import Silent

MACHINE = os.uname().machine
TARGET = Target.parse(f"cp312-manylinux_2_28_{MACHINE}")
TAG = f"cp32-abi3-manylinux_2_28_{MACHINE}"


def linux_wheel(folder: Path) -> Path:
    newer = newer_system(folder / "newer", "GLIBC_2.34")
    return wheel_of(folder, linux_extension(folder, second_library(folder / "lib"), *newer, source=asking(EXTENSION)), tag=TAG)


def windows_wheel(folder: Path) -> Path:
    code = write_pe(folder / "_demo.pyd", ["second.dll", "KERNEL32.dll"]).read_bytes()
    return wheel_of(folder, code, tag="cp312-cp312-win_amd64", suffix=".pyd")


def macos_wheel(folder: Path) -> Path:
    code = write_macho(folder / "_demo.so", needs=["@rpath/x.dylib"], rpaths=["@loader_path/lib"]).read_bytes()
    return wheel_of(folder, code, tag="cp312-cp312-macosx_14_0_arm64", suffix=".so")


class Listening(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def _notes(wheels: Sequence[Path], target: Target = TARGET) -> list[str]:
    """What is told of a lock of ``wheels``."""
    listening = Listening()
    stored = {path.name: _stored(path) for path in wheels}
    _auditor(wheels[0].parent, listening).audit([_lock(stored.values(), target)], stored)
    return listening.notes


def _auditor(root: Path, reporter: Silent | None = None, **excused: str) -> Auditor:
    reasons = {canonicalize_name(project): reason for project, reason in excused.items()}
    return Auditor(root=root, reporter=reporter or Silent(), excused=reasons)


def _lock(wheels: Iterable[Wheel], target: Target = TARGET) -> Lock:
    locked = (
        LockedWheel(project=wheel.project, version=wheel.version, filename=wheel.filename, url=wheel.url, sha256=wheel.sha256)
        for wheel in wheels
    )
    pylock = Pylock(lock_version=Version("1.0"), created_by="tests", packages=[])
    return Lock(target=target, pylock=pylock, wheels=tuple(locked), bootstrap=())


def _stored(path: Path, excuse: str = "") -> Wheel:
    """As the store has it: under its digest."""
    project, version, _, _ = parse_wheel_filename(path.name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    kept = path.with_name(digest)
    kept.write_bytes(path.read_bytes())
    size = kept.stat().st_size
    return Wheel(
        project=project, version=version, filename=path.name, sha256=digest, size=size, path=kept, url=path.as_uri(), excuse=excuse
    )


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return second_library(tmp_path_factory.mktemp("lib"))


@pytest.fixture
def wanting(libraries: Path, tmp_path: Path) -> Path:
    return wheel_of(tmp_path, linux_extension(tmp_path, libraries), tag=TAG)


def test_a_library_that_only_the_host_could_have_is_told(wanting: Path) -> None:
    where = f"is neither in the wheel nor on every {TARGET.platforms[0]}"
    assert _notes([wanting]) == [f"{wanting.name} on {TARGET}: demo/_demo.abi3.so: needs libsecond.so.1, which {where}"]


def test_a_library_that_another_wheel_brings_is_no_problem(wanting: Path, libraries: Path, tmp_path: Path) -> None:
    library = {"second/lib/libsecond.so.1": (libraries / "libsecond.so.1").read_bytes()}
    assert _notes([wanting, make_wheel(tmp_path, "second", "1.0", tag=TAG, files=library)]) == []


def test_a_leaked_search_path_of_somebody_else_is_no_news(tmp_path: Path) -> None:
    extension = gcc(tmp_path / "_demo.so", EXTENSION.replace("int second_answer(void);", ANSWER), "-Wl,-rpath,/opt/python/lib")
    assert _notes([wheel_of(tmp_path, extension.read_bytes(), tag=TAG)]) == []


def test_code_that_glibc_before_2_36_cannot_load_is_refused(libraries: Path, tmp_path: Path) -> None:
    # -z pack-relative-relocs: a feature of the loader, named like a version, that tags do not tell
    newer = newer_system(tmp_path / "newer", "GLIBC_ABI_DT_RELR")
    wheel = wheel_of(tmp_path, linux_extension(tmp_path, libraries, *newer, source=asking(EXTENSION)), tag=TAG)
    with pytest.raises(DistributionError, match="needs newly@GLIBC_ABI_DT_RELR, the target has"):
        _notes([wheel])
    assert len(_notes([wheel], Target.parse(f"cp312-manylinux_2_36_{MACHINE}"))) == 1  # libsecond


def test_code_for_glibc_in_a_wheel_for_musl_is_refused(tmp_path: Path) -> None:
    extension = gcc(tmp_path / "_demo.so", EXTENSION.replace("int second_answer(void);", ANSWER), "-Wl,--no-as-needed", "-lc")
    wheel = wheel_of(tmp_path, extension.read_bytes(), tag=f"cp32-abi3-musllinux_1_2_{MACHINE}")
    with pytest.raises(DistributionError, match="the target has musl"):
        _notes([wheel], Target.parse(f"cp312-musllinux_1_2_{MACHINE}"))


@pytest.fixture
def too_new(tmp_path: Path) -> Path:
    """A wheel for a system that the target is not."""
    newer = newer_system(tmp_path / "newer", "GLIBC_2.99")
    code = gcc(tmp_path / "_demo.so", asking(EXTENSION.replace("int second_answer(void);", ANSWER)), *newer)
    return wheel_of(tmp_path, code.read_bytes(), tag=TAG)


def test_an_excused_wheel_passes_and_says_what_is_wrong(too_new: Path, tmp_path: Path) -> None:
    stored = {too_new.name: _stored(too_new)}
    lock = _lock(stored.values())
    (passed,) = _auditor(tmp_path, demo="our systems are newer").audit([lock], stored).values()
    assert passed.excuse == "our systems are newer"
    (problem,) = passed.problems
    assert problem == f"on {TARGET}: demo/_demo.abi3.so: needs newly@GLIBC_2.99, the target has 2.28"
    assert _auditor(tmp_path, other="no").refused([lock], stored) == {
        TARGET.name: {too_new.name: f"{too_new.name}: demo/_demo.abi3.so: needs newly@GLIBC_2.99, the target has 2.28"}
    }
    assert _auditor(tmp_path, demo="ours").refused([lock], stored) == {}


def test_what_breaks_the_rules_by_permission_is_not_looked_into(tmp_path: Path) -> None:
    broken = tmp_path / f"demo-1.0-{TAG}.whl"
    broken.write_bytes(b"no archive")
    stored = {broken.name: _stored(broken, "looked at by hand")}
    assert _auditor(tmp_path).audit([_lock(stored.values())], stored) == stored


@pytest.mark.parametrize("make", [linux_wheel, windows_wheel, macos_wheel])
def test_a_wheel_is_read_once(make: Callable[[Path], Path], tmp_path: Path) -> None:
    wheel, known = _stored(make(tmp_path)), findings(tmp_path)
    first = contents_of(wheel, known)
    assert first.code
    assert first == Contents.of(wheel.path)
    wheel.path.unlink()
    assert contents_of(wheel, known) == first


@pytest.mark.parametrize("spoiled", ["", "{", "[]", '{"by": "another version", "found": {}}'])
def test_what_cannot_be_read_of_a_wheel_that_was_read_is_read_again(spoiled: str, tmp_path: Path) -> None:
    wheel, known = _stored(linux_wheel(tmp_path)), findings(tmp_path)
    first = contents_of(wheel, known)
    (path,) = (tmp_path / "findings").rglob("*.json")
    sound = path.read_text()
    path.write_text(spoiled)
    assert contents_of(wheel, known) == first
    assert path.read_text() == sound
    known.keep(wheel.sha256, {"code": {"a.so": {}}, "unreadable": []})
    assert contents_of(wheel, known) == first


def test_what_another_version_found_does_not_count(tmp_path: Path) -> None:
    wheel, known = _stored(linux_wheel(tmp_path)), findings(tmp_path)
    known.keep(wheel.sha256, {"code": {}, "unreadable": []})
    assert contents_of(wheel, known).code == {}
    assert contents_of(wheel, replace(known, by="another version")).code
