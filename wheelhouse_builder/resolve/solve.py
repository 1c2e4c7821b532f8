"""One target's answer: ask, choose, and ask again without what does not fit.

It ends when every project has its wheel, or when all that lack one are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from packaging.pylock import Pylock
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from wheelhouse_builder.model.markers import holds
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve.choose import Choice, Wheelless, choose
from wheelhouse_builder.resolve.engine import Engine, Question, Unsolvable
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


def solve(question: Question, engine: Engine, shelf: Shelf, *, bounds: tuple[Requirement, ...]) -> Solved | Unsolved:
    """Answer for one target; ``bounds`` are the requirements and constraints that the user wrote."""
    return _Search(question=question, engine=engine, shelf=shelf, bounds=bounds).run()


@dataclass(kw_only=True, slots=True)
class _Search:
    """The state of one target's search: the question as it is now, and what was found missing."""

    question: Question
    engine: Engine
    shelf: Shelf
    bounds: tuple[Requirement, ...]
    missing: dict[NormalizedName, Missing] = field(default_factory=dict)

    def run(self) -> Solved | Unsolved:
        for _ in range(MOST_ROUNDS):
            answer = self.engine.answer(self.question)
            if isinstance(answer, Unsolvable):
                if self._leave_out(self._suspects(answer)):
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
        self.missing[project] = Missing(project=project, target=self.question.target, nearest=self._nearest(project))
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
