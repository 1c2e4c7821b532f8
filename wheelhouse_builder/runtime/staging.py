"""Private directories in which work is done before anyone may see it, and the one step that makes it seen."""

import contextlib
import errno
import os
import shutil
import tempfile
from typing import Iterator

from .errors import AlreadyThere, EnvironmentFailure

PREFIX = ".wheelhouse-"
"""Begins the name of everything that we make beside a destination and take away again."""
ENDED = "ended"
"""The mark: a file."""
_MIB = 1024 * 1024


@contextlib.contextmanager
def staging(directory: str, mark: str = "") -> Iterator[str]:
    """A new directory inside ``directory`` that only this user may enter; it goes away at the end, whatever happens.

    ``mark`` stands in its name, so that a later run knows whose it was if this one is killed.
    An OSError that escapes becomes an EnvironmentFailure: what is written here may fill the disk.
    """
    with disk_failures(directory):
        path = tempfile.mkdtemp(prefix=PREFIX + mark, dir=directory)  # mode 0700
        try:
            yield path
        finally:
            try:
                discard(path)
            except BaseException:  # somebody pressed Ctrl-C: this is what they wait for
                discard(path)
                raise


def discard(path: str, *, ended: bool = True) -> None:
    """Take a private directory away. Windows keeps what is in use: then a mark in it tells whether the run that made it had ``ended``."""
    shutil.rmtree(path, ignore_errors=True)
    if ended and os.path.isdir(path):
        with contextlib.suppress(OSError), open(os.path.join(path, ENDED), "wb"):
            pass


@contextlib.contextmanager
def disk_failures(where: str) -> Iterator[None]:
    """Tell an OSError from the disk at ``where`` as an EnvironmentFailure."""
    try:
        yield
    except OSError as error:
        place = error.filename if isinstance(error.filename, str) else where
        raise EnvironmentFailure("%s: %s." % (place, error.strerror or error), hint=_hint(error, where)) from error


def destination(path: str) -> str:
    """The absolute path of ``path``, where a directory is to be made.

    Raises AlreadyThere when something but an empty directory is there, EnvironmentFailure when its parent is not.
    """
    full = os.path.realpath(path)
    with disk_failures(full):
        if os.path.lexists(full) and not (os.path.isdir(full) and not os.listdir(full)):
            raise AlreadyThere(
                "%s is there already." % full, hint="Name a directory that does not exist yet, or is empty. Nothing was changed."
            )
    parent = os.path.dirname(full)
    if not os.path.isdir(parent):
        raise EnvironmentFailure("%s is no directory." % parent, hint="Make it first, or name another destination.")
    return full


def require_space(directory: str, size: int) -> None:
    """Raise EnvironmentFailure unless the disk of ``directory`` has ``size`` bytes free."""
    free = shutil.disk_usage(directory).free
    if free < size:
        raise EnvironmentFailure(
            "%s: this needs %d MiB and %d MiB are free." % (directory, -(-size // _MIB), free // _MIB),
            hint="Free some space, or name a destination on another disk.",
        )


def replace_file(path: str, text: str, mode: int = 0o600) -> None:
    """Replace the file at ``path`` in one step that survives a power cut. Raises OSError; then what was there is there still."""
    folder = os.path.dirname(os.path.abspath(path))
    descriptor, draft = tempfile.mkstemp(prefix=".draft-", dir=folder)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.chmod(draft, mode)
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
    _sync_directory(folder)


def sync_tree(tree: str) -> None:
    """Have every file and directory under ``tree`` written to the disk."""
    for folder, _, names in os.walk(tree):
        for name in names:
            with open(os.path.join(folder, name), "rb+") as file:
                os.fsync(file.fileno())
        _sync_directory(folder)


def publish(tree: str, directory: str) -> None:
    """Rename ``tree`` to ``directory``, which may be an empty directory, and have that written to the disk.

    Raises AlreadyThere when something came to be there meanwhile.
    """
    try:
        if os.name == "nt" and os.path.isdir(directory):
            os.rmdir(directory)  # Windows renames over nothing, not over an empty directory
        os.rename(tree, directory)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise AlreadyThere("%s came to be while this ran." % directory, hint="Name another directory.") from error
        raise
    _sync_directory(os.path.dirname(directory))


def _sync_directory(path: str) -> None:
    if os.name == "nt":  # Windows opens no directories
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hint(error: OSError, where: str) -> str:
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return "The disk of %s is full: free some space, or name a destination on another disk. Nothing was left behind." % where
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "Name a destination that this user may write to. Nothing was left behind."
    return "Nothing was left behind."
