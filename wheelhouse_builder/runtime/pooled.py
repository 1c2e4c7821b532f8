"""Wheels of which there are a skeleton and the pool, read as the ZIP archives that they would make, or have made."""

import hashlib
from functools import partial
from typing import BinaryIO, Callable, Iterator, List, Optional, cast

from .headers import directory, known, local_header
from .skeleton import STORED, VERBATIM, Read, Skeleton, content, is_plain
from .skeleton import Member as Part
from .ziparchive import DEFLATED, PIECE, Member, ZipArchive, ZipRefused, central_header, central_problems, end_record

Slice = Callable[[int, int], memoryview]
"""The pool's bytes from an offset on, so many."""


class PooledArchive(ZipArchive):
    """The archive that ``skeleton`` would make of the pool, and which is never made. Its size, in bytes, is ``size``.

    Every byte of both hangs on the signature by way of the chunks, so sizes and CRC-32 that the skeleton leaves out need no proof.
    Raises ZipRefused. The rules of :mod:`ziparchive` about where things lie in the file are not asked: nobody reads the file.
    """

    def __init__(self, skeleton: Skeleton, pool: Slice, size: int) -> None:
        self.size = size
        self.problems: List[str] = []
        self._pool = pool
        raw = _directory(skeleton)
        self._headers = {member.name: (member, header) for member, header in zip(raw, skeleton.headers)}
        self._local = b""
        self._parts = {member.name: part for member, part in zip(raw, skeleton.members)}
        self._order = {member.name: number for number, member in enumerate(raw)}
        self._numbers = {header.name: number for number, header in enumerate(skeleton.headers)}
        self.members = [_completed(member, part) for member, part in zip(raw, skeleton.members)]
        self._check_names()
        for member in self.members:
            self.problems.extend(central_problems(member))
        self._check_bomb()

    def local_problems(self, member: Member) -> List[str]:
        """See :meth:`ZipArchive.local_problems`. The skeleton says once what both headers say, but for their extra fields."""
        raw, header = self._headers[member.name]
        if not (header.extra or header.central_extra):
            return []
        self._local = local_header(header, known(header))
        return super().local_problems(raw)

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
        data = self._local[offset : offset + size]
        if len(data) != size:
            raise ZipRefused("has a header that is cut off")
        return data


class RebuiltArchive(ZipArchive):
    """The file that ``skeleton`` made of the pool in this process, and that is the signed one. Raises ZipRefused.

    What zlib deflated a moment ago is not inflated, which would yield what it was made of: that is read again instead, and held against
    the headers in the file as ever.
    """

    def __init__(self, file: BinaryIO, skeleton: Skeleton, read: Read) -> None:
        super().__init__(file)
        self._read = read
        pairs = zip(skeleton.headers, skeleton.members)
        self._made_of = {header.name: part for header, part in pairs if is_plain(part.method) and part.method not in (STORED, VERBATIM)}

    def _content(self, member: Member) -> Iterator[bytes]:
        part = self._made_of.get(member.raw_name) if member.method == DEFLATED else None  # by headers that say so
        return iter(self._read(part.start, part.length)) if part else super()._content(member)


def _directory(skeleton: Skeleton) -> List[Member]:
    """The members as the central directory has them, but for what the skeleton leaves out."""
    members: List[Member] = []
    at = 0
    data = directory(skeleton.headers, list(map(known, skeleton.headers)), skeleton.comment, 0)
    end_record(data)
    while len(members) < len(skeleton.headers):
        member, at = central_header(data, at)
        members.append(member)
    return members


def _completed(member: Member, part: Part) -> Member:
    """The member with the sizes that the skeleton leaves out."""
    if part.method == VERBATIM:
        return member._replace(compressed=part.length)
    return member._replace(size=part.length, compressed=part.length)
