"""Which toolchain builds for a target: the recipe's, if it names one, else the simplest that can."""

from __future__ import annotations

from threading import Lock as Mutex

from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.adapters.sandbox import Sandbox
from wheelhouse_builder.build.job import BuildFailed
from wheelhouse_builder.build.native import Native
from wheelhouse_builder.build.pythons import Pythons
from wheelhouse_builder.build.toolchain import Ready, Toolchain, Unready
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import NATIVE, Recipe


class Toolchains:
    """All that there are; what each answers is asked once."""

    def __init__(self, runner: Runner, pythons: Pythons) -> None:
        self._sandbox = Sandbox(runner=runner)
        self._known: dict[str, Toolchain] = {NATIVE: Native(runner=runner, pythons=pythons)}
        self._mutex = Mutex()

    def ready(self, recipe: Recipe, target: Target) -> Ready:
        """The toolchain that builds for ``target``. Raises BuildFailed, EnvironmentFailure."""
        name = recipe.toolchain or NATIVE
        with self._mutex:
            self._sandbox.require()
            found = self._known[name].ready(recipe, target)
        match found:
            case Ready():
                return found
            case Unready(problem=problem, hint=hint):
                raise BuildFailed(problem, hint=hint)
