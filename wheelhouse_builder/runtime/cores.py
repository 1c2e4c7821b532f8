"""All cores of this host that we may use, and work on them."""

import contextlib
import os
import pickle
import selectors
import signal
import struct
import sys
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from typing import Any, Callable, Dict, Iterable, Iterator, List, NoReturn, Optional, Sequence, TypeVar

from .errors import EnvironmentFailure

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_LENGTH = struct.Struct("<Q")
"""Before each message of a child: how many bytes it has."""


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


def shares(items: Sequence[_Item], cost: Callable[[_Item], float], least: float) -> List[List[_Item]]:
    """``items`` in as many shares as there are cores, of about the same cost each; in one, where all of them cost less than ``least``."""
    count = min(cores(), len(items)) if sum(map(cost, items)) >= least else 1
    found: List[List[_Item]] = [[] for _ in range(max(1, count))]
    costs = [0.0] * len(found)
    for item in sorted(items, key=lambda each: -cost(each)):
        lightest = costs.index(min(costs))
        found[lightest].append(item)
        costs[lightest] += cost(item)
    return found


def side_by_side(work: Callable[[_Item], Iterable[_Result]], items: Sequence[_Item]) -> Iterator[_Result]:
    """What ``work`` yields for each of ``items``, as it comes: each in a process of its own where it can be had, else in a thread.

    A process is a copy of this one, made when the work begins, so ``work`` sees all that is there, and only what it yields comes back:
    pickled. What it raises is raised here, and the other processes end at once. Raises EnvironmentFailure when one ends too early.
    """
    if len(items) < 2:
        for item in items:
            yield from work(item)
        return
    if not _may_fork():
        for found in in_threads(lambda item: list(work(item)), items, threading.Event()):
            yield from found
        return
    with _children() as children:
        for item in items:
            _begin(partial(work, item), children)
        yield from _heard(list(children))


@contextlib.contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Do ``work`` in a process of its own until the end of the body, where one can be had; else not at all.

    What it raises is raised at that end; where the body raises, the work is given up.
    """
    with _children() as children:
        if _may_fork():
            _begin(partial(_in_silence, work), children)
        yield
        for _ in _heard(list(children)):
            pass


def processes() -> int:
    """In how many processes work is worth doing that is no thread's, for it is Python's own; 1: in this one alone."""
    return cores() if _may_fork() else 1


def _may_fork() -> bool:
    """Whether a copy of this process can work on: it has no other threads, whose locks would stay locked, and no system that minds."""
    return sys.platform == "linux" and threading.active_count() == 1


@contextlib.contextmanager
def _children() -> Iterator[Dict[int, int]]:
    """The processes that were started, each by the pipe from which to read what it says; they end with the body."""
    children: Dict[int, int] = {}
    try:
        yield children
    finally:
        for pipe, child in children.items():
            os.close(pipe)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _in_silence(work: Callable[[], object]) -> Iterable[None]:
    work()
    return ()


def _begin(work: Callable[[], Iterable[_Result]], children: Dict[int, int]) -> None:
    """Start a child that says what the ``work`` yields, and add it to ``children``."""
    ours, theirs = os.pipe()
    try:
        child = os.fork()
    except OSError:
        os.close(ours)
        os.close(theirs)
        raise
    if not child:
        _be_child(work, theirs)
    os.close(theirs)
    children[ours] = child


def _be_child(work: Callable[[], Iterable[_Result]], out: int) -> NoReturn:
    """Say what the work yields, then None; or what it raises. Nothing of the process that this one is a copy of is carried on."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            for result in work():
                _say(out, [result])
            _say(out, None)
        except BrokenPipeError:  # nobody is there any more
            raise
        except Exception as error:  # noqa: BLE001 # whatever it is, it is raised again where somebody waits for it
            _say(out, error)
    finally:
        os._exit(0)


def _say(out: int, message: Any) -> None:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    rest = memoryview(_LENGTH.pack(len(data)) + data)
    while rest:
        rest = rest[os.write(out, rest) :]


def _heard(pipes: Sequence[int]) -> Iterator[Any]:
    """What the children say, until each has said all."""
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                message = pickle.loads(_read(key.fd, _LENGTH.unpack(_read(key.fd, _LENGTH.size))[0]))  # noqa: S301 # a copy of ourselves said it
                if isinstance(message, BaseException):
                    raise message
                if message is None:
                    selector.unregister(key.fd)
                else:
                    yield from message


def _read(pipe: int, size: int) -> bytes:
    parts: List[bytes] = []
    while size:
        part = os.read(pipe, min(size, 1 << 20))
        if not part:
            raise EnvironmentFailure(
                "A process that had a part of the work was ended from outside.",
                hint="Nothing was changed. Perhaps this host has too little memory: the system's log tells.",
            )
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
