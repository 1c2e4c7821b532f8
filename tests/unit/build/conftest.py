from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.support.index import LocalIndex
from tests.support.pip import bundled_pip
from wheelhouse_builder.adapters.index import IndexClient
from wheelhouse_builder.adapters.process import Finished, Processes
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.build import Built, build
from wheelhouse_builder.fetch import fetch
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import Cookbook
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.resolve import Requirements, resolve
from wheelhouse_builder.spec import Index


@dataclass
class Watched(Processes):
    """The real runner, which remembers what it ran."""

    commands: list[str] = field(default_factory=list)

    def run(self, command, *, env=None, cwd=None) -> Finished:  # type: ignore[no-untyped-def]
        self.commands.append(" ".join(command))
        return super().run(command, env=env, cwd=cwd)

    @property
    def builds(self) -> int:
        return sum(" build --no-config " in command for command in self.commands)


@dataclass(frozen=True)
class Yard:
    """An index of sdists, recipes, and a store; here is built."""

    index: LocalIndex
    sdists: Path
    recipes: Path
    store: Path
    runner: Watched

    def build(
        self, *projects: str, targets: Sequence[str] = ("this",), tested: bool = False, roots: dict[str, Path] | None = None
    ) -> Built:
        requirements = replace(
            Requirements.from_texts(*projects, index=Index(url=self.index.url)),
            no_binary=frozenset(map(canonicalize_name, projects)),
        )
        wanted, store, cookbook = [Target.parse(name) for name in targets], Store(self.store), Cookbook.of([self.recipes])
        with IndexClient() as client:
            locks = resolve(requirements, wanted, pages=client, cache=store.root, cookbook=cookbook)
            wheels = fetch((wheel for lock in locks for wheel in lock.files), store, client=client, reporter=Silent())
            return build(
                locks,
                wheels,
                cookbook,
                store=store,
                client=client,
                reporter=Silent(),
                tested=tested,
                roots=roots,
                runner=self.runner,
            )


@pytest.fixture
def make_yard(tmp_path: Path) -> Iterator[Callable[[str], Yard]]:
    """Yards that share their index and recipes, each with a store of its own."""
    sdists, recipes = tmp_path / "sdists", tmp_path / "recipes"
    sdists.mkdir()
    recipes.mkdir()
    shutil.copy(bundled_pip(), sdists)
    with LocalIndex(sdists) as index:
        yield lambda store: Yard(index=index, sdists=sdists, recipes=recipes, store=tmp_path / store, runner=Watched())


@pytest.fixture
def yard(make_yard: Callable[[str], Yard]) -> Yard:
    return make_yard("store")
