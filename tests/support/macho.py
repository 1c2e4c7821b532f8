"""A Mach-O library made by hand: the load commands that matter for repairs, a page of nothing, and a true ad-hoc signature."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from repairwheel.macos.machosign import ad_hoc_sign

ARM64, DYLIB, MACOS = 0x0100000C, 6, 1
PAGE = 0x4000
_LOAD, _ID, _RPATH, _BUILD, _SEGMENT = 0xC, 0xD, 0x8000001C, 0x32, 0x19


def write_macho(
    path: Path, *, name: str = "", needs: Sequence[str] = (), rpaths: Sequence[str] = (), macos: int = 13, signed: bool = True
) -> Path:
    """Write a library of Apple silicon that calls itself ``name``, was built for ``macos`` and is signed, or not."""
    commands = [
        _segment(b"__TEXT", 0, PAGE, 5),
        _segment(b"__LINKEDIT", PAGE, 64, 1),
        *([_dylib(_ID, name)] if name else []),
        *(_dylib(_LOAD, each) for each in needs),
        *(_with_text(_RPATH, b"", each) for each in rpaths),
        struct.pack("<6I", _BUILD, 24, MACOS, macos << 16, macos << 16, 0),
    ]
    body = b"".join(commands)
    header = struct.pack("<8I", 0xFEEDFACF, ARM64, 0, DYLIB, len(commands), len(body), 0x85, 0)
    path.write_bytes((header + body).ljust(PAGE, b"\0") + bytes(64))
    if signed:
        ad_hoc_sign(str(path))
    return path


def _segment(name: bytes, offset: int, size: int, rights: int) -> bytes:
    """LC_SEGMENT_64; __TEXT has one section, so that tools know where the room for more commands ends."""
    sections = [struct.pack("<16s16sQQIIIIIIII", b"__text", name, PAGE - 16, 16, PAGE - 16, 0, 0, 0, 0, 0, 0, 0)] if offset == 0 else []
    fields = (_SEGMENT, 72 + 80 * len(sections), name, offset, PAGE, offset, size, rights, rights, len(sections), 0)
    return struct.pack("<2I16s4Q4I", *fields) + b"".join(sections)


def _dylib(kind: int, name: str) -> bytes:
    return _with_text(kind, struct.pack("<3I", 0, 0x10000, 0x10000), name)


def _with_text(kind: int, fields: bytes, text: str) -> bytes:
    """A load command that ends in a text; its offset stands before the other fields."""
    start = 12 + len(fields)
    size = (start + len(text.encode()) + 8) // 8 * 8
    return (struct.pack("<3I", kind, size, start) + fields + text.encode()).ljust(size, b"\0")
