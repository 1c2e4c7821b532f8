"""What the far side does with a bundle, each as one call that returns a report.

The command line in the bundle and the one of the connected side call these functions and nothing else.
"""

import os
import tempfile
from contextlib import closing
from typing import NamedTuple, Optional, Sequence

from .ancestry import require_own
from .bases import Bases
from .bundle import VerifiedBundle, open_bundle, verify
from .compiled import require_compiled
from .elsewhere import Interpreter, ask
from .errors import UsageError
from .foresee import foresee
from .host import choose_target, choose_targets, this_host
from .install import DEFAULT_ENGINE, ENGINES, Order, install
from .manifest import CATALOGUE, Manifest
from .memory import read_memory, remembering
from .places import Place, release_place, shared_place, venv_place
from .policy import read_trust
from .progress import NoProgress, Progress
from .report import Report, inspected, tell_rewritten, verified
from .signed_receipt import receipt_key
from .staging import staging
from .told import tell_foreseen, tell_installed
from .unpack import extract, unpack

SELF_VOUCHING = (
    "This ran code that lies inside the file itself, and code inside an unverified file cannot vouch for it. "
    "Where that matters, verify with a wheelhouse that came by another path, or check the signature with ssh-keygen -Y verify."
)


def run_inspect(path: str, *, volumes: Sequence[str] = ()) -> Report:
    """What the bundle at ``path`` says of itself; nothing is verified. Raises what ``open_bundle`` raises.

    ``volumes``, here and below: where further volumes lie, see :func:`~volumes.open_source`.
    """
    return inspected(open_bundle(path, volumes))


def run_verify(
    path: str,
    trust: Optional[str],
    *,
    state: Optional[str] = None,
    volumes: Sequence[str] = (),
    bases: Sequence[str] = (),
    deep: bool = False,
    progress: Optional[Progress] = None,
) -> Report:
    """Checks 1 to 6, and with ``deep`` 7 and 8 for every target and its bytecode, in a private directory that goes away again.

    ``bases``, here and below: bundles, or directories of wheels, from which a delta takes what it does not hold.
    ``trust`` is the path of a trust store, ``state`` that of the state file, which is only read; None: this host's own.
    Raises the errors of the checks.
    """
    store = read_trust(trust)
    with verify(path, store, progress, memory=read_memory(state), volumes=volumes) as bundle:
        if deep:
            with staging(tempfile.gettempdir()) as scratch, closing(Bases(bases, store)) as held:
                tree = os.path.join(scratch, "tree")
                extract(bundle, tree, scratch, bundle.manifest.targets, progress, exact=True, bases=held)
                require_compiled(bundle, tree, scratch, progress or NoProgress())
        return verified("verify", bundle, 8 if deep else 6)


def run_unpack(
    path: str,
    directory: str,
    trust: Optional[str],
    *,
    state: Optional[str] = None,
    allow_rollback: str = "",
    volumes: Sequence[str] = (),
    bases: Sequence[str] = (),
    targets: Sequence[str] = (),
    exact: bool = False,
    progress: Optional[Progress] = None,
) -> Report:
    """Unpack the ``targets`` (``all`` for every one; by default the one that fits this host best) to ``directory``.

    ``state`` remembers that the bundle was here; ``allow_rollback`` is the reason for which it may be older than one that was.
    ``exact``: refuse where this Python's zlib cannot make the signed bytes again; else the report names such wheels as content-identical.
    Raises the errors of the checks, AlreadyThere, EnvironmentFailure; then nothing was written.
    """
    store, memory = read_trust(trust), read_memory(state, allow_rollback=allow_rollback)
    with verify(path, store, memory=memory, volumes=volumes, payload=False) as bundle:
        chosen = choose_targets(bundle.manifest, this_host(), targets)
        with closing(Bases(bases, store)) as held, remembering(memory, bundle.manifest, bundle.digest, store.policy):
            unpacked = unpack(bundle, directory, chosen, progress, exact=exact, bases=held)
        report = verified("unpack", bundle, 8 if targets else 9)
    report["directory"] = unpacked.directory
    report["targets"] = list(unpacked.targets)
    report["wheels"] = {"count": unpacked.wheels, "size": unpacked.size}
    report["repaired"] = list(unpacked.repaired)
    tell_rewritten(report, unpacked.rewritten)
    return report


def _require_application(manifest: Manifest) -> None:
    if manifest.kind == CATALOGUE:
        raise UsageError(
            "%s %s is a catalogue: its distributions are not meant to be installed together." % (manifest.name, manifest.version),
            hint="Unpack it; then `pip install --no-index --find-links DIRECTORY/wheels PROJECT` installs any of its projects.",
        )


class Destination(NamedTuple):
    """Where to install: one of the three."""

    venv: Optional[str] = None
    """A directory for one environment."""
    prefix: Optional[str] = None
    """A directory for releases side by side."""
    python: Optional[str] = None
    """The interpreter of an environment that is there: no single step, but journalled and undone."""
    keep: Optional[int] = None
    """How many releases stay below the prefix; None: all."""


class Manner(NamedTuple):
    """How to install."""

    target: Optional[str] = None
    """None: the one that fits best."""
    with_python: Optional[str] = None
    """Path of the interpreter to make the environment of; None: the running one."""
    engine: str = DEFAULT_ENGINE
    compile: bool = True
    imports: bool = True
    """Whether each top-level module is imported before the environment is switched in."""
    exact: bool = False
    """As in :func:`run_unpack`."""
    sign_receipt: Optional[str] = None
    """Path of the key that signs the receipt; None: nobody does."""


def run_install(
    path: str,
    destination: Destination,
    trust: Optional[str],
    manner: Optional[Manner] = None,
    *,
    state: Optional[str] = None,
    allow_rollback: str = "",
    volumes: Sequence[str] = (),
    bases: Sequence[str] = (),
    dry_run: bool = False,
    progress: Optional[Progress] = None,
) -> Report:
    """Install a bundle, in place of what an earlier run installed there; if that is the same, nothing is changed.

    ``state`` and ``allow_rollback`` as in :func:`run_unpack`. With ``dry_run`` nothing is changed, and the report says what would be.
    Raises the errors of the checks, AlreadyThere, EnvironmentFailure, InstallError, UsageError; then nothing was changed.
    """
    manner = manner or Manner()
    if manner.engine not in ENGINES:
        raise UsageError("There is no engine %r." % manner.engine, hint="There are: %s." % ", ".join(sorted(ENGINES)))
    store, memory = read_trust(trust), read_memory(state, allow_rollback=allow_rollback)
    with verify(path, store, progress, memory=memory, volumes=volumes, payload=dry_run) as bundle:
        _require_application(bundle.manifest)
        with closing(Bases(bases, store)) as held:
            order = _order(bundle, destination, manner, held)
            report = verified("install", bundle, 9)
            report["exposed"] = require_own(order.place.parent)
            if dry_run:
                tell_foreseen(report, foresee(order), order.place)
                return report
            with remembering(memory, bundle.manifest, bundle.digest, store.policy):
                installed = install(order, progress)
    tell_installed(report, installed, order.place)
    return report


def _order(bundle: VerifiedBundle, destination: Destination, manner: Manner, bases: Bases) -> Order:
    python = _interpreter(destination, manner, bundle)
    host = python.host if python else this_host()
    return Order(
        bundle=bundle,
        target=choose_target(bundle.manifest, host, manner.target),
        host=host,
        place=_place(destination, bundle, python),
        engine=manner.engine,
        compile=manner.compile,
        imports=manner.imports,
        exact=manner.exact,
        bases=bases,
        keep=destination.keep,
        receipt_key=receipt_key(manner.sign_receipt) if manner.sign_receipt else None,
    )


def _interpreter(destination: Destination, manner: Manner, bundle: VerifiedBundle) -> Optional[Interpreter]:
    """The interpreter that was named; None: the running one."""
    if destination.python and manner.with_python:
        raise UsageError("--python names the interpreter already.", hint="Leave --with-python out.")
    named = destination.python or manner.with_python
    return ask(named, bundle) if named else None


def _place(destination: Destination, bundle: VerifiedBundle, python: Optional[Interpreter]) -> Place:
    if len([each for each in (destination.venv, destination.prefix, destination.python) if each is not None]) != 1:
        raise UsageError(
            "Say where to install: --venv DIR, --prefix DIR for releases side by side, or --python EXE.", hint="One of them, no more."
        )
    if destination.keep is not None and (destination.prefix is None or destination.keep < 1):
        raise UsageError("--keep counts releases below --prefix, the one in use too.", hint="Leave it out, or give both, from 1 on.")
    if destination.venv is not None:
        return venv_place(destination.venv)
    if python is not None and destination.python is not None:
        return shared_place(python, bundle.manifest)
    return release_place(str(destination.prefix), bundle.manifest, bundle.digest)
