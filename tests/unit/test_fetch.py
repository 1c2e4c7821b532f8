from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from packaging.utils import parse_wheel_filename

from tests.support.index import LocalIndex, dropped, failing, missing, slow, wrong_bytes
from tests.support.malformed_wheels import FILENAME, MALFORMED
from tests.support.wheels import make_wheel
from wheelhouse_builder.adapters.index import IndexClient, Patience
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.errors import DistributionError, EnvironmentFailure, IndexFailure
from wheelhouse_builder.fetch import fetch
from wheelhouse_builder.model.distribution import LockedWheel, Wheel
from wheelhouse_builder.reporter import Silent, Step

PATIENCE = Patience(attempts=2, first=0.001)
BIG = bytes(range(256)) * 2000


class Counting:
    """A reporter that adds up what it is told."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0
        self._lock = threading.Lock()

    def step(self, what: str, *, total: int | None = None, unit: str = "") -> AbstractContextManager[Step]:
        assert (what, unit) == ("fetching", "B")
        self.total = total
        return nullcontext(self)

    def note(self, text: str) -> None: ...

    def advance(self, amount: int = 1) -> None:
        with self._lock:
            self.done += amount

    def expect(self, amount: int) -> None:
        with self._lock:
            self.total = (self.total or 0) + amount


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "NETRC"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def distributions(tmp_path: Path) -> Path:
    directory = tmp_path / "distributions"
    for number in range(6):
        make_wheel(directory, f"project-{number}", "1.0", files={f"p{number}.bin": BIG}, compression=0)
    return directory


@pytest.fixture
def index(distributions: Path) -> Iterator[LocalIndex]:
    with LocalIndex(distributions) as index:
        yield index


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def locked(index: LocalIndex, *, sized: bool = True, **changes: str) -> list[LockedWheel]:
    """A lock of all that the index has; ``changes``: file name's project → another digest."""
    wheels = []
    for path in sorted(index.directory.glob("*.whl")):
        project, version, *_ = parse_wheel_filename(path.name)
        sha256 = changes.get(project.replace("-", "_"), hashlib.sha256(path.read_bytes()).hexdigest())
        size = path.stat().st_size if sized else None
        wheels.append(
            LockedWheel(project=project, version=version, filename=path.name, url=index.file_url(path.name), sha256=sha256, size=size)
        )
    return wheels


def fetch_all(wheels: Iterable[LockedWheel], store: Store, reporter: Counting | Silent | None = None) -> dict[str, Wheel]:
    with IndexClient(patience=PATIENCE) as client:
        return fetch(wheels, store, client=client, reporter=reporter or Silent())


def name(number: int) -> str:
    return f"project_{number}-1.0-py3-none-any.whl"


def test_all_wheels_come_into_the_store(index: LocalIndex, store: Store) -> None:
    wheels = fetch_all(locked(index), store)
    assert list(wheels) == [name(number) for number in range(6)]
    for filename, wheel in wheels.items():
        data = (index.directory / filename).read_bytes()
        assert (wheel.filename, wheel.size, wheel.sha256) == (filename, len(data), hashlib.sha256(data).hexdigest())
        assert wheel.path == store.find(wheel.sha256)
        assert wheel.path.read_bytes() == data


def test_a_second_run_fetches_nothing(index: LocalIndex, store: Store) -> None:
    first = fetch_all(locked(index), store)
    index.requests.clear()
    assert fetch_all(locked(index), Store(store.root)) == first
    assert index.requests == []


def test_a_wheel_of_several_locks_is_fetched_once(index: LocalIndex, store: Store) -> None:
    assert len(fetch_all(locked(index) * 4, store)) == 6
    assert len(index.requests) == 6


def test_bytes_under_two_names_are_fetched_once_and_checked_under_both(index: LocalIndex, store: Store) -> None:
    wheel = locked(index)[0]
    other = LockedWheel(
        project=wheel.project,
        version=wheel.version,
        filename="other-1.0-py3-none-any.whl",
        url=wheel.url,
        sha256=wheel.sha256,
        size=wheel.size,
    )
    with pytest.raises(DistributionError, match=r"other-1\.0-py3-none-any\.whl: 'project_0-1\.0\.dist-info': does not agree"):
        fetch_all([wheel, other], store)
    assert len(index.requests) == 1


def test_progress_ends_at_the_total(index: LocalIndex, store: Store) -> None:
    index.fault(name(3), dropped(1000))
    index.fault(name(4), failing(503, times=1))
    counting, again = Counting(), Counting()
    fetch_all(locked(index), store, counting)
    fetch_all(locked(index), store, again)
    assert counting.done == counting.total == again.done == again.total
    unknown = Counting()
    fetch_all(locked(index, sized=False), store, unknown)
    assert unknown.total == unknown.done == counting.done


def test_only_what_is_missing_is_fetched(index: LocalIndex, store: Store) -> None:
    wheels = locked(index)
    index.fault(name(2), missing())
    with pytest.raises(IndexFailure):
        fetch_all(wheels, store)
    index.requests.clear()
    index._faults.clear()
    fetch_all(wheels, store)
    assert [request.path for request in index.requests] == ["/files/" + name(2)]


def test_what_an_interruption_left_is_taken_up(index: LocalIndex, store: Store) -> None:
    wheel = locked(index)[0]
    data = (index.directory / wheel.filename).read_bytes()
    with store.partial(wheel.sha256) as partial:
        partial.write(data[:1000])
    fetch_all([wheel], store)
    assert [(request.status, request.headers["range"]) for request in index.requests] == [(206, "bytes=1000-")]


@pytest.mark.parametrize("left", [b"rubbish", b"x" * 10_000_000])
@pytest.mark.parametrize("sized", [True, False])
def test_rubbish_that_was_left_is_forgotten(index: LocalIndex, store: Store, left: bytes, *, sized: bool) -> None:
    wheel = locked(index, sized=sized)[0]
    with store.partial(wheel.sha256) as partial:
        partial.write(left)
    assert fetch_all([wheel], store)[wheel.filename].sha256 == wheel.sha256


def test_a_whole_file_that_was_left_needs_no_request(index: LocalIndex, store: Store) -> None:
    wheel = locked(index)[0]
    with store.partial(wheel.sha256) as partial:
        partial.write((index.directory / wheel.filename).read_bytes())
    fetch_all([wheel], store)
    assert index.requests == []


def test_a_stored_wheel_that_rotted_is_fetched_again(index: LocalIndex, store: Store) -> None:
    wheels = locked(index)
    path = fetch_all(wheels, store)[name(1)].path
    path.chmod(0o644)
    path.write_bytes(b"rotten")
    index.requests.clear()
    fetch_all(wheels, Store(store.root))
    assert [request.path for request in index.requests] == ["/files/" + name(1)]


def test_all_failures_are_told_at_once(index: LocalIndex, store: Store) -> None:
    index.fault(name(0), missing())
    index.fault(name(1), failing(503))
    index.fault(name(2), failing(403))
    with pytest.raises(IndexFailure) as caught:
        fetch_all(locked(index), store)
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [name(0), name(1), name(2)]
    assert all(status in problem for status, problem in zip(("404", "503", "403"), caught.value.problems, strict=True))
    for words in ("lock again", "try again later", "Give credentials"):
        assert words in caught.value.hint
    assert store.find(locked(index)[5].sha256)


def test_a_wrong_file_weighs_more_than_a_missing_one(index: LocalIndex, store: Store) -> None:
    index.fault(name(0), missing())
    index.fault(name(1), wrong_bytes())
    with pytest.raises(DistributionError) as caught:
        fetch_all(locked(index), store)
    assert "404" in caught.value.problems[0]
    assert f"{name(1)}: has sha256" in caught.value.problems[1]
    assert "lock again and review" in caught.value.hint


@pytest.mark.parametrize("sized", [True, False])
def test_another_file_than_was_locked_never_gets_into_the_store(index: LocalIndex, store: Store, *, sized: bool) -> None:
    wheels = locked(index, sized=sized, project_0="0" * 64)
    with pytest.raises(DistributionError, match="expected 0000"):
        fetch_all(wheels, store)
    assert store.find("0" * 64) is None
    assert list((store.root / "partial").iterdir()) == []


def test_a_file_that_never_ends_is_cut_at_its_size(index: LocalIndex, store: Store) -> None:
    wheel = locked(index)[0]
    index.directory.joinpath(wheel.filename).write_bytes(bytes(50_000_000))
    with pytest.raises(DistributionError, match="is longer than the"):
        fetch_all([wheel], store)
    assert list((store.root / "partial").iterdir()) == []


def test_locks_that_disagree_about_a_file_are_refused(index: LocalIndex, store: Store) -> None:
    with pytest.raises(DistributionError, match="project_0") as caught:
        fetch_all([*locked(index), *locked(index, project_0="0" * 64)], store)
    assert len(caught.value.problems) == 2
    assert index.requests == []


@pytest.mark.parametrize("defect", ["record_with_a_wrong_digest", "symbolic_link", "bytes_behind_a_deflate_stream"])
def test_a_malformed_wheel_is_refused_each_time(index: LocalIndex, store: Store, defect: str) -> None:
    for path in index.directory.iterdir():
        path.unlink()
    (index.directory / FILENAME).write_bytes(MALFORMED[defect].build())
    for _ in range(2):
        with pytest.raises(DistributionError, match=MALFORMED[defect].words) as caught:
            fetch_all(locked(index), store)
        assert "people who publish it" in caught.value.hint


def test_a_store_that_cannot_be_written_ends_the_run(index: LocalIndex, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(EnvironmentFailure, match="cannot write"):
        fetch_all(locked(index), Store(tmp_path / "file"))


def test_credentials_are_in_no_message(index: LocalIndex, store: Store) -> None:
    index.fault(name(0), missing())
    wheel = locked(index)[0]
    secret = LockedWheel(
        project=wheel.project,
        version=wheel.version,
        filename=wheel.filename,
        url=wheel.url.replace("//", "//me:s3cret@"),
        sha256=wheel.sha256,
    )
    with pytest.raises(IndexFailure) as caught:
        fetch_all([secret], store)
    assert "s3cret" not in f"{caught.value}{caught.value.hint}"
    index._faults.clear()
    assert "s3cret" not in repr(fetch_all([secret], store))


INTERRUPTED = """
import sys, tests.unit.test_fetch as t
from pathlib import Path
from tests.support.index import LocalIndex
class Elsewhere(LocalIndex):
    origin = sys.argv[1]
index = Elsewhere(Path(sys.argv[2]))
try:
    t.fetch_all(t.locked(index), t.Store(Path(sys.argv[3])))
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_ctrl_c_ends_the_run_soon_and_the_next_one_goes_on(index: LocalIndex, store: Store) -> None:
    index.fault(name(0), slow(3.0))
    command = [sys.executable, "-c", INTERRUPTED, index.origin, str(index.directory), str(store.root)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
    done = [wheel.sha256 for wheel in locked(index)[1:]]
    while process.poll() is None and not all(store.find(sha256) for sha256 in done):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert store.find(locked(index)[0].sha256) is None
    index.requests.clear()
    index._faults.clear()
    fetch_all(locked(index), store)
    assert [request.path for request in index.requests] == ["/files/" + name(0)]
