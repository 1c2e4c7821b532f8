"""What changed between two locks of one target."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from packaging.pylock import Pylock


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """Projects by name, with their versions; all sorted."""

    added: tuple[tuple[str, str], ...]
    """Name, new version."""
    removed: tuple[tuple[str, str], ...]
    """Name, old version."""
    changed: tuple[tuple[str, str, str], ...]
    """Name, old version, new version."""
    kept: int
    """How many projects have the version that they had."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def changes(old: Pylock | None, new: Pylock) -> Changes:
    """What ``new`` changes of ``old``; None: there was no lock before."""
    before, after = _versions(old), _versions(new)
    both = sorted(before.keys() & after.keys())
    return Changes(
        added=_pairs(after, after.keys() - before.keys()),
        removed=_pairs(before, before.keys() - after.keys()),
        changed=tuple((name, before[name], after[name]) for name in both if before[name] != after[name]),
        kept=sum(before[name] == after[name] for name in both),
    )


def _versions(lock: Pylock | None) -> dict[str, str]:
    """Each project's version; where a lock holds several of one project, all of them."""
    found: dict[str, list[str]] = {}
    for package in lock.packages if lock else ():
        found.setdefault(package.name, []).append(str(package.version or "?"))
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def _pairs(versions: dict[str, str], names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, versions[name]) for name in sorted(names))
