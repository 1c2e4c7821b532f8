"""The command ``wheelhouse``: its commands, and the one place where an error becomes an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType, ModuleType
from typing import Annotated, NoReturn

import typer

from wheelhouse_builder import __version__
from wheelhouse_builder.cli import (
    bundle,
    gc,
    init,
    inspect,
    install,
    inventory,
    join,
    keygen,
    lock,
    manifest,
    probe,
    recipe,
    repair,
    request,
    rollback,
    sign,
    split,
    targets,
    unpack,
    verifier,
    verify,
)
from wheelhouse_builder.cli import list as list_
from wheelhouse_builder.cli.console import print_failure
from wheelhouse_builder.errors import Defect, EnvironmentFailure, Interrupted, UsageError, WheelhouseError

COMMANDS: tuple[ModuleType, ...] = (
    init,
    targets,
    probe,
    recipe,
    repair,
    keygen,
    lock,
    bundle,
    manifest,
    sign,
    split,
    join,
    inspect,
    verify,
    unpack,
    install,
    list_,
    rollback,
    gc,
    inventory,
    request,
    verifier,
)
"""Each module is one command: a function ``command`` and its ``EXAMPLES``, in the order of the work."""

_MENDED_BY = {
    errno.ENOSPC: "make room on the disk, then run the same command again: what was fetched is kept",
    errno.EDQUOT: "make room in your quota, then run the same command again: what was fetched is kept",
    errno.EROFS: "choose a place that is not read-only",
    errno.EACCES: "choose a place that you may write to, or run as its owner",
    errno.EPERM: "choose a place that you may write to, or run as its owner",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.EIO: "the disk failed: look at the system's log",
}
"""The failures of this host that a user can mend, and how."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is that of the table in the README."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(arguments or ["--help"])
    except Exception as error:  # noqa: BLE001 # whatever it is, the user gets a sentence
        if os.environ.get("WHEELHOUSE_DEBUG") == "1":
            traceback.print_exc()
        failure = _understood(error)
    except KeyboardInterrupt:
        failure = Interrupted("interrupted", hint="run the same command again: it goes on with what is already in the store")
    print_failure(failure, to_json="--json" in arguments)
    if argv is None and failure.exit_code == Interrupted.exit_code:
        _leave(failure.exit_code)
    return failure.exit_code


def _leave(exit_code: int) -> NoReturn:
    """End the process now. Python itself would wait for threads that wait for an index; all that had to be cleaned up is."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _run(arguments: list[str]) -> int:
    """Let typer find the command and run it. Its own error reports and exits stay off."""
    done = typer.main.get_command(app).main(arguments, prog_name="wheelhouse", standalone_mode=False)
    if done == Interrupted.exit_code:  # typer turned a KeyboardInterrupt into this
        raise KeyboardInterrupt
    return done if isinstance(done, int) else 0


def _understood(error: Exception) -> WheelhouseError:
    """``error`` as one that a user can understand."""
    match error:
        case WheelhouseError():
            return error
        case typer.TyperException(exit_code=UsageError.exit_code):
            return _usage(error)
        case typer.Abort():
            return Interrupted("interrupted")
        case OSError(errno=int(number)) if number in _MENDED_BY:
            where = f"{error.filename}: " if error.filename else ""
            return EnvironmentFailure(f"{where}{os.strerror(number)}", hint=_MENDED_BY[number])
        case _:
            return Defect(
                f"this is a defect in wheelhouse: {type(error).__name__}: {error}",
                hint="please report it, with what WHEELHOUSE_DEBUG=1 prints",
            )


def _usage(error: typer.TyperException) -> UsageError:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "wheelhouse"
    return UsageError(error.format_message(), hint=f"`{command} --help` shows how to use it")


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End on SIGTERM as on Ctrl-C, so that nothing half-written stays."""
    raise KeyboardInterrupt


def _version(wanted: bool) -> None:  # noqa: FBT001 # typer calls it so
    if wanted:
        typer.echo(f"wheelhouse {__version__}")
        raise typer.Exit


def _about(
    *,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Python software across an air gap, in one signed file."""


def _examples(text: str) -> str:
    """Examples as the help shows them: line by line, not as a paragraph."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in text.strip().splitlines())


app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=_examples(
        """
wheelhouse keygen
wheelhouse init
wheelhouse bundle -o acme-web-2026.11.whb
python3 acme-web-2026.11.whb install --venv /opt/acme --trust allowed_signers
"""
    ),
)
app.callback()(_about)
for _module in COMMANDS:
    app.command(_module.__name__.rpartition(".")[2], epilog=_examples(_module.EXAMPLES))(_module.command)
