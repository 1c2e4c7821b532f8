"""Source trees become the same archive wherever and whenever they are packed."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from wheelhouse_builder.errors import SpecError
from wheelhouse_builder.tree import LFS_POINTER, pack_tree


def members(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getnames()


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_neither_order_nor_dates_nor_the_place_count(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", "b.py", "a/c.py"), write(tmp_path / "two", "a/c.py", "b.py")
    os.utime(two / "b.py", (1, 1))
    (two / "b.py").chmod(0o600)
    assert pack_tree(one) == pack_tree(two)
    (two / "b.py").chmod(0o700)
    assert pack_tree(one) != pack_tree(two)


def test_what_was_built_or_installed_there_is_no_source(tmp_path: Path) -> None:
    junk = ("build/lib/x.py", "dist/x.whl", "x.egg-info/PKG-INFO", "x/__pycache__/a.pyc", "venv/pyvenv.cfg", "venv/x.py", ".git/config")
    folder = write(tmp_path / "tree", "x/build/y.py", "setup.py", *junk)
    (folder / "link").symlink_to("x/build")
    assert members(pack_tree(folder)) == ["source/link", "source/setup.py", "source/x/build/y.py"]


def test_names_that_are_given_are_all_unless_they_are_gone(tmp_path: Path) -> None:
    assert members(pack_tree(write(tmp_path, "a.py", "b.py"), ["b.py", "gone.py"])) == ["source/b.py"]


def test_a_file_that_git_lfs_keeps_elsewhere_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path, "a.py", "data/model.bin")
    (folder / "data/model.bin").write_bytes(LFS_POINTER + b"v1\noid sha256:" + b"0" * 64 + b"\nsize 5\n")
    with pytest.raises(SpecError, match=r"^data/model\.bin is not there, git-lfs keeps it"):
        pack_tree(folder)
    (folder / "data/model.bin").write_bytes((LFS_POINTER + b"v1\n").ljust(1024))
    assert len(members(pack_tree(folder))) == 2
