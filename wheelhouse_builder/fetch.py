"""Locked wheels → wheels in the store: each once, in parallel, taken up where an interruption left it, checked before anybody sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import NormalizedName

from wheelhouse_builder.adapters.examiner import Examiner
from wheelhouse_builder.adapters.index import CONNECTIONS, IndexClient, shown
from wheelhouse_builder.adapters.store import Partial, Store, telling
from wheelhouse_builder.errors import DistributionError, IndexFailure, WheelhouseError
from wheelhouse_builder.model.distribution import LockedWheel, Wheel
from wheelhouse_builder.reporter import Reporter, Step

ASK_THE_INDEX = "The index serves another file than was locked. If it was rebuilt there on purpose, lock again and review the difference."
ASK_THE_MAKER = (
    "Leave this release out with a constraint, and tell the people who publish it;"
    " or name the project under `excused` in wheelhouse.yaml, with the reason for which it may pass."
)


def fetch(
    wheels: Iterable[LockedWheel],
    store: Store,
    *,
    client: IndexClient,
    reporter: Reporter,
    excused: Mapping[NormalizedName, str] | None = None,
) -> dict[str, Wheel]:
    """Bring all ``wheels`` into the store; file name → wheel. What is there already is not fetched again.

    Wheels of the projects that ``excused`` names, each with a reason, may break the wheel specification; their problems are kept.
    All wheels are tried before it fails: IndexFailure for what could not be had, DistributionError when one of them is not what the
    lock or the wheel specification says; EnvironmentFailure, at once, when this host cannot go on.
    """
    fetched, failures = _fetch_all(wheels, store, client=client, reporter=reporter, excused=excused)
    if failures:
        raise _all_in_one(list(failures.values()))
    return dict(sorted(fetched.items()))


def fetch_what_is_good(
    wheels: Iterable[LockedWheel],
    store: Store,
    *,
    client: IndexClient,
    reporter: Reporter,
    excused: Mapping[NormalizedName, str] | None = None,
) -> dict[str, Wheel | str]:
    """As :func:`fetch`, but where a file is not what it must be, the reason takes its place. Raises IndexFailure, EnvironmentFailure."""
    fetched, failures = _fetch_all(wheels, store, client=client, reporter=reporter, excused=excused)
    if unreachable := [failure for failure in failures.values() if isinstance(failure, IndexFailure)]:
        raise _all_in_one(unreachable)
    return {**fetched, **{filename: failure.problems[0] for filename, failure in failures.items()}}


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """What was fetched in a run: nothing is read twice."""

    store: Store
    client: IndexClient
    reporter: Reporter
    excused: Mapping[NormalizedName, str]
    wheels: dict[str, Wheel] = field(default_factory=dict)
    """By file name."""

    def good_ones(self, wheels: Iterable[LockedWheel]) -> Mapping[str, Wheel | str]:
        """See :func:`fetch_what_is_good`."""
        found = fetch_what_is_good(wheels, self.store, client=self.client, reporter=self.reporter, excused=self.excused)
        self.wheels.update((filename, wheel) for filename, wheel in found.items() if isinstance(wheel, Wheel))
        return found

    def all(self, wheels: Iterable[LockedWheel]) -> dict[str, Wheel]:
        """See :func:`fetch`."""
        wanted = {wheel.filename: wheel for wheel in wheels}
        new = [wheel for filename, wheel in wanted.items() if filename not in self.wheels]
        self.wheels.update(fetch(new, self.store, client=self.client, reporter=self.reporter, excused=self.excused))
        return {filename: self.wheels[filename] for filename in sorted(wanted)}


def _fetch_all(
    wheels: Iterable[LockedWheel],
    store: Store,
    *,
    client: IndexClient,
    reporter: Reporter,
    excused: Mapping[NormalizedName, str] | None,
) -> tuple[dict[str, Wheel], dict[str, WheelhouseError]]:
    """The wheels that could be had, and why the others could not, by file name."""
    wanted = _one_each(wheels)
    total = sum(wheel.size or 0 for wheel in wanted) or None  # the others' sizes are told as their bytes arrive
    threads = ThreadPoolExecutor(CONNECTIONS, "fetch")
    with reporter.step("fetching", total=total, unit="B") as step, Examiner() as examiner:
        running = {
            threads.submit(_Fetching(wheel, store, client, step, examiner, (excused or {}).get(wheel.project, "")).run): wheel
            for wheel in _big_ones_first(wanted)
        }
        try:
            return _gather(running)
        except BaseException:
            client.abandon()
            raise
        finally:
            # Whoever interrupts us shall not wait for an index that says nothing.
            threads.shutdown(wait=False, cancel_futures=True)


def _one_each(wheels: Iterable[LockedWheel]) -> list[LockedWheel]:
    """Each file once, though several locks may name it."""
    wanted: dict[str, LockedWheel] = {}
    problems = []
    for wheel in wheels:
        known = wanted.setdefault(wheel.filename, wheel)
        if known.sha256 != wheel.sha256:
            problems.append(f"{wheel.filename}: sha256 {known.sha256} from {shown(known.url)}")
            problems.append(f"{wheel.filename}: sha256 {wheel.sha256} from {shown(wheel.url)}")
    if problems:
        raise DistributionError(
            *problems, hint="One file name can stand for one file only: take the project from one index for all targets."
        )
    return list(wanted.values())


def _big_ones_first(wheels: Sequence[LockedWheel]) -> list[LockedWheel]:
    """The order in which the last one is done soonest. Where sizes are not known, wheels with compiled code are taken for the big ones."""
    return sorted(wheels, key=lambda wheel: (wheel.filename.endswith("-none-any.whl"), -(wheel.size or 0)))


def _gather(running: dict[Future[Wheel], LockedWheel]) -> tuple[dict[str, Wheel], dict[str, WheelhouseError]]:
    """Wait for all; what this host cannot do will fail for the others too, so it ends the wait."""
    fetched: dict[str, Wheel] = {}
    failures: dict[str, WheelhouseError] = {}
    for future in as_completed(running):
        filename = running[future].filename
        try:
            fetched[filename] = future.result()
        except (IndexFailure, DistributionError) as failure:
            failures[filename] = failure
    return fetched, failures


def _all_in_one(failures: Sequence[WheelhouseError]) -> WheelhouseError:
    """One error that tells all. A wrong file weighs more than one that is not to be had."""
    problems = sorted(problem for failure in failures for problem in failure.problems)
    hints = sorted({failure.hint for failure in failures if failure.hint})
    kind = DistributionError if any(isinstance(failure, DistributionError) for failure in failures) else IndexFailure
    return kind(*problems, hint="\n".join(hints))


class _Fetching:
    """The way of one wheel into the store."""

    def __init__(self, wheel: LockedWheel, store: Store, client: IndexClient, step: Step, examiner: Examiner, excuse: str) -> None:
        self.wheel = wheel
        self.store = store
        self.client = client
        self.step = step
        self.examiner = examiner
        self.excuse = excuse

    def run(self) -> Wheel:
        """The wheel, fetched if need be, and checked in any case: the store may hold it under another name, or from an older wheelhouse."""
        return self._checked(self._find() or self._fetch())

    def _checked(self, path: Path) -> Wheel:
        wheel = self.wheel
        with telling("read", path):
            problems = self.examiner.problems(path, wheel.filename)
            size = path.stat().st_size
        if problems and not self.excuse:
            raise DistributionError(*self._named(problems), hint=ASK_THE_MAKER)
        return Wheel(
            project=wheel.project,
            version=wheel.version,
            filename=wheel.filename,
            sha256=wheel.sha256,
            size=size,
            path=path,
            url=shown(wheel.url),
            uploaded=wheel.uploaded,
            problems=tuple(problems),
            excuse=self.excuse if problems else "",
        )

    def _find(self) -> Path | None:
        path = self.store.find_sound(self.wheel.sha256)
        if path is not None:
            size = path.stat().st_size
            if self.wheel.size is None:
                self.step.expect(size)
            self.step.advance(size)
        return path

    def _fetch(self) -> Path:
        try:
            with self.store.partial(self.wheel.sha256, waiting=self.client.check_abandoned) as partial:
                # another process, or another name of the same file, may have been faster
                return self._find() or self._download(partial)
        except DistributionError as error:
            raise DistributionError(*self._named(error.problems), hint=ASK_THE_INDEX) from error
        except IndexFailure as error:
            raise IndexFailure(*self._named(error.problems), hint=error.hint) from error

    def _download(self, partial: Partial) -> Path:
        sink = _Counted(partial, self.step, self.wheel.size)
        resumed = partial.size > 0
        if partial.size != self.wheel.size:
            self.client.download(self.wheel.url, sink)
        if resumed and partial.problem(self.wheel.size):  # what was left from the last time was no good
            sink.restart()
            self.client.download(self.wheel.url, sink)
        return partial.commit(self.wheel.size)

    def _named(self, problems: Sequence[str]) -> list[str]:
        return [f"{self.wheel.filename}: {problem}" for problem in problems]


class _Counted:
    """A partial file whose progress is told, and which takes no more than was promised."""

    def __init__(self, partial: Partial, step: Step, limit: int | None) -> None:
        self._partial = partial
        self._step = step
        self._limit = limit
        self._expected = limit
        step.advance(partial.size)

    @property
    def size(self) -> int:
        return self._partial.size

    def expect(self, size: int) -> None:
        if self._expected is None:  # a second try changes nothing
            self._expected = size
            self._step.expect(size)

    def write(self, data: bytes) -> None:
        self._partial.write(data)
        self._step.advance(len(data))
        if self._limit is not None and self.size > self._limit:
            self.restart()
            raise DistributionError(f"is longer than the {self._limit} bytes that the lock says")

    def restart(self) -> None:
        self._step.advance(-self._partial.size)
        self._partial.restart()
