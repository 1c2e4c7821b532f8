"""The step that makes a finished directory seen, such that there is always the old one or the new one, whole.

Directories are held open while work is done in them. Where the system can, names are looked up in these, not in whatever has their path
by then: who exchanges a parent directory meanwhile gets nothing of his in.
"""

import contextlib
import errno
import os
import stat
import sys
from typing import Iterator, List, NamedTuple, Optional

from .errors import AlreadyThere

OLD = "old."
"""Begins the name of what was there before, in the private directory. While its place is empty, the next run puts it back."""
_BY_HANDLE = os.rename in os.supports_dir_fd and os.open in os.supports_dir_fd
_RENAME_EXCHANGE = 2


class Folder(NamedTuple):
    """A directory, held open."""

    path: str
    handle: Optional[int]
    """None where the system looks up names by path alone."""

    def rename(self, name: str, other: "Folder", new: str) -> None:
        """Rename ``name`` in here to ``new`` in ``other``."""
        if self.handle is None:
            os.rename(os.path.join(self.path, name), os.path.join(other.path, new))
        else:
            os.rename(name, new, src_dir_fd=self.handle, dst_dir_fd=other.handle)

    def replace(self, name: str, new: str) -> None:
        """Rename ``name`` in here to ``new``, whose file or link is gone then."""
        if self.handle is None:
            os.replace(os.path.join(self.path, name), os.path.join(self.path, new))
        else:
            os.replace(name, new, src_dir_fd=self.handle, dst_dir_fd=self.handle)

    def status(self, name: str) -> Optional[os.stat_result]:
        """Of ``name`` itself, not of what it links to; None when nothing is there."""
        try:
            return os.lstat(os.path.join(self.path, name)) if self.handle is None else os.lstat(name, dir_fd=self.handle)
        except FileNotFoundError:
            return None

    def is_directory(self, name: str) -> bool:
        """Whether ``name`` is a directory, and no link to one."""
        status = self.status(name)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def write(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Write a new file of this mode; ``name`` may lie in directories below, which are there."""
        path = name if self.handle is not None else os.path.join(self.path, name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags, mode, dir_fd=self.handle), "wb") as file:
            file.write(content)

    def sync(self) -> None:
        """Have the names in here written to the disk."""
        if os.name == "nt":  # which opens no directories
            return
        if self.handle is not None:
            os.fsync(self.handle)

    def sync_at_once(self) -> bool:
        """Have all that the file system holds back written to the disk; False where only one file after the other can be."""
        return self.handle is not None and sys.platform == "linux" and _syncfs(self.handle)

    def sync_all(self) -> None:
        """Have everything below written to the disk: at once where the system can, else file by file."""
        if self.sync_at_once():
            return
        for folder, folders, names in os.walk(self.path):
            for path in (os.path.join(folder, name) for name in names):
                if not os.path.islink(path):
                    _sync_file(path)
            if os.name != "nt":
                for each in folders:
                    _sync(os.path.join(folder, each), os.O_RDONLY)
        self.sync()


@contextlib.contextmanager
def opened(path: str, parent: Optional[Folder] = None) -> Iterator[Folder]:
    """The directory at ``path``, which is no link; with ``parent``, the one called so in there."""
    if not _BY_HANDLE:
        yield Folder(path, None)
        return
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path, flags) if parent is None else os.open(os.path.basename(path), flags, dir_fd=parent.handle)
    try:
        yield Folder(path, handle)
    finally:
        os.close(handle)


def switch(scratch: Folder, staged: str, parent: Folder, name: str) -> None:
    """Put the directory ``staged`` of ``scratch`` into the place ``name`` of ``parent``; what was there goes into ``scratch``.

    Raises AlreadyThere when something else came to be there meanwhile.
    """
    scratch.sync()
    if not parent.is_directory(name):
        _move_in(scratch, staged, parent, name)
    elif _exchange(scratch, staged, parent, name):
        scratch.rename(staged, scratch, OLD + name)
    else:
        parent.rename(name, scratch, OLD + name)
        try:
            _move_in(scratch, staged, parent, name)
        except BaseException:
            scratch.rename(OLD + name, parent, name)
            raise
    parent.sync()


def put_back(scratch: Folder, parent: Folder) -> List[str]:
    """After a run that was killed between two renames: the old one goes back to its place. The names of what did."""
    waiting = [name[len(OLD) :] for name in os.listdir(scratch.path) if name.startswith(OLD)]
    back = [name for name in waiting if scratch.is_directory(OLD + name) and parent.status(name) is None]
    for name in back:
        scratch.rename(OLD + name, parent, name)
        parent.sync()
    return back


def _move_in(scratch: Folder, staged: str, parent: Folder, name: str) -> None:
    try:
        scratch.rename(staged, parent, name)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise AlreadyThere("%s came to be while this ran." % os.path.join(parent.path, name), hint="Name another place.") from error
        raise


def _exchange(scratch: Folder, staged: str, parent: Folder, name: str) -> bool:
    """Let both directories change places in one step, if this system can: Linux 3.15 and newer, on most file systems."""
    if scratch.handle is None or sys.platform != "linux":
        return False
    try:
        import ctypes  # noqa: PLC0415 # some systems leave it out

        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (ImportError, AttributeError, OSError):
        return False
    done = function(scratch.handle, os.fsencode(staged), parent.handle, os.fsencode(name), _RENAME_EXCHANGE)
    if done != 0 and ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS, errno.EPERM):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), os.path.join(parent.path, name))
    return bool(done == 0)


def _syncfs(handle: int) -> bool:
    """Write all that the file system of ``handle`` holds back; False where nobody can ask for that."""
    try:
        import ctypes  # noqa: PLC0415 # some systems leave it out

        function = ctypes.CDLL(None, use_errno=True).syncfs
    except (ImportError, AttributeError, OSError):
        return False
    if function(handle) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return True


def _sync_file(path: str) -> None:
    if os.name != "nt":
        _sync(path, os.O_RDONLY)
        return
    with contextlib.suppress(PermissionError):  # Windows syncs what may be written: no read-only file, no module while it is loaded
        _sync(path, os.O_RDWR)


def _sync(path: str, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
