# The bundle's __main__.py: it starts the reader that travels within. Even Python 2.7 must be able to parse this file, to learn that it is too old.
"""Start the reader in an interpreter that the environment cannot influence."""

import os
import sys

OLDEST = (3, 6)
TOO_OLD = 9  # EnvironmentFailure; the module that says so cannot be imported by such a Python


def main():
    """Run the command line, or say why not."""
    if sys.version_info < OLDEST:
        sys.stderr.write("wheelhouse: this needs Python 3.6 or newer, and this is Python %d.%d.\n" % sys.version_info[:2])
        sys.stderr.write("  hint: run the file with a newer one, as in: python3.9 FILE.whb --help\n")
        return TOO_OLD
    bundle = os.path.dirname(os.path.abspath(__file__))
    if not sys.flags.isolated:
        return restart_isolated(bundle)
    from wheelhouse_runtime.cli import main as run

    return run(sys.argv[1:], bundle)


def restart_isolated(bundle):
    """Run again with -I: neither PYTHON* variables nor the user's site-packages nor the working directory have a say then."""
    if not sys.executable:
        sys.stderr.write("wheelhouse: this Python does not know its own path.\n  hint: run it as: python3 -I FILE.whb\n")
        return TOO_OLD
    command = [sys.executable, "-I", "-B", bundle] + sys.argv[1:]
    if os.name == "nt":  # there, exec ends this process at once and the shell does not wait for the other
        import subprocess

        return subprocess.call(command)
    sys.stdout.flush()
    os.execv(sys.executable, command)


if __name__ == "__main__":
    sys.exit(main())
