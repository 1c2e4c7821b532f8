"""All cores of this host that we may use, and work on them."""

import os
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Callable, Iterable, List, Optional, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Stopped(Exception):
    """Another thread failed, or the user ended the run: what work raises that sees it."""


def cores() -> int:
    """How many: as the scheduler says where it can be asked, else all that there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(
    work: Callable[[_Item], _Result], items: Iterable[_Item], stop: threading.Event, most: Optional[int] = None
) -> List[_Result]:
    """What ``work`` returns for each of ``items``, on at most ``most`` cores; None: on all.

    When one fails, or the user interrupts, ``stop`` is set and nothing new begins; the failure is raised.
    """
    with ThreadPoolExecutor(max_workers=min(most or cores(), cores())) as executor:
        futures = [executor.submit(work, item) for item in items]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            if not all(future.done() and future.exception() is None for future in futures):
                stop.set()
            for future in futures:
                future.cancel()
    failures = [future.exception() for future in futures if not future.cancelled()]
    for failure in sorted((each for each in failures if each is not None), key=lambda each: isinstance(each, Stopped)):
        raise failure
    return [future.result() for future in futures]
