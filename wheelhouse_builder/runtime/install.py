"""Install: an environment that holds one target's distributions and nothing else.

It is built beside the place where it will live, by an engine, and one rename makes it seen. What fails on the way leaves nothing.
"""

import os
from typing import Dict, NamedTuple, Optional, Tuple

from .bases import Bases
from .bundle import VerifiedBundle
from .engine import Engine, Job, pip_version
from .environment import interpreter_of, make_environment, paths_of
from .host import Host
from .manifest import ManifestTarget
from .pip_engine import install_with_pip
from .progress import NoProgress, Progress
from .staging import destination, publish, staging

ENGINES: Dict[str, Engine] = {"pip": install_with_pip}
"""By the name that ``--engine`` gives them."""
DEFAULT_ENGINE = "pip"


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
    engine: str = DEFAULT_ENGINE,
    compile: bool = True,  # noqa: A002 - pip's word
) -> Installed:
    """Make the virtual environment ``venv``, which must not exist or be empty, and install ``target`` into it.

    ``target`` fits ``host``, whose interpreter becomes the environment's. ``exact`` and ``bases`` as in :func:`unpack.unpack`; ``engine``
    is one of :data:`ENGINES`. Raises AlreadyThere, BundleRefused, EnvironmentFailure, InstallError; then ``venv`` is as it was.
    """
    path = destination(venv)
    with staging(os.path.dirname(path)) as scratch:
        environment = os.path.join(scratch, os.path.basename(path))
        python = make_environment(host, environment, path, scratch)
        final = interpreter_of(path)
        job = Job(
            bundle=bundle,
            target=target,
            host=host,
            environment=environment,
            python=python,
            final=path,
            executable=final,
            paths=paths_of(python, scratch),
            scratch=scratch,
            progress=progress or NoProgress(),
            exact=exact,
            bases=bases,
            compile=compile,
        )
        done = ENGINES[engine](job)
        publish(environment, path)
    return Installed(path, final, target.name, len(done.distributions), pip_version(done.distributions, target), done.rewritten)
