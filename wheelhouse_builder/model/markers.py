"""Environment markers under a target: true, false, or not to be known without a probe of the host."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from packaging.markers import Marker

from wheelhouse_builder.model.target import Target

_COMPARISON = r"""(?:{name}\s*(?:not\s+in|in|[<>=!~]=?=?)\s*"[^"]*"|"[^"]*"\s*(?:not\s+in|in|[<>=!~]=?=?)\s*{name})"""
_ALWAYS = 'python_version >= "0"'
_NEVER = 'python_version < "0"'
ASK_THE_HOST = (
    "`wheelhouse probe --script` writes a file that such a host runs: name its answer as the target."
    " Or lock on such a host, with the target `this`, or take the marker or the target out"
)
"""What to do about a marker that only the host can tell."""


def holds(marker: Marker | None, target: Target, extras: Collection[str] = ()) -> bool | None:
    """Whether ``marker`` is true on ``target`` when ``extras`` are asked for; None when only a probe of the host could tell.

    Markers are built of comparisons, ``and`` and ``or``, nothing negates: so what cannot be known matters only if the marker says
    one thing with all such comparisons true and another with all of them false.
    """
    if marker is None:
        return True
    unknown = [key for key, value in target.markers.items() if value is None]
    if not any(name in str(marker) for name in unknown):
        return _evaluate(marker, target, extras)
    comparison = re.compile(_COMPARISON.format(name=f"(?:{'|'.join(unknown)})"))
    best, worst = (_evaluate(Marker(comparison.sub(stand_in, str(marker))), target, extras) for stand_in in (_ALWAYS, _NEVER))
    return best if best == worst else None


Holds = Callable[[Marker | None, frozenset[str]], bool | None]


def remembering(target: Target) -> Holds:
    """:func:`holds` for ``target``, which evaluates each marker once: most are met many times."""
    known: dict[tuple[str, frozenset[str]], bool | None] = {}

    def remembered(marker: Marker | None, extras: frozenset[str]) -> bool | None:
        if marker is None:
            return True
        key = (str(marker), extras)
        if key not in known:
            known[key] = holds(marker, target, extras)
        return known[key]

    return remembered


def _evaluate(marker: Marker, target: Target, extras: Collection[str]) -> bool:
    environment = {key: value or "" for key, value in target.markers.items()}
    return any(marker.evaluate({**environment, "extra": extra}) for extra in extras or ("",))
