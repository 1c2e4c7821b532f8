"""What the user sees: the result on standard output, and on standard error the progress, while somebody watches.

Nothing is drawn unless standard error is a terminal, so logs and pipes hold no bars. Colours follow NO_COLOR.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

from rich.console import Console as RichConsole
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from wheelhouse_builder.errors import WheelhouseError
from wheelhouse_builder.reporter import Step
from wheelhouse_builder.runtime.report import Report, render


class Console:
    """One command's way to its user; a :class:`~wheelhouse_builder.reporter.Reporter` too."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self._as_json = as_json
        self._quiet = quiet
        # FORCE_COLOR may make rich believe in a terminal; a bar that nobody watches is noise all the same.
        self._rich = RichConsole(stderr=True, highlight=False, soft_wrap=True)
        self._watched = sys.stderr.isatty() and not self._rich.is_dumb_terminal and not quiet
        self._told = verbose or self._watched
        self._progress: Progress | None = None

    @property
    def interactive(self) -> bool:
        """Whether somebody is there who can be asked."""
        return sys.stdin.isatty() and self._watched and not self._as_json

    def result(self, document: Mapping[str, Any], text: str) -> None:
        """Print what the command is for: ``document`` with --json, else ``text``."""
        if self._as_json:
            _print(as_json(document))
        elif not self._quiet:
            _print(text)

    def data(self, document: Mapping[str, Any], data: bytes) -> None:
        """Print what the command is for where that is bytes: exactly these, and with --json the document."""
        if self._as_json:
            _print(as_json(document))
        elif not self._quiet:
            _write(data)

    def report(self, report: Report) -> None:
        """Print what the reader of bundles found, in its own words: the same ones as ``python3 FILE.whb`` says."""
        self.result({**report, "reader": "wheelhouse"}, render(report))

    def note(self, text: str) -> None:
        """See :class:`~wheelhouse_builder.reporter.Reporter`."""
        if self._told:
            self._rich.print(text, markup=False, style="dim")

    @contextmanager
    def step(self, what: str, *, total: int | None = None, unit: str = "") -> Iterator[Step]:
        """See :class:`~wheelhouse_builder.reporter.Reporter`."""
        began = time.monotonic()
        with self._drawn() as progress:
            task = progress.add_task(what, total=total, unit=unit)
            try:
                yield _Drawn(progress, task)
            finally:
                done = next(each for each in progress.tasks if each.id == task)
                progress.remove_task(task)
        amount = f"{_amount(done)}, " if done.completed else ""
        self.note(f"{what}: {amount}{time.monotonic() - began:.1f} s")

    @contextmanager
    def _drawn(self) -> Iterator[Progress]:
        """The one drawing that all steps share; the outermost step begins and ends it."""
        if self._progress is not None:
            yield self._progress
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _Amount(),
            _Rate(),
            TimeRemainingColumn(compact=True),
        )
        self._progress = Progress(*columns, console=self._rich, transient=True, disable=not self._watched)
        with self._progress:
            try:
                yield self._progress
            finally:
                self._progress = None


class _Drawn:
    """A :class:`~wheelhouse_builder.reporter.Step` that is a line of the drawing."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task
        self._lock = Lock()

    def advance(self, amount: int = 1) -> None:
        self._progress.advance(self._task, amount)

    def expect(self, amount: int) -> None:
        with self._lock:
            known = next(each.total for each in self._progress.tasks if each.id == self._task)
            self._progress.update(self._task, total=(known or 0) + amount)


class _Amount(ProgressColumn):
    """How much is done: ``12.1 MB of 84.4 MB``, ``2 of 4 targets``."""

    def render(self, task: Task) -> Text:
        return Text(_amount(task), style="progress.download")


class _Rate(ProgressColumn):
    """How fast, where it is bytes."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{decimal(int(speed))}/s" if task.fields["unit"] == "B" and speed else "", style="progress.data.speed")


def _amount(task: Task) -> str:
    """``12.1 MB of 84.4 MB``, ``2 of 4 targets``; one number alone when all is done, or nobody knows how much there is."""
    unit = task.fields["unit"]
    done, total = (decimal(int(count)) if unit == "B" else str(int(count)) for count in (task.completed, task.total or 0))
    told = done if task.total is None or done == total else f"{done} of {total}"
    return told if unit == "B" else f"{told} {unit}".rstrip()


def as_json(document: Mapping[str, Any]) -> str:
    """A document as every command prints it: indented, in the order in which it was made."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def print_failure(error: WheelhouseError, *, to_json: bool) -> None:
    """Say what went wrong: on standard error, or with --json as a document on standard output."""
    if to_json:
        told = {"name": error.name, "exit_code": error.exit_code, "problems": list(error.problems), "hint": error.hint}
        _print(as_json({"error": told}))
        return
    lines = [f"error: {problem}" for problem in error.problems]
    lines += [f"hint: {error.hint}"] if error.hint else []
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def _print(text: str) -> None:
    """Print to standard output, what its encoding lacks escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    _write(text.rstrip("\n").encode(encoding, "backslashreplace") + b"\n")


def _write(data: bytes) -> None:
    """Write to standard output. A reader that left early, as ``head`` does, has what it wanted."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
