"""A DLL of Windows made by hand: headers and a table of imports, no code."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

AMD64 = 0x8664
HEADERS, START = 0x400, 0x1000
"""Where the one section lies in the file, and where it is loaded to."""


def write_pe(path: Path, needs: Sequence[str]) -> Path:
    """Write a DLL for x86_64 that imports from the libraries ``needs``."""
    imports = _imports(needs)
    size = -(-len(imports) // 0x200) * 0x200
    coff = struct.pack("<HHIIIHH", AMD64, 1, 0, 0, 0, 240, 0x2022)  # an executable image, large addresses, a DLL
    optional = struct.pack("<HBBIIIII", 0x20B, 14, 0, 0, size, 0, 0, START)
    optional += struct.pack("<QIIHHHHHHI", 0x180000000, 0x1000, 0x200, 6, 0, 0, 0, 6, 0, 0)  # base, alignments, versions
    optional += struct.pack("<IIIHH", START + 0x1000, HEADERS, 0, 3, 0x160)  # sizes, checksum, subsystem, features
    optional += struct.pack("<QQQQII", 1 << 20, 1 << 12, 1 << 20, 1 << 12, 0, 16)  # stack and heap, number of directories
    directories = [(0, 0)] * 16
    directories[1] = START, 20 * (len(needs) + 1)
    optional += b"".join(struct.pack("<II", *each) for each in directories)
    section = struct.pack("<8sIIIIIIHHI", b".rdata", len(imports), START, size, HEADERS, 0, 0, 0, 0, 0x40000040)
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    path.write_bytes((dos + b"PE\0\0" + coff + optional + section).ljust(HEADERS, b"\0") + imports.ljust(size, b"\0"))
    return path


def _imports(needs: Sequence[str]) -> bytes:
    """One descriptor for each library, one function of each, and the names."""
    tables = START + 20 * (len(needs) + 1)
    names = tables + 16 * len(needs)
    hint = names
    texts = b"\0\0function\0\0"
    descriptors = thunks = b""
    for index, library in enumerate(needs):
        thunk, name = tables + 16 * index, names + len(texts)
        descriptors += struct.pack("<5I", thunk, 0, 0, name, thunk)
        thunks += struct.pack("<QQ", hint, 0)
        texts += library.encode() + b"\0"
    return descriptors + bytes(20) + thunks + texts
