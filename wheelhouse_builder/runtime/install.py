"""Install: a fresh virtual environment that holds one target's distributions and nothing else.

The pip that the bundle carries does it, run straight from its wheel, with no index, no cache, no configuration and every hash required.
What fails on the way leaves no environment.
"""

import os
import shutil
import subprocess
import sys
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from .bases import Bases
from .bundle import VerifiedBundle
from .errors import EnvironmentFailure, InstallError
from .host import Host
from .layout import REQUIREMENTS, lock_entry, wheel_entry
from .manifest import ManifestDistribution, ManifestTarget
from .progress import NoProgress, Progress
from .staging import destination, disk_failures, staging
from .unpack import extract

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "USER", "LOGNAME", "SYSTEMROOT", "SYSTEMDRIVE", "USERPROFILE", "LOCALAPPDATA", "APPDATA")
"""What a child process may see of our environment: no PIP_*, no PYTHON*, no proxies."""

LAST_LINES = 15
"""How much of what pip said is shown when it failed."""

# argv: the wheel, then pip's own arguments. The wheel is first on the path, so nothing else answers to the name of pip.
_RUN_PIP = """
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""

# --no-deps: the lock is the answer; that it is closed, pip check says afterwards.
_PIP_INSTALL = (
    "install", "--isolated", "--no-input", "--no-index", "--require-hashes", "--only-binary=:all:", "--no-deps", "--no-cache-dir",
    "--disable-pip-version-check", "--no-warn-script-location", "--progress-bar=off",
)  # fmt: skip


class Installed(NamedTuple):
    """What was installed, and where."""

    venv: str
    python: str
    """The environment's interpreter."""
    target: str
    distributions: int
    pip: str
    """Version of pip that is in the environment."""
    rewritten: Tuple[str, ...]
    """File names of the wheels whose content was the signed one and whose bytes were not: see :mod:`rewrite`."""


def install(
    bundle: VerifiedBundle,
    venv: str,
    target: ManifestTarget,
    host: Host,
    progress: Optional[Progress] = None,
    *,
    exact: bool = False,
    bases: Optional[Bases] = None,
) -> Installed:
    """Make the virtual environment ``venv``, which must not exist or be empty, and install ``target`` into it.

    ``target`` fits ``host``, the running interpreter, which becomes the environment's. ``exact`` and ``bases`` as in :func:`unpack.unpack`.
    Raises AlreadyThere, BundleRefused, EnvironmentFailure, InstallError; then ``venv`` is as it was.
    """
    progress = progress or NoProgress()
    path = destination(venv)
    with staging(os.path.dirname(path)) as scratch:
        tree = os.path.join(scratch, "tree")
        extracted = extract(bundle, tree, scratch, [target], progress, exact=exact, bases=bases)
        distributions = extracted.distributions
        pip = next(each for each in distributions if each.filename == target.pip)
        existed = os.path.isdir(path)
        try:
            python = _make_venv(path, host)
            with progress.step("installing", total=None):
                _install_all(python, tree, scratch, target, distributions, pip)
        except BaseException:
            _undo(path, existed=existed)
            raise
    return Installed(path, python, target.name, len(distributions), _pip_version(distributions, target), extracted.rewritten)


def _make_venv(path: str, host: Host) -> str:
    """A virtual environment without pip at ``path``; returns its interpreter."""
    try:
        import venv  # noqa: PLC0415 # some systems leave it out
    except ImportError as error:
        raise EnvironmentFailure(
            "%s has no module venv (%s)." % (host.executable, error),
            hint="Install your system's package for it (python3-venv on Debian and Ubuntu), or run this under another Python.",
        ) from error
    try:
        with disk_failures(path):
            venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(path)
    except subprocess.CalledProcessError as error:
        raise EnvironmentFailure("%s could not make a virtual environment (%s)." % (host.executable, error)) from error
    return os.path.join(path, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))


def _install_all(
    python: str, tree: str, scratch: str, target: ManifestTarget, distributions: Sequence[ManifestDistribution], pip: ManifestDistribution
) -> None:
    """Install what the lock names, and pip itself where the lock names none; then have pip look over the result."""
    requirements = ["-r", os.path.join(tree, *lock_entry(target.name, REQUIREMENTS).split("/"))]
    if not _locks_pip(distributions, target):
        requirements += ["-r", _bootstrap_requirements(scratch, pip)]
    wheel = os.path.join(tree, *wheel_entry(target.pip).split("/"))
    environment = _environment(scratch)
    command = [python, "-I", "-c", _RUN_PIP, wheel, *_PIP_INSTALL, "--find-links", os.path.join(tree, "wheels"), *requirements]
    _run(command, environment, tree, "pip could not install the distributions of %s." % target.name)
    check = [python, "-I", "-m", "pip", "check", "--isolated", "--disable-pip-version-check"]
    _run(check, environment, tree, "The distributions of %s do not fit together." % target.name)


def _locks_pip(distributions: Sequence[ManifestDistribution], target: ManifestTarget) -> bool:
    """Whether pip is among what the lock installs."""
    return any(each.project == "pip" and not each.bootstrap and target.name in each.targets for each in distributions)


def _bootstrap_requirements(scratch: str, pip: ManifestDistribution) -> str:
    path = os.path.join(scratch, "pip.txt")
    with open(path, "w", encoding="ascii") as file:
        file.write("pip==%s --hash=sha256:%s\n" % (pip.version, pip.sha256))
    return path


def _pip_version(distributions: Sequence[ManifestDistribution], target: ManifestTarget) -> str:
    """The version that ends up in the environment: the lock's, if it has one."""
    pips = sorted((each.bootstrap, each.version) for each in distributions if each.project == "pip" and _is_for(each, target))
    return pips[0][1]


def _is_for(distribution: ManifestDistribution, target: ManifestTarget) -> bool:
    return target.name in distribution.targets or distribution.filename == target.pip


def _environment(scratch: str) -> Dict[str, str]:
    """A clean environment, whose temporary directory is private."""
    temporary = os.path.join(scratch, "tmp")
    os.mkdir(temporary)
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return dict(passed_on, PIP_CONFIG_FILE=os.devnull, TMPDIR=temporary, TEMP=temporary, TMP=temporary)


def _run(command: List[str], environment: Dict[str, str], directory: str, failure: str) -> None:
    """Run to the end. Raises InstallError with ``failure`` and the last lines that were said."""
    done = subprocess.run(
        command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        said = done.stdout.decode(sys.getfilesystemencoding(), "replace").splitlines()[-LAST_LINES:]
        raise InstallError(
            failure,
            *["  " + line.rstrip() for line in said],
            hint="The environment was taken away again. The lines above are pip's own.",
        )


def _undo(path: str, *, existed: bool) -> None:
    """Take away what was made at ``path``; an empty directory that was there stays."""
    shutil.rmtree(path, ignore_errors=True)
    if existed:
        os.makedirs(path, exist_ok=True)
