"""Mach-O: the libraries, search paths and deployment target of code for macOS, read by macholib, and whether its signature holds.

macOS on Apple silicon ends a process that loads code whose signature does not hold, even one that names nobody (ad hoc). Such a
signature is a list of digests, one for each page of the file up to itself; they are computed again here. Source: Apple's ``cs_blobs.h``
and TN3126.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from macholib import mach_o
from macholib.MachO import MachO, MachOHeader, lc_str_value

from wheelhouse_builder.model.facts import MinorVersion
from wheelhouse_builder.repair.code import Code
from wheelhouse_builder.runtime.native import MACH_O, Malformed

NEEDED = (mach_o.LC_LOAD_DYLIB, mach_o.LC_REEXPORT_DYLIB, mach_o.LC_LOAD_UPWARD_DYLIB)
ARM64 = 0x0100000C
"""``CPU_TYPE_ARM64``; no code of it is loaded unsigned."""
MACOS = 1
"""LC_BUILD_VERSION's platform."""

_SUPER_BLOB, _CODE_DIRECTORY = 0xFADE0CC0, 0xFADE0C02
_DIGESTS = {1: ("sha1", 20), 2: ("sha256", 32), 3: ("sha256", 20), 4: ("sha384", 48)}
"""How many bytes of which digest a slot holds."""
_MANY = 64


def read_macho(path: Path, machines: frozenset[str]) -> Code:
    """Read the file at ``path``, of a universal file all its halves; what macholib raises for a malformed one passes."""
    headers = MachO(str(path), allow_unknown_load_commands=True).headers
    with path.open("rb") as file:
        signature = next(filter(None, (_signature_problem(file, header) for header in headers)), "")
    return Code(
        format=MACH_O,
        machines=machines,
        libraries=tuple(dict.fromkeys(name for header in headers for name in _names(header, NEEDED))),
        name=next((name for header in headers for name in _names(header, (mach_o.LC_ID_DYLIB,))), ""),
        rpaths=tuple(dict.fromkeys(path for header in headers for path in _names(header, (mach_o.LC_RPATH,)))),
        system=max((version for header in headers for version in _deployment_targets(header)), default=None),
        signature=signature,
    )


def _names(header: MachOHeader, kinds: tuple[int, ...]) -> Iterator[str]:
    for entry in header.commands:
        load, command, _ = entry
        if load.cmd in kinds:
            text = command.path if load.cmd == mach_o.LC_RPATH else command.name
            yield lc_str_value(text, entry).decode("utf-8", "replace").rstrip("\0")


def _deployment_targets(header: MachOHeader) -> Iterator[MinorVersion]:
    for load, command, _ in header.commands:
        if load.cmd == mach_o.LC_VERSION_MIN_MACOSX:
            yield _version(int(command.version))
        elif load.cmd == mach_o.LC_BUILD_VERSION and command.platform == MACOS:
            yield _version(int(command.minos))


def _version(number: int) -> MinorVersion:
    return number >> 16, number >> 8 & 0xFF


def _signature_problem(file: BinaryIO, header: MachOHeader) -> str:
    """What is wrong with the signature of one half of the file; empty: it holds, or there need be none."""
    place = next((command for load, command, _ in header.commands if load.cmd == mach_o.LC_CODE_SIGNATURE), None)
    if place is None:
        return "has no signature, without which Apple silicon runs nothing" if header.header.cputype == ARM64 else ""
    file.seek(header.offset + place.dataoff)
    blob = file.read(place.datasize)
    try:
        directories = list(_code_directories(blob))
        wrong = not directories or any(not _holds(file, header.offset, blob[start:]) for start in directories)
    except (struct.error, Malformed):
        return "has a malformed signature"
    return "has a signature that does not hold: the file was changed after it was signed" if wrong else ""


def _code_directories(blob: bytes) -> Iterator[int]:
    """Where in the signature each list of digests begins."""
    magic, _, count = struct.unpack_from(">III", blob)
    if magic != _SUPER_BLOB or count > _MANY:
        raise Malformed("is no signature")
    for index in range(count):
        _, start = struct.unpack_from(">II", blob, 12 + 8 * index)
        (kind,) = struct.unpack_from(">I", blob, start)
        if kind == _CODE_DIRECTORY:
            yield start


def _holds(file: BinaryIO, offset: int, directory: bytes) -> bool:
    """Whether each page of the code, which begins at ``offset``, has the digest that ``directory`` says."""
    first, _, _, slots, limit, size, kind, _, page = struct.unpack_from(">IIIIIBBBB", directory, 16)
    algorithm, length = _DIGESTS.get(kind, ("", 0))
    if size != length or not length or not slots:
        raise Malformed("has digests of an unknown kind")
    file.seek(offset)
    left, page_size = limit, 1 << page if page else limit
    for slot in range(slots):
        data = file.read(min(page_size, left))
        left -= len(data)
        start = first + slot * size
        if hashlib.new(algorithm, data, usedforsecurity=False).digest()[:length] != directory[start : start + size]:
            return False
    return not left
