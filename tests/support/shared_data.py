"""Data that is laid beside the checkout, because it is too large or not ours to keep in it."""

from __future__ import annotations

from pathlib import Path

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def shared_data(name: str) -> Path:
    """A file or folder of ``../shared/data``; fails, and does not skip, where it is missing."""
    path = SHARED / name
    assert path.exists(), f"{path} is missing: lay the shared data beside the checkout, as CI does"
    return path
