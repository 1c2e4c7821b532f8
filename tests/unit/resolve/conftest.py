from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.index import LocalIndex
from tests.support.wheels import make_wheel
from wheelhouse_builder.adapters.index import IndexClient
from wheelhouse_builder.adapters.process import Finished, Processes
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve import Requirements, resolve
from wheelhouse_builder.spec import Index


@dataclass
class Counting(Processes):
    """The real runner, which remembers what it ran."""

    commands: list[list[str]] = field(default_factory=list)

    def run(self, command, *, env=None, cwd=None) -> Finished:  # type: ignore[no-untyped-def]
        self.commands.append(list(command))
        return super().run(command, env=env, cwd=cwd)


@dataclass(frozen=True)
class World:
    """A small index, and what resolves against it."""

    wheels: Path
    index: LocalIndex
    cache: Path
    runner: Counting

    def requirements(self, *texts: str, constraints: tuple[str, ...] = ()) -> Requirements:
        return Requirements.from_texts(*texts, constraints=constraints, index=Index(url=self.index.url))

    def lock(
        self, requirements: Requirements, *targets: str, previous: dict[str, Lock] | None = None, upgrade: bool = False
    ) -> tuple[Lock, ...]:
        with IndexClient() as pages:
            return resolve(
                requirements,
                [Target.parse(target) for target in targets],
                pages=pages,
                cache=self.cache,
                runner=self.runner,
                previous=previous,
                upgrade=upgrade,
            )


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Build an index that holds pip."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel(wheels, "pip", "26.0", requires_python=">=3.9")
    make_wheel(wheels, "pip", "21.0", requires_python=">=3.6")
    opened: list[LocalIndex] = []

    def build(**options: object) -> World:
        index = LocalIndex(wheels, **options)  # type: ignore[arg-type]
        opened.append(index)
        index.__enter__()
        return World(wheels=wheels, index=index, cache=tmp_path / "cache", runner=Counting())

    yield build
    for index in opened:
        index.__exit__(None, None, None)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


def names(lock: Lock) -> list[str]:
    """The locked files."""
    return [wheel.filename for wheel in lock.wheels]
