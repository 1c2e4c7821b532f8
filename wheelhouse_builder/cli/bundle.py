"""``wheelhouse bundle``: the main job, from a spec to one signed file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.filesize import decimal

from wheelhouse_builder.adapters.keys import load_signers
from wheelhouse_builder.adapters.places import Place, Root, ThisHost
from wheelhouse_builder.adapters.process import Processes, Runner
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.adapters.wine import Wine, is_for_windows
from wheelhouse_builder.cli.console import Console
from wheelhouse_builder.cli.lacking import lacking_document, lacking_told
from wheelhouse_builder.cli.made import made_document, made_told
from wheelhouse_builder.cli.options import AsJson, PassphraseFd, Quiet, SigningKey, SpecPath, Verbose, default_key, spec_at
from wheelhouse_builder.cli.passphrase import passphrase_from
from wheelhouse_builder.cli.yanked import yanked_document, yanked_told
from wheelhouse_builder.errors import EnvironmentFailure, UsageError
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.pack import EFFORTS, Packed, read_base
from wheelhouse_builder.pipeline import Report, make_bundle
from wheelhouse_builder.rehearse import Rehearsed
from wheelhouse_builder.runtime.attested import read_attestations
from wheelhouse_builder.spec import Spec, read_spec

EXAMPLES = """
wheelhouse bundle
wheelhouse bundle services/web -o web.whb --key release_ed25519
wheelhouse bundle --plain
wheelhouse bundle --lock-package
wheelhouse bundle --rehearse run
wheelhouse bundle --rehearse run --root debian12=/srv/roots/bookworm
wheelhouse bundle --base acme-web-2026.10.whb
"""

REHEARSALS = ("paper", "run")

Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write it; default: NAME-VERSION.whb here.")]
Plain = Annotated[bool, typer.Option("--plain", help="Carry the wheels as they are: larger, but tar and pip alone can unpack it.")]
BaseBundle = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A bundle, or its manifest.json, that is inside already: make a delta, without what it holds."),
]
LockPackage = Annotated[
    bool,
    typer.Option(
        "--lock-package",
        help="Add a package, NAME-lock, that requires all others in exactly these versions: for a plain index inside.",
    ),
]
EffortName = Annotated[str, typer.Option(metavar="EFFORT", help=f"How hard to compress: {', '.join(EFFORTS)}.")]
Rehearsal = Annotated[
    str,
    typer.Option(
        "--rehearse",
        metavar="HOW",
        help="paper: prove that each target can be installed from the wheels. run: also install them without a network, and import"
        " every module, for each target that a CPython of this host can be.",
    ),
]
Roots = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TARGET=DIR",
        help="With --rehearse run: a system's root directory to run this target in, for whatever machine, or a folder with Windows'"
        " embeddable Python, for wine. May be repeated.",
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Of a catalogue: fail if anything that it asks for cannot be had.")]
Untested = Annotated[bool, typer.Option("--untested", help="Do not run the tests of recipes, where wheels are built.")]


def command(
    spec: SpecPath = Path(),
    *,
    output: Output = None,
    key: SigningKey = None,
    passphrase_fd: PassphraseFd = None,
    plain: Plain = False,
    base: BaseBundle = None,
    lock_package: LockPackage = False,
    effort: EffortName = "balanced",
    how: Rehearsal = "paper",
    root: Roots = None,
    strict: Strict = False,
    untested: Untested = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make the bundle of a spec: one signed file.

    That is: lock, fetch, rehearse each target, pack, sign. Locks beside the spec are taken as they are; where they no longer answer
    the spec, the bundle is refused. Without locks, each target is resolved on the spot. A file that is already there is replaced when
    the new one is complete, not before.

    With --base the bundle is a delta. It holds what the base does not; to unpack or install it, name the base there again.
    """
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    found = read_spec(spec_at(spec))
    key_path = key.expanduser() if key else found.key or default_key()
    signers = load_signers(key_path, passphrase_from(passphrase_fd))
    path = _writable(output or Path(f"{found.name}-{found.version}.whb"))
    held = read_base(base, found.name) if base else None
    places = _places(how, root or (), found)
    if strict and found.keep is None:
        raise UsageError("--strict is for catalogues: a set of which something cannot be had is refused anyway", hint="leave it out")
    report = make_bundle(
        found,
        path,
        signers=signers,
        store=Store(),
        reporter=console,
        places=places,
        plain=plain,
        effort=effort,
        base=held,
        strict=strict,
        tested=not untested,
        lock_package=lock_package,
    )
    console.result(_document(found, report, plain=plain), _told(found, report, key_path))


def _places(how: str, roots: Iterable[str], spec: Spec) -> tuple[Place, ...]:
    """Where to run targets: the roots that were given, then this host."""
    if how not in REHEARSALS:
        raise UsageError(f"--rehearse {how}: it is one of {', '.join(REHEARSALS)}", hint="leave it out to rehearse on paper")
    if how == "paper":
        if roots:
            raise UsageError("--root is for --rehearse run", hint="add that, or leave the root out")
        return ()
    runner = Processes()
    return (*(_root(text, spec, runner) for text in roots), ThisHost(runner))


def _root(text: str, spec: Spec, runner: Runner) -> Place:
    name, _, folder = text.partition("=")
    path = Path(folder).expanduser()
    if not folder or not path.is_dir():
        raise UsageError(f"--root {text}: there is no such folder", hint="write it as debian12=/srv/roots/bookworm")
    known = {target.name for target in spec.targets}
    target = name if name in known else Target.parse(name).name
    if target not in known:
        raise UsageError(f"--root {text}: {target} is no target of the spec", hint=f"it has {', '.join(sorted(known))}")
    return Wine(runner, target=target, folder=path) if is_for_windows(path) else Root(runner, target=target, root=path)


def _writable(path: Path) -> Path:
    """``path``, if a file can come into being there. Raises before any work was done for nothing."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint=f"name the file to write, as in {path / 'NAME-VERSION.whb'}")
    if not path.absolute().parent.is_dir():
        raise EnvironmentFailure(f"{path} cannot be written: there is no folder {path.parent}", hint="make it, or name another with -o")
    if not os.access(path.absolute().parent, os.W_OK):
        raise EnvironmentFailure(f"{path} cannot be written: the folder {path.absolute().parent} is read-only", hint="name another with -o")
    return path


def _document(spec: Spec, report: Report, *, plain: bool) -> dict[str, Any]:
    packed = report.packed
    return {
        "command": "bundle",
        "bundle": {
            "path": str(packed.path),
            "name": spec.name,
            "version": spec.version,
            "digest": f"sha256:{packed.digest}",
            "mode": "plain" if plain else "dense",
            "size": packed.size,
            "distributions": packed.distributions,
            "wheels_size": packed.wheels_size,
            "base": _base(packed),
        },
        "targets": [{"name": lock.target.name, "distributions": len(lock.wheels)} for lock in report.locks],
        "rehearsed": [_rehearsed(each) for each in report.rehearsed],
        "attested": [{"filename": wheel.filename, "publisher": publisher} for wheel, publisher in _attested(report)],
        "yanked": yanked_document(report.locks),
        "lacking": lacking_document(report.locks),
        "built": made_document(report.made),
        "bytecode": sorted(report.bytecode),
        "signed_by": list(packed.fingerprints),
    }


def _attested(report: Report) -> list[tuple[Wheel, str]]:
    """The wheels of which something was attested, and who published them."""
    return [(wheel, read_attestations(wheel.attestations, wheel.sha256).publisher) for wheel in report.wheels if wheel.attestations]


def _attested_told(spec: Spec, report: Report) -> Iterator[str]:
    if spec.attestations.asked:
        found = _attested(report)
        yield f"  attested   {len(found)} of {len(report.wheels)} wheels; `wheelhouse inspect` names the publishers"


def _bytecode_told(spec: Spec, report: Report) -> Iterator[str]:
    """For whom bytecode is carried, and for whom it could not be."""
    if spec.bytecode:
        lacking = [lock.target.name for lock in report.locks if lock.target.interpreter not in report.bytecode]
        none = f"; none for {', '.join(lacking)}, whose Python is not on this host" if lacking else ""
        yield f"  bytecode   of {', '.join(sorted(report.bytecode)) or 'no Python'}{none}"


def _base(packed: Packed) -> dict[str, Any] | None:
    """What a delta needs."""
    base = packed.base
    if base is None:
        return None
    return {"name": base.name, "version": base.version, "digest": f"sha256:{base.digest}", "distributions": len(base.taken)}


def _delta_told(packed: Packed) -> Iterator[str]:
    if base := packed.base:
        brought = packed.distributions - len(base.taken)
        yield f"  delta      brings {brought} distributions; needs {base.name} {base.version}, sha256:{base.digest}"


def _told(spec: Spec, report: Report, key: Path) -> str:
    packed = report.packed
    ratio = f"{packed.size / packed.wheels_size:.0%} of the wheels" if packed.wheels_size else "no wheels"
    trust = key.with_name(f"{key.name}.allowed_signers")
    return "\n".join(
        [
            f"{spec.name} {spec.version}: {packed.distributions} distributions for {packed.targets} targets, packed and signed.",
            "",
            *(f"  {lock.target.name:<36} {len(lock.wheels):>4} distributions" for lock in report.locks),
            *yanked_told(report.locks),
            *lacking_told(report.locks),
            *made_told(report.made),
            *_rehearsal_told(report),
            "",
            f"  wheels     {decimal(packed.wheels_size)}",
            f"  bundle     {decimal(packed.size)} ({ratio})",
            f"  digest     sha256:{packed.digest}",
            *_attested_told(spec, report),
            *_bytecode_told(spec, report),
            *_delta_told(packed),
            *(f"  signed by  {each}" for each in packed.fingerprints),
            "",
            "next",
            f"  wheelhouse verify {packed.path} --trust {trust if trust.is_file() else 'ALLOWED_SIGNERS'}",
            f"  and inside: python3 {packed.path.name} {_used(spec)} --trust ALLOWED_SIGNERS",
        ]
    )


def _used(spec: Spec) -> str:
    return "install --venv DIR" if spec.keep is None else "unpack DIR --target all"


def _rehearsal_told(report: Report) -> Iterator[str]:
    """What was run; nothing where nothing was to be."""
    if report.rehearsed:
        yield ""
    for each in report.rehearsed:
        done = (
            f"installed, and {each.modules - len(each.wanting)} modules imported, with {each.python}"
            if each.python
            else "on paper only: it does not run here"
        )
        yield f"  {each.target:<36} {done}"
        yield from (f"    {wanting}" for wanting in each.wanting)


def _rehearsed(done: Rehearsed) -> dict[str, Any]:
    wanting = [{"project": each.project, "module": each.module, "wants": each.wants} for each in done.wanting]
    return {"target": done.target, "python": done.python, "modules": done.modules, "wanting": wanting}
