"""The four things that the far side does with a bundle, each as one call that returns a report.

A report is a JSON document, the same in each release of this format; :func:`render` says it in words. The command line in the bundle and
the one of the connected side call these functions and nothing else.
"""

import os
import tempfile
from typing import Any, Dict, Iterable, List, Optional, Sequence

from .bundle import VerifiedBundle, open_bundle, verify
from .host import choose_target, choose_targets, this_host
from .install import install
from .layout import REQUIREMENTS, lock_entry
from .manifest import Manifest
from .memory import read_memory, remembering
from .policy import read_trust
from .progress import Progress
from .source import Source
from .staging import staging
from .unpack import extract, unpack

Report = Dict[str, Any]

CHECKS = {
    1: "the file is built like a bundle",
    2: "enough trusted keys signed the manifest",
    3: "the manifest is well-formed and names what reads it",
    4: "channel, audience, sequence and not-after are acceptable here",
    5: "the payload has the signed size",
    6: "each chunk of the payload has the signed digest",
    7: "each wheel and each other file has the signed size and digest",
    8: "each wheel obeys the wheel specification",
    9: "this host fits the target",
}
"""FORMAT.md, section 8."""

SELF_VOUCHING = (
    "This ran code that lies inside the file itself, and code inside an unverified file cannot vouch for it. "
    "Where that matters, verify with a wheelhouse that came by another path, or check the signature with ssh-keygen -Y verify."
)


def run_inspect(path: str, *, volumes: Sequence[str] = ()) -> Report:
    """What the bundle at ``path`` says of itself; nothing is verified. Raises what ``open_bundle`` raises.

    ``volumes``, here and below: where further volumes lie, see :func:`~volumes.open_source`.
    """
    bundle = open_bundle(path, volumes)
    manifest = bundle.manifest
    report = _report("inspect", bundle.file, bundle.digest, manifest)
    report["verified"] = False
    report["signatures"] = list(bundle.claims)
    report["targets"] = [
        {
            "name": target.name,
            "floor": target.platforms[0],
            "distributions": sum(target.name in each.targets for each in manifest.distributions),
            "pip": target.pip,
        }
        for target in manifest.targets
    ]
    report["distributions"] = [
        {
            "filename": each.filename,
            "project": each.project,
            "version": each.version,
            "size": each.size,
            "sha256": each.sha256,
            "targets": list(each.targets),
            "bootstrap": each.bootstrap,
        }
        for each in manifest.distributions
    ]
    return report


def run_verify(
    path: str,
    trust: Optional[str],
    *,
    state: Optional[str] = None,
    volumes: Sequence[str] = (),
    deep: bool = False,
    progress: Optional[Progress] = None,
) -> Report:
    """Checks 1 to 6, and with ``deep`` 7 and 8 for every target, in a private directory that goes away again.

    ``trust`` is the path of a trust store, ``state`` that of the state file, which is only read; None: this host's own.
    Raises the errors of the checks.
    """
    with verify(path, read_trust(trust), progress, memory=read_memory(state), volumes=volumes) as bundle:
        if deep:
            with staging(tempfile.gettempdir()) as scratch:
                extract(bundle, os.path.join(scratch, "tree"), scratch, bundle.manifest.targets, progress)
        return _verified_report("verify", bundle, 8 if deep else 6)


def run_unpack(
    path: str,
    directory: str,
    trust: Optional[str],
    *,
    state: Optional[str] = None,
    allow_rollback: str = "",
    volumes: Sequence[str] = (),
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
        with remembering(memory, bundle.manifest, bundle.digest, store.policy):
            unpacked = unpack(bundle, directory, chosen, progress, exact=exact)
        report = _verified_report("unpack", bundle, 8 if targets else 9)
    report["directory"] = unpacked.directory
    report["targets"] = list(unpacked.targets)
    report["wheels"] = {"count": unpacked.wheels, "size": unpacked.size}
    report["content_identical"] = list(unpacked.rewritten)
    return report


def run_install(
    path: str,
    venv: str,
    trust: Optional[str],
    *,
    state: Optional[str] = None,
    allow_rollback: str = "",
    volumes: Sequence[str] = (),
    target: Optional[str] = None,
    exact: bool = False,
    progress: Optional[Progress] = None,
) -> Report:
    """Install ``target`` (by default the one that fits this host best) into the new virtual environment ``venv``.

    ``state``, ``allow_rollback`` and ``exact`` as in :func:`run_unpack`.
    Raises the errors of the checks, AlreadyThere, EnvironmentFailure, InstallError; then there is no environment.
    """
    host = this_host()
    store, memory = read_trust(trust), read_memory(state, allow_rollback=allow_rollback)
    with verify(path, store, memory=memory, volumes=volumes, payload=False) as bundle:
        chosen = choose_target(bundle.manifest, host, target)
        with remembering(memory, bundle.manifest, bundle.digest, store.policy):
            installed = install(bundle, venv, chosen, host, progress, exact=exact)
        report = _verified_report("install", bundle, 9)
    report["venv"] = installed.venv
    report["python"] = installed.python
    report["target"] = installed.target
    report["distributions"] = installed.distributions
    report["pip"] = installed.pip
    report["content_identical"] = list(installed.rewritten)
    return report


def render(report: Report) -> str:
    """A report in words."""
    say = {"inspect": _say_inspect, "verify": _say_verify, "unpack": _say_unpack, "install": _say_install}[report["command"]]
    return "\n".join(say(report) + _excused(report["excused"])) + "\n"


# Reports


def _report(command: str, file: Source, digest: str, manifest: Manifest) -> Report:
    projects = {each.filename: each.project for each in manifest.distributions}
    return {
        "command": command,
        "bundle": {
            "path": file.path,
            "volumes": file.volumes(),
            "name": manifest.name,
            "version": manifest.version,
            "digest": "sha256:" + digest,
            "as_of": manifest.as_of,
            "channel": manifest.policy.channel,
            "sequence": manifest.policy.sequence,
            "audience": list(manifest.policy.audience),
            "not_after": manifest.policy.not_after,
            "mode": manifest.mode,
            "size": file.size,
            "targets": [target.name for target in manifest.targets],
            "distributions": len(manifest.distributions),
            "wheels_size": sum(each.size for each in manifest.distributions),
        },
        "excused": [
            {"project": projects[each.filename], "filename": each.filename, "reason": each.reason, "problems": list(each.problems)}
            for each in manifest.excused
        ],
    }


def _verified_report(command: str, bundle: VerifiedBundle, last_check: int) -> Report:
    report = _report(command, bundle.file, bundle.digest, bundle.manifest)
    report["verified"] = True
    report["signers"] = [{"principal": each.principal, "fingerprint": each.fingerprint} for each in bundle.signers]
    report["checks"] = [{"number": number, "passed": CHECKS[number]} for number in range(1, last_check + 1)]
    return report


# Words


def _say_inspect(report: Report) -> List[str]:
    lines = [_title(report) + ": NOT VERIFIED. This is what the file says of itself.", ""]
    lines += _facts(report, [("keys named", ", ".join(report["signatures"]) or "none")])
    lines += ["", "targets"]
    lines += ["  %-40s %4d distributions, %s" % (each["name"], each["distributions"], each["pip"]) for each in report["targets"]]
    lines += ["", "distributions"]
    lines += ["  %-64s %12s" % (each["filename"], _size(each["size"])) for each in report["distributions"]]
    return lines


def _say_verify(report: Report) -> List[str]:
    lines = [_title(report) + ": verified.", ""]
    lines += _facts(report, _signed_by(report))
    lines += ["", "checks that passed"]
    return lines + ["  %d  %s" % (each["number"], each["passed"]) for each in report["checks"]]


def _say_unpack(report: Report) -> List[str]:
    wheels = report["wheels"]
    lines = ["%s: verified, %d wheels (%s) unpacked." % (_title(report), wheels["count"], _size(wheels["size"])), ""]
    lines += _facts(report, _signed_by(report))
    lines += ["  %-12s %s" % ("directory", report["directory"]), *_rewritten(report["content_identical"]), "", "next"]
    return lines + ["  " + _pip_command(report["directory"], target) for target in report["targets"]]


def _say_install(report: Report) -> List[str]:
    lines = ["%s: verified, %d distributions installed." % (_title(report), report["distributions"]), ""]
    lines += _facts(report, _signed_by(report))
    lines += ["  %-12s %s" % ("target", report["target"]), "  %-12s %s" % ("environment", report["venv"])]
    lines += [*_rewritten(report["content_identical"]), "", "next"]
    return [*lines, "  " + report["python"]]


def _title(report: Report) -> str:
    return "%s %s" % (report["bundle"]["name"], report["bundle"]["version"])


def _facts(report: Report, more: Iterable[Sequence[str]]) -> List[str]:
    bundle = report["bundle"]
    facts = [
        ("digest", bundle["digest"]),
        *more,
        *_volumes(bundle["volumes"]),
        ("as of", bundle["as_of"] or "not known"),
        *_terms(bundle),
        ("size", "%s, of %s of wheels (%s)" % (_size(bundle["size"]), _size(bundle["wheels_size"]), bundle["mode"])),
        ("holds", "%d distributions for %s" % (bundle["distributions"], ", ".join(bundle["targets"]))),
    ]
    return ["  %-12s %s" % (name, value) for name, value in facts]


def _volumes(volumes: Optional[Dict[str, Any]]) -> List[Sequence[str]]:
    if volumes is None:
        return []
    recovered = ", ".join(volumes["recovered"])
    return [("volumes", "%d%s" % (volumes["count"], ", of which recovery volumes replace " + recovered if recovered else ""))]


def _terms(bundle: Report) -> List[Sequence[str]]:
    """What the signer binds the bundle to, as far as it is bound."""
    sequence = "" if bundle["sequence"] is None else ", sequence %d" % bundle["sequence"]
    terms = [
        ("channel", (bundle["channel"] or "") + sequence),
        ("audience", ", ".join(bundle["audience"])),
        ("not after", bundle["not_after"]),
    ]
    return [(name, value) for name, value in terms if value]


def _excused(excused: Sequence[Report]) -> List[str]:
    lines = ["", "excused: wheels that break the rules and that the signer answers for"] if excused else []
    for each in excused:
        lines += ["  %s: %s" % (each["filename"], each["reason"])] + ["    %s" % problem for problem in each["problems"]]
    return lines


def _rewritten(filenames: Sequence[str]) -> List[str]:
    """What to say of wheels whose bytes are not the signed ones."""
    if not filenames:
        return []
    told = "The zlib of this Python is not stock zlib. These wheels have the signed content in another container (--exact refuses that);"
    return ["", told, "the locks have their digests. All others are byte for byte the signed ones."] + ["  " + name for name in filenames]


def _signed_by(report: Report) -> List[Sequence[str]]:
    return [("signed by", "%s (%s)" % (each["principal"], each["fingerprint"])) for each in report["signers"]]


def _pip_command(directory: str, target: str) -> str:
    requirements = os.path.join(directory, *lock_entry(target, REQUIREMENTS).split("/"))
    return "pip install --no-index --find-links %s --require-hashes -r %s" % (os.path.join(directory, "wheels"), requirements)


def _size(size: int) -> str:
    """Bytes for people, in powers of ten as media are sold."""
    if size < 1000:
        return "%d B" % size
    amount, units = size / 1000.0, ["kB", "MB", "GB", "TB"]
    while amount >= 999.95 and len(units) > 1:
        amount, units = amount / 1000.0, units[1:]
    return "%.1f %s" % (amount, units[0])
