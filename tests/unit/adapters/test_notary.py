"""The notary finds real attestations good, and everything else not; without what it needs it says so, and nothing passes."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from tests.support import attested
from tests.support.attested import FORGED, MALFORMED
from wheelhouse_builder.adapters.notary import Notary
from wheelhouse_builder.errors import EnvironmentFailure


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sigstore lays its roots of trust there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def no_network(*_: object) -> None:
    raise AssertionError("it reached for the network")


def test_real_attestations_hold_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", no_network)
    notary = Notary()
    assert notary.problem(attested.DOCUMENT, attested.FILENAME, attested.SHA256) is None
    assert notary.problem(attested.OF_ANOTHER_FILE, "pypi_attestations-0.0.19.tar.gz", attested.ANOTHER_SHA256) is None


def test_an_attestation_is_none_of_another_file() -> None:
    notary = Notary()
    assert "digest" in (notary.problem(attested.DOCUMENT, attested.FILENAME, "0" * 64) or "")
    assert "name" in (notary.problem(attested.DOCUMENT, "evil-1.0-py3-none-any.whl", attested.SHA256) or "")


def test_what_was_forged_or_is_malformed_is_told_in_one_line() -> None:
    notary = Notary()
    for name, document in {**FORGED, **MALFORMED}.items():
        if name == "two publishers":
            continue  # of which each must be real, and the notary would not mind
        if name == "a key twice":
            continue  # of which this library takes the last
        problem = notary.problem(document, attested.FILENAME, attested.SHA256)
        assert problem, name
        assert "\n" not in problem, name


def test_without_the_extra_it_is_refused_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypi_attestations", None)
    with pytest.raises(EnvironmentFailure, match="nothing here can verify them") as caught:
        Notary()
    assert "wheelhouse-builder[attestations]" in caught.value.hint


def test_without_roots_of_trust_it_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(EnvironmentFailure, match="no roots of trust"):
        Notary()
