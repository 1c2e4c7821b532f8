"""A wheel whose publisher is attested, from the index to the auditor inside: real attestations, verified without a network of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import attested
from tests.support.index import LocalIndex
from tests.support.pip import bundled_pip
from tests.support.workplace import Workplace, this_target, workplace


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    folder = tmp_path_factory.mktemp("attested")
    shelf = folder / "shelf"
    shelf.mkdir()
    shutil.copy(attested.PATH, shelf)
    shutil.copy(bundled_pip(), shelf)
    with LocalIndex(shelf, provenance={attested.FILENAME: attested.DOCUMENT}) as index:
        yield workplace(folder / "work", index)


def ask(place: Workplace, attestations: str) -> None:
    place.write_spec(requirements=[f"{attested.PROJECT}=={attested.VERSION}"], targets=[this_target()])
    spec = place.folder / "wheelhouse.yaml"
    spec.write_text(spec.read_text() + f"attestations: {attestations}\n")


def test_who_published_it_is_told_at_each_step_and_what_was_attested_arrives(place: Workplace) -> None:
    ask(place, f'{{"*": offered, {attested.PROJECT}: {attested.PUBLISHER.rpartition("/")[0]}}}')
    made = place.run("bundle", "-o", "a.whb", "--json").document
    assert made["attested"] == [{"filename": attested.FILENAME, "publisher": attested.PUBLISHER}]
    assert f"{attested.PUBLISHER}: {attested.PROJECT} {attested.VERSION}" in place.run("inspect", "a.whb").stdout
    place.run("verify", "a.whb", "--trust", "key.allowed_signers", "--deep")
    place.run("unpack", "a.whb", "out", "--trust", "key.allowed_signers")
    assert (place.folder / f"out/attestations/{attested.FILENAME}.json").read_bytes() == attested.DOCUMENT


def test_another_publisher_than_the_spec_names_stops_the_bundle(place: Workplace) -> None:
    ask(place, f"{{{attested.PROJECT}: github.com/acme/other}}")
    told = place.run("bundle", "-o", "other.whb", expect=7).stderr
    assert f"it was published by {attested.PUBLISHER}, and the spec wants github.com/acme/other" in told
    assert not (place.folder / "other.whb").exists()


def test_without_the_extra_a_spec_that_asks_is_refused_before_anything_is_fetched(place: Workplace, tmp_path: Path) -> None:
    ask(place, "offered")
    (tmp_path / "sigstore").mkdir()
    (tmp_path / "sigstore/__init__.py").write_text("raise ImportError('not installed')\n")
    before = len(place.index.requests)
    ended = place.run("bundle", "-o", "none.whb", "--json", expect=9, env={"PYTHONPATH": str(tmp_path)})
    error = json.loads(ended.stdout)["error"]
    assert error["problems"] == ["the spec asks for attestations, and nothing here can verify them"]
    assert "pip install 'wheelhouse-builder[attestations]'" in error["hint"]
    assert len(place.index.requests) == before
    ask(place, "off")
    place.run("bundle", "-o", "off.whb", env={"PYTHONPATH": str(tmp_path)})
