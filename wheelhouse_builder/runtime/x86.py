"""Machine code of x86 processors as it was, from what xz's filter for it made (FORMAT.md, section 6, Skeletons).

A call says how far away its target is, so two calls of one function differ. The filter writes where the target is instead, and
compressors find more that is alike. The standard library's lzma has it, in C, as a filter before LZMA2, which is fed here with
chunks that are not compressed. Where a Python was built without lzma, the same is done in Python.
"""

import re
import struct
from types import ModuleType
from typing import Iterable, Iterator, Optional

try:
    import lzma
except ImportError:  # a Python that was built without liblzma
    _lzma: Optional[ModuleType] = None
else:
    _lzma = lzma

_CHUNK = 1 << 16
"""The most bytes of a chunk of LZMA2 that is not compressed."""
_FIRST, _LATER, _END = b"\x01", b"\x02", b"\x00"
"""How such chunks begin, and how LZMA2 ends."""

_OPCODE = re.compile(rb"[\xe8\xe9]")
_INSTRUCTION = 5
"""Bytes of a call or jump: the opcode, and a distance in four bytes, little-endian."""
_NEAR = (0x00, 0xFF)
"""The last byte of a distance that is filtered; others are rare, so that they rather are no distances."""
_UNFIT = (3, 5, 6, 7)
"""Which of the three bytes before an opcode must not look like opcodes themselves, as bits: 1 for the last of them."""
_HIGHEST = (0, 1, 2, 2, 3, 3, 3, 3)
"""The number of the highest of three bits, from 1."""


def restored(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes from which the filter made ``pieces``; as many, and where these end does not matter."""
    return _restored_in_python(pieces) if _lzma is None else _restored_by(_lzma, pieces)


def _restored_by(library: ModuleType, pieces: Iterable[bytes]) -> Iterator[bytes]:
    filters = [{"id": library.FILTER_X86}, {"id": library.FILTER_LZMA2, "dict_size": 1 << 12}]
    decompressor = library.LZMADecompressor(library.FORMAT_RAW, filters=filters)
    begin = _FIRST
    for piece in pieces:
        for at in range(0, len(piece), _CHUNK):
            part = piece[at : at + _CHUNK]
            yield decompressor.decompress(begin + struct.pack(">H", len(part) - 1) + part)
            begin = _LATER
    yield decompressor.decompress(_END)


def _restored_in_python(pieces: Iterable[bytes]) -> Iterator[bytes]:
    scan = _Scan()
    rest = b""
    for piece in pieces:
        block = bytearray(rest + piece)
        done = scan.restore(block)
        yield bytes(block[:done])
        rest = bytes(block[done:])
    yield rest


class _Scan:
    """How far the bytes were looked through, and what was met last."""

    def __init__(self) -> None:
        self._begin = 0
        """Where the next block begins, from the first byte of all."""
        self._last = -_INSTRUCTION
        """Where the last byte stood that looks like an opcode."""
        self._before = 0
        """What stands before the byte in hand: bits 1 to 3 for what looks like an opcode, 5 to 7 for what looks like a near call."""

    def restore(self, block: bytearray) -> int:
        """Restore ``block`` in place but for its end, with which the next one begins; returns where that is."""
        at = 0
        while True:
            found = _OPCODE.search(block, at, max(0, len(block) - _INSTRUCTION + 1))
            if found is None:
                break
            at = self._restore_at(block, found.start())
        done = max(at, len(block) - _INSTRUCTION + 1)
        self._begin += done
        return done

    def _restore_at(self, block: bytearray, at: int) -> int:
        """Look at the opcode at ``at``; returns where to look on."""
        place = self._begin + at
        for _ in range(min(place - self._last, _INSTRUCTION)):
            self._before = (self._before & 0x77) << 1
        self._last = place
        near = block[at + 4] in _NEAR
        opcodes = self._before >> 1
        if near and opcodes < 0x10 and opcodes not in _UNFIT:
            block[at + 1 : at + _INSTRUCTION] = _distance(struct.unpack_from("<I", block, at + 1)[0], place + _INSTRUCTION, opcodes)
            self._before = 0
            return at + _INSTRUCTION
        self._before |= 0x11 if near else 0x01
        return at + 1


def _distance(target: int, end: int, opcodes: int) -> bytes:
    """The distance to ``target`` from ``end``, where the instruction ends; taken again while the filter would have done so."""
    distance = target - end
    low = 32 - 8 * _HIGHEST[opcodes]
    while opcodes and (distance >> low - 8) & 0xFF in _NEAR:
        distance = ((distance & 0xFFFFFFFF) ^ ((1 << low) - 1)) - end
    return struct.pack("<I", distance & 0x00FFFFFF | (0xFF000000 if distance & 0x01000000 else 0))
