"""Catalogues: each requirement resolved on its own for each target, several releases of a project side by side.

::

    requirement × target ─walk▶ Set ───────────────┐
            │ ▲                                    ├─▶ one Lock for each target
            │ └─ what was wanted is read, once ─┐  │
            ├─ Wanted: pages, wheels ───────────┘  │
            └─ Stuck ─engine▶ Set, or lacking ─────┘

Most wishes are answered by a walk over what wheels say of themselves (:mod:`~wheelhouse_builder.resolve.walk`), which costs next to nothing
because pages, wheels and what follows from them are shared by all wishes of all targets; the wheels are needed in any case. Only
where releases have to be weighed against each other does a resolver search.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelhouse_builder.adapters.metadata import UNREADABLE, read_metadata
from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.adapters.router import Client
from wheelhouse_builder.errors import SpecError
from wheelhouse_builder.model.distribution import LockedWheel, Wheel
from wheelhouse_builder.model.lock import Closure, Lacking, Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.reporter import Reporter, Silent, Step
from wheelhouse_builder.resolve import refuse_what_cannot_be
from wheelhouse_builder.resolve.bootstrap import decoder_for, no_pip
from wheelhouse_builder.resolve.engine import Question
from wheelhouse_builder.resolve.engines import Engines, engines
from wheelhouse_builder.resolve.locks import pylock_of
from wheelhouse_builder.resolve.requirements import Requirements
from wheelhouse_builder.resolve.solve import Solved, Unsolved, solve
from wheelhouse_builder.resolve.stock import Stock
from wheelhouse_builder.resolve.walk import Knowledge, Set, Spoiled, Stuck, Wanted, walk

AT_ONCE = 8
"""Resolvers that search at the same time; they mostly wait for the index."""

Bring = Callable[[Collection[LockedWheel]], Mapping[str, Wheel | str]]
"""Brings wheels into the store; by file name: the wheel, or why it cannot be had."""


def resolve_catalogue(
    requirements: Requirements,
    targets: Sequence[Target],
    *,
    pages: Client,
    cache: Path,
    bring: Bring,
    runner: Runner | None = None,
    reporter: Reporter | None = None,
) -> tuple[Lock, ...]:
    """Answer each requirement on its own for each target; one lock for each, in the order of ``targets``.

    ``pages`` reads indexes, ``cache`` is a directory for what a resolver learns, ``bring`` fetches wheels, for what they say of themselves
    decides. What cannot be had is told in the locks. Raises SpecError, ResolutionError, IndexFailure, EnvironmentFailure.
    """
    for target in targets:
        refuse_what_cannot_be(requirements, target)
        _refuse_files(requirements, target)
    with (
        engines(requirements, pages, cache, runner) as both,
        (reporter or Silent()).step("resolving", total=0, unit="answers") as step,
    ):
        work = Cataloguer(requirements=requirements, targets=targets, engines=both, bring=bring, step=step)
        return tuple(work.locks())


@dataclass(kw_only=True, slots=True)
class Wish:
    """One requirement on one target, and what became of it so far."""

    requirement: Requirement
    target: Target
    candidates: Iterator[LockedWheel]
    """Releases that were not looked at yet, newest first."""
    left: int
    """How many of them are still wanted."""
    found: list[tuple[Version, Set]] = field(default_factory=list)
    trying: LockedWheel | None = field(init=False)
    """The newest release that is left; None: there is none."""
    stuck: bool = False
    lacking: Lacking | None = None

    def __post_init__(self) -> None:
        self.trying = next(self.candidates, None)

    @property
    def open(self) -> bool:
        """Whether there is more to do."""
        return self.left > 0 and self.trying is not None

    def grant(self, version: Version, wheels: Set) -> None:
        """Note what installs ``version``; newer releases cannot be had, or are there already."""
        self.found.append((version, wheels))
        self.left -= 1
        self.trying = next((wheel for wheel in self.candidates if wheel.version < version), None) if self.left else None
        self.stuck = False

    def give_up(self, reason: str, nearest: Version | None = None) -> None:
        """No further release can be had; it is lacking only if no other could."""
        self.trying = None
        if not self.found:
            self.lacking = Lacking(requirement=self.requirement, reason=reason, nearest=nearest)


@dataclass(kw_only=True, slots=True)
class Cataloguer:
    """What answers all wishes of a catalogue."""

    requirements: Requirements
    targets: Sequence[Target]
    engines: Engines
    bring: Bring
    step: Step
    known: Knowledge = field(init=False)

    def __post_init__(self) -> None:
        constraints = tuple(line.requirement for line in self.requirements.constraints)
        self.known = Knowledge(stock=Stock(self.engines.shelf, self.targets), constraints=constraints)

    def locks(self) -> list[Lock]:
        """One for each target. Raises NoWheelError where there is no pip, IndexFailure, EnvironmentFailure."""
        asked = {target.name: self._asked(target) for target in self.targets}
        self.known.stock.read({canonicalize_name(each.name) for requirements in asked.values() for each in requirements})
        wishes = [self._wish(requirement, target) for target in self.targets for requirement in asked[target.name]]
        self.step.expect(len(wishes))
        self._answer(wishes)
        return [self._lock(target, [wish for wish in wishes if wish.target is target]) for target in self.targets]

    def _asked(self, target: Target) -> tuple[Requirement, ...]:
        """What is asked for on ``target``, each once."""
        lines = dict.fromkeys(line.requirement for line in self.requirements.asked_of(target))
        return self.known.true_ones(lines, target) or ()

    def _wish(self, requirement: Requirement, target: Target) -> Wish:
        project = canonicalize_name(requirement.name)
        previews = bool(requirement.specifier.prereleases)
        candidates = self.known.allowed(project, target, (requirement.specifier,), previews=previews)
        wish = Wish(requirement=requirement, target=target, candidates=candidates, left=self.requirements.keep or 1)
        if not wish.open:
            wish.give_up(*self._nothing(requirement, target))
        return wish

    def _nearest(self, requirement: Requirement, offered: Sequence[Version]) -> Version:
        """Of those that could be had, newest first, the one that comes next after what is asked for; the newest, if none does."""
        releases = self.engines.shelf.releases(canonicalize_name(requirement.name))
        named = (Version(each.version.removesuffix(".*")) for each in requirement.specifier)
        asked = max(requirement.specifier.filter(releases, prereleases=True), default=None) or max(named, default=offered[0])
        return min((version for version in offered if version >= asked), default=offered[0])

    def _nothing(self, requirement: Requirement, target: Target) -> tuple[str, Version | None]:
        """Why no release can be chosen, and one that could if it were asked for."""
        project = canonicalize_name(requirement.name)
        if offered := list(self.known.stock.of(project, target)):
            return "no release that is asked for has a wheel", self._nearest(requirement, [wheel.version for wheel in offered])
        if self.known.stock.has_wheels(project):
            return "no release has a wheel", None
        return ("it publishes no wheels" if self.engines.shelf.listed(project) else "no index has it"), None

    def _answer(self, wishes: Sequence[Wish]) -> None:
        """Walk, learn what was wanted, walk on; what is stuck is for a resolver, which searches meanwhile."""
        waiting = [wish for wish in wishes if wish.open]
        self.step.advance(len(wishes) - len(waiting))
        threads = ThreadPoolExecutor(AT_ONCE, "search")
        searches: list[tuple[Wish, Future[Solved | Unsolved]]] = []
        try:
            while waiting:
                walking = [wish for wish in waiting if not wish.stuck]
                wanted = [answer for wish in walking if (answer := self._walk(wish)) is not None]
                searches += [(wish, threads.submit(self._solve, wish)) for wish in walking if wish.stuck]
                if wanted:
                    self._learn(wanted)
                else:
                    self._take_up([(wish, search.result()) for wish, search in searches])
                    searches = []
                done, waiting = len(waiting), [wish for wish in waiting if wish.open]
                self.step.advance(done - len(waiting))
        finally:
            threads.shutdown(cancel_futures=True)

    def _walk(self, wish: Wish) -> Wanted | None:
        """Go as far as it can be gone with what is known."""
        while (first := wish.trying) is not None and not wish.stuck:
            match walk(_exactly(wish.requirement, first.version), first, wish.target, self.known):
                case Wanted() as wanted:
                    return wanted
                case Spoiled(why=why):
                    wish.give_up(why)
                case Stuck():
                    wish.stuck = True
                case wheels:
                    wish.grant(first.version, wheels)
        return None

    def _learn(self, wanted: Iterable[Wanted]) -> None:
        """Read all pages and wheels that somebody wants, each once."""
        wanted = list(wanted)
        pages = frozenset().union(*(each.pages for each in wanted))
        self.known.stock.ask(pages)
        self._read_wheels(frozenset().union(*(each.wheels for each in wanted)))  # while the index is asked
        self.known.stock.read(pages)

    def _read_wheels(self, wheels: Collection[LockedWheel]) -> None:
        for filename, wheel in self.bring(wheels).items() if wheels else ():
            try:
                self.known.take(filename, wheel if isinstance(wheel, str) else read_metadata(wheel.path))
            except UNREADABLE as error:
                self.known.take(filename, f"{filename} cannot be read: {error}")

    def _take_up(self, answers: Iterable[tuple[Wish, Solved | Unsolved]]) -> None:
        """Take what resolvers found; the newest release that they find is as good as one that was walked to."""
        answers = list(answers)
        chosen = {wheel for _, answer in answers if isinstance(answer, Solved) for wheel in answer.choice.wheels}
        self._read_wheels({wheel for wheel in chosen if not self.known.has_read(wheel)})
        for wish, answer in answers:
            if isinstance(answer, Unsolved):
                wish.give_up(*_reason(answer, wish))
                continue
            wheels = {wheel.project: wheel for wheel in answer.choice.wheels}
            if (why := next(filter(None, map(self.known.why_spoiled, wheels.values())), None)) is not None:
                wish.give_up(why)
            else:
                wish.grant(wheels[canonicalize_name(wish.requirement.name)].version, wheels)

    def _solve(self, wish: Wish) -> Solved | Unsolved:
        asked = Requirement(str(wish.requirement))
        asked.marker = None
        if wish.trying is not None:
            asked.specifier = asked.specifier & SpecifierSet(f"<={wish.trying.version}")
        question = replace(self._question(wish.target), requirements=(str(asked),))
        bounds = (asked, *(line.requirement for line in self.requirements.constraints))
        return solve(question, self.engines.of(wish.target), self.engines.shelf, bounds=bounds)

    def _question(self, target: Target) -> Question:
        constraints = tuple(str(line) for line in self.requirements.constraints)
        return Question(target=target, requirements=(), constraints=constraints, index=self.requirements.indexes[0])

    def _bootstrap(self, target: Target) -> tuple[LockedWheel, ...]:
        """What the target needs before it can install anything, as :mod:`~wheelhouse_builder.resolve.bootstrap` says."""
        wanted = [Requirement(text) for text in ("pip", *decoder_for(target))]
        self.known.stock.read(canonicalize_name(each.name) for each in wanted)
        found = [next(self.known.allowed(canonicalize_name(each.name), target, (each.specifier,)), None) for each in wanted]
        if found[0] is None:
            raise no_pip(target)
        return tuple(sorted((wheel for wheel in found if wheel is not None), key=lambda wheel: wheel.project))

    def _lock(self, target: Target, wishes: Iterable[Wish]) -> Lock:
        closures, lacking = [], []
        wheels: dict[str, LockedWheel] = {}
        for wish in wishes:
            for version, chosen in wish.found:
                wheels |= {wheel.filename: wheel for wheel in chosen.values()}
                names = tuple(sorted(wheel.filename for wheel in chosen.values()))
                closures.append(Closure(requirement=_exactly(wish.requirement, version), wheels=names))
            if wish.lacking is not None:
                lacking.append(wish.lacking)
        ordered = tuple(sorted(wheels.values(), key=lambda wheel: (wheel.project, wheel.version, wheel.filename)))
        return Lock(
            target=target,
            pylock=pylock_of(ordered),
            wheels=ordered,
            bootstrap=self._bootstrap(target),
            requirements=self._asked(target),
            inputs=self.requirements.digest(target),
            closures=tuple(sorted(closures, key=lambda closure: str(closure.requirement))),
            lacking=tuple(lacking),
        )


def without(lock: Lock, refused: Mapping[str, str]) -> Lock:
    """``lock`` without the ``refused`` wheels, by file name, and all that is not installed without them; why each is refused is told.

    What was asked for is lacking where no other release of it is left.
    """
    had = lock.closures or ()
    lost = {closure: why for closure in had if (why := next((refused[name] for name in closure.wheels if name in refused), None))}
    left = tuple(closure for closure in had if closure not in lost)
    lacking = []
    for asked in lock.requirements:
        whys = [why for closure, why in lost.items() if _answers(closure, asked)]
        if whys and not any(_answers(closure, asked) for closure in left):
            lacking.append(Lacking(requirement=asked, reason=whys[0]))
    needed = {name for closure in left for name in closure.wheels}
    wheels = tuple(wheel for wheel in lock.wheels if wheel.filename in needed)
    return replace(lock, pylock=pylock_of(wheels), wheels=wheels, closures=left, lacking=(*lock.lacking, *lacking))


def _answers(closure: Closure, asked: Requirement) -> bool:
    found = closure.requirement
    same = canonicalize_name(found.name) == canonicalize_name(asked.name) and found.extras == asked.extras
    return same and asked.specifier.contains(next(iter(found.specifier)).version, prereleases=True)


def lacking_lines(locks: Iterable[Lock]) -> list[str]:
    """One line for each thing that cannot be had, with the targets for which that is so."""
    grouped: dict[tuple[str, str, Version | None], list[str]] = {}
    for lock in locks:
        for each in lock.lacking:
            grouped.setdefault((str(each.requirement), each.reason, each.nearest), []).append(lock.target.name)
    return [
        f"{requirement}: {reason}{f' ({nearest} has one)' if nearest else ''}: {', '.join(targets)}"
        for (requirement, reason, nearest), targets in sorted(grouped.items(), key=str)
    ]


def _refuse_files(requirements: Requirements, target: Target) -> None:
    """Raise SpecError for lines that name one file: a catalogue is of releases, as many as are kept."""
    problems = [
        f"{line.where}: {line.requirement} names a file, by its URL or its hashes: a catalogue holds releases of projects"
        for line in requirements.asked_of(target)
        if line.requirement.url or line.hashes
    ]
    if problems:
        raise SpecError(*problems, hint="name the project alone, or with bounds for its releases")


def _exactly(requirement: Requirement, version: Version) -> Requirement:
    """One release of it, with its extras."""
    exact = Requirement(str(requirement))
    exact.marker = None
    exact.specifier = SpecifierSet(f"=={version}")
    return exact


def _reason(answer: Unsolved, wish: Wish) -> tuple[str, Version | None]:
    """Why a resolver found nothing, in a line."""
    if answer.missing:
        first = answer.missing[0]
        own = first.project == canonicalize_name(wish.requirement.name)
        return ("no release has a wheel" if own else f"it needs {first.project}, which has no wheel"), None if own else first.nearest
    return " ".join(answer.explanation[-1:]) or "no solution", None
