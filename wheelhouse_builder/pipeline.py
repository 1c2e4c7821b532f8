"""The connected side on one page: resolve → fetch → attest → build → rehearse → pack.

Locks that lie beside the spec were reviewed, so a bundle is made of exactly these. When they do not answer the spec any more, or one is
missing, the bundle is refused until ``wheelhouse lock`` has been run again. Where there is none at all, the targets are resolved on
the spot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from wheelhouse_builder.adapters.bytecode import compile_bytecode
from wheelhouse_builder.adapters.index import IndexClient, Login, login_from_environment
from wheelhouse_builder.adapters.keys import Signer
from wheelhouse_builder.adapters.notary import Notary
from wheelhouse_builder.adapters.places import Place, Root
from wheelhouse_builder.adapters.process import Processes
from wheelhouse_builder.adapters.router import Several
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.attest import attest, attest_sdists
from wheelhouse_builder.build import Built, Made, build
from wheelhouse_builder.errors import NoWheelError, SpecError, UsageError
from wheelhouse_builder.fetch import Fetched, fetch
from wheelhouse_builder.model.changes import Changes, changes
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.pack import Base, Contents, Memory, Packed, pack
from wheelhouse_builder.pack.lockpackage import is_lock_package, with_lock_package
from wheelhouse_builder.recipe import Cookbook
from wheelhouse_builder.rehearse import Rehearsed, rehearse, rehearse_by_running, with_overridden
from wheelhouse_builder.repair import Auditor
from wheelhouse_builder.reporter import Reporter
from wheelhouse_builder.resolve import Requirements, lock_filename, places_of, read_lock, resolve, restore, write_lock
from wheelhouse_builder.resolve.catalogue import lacking_lines, resolve_catalogue, without
from wheelhouse_builder.resolve.stock import nearest_release
from wheelhouse_builder.spec import Index, Spec

LOCK_AGAIN = "run `wheelhouse lock`, review what changes, then try again"


@dataclass(frozen=True, kw_only=True, slots=True)
class NewLock:
    """A lock as the spec asks for it now."""

    lock: Lock
    path: Path
    """Where it belongs: beside the spec."""
    previous: Lock | None
    """What lay there before."""

    @property
    def changes(self) -> Changes:
        """Against what lay there before."""
        return changes(self.previous.pylock if self.previous else None, self.lock.pylock)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A bundle that was made, and what it was made of."""

    packed: Packed
    locks: tuple[Lock, ...]
    """One for each target, in the spec's order."""
    wheels: tuple[Wheel, ...]
    """All that the locks name, sorted by file name."""
    made: tuple[Made, ...] = ()
    """The wheels that were built, by target."""
    bytecode: frozenset[str] = frozenset()
    """Of which interpreters, as ``cp312``, bytecode is carried."""
    rehearsed: tuple[Rehearsed, ...] = ()
    """What became of each target that was to be run; empty when none was."""


def make_locks(
    spec: Spec, *, store: Store, reporter: Reporter, upgrade: bool = False, upgraded: Collection[NormalizedName] = ()
) -> tuple[NewLock, ...]:
    """Resolve each target of ``spec``; when all have an answer, write their locks beside it.

    Versions of earlier locks stay where they still fit, except those of ``upgraded`` projects; with ``upgrade``, of all.
    Raises UsageError for a project that no lock holds, SpecError, ResolutionError, NoWheelError, IndexFailure, EnvironmentFailure.
    """
    previous = _locks_beside(spec)
    if spec.keep is not None and upgraded:
        raise UsageError("a catalogue holds the newest releases of all its projects", hint="use --upgrade alone, or constrain the others")
    kept = {} if upgrade else {name: _without(lock, upgraded) for name, lock in previous.items()}
    _refuse_unknown(upgraded, previous.values())
    locks = _resolved_anew(spec, store, reporter, kept)
    new = tuple(_new(spec, lock, previous) for lock in locks)
    for each in new:
        if each.previous != each.lock:
            write_lock(each.lock, each.path)
    return new


def check_locks(spec: Spec, *, store: Store, reporter: Reporter) -> tuple[NewLock, ...]:
    """The locks beside ``spec``, if they are what it asks for; nothing is written.

    Raises SpecError, with what would change, when they are not, and what the stages raise.
    """
    previous = _locks_beside(spec)
    new = tuple(_new(spec, lock, previous) for lock in _resolved_anew(spec, store, reporter, previous))
    stale = [f"{each.path.name}: {problem}" for each in new if each.previous != each.lock for problem in _stale(each)]
    if stale:
        raise SpecError(*stale, hint=LOCK_AGAIN)
    return new


def reviewed_locks(spec: Spec) -> tuple[Lock, ...]:
    """The locks beside ``spec``; none if there is not a single one.

    Raises SpecError when some are missing or answer another question than the spec asks now.
    """
    requirements = Requirements.of(spec)
    beside = _locks_beside(spec)
    stale = [
        f"{spec.folder / lock_filename(target, keep=spec.keep)}: "
        + ("answers another question than the spec asks now" if target.name in beside else "is missing")
        for target in spec.targets
        if target.name not in beside or beside[target.name].inputs != requirements.digest(target)
    ]
    if beside and stale:
        raise SpecError(*stale, hint=LOCK_AGAIN)
    return tuple(beside[target.name] for target in spec.targets) if beside else ()


def make_bundle(
    spec: Spec,
    output: Path,
    *,
    signers: Sequence[Signer],
    store: Store,
    reporter: Reporter,
    places: Sequence[Place] = (),
    plain: bool = False,
    effort: str = "balanced",
    base: Base | None = None,
    strict: bool = False,
    tested: bool = True,
    lock_package: bool = False,
) -> Report:
    """Make the bundle of ``spec`` at ``output``, signed by each of ``signers``; of what ``base`` holds nothing travels.

    It is rehearsed by running, too, where there are ``places`` for that: each target in the first that can. With ``strict``, a catalogue
    that lacks something is refused: NoWheelError. Wheels that are built here are ``tested`` as their recipes say. Raises what the stages
    raise; then nothing was written, but what was fetched and built stays in ``store``. ``lock_package``: with a package of pins.
    """
    locks = reviewed_locks(spec)
    notary = Notary() if spec.attestations.asked else None
    with IndexClient(logins=_logins(spec.indexes)) as client:
        cookbook = Cookbook.of(spec.recipes)
        fetched = Fetched(store=store, client=client, reporter=reporter, excused=spec.excused)
        locks = locks or _resolved(spec, fetched, cookbook)
        if strict:
            _refuse_lacking(locks)
        offers = Several(client, places_of(spec.indexes))
        wheels = _attested(spec, fetched, locks, offers, notary)
        roots = {place.target: place.root for place in places if isinstance(place, Root)}
        built = _built(spec, fetched, cookbook, locks, wheels, roots if tested else None)
        wheels = built.wheels
        locks = tuple(with_overridden(lock, wheels) for lock in built.locks)
        wheels = Auditor(root=store.root, reporter=reporter, excused=spec.excused).audit(locks, wheels)
        if lock_package:
            locks, wheels = with_lock_package(spec.name, spec.version, locks, wheels, store)
        bytecode = compile_bytecode(locks, wheels, runner=Processes(), reporter=reporter) if spec.bytecode else {}
        contents = Contents.gather(
            name=spec.name,
            version=spec.version,
            locks=locks,
            wheels=wheels,
            policy=spec.policy,
            extras=spec.extras,
            bytecode=bytecode,
        )
        if base and not plain:
            base = _with_wheels(base, contents, fetched)
        reporter.note(f"asked of indexes: {client.requests} times")
        rehearse(locks, wheels, nearest=partial(nearest_release, pages=offers, memory=store.root / "requires-python"))
    rehearsed = rehearse_by_running(locks, wheels, places=places, reporter=reporter) if places else ()
    memory = Memory.of(store.root)
    packed = pack(contents, output, signers=signers, plain=plain, base=base, effort=effort, reporter=reporter, memory=memory)
    carried = frozenset(path.split("/")[1] for path in bytecode)
    return Report(
        packed=packed, locks=locks, wheels=tuple(contents.wheels.values()), made=built.made, bytecode=carried, rehearsed=rehearsed
    )


def _attested(spec: Spec, fetched: Fetched, locks: Sequence[Lock], offers: Several, notary: Notary | None) -> Mapping[str, Wheel]:
    """Everything that ``locks`` name, fetched; of wheels, and of what is going to be built, the publishers' attestations are verified."""
    wheels: Mapping[str, Wheel] = fetched.all(chain.from_iterable(lock.files for lock in locks))
    if notary is None:
        return wheels
    client, reporter = fetched.client, fetched.reporter
    sdists = chain.from_iterable(lock.sdists for lock in locks)
    attest_sdists(sdists, spec.attestations, notary=notary, client=client, offers=offers, reporter=reporter)
    return attest(wheels, spec.attestations, notary=notary, client=client, offers=offers, reporter=reporter)


def _with_wheels(base: Base, contents: Contents, fetched: Fetched) -> Base:
    """``base`` with those of its wheels of which ``contents`` have another release: what both share need not travel."""
    changed = (each for each in base.changed(contents) if not is_lock_package(each))
    older = fetch(changed, fetched.store, client=fetched.client, reporter=fetched.reporter, excused=fetched.excused)
    return replace(base, wheels=older)


def _built(
    spec: Spec,
    fetched: Fetched,
    cookbook: Cookbook,
    locks: Sequence[Lock],
    wheels: Mapping[str, Wheel],
    roots: Mapping[str, Path] | None,
) -> Built:
    """What has no wheel, built; tested in ``roots``, by target, or on this host, unless that is None."""
    restore(chain.from_iterable(lock.sdists for lock in locks), spec.folder, fetched.store, Processes())
    return build(
        locks,
        wheels,
        cookbook,
        store=fetched.store,
        client=fetched.client,
        reporter=fetched.reporter,
        tested=roots is not None,
        roots=roots,
        build_roots=spec.build_roots,
    )


def try_recipe(
    requirement: Requirement,
    targets: Sequence[Target],
    cookbook: Cookbook,
    *,
    store: Store,
    reporter: Reporter,
    tested: bool = True,
    roots: Mapping[str, Path] | None = None,
    build_roots: tuple[Path, ...] = (),
) -> Built:
    """Build one project for ``targets`` as a bundle would. Raises what the stages raise."""
    wanted = replace(Requirements.from_texts(str(requirement)), no_binary=frozenset({canonicalize_name(requirement.name)}))
    with IndexClient() as client:
        locks = resolve(wanted, targets, pages=client, cache=store.root, cookbook=cookbook, reporter=reporter)
        wheels = fetch(chain.from_iterable(lock.files for lock in locks), store, client=client, reporter=reporter)
        return build(
            locks, wheels, cookbook, store=store, client=client, reporter=reporter, tested=tested, roots=roots, build_roots=build_roots
        )


def _locks_beside(spec: Spec) -> dict[str, Lock]:
    """The locks that lie beside ``spec``, by target."""
    paths = ((target, spec.folder / lock_filename(target, keep=spec.keep)) for target in spec.targets)
    return {target.name: read_lock(path, target) for target, path in paths if path.exists()}


def _resolved_anew(spec: Spec, store: Store, reporter: Reporter, previous: Mapping[str, Lock]) -> tuple[Lock, ...]:
    with IndexClient(logins=_logins(spec.indexes)) as client:
        fetched = Fetched(store=store, client=client, reporter=reporter, excused=spec.excused)
        return _resolved(spec, fetched, Cookbook.of(spec.recipes), previous)


def _resolved(spec: Spec, fetched: Fetched, cookbook: Cookbook, previous: Mapping[str, Lock] | None = None) -> tuple[Lock, ...]:
    requirements, pages, cache, reporter = Requirements.of(spec), fetched.client, fetched.store.root, fetched.reporter
    previous = previous or {}
    if spec.keep is None:
        return resolve(requirements, spec.targets, pages=pages, cache=cache, previous=previous, cookbook=cookbook, reporter=reporter)
    answered = {name: lock for name, lock in previous.items() if lock.inputs == requirements.digest(lock.target)}
    asked = [target for target in spec.targets if target.name not in answered]
    new = resolve_catalogue(requirements, asked, pages=pages, cache=cache, bring=fetched.good_ones, reporter=reporter)
    refused = Auditor(root=cache, reporter=reporter, excused=spec.excused).refused(new, fetched.wheels)
    new = tuple(without(lock, refused.get(lock.target.name, {})) for lock in new)
    known = answered | {lock.target.name: lock for lock in new}
    return tuple(known[target.name] for target in spec.targets)


def _refuse_lacking(locks: Iterable[Lock]) -> None:
    if lines := lacking_lines(locks):
        raise NoWheelError(*lines, hint="leave these projects out for these targets, or bundle without --strict")


def _new(spec: Spec, lock: Lock, previous: Mapping[str, Lock]) -> NewLock:
    path = spec.folder / lock_filename(lock.target, keep=spec.keep)
    return NewLock(lock=lock, path=path, previous=previous.get(lock.target.name))


def _stale(new: NewLock) -> Iterator[str]:
    """What would change."""
    if new.previous is None:
        yield "is missing"
    else:
        what = new.changes or "its projects stay as they are, but what the spec says of them does not"
        yield f"answers another question than the spec asks now: {what}"
        yield from new.changes.lines()


def _without(lock: Lock, projects: Collection[NormalizedName]) -> Lock:
    """``lock`` without what it says of ``projects``; then it no longer answers its question."""
    if not projects:
        return lock
    kept = [package for package in lock.pylock.packages if package.name not in projects]
    sdists = tuple(sdist for sdist in lock.sdists if sdist.project not in projects)
    return replace(lock, pylock=replace(lock.pylock, packages=kept), sdists=sdists, inputs="")


def _refuse_unknown(projects: Collection[NormalizedName], locks: Iterable[Lock]) -> None:
    known = {package.name for lock in locks for package in lock.pylock.packages}
    if unknown := sorted(set(projects) - known):
        raise UsageError(
            *(f"no lock beside the spec holds {project}{_instead(project, known)}" for project in unknown),
            hint="name projects as the locks do; a new one is added by the requirements",
        )


def _instead(project: str, known: Collection[str]) -> str:
    near = get_close_matches(project, known, n=1)
    return f": did you mean {near[0]}?" if near else ""


def _logins(indexes: Sequence[Index]) -> Mapping[str, Login]:
    """The credentials that the spec names for its indexes. Raises EnvironmentFailure when a variable is not set."""
    return {
        index.url: login_from_environment(index.user_variable, index.password_variable)
        for index in indexes
        if index.password_variable is not None
    }
