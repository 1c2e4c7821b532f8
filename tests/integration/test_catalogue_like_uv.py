"""A catalogue of the real index: what is walked to is what uv itself answers, project by project and target by target."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.data import DATA
from wheelhouse_builder.adapters.index import IndexClient
from wheelhouse_builder.adapters.process import Processes
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.fetch import Fetched
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.rehearse import rehearse
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.resolve import Requirements
from wheelhouse_builder.resolve.catalogue import resolve_catalogue
from wheelhouse_builder.resolve.engine import Question, Unsolvable
from wheelhouse_builder.resolve.uv import Uv
from wheelhouse_builder.spec import Index

TARGETS = ("cp311-win_amd64", "cp310-musllinux_1_2_x86_64", "cp314-macosx_14_0_arm64")


def by_us(projects: list[str], folder: Path) -> tuple[Lock, ...]:
    store = Store(folder)
    with IndexClient() as client:
        fetched = Fetched(store=store, client=client, reporter=Silent(), excused={})
        asked = replace(Requirements.from_texts(*projects), keep=1)
        locks = resolve_catalogue(asked, list(map(Target.parse, TARGETS)), pages=client, cache=folder, bring=fetched.good_ones)
        rehearse(locks, fetched.all(file for lock in locks for file in lock.files))
    return locks


def by_uv(project: str, target: Target, folder: Path) -> set[str]:
    answer = Uv(runner=Processes(), cache=folder / "uv").answer(
        Question(target=target, requirements=(project,), constraints=(), index=Index())
    )
    assert not isinstance(answer, Unsolvable), answer
    return {f"{package.name} {package.version}" for package in answer.packages}


@pytest.mark.network
@pytest.mark.slow
def test_each_closure_is_uvs_own_answer(tmp_path: Path) -> None:
    projects = random.Random(0).sample((DATA / "top-1000-projects.txt").read_text().split()[:300], 30)
    for lock in by_us(projects, tmp_path):
        releases = {wheel.filename: f"{wheel.project} {wheel.version}" for wheel in lock.wheels}
        assert len(lock.closures or ()) + len(lock.lacking) == len(projects)
        for closure in lock.closures or ():
            ours = {releases[filename] for filename in closure.wheels}
            assert ours == by_uv(closure.requirement.name, lock.target, tmp_path), closure.requirement
