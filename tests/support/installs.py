"""Tiny applications in several versions, as bundles for this host, and where they are installed."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.bundles import OURS, write_trust
from tests.support.handmade import bundle_for
from tests.support.wheels import make_wheel
from wheelhouse_builder.runtime.commands import Destination, Manner, run_install
from wheelhouse_builder.runtime.host import this_host
from wheelhouse_builder.runtime.report import Report

QUICK = Manner(engine="direct", compile=False, imports=False)


class Site:
    """A directory with bundles of an application, and the places that they are installed to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.trust = str(write_trust(directory, OURS))
        self.venv = directory / "venv"
        self.prefix = directory / "prefix"

    def bundle(
        self,
        version: str,
        *,
        files: dict[str, bytes | str] | None = None,
        placed: dict[str, tuple[str, bytes]] | None = None,
        smoke: Sequence[Sequence[str]] = (),
        scripts: dict[str, str] | None = None,
    ) -> str:
        """The bundle of ``version``: its command ``demo`` says which one it is."""
        made = self.directory / "made" / version
        main = f"def main():\n    print('demo {version}')\n"
        members = {"demo/__init__.py": main, **{f"demo-{version}.data/scripts/{name}": text for name, text in (scripts or {}).items()}}
        wheels = [make_wheel(made, "demo", version, files={**members, **(files or {})}, entry_points={"demo": "demo:main"})]
        pip = make_wheel(made, "pip", "26.3", files={"pip/__init__.py": "", "pip/__main__.py": ""})  # content with all that there is
        path = self.directory / f"{version}.whb"
        path.write_bytes(bundle_for(this_host(), wheels, pip, mode="dense", placed=placed, smoke=smoke).signed(OURS))
        return str(path)

    def install(self, bundle: str, *, manner: Manner = QUICK, dry_run: bool = False, **destination: Any) -> Report:
        """Install, by default to ``venv``."""
        where = Destination(**destination) if destination else Destination(venv=str(self.venv))
        return run_install(bundle, where, self.trust, manner, dry_run=dry_run)

    def release(self, bundle: str, *, keep: int | None = None) -> Report:
        """Install as a release below ``prefix``."""
        return self.install(bundle, prefix=str(self.prefix), keep=keep)

    def left(self) -> list[str]:
        """What should have been taken away again."""
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob(".wheelhouse-*"))


def said(environment: Path) -> str:
    """What the application in ``environment`` says."""
    return subprocess.run([environment / "bin" / "demo"], check=True, capture_output=True, encoding="utf-8").stdout
