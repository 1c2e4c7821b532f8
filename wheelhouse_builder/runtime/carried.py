"""Bytecode that travels with a bundle (FORMAT.md, section 5): written beside its sources, before anything is compiled.

Whether it is for this interpreter and for these very sources is asked by the interpreter itself, with what it would compile: see
:mod:`compiling`. One entry of the payload holds what was compiled of one wheel for one Python.
"""

import hashlib
import importlib.util
import os
import struct
import sys
from contextlib import closing, suppress
from typing import Dict, Iterator, Mapping, NamedTuple, Sequence, Set, Tuple

from .cores import shares, side_by_side
from .engine import Job
from .errors import BundleRefused
from .layout import bytecode_entry
from .manifest import ManifestFile
from .payload import decoder_for, frames_with, read_entries
from .placing import READABLE, Placed, write_new
from .zstd import Decoder

MAGIC = b"WHBC\x01"
CPYTHON = "cp"
"""How the interpreters begin whose bytecode travels."""
WORTH_A_PROCESS = 8 << 20
"""Bytes of frames below which bytecode is written sooner than another process is there."""
_SIZES = struct.Struct("<LL")
"""Before each member: bytes of the source's path, and of what was compiled of it."""
_HASHED = (b"\1\0\0\0", b"\3\0\0\0")
"""The flags of a .pyc that is valid by the hash of its source (PEP 552)."""


class Written(NamedTuple):
    """The bytecode of one source."""

    source: str
    path: str
    """Where the bytecode is."""
    compiled: bytes


class Carried(NamedTuple):
    """What is there of the bytecode that travels, by the paths of the sources."""

    proved: Dict[str, str]
    """Where it is. The interpreter that will load it is the one that runs this, and has found that it is for itself, and of this source."""
    unproved: Set[str]
    """The interpreter that will load it has yet to look at it."""


class _Frames(NamedTuple):
    """How bytecode is read, and for what."""

    job: Job
    decoder: Decoder
    entries: Mapping[str, Placed]
    files: Mapping[str, ManifestFile]

    def place(self, share: Sequence[int]) -> Iterator[Carried]:
        """Write what these frames hold."""
        for index in share:
            with closing(read_entries(self.job.bundle, index, self.decoder)) as found:
                for path, _, contents in found:
                    if path in self.files:
                        yield self._place(path, b"".join(contents))

    def _place(self, path: str, data: bytes) -> Carried:
        if (len(data), hashlib.sha256(data).hexdigest()) != (self.files[path].size, self.files[path].sha256):
            raise _refused(path, "size or SHA-256 is not what the manifest says")
        ours = self.job.host.executable == sys.executable
        carried = Carried({}, set())
        for source, written, compiled in write_bytecode(path, data, self.entries[path], self.job.target.interpreter):
            if ours and _belongs(compiled, source):
                carried.proved[source] = written
            else:
                carried.unproved.add(source)
        return carried


def place_carried(job: Job, placed: Mapping[str, Placed]) -> Carried:
    """Write the bytecode that the bundle carries for wheels, by file name. Raises BundleRefused, OSError."""
    manifest = job.bundle.manifest
    entries = {bytecode_entry(job.target.interpreter, filename): each for filename, each in placed.items()}
    files = {each.path: each for each in manifest.files if each.path in entries}
    carried = Carried({}, set())
    if not files or job.target.abi.endswith("t"):
        return carried
    frames = _Frames(job, decoder_for(job.bundle, job.scratch), entries, files)
    with job.progress.step("placing bytecode", total=len(files)) as step:
        work = shares(frames_with(manifest, files), lambda index: manifest.frames[index].tar_size, WORTH_A_PROCESS)
        for found in side_by_side(frames.place, work):
            carried.proved.update(found.proved)
            carried.unproved.update(found.unproved)
            step.advance()
    return carried


def write_bytecode(path: str, data: bytes, placed: Placed, interpreter: str) -> Iterator[Written]:
    """Write what the entry ``path`` holds, compiled of the sources of one wheel and of nothing else.

    What a wheel itself brings for a source stays. Raises BundleRefused, OSError.
    """
    sources = set(placed.sources)
    folders: Set[str] = set()
    for source, compiled in members_of(path, data):
        if source not in sources:
            raise _refused(path, "%s is no source of its wheel, or there twice" % ascii(source))
        sources.remove(source)
        folder, name = os.path.split(placed.path_of(source))
        target = os.path.join(folder, "__pycache__", "%s.cpython-%s.pyc" % (name[: -len(".py")], interpreter[len(CPYTHON) :]))
        if folder not in folders:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            folders.add(folder)
        with suppress(FileExistsError):
            write_new(target, [compiled], READABLE)
            yield Written(placed.path_of(source), target, compiled)


def _belongs(compiled: bytes, source: str) -> bool:
    """Whether the running interpreter compiled it, or one that writes the same, of what is at ``source``. Raises OSError."""
    hash_of = getattr(importlib.util, "source_hash", None)  # CPython 3.7 and newer
    if hash_of is None or compiled[:4] != importlib.util.MAGIC_NUMBER or compiled[4:8] not in _HASHED:
        return False
    with open(source, "rb", 0) as file:
        return bool(compiled[8:16] == hash_of(file.read()))


def members_of(path: str, data: bytes) -> Iterator[Tuple[str, bytes]]:
    """Each source in ``data``, the entry ``path``, as RECORD has it, and what was compiled of it. Raises BundleRefused."""
    at = len(MAGIC)
    if data[:at] != MAGIC:
        raise _refused(path, "it does not begin as bytecode does")
    while at < len(data):
        try:
            name_size, size = _SIZES.unpack_from(data, at)
        except struct.error:
            raise _refused(path, "it is cut off") from None
        at += _SIZES.size
        name, compiled = data[at : at + name_size], data[at + name_size : at + name_size + size]
        at += name_size + size
        if at > len(data):
            raise _refused(path, "it is cut off")
        yield name.decode("utf-8", "replace"), compiled


def _refused(path: str, why: str) -> BundleRefused:
    return BundleRefused("%s: %s." % (path, why), hint="The bundle was packed wrongly: ask its sender for another.")
