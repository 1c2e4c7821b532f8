"""What a catalogue was asked for and cannot have: a table for readers, entries for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.resolve.catalogue import lacking_lines


def lacking_told(locks: Iterable[Lock]) -> Iterator[str]:
    """The table, after an empty line; nothing where all can be had."""
    if lines := lacking_lines(locks):
        yield ""
        yield "  cannot be had"
        yield from (f"    {line}" for line in lines)


def lacking_document(locks: Iterable[Lock]) -> list[dict[str, Any]]:
    """One entry for each requirement and target."""
    return [
        {
            "requirement": str(each.requirement),
            "target": lock.target.name,
            "reason": each.reason,
            "nearest": str(each.nearest) if each.nearest else None,
        }
        for lock in locks
        for each in lock.lacking
    ]
