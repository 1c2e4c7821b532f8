"""Decoders: the compiled zstd module of each wheel that a target's Python needs for decompressing, in one archive (FORMAT.md, section 3).

What the decoders of several Pythons share is nearly everything, so together they are hardly larger than one.
"""

from __future__ import annotations

import lzma
import re
import zipfile
from collections.abc import Iterable, Iterator

from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.runtime.layout import TAR_END, tar_header, tar_padding

_CARRIED = re.compile(r"(?:.*/)?_zstd\.[A-Za-z0-9_.-]*(?:so|pyd)|[^/]+\.dist-info/(?:.*/)?LICEN[CS]E[^/]*")
"""The compiled module, and the licences that allow to pass it on. Nothing else of the package is needed for decompressing."""
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 24}]
"""16 MiB hold more decoders than any bundle has targets for, and are all that unpacking takes."""


def decoders_tar(wheels: Iterable[Wheel]) -> bytes:
    """The tar of what is carried of each of ``wheels``, sorted by file name; each file lies in a directory named after its wheel.

    Raises DistributionError for a wheel that holds no decoder.
    """
    entries = ((f"{wheel.filename}/{path}", data) for wheel in wheels for path, data in _carried(wheel))
    return b"".join(tar_header(path, len(data)) + data + bytes(tar_padding(len(data))) for path, data in entries) + TAR_END


def packed(tar: bytes) -> bytes:
    """``tar`` as an xz file."""
    return lzma.compress(tar, lzma.FORMAT_XZ, filters=_FILTERS)


def _carried(wheel: Wheel) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel.path) as archive:
        names = sorted(name for name in archive.namelist() if _CARRIED.fullmatch(name))
        if all(".dist-info/" in name for name in names):
            raise DistributionError(f"{wheel.filename} holds no compiled zstd module", hint="lock another version of it")
        for name in names:
            yield name, archive.read(name)
