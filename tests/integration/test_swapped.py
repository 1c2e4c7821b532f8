"""Somebody exchanges the bundle, its volumes, the private directory or the directory above it while a bundle is installed from and to them.

At any instant another file or directory may answer to the name. Nothing of it gets in: what is installed is what was signed, or nothing.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.support.installs import Site, said
from wheelhouse_builder.pack.volumes import split
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.runtime.audit import damage
from wheelhouse_builder.runtime.receipt import read_receipt
from wheelhouse_builder.runtime.switch import opened

FOREIGN = b"print('foreign')\n"


class Swapper:
    """A thread that puts something else under names, for an instant, again and again."""

    def __init__(self, home: Path, bundles: list[Path]) -> None:
        self.home, self.bundles = home, bundles
        self.instants = 0
        self._stop = threading.Event()
        self._chance = random.Random(6)
        self._thread = threading.Thread(target=self._run)
        self._aside = home.parent / "aside"
        self._aside.mkdir()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            name = self._chance.choice([*self.bundles, self.home, *self.home.glob(".wheelhouse-*")])
            with contextlib.suppress(FileNotFoundError):  # it went away meanwhile
                self._swap(name)
            time.sleep(self._chance.uniform(0, 0.004))

    def _swap(self, name: Path) -> None:
        """Let something else be ``name`` for an instant."""
        foreign, kept = self._aside / "foreign", self._aside / "kept"
        _make_foreign(foreign, name)
        name.rename(kept)
        try:
            foreign.rename(name)
            time.sleep(self._chance.uniform(0, 0.002))
            self.instants += 1
        finally:
            shutil.rmtree(self._aside / "thrown", ignore_errors=True)
            if name.exists():
                name.rename(self._aside / "thrown")
            kept.rename(name)
            if (self._aside / "thrown").is_file():
                (self._aside / "thrown").unlink()


def _make_foreign(foreign: Path, name: Path) -> None:
    """What looks like that which is at ``name``, and is foreign."""
    shutil.rmtree(foreign, ignore_errors=True)
    foreign.unlink(missing_ok=True)
    if name.is_file():
        foreign.write_bytes(FOREIGN * 1000)
        return
    inner = foreign / name.name if name.name.startswith(".wheelhouse-") else foreign
    for environment in (inner / "venv", inner / "tree"):
        packages = environment / "lib" / "python3" / "site-packages" / "demo"
        packages.mkdir(parents=True)
        (packages / "__init__.py").write_bytes(FOREIGN)
        (environment / "bin").mkdir()
        (environment / "bin" / "demo").write_bytes(b"#!/usr/bin/env python3\n" + FOREIGN)


def attacked(tmp_path: Path, instants: int) -> tuple[int, int]:
    """Install again and again until so many instants are over; how many installations succeeded, and failed."""
    for name in ("site", "home"):
        (tmp_path / name).mkdir()
    site, home = Site(tmp_path / "site"), tmp_path / "home"
    bulk: dict[str, bytes | str] = {"demo/bulk.bin": random.Random(0).randbytes(600_000)}
    bundles = [Path(site.bundle(version, files=bulk)) for version in ("1.0", "2.0")]
    volumes = [path for bundle in bundles for path in _volumes(bundle)]
    chance = random.Random(instants)
    succeeded = failed = 0
    with Swapper(home, [*bundles, *volumes]) as swapper:
        while swapper.instants < instants:
            chosen = chance.choice([*bundles, volumes[0], volumes[-1]])
            try:
                site.install(str(chosen), venv=str(home / "venv"))
                succeeded += 1
            except Exception:  # noqa: BLE001 # whatever it met
                failed += 1
    _require_nothing_foreign(home)
    return succeeded, failed


def _volumes(bundle: Path) -> list[Path]:
    folder = bundle.with_suffix(".volumes")
    folder.mkdir()
    split(bundle, bundle.stat().st_size - 300_000, folder, recovery=0, reporter=Silent())
    return sorted(folder.iterdir())


def _require_nothing_foreign(home: Path) -> None:
    for path in home.rglob("*"):
        assert path.is_dir() or path.is_symlink() or FOREIGN not in path.read_bytes(), path
    venv = home / "venv"
    if venv.exists():
        receipt = read_receipt(str(venv))
        assert receipt is not None
        with opened(str(venv)) as environment:
            assert damage(environment, receipt) == []
        assert said(venv) in {"demo 1.0\n", "demo 2.0\n"}


def test_a_few_instants(tmp_path: Path) -> None:
    attacked(tmp_path, 60)


@pytest.mark.slow
def test_a_thousand_instants(tmp_path: Path) -> None:
    succeeded, failed = attacked(tmp_path, 1000)
    assert succeeded
    assert failed
