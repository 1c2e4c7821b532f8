"""Files that decide what this host believes. Whoever can write one decides in its owner's place, so nobody else may."""

import json
import os
import stat
from typing import Any, Dict, List, Optional, Tuple, Type

from .errors import WheelhouseError

MAX_FILE_SIZE = 1024 * 1024
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_DIGITS = 19
"""Of the longest whole number: 2^63 - 1."""


class Unbelievable(ValueError):
    """The file cannot be read, or cannot be believed; one clause, without the file's name."""


def read_trusted(path: str) -> bytes:
    """The contents of the file at ``path``, which is opened once.

    Raises Unbelievable when others than root and this user may write it, and FileNotFoundError when it is not there.
    """
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        raise Unbelievable("it cannot be read: {}".format(getattr(error, "strerror", None) or error)) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unbelievable("it is not a regular file")
        _require_private(status)
        with os.fdopen(os.dup(descriptor), "rb") as file:
            data = file.read(MAX_FILE_SIZE + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_FILE_SIZE:
        raise Unbelievable("it has more than {} bytes".format(MAX_FILE_SIZE))
    return data


def require_private_directory(path: str) -> None:
    """Raise Unbelievable when others than root and this user may change what lies in the directory ``path``."""
    try:
        _require_private(os.stat(path))
    except OSError as error:
        raise Unbelievable(error.strerror or str(error)) from None


def parse_object(data: bytes) -> Dict[str, Any]:
    """The JSON object in ``data``, whose keys are each there once. Raises Unbelievable."""
    try:
        found = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_int=_integer, parse_float=_no_number, parse_constant=_no_number
        )
    except RecursionError:
        raise Unbelievable("it is nested too deeply") from None
    except Unbelievable:
        raise
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are such
        raise Unbelievable("it is not UTF-8 encoded JSON ({})".format(ascii(str(error)))) from None
    if type(found) is not dict:
        raise Unbelievable("it is no JSON object")
    return found


def because(error: Unbelievable, path: str, failure: Type[WheelhouseError], hint: str) -> WheelhouseError:
    """``error`` as a ``failure`` that a user understands."""
    mended = "Take that right away: chmod go-w {}".format(path) if "others than its owner" in str(error) else hint
    return failure("{}: {}.".format(path, error), hint=mended)


def _require_private(status: os.stat_result) -> None:
    if os.name == "nt":  # there, the mode says nothing of who may write
        return
    if status.st_uid not in (0, os.geteuid()):
        raise Unbelievable(
            "it belongs to user {}, who may write it, and is believed only if it belongs to root or to you".format(status.st_uid)
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Unbelievable("others than its owner may write it (mode {:04o})".format(stat.S_IMODE(status.st_mode)))


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Unbelievable("the key {} is there twice".format(ascii(key)))
        found[key] = value
    return found


def _integer(text: str) -> Optional[int]:
    if len(text) > _DIGITS:  # int() of a million digits takes minutes on Pythons before 3.11
        raise Unbelievable("a number has {} digits".format(len(text)))
    return int(text)


def _no_number(text: str) -> float:
    raise Unbelievable("{} is no whole number".format(text[:32]))
