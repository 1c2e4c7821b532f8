"""Compiled code that nobody compiled: whatever it holds, it is read, or told to be malformed, and never a defect of ours."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.macho import write_macho
from tests.support.native import linux_extension, newer_system, second_library, wheel_of
from tests.support.pe import write_pe
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.repair import Options
from wheelhouse_builder.repair.audit import audit_code
from wheelhouse_builder.repair.contents import Contents

ROUNDS = 60


def _elf(folder: Path) -> bytes:
    return linux_extension(folder, second_library(folder / "lib"), *newer_system(folder / "newer", "GLIBC_2.34"))


def _pe(folder: Path) -> bytes:
    return write_pe(folder / "_demo.pyd", ["second.dll", "KERNEL32.dll"]).read_bytes()


def _macho(folder: Path) -> bytes:
    return write_macho(folder / "_demo.so", needs=["@rpath/x.dylib"], rpaths=["@loader_path/lib"]).read_bytes()


@pytest.mark.parametrize(
    ("make", "suffix", "target"),
    [(_elf, ".abi3.so", "cp312-manylinux_2_28_x86_64"), (_pe, ".pyd", "cp312-win_amd64"), (_macho, ".so", "cp312-macosx_14_0_arm64")],
)
def test_changed_code_is_read_or_told_to_be_malformed(make, suffix: str, target: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    sound, chance = make(tmp_path), random.Random(11)
    unreadable = 0
    for _ in range(ROUNDS):
        code = bytearray(sound)
        for _ in range(chance.randint(1, 12)):
            code[chance.randrange(min(chance.choice([64, 512, 4096]), len(code)))] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])
        contents = Contents.of(wheel_of(tmp_path, bytes(code), tag=f"cp312-{target}", suffix=suffix))
        unreadable += len(contents.unreadable)
        audit_code(contents, Target.parse(target), options=Options())
    assert unreadable


def test_code_that_is_cut_off_is_certain_to_fail(tmp_path: Path) -> None:
    contents = Contents.of(wheel_of(tmp_path, _elf(tmp_path)[:3000], tag="cp312-cp312-manylinux_2_28_x86_64"))
    (found,) = audit_code(contents, Target.parse("cp312-manylinux_2_28_x86_64"), options=Options())
    assert found.certain
    assert found.what.startswith("cannot be read as compiled code")
