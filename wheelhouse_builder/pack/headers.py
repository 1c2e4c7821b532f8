"""Headers of a wheel, read as what a skeleton tells of them. Whether they can be told so shows when the wheel is rebuilt."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise

from wheelhouse_builder.runtime.headers import CENTRAL, END, LOCAL, Header
from wheelhouse_builder.runtime.skeleton import VERBATIM


def headers_of(local: Sequence[bytes], directory: bytes, methods: Sequence[int]) -> tuple[tuple[Header, ...], bytes]:
    """What is told of the members, and the archive's comment.

    ``local``: what stands before the data of each, ``directory``: what follows the last, ``methods``: how their data is made again.
    Raises ValueError where these are no headers.
    """
    found, at = [], 0
    try:
        for before, method in zip(local, methods, strict=True):
            found.append(_header(before, directory[at:], verbatim=method == VERBATIM))
            at += CENTRAL.size + sum(map(len, (found[-1].name, found[-1].central_extra, found[-1].comment)))
    except struct.error as error:
        raise ValueError("a header is cut off") from error
    return tuple(found), directory[at + END.size :]


def _header(local: bytes, central: bytes, *, verbatim: bool) -> Header:
    name = LOCAL.unpack_from(local)[-2]
    _, made_by, needed, flags, compression, moment, crc, _, size, *lengths, _, internal, external, _ = CENTRAL.unpack_from(central)
    ends = [CENTRAL.size + sum(lengths[:count]) for count in range(4)]
    numbers = (made_by, needed, flags, compression, moment, internal, external, *((crc, size) if verbatim else (0, 0)))
    _, central_extra, comment = (central[start:end] for start, end in pairwise(ends))
    return Header._make([*numbers, local[LOCAL.size : LOCAL.size + name], local[LOCAL.size + name :], central_extra, comment])
