"""Byte-compiling on all cores, by the interpreter that will load it, into what pip leaves beside each source.

A ``.pyc`` is valid by time and size of its source, and names it where it will live. One that travelled with the bundle and is there
already stays if it is for this interpreter and for this very source, by the hash that PEP 552 puts into it; else it goes.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import IO, BinaryIO, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, cast

from .carried import place_carried
from .child import LAST_LINES, clean_environment
from .cores import cores
from .engine import Job
from .errors import InstallError
from .placing import Placed, write_record
from .progress import Progress

BATCH = 16
"""Sources that a worker is given at once."""

# Standard input: lines of JSON, each a list of sources as pairs of paths, where it is and where it will be. Standard output: for each
# line the paths of the .pyc files that are there afterwards, null where there is none. argv: whether to compile what has none.
_WORKER = """
import gc, importlib.util, json, marshal, os, sys, warnings
gc.disable()
warnings.simplefilter("ignore")
magic, hash_of = importlib.util.MAGIC_NUMBER, getattr(importlib.util, "source_hash", None)
compiling = sys.argv[1] == "1"
binary = getattr(os, "O_BINARY", 0)
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
old, made = {}, set()
def is_carried(source, compiled):
    try:
        with open(compiled, "rb", 0) as file:
            found = file.read(16)
    except FileNotFoundError:
        return False
    if hash_of and found[:4] == magic and found[4:8] in (b"\\1\\0\\0\\0", b"\\3\\0\\0\\0") and found[8:] == hash_of(source):
        return True
    os.unlink(compiled)
    return False
def new(final, source, stamp, compiled):
    try:
        code = compile(source, final, "exec", dont_inherit=True, optimize=-1)
    except Exception:
        return None
    head = magic + (bytes(4) if hash_of else b"") + b"".join((number & 0xFFFFFFFF).to_bytes(4, "little") for number in stamp)
    rest = memoryview(head + marshal.dumps(code))
    file = os.open(compiled, os.O_WRONLY | os.O_CREAT | os.O_EXCL | binary, 0o666)
    try:
        while rest:
            rest = rest[os.write(file, rest) :]
    finally:
        os.close(file)
    return compiled
def one(here, final):
    compiled = importlib.util.cache_from_source(here)
    cache = os.path.dirname(compiled)
    if cache not in old:
        old[cache] = os.path.isdir(cache)
    with open(here, "rb", 0) as file:
        status = os.fstat(file.fileno())
        source = file.read()
    if old[cache] and is_carried(source, compiled):
        return compiled
    if not compiling:
        return None
    if cache not in made:
        os.makedirs(cache, exist_ok=True)
        made.add(cache)
    return new(final, source, (int(status.st_mtime), status.st_size), compiled)
for line in sys.stdin:
    try:
        answer = [one(*pair) for pair in json.loads(line)]
    except OSError as error:
        answer = {"errno": error.errno, "strerror": error.strerror, "filename": error.filename}
    answers.write(json.dumps(answer) + "\\n")
    answers.flush()
"""


class Source(NamedTuple):
    """A file to compile."""

    path: str
    final: str
    """Where it will live."""


def compile_placed(job: Job, placed: Mapping[str, Placed]) -> None:
    """See that what was placed, by the wheel's file name, is compiled, carried or made here, if it is to be; and write each RECORD."""
    carried = place_carried(job, placed)
    paths = {each.path_of(source) for each in placed.values() for source in each.sources} if job.compile else carried.unproved
    sources = [Source(path, job.final + path[len(job.environment) :]) for path in sorted(paths.difference(carried.proved))]
    compiled = {**carried.proved, **compile_all(job.python, sources, job.scratch, job.progress, compiling=job.compile)}
    for each in placed.values():
        write_record(each, compiled)


def compile_all(python: str, sources: Sequence[Source], scratch: str, progress: Progress, *, compiling: bool = True) -> Dict[str, str]:
    """Compile ``sources`` by means of the interpreter ``python``; what is no valid Python is left out, as pip does.

    Returns the path of the ``.pyc`` for each source that has one. Not ``compiling``: only carried ones are looked at.
    Raises InstallError when an interpreter ends too early.
    """
    largest_first = sorted(sources, key=lambda source: -os.stat(source.path).st_size)
    batches = [largest_first[start : start + BATCH] for start in range(0, len(sources), BATCH)]
    waiting = iter(batches)
    crew = min(cores(), len(batches))
    with progress.step("compiling", total=len(sources)) as step, ThreadPoolExecutor(max(1, crew)) as threads:
        try:
            running = [threads.submit(_work, [python, *_options(compiling)], waiting, scratch, step.advance) for _ in range(crew)]
            return {path: compiled for each in running for path, compiled in each.result().items()}
        finally:
            deque(waiting, 0)  # whoever fails, or interrupts, leaves nothing for the others to begin


def _options(compiling: bool) -> List[str]:  # noqa: FBT001 # it is what the worker is told
    return ["-I", "-c", _WORKER, "1" if compiling else "0"]


def _work(command: Sequence[str], waiting: Iterator[Sequence[Source]], scratch: str, advance: Callable[[int], None]) -> Dict[str, str]:
    """One worker's share: batch after batch, as long as there are some."""
    found: Dict[str, str] = {}
    with tempfile.TemporaryFile(dir=scratch) as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=clean_environment(scratch), cwd=scratch
        )
        with process:
            try:
                for batch in waiting:
                    for source, compiled in zip(batch, _answer(process, batch, errors)):
                        if compiled is not None:
                            found[source.path] = compiled
                    advance(len(batch))
            except BaseException:
                process.kill()
                raise
    return found


def _answer(process: "subprocess.Popen[bytes]", batch: Sequence[Source], errors: BinaryIO) -> List[Optional[str]]:
    stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
    with contextlib.suppress(BrokenPipeError):
        stdin.write(json.dumps(batch).encode("ascii") + b"\n")
        stdin.flush()
    line = stdout.readline()
    if not line:
        errors.seek(0)
        said = errors.read().decode(sys.getfilesystemencoding(), "replace").splitlines()[-LAST_LINES:]
        raise InstallError("The interpreter ended while it compiled.", *["  " + text for text in said], hint="Nothing was changed.")
    answer = json.loads(line.decode("ascii"))
    if isinstance(answer, dict):
        raise OSError(answer["errno"], answer["strerror"], answer["filename"])
    return list(answer)
