"""Compiled code in wheels: for which machine, which C library, and that a wheel whose tags say otherwise is no good wheel."""

from __future__ import annotations

import contextlib
import importlib
import io
import platform
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.wheels import make_wheel
from wheelhouse_builder.runtime import native
from wheelhouse_builder.runtime.native import ELF, MACH_O, PE, Code, Malformed, promise, read_code
from wheelhouse_builder.runtime.wheel import wheel_problems

X86_64, AARCH64, I686, S390X = 62, 183, 3, 22


def elf(
    machine: int = X86_64, needed: Sequence[str] = ("GLIBC_2.2.5",), *, wide: bool = True, order: str = "<", weak: Sequence[str] = ()
) -> bytes:
    """A shared object that is nothing but its headers, its strings and the versions that it needs."""
    strings, names = b"\0", []
    for name in (*needed, *weak):
        names.append(len(strings))
        strings += name.encode() + b"\0"
    header, segment, entry = (64, 56, "QQ") if wide else (52, 32, "II")
    strings_at = header + 2 * segment
    versions = b"".join(
        struct.pack(order + "IHHII", 0, 2 if index >= len(needed) else 0, 0, name, 16 if index + 1 < len(names) else 0)
        for index, name in enumerate(names)
    )
    needs_at = strings_at + len(strings)
    needs = struct.pack(order + "HHIII", 1, len(names), 1, 16, 0) + versions if names else b""
    dynamic_at = needs_at + len(needs)
    dynamic = b"".join(
        struct.pack(order + entry, tag, value)
        for tag, value in [(5, strings_at), (10, len(strings)), *([(0x6FFFFFFE, needs_at), (0x6FFFFFFF, 1)] if names else []), (0, 0)]
    )
    size = dynamic_at + len(dynamic)

    def program(kind: int, offset: int, length: int) -> bytes:
        if wide:
            return struct.pack(order + "IIQQQQQQ", kind, 4, offset, offset, offset, length, length, 1)
        return struct.pack(order + "IIIIIIII", kind, offset, offset, offset, length, length, 4, 1)

    fields = (3, machine, 1, 0, header, 0, 0, header, segment, 2)
    start = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    head = (start + struct.pack(order + ("HHIQQQIHHH" if wide else "HHIIIIIHHH"), *fields)).ljust(header, b"\0")
    return head + program(1, 0, size) + program(2, dynamic_at, len(dynamic)) + strings + needs + dynamic


def pe(machine: int) -> bytes:
    return b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40) + b"PE\0\0" + struct.pack("<H", machine)


def thin(machine: int) -> bytes:
    return b"\xcf\xfa\xed\xfe" + struct.pack("<I", machine) + bytes(24)


def fat(*machines: int) -> bytes:
    return (
        b"\xca\xfe\xba\xbe" + struct.pack(">I", len(machines)) + b"".join(struct.pack(">5I", machine, 0, 0, 0, 0) for machine in machines)
    )


def code_of(data: bytes) -> Code | None:
    return read_code(io.BytesIO(data))


ARM_MAC, INTEL_MAC = 0x0100000C, 0x01000007


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (elf(), Code(ELF, frozenset(["x86_64"]), (2, 2))),
        (elf(AARCH64, ["GLIBC_2.17", "GLIBC_2.34"]), Code(ELF, frozenset(["aarch64"]), (2, 34))),
        (elf(I686, ["GLIBC_2.1.3"], wide=False), Code(ELF, frozenset(["i686"]), (2, 1))),
        (elf(S390X, order=">"), Code(ELF, frozenset(["s390x"]), (2, 2))),
        (elf(needed=()), Code(ELF, frozenset(["x86_64"]), None)),
        (elf(needed=["GLIBC_2.4"], weak=["GLIBC_2.38"]), Code(ELF, frozenset(["x86_64"]), (2, 4))),
        (elf(needed=["GLIBCXX_3.4.30", "GLIBC_PRIVATE"]), Code(ELF, frozenset(["x86_64"]), None)),
        (elf(4711), Code(ELF, frozenset(["machine 4711"]), (2, 2))),
        (pe(0x8664), Code(PE, frozenset(["x86_64"]))),
        (pe(0x14C), Code(PE, frozenset(["x86"]))),
        (pe(0xAA64), Code(PE, frozenset(["arm64"]))),
        (thin(ARM_MAC), Code(MACH_O, frozenset(["arm64"]))),
        (fat(INTEL_MAC, ARM_MAC), Code(MACH_O, frozenset(["arm64", "x86_64"]))),
        (b"#!/bin/sh\n", None),
        (b"", None),
    ],
)
def test_a_file_says_what_it_is(data: bytes, code: Code | None) -> None:
    assert code_of(data) == code


def test_a_real_module_is_read_as_its_host_is() -> None:
    found = code_of(Path(importlib.import_module("zstandard.backend_c").__file__ or "").read_bytes())
    assert found is not None
    assert platform.machine() in found.machines
    if platform.libc_ver()[0] == "glibc":
        assert found.glibc is not None
        assert found.glibc <= tuple(map(int, platform.libc_ver()[1].split(".")))


def test_what_is_cut_off_or_flipped_is_read_or_malformed_and_never_an_accident() -> None:
    data = elf(needed=["GLIBC_2.17", "GLIBC_2.28"])
    for broken in [data[:length] for length in range(len(data))] + [
        data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :] for at in range(len(data)) for flip in (1, 0x80, 0xFF)
    ]:
        with contextlib.suppress(Malformed):
            code_of(broken)


@pytest.mark.parametrize(
    ("platforms", "machines", "glibc", "musl"),
    [
        (["manylinux_2_28_x86_64"], {ELF: {"x86_64"}}, (2, 28), False),
        (["manylinux_2_17_x86_64", "manylinux2014_x86_64"], {ELF: {"x86_64"}}, (2, 17), False),
        (["manylinux_2_28_i686", "manylinux1_i686"], {ELF: {"i686"}}, (2, 5), False),
        (["manylinux2010_x86_64", "musllinux_1_1_x86_64"], {ELF: {"x86_64"}}, (2, 12), False),
        (["musllinux_1_2_aarch64"], {ELF: {"aarch64"}}, None, True),
        (["linux_armv6l"], {ELF: {"armv7l"}}, None, False),
        (["win_amd64"], {PE: {"x86_64"}}, None, False),
        (["macosx_11_0_universal2"], {MACH_O: {"x86_64", "arm64"}}, None, False),
        (["macosx_10_9_x86_64", "win32"], {MACH_O: {"x86_64"}, PE: {"x86"}}, None, False),
    ],
)
def test_tags_promise_machines_and_a_c_library(
    platforms: list[str], machines: dict[str, set[str]], glibc: tuple[int, int] | None, *, musl: bool
) -> None:
    assert promise(platforms) == native.Promise({kind: frozenset(names) for kind, names in machines.items()}, glibc, musl)


@pytest.mark.parametrize("platforms", [["any"], ["manylinux_2_17_x86_64", "ios_13_0_arm64"], ["emscripten_3_1_58_wasm32"]])
def test_tags_that_are_for_any_platform_or_unknown_promise_nothing(platforms: list[str]) -> None:
    assert promise(platforms) is None


def problems(directory: Path, platform_tag: str, name: str, data: bytes) -> list[str]:
    path = make_wheel(directory, "demo", "1.0", tag=f"cp312-cp312-{platform_tag}", files={f"demo/{name}": data})
    with path.open("rb") as file:
        return wheel_problems(file, path.name)


@pytest.mark.parametrize(
    ("tag", "name", "data", "told"),
    [
        ("manylinux_2_28_x86_64", "a.so", elf(AARCH64), "is for aarch64, the tags say x86_64"),
        ("manylinux_2_17_x86_64.manylinux2014_x86_64", "a.cpython-312-x86_64-linux-gnu.so", elf(needed=["GLIBC_2.18"]), "needs glibc 2.18"),
        ("manylinux_2_28_x86_64.manylinux2014_x86_64", "a.so.6", elf(needed=["GLIBC_2.28"]), "needs glibc 2.28, the tags say 2.17"),
        ("musllinux_1_2_x86_64", "a.so", elf(), "needs the GNU C library, the tags say musl"),
        ("win_amd64", "a.pyd", pe(0x14C), "is for x86, the tags say x86_64"),
        ("win_amd64", "a.pyd", elf(), "is ELF code, and no tag of the wheel is for it"),
        ("manylinux_2_28_x86_64", "a.so", thin(ARM_MAC), "is Mach-O code"),
        ("macosx_11_0_arm64", "a.so", thin(INTEL_MAC), "is for x86_64, the tags say arm64"),
        ("macosx_11_0_universal2", "a.dylib", thin(ARM_MAC), "is for arm64, the tags say arm64, x86_64"),
        ("manylinux_2_28_x86_64", "a.so", elf()[:100], "is cut off, as compiled code"),
    ],
)
def test_a_wheel_whose_code_does_not_keep_what_its_tags_promise_is_refused(
    tmp_path: Path, tag: str, name: str, data: bytes, told: str
) -> None:
    (problem,) = problems(tmp_path, tag, name, data)
    assert problem.startswith(f"'demo/{name}': ")
    assert told in problem


@pytest.mark.parametrize(
    ("tag", "name", "data"),
    [
        ("manylinux_2_28_x86_64", "a.so", elf(needed=["GLIBC_2.28"])),
        ("musllinux_1_2_x86_64", "a.so", elf(needed=())),
        ("win_amd64", "a.pyd", pe(0x8664)),
        ("win_amd64", "managed.dll", pe(0x14C)),
        ("macosx_11_0_arm64", "a.so", fat(INTEL_MAC, ARM_MAC)),
        ("manylinux_2_28_x86_64", "libx.so", b"INPUT(libx.so.1)\n"),
        ("manylinux_2_28_x86_64", "firmware.bin", elf(AARCH64)),
        ("any", "a.so", elf(AARCH64)),
    ],
)
def test_a_wheel_whose_code_does_is_good(tmp_path: Path, tag: str, name: str, data: bytes) -> None:
    path_tag = "py3-none-any" if tag == "any" else f"cp312-cp312-{tag}"
    path = make_wheel(tmp_path, "demo", "1.0", tag=path_tag, files={f"demo/{name}": data})
    with path.open("rb") as file:
        assert wheel_problems(file, path.name) == []
