from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from wheelhouse_builder.adapters.emulation import registration
from wheelhouse_builder.errors import EnvironmentFailure


def program(folder: Path, machine: int, *, little: bool = True) -> Path:
    path = folder / "program"
    head = b"\x7fELF\x02" + (b"\x01" if little else b"\x02") + b"\x01" + bytes(9)
    path.write_bytes(head + struct.pack("<HH" if little else ">HH", 3, machine) + bytes(40))
    return path


def emulators(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_what_runs_here_needs_no_emulator(tmp_path: Path) -> None:
    assert registration(Path(sys.executable).resolve()) is None
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert registration(tmp_path / "script") is None


def test_the_kernel_is_told_the_machine_and_its_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emulators(tmp_path, monkeypatch, "qemu-s390x-static", "qemu-riscv64")
    told = registration(program(tmp_path, 22, little=False))
    assert told == (
        r":wheelhouse-s390x:M::\x7f\x45\x4c\x46\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16"
        r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff"
        f":{tmp_path}/qemu-s390x-static:F"
    )
    assert f"{tmp_path}/qemu-riscv64:F" in str(registration(program(tmp_path, 243)))


@pytest.mark.parametrize(("machine", "what"), [(243, "no qemu-riscv64-static"), (2, "no emulator for machine 2 of ELF")])
def test_without_an_emulator_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: int, what: str) -> None:
    emulators(tmp_path, monkeypatch)
    with pytest.raises(EnvironmentFailure, match=what) as caught:
        registration(program(tmp_path, machine))
    assert caught.value.hint == "install qemu-user-static"
