"""The filter for machine code of x86 processors: where it makes the payload smaller, contents stand filtered in the pool.

It gains up to a tenth, or loses some: versions of one library that lie in each other's sight are more alike as they are. So it is tried.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from wheelhouse_builder.pack.crew import Pulse
from wheelhouse_builder.pack.effort import EFFORTS
from wheelhouse_builder.pack.members import Content
from wheelhouse_builder.pack.pool import Group, size_of

_TRIAL = EFFORTS["balanced"]
"""With less effort the trial is often wrong: of the extensions of four CPythons it missed three hundredths."""

_LZMA2 = {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 12, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3, "nice_len": 4, "depth": 1}
"""As little work as LZMA2 can be made to do: it only stands here because the library has no filter alone."""


def filtered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """``pieces`` as the filter makes them: as many bytes, which :func:`wheelhouse_builder.runtime.x86.restored` undoes."""
    compressor = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_X86}, _LZMA2])
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[_LZMA2])
    for piece in pieces:
        yield decompressor.decompress(compressor.compress(piece))
    yield decompressor.decompress(compressor.flush())


def filtered_if_smaller(group: Group, pulse: Pulse) -> Group:
    """The group whose machine code is filtered, if a trial says that it is smaller then; reads it twice."""
    code = [content for content in group if content.x86]
    if not code or _trial(code, pulse, through_filter=True) >= _trial(code, pulse, through_filter=False):
        return group
    return tuple(replace(content, filtered=content.x86) for content in group)


def _trial(code: Sequence[Content], pulse: Pulse, *, through_filter: bool) -> int:
    """The size of ``code`` when it is compressed with less effort than it will be."""
    size = size_of(code)
    compressor = _TRIAL.compressor(size).compressobj(size=size)
    total = 0
    for content in code:
        pieces = content.source.pieces()
        for piece in filtered(pieces) if through_filter else pieces:
            total += len(compressor.compress(piece))
            pulse(len(piece))
    return total + len(compressor.flush())
