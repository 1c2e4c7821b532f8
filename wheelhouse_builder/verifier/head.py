"""wheelhouse-verify @VERSION@ tells who signed a bundle and whether it is whole.

    python3 wheelhouse-verify.py inspect FILE
    python3 wheelhouse-verify.py verify  FILE --trust STORE

One file that needs nothing but Python 3.6 or newer and its standard library. Carry it in once, together with your trust store, by
another path than the bundles: a verifier that comes with the file which it verifies proves nothing.

To review it, read this part, which ends at the first line "module:". Below stand modules of wheelhouse's runtime, unchanged, each after
what it needs; load() makes them importable, main() calls them. Nothing is started but Python itself, and no network is used.
"""

import sys

TYPE_CHECKING = False  # as mypy knows it: nothing is imported before -I
if TYPE_CHECKING:
    from typing import Any, Dict

PACKAGE = "wheelhouse_runtime"
OLDEST = (3, 6)


def restart_isolated():
    # type: () -> int
    """Run again with -I: neither PYTHON* variables nor the user's site-packages nor the directory of this file have a say then."""
    del sys.path[0]  # this directory, in which anybody may have put an os.py
    import os

    here = os.path.abspath(__file__)
    if not sys.executable:
        sys.stderr.write("error: this Python does not know its own path.\nhint: run it as: python3 -I wheelhouse-verify.py\n")
        return 9
    command = [sys.executable, "-I", "-B", here] + sys.argv[1:]
    if os.name == "nt":  # there, exec ends this process at once and the shell does not wait for the other
        import subprocess

        return subprocess.call(command)
    return os.execv(sys.executable, command)


def load():
    # type: () -> None
    """Make the modules below importable, in their order, as modules of the package that they form in a bundle."""
    import re
    import types

    with open(__file__, "rb") as file:
        parts = re.split("^# ---- module: ([a-z0-9_]+) ----\n", file.read().decode("utf-8").replace("\r\n", "\n"), flags=re.MULTILINE)
    package = types.ModuleType(PACKAGE)
    package.__path__ = []
    sys.modules[PACKAGE] = package
    line = parts[0].count("\n") + 1
    for name, text in zip(parts[1::2], parts[2::2]):
        module = types.ModuleType(PACKAGE + "." + name)
        module.__package__, module.__file__ = PACKAGE, __file__
        sys.modules[module.__name__] = module
        code = compile("\n" * line + text, __file__, "exec", dont_inherit=True)  # so that a traceback tells the line of this file
        exec(code, module.__dict__)
        setattr(package, name, module)
        line += text.count("\n") + 1


def options():
    # type: () -> Any
    """What the command line asks for."""
    import argparse

    parser = argparse.ArgumentParser(prog="wheelhouse-verify.py", description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("command", choices=["inspect", "verify"], help="inspect verifies nothing")
    parser.add_argument("file", metavar="FILE", help="the bundle, one of its volumes, or the directory that holds them")
    parser.add_argument("--trust", metavar="STORE", help="an allowed_signers file, or a directory with one and a policy.json")
    parser.add_argument("--state", metavar="FILE", help="where this host remembers what was here before; it is only read")
    parser.add_argument("--volumes", metavar="PATH", action="append", default=[], help="where other volumes of the bundle lie")
    parser.add_argument("--json", action="store_true", help="print one JSON document, errors too")
    return parser.parse_args()


def run(asked):
    # type: (Any) -> Dict[str, Any]
    """The report of the command. Raises the errors of the checks."""
    from wheelhouse_runtime import bundle, memory, policy, report  # type: ignore[import-not-found]

    if asked.command == "inspect":
        told = report.inspected(bundle.open_bundle(asked.file, asked.volumes))  # type: Dict[str, Any]
        return told
    seen = memory.read_memory(asked.state)
    with bundle.verify(asked.file, policy.read_trust(asked.trust), memory=seen, volumes=asked.volumes) as found:
        told = report.verified("verify", found, 6)
    return told


def main():
    # type: () -> int
    """Run one command; returns the exit code."""
    if sys.version_info < OLDEST:
        sys.stderr.write("error: this needs Python 3.6 or newer.\n")
        return 9
    if not sys.flags.isolated:
        return restart_isolated()
    load()
    import json

    from wheelhouse_runtime import errors, report

    asked = options()
    try:
        done, code = run(asked), 0
        text = report.render(done)
    except errors.WheelhouseError as error:
        told = {"name": error.name, "exit_code": error.exit_code, "problems": list(error.problems), "hint": error.hint}
        done, code = {"error": told}, error.exit_code
        text = "".join("error: %s\n" % problem for problem in error.problems) + ("hint: %s\n" % error.hint if error.hint else "")
    text = json.dumps(done, indent=2) + "\n" if asked.json else text
    stream = sys.stderr if code and not asked.json else sys.stdout
    stream.write(text.encode(stream.encoding or "ascii", "backslashreplace").decode(stream.encoding or "ascii"))
    return code


if __name__ == "__main__":
    sys.exit(main())
