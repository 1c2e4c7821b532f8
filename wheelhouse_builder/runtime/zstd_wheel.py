"""The zstd decoder that a bundle carries for this Python: one compiled module, out of an archive of them (FORMAT.md, section 3).

The archive is a tar in xz, because what the decoders of several Pythons share is nearly everything. Where this Python lacks lzma,
there is no carried decoder, and the next one has its turn.
"""

import importlib.machinery
import importlib.util
import io
import os
import platform
import re
import sys
import sysconfig
import tarfile
import tempfile
from types import ModuleType
from typing import Dict, Iterator, Optional

from .errors import BundleRefused

MODULES = {"backports_zstd": "backports.zstd", "pyzstd": "pyzstd"}
"""The decoders that a bundle may carry: first part of the wheel's file name, and the name for people."""
UNPACKED_LIMIT = 64 << 20
"""Bytes; no archive comes near."""

_FILENAME = re.compile(r"([a-z0-9_]+)-[^-]+(?:-\d[^-]*)?-([^-]+)-[^-]+-([^-]+)\.whl", re.ASCII)
_COMPILED = re.compile(r"_zstd\.[A-Za-z0-9_.-]*(?:so|pyd)", re.ASCII)
"""The module's file. The library's own name for it stays, for its initial function bears that name."""

_loaded: Dict[str, ModuleType] = {}
"""By name. A module with compiled parts can be loaded once in a process."""


def load(archive: bytes, scratch: str) -> Iterator[ModuleType]:
    """The decoders in ``archive`` that fit this interpreter and can be imported.

    Each is written to a directory of its own below ``scratch`` when its turn comes. Raises BundleRefused, if the archive is malformed.
    """
    for filename, files in sorted(_fitting(archive).items()):
        name = MODULES[filename.split("-")[0]]
        if name not in _loaded:
            module = _import(name, files, tempfile.mkdtemp(prefix="decoder-", dir=scratch))  # mode 0700
            if module is None:
                continue
            _loaded[name] = module
        yield _loaded[name]


def _fitting(archive: bytes) -> Dict[str, Dict[str, bytes]]:
    """By wheel, the compiled modules that may run here, each under its file name."""
    found: Dict[str, Dict[str, bytes]] = {}
    content = _decompressed(archive)
    if content is None:
        return found
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                wheel, _, path = member.name.partition("/")
                name = path.rpartition("/")[2]
                if member.isfile() and _fits(wheel) and _COMPILED.fullmatch(name):
                    file = tar.extractfile(member)
                    found.setdefault(wheel, {})[name] = file.read() if file else b""
    except (tarfile.TarError, ValueError, OSError, EOFError) as error:
        raise _refused("it is not a whole tar archive: {}".format(error)) from error
    return found


def _decompressed(archive: bytes) -> Optional[bytes]:
    """What the xz file ``archive`` holds; None, if this Python has no lzma."""
    try:
        import lzma  # noqa: PLC0415 # a Python that was built without liblzma lacks it
    except ImportError:
        return None
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    try:
        content = decompressor.decompress(archive, UNPACKED_LIMIT)
    except lzma.LZMAError as error:
        raise _refused("it is not a whole xz file: {}".format(error)) from error
    if not decompressor.eof or decompressor.unused_data:
        raise _refused("it is cut off, or holds more than it may")
    return content


# Which wheel


def _fits(filename: str) -> bool:
    """Whether the tags of the wheel ``filename`` say that what it holds may run here.

    Only Python, operating system and machine are compared. A libc or a macOS that is too old shows when the module is imported.
    """
    found = _FILENAME.fullmatch(filename)
    if found is None:
        return False
    project, pythons, platforms = found.groups()
    return project in MODULES and _python_tag() in pythons.split(".") and any(_is_this_platform(tag) for tag in platforms.split("."))


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


# The import


def _import(name: str, files: Dict[str, bytes], directory: str) -> Optional[ModuleType]:
    """The module in one of ``files``, written to ``directory``; None if it is not for this host after all."""
    for filename, content in sorted(files.items()):
        path = os.path.join(directory, filename)
        with open(path, "xb") as file:
            file.write(content)
        module = _import_from(name, path)
        if module is not None:
            return module
    return None


def _import_from(name: str, path: str) -> Optional[ModuleType]:
    """The compiled module at ``path``, without a look at sys.path and without a place in sys.modules."""
    full_name = "wheelhouse_carried.{}._zstd".format(name)
    spec = importlib.util.spec_from_file_location(full_name, path, loader=importlib.machinery.ExtensionFileLoader(full_name, path))
    if spec is None or spec.loader is None:
        return None
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except Exception:  # noqa: BLE001 - a libc too old, another Python: each says so in its own way
        return None
    module.__name__ = name
    return module


def _refused(what: str) -> BundleRefused:
    return BundleRefused("The archive of zstd decoders is refused: {}.".format(what), hint="The bundle was packed wrongly: make it anew.")
