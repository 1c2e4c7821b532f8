"""Times as a manifest writes them, and as seconds since 1970."""

import calendar
import time
from typing import Optional

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_LATEST = 253402300799.0
"""The last second of the year 9999: a clock beyond it tells no time."""


def seconds(text: str) -> float:
    """The moment that ``text`` names, such as 2026-11-19T12:00:00Z. Raises ValueError."""
    return float(calendar.timegm(time.strptime(text, _FORMAT)))


def text_of(moment: float) -> str:
    """The same way back."""
    return time.strftime(_FORMAT, time.gmtime(max(0.0, min(moment, _LATEST))))


def day_of(moment: float) -> str:
    """The day alone, such as 2026-11-19."""
    return text_of(moment)[:10]


def later(moment: float, text: Optional[str]) -> float:
    """The later one of both; None is never."""
    return moment if text is None else max(moment, seconds(text))
