"""The rehearsal by running where this host is only a guest: another machine, another C library, another system."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import wheelhouse
from tests.support.hosts import debian_root, musl_root, windows

pytestmark = [pytest.mark.network, pytest.mark.slow]


def rehearsed(folder: Path, target: str, root: Path, *requirements: str) -> dict[str, object]:
    """What became of the target in ``root``."""
    spec = f'bundle: elsewhere\nversion: "1"\nrequirements: {list(requirements)}\ntargets: [{target}]\nsign: {{key: key}}\n'
    (folder / "wheelhouse.yaml").write_text(spec)
    wheelhouse("keygen", "--key", "key", cwd=folder)
    options = ("--effort", "fast", "--rehearse", "run", "--root", f"{target}={root}")
    (done,) = wheelhouse("bundle", "-o", "elsewhere.whb", "--json", *options, cwd=folder).document["rehearsed"]
    return dict(done)


def test_arm64_is_emulated(tmp_path: Path) -> None:
    root = debian_root("bookworm", "arm64")
    (root / "mnt").mkdir(exist_ok=True)  # its packages were unpacked alone, and none has it
    done = rehearsed(tmp_path, "cp311-manylinux_2_28_aarch64", root, "numpy", "cryptography", "lxml")
    assert (done["python"], done["wanting"]) == ("/usr/bin/python3.11", [])


@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_musl_runs_from_its_own_root(version: str, tmp_path: Path) -> None:
    requirements = ("numpy", "pandas", "cryptography", "lxml", "grpcio", "psycopg2-binary", "uvicorn[standard]")
    done = rehearsed(tmp_path, f"cp{version.replace('.', '')}-musllinux_1_2_x86_64", musl_root(), *requirements)
    assert (done["python"], done["wanting"]) == (f"/usr/local/bin/python{version}", [])


def test_windows_runs_under_wine(tmp_path: Path) -> None:
    folder = windows("3.12") / "cp312"
    before = sorted(path.name for path in folder.iterdir())
    done = rehearsed(tmp_path, "cp312-win_amd64", folder, "click", "lxml", "markupsafe")
    assert (done["python"], done["wanting"]) == (str(folder / "python.exe"), [])
    assert sorted(path.name for path in folder.iterdir()) == before
