"""The engine that leaves the work to pip: the one that the bundle carries, run straight from its wheel.

It sees no index, no cache and no configuration, and requires every hash.
"""

import os
import posixpath
import re
import zipfile
from functools import partial
from typing import Dict, List, Sequence, Set, Tuple

from .child import run, run_side_by_side
from .compiling import compile_placed
from .cores import shares
from .engine import Installation, Job, WheelRecord, installed_distributions
from .environment import relocate
from .errors import InstallError
from .host_pip import copy_host_pip
from .layout import wheel_entry
from .manifest import ManifestDistribution
from .measure import measure
from .overrides import only_overridden
from .placing import Placed, placed_by_pip
from .scripts import is_wrapper, read_entry_points
from .unpack import extract

# Before Python 3.10 pip asks distutils for paths, which Debian packs on its own. Without it, this has pip ask sysconfig, as it does later.
# Importing it would not tell: setuptools puts its own in that place, and hides it from pip.
_FIND_PATHS = """
import sys, sysconfig
from importlib.machinery import PathFinder
if sys.version_info < (3, 10):
    distutils = PathFinder.find_spec("distutils")
    if distutils is None or PathFinder.find_spec("distutils.command", distutils.submodule_search_locations) is None:
        sysconfig._PIP_USE_SYSCONFIG = True
"""

RUN_PIP = (
    _FIND_PATHS
    + """
import runpy
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
)
"""A program. argv: where pip is, then its own arguments. That place is first on the path, so nothing else answers to the name of pip."""

_RUN_INSTALLED_PIP = (
    _FIND_PATHS
    + """
import runpy
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
)

# --no-deps: the lock is the answer; that it is closed, pip check says afterwards. pip compiles on one core; we do on all.
# --ignore-installed: nothing is, but what another pip is just installing, who reads and removes nothing of it.
_PIP_INSTALL = (
    "install", "--isolated", "--no-input", "--no-index", "--require-hashes", "--only-binary=:all:", "--no-deps", "--no-cache-dir",
    "--disable-pip-version-check", "--no-warn-script-location", "--no-compile", "--progress-bar=off", "--ignore-installed",
)  # fmt: skip
WORTH_A_PIP = 8 << 20
"""Bytes of wheels that one pip installs before another has started."""
_SCRIPT = re.compile(r"[^/]+\.data/scripts/.*[^/]", re.DOTALL)
_HINT = "Nothing was changed. The lines above are pip's own."


def install_with_pip(job: Job) -> Installation:
    """Unpack the wheels beside the environment and have the bundle's pip install them. Raises as every :data:`~.engine.Engine` does."""
    return _install(job, own=True)


def install_with_host_pip(job: Job) -> Installation:
    """The same with the pip of the interpreter that the environment was made of."""
    return _install(job, own=False)


def _install(job: Job, *, own: bool) -> Installation:
    tree = os.path.join(job.scratch, "tree")
    extracted = extract(job.bundle, tree, job.scratch, [job.target], job.progress, exact=job.exact, bases=job.bases)
    with job.progress.step("installing", total=None):
        pip = os.path.join(tree, *wheel_entry(job.target.pip).split("/")) if own else copy_host_pip(job)
        _install_all(job, pip, tree, extracted.distributions)
    distributions = installed_distributions(extracted.distributions, job.target)
    records = {each.filename: _record(tree, each) for each in distributions}
    compile_placed(job, {filename: _placed(job, record) for filename, record in records.items()})
    return Installation(distributions, extracted.rewritten, records)


def _placed(job: Job, record: WheelRecord) -> Placed:
    """What pip made of the wheel with this RECORD."""
    info = re.findall(r"^([^/\n]+\.dist-info)/METADATA,", record.record.decode("utf-8"), re.MULTILINE)[0]
    library = next(job.paths[scheme] for scheme in ("purelib", "platlib") if os.path.isdir(os.path.join(job.paths[scheme], info)))
    return placed_by_pip(library, info)


def _install_all(job: Job, pip: str, tree: str, distributions: Sequence[ManifestDistribution]) -> None:
    """Install what the lock names, and pip itself where the lock names none: a pip for each core, which uses one, has a share of them."""
    commands = []
    for number, share in enumerate(_shares(tree, installed_distributions(distributions, job.target))):
        options = ["--find-links", os.path.join(tree, "wheels"), "-r", _requirements(job.scratch, number, share)]
        commands.append([job.python, "-I", "-c", RUN_PIP, pip, *_PIP_INSTALL, *options])
    run_side_by_side(commands, job.scratch, "pip could not install the distributions of %s." % job.target.name, hint=_HINT)
    relocate(job.environment, job.final, job.executable)


def _shares(tree: str, distributions: Sequence[ManifestDistribution]) -> List[List[ManifestDistribution]]:
    """``distributions`` in shares, no two of which write the same file: of wheels that do, pip decides which one wins."""
    together: List[Tuple[Set[str], List[ManifestDistribution]]] = []
    for each in distributions:
        places = _places(os.path.join(tree, *wheel_entry(each.filename).split("/")))
        group = [each]
        for other in [other for other in together if not places.isdisjoint(other[0])]:
            together.remove(other)
            places |= other[0]
            group += other[1]
        together.append((places, group))
    groups = [group for _, group in together]
    found = shares(groups, lambda group: sum(each.size for each in group), WORTH_A_PIP)
    return [[each for group in share for each in group] for share in found]


def _places(path: str) -> Set[str]:
    """Where the wheel at ``path`` writes something, such that no other means the same by another name."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        points = next((name for name in names if name.count("/") == 1 and name.endswith(".dist-info/entry_points.txt")), None)
        entries = read_entry_points(archive.read(points).decode("utf-8") if points else "")
    scripts = ["scripts/" + name for name in (*entries.console, *entries.gui)]
    return {re.sub(r"^[^/]+\.data/(?:(?:purelib|platlib)/)?", "", name).casefold() for name in names + scripts}


def require_fit(job: Job) -> None:
    """Have pip look over what is installed, whoever installed it. Raises InstallError."""
    check = [job.python, "-I", "-B", "-c", _RUN_INSTALLED_PIP, "check", "--isolated", "--disable-pip-version-check"]
    expected = partial(only_overridden, overridden=job.target.overridden)
    run(check, job.scratch, "The distributions of %s do not fit together." % job.target.name, hint=_HINT, tolerated=expected)


def _requirements(scratch: str, number: int, distributions: Sequence[ManifestDistribution]) -> str:
    """A file of requirements that names exactly these wheels, which were proved, by their digests."""
    path = os.path.join(scratch, "requirements-%d.txt" % number)
    with open(path, "w", encoding="ascii") as file:
        file.writelines("%s==%s --hash=sha256:%s\n" % (each.project, each.version, each.sha256) for each in distributions)
    return path


def _record(tree: str, distribution: ManifestDistribution) -> WheelRecord:
    """What the wheel says of itself. It is measured once more: pip has read it since, and the audit believes what is returned here."""
    with open(os.path.join(tree, *wheel_entry(distribution.filename).split("/")), "rb") as file:
        if measure(file) != (distribution.size, distribution.sha256):
            raise InstallError(
                "%s was changed while it was installed." % distribution.filename,
                hint="Nothing was changed at the destination. Somebody else writes to %s: name a destination beside which nobody can."
                % tree,
            )
        with zipfile.ZipFile(file) as archive:
            return _wheel_record(archive)


def _wheel_record(archive: zipfile.ZipFile) -> WheelRecord:
    names = archive.namelist()
    record = next(name for name in names if name.count("/") == 1 and name.endswith(".dist-info/RECORD"))
    scripts: Dict[str, bytes] = {name: archive.read(name) for name in names if _SCRIPT.fullmatch(name)}
    points = record[: -len("RECORD")] + "entry_points.txt"
    wrapped = read_entry_points(archive.read(points).decode("utf-8") if points in names else "")
    return WheelRecord(archive.read(record), scripts, frozenset(name for name in scripts if is_wrapper(posixpath.basename(name), wrapped)))
