"""Programs of other machines: which of qemu's user-mode emulators runs them here, and the line that tells the kernel so."""

from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path

from wheelhouse_builder.errors import EnvironmentFailure

MACHINES = {21: "ppc64le", 22: "s390x", 40: "arm", 183: "aarch64", 243: "riscv64"}
"""ELF's numbers for machines, and what qemu calls them."""
X86, X86_64 = 3, 62
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff{}\xff\xff"
"""Which bits of a file's head count: not the ABI's name, and programs are as good as libraries that can be run."""


def registration(program: Path) -> str | None:
    """What binfmt_misc must be told, that a program like this runs; None: it runs by itself.

    Raises EnvironmentFailure when there is no emulator for it.
    """
    head = _head(program)
    machine, ours = _machine(head), _machine(_head(Path(sys.executable)))
    if machine is None or machine == ours or (machine, ours) == (X86, X86_64):
        return None
    name = MACHINES.get(machine)
    emulator = shutil.which(f"qemu-{name}-static") or shutil.which(f"qemu-{name}")
    if name is None or emulator is None:
        what = f"qemu-{name}-static" if name else f"emulator for machine {machine} of ELF"
        raise EnvironmentFailure(f"{program} is a program for another machine, and there is no {what}", hint="install qemu-user-static")
    little = head[5] == 1
    magic = "".join(f"\\x{byte:02x}" for byte in head[:16] + struct.pack("<HH" if little else ">HH", 2, machine))
    mask = MASK.format(r"\xfe\xff" if little else r"\xff\xfe")
    # F: the emulator is opened here and now, so that it is found from within another root.
    return f":wheelhouse-{name}:M::{magic}:{mask}:{emulator}:F"


def _head(program: Path) -> bytes:
    with program.open("rb") as file:
        return file.read(20)


def _machine(head: bytes) -> int | None:
    """ELF's number of the machine; None for what is no ELF file."""
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    number: int = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)[0]
    return number
