"""Another interpreter of this host, asked what it is by the code that asks it of ourselves."""

import json
import os
import pkgutil
import subprocess
from typing import NamedTuple

from .bundle import VerifiedBundle
from .child import PASSED_ON
from .errors import EnvironmentFailure
from .host import Floor, Host
from .layout import RUNTIME

_NEEDED = ("errors", "layout", "manifest", "host")
"""Modules that :mod:`host` needs, each after those that it imports."""

# Standard input: the source of each module, by name. They become a package that lies nowhere.
_ASK = """
import json, sys, types
package = sys.modules["asked"] = types.ModuleType("asked")
package.__path__ = []
for name, source in json.load(sys.stdin.buffer):
    module = sys.modules["asked." + name] = types.ModuleType("asked." + name)
    module.__package__ = "asked"
    exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)
print(json.dumps([sys.modules["asked.host"].this_host(), sys.prefix]))
"""


class Interpreter(NamedTuple):
    """An interpreter, and the root of its environment."""

    host: Host
    prefix: str


def ask(python: str, bundle: VerifiedBundle) -> Interpreter:
    """What the interpreter ``python``, a path, says of itself. Raises EnvironmentFailure when it does not answer."""
    sources = [(name, _source(name, bundle)) for name in _NEEDED]
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        done = subprocess.run(
            [os.path.abspath(python), "-I", "-B", "-c", _ASK],
            env=environment,
            input=json.dumps(sources).encode("ascii"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
    except OSError as error:
        raise _no_answer(python, error.strerror or str(error)) from error
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise _no_answer(python, "".join(last) or "it ended with %d" % done.returncode)
    (interpreter, abi, (kind, version, machine), markers, executable), prefix = json.loads(done.stdout.decode("ascii"))
    return Interpreter(Host(interpreter, abi, Floor(kind, tuple(version), machine), markers, executable), prefix)


def _source(name: str, bundle: VerifiedBundle) -> str:
    """The source of one of our modules: out of the bundle, if that is where we run, as it was verified."""
    package = str(__package__)
    if package + "/" == RUNTIME:
        return bundle.control[RUNTIME + name + ".py"].decode("utf-8")
    return (pkgutil.get_data(package, name + ".py") or b"").decode("utf-8")


def _no_answer(python: str, why: str) -> EnvironmentFailure:
    return EnvironmentFailure("%s is no Python 3.6 or newer that runs here: %s." % (python, why), hint="Give the path of an interpreter.")
