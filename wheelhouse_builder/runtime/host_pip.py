"""The pip that this host has, for those who trust no other: a private copy of it, so that nothing of its surroundings comes with it."""

import json
import os
import re
import shutil

from .child import run
from .engine import Job
from .errors import InstallError

OLDEST = (20, 3)
"""The first pip with the resolver of today; older ones know neither all our options nor all tags."""

_FIND = "import json, os, pip; print(json.dumps([pip.__version__, os.path.dirname(os.path.abspath(pip.__file__))]))"


def copy_host_pip(job: Job) -> str:
    """Copy the pip of the interpreter that the environment is made of; the directory that holds the copy. Raises InstallError."""
    hint = "Nothing was changed. Leave --engine away: the bundle carries a pip."
    said = run([job.host.executable, "-I", "-B", "-c", _FIND], job.scratch, "%s has no pip." % job.host.executable, hint=hint)
    version, folder = json.loads(said.splitlines()[-1])
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < OLDEST:
        raise InstallError("The pip of %s is %s: at least %d.%d is needed." % (job.host.executable, version, *OLDEST), hint=hint)
    copy = os.path.join(job.scratch, "host-pip")
    shutil.copytree(folder, os.path.join(copy, "pip"), ignore=shutil.ignore_patterns("__pycache__"))
    return copy
