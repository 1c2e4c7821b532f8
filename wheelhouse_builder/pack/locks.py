"""Locks as they travel: the same choice as the resolver's. Markers are gone, for the choice was made for one target."""

from __future__ import annotations

from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.pack.contents import Contents
from wheelhouse_builder.runtime.layout import LOCK_FILES, lock_entry
from wheelhouse_builder.runtime.locks import LockedFile, lock_text


def lock_files(contents: Contents) -> dict[str, bytes]:
    """The files of each target's directory, by payload path."""
    return {
        lock_entry(lock.target.name, name): travelling_lock(contents, lock, name).encode()
        for lock in contents.locks
        if lock.closures is None
        for name in LOCK_FILES
    }


def travelling_lock(contents: Contents, lock: Lock, name: str) -> str:
    """The text of one of :data:`LOCK_FILES`."""
    wheels = [contents.wheels[locked.filename] for locked in lock.wheels]
    files = [LockedFile(wheel.project, str(wheel.version), wheel.filename, wheel.size, wheel.sha256) for wheel in wheels]
    return lock_text(name, lock.target.markers["python_version"], files)
