"""Which toolchain builds for a target: the recipe's, if it names one, else the simplest that can.

Native, where the target's C library is this host's or a newer one. Else zig, unless the recipe wants the system's libraries and brings none
of its own: then those of a root that was given, or else native is tried, and the audit of the wheel tells what the target is too old for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Lock as Mutex

from packaging.tags import platform_tags

from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.adapters.sandbox import Sandbox
from wheelhouse_builder.build.job import BuildFailed
from wheelhouse_builder.build.native import Native
from wheelhouse_builder.build.pythons import Pythons
from wheelhouse_builder.build.root import InRoot
from wheelhouse_builder.build.toolchain import Ready, Toolchain, Unready
from wheelhouse_builder.build.zig import Zig
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import NATIVE, ROOT, ZIG, Recipe


class Toolchains:
    """All that there are."""

    def __init__(self, runner: Runner, pythons: Pythons, cache: Path, roots: tuple[Path, ...] = ()) -> None:
        self._roots = roots
        self._sandbox = Sandbox(runner=runner)
        self._known: dict[str, Toolchain] = {
            NATIVE: Native(runner=runner, pythons=pythons),
            ZIG: Zig(runner=runner, pythons=pythons, cache=cache),
            ROOT: InRoot(runner=runner, roots=roots, cache=cache),
        }
        self._mutex = Mutex()

    def ready(self, recipe: Recipe, target: Target, *, cplusplus: bool = False) -> Ready:
        """The toolchain that builds for ``target``. Raises BuildFailed, EnvironmentFailure."""
        unready: list[Unready] = []
        with self._mutex:
            self._sandbox.require()
            for name in [recipe.toolchain] if recipe.toolchain else candidates(recipe, target, rooted=bool(self._roots)):
                match self._known[name].ready(recipe, target, cplusplus=cplusplus):
                    case Ready() as ready:
                        return ready
                    case Unready() as why:
                        unready.append(why)
        raise BuildFailed(*(each.problem for each in unready), hint="; or ".join(each.hint for each in unready if each.hint))


def candidates(recipe: Recipe, target: Target, *, rooted: bool = False) -> Iterator[str]:
    """The toolchains that may serve, the simplest first."""
    here = [tag for tag in platform_tags() if not tag.startswith("linux_")]
    older = target.platforms[0] in here  # or the same
    if recipe.pure or here[0] in target.platforms:
        yield NATIVE
    elif older and recipe.system_packages and not recipe.libraries:
        yield ROOT if rooted else NATIVE
    else:
        yield ZIG
        if older:
            if rooted and recipe.system_packages:
                yield ROOT
            yield NATIVE
