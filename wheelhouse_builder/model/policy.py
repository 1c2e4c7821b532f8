"""For whom a bundle is meant, and which one in a line of bundles it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What the signer binds a bundle to; the far side holds it against its trust store and what it has seen before."""

    channel: str | None = None
    """The line of bundles that this one belongs to."""
    sequence: int | None = None
    """Its number in that line: the far side takes no lower one than it has seen. Not without a channel."""
    audience: frozenset[str] = frozenset()
    """Whom it is meant for; empty: everybody."""
    not_after: datetime | None = None
    """UTC, whole seconds: not to be unpacked or installed later."""
