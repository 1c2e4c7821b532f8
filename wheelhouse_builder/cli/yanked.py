"""Releases that their publishers have withdrawn, and that are locked all the same: a table for readers, entries for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wheelhouse_builder.model.lock import Lock


def yanked_told(locks: Iterable[Lock]) -> Iterator[str]:
    """The table, after an empty line; nothing where there is none."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for lock in locks:
        for told in lock.yanked:
            grouped.setdefault(told, []).append(lock.target.name)
    if grouped:
        yield ""
        yield "  withdrawn by their publishers, and asked for all the same"
        yield from (f"    {release}: {reason or 'no reason is given'}: {', '.join(names)}" for (release, reason), names in grouped.items())


def yanked_document(locks: Iterable[Lock]) -> list[dict[str, str]]:
    """One entry for each release and target."""
    return [{"release": release, "target": lock.target.name, "reason": reason} for lock in locks for release, reason in lock.yanked]
