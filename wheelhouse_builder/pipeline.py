"""The connected side on one page: resolve → fetch → rehearse → pack.

Locks that lie beside the spec were reviewed, so a bundle is made of exactly these. When they do not answer the spec any more, or one is
missing, the bundle is refused until ``wheelhouse lock`` has been run again. Where there is none at all, the targets are resolved on
the spot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from wheelhouse_builder.adapters.index import IndexClient, Login, login_from_environment
from wheelhouse_builder.adapters.keys import Signer
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.errors import SpecError
from wheelhouse_builder.fetch import fetch
from wheelhouse_builder.model.changes import Changes, changes
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.pack import Contents, Packed, pack
from wheelhouse_builder.rehearse import rehearse
from wheelhouse_builder.reporter import Reporter
from wheelhouse_builder.resolve import Requirements, lock_filename, read_lock, resolve, write_lock
from wheelhouse_builder.spec import Index, Spec


@dataclass(frozen=True, kw_only=True, slots=True)
class NewLock:
    """A lock that was written beside the spec."""

    lock: Lock
    path: Path
    first: bool
    """No lock lay there before."""
    changes: Changes
    """Against the lock that lay there before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A bundle that was made, and what it was made of."""

    packed: Packed
    locks: tuple[Lock, ...]
    """One for each target, in the spec's order."""


def make_locks(spec: Spec, *, store: Store, reporter: Reporter, upgrade: bool = False) -> tuple[NewLock, ...]:
    """Resolve each target of ``spec``; when all have an answer, write their locks beside it.

    Versions of earlier locks stay where they still fit, unless ``upgrade``. Raises SpecError, ResolutionError, NoWheelError, IndexFailure,
    EnvironmentFailure.
    """
    requirements = Requirements.of(spec)
    previous = _locks_beside(spec)
    with IndexClient(logins=_logins(spec.index)) as client:
        locks = resolve(requirements, spec.targets, pages=client, cache=store.root, previous=previous, upgrade=upgrade, reporter=reporter)
    return tuple(_written(lock, spec.folder / lock_filename(lock.target), previous.get(lock.target.name)) for lock in locks)


def reviewed_locks(spec: Spec) -> tuple[Lock, ...]:
    """The locks beside ``spec``; none if there is not a single one.

    Raises SpecError when some are missing or answer another question than the spec asks now.
    """
    requirements = Requirements.of(spec)
    beside = _locks_beside(spec)
    stale = [
        f"{spec.folder / lock_filename(target)}: "
        + ("answers another question than the spec asks now" if target.name in beside else "is missing")
        for target in spec.targets
        if target.name not in beside or beside[target.name].inputs != requirements.digest(target)
    ]
    if beside and stale:
        raise SpecError(*stale, hint="run `wheelhouse lock`, review what changes, then try again")
    return tuple(beside[target.name] for target in spec.targets) if beside else ()


def make_bundle(
    spec: Spec, output: Path, *, signers: Sequence[Signer], store: Store, reporter: Reporter, plain: bool = False, effort: str = "balanced"
) -> Report:
    """Make the bundle of ``spec`` at ``output``, signed by each of ``signers``.

    Raises what the stages raise; then nothing was written, but what was fetched stays in ``store``.
    """
    locks = reviewed_locks(spec)
    with IndexClient(logins=_logins(spec.index)) as client:
        locks = locks or resolve(Requirements.of(spec), spec.targets, pages=client, cache=store.root, reporter=reporter)
        wanted = chain.from_iterable((*lock.wheels, *lock.bootstrap) for lock in locks)
        wheels = fetch(wanted, store, client=client, reporter=reporter, excused=spec.excused)
    rehearse(locks, wheels)
    contents = Contents.gather(name=spec.name, version=spec.version, locks=locks, wheels=wheels, policy=spec.policy)
    packed = pack(contents, output, signers=signers, plain=plain, effort=effort, reporter=reporter)
    return Report(packed=packed, locks=locks)


def _locks_beside(spec: Spec) -> dict[str, Lock]:
    """The locks that lie beside ``spec``, by target."""
    paths = ((target, spec.folder / lock_filename(target)) for target in spec.targets)
    return {target.name: read_lock(path, target) for target, path in paths if path.exists()}


def _written(lock: Lock, path: Path, previous: Lock | None) -> NewLock:
    changed = changes(previous.pylock if previous else None, lock.pylock)
    if previous != lock:
        write_lock(lock, path)
    return NewLock(lock=lock, path=path, first=previous is None, changes=changed)


def _logins(index: Index) -> Mapping[str, Login]:
    """The credentials that the spec names for its index. Raises EnvironmentFailure when a variable is not set."""
    if index.password_variable is None:
        return {}
    return {index.url: login_from_environment(index.user_variable, index.password_variable)}
