"""The interpreters of this host, for builds that run at the same time: looked for once, and only as far as need be."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock as Mutex

from wheelhouse_builder.adapters.interpreters import Interpreter, interpreters
from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.model.target import Target


class Pythons:
    """This interpreter, and the others on PATH and under pyenv."""

    def __init__(self, runner: Runner) -> None:
        self._others = interpreters(runner)
        self._known: list[Interpreter] = []
        self._mutex = Mutex()

    def any(self) -> Interpreter | None:
        """The one that runs this."""
        return self.first(lambda _: True)

    def like(self, target: Target) -> Interpreter | None:
        """One of the same version and ABI as ``target``, whatever that runs on."""
        return self.first(lambda each: (each.target.interpreter, each.target.abi) == (target.interpreter, target.abi))

    def first(self, fits: Callable[[Interpreter], bool]) -> Interpreter | None:
        """The first that ``fits``; looking at all of them takes seconds."""
        with self._mutex:
            for each in self._known:
                if fits(each):
                    return each
            for each in self._others:
                self._known.append(each)
                if fits(each):
                    return each
        return None
