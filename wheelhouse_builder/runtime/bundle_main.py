"""The bundle's __main__.py: starts the reader that travels within, in an interpreter that the environment cannot influence.

Even Python 2.7 must be able to parse this file, to learn that it is too old.
"""

import os
import subprocess
import sys
import zipimport

OLDEST = (3, 6)
UNFIT = 9  # EnvironmentFailure; such a Python cannot import the module that says so


class Reader(zipimport.zipimporter):
    """Imports what is in the bundle, and compiles each module once: its base does so twice, the first time to learn the file name."""

    def get_filename(self, fullname):
        # type: (str) -> str
        """Where a module that is there lies."""
        path = os.path.join(self.archive, self.prefix, fullname.rpartition(".")[2])
        return os.path.join(path, "__init__.py") if self.is_package(fullname) else path + ".py"


def main():
    # type: () -> int
    """Run the command line, or say why not."""
    if sys.version_info < OLDEST:
        sys.stderr.write("error: this needs Python 3.6 or newer, and this is Python %d.%d.\n" % sys.version_info[:2])
        sys.stderr.write("hint: run the file with a newer one, as in: python3.9 FILE.whb --help\n")
        return UNFIT
    bundle = os.path.dirname(os.path.abspath(__file__))
    if not sys.flags.isolated:
        return restart_isolated(bundle)
    sys.path_hooks.insert(0, Reader)
    sys.path_importer_cache.clear()
    try:
        from wheelhouse_runtime.cli import main as run  # type: ignore[import-not-found]  # noqa: PLC0415 # an old Python cannot parse it
    except ImportError as error:
        sys.stderr.write("error: this Python lacks a part of the standard library: %s.\n" % error)
        sys.stderr.write("hint: install all of it (on Debian python3: python3-minimal is not enough), or use another Python.\n")
        return UNFIT
    return int(run(sys.argv[1:], bundle))


def restart_isolated(bundle):
    # type: (str) -> int
    """Run again with -I: neither PYTHON* variables nor the user's site-packages nor the working directory have a say then."""
    if not sys.executable:
        sys.stderr.write("error: this Python does not know its own path.\nhint: run it as: python3 -I FILE.whb\n")
        return UNFIT
    command = [sys.executable, "-I", "-B", bundle] + sys.argv[1:]  # noqa: RUF005 # Python 2.7
    if os.name == "nt":  # there, exec ends this process at once and the shell does not wait for the other
        return subprocess.call(command)
    return os.execv(sys.executable, command)  # noqa: S606 # a shell is the last thing wanted here


if __name__ == "__main__":
    sys.exit(main())
