"""What a host holds, from receipts, kept bundles and directories of wheels; and what of that is the base of a delta."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import OURS, draft
from tests.support.wheels import make_wheel
from wheelhouse_builder.errors import UsageError
from wheelhouse_builder.model.probed import probed_target
from wheelhouse_builder.pack.holdings import read_holdings
from wheelhouse_builder.runtime.inventory import run_inventory, write_inventory
from wheelhouse_builder.runtime.receipt import FILENAME
from wheelhouse_builder.runtime.report import as_file, render

SHA = "0" * 64


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A directory with one bundle, of demo and pip, and one wheel that is in none."""
    folder = tmp_path / "kept"
    make_wheel(folder, "Other.Thing", "2.0")
    (folder / "acme.whb").write_bytes(draft(tmp_path / "made").signed(OURS))
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Nothing but a receipt, of a distribution that is nowhere as a file."""
    distribution = {"filename": "gone-1.0-py3-none-any.whl", "project": "gone", "version": "1.0", "sha256": SHA}
    receipt = {
        "receipt": "wheelhouse-receipt",
        "version": 1,
        "bundle": {"name": "acme", "version": "1", "digest": f"sha256:{SHA}"},
        "target": "cp311-linux",
        "environment": str(tmp_path / "venv"),
        "installed": "2026-11-20T12:00:00Z",
        "replaces": None,
        "files": [],
        "distributions": [{**distribution, "record": {"path": "x", "sha256": SHA}}],
    }
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / FILENAME).write_text(json.dumps(receipt))
    return tmp_path / "venv"


def test_what_is_installed_kept_and_lies_in_directories_is_told_apart(kept: Path, environment: Path) -> None:
    found = run_inventory(venv=str(environment), paths=[str(kept)])
    assert [(each["path"], each["bundle"]["name"]) for each in found["environments"]] == [(str(environment), "acme")]
    [bundle] = found["bundles"]
    held = {each["project"]: (each["installed"], each["bundles"], each["wheel"]) for each in found["distributions"]}
    assert held == {
        "demo": (False, [bundle["digest"]], False),
        "gone": (True, [], False),
        "other-thing": (False, [], True),
        "pip": (False, [bundle["digest"]], False),
    }
    [wheel] = kept.glob("*.whl")
    assert [each["sha256"] for each in found["distributions"] if each["wheel"]] == [hashlib.sha256(wheel.read_bytes()).hexdigest()]
    assert "probe" not in found


def test_a_delta_counts_one_bundle_and_the_wheels_beside_it(kept: Path, environment: Path) -> None:
    found = run_inventory(venv=str(environment), paths=[str(kept)])
    holdings = read_holdings(as_file(found).encode(), "web01.json")
    assert holdings is not None
    assert (holdings.name, "sha256:" + holdings.digest) == ("acme-web", found["bundles"][0]["digest"])
    assert {filename.partition("-")[0] for filename, _ in holdings.held} == {"demo", "pip", "other_thing"}


def test_what_is_only_installed_is_no_base(environment: Path) -> None:
    with pytest.raises(UsageError, match="holds nothing as files"):
        read_holdings(as_file(run_inventory(venv=str(environment))).encode(), "web01.json")


def test_directories_alone_are_a_base_that_is_called_after_what_they_hold(kept: Path) -> None:
    (kept / "acme.whb").unlink()
    holdings = read_holdings(as_file(run_inventory(paths=[str(kept)])).encode(), "web01.json")
    assert holdings is not None
    assert (holdings.name, len(holdings.held)) == ("wheels", 1)
    assert holdings.digest.startswith(holdings.version)


def test_a_request_is_a_target_too(kept: Path, tmp_path: Path) -> None:
    found = run_inventory(paths=[str(kept)], request=True)
    told = write_inventory(found, str(tmp_path / "web01.json"))
    assert "1 bundles, 3 distributions of which 3 are here as files" in render(told)
    document = json.loads((tmp_path / "web01.json").read_text())
    assert document["wheelhouse"] == "request"
    assert probed_target(document, name="web01", where="web01.json").name.endswith("-web01")
    assert json.loads(render(found)) == document


def test_a_delta_without_its_base_gives_nothing() -> None:
    listed = [{"filename": "a.whl", "sha256": SHA, "bundles": [f"sha256:{SHA}"], "wheel": False}]
    bundle = {"name": "acme", "version": "1", "digest": f"sha256:{SHA}", "complete": False}
    with pytest.raises(UsageError, match="holds nothing as files"):
        read_holdings(written(bundles=[bundle], distributions=listed), "web01.json")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"version": 2}, "version: must be 1"),
        ({"version": 1, "distributions": []}, "bundles: must be a list"),
        ({"version": 1, "bundles": [], "distributions": [{}]}, r"distributions\[0\].sha256: is missing, or no digest"),
        ({"version": 1, "bundles": [7], "distributions": []}, r"bundles\[0\].name: is missing, or no text"),
    ],
)
def test_a_damaged_document_is_refused_with_the_place(document: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_holdings(written(**document), "web01.json")


def test_what_is_nested_beyond_measure_is_no_document() -> None:
    assert read_holdings(b"[" * 200_000, "web01.json") is None


def test_an_environment_of_somebody_else_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no receipt"):
        run_inventory(venv=str(tmp_path))


def test_a_prefix_without_releases_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no releases below"):
        run_inventory(prefix=str(tmp_path / "mistyped"))


def test_pipes_are_neither_wheels_nor_receipts(kept: Path, environment: Path) -> None:
    before = run_inventory(paths=[str(kept)])
    os.mkfifo(kept / "endless-1.0-py3-none-any.whl")
    assert run_inventory(paths=[str(kept)]) == before
    (environment / FILENAME).unlink()
    os.mkfifo(environment / FILENAME)
    with pytest.raises(UsageError, match="has no receipt"):
        run_inventory(venv=str(environment))


def test_what_was_written_before_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "web01.json"
    write_inventory({"wheelhouse": "inventory"}, str(file))
    first = file.read_bytes()
    with pytest.raises(TypeError):
        write_inventory({"wheelhouse": object()}, str(file))
    assert file.read_bytes() == first
    assert file.stat().st_mode & 0o777 == 0o644
    assert {path.name for path in tmp_path.iterdir()} == {"web01.json"}


def written(**document: object) -> bytes:
    return json.dumps({"wheelhouse": "inventory", "version": 1, **document}).encode()
