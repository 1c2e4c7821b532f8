"""Headers of a wheel, read as what a skeleton tells of them. Whether they can be told so shows when the wheel is rebuilt."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise

from wheelhouse_builder.runtime.headers import CENTRAL, END, LOCAL, Header


def headers_of(local: Sequence[bytes], directory: bytes) -> tuple[tuple[Header, ...], bytes]:
    """What is told of the members, as if none were verbatim, and the archive's comment.

    ``local``: what stands before the data of each, ``directory``: what follows the last. Raises ValueError where these are no headers.
    """
    found, at = [], 0
    try:
        for before in local:
            found.append(_header(before, directory, at))
            at += CENTRAL.size + sum(map(len, (found[-1].name, found[-1].central_extra, found[-1].comment)))
    except struct.error as error:
        raise ValueError("a header is cut off") from error
    return tuple(found), directory[at + END.size :]


def _header(local: bytes, directory: bytes, at: int) -> Header:
    name = LOCAL.unpack_from(local)[-2]
    _, made_by, needed, flags, compression, moment, _, _, _, *lengths, _, internal, external, _ = CENTRAL.unpack_from(directory, at)
    ends = [at + CENTRAL.size + sum(lengths[:count]) for count in range(4)]
    numbers = (made_by, needed, flags, compression, moment, internal, external, 0, 0)
    _, central_extra, comment = (directory[start:end] for start, end in pairwise(ends))
    return Header._make([*numbers, local[LOCAL.size : LOCAL.size + name], local[LOCAL.size + name :], central_extra, comment])
