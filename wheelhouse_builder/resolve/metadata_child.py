"""Asks the build backend of the project in this folder what its wheel's METADATA will be (PEP 517); runs where the project would be built.

Arguments: the backend, a folder to write to, then the folders of the project that the backend is imported from.
"""

import importlib
import sys
import zipfile
from pathlib import Path


def main(backend: str, output: str, *path: str) -> None:
    """Write METADATA into the new folder ``output``."""
    sys.path[:0] = [str(Path(folder).resolve()) for folder in path]
    module, _, inner = backend.partition(":")
    hooks = importlib.import_module(module)
    for name in filter(None, inner.split(".")):
        hooks = getattr(hooks, name)
    said = Path(output)
    said.mkdir()
    if hasattr(hooks, "prepare_metadata_for_build_wheel"):
        folder = hooks.prepare_metadata_for_build_wheel(output, None)
        (said / folder / "METADATA").rename(said / "METADATA")
        return
    with zipfile.ZipFile(said / hooks.build_wheel(output, None)) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        (said / "METADATA").write_bytes(wheel.read(name))


if __name__ == "__main__":
    main(*sys.argv[1:])
