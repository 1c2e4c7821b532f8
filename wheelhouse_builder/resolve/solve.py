"""One target's answer: ask, choose, and ask again without what does not fit.

It ends when every project has its wheel, or when all that lack one are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from packaging.pylock import Pylock
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from wheelhouse_builder.model.markers import holds
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve.choose import Choice, Wheelless, choose
from wheelhouse_builder.resolve.engine import Answer, Engine, Question, Unsolvable
from wheelhouse_builder.resolve.offers import FIRST, MOST, Bench, Offer, Wish, with_sdists
from wheelhouse_builder.resolve.shelf import Shelf

MOST_ROUNDS = 200
"""Each round leaves out one more project or its unfitting releases, so this many mean that something is wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """A project that ``target`` needs and that has no wheel for it."""

    project: NormalizedName
    target: Target
    nearest: Version | None = None
    """A release that the requirements do not allow, but that has a wheel."""
    unrepaired: str | None = None
    """A wheel that promises nothing but Linux; repaired, it may fit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Solved:
    """Every project has its wheel."""

    pylock: Pylock
    choice: Choice


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsolved:
    """Why there is no answer: projects without a wheel, or the resolver's reasons, or both."""

    target: Target
    missing: tuple[Missing, ...] = ()
    explanation: tuple[str, ...] = ()


def solve(
    question: Question, engine: Engine, shelf: Shelf, *, bounds: tuple[Requirement, ...], bench: Bench | None = None
) -> Solved | Unsolved:
    """Answer for one target; ``bounds`` are the requirements and constraints that the user wrote.

    Projects without a wheel that ``bench`` serves are to be built.
    """
    return _Search(question=question, engine=engine, shelf=shelf, bounds=bounds, bench=bench).run()


@dataclass(kw_only=True, slots=True)
class _Search:
    """The state of one target's search: the question as it is now, and what was found missing."""

    question: Question
    engine: Engine
    shelf: Shelf
    bounds: tuple[Requirement, ...]
    bench: Bench | None = None
    missing: dict[NormalizedName, Missing] = field(default_factory=dict)
    offered: dict[NormalizedName, tuple[Offer, ...]] = field(default_factory=dict)
    """What can be built of the projects that have no wheel."""

    def run(self) -> Solved | Unsolved:
        self._offer_instead_of_wheels()
        for _ in range(MOST_ROUNDS):
            answer = self._answer()
            if isinstance(answer, Unsolvable):
                if self._offer_older_ones() or self._leave_out(self._suspects(answer)):
                    continue
                return self._unsolved(tuple(self.missing.values()), self._with_nearest(answer))
            choice = choose(answer, self.question.target)
            if unfitting := choice.wheelless or self._for_other_pythons(choice):
                self._refuse_unfitting(unfitting)
            elif self.missing:
                return self._unsolved(tuple(self._truly_missing(choice)))
            else:
                return Solved(pylock=answer, choice=choice)
        return self._unsolved(tuple(self.missing.values()), ("the search did not come to an end",))

    def _answer(self) -> Answer:
        """What the engine says, with the sdists themselves in place of what they promise."""
        answer = self.engine.answer(self.question)
        return answer if isinstance(answer, Unsolvable) else with_sdists(answer, self.offered, self.bench.named if self.bench else {})

    def _offer_instead_of_wheels(self) -> None:
        """Of projects whose wheels are not wanted, the releases that can be built are all that there is."""
        for project in sorted(self.bench.no_binary) if self.bench else ():
            refused = {(project, version) for version in self.shelf.releases(project)}
            self.question = replace(self.question, refused=self.question.refused | refused)
            self._offer(project)

    def _offer(self, project: NormalizedName, most: int = FIRST) -> bool:
        """Offer what can be built of ``project``; False when that is nothing more than before."""
        if self.bench is None or not self.bench.serves(project):
            return False
        offers = self.bench.offers(self._wish(project, most))
        if len(offers) <= len(self.offered.get(project, ())):
            return False
        self.offered[project] = offers
        self.question = replace(
            self.question,
            promised=tuple(offer.promised for each in self.offered.values() for offer in each),
            refused=self.question.refused - {(project, offer.version) for offer in offers},
        )
        return True

    def _wish(self, project: NormalizedName, most: int) -> Wish:
        preferred = self.question.preferred.packages if self.question.preferred else ()
        return Wish(
            project=project,
            target=self.question.target,
            allows=partial(self._allows, project),
            preferred=next((package.version for package in preferred if package.name == project), None),
            most=most,
        )

    def _offer_older_ones(self) -> bool:
        """There is no answer with the newest releases of what can be built: there may be one with others."""
        few = [project for project, offers in self.offered.items() if len(offers) < MOST]
        return sum(self._offer(project, MOST) for project in few) > 0  # all of them, not up to the first

    def _suspects(self, answer: Unsolvable) -> Iterator[NormalizedName]:
        """Whom the resolver blames, and projects whose releases we ourselves have refused."""
        yield from answer.suspects
        yield from sorted({project for project, _ in self.question.refused} - set(answer.suspects))

    def _leave_out(self, suspects: Iterable[NormalizedName]) -> bool:
        """Leave out the suspects that truly have no wheel; False when there is none."""
        guilty = [project for project in suspects if project not in self.missing and not self._has_wheel(project)]
        for project in guilty:
            self._miss(project)
        return bool(guilty)

    def _refuse_unfitting(self, wheelless: Iterable[Wheelless]) -> None:
        """Ask again without the releases that have no fitting wheel; without the project, if that is all of them."""
        for found in wheelless:
            fitting = set(self.shelf.fitting(found.project, self.question.target))
            if not fitting or found.version is None or found.version in fitting:
                self._miss(found.project)
                continue
            unfitting = {found.version, *self.shelf.releases(found.project)} - fitting
            refused = self.question.refused | {(found.project, version) for version in unfitting}
            self.question = replace(self.question, refused=refused)

    def _for_other_pythons(self, choice: Choice) -> tuple[Wheelless, ...]:
        """Releases that are not made for this Python; uv does not heed upper bounds of Requires-Python."""
        wheels = self.shelf.for_other_pythons(choice.wheels, self.question.target)
        return tuple(Wheelless(project=wheel.project, version=wheel.version) for wheel in wheels)

    def _miss(self, project: NormalizedName) -> None:
        """Offer it to be built, or leave it out."""
        if self._offer(project):
            return
        target = self.question.target
        unrepaired = self.shelf.unrepaired(project, target)
        self.missing[project] = Missing(project=project, target=target, nearest=self._nearest(project), unrepaired=unrepaired)
        self.question = replace(self.question, excluded=self.question.excluded | {project})

    def _has_wheel(self, project: NormalizedName) -> bool:
        """Whether a release that the user's own requirements allow has a fitting wheel."""
        return any(self._allows(project, version) for version in self.shelf.fitting(project, self.question.target))

    def _allows(self, project: NormalizedName, version: Version) -> bool:
        return all(bound.specifier.contains(version, prereleases=True) for bound in self._bounds_of(project))

    def _bounds_of(self, project: NormalizedName) -> Iterator[Requirement]:
        for bound in self.bounds:
            if canonicalize_name(bound.name) == project and holds(bound.marker, self.question.target):
                yield bound

    def _nearest(self, project: NormalizedName) -> Version | None:
        """The release with a wheel that comes next after those that are allowed; if none does, the newest."""
        fitting = self.shelf.fitting(project, self.question.target)
        newest_allowed = max((version for version in self.shelf.releases(project) if self._allows(project, version)), default=None)
        later = (version for version in fitting if newest_allowed is not None and version > newest_allowed)
        return next(later, fitting[-1] if fitting else None)

    def _with_nearest(self, answer: Unsolvable) -> tuple[str, ...]:
        """The resolver's reasons; where it blames projects, what they have for this target."""
        target = self.question.target
        offers = [(project, self.shelf.fitting(project, target)) for project in answer.suspects if project not in self.missing]
        return (*answer.explanation, *(f"{project} {versions[-1]} has a wheel for {target}" for project, versions in offers if versions))

    def _unsolved(self, missing: tuple[Missing, ...], explanation: tuple[str, ...] = ()) -> Unsolved:
        return Unsolved(target=self.question.target, missing=missing, explanation=explanation)

    def _truly_missing(self, choice: Choice) -> Iterator[Missing]:
        """Those of the missing projects that ``choice``, made without them, needs.

        A resolver that finds no wheel for a release tries older ones, and blames what they need too.
        """
        pins = tuple(f"{wheel.project}=={wheel.version}" for wheel in choice.wheels)
        pinned = replace(self.question, constraints=(*self.question.constraints, *pins), preferred=None)
        for project, missing in self.missing.items():
            alone = replace(pinned, excluded=pinned.excluded - {project})
            if len(self.missing) == 1 or isinstance(self.engine.answer(alone), Unsolvable):
                yield missing
