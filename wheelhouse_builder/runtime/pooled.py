"""A wheel of which there are a skeleton and the pool, read as the ZIP archive that they would make, which is never made.

Every byte of both hangs on the signature by way of the chunks, so sizes and CRC-32 that the skeleton leaves out need no proof.
"""

import hashlib
import io
from functools import partial
from typing import Callable, Iterator, List, Optional, Sequence, cast

from .skeleton import VERBATIM, Skeleton, content, member_name
from .skeleton import Member as Part
from .ziparchive import END, PIECE, Member, ZipArchive, ZipRefused, central_header, central_problems

Slice = Callable[[int, int], memoryview]
"""The pool's bytes from an offset on, so many."""


class PooledArchive(ZipArchive):
    """The archive that ``skeleton``, whose derived fields are cut out, makes of the pool. Its size, in bytes, is ``size``.

    Raises ZipRefused. The rules of :mod:`ziparchive` about where things lie in the file are not asked: nobody reads the file.
    """

    def __init__(self, skeleton: Skeleton, pool: Slice, size: int) -> None:
        if not skeleton.derived:
            raise ZipRefused("is no archive of plain headers")
        self.size = size
        self.problems: List[str] = []
        self._pool = pool
        self._headers = io.BytesIO(b"".join(skeleton.literals))
        raw = _directory(skeleton.literals[-1], len(skeleton.members))
        offsets = _offsets(skeleton.literals)
        self._raw = {member.name: member._replace(offset=offset) for member, offset in zip(raw, offsets)}
        self._parts = {member.name: part for member, part in zip(raw, skeleton.members)}
        self._order = {member.name: number for number, member in enumerate(raw)}
        self._numbers = {member_name(skeleton, number): number for number in range(len(raw))}
        self.members = [_completed(member, part) for member, part in zip(raw, skeleton.members)]
        self._check_names()
        for member in self.members:
            self.problems.extend(central_problems(member))
        self._check_bomb()

    def local_problems(self, member: Member) -> List[str]:
        """See :meth:`ZipArchive.local_problems`; of both headers, as the skeleton has them."""
        return super().local_problems(self._raw[member.name])

    def contents(self, member: Member) -> Iterator[bytes]:
        """See :meth:`ZipArchive.contents`."""
        return super().contents(member) if self._parts[member.name].method == VERBATIM else self._pieces(member)

    def _pieces(self, member: Member) -> Iterator[bytes]:
        part = self._parts[member.name]
        whole = self._pool(part.start, part.length)
        pieces = (cast("bytes", whole[at : at + PIECE]) for at in range(0, part.length, PIECE))  # who reads them cannot tell the difference
        return content(part.method, pieces, partial(self._digest_before, self._order[member.name]))

    def _digest_before(self, end: int, name: bytes) -> Optional[bytes]:
        """The SHA-256 of the member of this name, if it is one of the first ``end`` and its content is in the pool."""
        number = self._numbers.get(name, end)
        if number >= end or self._parts[self.members[number].name].method == VERBATIM:
            return None
        digest = hashlib.sha256()
        for piece in self.contents(self.members[number]):
            digest.update(piece)
        return digest.digest()

    def _read_at(self, offset: int, size: int) -> bytes:
        self._headers.seek(offset)
        data = self._headers.read(size)
        if len(data) != size:
            raise ZipRefused("has a header that is cut off")
        return data


def _directory(literal: bytes, count: int) -> List[Member]:
    """The members of the central directory at the beginning of ``literal``, which ends in an end record without a comment."""
    members: List[Member] = []
    at = 0
    while len(members) < count:
        member, at = central_header(literal, at)
        members.append(member)
    _, disk, first_disk, here, total, size, _, comment = END.unpack(literal[at : at + END.size].ljust(END.size, b"\0"))
    if (disk, first_disk, here, total, size, comment) != (0, 0, count, count, at, 0) or len(literal) != at + END.size:
        raise ZipRefused("its end record does not agree with its central directory")
    return members


def _offsets(literals: Sequence[bytes]) -> Iterator[int]:
    """Where each literal begins, when they stand back to back."""
    at = 0
    for literal in literals:
        yield at
        at += len(literal)


def _completed(member: Member, part: Part) -> Member:
    """The member with the sizes that the skeleton leaves out."""
    if part.method == VERBATIM:
        return member._replace(compressed=part.length)
    return member._replace(size=part.length, compressed=part.length)
