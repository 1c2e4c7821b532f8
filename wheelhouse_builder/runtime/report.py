"""What the commands tell: a report is a JSON document, the same in each release of this format; :func:`render` says it in words."""

import json
import os
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence

from .built import ManifestBuilt, Repair
from .bundle import Bundle, VerifiedBundle
from .layout import REQUIREMENTS, lock_entry
from .manifest import CATALOGUE, Manifest, ManifestDistribution
from .source import Source

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


def inspected(bundle: Bundle) -> Report:
    """What a bundle says of itself; nothing of it is verified."""
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
    built = {each.filename: _built(each, log) for each, log in zip(manifest.built, manifest.logs)}
    report["distributions"] = [
        {
            "filename": each.filename,
            "project": each.project,
            "version": each.version,
            "size": each.size,
            "sha256": each.sha256,
            "targets": list(each.targets),
            "bootstrap": each.bootstrap,
            "notable": list(each.notable),
            "attested": attested(each),
            "built": built.get(each.filename),
            "from_base": manifest.base is not None and each.filename in manifest.base.taken,
        }
        for each in manifest.distributions
    ]
    report["placed"] = [{"path": each.path, "mode": each.mode} for each in manifest.placed]
    report["smoke"] = [list(command) for command in manifest.smoke]
    return report


def verified(command: str, bundle: VerifiedBundle, last_check: int) -> Report:
    """What was verified, up to ``last_check``."""
    report = _report(command, bundle.file, bundle.digest, bundle.manifest)
    report["verified"] = True
    report["signers"] = [{"principal": each.principal, "fingerprint": each.fingerprint} for each in bundle.signers]
    report["checks"] = [{"number": number, "passed": CHECKS[number]} for number in range(1, last_check + 1)]
    return report


def tell_rewritten(report: Report, rewritten: Sequence[str]) -> None:
    """Name the wheels that have the signed content and not the signed bytes; nothing is passed off as what it is not."""
    report["content_identical"] = list(rewritten)
    for check in report["checks"] if rewritten else ():
        if check["passed"] == CHECKS[7]:
            check["passed"] += ", but for those whose content alone is identical"


def render(report: Report) -> str:
    """A report in words."""
    return "\n".join(_SAY[report["command"]](report) + _excused(report.get("excused", ()))) + "\n"


def attested(distribution: ManifestDistribution) -> Optional[Report]:
    """Who published it, if that was attested; None where it was not."""
    found = distribution.attested
    return None if found is None else {"publisher": found.publisher, "predicates": list(found.predicates)}


def _report(command: str, file: Source, digest: str, manifest: Manifest) -> Report:
    projects = {each.filename: each.project for each in manifest.distributions}
    return {
        "command": command,
        "bundle": {
            "path": file.path,
            "volumes": file.volumes(),
            "kind": manifest.kind,
            "name": manifest.name,
            "version": manifest.version,
            "digest": "sha256:" + digest,
            "as_of": manifest.as_of,
            "channel": manifest.policy.channel,
            "sequence": manifest.policy.sequence,
            "audience": list(manifest.policy.audience),
            "not_after": manifest.policy.not_after,
            "mode": manifest.mode,
            "base": _base(manifest),
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


def _base(manifest: Manifest) -> Optional[Report]:
    """What a delta needs; None for a bundle that is whole in itself."""
    base = manifest.base
    if base is None:
        return None
    return {"name": base.name, "version": base.version, "digest": "sha256:" + base.digest, "distributions": len(base.taken)}


# Words


def _say_inspect(report: Report) -> List[str]:
    lines = [_title(report) + ": NOT VERIFIED. This is what the file says of itself.", ""]
    lines += _facts(report, [("keys named", ", ".join(report["signatures"]) or "none")])
    lines += ["", "targets"]
    lines += ["  %-40s %4d distributions, %s" % (each["name"], each["distributions"], each["pip"]) for each in report["targets"]]
    lines += ["", "distributions"]
    width = max([len(each["filename"]) for each in report["distributions"]] + [64])
    lines += [
        "  %-*s %12s%s" % (width, each["filename"], _size(each["size"]), _news(each, delta=report["bundle"]["base"] is not None))
        for each in report["distributions"]
    ]
    lines += _attested_by(report["distributions"]) + _built_by(report["distributions"]) + _notable(report["distributions"])
    return lines + _brought(report)


def _brought(report: Report) -> List[str]:
    """For the reviewer: what comes and runs beside the distributions."""
    placed = ["  files/%s, mode %s" % (each["path"], each["mode"]) for each in report["placed"]]
    commands = ["  " + " ".join(command) for command in report["smoke"]]
    lines = ["", "places in the environment", *placed] if placed else []
    return lines + (["", "runs in the environment before it is used", *commands] if commands else [])


def _built(built: ManifestBuilt, log: str) -> Report:
    """How a wheel was built."""
    repair = built.repair
    return {
        "sdist": dict(built.sdist._asdict()),
        "recipe": dict(built.recipe._asdict()),
        "toolchain": {"name": built.toolchain.name, "tools": list(built.toolchain.tools), "packages": list(built.toolchain.packages)},
        "materials": [dict(each._asdict()) for each in built.materials],
        "repair": repair and _repair(repair),
        "log": log,
    }


def _repair(repair: Repair) -> Report:
    """What made a wheel portable, and what it asks of a system all the same."""
    return {
        "tool": repair.tool,
        "raw": repair.raw,
        "grafted": [dict(each._asdict()) for each in repair.grafted],
        "needs": [dict(each._asdict()) for each in repair.needs],
    }


def _built_by(distributions: Sequence[Report]) -> List[str]:
    """What nobody published, and how it came about."""
    lines: List[str] = []
    for each in distributions:
        built = each["built"]
        if built is None:
            continue
        lines.append("  %s" % each["filename"])
        lines.append("    of %s, sha256:%s" % (built["sdist"]["url"], built["sdist"]["sha256"]))
        tools = ", ".join(built["toolchain"]["tools"])
        lines.append("    by recipe %s, %s toolchain (%s)" % (built["recipe"]["name"], built["toolchain"]["name"], tools))
        if built["repair"] and built["repair"]["grafted"]:
            lines.append("    carries %s" % ", ".join(sorted({graft["library"] for graft in built["repair"]["grafted"]})))
        if built["repair"] and built["repair"]["needs"]:
            lines.append("    needs %s" % ", ".join("%s@%s" % (need["symbol"], need["version"]) for need in built["repair"]["needs"]))
    return ["", "built by the packer", *lines] if lines else []


def _attested_by(distributions: Sequence[Report]) -> List[str]:
    """Who published what, as attested: projects of one publisher in one line."""
    published: Dict[str, List[str]] = {}
    for each in distributions:
        if each["attested"] is not None:
            names = published.setdefault(each["attested"]["publisher"], [])
            name = "%s %s" % (each["project"], each["version"])
            names += [] if name in names else [name]
    lines = ["  %s: %s" % (publisher, ", ".join(names)) for publisher, names in sorted(published.items())]
    return ["", "published, as attested and verified when it was packed, by", *lines] if lines else []


def _notable(distributions: Sequence[Report]) -> List[str]:
    """For the reviewer: what lands beside a project's own name. Wheels of one project that land alike share a line."""
    lines: List[str] = []
    for each in distributions:
        line = "  %s %s: %s" % (each["project"], each["version"], ", ".join(each["notable"]))
        lines += [line] if each["notable"] and line not in lines else []
    return ["", "installs beside its own name", *lines] if lines else []


def _say_verify(report: Report) -> List[str]:
    lines = [_title(report) + ": verified.", ""]
    lines += _facts(report, _signed_by(report))
    lines += ["", "checks that passed"]
    return lines + ["  %d  %s" % (each["number"], each["passed"]) for each in report["checks"]]


def _say_unpack(report: Report) -> List[str]:
    wheels = report["wheels"]
    lines = ["%s: verified, %d wheels (%s) unpacked." % (_title(report), wheels["count"], _size(wheels["size"])), ""]
    lines += _facts(report, _signed_by(report))
    lines += ["  %-12s %s" % ("directory", report["directory"]), *_repaired(report), *_rewritten(report["content_identical"]), "", "next"]
    if report["bundle"]["kind"] == CATALOGUE:
        return [*lines, "  pip install --no-index --find-links %s PROJECT" % os.path.join(report["directory"], "wheels")]
    return lines + ["  " + _pip_command(report["directory"], target) for target in report["targets"]]


def _say_install(report: Report) -> List[str]:
    if "steps" in report:
        told = _facts(report, _signed_by(report))
        steps = ["  " + each for each in report["steps"]]
        return ["%s: verified. Nothing was changed. This would" % _title(report), *steps, "", *told, *_exposed(report)]
    done = (
        "%d distributions installed" % report["distributions"] if report["changed"] else "it is already there, whole. Nothing was changed"
    )
    facts = [
        ("target", report["target"]),
        ("environment", report["environment"]),
        ("in use as", report["current"]),
        ("receipt", "signed by %s" % report["receipt_signed_by"] if report["receipt_signed_by"] else ""),
        ("instead of", report["replaced"]),
        ("taken away", ", ".join(report["removed"])),
        ("took", ", ".join("%s %.1f s" % each for each in report["seconds"].items())),
    ]
    lines = ["%s: verified, %s." % (_title(report), done), ""]
    lines += _facts(report, _signed_by(report)) + ["  %-12s %s" % (name, value) for name, value in facts if value]
    lines += [*_repaired(report), *_exposed(report), *_rewritten(report["content_identical"]), "", "next"]
    return [*lines, "  " + report["python"].replace(report["environment"], report["current"] or report["environment"], 1)]


def _say_list(report: Report) -> List[str]:
    releases = [("*" if each["in_use"] else " ", each["name"], each["installed"], each["target"]) for each in report["releases"]]
    told = "the one in use has a star" if releases else "no releases"
    return ["%s: %s" % (report["prefix"], told), *["  %s %s  %s  %s" % each for each in releases]]


def _say_rollback(report: Report) -> List[str]:
    done = "is in use, instead of %s" % report["before"] if report["changed"] else "is in use already. Nothing was changed"
    return ["%s %s." % (report["current"], done), *_repaired(report)]


def _say_gc(report: Report) -> List[str]:
    told = "%d releases taken away, %d kept." % (len(report["removed"]), len(report["kept"]))
    return [told, *["  " + each for each in report["removed"]], *_repaired(report)]


def _repaired(report: Report) -> List[str]:
    """What was mended of what a killed run left."""
    return ["", "repaired", *["  " + each for each in report["repaired"]]] if report["repaired"] else []


def _exposed(report: Report) -> List[str]:
    """Who else may exchange what is installed."""
    return ["", "beware", *["  " + each for each in report["exposed"]]] if report["exposed"] else []


def _title(report: Report) -> str:
    return "%s %s" % (report["bundle"]["name"], report["bundle"]["version"])


def _facts(report: Report, more: Iterable[Sequence[str]]) -> List[str]:
    bundle = report["bundle"]
    facts = [
        ("digest", bundle["digest"]),
        *more,
        *_volumes(bundle["volumes"]),
        *_delta(bundle["base"], bundle["distributions"]),
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


def _delta(base: Optional[Report], distributions: int) -> List[Sequence[str]]:
    if base is None:
        return []
    brought = distributions - base["distributions"]
    return [("delta", "brings %d distributions; needs %s %s, %s" % (brought, base["name"], base["version"], base["digest"]))]


def _news(distribution: Report, *, delta: bool) -> str:
    return "  new" if delta and not distribution["from_base"] else ""


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


def as_file(report: Report) -> str:
    """A report that is a document for others, as the file that travels."""
    return json.dumps({key: value for key, value in report.items() if key != "command"}, indent=1, sort_keys=True) + "\n"


def _say_inventory(report: Report) -> List[str]:
    if "written" not in report:
        return as_file(report).splitlines()
    files = sum(bool(each["bundles"] or each["wheel"]) for each in report["distributions"])
    told = "%d environments, %d bundles, %d distributions of which %d are here as files"
    return [
        "%s: %s." % (report["written"], told % (len(report["environments"]), len(report["bundles"]), len(report["distributions"]), files))
    ]


_SAY: Dict[str, Callable[[Report], List[str]]] = {
    "inspect": _say_inspect,
    "verify": _say_verify,
    "unpack": _say_unpack,
    "install": _say_install,
    "list": _say_list,
    "rollback": _say_rollback,
    "gc": _say_gc,
    "inventory": _say_inventory,
    "request": _say_inventory,
}
