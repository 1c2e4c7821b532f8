"""Which resolver answers for which target, and both of them made ready for a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wheelhouse_builder.adapters.process import Processes, Runner
from wheelhouse_builder.adapters.router import Client
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve.engine import Engine
from wheelhouse_builder.resolve.piptools import PipTools
from wheelhouse_builder.resolve.requirements import Requirements
from wheelhouse_builder.resolve.routed import Routed, routed
from wheelhouse_builder.resolve.shelf import Shelf
from wheelhouse_builder.resolve.uv import Uv, describes
from wheelhouse_builder.spec import PIP_TOOLS, UV


@dataclass(frozen=True, kw_only=True, slots=True)
class Engines:
    """Both resolvers, and the index that they look at."""

    uv: Engine
    piptools: Engine
    wanted: str
    shelf: Shelf

    def of(self, target: Target) -> Engine:
        """The one that answers for ``target``."""
        return self.uv if engine_for(target, self.wanted) == UV else self.piptools


def engine_for(target: Target, wanted: str = UV) -> str:
    """Who resolves for ``target``: the one that is wanted, but pip-tools where uv has no name for the target."""
    return UV if wanted == UV and describes(target) else PIP_TOOLS


@contextmanager
def engines(requirements: Requirements, pages: Client, cache: Path, runner: Runner | None) -> Iterator[Engines]:
    """The resolvers for ``requirements``: behind a router where there are several indexes; what they learn is kept in ``cache``."""
    runner = runner or Processes()
    with (
        routed(pages, requirements.indexes, requirements.exclude_newer) as router,
        Shelf(router or pages, router.url if router else requirements.indexes[0].url, memory=cache / "requires-python") as shelf,
    ):
        uv: Engine = Uv(runner=runner, cache=cache / "uv")
        piptools: Engine = PipTools(runner=runner, cache=cache / "pip", shelf=shelf)
        if router:
            uv, piptools = Routed(engine=uv, router=router), Routed(engine=piptools, router=router)
        yield Engines(uv=uv, piptools=piptools, wanted=requirements.resolver, shelf=shelf)
