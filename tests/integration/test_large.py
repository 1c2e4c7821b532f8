"""Bundles beyond 4 GiB, on each CPython from 3.6 on; sparse files, so that they cost no disk."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import OURS, Document, Draft, distribution, write_trust
from tests.support.handmade import bundle_for, host_of
from tests.support.pip import bundled_pip
from tests.support.pythons import cpythons
from tests.support.wheels import make_wheel
from wheelhouse_builder.runtime.host import Host
from wheelhouse_builder.runtime.layout import CHUNK_SIZE

GAP = 1 << 32
"""Bytes before the frame that a target needs: what 32 bits cannot say."""
HUGE = "huge-1.0-py3-none-any.whl"
"""A wheel that no target here needs; its frame is the gap."""
HUGE_SIZE = 5 << 32


def large_bundle(directory: Path, host: Host) -> Path:
    """A bundle whose first frame is :data:`GAP` NUL bytes that nobody needs; the wheels for ``host`` lie behind."""
    wheel = make_wheel(directory, "demo", "1.0", files={"demo/__init__.py": "answer = 42\n"})
    path = directory / "large.whb"
    with path.open("wb") as file:
        file.seek(GAP)
        file.write(with_gap(bundle_for(host, [wheel], bundled_pip())).signed(OURS))
    return path


def with_gap(draft: Draft) -> Draft:
    """The same with the gap as its first frame, which the payload lacks yet."""
    entry = f"wheels/{HUGE}"

    def change(document: Document) -> None:
        huge = distribution(HUGE, b"") | {"size": HUGE_SIZE, "targets": [], "bootstrap": True}
        document["distributions"] = sorted([*document["distributions"], huge], key=lambda each: each["filename"])
        chunk = hashlib.sha256(bytes(CHUNK_SIZE)).hexdigest()
        gap = {"size": GAP, "entries": [[entry, HUGE_SIZE]]}
        document["transport"]["frames"].insert(0, gap | {"chunks": [chunk] * (GAP // CHUNK_SIZE)})

    return draft.changed(change)


def run(python: Path, *arguments: str | Path, expect: int = 0) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-B", *arguments, "--json"], stdin=subprocess.DEVNULL, capture_output=True, check=False, encoding="utf-8"
    )
    assert done.returncode == expect, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    return report


@pytest.mark.parametrize("version", cpythons())
def test_each_python_runs_and_unpacks_it(version: str, tmp_path: Path) -> None:
    python = cpythons()[version]
    bundle, trust = large_bundle(tmp_path, host_of(python)), write_trust(tmp_path, OURS)
    assert run(python, bundle, "inspect")["bundle"]["size"] > GAP
    run(python, bundle, "unpack", tmp_path / "out", "--trust", trust, "--state", tmp_path / "state.json")
    assert (tmp_path / "out/wheels/demo-1.0-py3-none-any.whl").read_bytes() == (tmp_path / "demo-1.0-py3-none-any.whl").read_bytes()


@pytest.mark.slow
def test_each_byte_is_verified(tmp_path: Path) -> None:
    python = cpythons()["3.11"]
    bundle, trust = large_bundle(tmp_path, host_of(python)), write_trust(tmp_path, OURS)
    options = ("verify", "--trust", trust, "--state", tmp_path / "state.json")
    assert run(python, bundle, *options)["verified"] is True
    with bundle.open("r+b") as file:
        file.seek(GAP - 1)
        file.write(b"x")
    assert str(GAP - CHUNK_SIZE) in run(python, bundle, *options, expect=11)["error"]["problems"][0]
