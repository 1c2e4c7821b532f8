"""Resolving: requirements × targets → one lock per target.

::

    Requirements ─┐
                  ├─Question─▶ engine ─▶ Pylock ─choose▶ LockedWheel … ─▶ Lock
    Target ───────┘      ▲                  │
                         └──── ask again without what has no wheel

An engine (:mod:`~wheelhouse_builder.resolve.uv`, or :mod:`~wheelhouse_builder.resolve.piptools` where the spec wants it or uv has no name
for the target) decides on versions; which file it is to be is decided once, in
:mod:`~wheelhouse_builder.resolve.choose`, by the target's own tags and markers. What an earlier lock answers is not asked again.
Several indexes are one to both of them (:mod:`~wheelhouse_builder.resolve.routed`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.pylock import Pylock
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from wheelhouse_builder.adapters.process import Processes, Runner
from wheelhouse_builder.adapters.router import Client
from wheelhouse_builder.adapters.store import Store, file_digest
from wheelhouse_builder.errors import NoWheelError, ResolutionError, SpecError, WheelhouseError
from wheelhouse_builder.model.distribution import LockedSdist, LockedWheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.markers import ASK_THE_HOST, holds
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import BuildQuestion, Cookbook, build_question, write_down
from wheelhouse_builder.reporter import Reporter, Silent, Step
from wheelhouse_builder.resolve.bootstrap import bootstrap
from wheelhouse_builder.resolve.choose import Choice, choose
from wheelhouse_builder.resolve.engine import Question, write_wheels
from wheelhouse_builder.resolve.engines import Engines, engine_for, engines
from wheelhouse_builder.resolve.locks import lock_filename, read_lock, write_lock
from wheelhouse_builder.resolve.offers import Bench, promise
from wheelhouse_builder.resolve.requirements import Line, Requirements
from wheelhouse_builder.resolve.routed import places_of
from wheelhouse_builder.resolve.solve import Missing, Solved, Unsolved, solve
from wheelhouse_builder.resolve.sources import BUILDER, Finder, Source, restore
from wheelhouse_builder.resolve.taken import Taken, only_chosen, read_taken, taken_for

__all__ = ["Requirements", "engine_for", "lock_filename", "places_of", "read_lock", "resolve", "restore", "write_lock"]

AT_ONCE = 4
"""Engines that run at the same time; they mostly wait for the index."""
READS_KERNEL = re.compile("platform_release|platform_version")
"""Markers that only a host can tell: they are known of probed ones and of this one."""
LONGEST_EXPLANATION = 16
"""Lines of a resolver's reasons that are shown; the last ones say most."""


def resolve(
    requirements: Requirements,
    targets: Sequence[Target],
    *,
    pages: Client,
    cache: Path,
    previous: Mapping[str, Lock] | None = None,
    upgrade: bool = False,
    cookbook: Cookbook | None = None,
    runner: Runner | None = None,
    reporter: Reporter | None = None,
) -> tuple[Lock, ...]:
    """Lock ``requirements`` for each target, in the order of ``targets``.

    ``pages`` reads indexes for us ourselves, when wheels are lacking; ``cache`` is a directory for what the resolver learns.
    ``previous`` are earlier locks by the name of their target: one that answers the same question is kept as it is, of others the versions
    that still fit; ``upgrade`` forgets them. What has no wheel and a recipe in the ``cookbook`` is locked as an sdist.

    Raises, once for all targets: ResolutionError with the resolver's reasons, NoWheelError with every project that has no wheel,
    IndexFailure, EnvironmentFailure.
    """
    with (
        engines(requirements, pages, cache, runner) as both,
        (reporter or Silent()).step("resolving", total=len(targets), unit="targets") as step,
        TemporaryDirectory(prefix="wheelhouse-promised-") as promises,
        ThreadPoolExecutor(AT_ONCE, "resolve") as threads,
    ):
        store = Store(cache)
        previous = {} if upgrade else previous or {}
        finder = Finder(
            store=store,
            client=pages,
            runner=runner or Processes(),
            reporter=reporter or Silent(),
            solve=lambda filename, asked: build_wheels(filename, asked, BUILDER, requirements, both),
            known={sdist.project: sdist for lock in previous.values() for sdist in lock.sdists if sdist.named},
        )
        sources = finder.find(requirements.all_asked)
        bench = Bench(
            cookbook=cookbook or Cookbook(()),
            no_binary=requirements.no_binary - sources.keys(),
            shelf=both.shelf,
            store=store,
            client=pages,
            named={project: source.sdist for project, source in sources.items()},
        )
        _refuse_unbuildable(bench)
        work = _Work(
            requirements=requirements,
            engines=both,
            taken=read_taken(requirements.locked) if requirements.locked else None,
            bench=bench,
            previous=previous,
            sources=sources,
            promises=Path(promises),
        )
        outcomes = list(threads.map(partial(work.lock, step=step), targets))
    return _all_or_error(outcomes)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Work:
    """What is the same for all targets."""

    requirements: Requirements
    engines: Engines
    taken: Taken | None
    bench: Bench
    previous: Mapping[str, Lock]
    sources: Mapping[NormalizedName, Source]
    """What the user named himself."""
    promises: Path
    """Where the wheels lie that these will be, for resolvers to look at."""

    def lock(self, target: Target, step: Step) -> Lock | Unsolved | WheelhouseError:
        """Lock one target; failures are answers here, so that the others' are heard too."""
        try:
            return self._kept(target) or self._made(target)
        except WheelhouseError as error:
            return error
        finally:
            step.advance()

    def _kept(self, target: Target) -> Lock | None:
        lock = self.previous.get(target.name)
        if lock is None or lock.inputs != self.requirements.digest(target):
            return None
        return lock if all(self._is_named_so(sdist) and self._is_buildable(sdist, target) for sdist in lock.sdists) else None

    def _is_named_so(self, sdist: LockedSdist) -> bool:
        """Whether it is what the user names now, if he does."""
        source = self.sources.get(sdist.project)
        return source is None or source.sdist == replace(sdist, build_requirements=(), build_inputs="")

    def _is_buildable(self, sdist: LockedSdist, target: Target) -> bool:
        """Whether what is locked for building it answers what its recipe asks now."""
        question = self._build_question(sdist, target)
        return question is not None and question.digest == sdist.build_inputs

    def _build_question(self, sdist: LockedSdist, target: Target) -> BuildQuestion | None:
        facts = self.bench.facts(sdist)
        recipe = self.bench.cookbook.builder(sdist, facts)
        return build_question(recipe, sdist.sha256, facts, target) if recipe else None

    def _with_build_requirements(self, sdist: LockedSdist, target: Target) -> LockedSdist:
        """``sdist`` with what building it requires, all of it wheels. Raises NoWheelError, ResolutionError."""
        asked = self._build_question(sdist, target)
        if asked is None:
            raise NoWheelError(f"{sdist.project} {sdist.version}: no recipe builds this release", hint="mend the recipe's `versions`")
        wheels = build_wheels(sdist.filename, asked.requirements, asked.target, self.requirements, self.engines)
        return replace(sdist, build_requirements=wheels, build_inputs=asked.digest)

    def _made(self, target: Target) -> Lock | Unsolved:
        refuse_what_cannot_be(self.requirements, target)
        question, engine = self._question(target), self.engines.of(target)
        answer = self._taken(target) or solve(question, engine, self.engines.shelf, bounds=self._bounds(target), bench=self.bench)
        if isinstance(answer, Unsolved):
            return answer
        _refuse_other_bytes(self.requirements, target, answer.choice)
        return Lock(
            target=target,
            pylock=answer.pylock,
            wheels=answer.choice.wheels,
            sdists=tuple(self._with_build_requirements(sdist, target) for sdist in answer.choice.sdists),
            bootstrap=bootstrap(question, answer.choice.wheels, engine, self.engines.shelf),
            requirements=tuple(line.requirement for line in self.requirements.asked_of(target)),
            overrides=tuple(line.requirement for line in self.requirements.overrides),
            inputs=self.requirements.digest(target),
        )

    def _taken(self, target: Target) -> Solved | Unsolved | None:
        """What the lock of another tool says; None when there is none."""
        if self.taken is None:
            return None
        pylock = taken_for(self.taken, target, self.engines.shelf)
        choice = choose(pylock, target)
        if not choice.wheelless:
            return Solved(pylock=only_chosen(pylock, choice), choice=choice)
        fitting = {found.project: self.engines.shelf.fitting(found.project, target) for found in choice.wheelless}
        missing = (Missing(project=name, target=target, nearest=versions[-1] if versions else None) for name, versions in fitting.items())
        return Unsolved(target=target, missing=tuple(missing))

    def _question(self, target: Target) -> Question:
        urls = self._promised(target)
        return Question(
            target=target,
            requirements=tuple(_decided(self.requirements.asked_of(target), target, urls)),
            constraints=tuple(_decided(self.requirements.constraints, target, urls)),
            overrides=tuple(_decided(self.requirements.overrides, target, urls)),
            index=self.requirements.indexes[0],
            preferred=self._preferred(target),
        )

    def _promised(self, target: Target) -> Mapping[NormalizedName, str]:
        """The URLs of the wheels that the named sources will be for ``target``, which are written there."""
        wheels = {
            project: promise(project, source.sdist.version, source.sdist.sha256, source.facts, target)
            for project, source in self.sources.items()
        }
        folder = self.promises / target.name
        write_wheels(wheels.values(), folder)
        places = {project: folder / wheel.filename for project, wheel in wheels.items()}
        return {project: f"{place.as_uri()}#sha256={file_digest(place)}" for project, place in places.items()}

    def _preferred(self, target: Target) -> Pylock | None:
        lock = self.previous.get(target.name)
        return lock.pylock if lock is not None else None

    def _bounds(self, target: Target) -> tuple[Requirement, ...]:
        overridden = {canonicalize_name(line.requirement.name) for line in self.requirements.overrides}
        others = (*self.requirements.asked_of(target), *self.requirements.constraints)
        kept = (line.requirement for line in others if canonicalize_name(line.requirement.name) not in overridden)
        return (*kept, *(line.requirement for line in self.requirements.overrides))


def build_wheels(
    filename: str, asked: tuple[Requirement, ...], target: Target, requirements: Requirements, engines: Engines
) -> tuple[LockedWheel, ...]:
    """The wheels that the Python ``target`` needs to build ``filename``, which asks for them. Raises NoWheelError, IndexFailure."""
    question = Question(target=target, requirements=tuple(map(str, asked)), constraints=(), index=requirements.indexes[0])
    answer = solve(question, engines.of(target), engines.shelf, bounds=asked)
    if isinstance(answer, Unsolved):
        reasons = answer.explanation or [f"{found.project} has no wheel" for found in answer.missing]
        raise NoWheelError(
            "\n  ".join((f"{filename}: what building it requires cannot be had for {target}", *reasons)),
            hint="name releases that have wheels under `build-requirements` in its recipe",
        )
    return answer.choice.wheels


def _refuse_unbuildable(bench: Bench) -> None:
    """Raise SpecError for projects that are to be built and have no recipe."""
    unknown = [project for project in sorted(bench.no_binary) if not bench.serves(project)]
    if unknown:
        raise SpecError(*(f"no-binary: no recipe builds {project}" for project in unknown), hint=_recipe_hint(unknown[0]))


def _recipe_hint(project: str) -> str:
    """How what has no wheel can be had all the same."""
    return f"write a recipe, {project}.yaml, in a folder that `recipes:` names:\n  " + "\n  ".join(write_down(project))


def _decided(lines: Iterable[Line], target: Target, urls: Mapping[NormalizedName, str]) -> Iterator[str]:
    """The lines as a resolver is asked them: a named source is at its URL of ``urls``, and has been checked against its hashes.

    Markers that read the kernel are answered here, uv takes them for false on any target.
    """
    for line in lines:
        asked = line
        if READS_KERNEL.search(str(line.requirement.marker)):
            if not holds(line.requirement.marker, target):
                continue
            asked = replace(line, requirement=_without_marker(line.requirement))
        yield asked.at(urls[canonicalize_name(line.requirement.name)]) if line.source else str(asked)


def _without_marker(requirement: Requirement) -> Requirement:
    bare = Requirement(str(requirement))
    bare.marker = None
    return bare


def refuse_what_cannot_be(requirements: Requirements, target: Target) -> None:
    """Raise ResolutionError for markers that nobody can decide here, and for projects that are not made for this Python."""
    unknowable = [
        f"{target}: {line.where}: {line.requirement} hangs on a marker that only the host can tell"
        for line in (*requirements.asked_of(target), *requirements.constraints, *requirements.overrides)
        if holds(line.requirement.marker, target) is None
    ]
    if unknowable:
        raise ResolutionError(*unknowable, hint=ASK_THE_HOST)
    python = target.environment["python_full_version"]
    if not requirements.requires_python.contains(python, prereleases=True):
        raise ResolutionError(
            f"{target}: the project itself requires Python {requirements.requires_python}, this is {python}",
            hint="take the target out, or another release of the project",
        )


def _refuse_other_bytes(requirements: Requirements, target: Target, choice: Choice) -> None:
    """Raise ResolutionError where a line insists on hashes and the chosen wheel has none of them: uv checks them only when it installs."""
    files: tuple[LockedWheel | LockedSdist, ...] = (*choice.wheels, *choice.sdists)
    chosen = {file.project: file for file in files}
    problems = [
        f"{target}: {line.where}: none of the hashes of {line.requirement} is that of {wheel.filename}, sha256:{wheel.sha256}"
        for line in (*requirements.asked_of(target), *requirements.constraints)
        if line.hashes and (wheel := chosen.get(canonicalize_name(line.requirement.name))) and f"sha256:{wheel.sha256}" not in line.hashes
    ]
    if problems:
        raise ResolutionError(*problems, hint="add this hash if you trust it, or find out why the index has another file")


def _all_or_error(outcomes: Sequence[Lock | Unsolved | WheelhouseError]) -> tuple[Lock, ...]:
    """Return all locks, or raise one error that tells of all failures; its kind is that of the failure which hides most of the others."""
    errors = [outcome for outcome in outcomes if isinstance(outcome, WheelhouseError)]
    unsolved = [outcome for outcome in outcomes if isinstance(outcome, Unsolved)]
    missing = [found for outcome in unsolved for found in outcome.missing]
    if any(outcome.explanation for outcome in unsolved):
        errors.append(
            ResolutionError(
                *_explanations(unsolved), hint="loosen one of the requirements named last, or give targets bundles of their own"
            )
        )
    if missing:
        errors.append(NoWheelError(*_missing_table(missing), hint=_missing_hint(missing)))
    if not errors:
        return tuple(outcome for outcome in outcomes if isinstance(outcome, Lock))
    raise _merged(errors)


def _merged(errors: Sequence[WheelhouseError]) -> WheelhouseError:
    """Make one error of several: what the first kind says, then the rest."""
    worst = errors[0]
    problems = dict.fromkeys(problem for error in errors for problem in error.problems)
    return type(worst)(*problems, hint=worst.hint)


def _explanations(unsolved: Iterable[Unsolved]) -> list[str]:
    """The resolver's reasons, those that are the same for several targets once."""
    grouped: dict[tuple[str, ...], list[str]] = {}
    for outcome in unsolved:
        if outcome.explanation:
            grouped.setdefault(outcome.explanation, []).append(outcome.target.name)
    return ["\n  ".join((f"{', '.join(names)}: no solution", *_shortened(reasons))) for reasons, names in grouped.items()]


def _shortened(reasons: tuple[str, ...]) -> tuple[str, ...]:
    if len(reasons) <= LONGEST_EXPLANATION:
        return reasons
    return (f"({len(reasons) - LONGEST_EXPLANATION} lines of reasons left out)", *reasons[-LONGEST_EXPLANATION:])


def _missing_table(missing: Iterable[Missing]) -> list[str]:
    """One line for each project: the targets that lack a wheel, and what would have one."""
    grouped: dict[str, list[Missing]] = {}
    for found in missing:
        grouped.setdefault(found.project, []).append(found)
    return [f"{project}: no wheel for {', '.join(map(_cell, cells))}" for project, cells in sorted(grouped.items())]


def _cell(missing: Missing) -> str:
    if missing.unrepaired:
        return f"{missing.target} (but {missing.unrepaired}, not repaired)"
    return missing.target.name if missing.nearest is None else f"{missing.target} ({missing.nearest} has one)"


def _missing_hint(missing: Sequence[Missing]) -> str:
    plain = next((found for found in missing if found.unrepaired), None)
    if plain:
        command = f"wheelhouse repair {plain.unrepaired} --target {plain.target} -o wheels"
        return f"fetch it, run `{command}`, and name that folder under `indexes`"
    recipe = _recipe_hint(min(found.project for found in missing))
    if any(found.nearest for found in missing):
        return f"allow the version named above, or leave out the project or the target, or {recipe}"
    return f"leave out these projects, or find ones that publish wheels, or {recipe}"
