"""Another interpreter of this host, asked what it is by the code that asks it of ourselves."""

import json
import os
import pkgutil
import subprocess
from typing import Dict, NamedTuple

from .bundle import VerifiedBundle
from .child import PASSED_ON
from .errors import EnvironmentFailure
from .host import Floor, Host
from .layout import RUNTIME

# Standard input: the source of each of our modules, by name. They are imported from there, so nothing on the disk has a say.
_ASK = """
import importlib.abc, importlib.util, json, sys, sysconfig
sources = json.load(sys.stdin.buffer)
class Sources(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def find_spec(self, name, path, target=None):
        if name == "asked" or name[6:] in sources and name.startswith("asked."):
            return importlib.util.spec_from_loader(name, self, is_package=name == "asked")
    def get_source(self, name):
        return sources.get(name[6:], "")
    def create_module(self, spec):
        pass
sys.meta_path.insert(0, Sources())
from asked.host import this_host
print(json.dumps([this_host(), sys.prefix, sys.base_prefix, sysconfig.get_paths()]))
"""


class Interpreter(NamedTuple):
    """An interpreter, and its environment."""

    host: Host
    prefix: str
    """Root of the environment."""
    base: str
    """Root of the Python that it was made of; the same where it is no virtual environment."""
    paths: Dict[str, str]
    """Where it has its schemes."""


def ask(python: str, bundle: VerifiedBundle) -> Interpreter:
    """What the interpreter ``python``, a path, says of itself. Raises EnvironmentFailure when it does not answer."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        done = subprocess.run(
            [os.path.abspath(python), "-I", "-B", "-c", _ASK],
            env=environment,
            input=json.dumps(_sources(bundle)).encode("ascii"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
    except OSError as error:
        raise _no_answer(python, error.strerror or str(error)) from error
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise _no_answer(python, "".join(last) or "it ended with %d" % done.returncode)
    (interpreter, abi, (kind, version, machine), markers, executable), prefix, base, paths = json.loads(done.stdout.decode("ascii"))
    return Interpreter(Host(interpreter, abi, Floor(kind, tuple(version), machine), markers, executable), prefix, base, paths)


def _sources(bundle: VerifiedBundle) -> Dict[str, str]:
    """The source of each of our modules: out of the bundle, if that is where we run, as it was verified."""
    package = str(__package__)
    if package + "/" == RUNTIME:
        found = {name[len(RUNTIME) : -len(".py")]: data for name, data in bundle.control.items() if name.startswith(RUNTIME)}
    else:
        folder = os.path.dirname(__file__)
        names = [name for name in os.listdir(folder) if name.endswith(".py")]
        found = {name[: -len(".py")]: pkgutil.get_data(package, name) or b"" for name in names}
    return {name: data.decode("utf-8") for name, data in found.items() if not name.startswith("__")}


def _no_answer(python: str, why: str) -> EnvironmentFailure:
    return EnvironmentFailure("%s is no Python 3.6 or newer that runs here: %s." % (python, why), hint="Give the path of an interpreter.")
