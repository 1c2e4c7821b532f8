"""What a host holds: the inventory; and with what the host itself is: the request, which travels out and drives the next delta.

A delta leaves out what is held as files: in bundles that were kept, and in directories of wheels. What is installed is told too, from the
receipts, and counts for nothing there: of installed files nobody can make a wheel again bit for bit.
"""

import os
import re
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .bundle import open_bundle
from .errors import SignatureRefused, UsageError
from .manifest import Manifest
from .measure import measure
from .places import current_release, prefix_with_releases, releases
from .policy import read_trust
from .probe import probe
from .receipt import Receipt, read_receipt
from .report import as_file
from .signed_receipt import signer_of
from .staging import disk_failures, replace_file

INVENTORY, REQUEST, VERSION = "inventory", "request", 1
BUNDLE, WHEEL = ".whb", ".whl"
_SEPARATORS = re.compile(r"[-_.]+")


class Named(NamedTuple):
    """A distribution, as everything here speaks of it."""

    filename: str
    sha256: str
    project: str
    version: str


class Kept(NamedTuple):
    """A bundle that is here as a file."""

    path: str
    digest: str
    manifest: Manifest


def run_inventory(
    prefix: Optional[str] = None,
    venv: Optional[str] = None,
    paths: Sequence[str] = (),
    *,
    request: bool = False,
    trust: Optional[str] = None,
) -> Dict[str, Any]:
    """The document: the releases below ``prefix``, the environment ``venv``, and the bundles and wheels at ``paths``.

    ``paths`` are bundles, volumes, and directories that hold such, or wheels. Nothing is verified but, with ``trust``, the path of a trust
    store, that each receipt is signed by somebody of it: whoever sends a delta to what is not there has it refused inside.
    Raises UsageError for an environment that is none of ours, BundleRefused, EnvironmentFailure, KeyFailure, SignatureRefused.
    """
    environments = _environments(prefix, venv)
    signers = _signers([path for path, _, _ in environments], trust)
    bundles, wheels = _files(paths)
    whole = [each for each in bundles if each.digest in _whole(bundles)]
    receipts = [receipt for _, _, receipt in environments]
    document: Dict[str, Any] = {
        "command": REQUEST if request else INVENTORY,
        "wheelhouse": REQUEST if request else INVENTORY,
        "version": VERSION,
        "environments": [dict(_environment(*each), signed_by=signers.get(each[0])) for each in environments],
        "bundles": [_bundle(each, complete=each in whole) for each in bundles],
        "distributions": _distributions(receipts, whole, wheels),
    }
    return dict(document, probe=probe()) if request else document


def write_inventory(document: Dict[str, Any], path: str) -> Dict[str, Any]:
    """Write the document to the file at ``path``; returns what is to be told of that."""
    with disk_failures(path):
        replace_file(path, as_file(document), 0o644)
    return dict(document, written=path)


# What is installed


def _environments(prefix: Optional[str], venv: Optional[str]) -> List[Tuple[str, bool, Receipt]]:
    """Path, whether it is in use, and receipt of each."""
    found: List[Tuple[str, bool, Receipt]] = []
    if prefix is not None:
        root = prefix_with_releases(prefix)
        used = current_release(root)
        found += [(each.path, each.name == used, each.receipt) for each in releases(root)]
    if venv is not None:
        path = os.path.abspath(venv)
        receipt = read_receipt(path)
        if receipt is None:
            raise UsageError("%s has no receipt." % path, hint="Name a directory that `install` was given.")
        found.append((path, True, receipt))
    return found


def _signers(environments: Iterable[str], trust: Optional[str]) -> Dict[str, Dict[str, str]]:
    """Who signed the receipt of each environment; without ``trust`` nobody is asked."""
    if trust is None:
        return {}
    store, found, problems = read_trust(trust), {}, []
    for path in environments:
        try:
            signer = signer_of(path, store)
        except SignatureRefused as refusal:
            problems += [(problem, refusal.hint) for problem in refusal.problems]
        else:
            found[path] = {"principal": signer.principal, "fingerprint": signer.fingerprint}
    if problems:
        raise SignatureRefused(*[problem for problem, _ in problems], hint=problems[0][1])
    return found


def _environment(path: str, used: bool, receipt: Receipt) -> Dict[str, Any]:  # noqa: FBT001 # of a tuple
    bundle = {key: receipt["bundle"][key] for key in ("name", "version", "digest")}
    return {"path": path, "in_use": used, "bundle": bundle, "target": receipt["target"], "installed": receipt["installed"]}


# What is here as files


def _files(paths: Iterable[str]) -> Tuple[List[Kept], List[Named]]:
    """The bundles and the wheels at ``paths``, each content once."""
    bundles: Dict[str, Kept] = {}
    wheels: Dict[str, Named] = {}
    for path in _walk(paths):
        if path.endswith(WHEEL):
            wheels.setdefault(path, _wheel(path))
        else:
            opened = open_bundle(path)
            bundles.setdefault(opened.digest, Kept(path, "sha256:" + opened.digest, opened.manifest))
    return list(bundles.values()), list(wheels.values())


def _walk(paths: Iterable[str]) -> Iterator[str]:
    """Each bundle and each wheel: the paths themselves, and what lies in directories; a directory of volumes is a bundle."""
    for path in map(os.path.abspath, paths):
        folders = [folder for folder in (path, os.path.join(path, "wheels")) if os.path.isdir(folder)]
        inside = [os.path.join(folder, name) for folder in folders for name in sorted(os.listdir(folder)) if name.endswith((BUNDLE, WHEEL))]
        inside = [each for each in inside if os.path.isfile(each)]  # no pipes, which never end
        if inside or not folders:
            for each in inside or [path]:
                yield each
        else:
            yield path


def _wheel(path: str) -> Named:
    with disk_failures(path), open(path, "rb") as file:
        digest = measure(file).sha256
    filename = os.path.basename(path)
    name, _, rest = filename[: -len(WHEEL)].partition("-")
    return Named(filename, digest, _SEPARATORS.sub("-", name).lower(), rest.partition("-")[0])


def _whole(bundles: Sequence[Kept]) -> List[str]:
    """The digests of those from which all their wheels can be had: of a delta, with its base or what that stands on."""
    whole: List[str] = []
    for _ in bundles:
        whole += [
            each.digest
            for each in bundles
            if each.digest not in whole and (each.manifest.base is None or "sha256:" + each.manifest.base.digest in whole)
        ]
    return whole


def _bundle(bundle: Kept, *, complete: bool) -> Dict[str, Any]:
    manifest = bundle.manifest
    return {"name": manifest.name, "version": manifest.version, "digest": bundle.digest, "path": bundle.path, "complete": complete}


# Both together


def _distributions(receipts: Iterable[Receipt], bundles: Iterable[Kept], wheels: Iterable[Named]) -> List[Dict[str, Any]]:
    """Each distribution once, with where it is held; sorted by file name."""
    found: Dict[Named, Dict[str, Any]] = {}

    def entry(named: Named) -> Dict[str, Any]:
        return found.setdefault(named, dict(named._asdict(), installed=False, bundles=[], wheel=False))

    for receipt in receipts:
        for each in receipt["distributions"]:
            entry(Named(each["filename"], each["sha256"], each["project"], each["version"]))["installed"] = True
    for bundle in bundles:
        for distribution in bundle.manifest.distributions:
            named = Named(distribution.filename, distribution.sha256, distribution.project, distribution.version)
            entry(named)["bundles"].append(bundle.digest)
    for wheel in wheels:
        entry(wheel)["wheel"] = True
    return [found[named] for named in sorted(found)]
