"""The audit of wheels that others built: what refuses, what is told, and what is no problem at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.pylock import Pylock
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from tests.support.native import ANSWER, EXTENSION, asking, gcc, linux_extension, newer_system, second_library, wheel_of
from tests.support.wheels import make_wheel
from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.model.distribution import LockedWheel, Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.repair import audit_locked
from wheelhouse_builder.reporter import Silent

MACHINE = os.uname().machine
TARGET = Target.parse(f"cp312-manylinux_2_28_{MACHINE}")
TAG = f"cp32-abi3-manylinux_2_28_{MACHINE}"


class Listening(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def _notes(wheels: Sequence[Path], target: Target = TARGET, excuse: str = "") -> list[str]:
    """What is told of a lock of ``wheels``."""
    stored = [_stored(path, excuse) for path in wheels]
    listening = Listening()
    lock = Lock(
        target=target,
        pylock=Pylock(lock_version=Version("1.0"), created_by="tests", packages=[]),
        wheels=tuple(
            LockedWheel(project=wheel.project, version=wheel.version, filename=wheel.filename, url=wheel.url, sha256=wheel.sha256)
            for wheel in stored
        ),
        bootstrap=(),
    )
    audit_locked([lock], {wheel.filename: wheel for wheel in stored}, reporter=listening)
    return listening.notes


def _stored(path: Path, excuse: str) -> Wheel:
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
    assert _notes([wheel], excuse="we have a newer glibc than we say") == []


def test_code_for_glibc_in_a_wheel_for_musl_is_refused(tmp_path: Path) -> None:
    extension = gcc(tmp_path / "_demo.so", EXTENSION.replace("int second_answer(void);", ANSWER), "-Wl,--no-as-needed", "-lc")
    wheel = wheel_of(tmp_path, extension.read_bytes(), tag=f"cp32-abi3-musllinux_1_2_{MACHINE}")
    with pytest.raises(DistributionError, match="the target has musl"):
        _notes([wheel], Target.parse(f"cp312-musllinux_1_2_{MACHINE}"))
