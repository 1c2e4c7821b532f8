"""The command line inside the bundle: ``python3 FILE.whb verify``, ``inspect``, ``unpack``, ``install``.

It translates options into one call of :mod:`commands` and the result into text; every error becomes one message and its exit code here.
"""

import argparse
import errno
import json
import os
import signal
import sys
import traceback
from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence, TextIO

from . import commands
from .errors import Defect, EnvironmentFailure, Interrupted, UsageError, WheelhouseError
from .install import DEFAULT_ENGINE
from .inventory import INVENTORY, REQUEST, run_inventory, write_inventory
from .memory import default_path
from .policy import default_place
from .progress import NoProgress, Progress, TerminalProgress
from .releasing import KEPT, run_gc, run_list, run_rollback
from .report import Report, render

_EXAMPLES = """examples:
  python3 {name} inspect
  python3 {name} verify --trust allowed_signers
  python3 {name} verify --trust allowed_signers --deep
  python3 {name} verify --trust allowed_signers --volumes /media/second
  python3 {name} unpack /srv/wheelhouse --trust allowed_signers
  python3 {name} unpack /srv/wheelhouse --trust allowed_signers --target all
  python3 {name} unpack /srv/november --trust allowed_signers --base /srv/october
  python3 {name} install --venv /opt/app --trust allowed_signers
  python3 {name} install --prefix /opt/app --keep 3
  python3 {name} rollback --prefix /opt/app
  python3 {name} list --prefix /opt/app
  python3 {name} gc --prefix /opt/app --keep 2
  python3 {name} install --prefix /opt/app --sign-receipt /etc/wheelhouse/receipts_ed25519
  python3 {name} inventory --prefix /opt/app
  python3 {name} inventory --prefix /opt/app --trust /etc/wheelhouse/receipts
  python3 {name} request {name} --prefix /opt/app -o request.json
  python3 {name} install --venv /opt/app --allow-rollback "2026.12 breaks the reports"

An allowed_signers file says whom you trust. It must reach you by another path than the bundle.
Exit codes: 0 done, 2 usage, 9 this host, 10 key or trust file, 11 bundle refused, 12 signature refused,
13 no target fits, 14 installation failed, 15 destination exists, 130 interrupted, 1 a defect in wheelhouse.
"""


def main(argv: Sequence[str], bundle: str) -> int:
    """Run one command on the file ``bundle``; returns the exit code."""
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(argv, bundle)
    except KeyboardInterrupt:
        failure: WheelhouseError = Interrupted("Interrupted.", hint="Nothing was left behind. Run the same command again.")
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets a sentence
        if os.environ.get("WHEELHOUSE_DEBUG") == "1":
            traceback.print_exc()
        failure = _understood(error)
    finally:
        signal.signal(signal.SIGTERM, previous)
    _print_failure(failure, to_json="--json" in argv)
    return failure.exit_code


def _run(argv: Sequence[str], bundle: str) -> int:
    parser = _parser(os.path.basename(bundle))
    options = parser.parse_args(list(argv))
    if options.command is None:
        _print(sys.stderr, parser.format_help())
        return UsageError.exit_code
    report = options.run(options, bundle, _progress(options))
    report["reader"] = "bundle"
    try:
        _tell(options, report)
    except BrokenPipeError:  # the work is done; who read our output, as head does, has what it wanted
        _close_output()
    return 0


def _tell(options: argparse.Namespace, report: Report) -> None:
    if options.json:
        _print(sys.stdout, _as_json(report))
    elif not options.quiet:
        _print(sys.stdout, render(report))
        if options.command == "verify":
            _print(sys.stderr, "note: %s\n" % commands.SELF_VOUCHING)


def _run_inspect(options: argparse.Namespace, bundle: str, _told: Progress) -> Report:
    return commands.run_inspect(bundle, volumes=options.volumes)


def _run_verify(options: argparse.Namespace, bundle: str, progress: Progress) -> Report:
    return commands.run_verify(
        bundle, options.trust, state=options.state, volumes=options.volumes, bases=options.base, deep=options.deep, progress=progress
    )


def _run_unpack(options: argparse.Namespace, bundle: str, progress: Progress) -> Report:
    return commands.run_unpack(
        bundle, options.directory, options.trust, targets=options.target, exact=options.exact, progress=progress, **_given(options)
    )


def _run_install(options: argparse.Namespace, bundle: str, progress: Progress) -> Report:
    manner = commands.Manner(
        target=options.target,
        with_python=options.with_python,
        engine=options.engine,
        compile=not options.no_compile,
        imports=not options.no_imports,
        exact=options.exact,
        sign_receipt=options.sign_receipt,
    )
    destination = commands.Destination(options.venv, options.prefix, options.python, options.keep)
    return commands.run_install(bundle, destination, options.trust, manner, dry_run=options.dry_run, progress=progress, **_given(options))


def _run_list(options: argparse.Namespace, _bundle: str, _told: Progress) -> Report:
    return run_list(options.prefix)


def _run_rollback(options: argparse.Namespace, _bundle: str, progress: Progress) -> Report:
    return run_rollback(options.prefix, options.to, progress=progress)


def _run_gc(options: argparse.Namespace, _bundle: str, progress: Progress) -> Report:
    return run_gc(options.prefix, options.keep, progress=progress)


def _run_inventory(options: argparse.Namespace, _bundle: str, _told: Progress) -> Report:
    found = run_inventory(options.prefix, options.venv, options.paths, request=options.command == REQUEST, trust=options.trust)
    return write_inventory(found, options.output) if options.output else found


def _given(options: argparse.Namespace) -> Dict[str, Any]:
    """What unpack and install have in common."""
    return {
        "state": options.state,
        "allow_rollback": options.allow_rollback,
        "volumes": options.volumes,
        "bases": options.base,
    }


# Options


class _Parser(argparse.ArgumentParser):
    """Whose complaints are errors like all others."""

    def error(self, message: str) -> NoReturn:
        raise UsageError("%s." % (message[:1].upper() + message[1:]), hint="See: %s --help" % self.prog)


def _parser(name: str) -> _Parser:
    examples = _EXAMPLES.format(name=name)
    parser = _new_parser(
        None, "python3 %s" % name, "Verify and install this bundle. Needs no network and nothing but Python 3.6.", examples
    )
    parser.set_defaults(command=None)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(command: str, help_text: str, run: Any) -> argparse.ArgumentParser:
        added = _new_parser(subparsers, command, help_text, _examples_of(command, examples))
        added.set_defaults(run=run)
        added.add_argument("--json", action="store_true", help="print one JSON document on standard output, errors too")
        added.add_argument("--quiet", action="store_true", help="print nothing but errors")
        return added

    inspect = add("inspect", "Show what the bundle says of itself; verifies nothing.", _run_inspect)
    verify = add("verify", "Check the signature and every byte.", _run_verify)
    _add_trust(verify)
    verify.add_argument("--deep", action="store_true", help="also rebuild and check each wheel, in the temporary directory")
    unpack = add("unpack", "Write the wheels and the locks to a directory.", _run_unpack)
    _add_trust(unpack)
    _add_rollback(unpack)
    _add_exact(unpack)
    unpack.add_argument("directory", metavar="DIR", help="must not exist, or be empty")
    unpack.add_argument(
        "--target",
        metavar="TARGET",
        action="append",
        default=[],
        help="may be given several times; all: every target; default: the one that fits this Python best",
    )
    install = add("install", "Install into an environment of its own, in one step or not at all.", _run_install)
    _add_trust(install)
    _add_rollback(install)
    _add_exact(install)
    _add_places(install)
    for each in (inspect, verify, unpack, install):
        each.add_argument(
            "--volumes",
            metavar="PATH",
            action="append",
            default=[],
            help="where other volumes of this bundle lie, if not beside it: a file, or a directory; may be given several times",
        )
    _add_releasing(add)
    _add_inventory(add)
    return parser


def _new_parser(subparsers: Any, name: str, description: str, epilog: str) -> _Parser:
    settings: Dict[str, Any] = {"description": description, "epilog": epilog, "allow_abbrev": False}
    settings["formatter_class"] = argparse.RawDescriptionHelpFormatter
    if subparsers is None:
        return _Parser(prog=name, **settings)
    added: _Parser = subparsers.add_parser(name, help=description, **settings)
    return added


def _add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust",
        metavar="STORE",
        help="whom you trust: an OpenSSH allowed_signers file, or a directory with one and a policy.json, that came by another path; "
        "default: %s" % default_place().replace("%", "%%"),
    )
    parser.add_argument(
        "--state", metavar="FILE", help="where this host remembers what was here before; default: %s" % default_path().replace("%", "%%")
    )
    parser.add_argument(
        "--base",
        metavar="PATH",
        action="append",
        default=[],
        help="for a delta: the bundle that it builds on, its volumes, or a directory with its wheels; may be given several times",
    )


def _add_rollback(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-rollback", metavar="REASON", default="", help="take a bundle that is older than one of its channel that was here; recorded"
    )


def _add_releasing(add: Callable[[str, str, Any], argparse.ArgumentParser]) -> None:
    """What there is to do with releases once they are installed."""
    releases = add("list", "List the releases below a prefix.", _run_list)
    rollback = add("rollback", "Go back to the release that was in use before.", _run_rollback)
    rollback.add_argument("--to", metavar="RELEASE", help="go to this one: its name, or the version of its bundle")
    gc = add("gc", "Take old releases away.", _run_gc)
    gc.add_argument("--keep", metavar="N", type=int, default=KEPT, help="how many stay, the one in use counted; default: %d" % KEPT)
    for each in (releases, rollback, gc):
        each.add_argument("--prefix", metavar="DIR", required=True, help="what `install --prefix` was given")


def _add_inventory(add: Callable[[str, str, Any], argparse.ArgumentParser]) -> None:
    """What there is to tell of a host."""
    for name, help_text in ((INVENTORY, "Tell what is here, as JSON."), (REQUEST, "The same, and what this host is: for the next delta.")):
        added = add(name, help_text, _run_inventory)
        added.add_argument("paths", metavar="PATH", nargs="*", help="bundles and directories of bundles or wheels that are kept here")
        added.add_argument("--prefix", metavar="DIR", help="what `install --prefix` was given")
        added.add_argument("--venv", metavar="DIR", help="what `install --venv` was given")
        added.add_argument("--trust", metavar="STORE", help="require that each receipt is signed by somebody of this trust store")
        added.add_argument("-o", "--output", metavar="FILE", help="write it there; default: standard output")


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--venv", metavar="DIR", help="a virtual environment: new, or in place of one that was installed here before")
    parser.add_argument("--prefix", metavar="DIR", help="releases side by side in DIR/releases, of which DIR/current is the one in use")
    parser.add_argument(
        "--python", metavar="EXE", help="the environment of this Python, as it is: not in one step, but undone when it fails"
    )
    parser.add_argument("--keep", metavar="N", type=int, help="with --prefix: take away all releases but the newest N")
    parser.add_argument("--target", metavar="TARGET", help="default: the one that fits the Python best")
    parser.add_argument("--with-python", metavar="EXE", help="make the environment of this Python; default: of the one that runs this")
    parser.add_argument(
        "--engine",
        metavar="ENGINE",
        default=DEFAULT_ENGINE,
        help="pip: the bundle's own pip installs; host-pip: that of this host, from 20.3 on; direct: without any, faster, same result; "
        "default: %(default)s",
    )
    parser.add_argument("--no-compile", action="store_true", help="do not byte-compile: Python does so when it imports, if it may write")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    parser.add_argument("--no-imports", action="store_true", help="do not import each module to see whether it can be")
    parser.add_argument("--sign-receipt", metavar="KEY", help="sign the receipt with this key of OpenSSH's, by this host's ssh-keygen")


def _add_exact(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--exact",
        action="store_true",
        help="refuse where this Python's zlib cannot make each wheel again byte for byte, instead of writing the same content otherwise",
    )


def _examples_of(command: str, examples: str) -> str:
    """The examples of one command."""
    lines = examples.splitlines()
    return "\n".join([lines[0]] + [line for line in lines[1:] if " %s" % command in line and line.startswith("  ")])


# Output


def _progress(options: argparse.Namespace) -> Progress:
    if options.quiet or sys.stderr is None or not sys.stderr.isatty() or os.name == "nt":
        return NoProgress()
    return TerminalProgress(sys.stderr)


def _understood(error: Exception) -> WheelhouseError:
    """``error`` as one that a user can understand."""
    if isinstance(error, WheelhouseError):
        return error
    if isinstance(error, MemoryError):
        return EnvironmentFailure("This host has not enough memory for it.", hint="Free some, or raise the limit (ulimit -v).")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE):
        place = "%s: " % error.filename if error.filename else ""
        return EnvironmentFailure("%s%s." % (place, error.strerror), hint="Mend that on this host and run the same command again.")
    return Defect(
        "This is a defect in wheelhouse: %s: %s" % (type(error).__name__, error),
        hint="Please report it, with what WHEELHOUSE_DEBUG=1 prints.",
    )


def _print_failure(failure: WheelhouseError, *, to_json: bool) -> None:
    try:
        if to_json:
            told = {"name": failure.name, "exit_code": failure.exit_code, "problems": list(failure.problems), "hint": failure.hint}
            _print(sys.stdout, _as_json({"error": told}))
            return
        lines: List[str] = ["error: %s" % problem for problem in failure.problems]
        lines += ["hint: %s" % failure.hint] if failure.hint else []
        _print(sys.stderr, "".join("%s\n" % line for line in lines))
    except BrokenPipeError:
        _close_output()


def _as_json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _print(stream: Optional[TextIO], text: str) -> None:
    """Write ``text``; what the stream's encoding lacks (Python 3.6 in the C locale) is escaped."""
    if stream is None:
        return
    encoding = stream.encoding or "ascii"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _close_output() -> None:
    """Python flushes once more at its end, and would complain then."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(_signal: int, _frame: Any) -> NoReturn:
    """End on SIGTERM as on Ctrl-C, so that nothing half-written stays."""
    raise KeyboardInterrupt
