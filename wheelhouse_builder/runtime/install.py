"""Install: an environment that holds one target's distributions and nothing else, or no change at all.

1. Alone at the place; what a killed run left there is mended.
2. If the environment there is the one that is wanted, and whole, nothing is done.
3. A new one is built beside it, in a private directory, by an engine.
4. The audit: each file is what was signed, and nothing else is there.
5. The trial: its requirements are met, its top-level modules are imported, the bundle's own commands are run.
6. The receipt is written into it, and everything to the disk.
7. One step switches it in.

What fails on the way, and who kills it, leaves the old environment or the new one, whole. Where the environment was there and is not ours
alone, the last step is many: see :mod:`merge`.
"""

import contextlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .audit import Recorded, Tree, audit, damage, look_over, tree_of
from .bases import Bases
from .beside import place_files
from .bundle import VerifiedBundle
from .cores import beside
from .direct import install_directly
from .elsewhere import Interpreter
from .engine import Engine, Installation, Job, pip_version
from .environment import make_environment, paths_of
from .errors import AlreadyThere, InstallError
from .host import Host
from .locking import alone
from .manifest import ManifestTarget
from .merge import carry_out, conclude, plan, undo
from .pip_engine import install_with_host_pip, install_with_pip, require_fit
from .places import Place, current_release, point, prepared, problems_at, superfluous, take_away, tidy
from .progress import NoProgress, Progress, TimedProgress
from .receipt import FILENAME, Receipt, is_of, make_receipt, read_receipt, write_receipt
from .signed_receipt import SIGNATURE, ReceiptKey, signature_in, signed
from .sshsig import fingerprint
from .staging import disk_failures, require_space, staging
from .switch import OLD, Folder, opened, switch
from .trial import import_all, run_commands
from .unpack import distributions_for

ENGINES: Dict[str, Engine] = {"pip": install_with_pip, "host-pip": install_with_host_pip, "direct": install_directly}
"""By the name that ``--engine`` gives them."""
DEFAULT_ENGINE = "pip"
COPIES = 3
"""As much room as the wheels take this many times: as they travel, as they are installed, and what is replaced."""
UNREAD = (6, 7, 8)
"""The checks that read the payload: where nothing is installed, they are not made."""
MOST_TOLD = 5
"""Files that are named when an environment was changed."""


class Order(NamedTuple):
    """What is to be installed, where, and how."""

    bundle: VerifiedBundle
    target: ManifestTarget
    """It fits ``host``."""
    host: Host
    """The interpreter from which the environment is made."""
    place: Place
    engine: str = DEFAULT_ENGINE
    """One of :data:`ENGINES`."""
    compile: bool = True
    imports: bool = True
    """Whether the trial imports modules."""
    exact: bool = False
    """As in :func:`unpack.unpack`, and so are the bases."""
    bases: Optional[Bases] = None
    keep: Optional[int] = None
    """How many releases stay below a prefix; None: all."""
    receipt_key: Optional[ReceiptKey] = None
    """What signs the receipt; None: nothing does."""


class Installed(NamedTuple):
    """What is there now."""

    receipt: Receipt
    changed: bool
    """False: it was there already, whole and in use."""
    repaired: Tuple[str, ...] = ()
    """What was mended first, sentence by sentence."""
    replaced: Optional[str] = None
    """Name and version of the bundle that was there before."""
    pip: str = ""
    """Version of pip that is in the environment."""
    rewritten: Tuple[str, ...] = ()
    """File names of the wheels whose content was the signed one and whose bytes were not: see :mod:`rewrite`."""
    removed: Tuple[str, ...] = ()
    """Names of releases that were taken away."""
    seconds: Optional[Dict[str, float]] = None
    """What each step took."""
    unmade: Tuple[int, ...] = ()
    """Checks that were not made; all others were passed."""
    signed_by: Optional[str] = None
    """Fingerprint of the key that signed the receipt."""


def install(order: Order, progress: Optional[Progress] = None) -> Installed:
    """Carry out ``order``.

    Raises AlreadyThere when something that is no installation of ours is in the place, BundleRefused, EnvironmentFailure, InstallError;
    then nothing was changed.
    """
    timed = TimedProgress(progress or NoProgress())
    place = order.place
    with _ordinary_umask(), disk_failures(place.parent), prepared(place), alone(place.lock, timed), opened(place.parent) as parent:
        done = tidy(parent, place)
        found = standing(parent, place)
        problems = problems_of(order, found)
        if found and not problems:
            return _already_there(order, parent, found, done)._replace(signed_by=_signer(place))
        if found and is_of(found, order.bundle, order.target.name):
            done += ["%s is installed anew: %s" % (place.final, problem) for problem in problems[:MOST_TOLD]]
        installed = _install(order, parent, found, timed)
    return installed._replace(repaired=tuple(done), seconds=timed.seconds, signed_by=_signer(place))


def _signer(place: Place) -> Optional[str]:
    signature = signature_in(place.final)
    return fingerprint(signature.public_key) if signature else None


def standing(parent: Folder, place: Place) -> Optional[Receipt]:
    """The receipt of the environment that is in the place; None: it is free. Raises AlreadyThere when something else is there."""
    if place.python:
        return read_receipt(place.final)
    if parent.status(place.name) is None:
        return None
    receipt = read_receipt(place.final) if parent.is_directory(place.name) else None
    if receipt is None and (not parent.is_directory(place.name) or os.listdir(place.final)):
        raise AlreadyThere(
            "%s is there already, and is no installation of ours." % place.final,
            hint="Name a directory that does not exist yet, is empty, or was made by `install`. Nothing was changed.",
        )
    return receipt


def problems_of(order: Order, found: Optional[Receipt]) -> List[str]:
    """Why what is there is not what is wanted; empty when it is."""
    if found is None or not is_of(found, order.bundle, order.target.name):
        return ["another bundle, or another target, is there."]
    if found["environment"] != order.place.final:
        return ["it was made for %s." % found["environment"]]
    return problems_at(order.place.final, found, shared=order.place.python is not None)


def _already_there(order: Order, parent: Folder, found: Receipt, done: Sequence[str]) -> Installed:
    """Nothing but to put a release into use, and old ones out of the way."""
    place = order.place
    if order.receipt_key and signature_in(place.final) is None:
        _sign_standing(order.receipt_key, place, parent)
    before = current_release(place.prefix) if place.prefix else place.name
    if place.prefix and before != place.name:
        point(place.prefix, place.name)
    removed: Tuple[str, ...] = ()
    if place.prefix and order.keep is not None and superfluous(place.prefix, order.keep):
        with staging(parent.path, place.mark) as scratch, opened(scratch, parent) as private:
            removed = _collect(order, parent, private)
    pip = next((each["version"] for each in found["distributions"] if each["project"] == "pip"), "")
    replaced = before if before != place.name else None
    changed = before != place.name
    return Installed(found, changed=changed, repaired=tuple(done), replaced=replaced, pip=pip, removed=removed, unmade=UNREAD)


def _sign_standing(key: ReceiptKey, place: Place, parent: Folder) -> None:
    """Sign the receipt of what is there already, and was found whole."""
    with staging(parent.path, place.mark) as scratch, opened(scratch, parent) as private, opened(place.final) as environment:
        with open(os.path.join(place.final, FILENAME), "rb") as file:
            private.write(SIGNATURE, signed(file.read(), key, scratch))
        private.rename(SIGNATURE, environment, SIGNATURE)
        environment.sync()


def _install(order: Order, parent: Folder, found: Optional[Receipt], progress: TimedProgress) -> Installed:
    place, manifest = order.place, order.bundle.manifest
    require_space(parent.path, COPIES * sum(each.size for each in distributions_for(manifest, [order.target])))
    used = current_release(place.prefix) if place.prefix else None
    with staging(parent.path, place.mark) as scratch, _temporary(scratch), opened(scratch, parent) as private:
        job = _prepare(order, scratch, progress)
        with opened(job.environment, private) as root:
            known = look_over(root)
            done = ENGINES[order.engine](job)
            placed = place_files(job, root)
            known.update(tree_of(placed))
            with beside(private.sync_at_once):
                records = _prove(order, job, done, root, known)
            kept = _shared(done) if place.python else done
            receipt = make_receipt(job, kept, order.engine, records, placed, used if used != place.name else None)
            content = write_receipt(root, receipt)
            if order.receipt_key:
                root.write(SIGNATURE, signed(content, order.receipt_key, scratch))
        with progress.step("writing to the disk"):
            private.sync_all()
        if place.python:
            _merge(place.python, job, receipt, found, private, parent)
        else:
            _switch(place, private, parent)
        removed = _collect(order, parent, private)
    replaced = "%s %s" % (found["bundle"]["name"], found["bundle"]["version"]) if found else used
    pip = pip_version(done.distributions, order.target)
    unmade = (7,) if done.unmeasured else ()
    return Installed(receipt, changed=True, replaced=replaced, pip=pip, rewritten=done.rewritten, removed=removed, unmade=unmade)


def _prepare(order: Order, scratch: str, progress: TimedProgress) -> Job:
    """An empty environment beside the place."""
    place = order.place
    environment = os.path.join(scratch, place.name)
    with progress.step("making the environment"):
        python = make_environment(order.host, environment, place.final, scratch)
    return Job(
        bundle=order.bundle,
        target=order.target,
        host=order.host,
        environment=environment,
        python=python,
        final=place.final,
        executable=place.executable,
        paths=paths_of(python, scratch),
        scratch=scratch,
        progress=progress,
        exact=order.exact,
        bases=order.bases,
        compile=order.compile,
    )


def _prove(order: Order, job: Job, done: Installation, root: Folder, known: Tree) -> Dict[str, Recorded]:
    """Audit the environment, then try it out; the installed RECORD of each wheel."""
    with job.progress.step("auditing"):
        problems, records = audit(job, done, root, known)
    if problems:
        raise _not_as_signed(problems)
    _try_out(order, job, done)
    return records


def _try_out(order: Order, job: Job, done: Installation) -> None:
    """Have pip look over the environment while the interpreter imports what there is; then run the bundle's commands."""
    with job.progress.step("trying it out"), ThreadPoolExecutor(1) as thread:
        fit = thread.submit(require_fit, job)
        problems = import_all(job, done) if order.imports else []
        fit.result()
    if problems:
        raise InstallError(*problems, hint="Nothing was changed. If you know why they need not be imported: --no-imports.")
    if order.bundle.manifest.smoke:
        with job.progress.step("running the bundle's commands"):
            run_commands(job, order.bundle.manifest.smoke)


def _switch(place: Place, private: Folder, parent: Folder) -> None:
    """Switch the environment in; a release is taken out again when ``current`` cannot be led to it."""
    switch(private, place.name, parent, place.name)
    if place.prefix is None:
        return
    try:
        point(place.prefix, place.name)
    except BaseException:
        if current_release(place.prefix) != place.name:
            parent.rename(place.name, private, place.name)
            if private.status(OLD + place.name) is not None:
                private.rename(OLD + place.name, parent, place.name)
        raise


def _shared(done: Installation) -> Installation:
    """Without the pip that is carried for ourselves: an environment that was there has its own, or does without."""
    return done._replace(distributions=tuple(each for each in done.distributions if not each.bootstrap))


def _merge(python: Interpreter, job: Job, receipt: Receipt, found: Optional[Receipt], private: Folder, target: Folder) -> None:
    """Bring what was built into the environment of ``python``, or nothing of it."""
    layouts = [
        {
            scheme: os.path.relpath(os.path.realpath(paths[scheme]), os.path.realpath(root))
            for scheme in ("purelib", "platlib", "scripts", "data")
        }
        for paths, root in ((job.paths, job.environment), (python.paths, python.prefix))
    ]
    if layouts[0] != layouts[1]:
        raise InstallError(
            "%s has its files elsewhere than a virtual environment has." % python.host.executable,
            hint="Nothing was changed. Install with --venv or --prefix.",
        )
    same = found is not None and found["bundle"]["name"] == receipt["bundle"]["name"]
    earlier = [each["project"] for each in found["distributions"]] if found and same else []
    with opened(job.environment, private) as staged:
        moves = plan(target, staged, receipt, earlier, layouts[0]["purelib"].replace(os.sep, "/"))
    try:
        carry_out(moves, private, target)
        _require_undamaged(target, receipt)
        conclude(moves, private, target)
    except BaseException:
        undo(private.path, target.path)
        raise


def _collect(order: Order, parent: Folder, private: Folder) -> Tuple[str, ...]:
    """Take away the releases that need not be kept."""
    if order.place.prefix is None or order.keep is None:
        return ()
    old = superfluous(order.place.prefix, order.keep)
    for each in old:
        take_away(each, parent, private)
    return tuple(each.name for each in old)


def _require_undamaged(target: Folder, receipt: Receipt) -> None:
    problems = damage(target, receipt)
    if problems:
        raise _not_as_signed(problems)


def _not_as_signed(problems: Sequence[str]) -> InstallError:
    return InstallError(
        "What was installed is not what was signed:",
        *["  " + problem for problem in problems[:20]],
        *["  … and %d more" % (len(problems) - 20)] if len(problems) > 20 else [],
        hint="Nothing was changed. Either somebody else writes beside the destination, or this is a defect in wheelhouse.",
    )


@contextlib.contextmanager
def _ordinary_umask() -> Iterator[None]:
    """Others may read what is installed, and nobody but us may write it, whatever this process was started with."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def _temporary(scratch: str) -> Iterator[None]:
    """Our own temporary files go to the private directory: /tmp may be full, read-only, or anybody's."""
    before, tempfile.tempdir = tempfile.tempdir, os.path.join(scratch, "tmp")
    os.mkdir(tempfile.tempdir, 0o700)
    try:
        yield
    finally:
        tempfile.tempdir = before
