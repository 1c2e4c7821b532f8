"""Build: an sdist, a recipe and a target → a wheel that works there, for every project that is locked without a wheel.

::

    LockedSdist ─┐
    Recipe ──────┼─toolchain─▶ Inputs ─key─▶ built before? ─▶ Wheel
    Target ──────┘                  └─job──▶ raw wheel ─repair, audit─▶ Wheel, with its Provenance ─▶ proved by the recipe's test

Projects are built side by side; one that fails does not stop the others. The targets of one project come one after the other, the oldest
platform first: a wheel that an earlier one was given and a later one accepts is not built again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.utils import parse_wheel_filename

from wheelhouse_builder.adapters.index import shown
from wheelhouse_builder.adapters.process import Processes, Runner
from wheelhouse_builder.adapters.sources import Downloads, bring
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.build.job import BuildFailed, Inputs, Job, Outcome
from wheelhouse_builder.build.prove import clean_place, proof_key, prove
from wheelhouse_builder.build.pythons import Pythons
from wheelhouse_builder.build.records import Records
from wheelhouse_builder.build.toolchain import Ready
from wheelhouse_builder.build.toolchains import Toolchains
from wheelhouse_builder.errors import DistributionError, EnvironmentFailure, IndexFailure, NoWheelError, WheelhouseError
from wheelhouse_builder.model.distribution import LockedSdist, LockedWheel, Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.provenance import Graft, Material, Need, Provenance
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import Cookbook, Library, Recipe, build_question
from wheelhouse_builder.reporter import Reporter, Step
from wheelhouse_builder.runtime.wheel import wheel_problems
from wheelhouse_builder.sdist import read_sdist

__all__ = ["Built", "Made", "build"]

AT_ONCE = max(1, (os.cpu_count() or 1))
"""Projects that are built at the same time."""
HINT = "mend the lines of the recipes that are named above; `wheelhouse recipe try PROJECT` builds one alone"


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A wheel that serves a target, where none was published."""

    target: str
    wheel: Wheel
    again: bool
    """It was there from an earlier run, or from another target of this one: nothing was built."""
    proved: str = ""
    """Where its recipe's test was passed; empty: it has none, it was not to be run, or the target cannot be run here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """Locks in which every project has its wheel."""

    locks: tuple[Lock, ...]
    wheels: Mapping[str, Wheel]
    """By file name: those that were given, and those that were built."""
    made: tuple[Made, ...]
    """In the order of the locks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Failure:
    project: str
    target: str
    problem: str
    hint: str


def build(
    locks: Sequence[Lock],
    wheels: Mapping[str, Wheel],
    cookbook: Cookbook,
    *,
    store: Store,
    client: Downloads,
    reporter: Reporter,
    tested: bool = True,
    roots: Mapping[str, Path] | None = None,
    build_roots: tuple[Path, ...] = (),
    runner: Runner | None = None,
) -> Built:
    """Build what ``locks`` hold as sdists; ``wheels``, by file name, hold their build requirements.

    ``build_roots`` hold older systems to build in. Wheels are ``tested``, in the bare system that ``roots`` have for a target, or on this
    host. Raises NoWheelError with every build and every test that failed: why, the last lines that it said, the recipe's line;
    EnvironmentFailure where nothing can be built.
    """
    wanted: dict[str, list[tuple[LockedSdist, Target]]] = {}
    for lock in locks:
        for sdist in lock.sdists:
            wanted.setdefault(sdist.sha256, []).append((sdist, lock.target))
    if not wanted:
        return Built(locks=tuple(locks), wheels=wheels, made=())
    runner = runner or Processes()
    pythons = Pythons(runner)
    shop = _Shop(
        cookbook=cookbook,
        wheels=wheels,
        store=store,
        records=Records(store),
        client=client,
        runner=runner,
        pythons=pythons,
        toolchains=Toolchains(runner, pythons, store.root, build_roots),
        roots=roots or {},
    )
    total = sum(map(len, wanted.values()))
    with ThreadPoolExecutor(AT_ONCE, "build") as threads:
        with reporter.step("building", total=total, unit="wheels") as step:
            outcomes = [each for done in threads.map(lambda one: tuple(shop.build(one, step)), wanted.values()) for each in done]
        built = _filled(locks, wheels, {(each.target, each.wheel.project): each for each in _all_made(outcomes)})
        if not tested:
            return built
        by_target = {lock.target.name: lock for lock in built.locks}
        with reporter.step("testing", total=total, unit="wheels") as step:
            proved = list(threads.map(lambda one: shop.prove(one, by_target[one.target], built.wheels, step), built.made))
    return replace(built, made=tuple(_all_made(proved)))


def _all_made(outcomes: Iterable[Made | _Failure]) -> list[Made]:
    """All wheels, or one error that tells of everything that failed."""
    outcomes = list(outcomes)
    failures = [each for each in outcomes if isinstance(each, _Failure)]
    if failures:
        raise NoWheelError(*_table(failures), hint=_hint(failures))
    return [each for each in outcomes if isinstance(each, Made)]


def _table(failures: Iterable[_Failure]) -> list[str]:
    """One entry for each failure, those that are the same for several targets once."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for failure in failures:
        grouped.setdefault((failure.project, failure.problem), []).append(failure.target)
    return [f"{project} for {', '.join(targets)}: {problem}" for (project, problem), targets in sorted(grouped.items())]


def _hint(failures: Iterable[_Failure]) -> str:
    hints = dict.fromkeys(failure.hint for failure in failures if failure.hint)
    return "\n".join(hints) or HINT


def _filled(locks: Sequence[Lock], wheels: Mapping[str, Wheel], made: Mapping[tuple[str, str], Made]) -> Built:
    """The locks with the wheels that were made in place of the sdists."""
    filled, in_order = [], []
    for lock in locks:
        ours = [made[lock.target.name, sdist.project] for sdist in lock.sdists]
        locked = sorted((*lock.wheels, *(_locked(each.wheel) for each in ours)), key=lambda wheel: wheel.project)
        filled.append(replace(lock, wheels=tuple(locked), sdists=()))
        in_order += ours
    all_wheels = {**wheels, **{each.wheel.filename: each.wheel for each in in_order}}
    return Built(locks=tuple(filled), wheels=all_wheels, made=tuple(in_order))


def _locked(wheel: Wheel) -> LockedWheel:
    return LockedWheel(
        project=wheel.project,
        version=wheel.version,
        filename=wheel.filename,
        url=wheel.url,
        sha256=wheel.sha256,
        size=wheel.size,
        uploaded=wheel.uploaded,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shop:
    """Where the wheels of one run are built."""

    cookbook: Cookbook
    wheels: Mapping[str, Wheel]
    store: Store
    records: Records
    client: Downloads
    runner: Runner
    pythons: Pythons
    toolchains: Toolchains
    roots: Mapping[str, Path]

    def build(self, wanted: Iterable[tuple[LockedSdist, Target]], step: Step) -> Iterator[Made | _Failure]:
        """One sdist for its targets, the oldest platform first."""
        made: list[Wheel] = []
        for sdist, target in sorted(wanted, key=lambda each: len(each[1].platforms)):
            known = next((wheel for wheel in made if _fits(wheel, target)), None)
            try:
                wheel, again = (known, True) if known else self._build_one(sdist, target)
            except BuildFailed as failure:
                yield _failed(sdist, target.name, failure)
            else:
                made.append(wheel)
                yield Made(target=target.name, wheel=wheel, again=again)
            step.advance()

    def prove(self, made: Made, lock: Lock, wheels: Mapping[str, Wheel], step: Step) -> Made | _Failure:
        """Try a wheel as its recipe says, if that was not done before."""
        recipe = self.cookbook.find(made.wheel.project, made.wheel.version)
        try:
            clean = clean_place(lock.target, self.roots.get(made.target), self.pythons)
            if recipe is None or clean is None or not (recipe.test.imports or recipe.test.commands):
                return made
            key = proof_key(made.wheel, recipe, lock, clean)
            if not self.records.proved(key):
                self.records.keep_proof(key, prove(made.wheel, recipe, lock, wheels, clean, self.runner))
            return replace(made, proved=str(clean))
        except BuildFailed as failure:
            where = (f"recipe: {recipe.where(failure.key)}",) if recipe else ()
            return _failed(made.wheel, made.target, BuildFailed(*failure.problems, *where, hint=failure.hint))
        finally:
            step.advance()

    def _build_one(self, sdist: LockedSdist, target: Target) -> tuple[Wheel, bool]:
        """The wheel, and whether it was there already. Raises BuildFailed."""
        inputs = self._inputs(sdist, target)
        known = self.records.find(inputs.key, sdist)
        if known is not None:
            return known, True
        try:
            return self._make(inputs), False
        except BuildFailed as failure:
            where = f"recipe: {inputs.recipe.where(failure.key)}"
            toolchain = f"toolchain: {inputs.ready.toolchain} ({', '.join(inputs.ready.tools)})"
            log = f"log: {self.records.log_path(inputs.key)}"
            raise BuildFailed(*failure.problems, toolchain, log, where, hint=failure.hint) from failure

    def _inputs(self, sdist: LockedSdist, target: Target) -> Inputs:
        """Everything that the build depends on, fetched. Raises BuildFailed."""
        try:
            path = self._bring(sdist.url, sdist.filename, sdist.sha256)
            facts = read_sdist(path, sdist.filename, sdist.metadata)
            recipe = self.cookbook.builder(sdist, facts)
            if recipe is None:
                raise BuildFailed("no recipe builds this release", hint="write one, or mend its `versions`")
            if build_question(recipe, sdist.sha256, facts, target).digest != sdist.build_inputs:
                raise BuildFailed("its lock does not hold what its recipe wants to build with", hint="run `wheelhouse lock`")
            ready = self._ready(recipe, sdist, target, cplusplus=facts.cplusplus)
            wanted = () if ready.packages else recipe.libraries
            libraries = tuple((each, self._source_of(each)) for each in wanted)
        except EnvironmentFailure:
            raise
        except WheelhouseError as error:
            raise BuildFailed(*error.problems, hint=error.hint) from error
        requirements = tuple(self.wheels[locked.filename] for locked in sdist.build_requirements)
        return Inputs(
            sdist=sdist,
            path=path,
            facts=facts,
            recipe=recipe,
            target=target,
            ready=ready,
            requirements=requirements,
            libraries=libraries,
        )

    def _ready(self, recipe: Recipe, sdist: LockedSdist, target: Target, *, cplusplus: bool) -> Ready:
        """The toolchain. Raises BuildFailed, EnvironmentFailure."""
        try:
            return self.toolchains.ready(recipe, target, cplusplus=cplusplus)
        except BuildFailed as failure:
            if recipe.pure or self.cookbook.find(sdist.project, sdist.version):
                raise
            told = "it has no recipe, and holds files that a compiler reads, so it was not taken for pure"
            where = f"if its wheel is pure, say so in a folder that `recipes:` names, in {sdist.project}.yaml:"
            hint = f"{where}\n  project: {sdist.project}\n  pure: true"
            raise BuildFailed(*failure.problems, told, hint=hint) from failure

    def _source_of(self, library: Library) -> Path:
        """The source archive of a C library, from the first place that has it. Raises as :func:`bring` does, with what all of them said."""
        failures: list[IndexFailure | DistributionError] = []
        for url in (library.url, *library.mirrors):
            try:
                return self._bring(url, library.filename, library.sha256)
            except (IndexFailure, DistributionError) as failure:
                failures.append(failure)
        raise IndexFailure(*(problem for failure in failures for problem in failure.problems), hint=failures[0].hint)

    def _bring(self, url: str, filename: str, sha256: str) -> Path:
        return bring(url, filename, sha256, store=self.store, client=self.client)

    def _make(self, inputs: Inputs) -> Wheel:
        with TemporaryDirectory(prefix="wheelhouse-build-") as folder:
            job = Job(inputs, Path(folder), self.runner)
            try:
                outcome = job.run()
            finally:
                self.records.keep_log(inputs.key, job.log)
            made = outcome.repaired.path
            with made.open("rb") as file:
                problems = wheel_problems(file, made.name)
            if problems:
                raise BuildFailed(*problems, hint="its build backend makes malformed wheels: ask for another one")
            return self.records.keep(inputs.key, made, outcome.repaired.sha256, inputs.sdist, _provenance(inputs, outcome))


def _failed(what: LockedSdist | Wheel, target: str, failure: BuildFailed) -> _Failure:
    problem = "\n    ".join(failure.problems)
    return _Failure(project=f"{what.project} {what.version}", target=target, problem=problem, hint=failure.hint)


def _fits(wheel: Wheel, target: Target) -> bool:
    return not parse_wheel_filename(wheel.filename)[-1].isdisjoint(target.tags)


def _provenance(inputs: Inputs, outcome: Outcome) -> Provenance:
    sdist, recipe, repaired = inputs.sdist, inputs.recipe, outcome.repaired
    return Provenance(
        sdist=Material(filename=sdist.filename, url=sdist.url if sdist.tree else shown(sdist.url), sha256=sdist.sha256),
        recipe=recipe.name,
        recipe_sha256=recipe.digest,
        toolchain=inputs.ready.toolchain,
        tools=inputs.ready.tools,
        requirements=tuple(
            Material(filename=wheel.filename, url=shown(wheel.url), sha256=wheel.sha256)
            for wheel in sorted(inputs.requirements, key=lambda wheel: wheel.filename)
        ),
        libraries=tuple(Material(filename=each.filename, url=each.url, sha256=each.sha256) for each, _ in inputs.libraries),
        packages=inputs.ready.packages,
        raw_sha256=repaired.source_sha256,
        repaired_by=repaired.tool,
        grafted=tuple(Graft(member=each.member, library=each.library, sha256=each.sha256) for each in repaired.grafted),
        needs=tuple(
            Need(member=each.member, symbol=each.name, library=each.library, version=each.version)
            for each in sorted(repaired.symbols, key=lambda symbol: symbol.version)
        ),
        log_sha256=hashlib.sha256(outcome.log.encode()).hexdigest(),
    )
