"""Bytecode that travels with a bundle (FORMAT.md, section 5): written beside its sources, before anything is compiled.

Whether it is for this interpreter and for these very sources is asked by the interpreter itself, with what it would compile: see
:mod:`compiling`. One entry of the payload holds what was compiled of one wheel for one Python.
"""

import contextlib
import hashlib
import os
import struct
import threading
from contextlib import closing
from typing import Iterator, Mapping, Set, Tuple

from .cores import in_threads
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
_SIZES = struct.Struct("<LL")
"""Before each member: bytes of the source's path, and of what was compiled of it."""


def place_carried(job: Job, placed: Mapping[str, Placed]) -> Set[str]:
    """Write the bytecode that the bundle carries for wheels, by file name; the paths of its sources. Raises BundleRefused, OSError."""
    manifest = job.bundle.manifest
    entries = {bytecode_entry(job.target.interpreter, filename): each for filename, each in placed.items()}
    files = {each.path: each for each in manifest.files if each.path in entries}
    if not files or job.target.abi.endswith("t"):
        return set()
    decoder = decoder_for(job.bundle, job.scratch)
    frames = sorted(frames_with(manifest, files), key=lambda index: -manifest.frames[index].tar_size)
    sources: Set[str] = set()
    with job.progress.step("placing bytecode", total=len(frames)) as step:

        def work(index: int) -> None:
            sources.update(_place_frame(job, index, decoder, entries, files))
            step.advance()

        in_threads(work, frames, threading.Event())
    return sources


def _place_frame(job: Job, index: int, decoder: Decoder, entries: Mapping[str, Placed], files: Mapping[str, ManifestFile]) -> Set[str]:
    sources: Set[str] = set()
    with closing(read_entries(job.bundle, index, decoder)) as found:
        for path, _, contents in found:
            if path in files:
                data = b"".join(contents)
                if (len(data), hashlib.sha256(data).hexdigest()) != (files[path].size, files[path].sha256):
                    raise _refused(path, "size or SHA-256 is not what the manifest says")
                sources.update(write_bytecode(path, data, entries[path], job.target.interpreter))
    return sources


def write_bytecode(path: str, data: bytes, placed: Placed, interpreter: str) -> Iterator[str]:
    """Write what the entry ``path`` holds, compiled of the sources of one wheel and of nothing else; yields the paths of these.

    What a wheel itself brings for a source stays. Raises BundleRefused, OSError.
    """
    sources = set(placed.sources)
    for source, compiled in members_of(path, data):
        if source not in sources:
            raise _refused(path, "%s is no source of its wheel, or there twice" % ascii(source))
        sources.remove(source)
        folder, name = os.path.split(placed.path_of(source))
        target = os.path.join(folder, "__pycache__", "%s.cpython-%s.pyc" % (name[: -len(".py")], interpreter[len(CPYTHON) :]))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with contextlib.suppress(FileExistsError):
            write_new(target, [compiled], READABLE)
            yield placed.path_of(source)


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
