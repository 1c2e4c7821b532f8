"""Volumes: a bundle cut into files for media of any size, read as they lie (FORMAT.md, section 12).

Each volume says of itself which part of which bundle it is, so names, order and places do not matter. Nothing of that is trusted:
headers only lead to the bytes, and the signed manifest confirms these. Nothing is joined on a disk and nothing is written. What recovery
volumes replace is computed as it is read, a block at a time.
"""

import hashlib
import os
import re
import struct
import threading
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from . import reedsolomon
from .errors import BundleRefused, EnvironmentFailure, WheelhouseError
from .source import File, Source

HEADER = struct.Struct("<4sI8s4H3Q32s32s32s32s")
"""Skippable magic and length, magic, version, number, volumes, recovery, size, slice, tail, three digests, and the header's own."""
SKIPPABLE_MAGIC = b"\x58\x2a\x4d\x18"
"""0x184D2A58: zstd skips the header as it skips the control part."""
MAGIC = b"WHVOLUME"
VERSION = 1
MAX_VOLUMES = 999
BLOCK = 256 * 1024
"""Bytes that are recovered at once."""

_DIGEST_SIZE = 32
_SKIPPED = HEADER.size - 8
_NAMED_LIKE_ONE = re.compile(r".*\.[vr][0-9]+of[0-9]+")
_MAX_SCANNED = 10000
"""Files of one directory that are looked at."""
_NAME_ONE = "Name a bundle that is one file, or one of its volumes, or the directory that holds them."
_LOOK_THERE = "Name every place where a volume lies with --volumes: a file, or a directory."


class Header(NamedTuple):
    """What a volume says of itself; nothing of it is verified."""

    number: int
    """From 1; recovery volumes count on after the last data volume."""
    volumes: int
    """Data volumes of the set."""
    recovery: int
    """Recovery volumes of the set."""
    size: int
    """Bytes of the whole bundle."""
    slice: int
    """Bytes of the bundle in each data volume but the last two, which may have fewer."""
    tail: int
    """Bytes of the bundle in the last data volume."""
    digest: bytes
    """Content digest of the bundle."""
    sha256: bytes
    """SHA-256 of the whole bundle file."""
    data_sha256: bytes
    """SHA-256 of all bytes after this header."""

    @property
    def set(self) -> Tuple[object, ...]:
        """What all volumes of one set have alike."""
        return self[1:8]

    @property
    def title(self) -> str:
        """``volume 3 of 5``, ``recovery volume 1 of 2``."""
        return title(self, self.number)

    def encode(self) -> bytes:
        """The bytes with which the volume begins."""
        fields = HEADER.pack(SKIPPABLE_MAGIC, _SKIPPED, MAGIC, VERSION, *self, bytes(_DIGEST_SIZE))[:-_DIGEST_SIZE]
        return fields + hashlib.sha256(fields).digest()


class Volume(NamedTuple):
    """A volume that is there."""

    header: Header
    file: File


def title(header: Header, number: int) -> str:
    """What the volume of this number is called in messages."""
    if number > header.volumes:
        return "recovery volume {} of {}".format(number - header.volumes, header.recovery)
    return "volume {} of {}".format(number, header.volumes)


def extent(header: Header, number: int) -> Tuple[int, int]:
    """Where the bytes of data volume ``number`` begin in the bundle, and how many they are."""
    start = (number - 1) * header.slice
    if number == header.volumes:
        return header.size - header.tail, header.tail
    return start, min(header.slice, header.size - header.tail - start)


def decode_header(data: bytes) -> Optional[Header]:
    """The header in the first bytes of a file; None where the file does not begin as a volume does.

    Raises BundleRefused, with one clause, for a header that is damaged or tells of what cannot be.
    """
    if not begins_like_a_volume(data):
        return None
    data = data[: HEADER.size]
    if len(data) < HEADER.size or hashlib.sha256(data[:-_DIGEST_SIZE]).digest() != data[-_DIGEST_SIZE:]:
        raise BundleRefused("its header is damaged")
    _, skipped, _, version, *fields = HEADER.unpack(data)[:-1]
    header = Header(*fields)
    if version != VERSION or skipped != _SKIPPED:
        raise BundleRefused("it is of version {}, this reader knows {}".format(version, VERSION))
    if not _is_possible(header):
        raise BundleRefused("its header contradicts itself")
    return header


def begins_like_a_volume(data: bytes) -> bool:
    """Whether a file that begins with ``data`` is meant to be a volume."""
    return data[:4] == SKIPPABLE_MAGIC and data[8:16] == MAGIC


def open_source(path: str, others: Sequence[str] = ()) -> Source:
    """The bundle at ``path``: the file itself, or the volumes of which it is one, or which lie in it when it is a directory.

    ``others`` are further volumes, or directories that hold some; the directory of a volume is always looked into.
    Raises BundleRefused, which names what is missing, foreign, doubled or cut off, and EnvironmentFailure.
    """
    search = _Search()
    try:
        if not _is_directory(path):
            first = File(path)
            if not begins_like_a_volume(_beginning(first)):
                return _whole(first, others)
            search.take(first, named=True)
        for place in [path, *others] if _is_directory(path) else others:
            search.look(place)
        return VolumeSet(path, *search.outcome(path))
    except BaseException:
        search.close()
        raise


def _whole(file: File, others: Sequence[str]) -> File:
    """The bundle that is one file, which has no volumes elsewhere."""
    if others:
        file.close()
        raise BundleRefused("{} holds no volume of a bundle.".format(file.path), hint=_NAME_ONE)
    return file


def _is_possible(header: Header) -> bool:
    """Whether such a set of volumes can be."""
    volumes, recovery, before_tail = header.volumes, header.recovery, header.size - header.tail
    if not (1 <= volumes <= MAX_VOLUMES and 1 <= header.number <= volumes + recovery and 1 <= header.tail <= header.slice):
        return False
    if recovery and volumes + recovery > reedsolomon.MAX_VOLUMES:
        return False
    if volumes == 1:
        return before_tail == 0
    return (volumes - 2) * header.slice < before_tail <= (volumes - 1) * header.slice


def _is_directory(path: str) -> bool:
    try:
        return os.path.isdir(path)
    except ValueError:  # NUL in the path, before Python 3.8
        return False


def _beginning(file: File) -> bytes:
    return file.read(0, min(HEADER.size, file.size))


class _Search:
    """Looks for the volumes of one set."""

    def __init__(self) -> None:
        self._seen: Set[str] = set()
        self._named: List[Volume] = []
        self._found: List[Volume] = []
        self._notes: List[str] = []
        """What was found and is of no use; told when something is missing."""
        self._files: List[File] = []

    def look(self, place: str) -> None:
        """Look at a file that the user named, or at each file of a directory."""
        if not _is_directory(place):
            if os.path.realpath(place) not in self._seen:
                self.take(File(place), named=True)
            return
        try:
            paths = sorted(entry.path for entry in os.scandir(place) if entry.is_file())[:_MAX_SCANNED]
        except OSError as error:
            raise EnvironmentFailure(
                "Cannot look into {}: {}.".format(place, error.strerror), hint="Is it there, may you read it, and is the medium sound?"
            ) from None
        for path in paths:
            if os.path.realpath(path) not in self._seen:
                self._take_unasked(path)

    def take(self, file: File, *, named: bool) -> None:
        """Keep ``file`` open if it is a volume; then its directory is looked into, if the user named it."""
        self._files.append(file)
        self._seen.add(os.path.realpath(file.path))
        try:
            header = decode_header(_beginning(file))
        except BundleRefused as refusal:
            self._notes.append("{} is a volume, and {}.".format(file.path, refusal.problems[0]))
            header = None
        else:
            if header is None and (named or _NAMED_LIKE_ONE.fullmatch(file.path)):
                self._notes.append("{} is no volume of a bundle.".format(file.path))
        if header is None:
            file.close()
        else:
            (self._named if named else self._found).append(Volume(header, file))
        if named:
            self.look(os.path.dirname(os.path.abspath(file.path)))

    def _take_unasked(self, path: str) -> None:
        try:
            self.take(File(path), named=False)
        except WheelhouseError as failure:  # not a file to read: another one may serve
            if _NAMED_LIKE_ONE.fullmatch(path):
                self._notes.extend(failure.problems)

    def outcome(self, path: str) -> Tuple[Header, Dict[int, Volume], List[str]]:
        """A header of the set, its volumes by index, and the notes. What belongs to no volume of the set is closed."""
        wanted = self._which(path)
        own: Dict[int, Volume] = {}
        for volume in self._named + self._found:
            if volume.header.set == wanted.set:
                self._add(own, volume)
            else:
                self._notes.append("{} is {} of {}.".format(volume.file.path, volume.header.title, _difference(volume.header, wanted)))
                volume.file.close()
        return wanted, own, self._notes

    def _which(self, path: str) -> Header:
        """A header of the set that is meant. Raises BundleRefused when the user named volumes of several, or of none."""
        candidates = self._named or self._found
        if not candidates:
            raise BundleRefused(
                "{} holds no volume of a bundle.".format(path),
                *self._notes,
                hint=_NAME_ONE,
            )
        wanted = candidates[0].header
        foreign = [each for each in candidates if each.header.set != wanted.set]
        if foreign:
            raise BundleRefused(
                "{} is {} of the bundle sha256:{}.".format(candidates[0].file.path, wanted.title, wanted.digest.hex()),
                *["{} is {} of {}.".format(each.file.path, each.header.title, _difference(each.header, wanted)) for each in foreign],
                hint="Name the volumes of one bundle only.",
            )
        return wanted

    def _add(self, own: Dict[int, Volume], volume: Volume) -> None:
        """Add ``volume``, unless it is cut off or there already."""
        problem = _size_problem(volume)
        if problem:
            self._notes.append("{} is {} and {}.".format(volume.file.path, volume.header.title, problem))
            volume.file.close()
            return
        other = own.setdefault(volume.header.number, volume)
        if other.header != volume.header:
            raise BundleRefused(
                "{} and {} both say that they are {}, and have different contents.".format(
                    other.file.path, volume.file.path, volume.header.title
                ),
                hint="One of them was changed. Take away the one that does not come from the sender.",
            )
        if other is not volume:
            volume.file.close()

    def close(self) -> None:
        for file in self._files:
            file.close()


def _difference(header: Header, wanted: Header) -> str:
    if header.digest != wanted.digest:
        return "another bundle, sha256:" + header.digest.hex()
    return "the same bundle, cut or packed in another way"


def _size_problem(volume: Volume) -> Optional[str]:
    """Why the file cannot be whole, by its size."""
    header, size = volume.header, volume.file.size - HEADER.size
    wanted = header.slice if header.number > header.volumes else extent(header, header.number)[1]
    if size < wanted:
        return "is cut off: it has {} bytes of {}".format(size + HEADER.size, wanted + HEADER.size)
    if size > wanted and header.number <= header.volumes:
        return "is too long: it has {} bytes of {}".format(size + HEADER.size, wanted + HEADER.size)
    return None


class VolumeSet(Source):
    """The volumes of one bundle, as one run of bytes."""

    def __init__(self, path: str, header: Header, volumes: Dict[int, Volume], notes: Sequence[str]) -> None:
        self.path = path
        self.size = header.size
        self.identity = header.digest.hex()
        self.header = header
        self._volumes = volumes
        self._files = [volume.file for volume in volumes.values()]
        self._notes = list(notes)
        self._lock = threading.RLock()
        self._recipes: Dict[int, Tuple[Dict[int, int], Dict[int, int]]] = {}
        self._hashed = False
        self._damaged: Dict[int, str] = {}
        self._prepare()

    @property
    def lost(self) -> List[int]:
        """The data volumes, by number, that are missing or damaged."""
        return [number for number in range(1, self.header.volumes + 1) if number not in self._volumes]

    def volumes(self) -> Optional[Dict[str, Any]]:
        """See :class:`~source.Source`."""
        return {
            "count": self.header.volumes,
            "recovery": self.header.recovery,
            "sha256": self.header.sha256.hex(),
            "files": [volume.file.path for _, volume in sorted(self._volumes.items())],
            "recovered": [title(self.header, number) for number in self.lost],
        }

    def read(self, offset: int, length: int) -> bytes:
        """See :class:`~source.Source`."""
        parts = []
        for number in range(1, self.header.volumes + 1):
            start, size = extent(self.header, number)
            first, last = max(offset, start), min(offset + length, start + size)
            if first < last:
                parts.append(self._read_from(number, first - start, last - first))
        return b"".join(parts)

    def place(self, offset: int) -> str:
        """See :class:`~source.Source`."""
        for number in range(1, self.header.volumes + 1):
            start, size = extent(self.header, number)
            if start <= offset < start + size:
                volume = self._volumes.get(number)
                where = "{}, byte {}".format(volume.file.path, HEADER.size + offset - start) if volume else "recovered"
                return "{} ({})".format(title(self.header, number).capitalize(), where)
        return self.path

    def heal(self) -> bool:
        """Hash all volumes, once, and let recovery volumes replace those that are damaged. Raises BundleRefused if they cannot."""
        return bool(self.header.recovery and self.damage())

    def damage(self) -> List[str]:
        """See :class:`~source.Source`. What is damaged is not read any more. Raises BundleRefused when too much is lost then."""
        with self._lock:
            if not self._hashed:
                self._hashed = True
                for number in sorted(self._volumes):
                    self._drop_if_damaged(number)
                self._prepare()
            return [self._damaged[number] for number in sorted(self._damaged)]

    def close(self) -> None:
        """See :class:`~source.Source`."""
        for file in self._files:
            file.close()

    def _read_from(self, number: int, start: int, length: int) -> bytes:
        """Bytes of a data volume, from the volume itself or computed; once more when a volume cannot be read and others replace it."""
        try:
            return self._read_now(number, start, length)
        except WheelhouseError:  # a bad sector, or cut off meanwhile
            if not self.heal():
                raise
        return self._read_now(number, start, length)

    def _read_now(self, number: int, start: int, length: int) -> bytes:
        volume = self._volumes.get(number)
        if volume is not None:
            return volume.file.read(HEADER.size + start, length)
        return b"".join(self._recovered(number, start, length))

    def _recovered(self, number: int, start: int, length: int) -> Iterator[bytes]:
        """The same computed from other volumes, a block at a time."""
        with self._lock:
            by_row, by_column = self._recipes[number]
            terms = [(factor, self._volumes[self.header.volumes + 1 + row], self.header.slice) for row, factor in by_row.items()]
            terms += [(factor, self._volumes[column + 1], extent(self.header, column + 1)[1]) for column, factor in by_column.items()]
        for at in range(start, start + length, BLOCK):
            size = min(BLOCK, start + length - at)
            yield reedsolomon.combine(
                ((factor, volume.file.read(HEADER.size + at, max(0, min(size, held - at)))) for factor, volume, held in terms if factor),
                size,
            )

    def _drop_if_damaged(self, number: int) -> None:
        volume = self._volumes[number]
        try:
            sound = _data_digest(volume.file) == volume.header.data_sha256
        except WheelhouseError:
            sound = False
        if not sound:
            del self._volumes[number]  # it stays open: another thread may be reading it
            self._damaged[number] = "{} is {} and is damaged.".format(volume.file.path, volume.header.title)

    def _prepare(self) -> None:
        """Find out how what is lost is computed. Raises BundleRefused when too much is lost."""
        header, lost = self.header, self.lost
        rows = [number - header.volumes - 1 for number in sorted(self._volumes) if number > header.volumes]
        if len(lost) > len(rows):
            raise self._incomplete(lost, len(rows))
        columns = [number - 1 for number in lost]
        present = [column for column in range(header.volumes) if column not in columns]
        recipes = reedsolomon.solve(columns, rows[: len(columns)], present)
        self._recipes = {column + 1: recipe for column, recipe in recipes.items()}

    def _incomplete(self, lost: Sequence[int], recovery: int) -> BundleRefused:
        problems = [self._damaged.get(number) or "{} is missing.".format(title(self.header, number).capitalize()) for number in lost]
        if self.header.recovery:
            problems.append(
                "{} data volumes are lost, and {} of {} recovery volumes are there.".format(len(lost), recovery, self.header.recovery)
            )
        return BundleRefused(*(problems + self._notes), hint="{} The bundle is sha256:{}.".format(_LOOK_THERE, self.identity))


def _data_digest(file: File) -> bytes:
    """SHA-256 of all bytes after the header."""
    digest = hashlib.sha256()
    for at in range(HEADER.size, file.size, BLOCK):
        digest.update(file.read(at, min(BLOCK, file.size - at)))
    return digest.digest()
