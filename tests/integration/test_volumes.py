"""Volumes as their user meets them: on media, under the oldest and the newest Python, without a network."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from random import Random

import pytest

from tests.support.bundles import OURS, write_trust
from tests.support.cli import wheelhouse
from tests.support.handmade import bundle_for, host_of
from tests.support.pip import bundled_pip
from tests.support.pythons import cpythons
from tests.support.wheels import make_wheel

OLDEST, *_, NEWEST = cpythons()


def media_of(folder: Path, version: str) -> list[Path]:
    """A bundle for the Python ``version``, each of its volumes and recovery volumes on a medium of its own."""
    python = cpythons()[version]
    write_trust(folder, OURS)
    data = Random(1).randbytes(1_500_000).hex()  # half of it is noise, so that there are several volumes
    wheel = make_wheel(folder, "demo", "1.0", files={"demo/__init__.py": "x = 1\n" * 2000, "demo/data.txt": data})
    made = bundle_for(host_of(str(python)), [wheel], bundled_pip(python), mode="dense").signed(OURS)
    (folder / "acme.whb").write_bytes(made)
    done = wheelhouse("split", "acme.whb", "--size", "1M", "--recovery", "1", "--json", cwd=folder).document
    (folder / "acme.whb").unlink()
    media = []
    for number, name in enumerate([*done["volumes"], *done["recovery"]]):
        media.append(folder / f"medium{number}" / name)
        media[-1].parent.mkdir()
        (folder / name).rename(media[-1])
        media[-1].chmod(0o400)
    assert len(done["volumes"]) > 2
    return media


def offline(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["unshare", "-rn", *map(str, command)], cwd=cwd, capture_output=True, encoding="utf-8", check=False)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("last_is_lost", [False, True])
def test_volumes_install_where_they_lie(tmp_path: Path, version: str, last_is_lost: bool) -> None:
    media = media_of(tmp_path, version)
    lost, run = (media[-2], media[-1]) if last_is_lost else (media[0], media[-2])
    lost.unlink()
    others = [part for path in media if path not in (lost, run) for part in ("--volumes", path.parent)]
    done = offline(cpythons()[version], run, "install", "--venv", "v", "--trust", "allowed_signers", "--json", *others, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["bundle"]["volumes"]["recovered"]) == 1
    assert offline(tmp_path / "v/bin/python", "-c", "import demo; print(demo.x)", cwd=tmp_path).stdout == "1\n"


def test_the_last_volume_says_what_is_missing(tmp_path: Path) -> None:
    media = media_of(tmp_path, NEWEST)
    done = offline(cpythons()[NEWEST], media[-2], "verify", "--trust", "allowed_signers", cwd=tmp_path)
    assert done.returncode == 11
    assert "error: Volume 1 of" in done.stderr
    assert "--volumes" in done.stderr


def test_the_command_reads_joins_and_names_volumes(tmp_path: Path) -> None:
    media = media_of(tmp_path, NEWEST)
    others = [part for path in media[1:] for part in ("--volumes", str(path))]
    trust = ("--trust", "allowed_signers")
    assert "volumes" in wheelhouse("verify", media[0], *others, *trust, cwd=tmp_path).stdout
    wheelhouse("unpack", media[0], "unpacked", "--target", "all", *others, *trust, cwd=tmp_path)
    assert (tmp_path / "unpacked/wheels").is_dir()
    wheelhouse("join", media[0], *others, "-o", "again.whb", cwd=tmp_path)
    wheelhouse("verify", "again.whb", "--deep", *trust, cwd=tmp_path)
    refused = wheelhouse("inspect", media[0], "--json", cwd=tmp_path, expect=11).error
    assert refused["problems"][0] == f"Volume 2 of {int(media[0].name[-2:])} is missing."
