"""Passphrases: typed on a terminal, unseen, or read from a file descriptor. Never in an argument, in the environment or in a log."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from wheelhouse_builder.adapters.keys import AskPassphrase
from wheelhouse_builder.errors import KeyFailure, UsageError

_MOST_BYTES = 1024


def new_passphrase(descriptor: int | None, *, wanted: bool) -> bytes | None:
    """The passphrase of a key that is to be made: from ``descriptor``, or typed twice if ``wanted``; else none.

    Raises KeyFailure, UsageError.
    """
    if descriptor is not None:
        return _read(descriptor)
    if not wanted:
        return None
    first = _type("Passphrase: ")
    if _type("Once more:  ") != first:
        raise KeyFailure("the two passphrases differ", hint="run the same command again")
    return first


def passphrase_from(descriptor: int | None) -> AskPassphrase:
    """How to learn the passphrase of a key that is there: from ``descriptor``, else typed. It serves for all keys of one command."""
    learned: list[bytes] = []

    def ask(path: Path) -> bytes:
        if not learned:
            learned.append(_type(f"Passphrase of {path}: ") if descriptor is None else _read(descriptor))
        return learned[0]

    return ask


def _read(descriptor: int) -> bytes:
    """The first line that ``descriptor`` yields."""
    try:
        with os.fdopen(descriptor, "rb", closefd=descriptor > 2) as file:
            line = file.readline(_MOST_BYTES + 2)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--passphrase-fd {descriptor}: nothing can be read from there", hint="open it, as in: wheelhouse … --passphrase-fd 3 3<FILE"
        ) from error
    return _usable(line.removesuffix(b"\n").removesuffix(b"\r"))


def _type(prompt: str) -> bytes:
    """What is typed on the terminal that this process belongs to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError as error:
        raise KeyFailure(
            "a passphrase is needed, and there is no terminal to ask on", hint="hand it over as in: wheelhouse … --passphrase-fd 3 3<FILE"
        ) from error
    os.close(terminal)  # else getpass would read standard input, and show what is typed
    return _usable(getpass.getpass(prompt).encode())


def _usable(passphrase: bytes) -> bytes:
    if not passphrase or len(passphrase) > _MOST_BYTES:
        raise KeyFailure(f"the passphrase has {'no' if not passphrase else f'more than {_MOST_BYTES}'} bytes", hint="choose another")
    return passphrase
