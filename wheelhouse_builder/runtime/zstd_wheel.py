"""The zstd decoder that a bundle carries for this Python: a wheel, unpacked into a private directory and imported from there."""

import importlib
import io
import os
import platform
import re
import struct
import sys
import sysconfig
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from types import ModuleType
from typing import Dict, Iterator, List, Mapping, Optional

from .errors import BundleRefused

MODULES = {"backports_zstd": "backports.zstd", "pyzstd": "pyzstd"}
"""The decoders that a bundle may carry: first part of the wheel's file name, and the module to import."""
UNPACKED_LIMIT = 64 << 20
"""Bytes; no decoder comes near."""

_FILENAME = re.compile(r"(?:decoders/)?([a-z0-9_]+)-[^-]+(?:-\d[^-]*)?-([^-]+)-[^-]+-([^-]+)\.whl", re.ASCII)
_MEMBER = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.+-]*/)+[A-Za-z0-9_][A-Za-z0-9_.+-]*", re.ASCII)

_loaded: Dict[str, ModuleType] = {}
"""By name. A module with compiled parts can be loaded once in a process."""


def load(wheels: Mapping[str, bytes], scratch: str) -> Iterator[ModuleType]:
    """The decoders among ``wheels`` that fit this interpreter and can be imported.

    Each is unpacked into a directory of its own below ``scratch`` when its turn comes.
    Errors: BundleRefused, if a fitting wheel is malformed.
    """
    for filename in sorted(wheels):
        name = _fitting_module(filename)
        if name is None:
            continue
        if name not in _loaded:
            directory = tempfile.mkdtemp(prefix="decoder-", dir=scratch)  # mode 0700
            _unpack(filename, wheels[filename], name, directory)
            module = _import_from(directory, name)
            if module is None:
                continue
            _loaded[name] = module
        yield _loaded[name]


# Which wheel


def _fitting_module(filename: str) -> Optional[str]:
    """The module that the wheel ``filename`` holds, if its tags say that it may run here.

    Only Python, operating system and machine are compared. A libc or a macOS that is too old shows when the module is imported.
    """
    found = _FILENAME.fullmatch(filename)
    if found is None:
        return None
    project, pythons, platforms = found.groups()
    if _python_tag() not in pythons.split(".") or not any(_is_this_platform(tag) for tag in platforms.split(".")):
        return None
    return MODULES.get(project)


def _python_tag() -> str:
    short = {"cpython": "cp", "pypy": "pp"}.get(sys.implementation.name, sys.implementation.name)
    return "{}{}{}".format(short, *sys.version_info[:2])


def _is_this_platform(tag: str) -> bool:
    if sys.platform == "win32":
        return tag == re.sub(r"\W", "_", sysconfig.get_platform())
    machine = platform.machine()
    if sys.platform == "darwin":
        return tag.startswith("macosx_") and tag.endswith(("_" + machine, "_universal2"))
    return tag.startswith("manylinux" if _has_glibc() else "musllinux") and tag.endswith("_" + machine)


def _has_glibc() -> bool:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") is not None
    except (OSError, ValueError):  # another libc does not know the name
        return False


# Unpacking it, and the import


def _unpack(filename: str, content: bytes, name: str, directory: str) -> None:
    """Write the files of the package ``name`` that the wheel holds, and nothing else of it, below ``directory``."""
    prefix = name.replace(".", "/") + "/"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as wheel:
            members = [member for member in wheel.infolist() if member.filename.startswith(prefix) and not member.filename.endswith("/")]
            _check(filename, members)
            for member in members:
                _write(directory, member.filename, wheel.read(member))
    except (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise _refused(filename, "it is not a whole ZIP archive: {}".format(error)) from error
    if "." in name:  # a package with an __init__.py goes before any namespace package of its name (PEP 420)
        _write(directory, _top(name) + "/__init__.py", b"")


def _check(filename: str, members: List[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    strange = [name for name in names if not _MEMBER.fullmatch(name)]
    if strange:
        raise _refused(filename, "it holds a file named {!r}".format(strange[0]))
    if len({name.lower() for name in names}) < len(names):
        raise _refused(filename, "two of its files have the same name")
    if sum(member.file_size for member in members) > UNPACKED_LIMIT:
        raise _refused(filename, "it unpacks to more than {} bytes".format(UNPACKED_LIMIT))


def _refused(filename: str, what: str) -> BundleRefused:
    return BundleRefused(
        "{}: the zstd decoder is refused: {}".format(filename, what), hint="The bundle was packed from a broken wheel: make it anew."
    )


def _write(directory: str, path: str, content: bytes) -> None:
    target = os.path.join(directory, *path.split("/"))
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    with open(target, "xb") as file:
        file.write(content)


def _import_from(directory: str, name: str) -> Optional[ModuleType]:
    """The module ``name`` from ``directory``, or None if it is not for this host after all."""
    with _first_on_path(directory, _top(name)):
        try:
            return importlib.import_module(name)
        except Exception:  # noqa: BLE001 - a libc too old, another Python: each says so in its own way
            return None


def _top(name: str) -> str:
    return name.partition(".")[0]


@contextmanager
def _first_on_path(directory: str, package: str) -> Iterator[None]:
    """Let ``package`` be looked for in ``directory`` first, also if one of that name is loaded already."""
    importlib.invalidate_caches()
    sys.path.insert(0, directory)
    loaded = sys.modules.get(package)
    if loaded is not None:
        loaded.__path__ = [os.path.join(directory, package), *loaded.__path__]
    try:
        yield
    finally:
        sys.path.remove(directory)
