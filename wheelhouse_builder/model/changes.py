"""What changed between two locks of one target, as a reviewer wants to read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One project as a lock has it."""

    project: str
    version: str
    """Where a lock holds several of one project, all of them."""
    uploaded: datetime | None = None
    """When the newest of the files that the lock names was uploaded, where the index said so."""
    digests: frozenset[str] = frozenset()
    """SHA-256 of these files, and what else pins a source that the user named."""

    def __str__(self) -> str:
        return f"{self.project} {self.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """Releases, each list sorted by project."""

    added: tuple[Release, ...]
    removed: tuple[Release, ...]
    changed: tuple[tuple[Release, Release], ...]
    """Old and new, of another version."""
    refiled: tuple[Release, ...]
    """Of the same version, by other files."""
    kept: int
    """How many projects have the version that they had."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.refiled)

    def __str__(self) -> str:
        """How many there are of each kind."""
        counts = [(self.added, "added"), (self.removed, "removed"), (self.changed, "changed"), (self.refiled, "with other files")]
        return ", ".join(f"{len(found)} {what}" for found, what in counts if found) or "nothing changed"

    def lines(self) -> Iterator[str]:
        """One line for each project."""
        yield from (f"+ {release}{_dated(release)}" for release in self.added)
        yield from (f"- {release}" for release in self.removed)
        yield from (f"~ {old} → {new.version}{_dated(new)}" for old, new in self.changed)
        yield from (f"! {release}: other files than before{_dated(release)}" for release in self.refiled)


def changes(old: Pylock | None, new: Pylock) -> Changes:
    """What ``new`` changes of ``old``; None: there was no lock before."""
    before, after = _releases(old), _releases(new)
    both = [(before[name], after[name]) for name in sorted(before.keys() & after.keys())]
    return Changes(
        added=tuple(after[name] for name in sorted(after.keys() - before.keys())),
        removed=tuple(before[name] for name in sorted(before.keys() - after.keys())),
        changed=tuple((one, other) for one, other in both if one.version != other.version),
        refiled=tuple(other for one, other in both if one.version == other.version and one.digests != other.digests),
        kept=sum(one.version == other.version for one, other in both),
    )


def _dated(release: Release) -> str:
    return f", uploaded {release.uploaded:%Y-%m-%d}" if release.uploaded else ""


def _releases(lock: Pylock | None) -> dict[str, Release]:
    found: dict[str, list[Package]] = {}
    for package in lock.packages if lock else ():
        found.setdefault(package.name, []).append(package)
    return {name: _release(name, packages) for name, packages in found.items()}


def _release(name: str, packages: Iterable[Package]) -> Release:
    packages = list(packages)
    files: list[PackageWheel | PackageSdist] = [wheel for package in packages for wheel in package.wheels or ()]
    files += [package.sdist for package in packages if package.sdist and not package.wheels]
    return Release(
        project=name,
        version=", ".join(sorted(str(package.version or "?") for package in packages)),
        uploaded=max((file.upload_time for file in files if file.upload_time), default=None),
        digests=frozenset(file.hashes.get("sha256", "") for file in files) | frozenset(map(_source, packages)),
    )


def _source(package: Package) -> str:
    """What pins a source that the user named; empty where there is none."""
    archive = package.archive.hashes.get("sha256", "") if package.archive else ""
    commit = package.vcs.commit_id if package.vcs else ""
    return archive or commit or str((package.tool or {}).get("wheelhouse", {}).get("sha256", ""))
