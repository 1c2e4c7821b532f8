"""Alone at one place: a lock file that goes with the process, however that ends."""

import contextlib
import os
from typing import Iterator

from .errors import AlreadyThere
from .progress import Progress

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


@contextlib.contextmanager
def alone(path: str, progress: Progress) -> Iterator[None]:
    """Hold the lock file at ``path`` until the end, and take it away then; wait, and say for whom, while another process holds it.

    Raises AlreadyThere for a symbolic link, or another name of somebody's file; OSError where the file system has no locks.
    """
    descriptor = _acquire(path, progress)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"%d\n" % os.getpid())
        yield
    finally:
        _let_go(descriptor, path)


def _acquire(path: str, progress: Progress) -> int:
    while True:
        if os.path.islink(path):
            raise _planted(path, "a symbolic link")
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            _require_no_other_name(descriptor, path)
            if not _lock(descriptor, wait=False):
                with progress.step("waiting for process %s" % (os.read(descriptor, 20).decode("ascii", "replace").strip() or "?")):
                    _lock(descriptor, wait=True)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder took it away meanwhile: whoever comes next makes a new one


def _require_no_other_name(descriptor: int, path: str) -> None:
    """What we write to it would be written to that file."""
    if os.fstat(descriptor).st_nlink > 1:
        raise _planted(path, "another name of a file")


def _planted(path: str, what: str) -> AlreadyThere:
    return AlreadyThere("%s is %s." % (path, what), hint="Nothing was changed. Find out who put it there, and take it away.")


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _let_go(descriptor: int, path: str) -> None:
    """Take the file away while nobody else can hold it. Windows does so only once it is closed, and not while another has it open."""
    if os.name != "nt":
        with contextlib.suppress(OSError):
            os.unlink(path)
        os.close(descriptor)
        return
    os.close(descriptor)
    with contextlib.suppress(OSError):
        os.unlink(path)


def _lock(descriptor: int, *, wait: bool) -> bool:
    """Whether the lock is ours now."""
    if os.name == "nt":
        return _lock_on_windows(descriptor, wait=wait)
    import fcntl  # noqa: PLC0415 # not on Windows

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _lock_on_windows(descriptor: int, *, wait: bool) -> bool:
    import msvcrt  # noqa: PLC0415 # Windows only

    while True:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # far behind what is written: a locked byte cannot be read
        try:
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            if wait:  # LK_LOCK gives up after ten seconds
                continue
            os.lseek(descriptor, 0, os.SEEK_SET)
            return False
        os.lseek(descriptor, 0, os.SEEK_SET)
        return True
