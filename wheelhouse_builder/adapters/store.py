"""The store: distributions on this host, each named by its SHA-256, which is all that is ever asked of them.

ROOT/sha256/ab/abcdef…           a whole file, its digest checked before it got its name
ROOT/partial/abcdef….part        a file that is still arriving, or was interrupted; locked by the process that writes it
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wheelhouse_builder.errors import DistributionError, EnvironmentFailure

PIECE = 1 << 20
"""Bytes read at once."""
LOCK_PAUSE = 0.05
"""Seconds between two looks at a file that another process is writing."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def default_root() -> Path:
    """``wheelhouse`` in the user's cache directory, where this platform has it."""
    if cache := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache, "wheelhouse")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "wheelhouse"
    return Path.home() / ".cache" / "wheelhouse"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Store:
    """A content-addressed store; processes and threads may share its directory."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()
        self._sound: set[str] = set()

    def path(self, sha256: str) -> Path:
        """Where the file with this digest lies, or would lie."""
        return self.root / "sha256" / sha256[:2] / sha256

    def find(self, sha256: str) -> Path | None:
        """The file with this digest, or None. Its bytes are not read: see :meth:`find_sound`."""
        path = self.path(sha256)
        return path if path.is_file() else None

    def find_sound(self, sha256: str) -> Path | None:
        """The file with this digest, read and hashed at its first use in this run; a file that rotted is thrown away."""
        path = self.find(sha256)
        if path is None or sha256 in self._sound:
            return path
        with telling("read", path):
            if file_digest(path) == sha256:
                self._sound.add(sha256)
                return path
            path.unlink(missing_ok=True)
        return None

    def add(self, sha256: str, pieces: Iterable[bytes], *, size: int | None = None) -> Path:
        """Store the bytes of ``pieces``; raises DistributionError when they are others than ``sha256`` and ``size`` say."""
        with self.partial(sha256) as partial:
            if (path := self.find_sound(sha256)) is not None:
                return path
            partial.restart()
            for piece in pieces:
                partial.write(piece)
            return partial.commit(size)

    @contextmanager
    def partial(self, sha256: str, *, waiting: Callable[[], None] = lambda: None) -> Iterator[Partial]:
        """Open the file in which ``sha256`` arrives, for us alone; it holds what came before an interruption.

        While another process has it, ``waiting`` is called now and then; it may raise to give up. Look into the store again
        afterwards: the other one may have finished it.
        """
        path = self.root / "partial" / f"{sha256}.part"
        with telling("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = _open_locked(path, waiting)
        with os.fdopen(descriptor, "r+b", buffering=0, closefd=True):
            partial = Partial(self, sha256, path, descriptor)
            try:
                yield partial
            finally:
                partial.leave()

    def keep(self, sha256: str, partial: Path) -> Path:
        """Give a whole file, of which digest and bytes on disk were made sure, its name."""
        path = self.path(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(path)
        self._sound.add(sha256)
        return path


class Partial:
    """A file that is arriving. It is ours alone until :meth:`Store.partial` ends."""

    def __init__(self, store: Store, sha256: str, path: Path, descriptor: int) -> None:
        self._store = store
        self._descriptor = descriptor
        self._hash = hashlib.sha256()
        self._kept = False
        self.sha256 = sha256
        self.path = path
        self.size = 0
        self._take_up()

    def _take_up(self) -> None:
        with telling("read", self.path):
            while piece := os.read(self._descriptor, PIECE):
                self._hash.update(piece)
                self.size += len(piece)

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        with telling("write", self.path):
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
        self._hash.update(data)
        self.size += len(data)

    def restart(self) -> None:
        """Forget what has arrived."""
        with telling("write", self.path):
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.size = 0

    def commit(self, size: int | None = None) -> Path:
        """The whole file has arrived: check it, write it out and give it its name in the store.

        Raises DistributionError, and forgets what has arrived, when its size or digest is wrong.
        """
        if problem := self.problem(size):
            self.restart()
            raise DistributionError(problem)
        return self.settle()[0]

    def settle(self) -> tuple[Path, str]:
        """The whole file has arrived, whatever it is: write it out and give it its name in the store; return that, its SHA-256, too."""
        sha256 = self._hash.hexdigest()
        with telling("write", self.path):
            os.fchmod(self._descriptor, 0o444)
            os.fsync(self._descriptor)
            kept = self._store.keep(sha256, self.path)
        self._kept = True
        return kept, sha256

    def problem(self, size: int | None = None) -> str | None:
        """Why what has arrived is not the file, or None if it is."""
        if size is not None and self.size != size:
            return f"has {self.size} bytes, expected {size}"
        if self._hash.hexdigest() != self.sha256:
            return f"has sha256 {self._hash.hexdigest()}, expected {self.sha256}"
        return None

    def leave(self) -> None:
        """Keep what has arrived for the next time; an empty file is not worth keeping."""
        if not self._kept and not self.size:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)


def _open_locked(path: Path, waiting: Callable[[], None]) -> int:
    """Open and lock ``path``.

    Whoever had it before us may have moved it into the store: then what we locked is not ours to write, and we begin again.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor, waiting)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, waiting: Callable[[], None]) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            time.sleep(LOCK_PAUSE)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def telling(verb: str, path: Path) -> Iterator[None]:
    """Turn what the operating system says into EnvironmentFailure."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFailure(f"cannot {verb} {path}: {error.strerror or error}", hint=_hint(error)) from error


def _hint(error: OSError) -> str:
    if error.errno in DISK_FULL:
        return "The disk is full: free some space, or set XDG_CACHE_HOME to a directory on another disk. What was fetched so far is kept."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "The store must be writable: mend its permissions, or set XDG_CACHE_HOME to a directory of yours."
    return "Mend the directory, or set XDG_CACHE_HOME to another one."
