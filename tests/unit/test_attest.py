"""What publishers attest is verified where the spec asks for it, and what does not hold gets no further."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from packaging.utils import NormalizedName, canonicalize_name

from tests.support import attested
from tests.support.attested import FORGED, MALFORMED
from tests.support.contents import held
from tests.support.index import Fault, LocalIndex, failing, missing
from tests.support.wheels import make_wheel
from wheelhouse_builder.adapters.index import IndexClient, Patience
from wheelhouse_builder.adapters.notary import Notary
from wheelhouse_builder.adapters.router import Place, Several
from wheelhouse_builder.attest import attest
from wheelhouse_builder.errors import DistributionError, IndexFailure
from wheelhouse_builder.model.attestations import OFF, OFFERED, REQUIRED, Attestations, Demand
from wheelhouse_builder.model.distribution import Wheel
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.runtime.layout import MAX_ATTESTATIONS


@pytest.fixture(scope="module")
def notary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notary]:
    """With roots of trust of its own, whatever sigstore keeps for this user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield Notary()


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A wheel that is attested, and one that is not."""
    folder = tmp_path / "shelf"
    make_wheel(folder, "plain", "1.0")
    shutil.copy(attested.PATH, folder)
    return folder


def wheels(shelf: Path) -> dict[str, Wheel]:
    return {path.name: held(path) for path in shelf.iterdir()}


def attest_all(index: LocalIndex, notary: Notary, asked: Attestations, fetched: dict[str, Wheel] | None = None) -> dict[str, Wheel]:
    with IndexClient(patience=Patience(attempts=1)) as client:
        offers = Several(client, [Place(url=index.url)])
        return attest(fetched or wheels(index.directory), asked, notary=notary, client=client, offers=offers, reporter=Silent())


def everybody(mode: str) -> Attestations:
    return Attestations(others=Demand(mode=mode))


def one(mode: str, publisher: str = "") -> Attestations:
    return Attestations(projects={wheels_project(): Demand(mode=mode, publisher=publisher)})


def wheels_project() -> NormalizedName:
    return canonicalize_name(attested.PROJECT)


@pytest.mark.parametrize("form", ["html", "json"])
def test_what_an_index_offers_is_verified_and_kept(shelf: Path, notary: Notary, form: Literal["html", "json"]) -> None:
    with LocalIndex(shelf, form=form, provenance={attested.FILENAME: attested.DOCUMENT}) as index:
        found = attest_all(index, notary, everybody(OFFERED))
    assert {name: wheel.attestations for name, wheel in found.items()} == {
        attested.FILENAME: attested.DOCUMENT,
        "plain-1.0-py3-none-any.whl": None,
    }


def test_where_it_is_off_nobody_asks(shelf: Path, notary: Notary) -> None:
    with LocalIndex(shelf, provenance={attested.FILENAME: b"evil"}) as index:
        assert attest_all(index, notary, everybody(OFF)) == wheels(shelf)
        assert attest_all(index, notary, one(OFF)) == wheels(shelf)
        assert not index.requests


def test_what_is_required_and_not_offered_is_refused(shelf: Path, notary: Notary) -> None:
    with LocalIndex(shelf, provenance={attested.FILENAME: attested.DOCUMENT}) as index:
        attest_all(index, notary, one(REQUIRED))
        with pytest.raises(DistributionError, match=r"plain-1\.0-py3-none-any\.whl: the index offers no attestation of it") as caught:
            attest_all(index, notary, everybody(REQUIRED))
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("name", [*MALFORMED, *FORGED])
def test_an_attestation_that_does_not_hold_refuses_the_wheel(shelf: Path, notary: Notary, name: str) -> None:
    with (
        LocalIndex(shelf, provenance={attested.FILENAME: {**MALFORMED, **FORGED}[name]}) as index,
        pytest.raises(DistributionError, match="its attestations are not good: ") as caught,
    ):
        attest_all(index, notary, everybody(OFFERED))
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [attested.FILENAME]
    assert caught.value.hint


@pytest.mark.parametrize("publisher", [attested.PUBLISHER, attested.PUBLISHER.rpartition("/")[0], "circleci.com"])
def test_a_publisher_may_be_named_in_full_or_by_the_beginning_of_its_name(shelf: Path, notary: Notary, publisher: str) -> None:
    with LocalIndex(shelf, provenance={attested.FILENAME: attested.DOCUMENT}) as index:
        assert attest_all(index, notary, one(REQUIRED, publisher))[attested.FILENAME].attestations


@pytest.mark.parametrize(
    "publisher", [attested.PUBLISHER[:-1], attested.PUBLISHER + "/x", "circleci.com/fdd9283f", "github.com/o/r", "circleci"]
)
def test_another_publisher_than_the_spec_names_is_refused(shelf: Path, notary: Notary, publisher: str) -> None:
    with (
        LocalIndex(shelf, provenance={attested.FILENAME: attested.DOCUMENT}) as index,
        pytest.raises(DistributionError, match=f"was published by {attested.PUBLISHER}, and the spec wants {publisher}"),
    ):
        attest_all(index, notary, one(REQUIRED, publisher))


def test_one_that_is_too_long_is_not_read_to_its_end(shelf: Path, notary: Notary) -> None:
    with (
        LocalIndex(shelf, provenance={attested.FILENAME: bytes(100 * MAX_ATTESTATIONS)}) as index,
        pytest.raises(DistributionError, match=f"have more than {MAX_ATTESTATIONS} bytes"),
    ):
        attest_all(index, notary, everybody(OFFERED))


@pytest.mark.parametrize("fault", [missing(), failing(503), failing(403)], ids=lambda fault: str(fault.status))
def test_one_that_is_offered_and_cannot_be_had_is_no_success(shelf: Path, notary: Notary, fault: Fault) -> None:
    with LocalIndex(shelf, provenance={attested.FILENAME: attested.DOCUMENT}) as index:
        index.fault("/integrity/" + attested.FILENAME + "/provenance", fault)
        with pytest.raises(IndexFailure):
            attest_all(index, notary, everybody(OFFERED))


def test_an_index_that_fails_is_not_one_that_offers_nothing(shelf: Path, notary: Notary) -> None:
    with LocalIndex(shelf) as index:
        index.fault("/simple/plain/", failing(503))
        with pytest.raises(IndexFailure):
            attest_all(index, notary, everybody(OFFERED))


def test_a_file_of_this_host_is_no_attestation(shelf: Path, notary: Notary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(attested.DOCUMENT)
    with LocalIndex(shelf, provenance={attested.FILENAME: b""}) as index:
        monkeypatch.setattr(index, "provenance_url", lambda _: secret.as_uri())
        with pytest.raises(DistributionError, match="which no index has"):
            attest_all(index, notary, everybody(OFFERED))


def test_an_attestation_of_a_file_of_the_same_name_with_other_bytes_is_not_taken(shelf: Path, notary: Notary) -> None:
    fetched = wheels(shelf)
    ours = replace(fetched[attested.FILENAME], sha256="0" * 64)
    with LocalIndex(shelf, provenance={attested.FILENAME: attested.DOCUMENT}) as index:
        assert attest_all(index, notary, everybody(OFFERED), {ours.filename: ours})[ours.filename].attestations is None
        with pytest.raises(DistributionError, match="offers no attestation"):
            attest_all(index, notary, everybody(REQUIRED), {ours.filename: ours})


def test_a_notary_that_breaks_down_is_no_success(shelf: Path, notary: Notary, monkeypatch: pytest.MonkeyPatch) -> None:
    import pypi_attestations  # noqa: PLC0415

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(pypi_attestations.Attestation, "verify", broken)
    with (
        LocalIndex(shelf, provenance={attested.FILENAME: attested.DOCUMENT}) as index,
        pytest.raises(DistributionError, match="nobody foresaw this"),
    ):
        attest_all(index, notary, everybody(OFFERED))
