"""What an engine is: a function that fills one empty environment with one target's distributions, and says what it put there.

It knows nothing of places, locks and switches: it is given an environment that nobody uses yet, beside the place where it will live.
"""

from typing import Callable, Dict, FrozenSet, Mapping, NamedTuple, Optional, Sequence, Tuple

from .bases import Bases
from .bundle import VerifiedBundle
from .host import Host
from .manifest import ManifestDistribution, ManifestTarget
from .progress import Progress


class Job(NamedTuple):
    """One environment to fill."""

    bundle: VerifiedBundle
    target: ManifestTarget
    host: Host
    """The interpreter from which the environment was made."""
    environment: str
    """Root of the environment that is being built; there is nothing in it but what ``venv`` puts there."""
    python: str
    """Its interpreter, which runs."""
    final: str
    """Where the environment will live. What is written for later names this path: scripts, ``co_filename``."""
    executable: str
    """The interpreter at its final path: what the first line of a script names. It may not be there yet, or be another's."""
    paths: Mapping[str, str]
    """Where each scheme lies in ``environment``: ``purelib``, ``platlib``, ``scripts``, ``data``, and ``headers``, above each project's."""
    scratch: str
    """A private directory beside the environment, for what lies between; it goes away."""
    progress: Progress
    exact: bool
    """As in :func:`~.unpack.unpack`."""
    bases: Optional[Bases]
    compile: bool
    """Whether to byte-compile."""


class WheelRecord(NamedTuple):
    """What a wheel says of its own members, read from signed bytes: the audit compares what is there with it."""

    record: bytes
    """Its RECORD."""
    scripts: Dict[str, bytes]
    """The content of each member below ``.data/scripts``, by its path in the wheel: their first line is rewritten."""
    replaced: FrozenSet[str] = frozenset()
    """Those that are not installed, for setuptools made them for entry points, and installers make their own."""


class Installation(NamedTuple):
    """What an engine put into the environment."""

    distributions: Tuple[ManifestDistribution, ...]
    """With size and digest of the wheels as they were installed."""
    rewritten: Tuple[str, ...]
    """File names of the wheels whose content was the signed one and whose bytes were not: see :mod:`rewrite`."""
    records: Dict[str, WheelRecord]
    """By the wheel's file name; one for each of ``distributions``."""
    unmeasured: bool = False
    """No wheel was made, so none was compared with its signed digest (check 7): every byte hangs on the signature by its chunk alone."""


Engine = Callable[[Job], Installation]
"""Raises BundleRefused, EnvironmentFailure, InstallError; the environment is then thrown away."""


def locks_pip(distributions: Sequence[ManifestDistribution], target: ManifestTarget) -> bool:
    """Whether pip is among what the lock installs."""
    return any(each.project == "pip" and not each.bootstrap and target.name in each.targets for each in distributions)


def pip_version(distributions: Sequence[ManifestDistribution], target: ManifestTarget) -> str:
    """The version of pip that ends up in the environment: the lock's, if it has one."""
    pips = sorted((each.bootstrap, each.version) for each in distributions if each.project == "pip" and _is_for(each, target))
    return pips[0][1]


def installed_distributions(distributions: Sequence[ManifestDistribution], target: ManifestTarget) -> Tuple[ManifestDistribution, ...]:
    """Those that the environment is to hold: what the lock names, and the carried pip where the lock names none."""
    own = locks_pip(distributions, target)
    return tuple(each for each in distributions if target.name in each.targets or (each.filename == target.pip and not own))


def _is_for(distribution: ManifestDistribution, target: ManifestTarget) -> bool:
    return target.name in distribution.targets or distribution.filename == target.pip
