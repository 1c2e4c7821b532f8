"""Source trees as archives: of the same files always the same bytes, whenever, wherever and by whomever they are packed."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from wheelhouse_builder.errors import SpecError

TOP = "source"
"""The outermost directory of each archive."""
SUFFIX = ".tar"
"""Not compressed: what compresses writes other bytes in other versions."""
MOMENT = 315_532_800
"""When every member was changed: in 1980, the first moment that a wheel can name. Dates of checkouts say nothing."""
NEVER = (".git", ".hg", ".svn", "__pycache__", ".venv", ".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache")
"""Names of what lies in a source tree and is no source."""
LFS_POINTER, LFS_SIZE = b"version https://git-lfs.github.com/spec/", 1024
"""How a file begins that stands for one which git-lfs keeps elsewhere, and the size that none of them has (git-lfs, docs/spec.md)."""


def pack_tree(folder: Path, names: Iterable[str] | None = None) -> bytes:
    """The files of ``folder``, or those of them that ``names`` has, as a tar archive. Raises SpecError for what cannot be read."""
    buffer = io.BytesIO()
    try:
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name in sorted(_files(folder) if names is None else names):
                path = folder / name
                if (path.is_symlink() or path.is_file()) and not set(Path(name).parts) & set(NEVER):
                    _add(archive, path, f"{TOP}/{name}")
    except OSError as error:
        raise SpecError(f"{folder} cannot be read: {error}", hint="may whoever runs this read it?") from error
    return buffer.getvalue()


def _files(folder: Path) -> Iterator[str]:
    """All files, without what is installed or was built there."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        junk = {name for name in folders if name in NEVER or name.endswith(".egg-info") or (here / name / "pyvenv.cfg").exists()}
        folders[:] = sorted(set(folders) - junk - ({"build", "dist"} if here == folder else set()))
        links = [name for name in folders if (here / name).is_symlink()]
        yield from ((here / name).relative_to(folder).as_posix() for name in (*files, *links))


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.mtime = MOMENT
    if path.is_symlink():
        member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
        archive.addfile(member)
        return
    data = path.read_bytes()
    if data.startswith(LFS_POINTER) and len(data) < LFS_SIZE:
        lacking = name.removeprefix(f"{TOP}/")
        raise SpecError(f"{lacking} is not there, git-lfs keeps it", hint="name a checkout in which `git lfs pull` was run, or an sdist")
    member.size, member.mode = len(data), 0o755 if path.stat().st_mode & 0o100 else 0o644
    archive.addfile(member, io.BytesIO(data))
