"""PE: the libraries that a DLL or extension module of Windows imports, read by pefile."""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from pathlib import Path

import pefile

from wheelhouse_builder.repair.code import Code
from wheelhouse_builder.runtime.native import PE

_IMPORTS = [pefile.DIRECTORY_ENTRY[f"IMAGE_DIRECTORY_ENTRY_{kind}"] for kind in ("IMPORT", "DELAY_IMPORT")]


def read_pe(path: Path, machines: frozenset[str]) -> Code:
    """Read the file at ``path``; what pefile raises for a malformed one passes.

    pefile is not asked to close it: that is a full garbage collection, which takes longer than all the rest.
    """
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        image = pefile.PE(data=data, fast_load=True)
        image.parse_data_directories(_IMPORTS, import_dllnames_only=True)
        entries = [*getattr(image, "DIRECTORY_ENTRY_IMPORT", ()), *getattr(image, "DIRECTORY_ENTRY_DELAY_IMPORT", ())]
        libraries = tuple(entry.dll.decode("ascii", "replace").lower() for entry in entries)
    return Code(format=PE, machines=machines, libraries=libraries)
