from __future__ import annotations

import json
import os
from pathlib import Path

from tests.support.cli import wheelhouse
from tests.support.native import linux_extension, second_library, wheel_of
from tests.support.wheels import make_wheel

TARGET = f"cp312-manylinux_2_28_{os.uname().machine}"


def test_a_wheel_of_a_private_index_is_repaired_for_a_target(tmp_path: Path) -> None:
    libraries = second_library(tmp_path / "lib")
    wheel = wheel_of(tmp_path, linux_extension(tmp_path, libraries), tag=f"cp32-abi3-linux_{os.uname().machine}")
    done = wheelhouse("repair", wheel.name, "--target", TARGET, "--libraries", "lib", "-o", "wheels", "--json", cwd=tmp_path)
    (repaired,) = json.loads(done.stdout)["wheels"]
    assert [each["library"] for each in repaired["grafted"]] == ["libsecond.so.1"]
    assert (tmp_path / repaired["path"]).is_file()
    assert "manylinux" in repaired["path"]


def test_all_that_cannot_be_repaired_is_told_and_nothing_is_missing_that_could(tmp_path: Path) -> None:
    libraries = second_library(tmp_path / "lib")
    wheel = wheel_of(tmp_path, linux_extension(tmp_path, libraries), tag=f"cp32-abi3-linux_{os.uname().machine}")
    pure = make_wheel(tmp_path, "pure", "1.0")
    done = wheelhouse("repair", wheel.name, pure.name, "--target", TARGET, "-o", "wheels", cwd=tmp_path, expect=7)
    assert "libsecond.so.1" in done.stderr
    assert (tmp_path / "wheels" / pure.name).read_bytes() == pure.read_bytes()


def test_what_is_no_wheel_is_told_before_any_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "acme.whb").write_bytes(b"x")
    told = wheelhouse("repair", "acme.whb", "--target", TARGET, "-o", "wheels", cwd=tmp_path, expect=2).stderr
    assert "acme.whb: it is no wheel" in told
    assert not (tmp_path / "wheels").exists()
