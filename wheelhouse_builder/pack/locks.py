"""Locks as they travel: the same choice as the resolver's, said in paths beside the wheels, so that no tool asks a network.

pip and older uv prefer a URL where an entry has both, so entries have a path alone. Markers are gone: the choice was made for one target.
"""

from __future__ import annotations

import tomli_w
from packaging.pylock import Package, PackageWheel, Pylock
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from wheelhouse_builder.model.distribution import LockedWheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.pack.contents import Contents
from wheelhouse_builder.runtime.layout import PYLOCK, REQUIREMENTS, lock_entry, wheel_entry

_FROM_LOCK_TO_ROOT = "../../"
"""From ``targets/<target>/`` to the directory that holds ``wheels/``."""
_PEP_751 = Version("1.0")


def lock_files(contents: Contents) -> dict[str, bytes]:
    """The files of each target's directory, by payload path."""
    return {
        lock_entry(lock.target.name, name): text.encode()
        for lock in contents.locks
        for name, text in ((PYLOCK, pylock_text(contents, lock)), (REQUIREMENTS, requirements_text(contents, lock)))
    }


def pylock_text(contents: Contents, lock: Lock) -> str:
    """``pylock.toml`` (PEP 751) for ``pip install -r`` and ``uv pip sync``."""
    known = {package.name: package for package in lock.pylock.packages}
    packages = [_package(contents, locked, known.get(locked.project)) for locked in _sorted(lock)]
    # The resolver names the patch level that it had in mind, uv and pip would insist on it; the target is the whole series.
    python = SpecifierSet(f"=={lock.target.markers['python_version']}.*")
    pylock = Pylock(lock_version=_PEP_751, created_by="wheelhouse", requires_python=python, packages=packages)
    return tomli_w.dumps(pylock.to_dict())


def requirements_text(contents: Contents, lock: Lock) -> str:
    """``requirements.txt`` for ``pip install --no-index --find-links wheels --require-hashes``, from pip 20.3 on."""
    lines = (f"{locked.project}=={locked.version} --hash=sha256:{contents.wheels[locked.filename].sha256}\n" for locked in _sorted(lock))
    return "".join(lines)


def _package(contents: Contents, locked: LockedWheel, known: Package | None) -> Package:
    wheel = contents.wheels[locked.filename]
    path = _FROM_LOCK_TO_ROOT + wheel_entry(locked.filename)
    return Package(
        name=locked.project,
        version=locked.version,
        requires_python=known.requires_python if known else None,
        wheels=[PackageWheel(name=locked.filename, path=path, size=wheel.size, hashes={"sha256": wheel.sha256})],
    )


def _sorted(lock: Lock) -> list[LockedWheel]:
    return sorted(lock.wheels, key=lambda locked: (locked.project, locked.filename))
