"""Several indexes, folders and an age: each rule is tried on true indexes, with both resolvers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.index import LocalIndex, failing
from tests.support.wheels import make_wheel
from wheelhouse_builder.adapters.index import IndexClient, Login
from wheelhouse_builder.adapters.router import Place, Router
from wheelhouse_builder.errors import IndexFailure, NoWheelError, ResolutionError
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve import Requirements, read_lock, resolve, write_lock
from wheelhouse_builder.spec import RESOLVERS, Index

LINUX = "cp312-manylinux_2_28_x86_64"


@dataclass(frozen=True)
class Town:
    """Two indexes, ``ours`` and ``theirs``, and a folder of wheels."""

    ours: LocalIndex
    theirs: LocalIndex
    folder: Path
    cache: Path

    def lock(self, *texts: str, indexes: tuple[Index, ...], resolver: str = "uv", exclude_newer: str | None = None) -> Lock:
        asked = replace(Requirements.from_texts(*texts), indexes=indexes, exclude_newer=exclude_newer, resolver=resolver)
        with IndexClient(logins={self.ours.url: Login(user="ann", password="s3cret")}) as client:
            return resolve(asked, [Target.parse(LINUX)], pages=client, cache=self.cache)[0]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., Town]]:
    make_wheel(tmp_path / "theirs", "pip", "26.0")
    for name in ("ours", "folder"):
        (tmp_path / name).mkdir()
    with ExitStack() as stack:
        yield lambda **options: Town(
            ours=stack.enter_context(LocalIndex(tmp_path / "ours", **options)),
            theirs=stack.enter_context(LocalIndex(tmp_path / "theirs")),
            folder=tmp_path / "folder",
            cache=tmp_path / "cache",
        )


@pytest.fixture
def town(build: Callable[..., Town]) -> Town:
    return build()


def files(lock: Lock) -> list[str]:
    return [wheel.url for wheel in lock.wheels]


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_a_pinned_project_is_not_taken_from_elsewhere_however_high_its_version_there(town: Town, resolver: str) -> None:
    """Dependency confusion: somebody publishes acme-core 99 on the public index; only app requires it, nobody names it."""
    make_wheel(town.theirs.directory, "app", "1.0", requires=["acme-core"])
    make_wheel(town.ours.directory, "acme-core", "1.0")
    make_wheel(town.theirs.directory, "acme-core", "99.0")
    for order in (1, -1):
        indexes = (Index(url=town.ours.url, projects=("acme-*",)), Index(url=town.theirs.url))[::order]
        lock = town.lock("app", indexes=indexes, resolver=resolver)
        assert files(lock) == [town.ours.file_url("acme_core-1.0-py3-none-any.whl"), town.theirs.file_url("app-1.0-py3-none-any.whl")]
    assert not [request for request in town.theirs.requests if "/acme-core/" in request.path]
    assert not [request for request in town.ours.requests if "/app/" in request.path or "/pip/" in request.path]


def test_a_pinned_project_that_its_index_lacks_is_missing_not_looked_for_elsewhere(town: Town) -> None:
    make_wheel(town.theirs.directory, "acme-core", "99.0")
    with pytest.raises((ResolutionError, NoWheelError), match="acme-core"):
        town.lock("acme-core", indexes=(Index(url=town.ours.url, projects=("acme-*",)), Index(url=town.theirs.url)))


def test_the_first_index_that_has_a_project_is_the_one_for_it(town: Town) -> None:
    make_wheel(town.ours.directory, "app", "1.0", requires=["dep"])
    make_wheel(town.theirs.directory, "app", "2.0")
    make_wheel(town.theirs.directory, "dep", "1.0")
    lock = town.lock("app", indexes=(Index(url=town.ours.url), Index(url=town.theirs.url)))
    assert files(lock) == [town.ours.file_url("app-1.0-py3-none-any.whl"), town.theirs.file_url("dep-1.0-py3-none-any.whl")]


def test_an_index_that_fails_is_not_passed_over(town: Town) -> None:
    make_wheel(town.theirs.directory, "app", "2.0")
    town.ours.fault("/simple/app/", failing(403))
    with pytest.raises(IndexFailure, match="403") as caught:
        town.lock("app", indexes=(Index(url=town.ours.url), Index(url=town.theirs.url)))
    assert town.ours.origin in str(caught.value)


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_an_index_that_wants_credentials_and_a_folder_stand_among_the_others(
    build: Callable[..., Town], monkeypatch: pytest.MonkeyPatch, resolver: str
) -> None:
    town = build(auth=("ann", "s3cret"))
    monkeypatch.setenv("THE_PASSWORD", "s3cret")
    make_wheel(town.ours.directory, "app", "1.0", requires=["dep", "local"])
    make_wheel(town.theirs.directory, "dep", "1.0")
    wheel = make_wheel(town.folder, "local", "1.0")
    indexes = (
        Index(url=town.folder.as_uri(), folder=True),
        Index(url=town.ours.url, user_variable="THE_USER", password_variable="THE_PASSWORD"),
        Index(url=town.theirs.url),
    )
    lock = town.lock("app", indexes=indexes, resolver=resolver)
    expected = [town.ours.file_url("app-1.0-py3-none-any.whl"), town.theirs.file_url("dep-1.0-py3-none-any.whl"), wheel.as_uri()]
    assert files(lock) == expected
    assert "127.0.0.1:47611" not in repr(lock.pylock)


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_what_is_too_young_or_of_unknown_age_is_not_there(town: Town, resolver: str) -> None:
    """The index says that everything was uploaded on 1 November 2026."""
    make_wheel(town.theirs.directory, "app", "1.0")
    theirs = (Index(url=town.theirs.url),)
    assert town.lock("app", indexes=theirs, exclude_newer="2026-11-02", resolver=resolver).wheels[0].uploaded is not None
    with pytest.raises((ResolutionError, NoWheelError), match="app"):
        town.lock("app", indexes=theirs, exclude_newer="2026-11-01", resolver=resolver)


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_a_yanked_release_is_taken_only_by_who_names_it_and_told(resolver: str, build: Callable[..., Town], tmp_path: Path) -> None:
    town = build(yanked={"app-2.0-py3-none-any.whl": "broken"})
    make_wheel(town.theirs.directory, "other", "1.0")
    for version in ("1.0", "2.0"):
        make_wheel(town.ours.directory, "app", version)
    indexes = (Index(url=town.ours.url), Index(url=town.theirs.url))
    usual, named = (town.lock(text, indexes=indexes, resolver=resolver) for text in ("app", "app==2.0"))
    assert [str(lock.wheels[0].version) for lock in (usual, named)] == ["1.0", "2.0"]
    assert (list(usual.yanked), list(named.yanked)) == ([], [("app 2.0", "broken")])
    write_lock(named, tmp_path / "pylock.toml")
    assert list(read_lock(tmp_path / "pylock.toml", named.target).yanked) == list(named.yanked)


def test_nobody_else_on_this_host_gets_what_is_carried(town: Town) -> None:
    wheel = make_wheel(town.folder, "local", "1.0")
    with IndexClient() as client, Router(client, [Place(url=town.folder.as_uri(), folder=True)]) as router:
        with pytest.raises(IndexFailure, match="401"):
            client.files(router.url, "local")
        with IndexClient(logins={router.url: router.login}) as ours:
            (file,) = ours.files(router.url, "local")
            assert router.true_url(file.url) == wheel.as_uri()
