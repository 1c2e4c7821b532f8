"""Check 2 with keys of every type: what is good, what refuses, what is passed over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.bundles import OURS, Draft, Key, draft, write_trust
from tests.support.keys import EcdsaKey, MldsaKey, SecurityKey
from wheelhouse_builder.runtime import sshsig
from wheelhouse_builder.runtime.bundle import VerifiedBundle, verify
from wheelhouse_builder.runtime.errors import SignatureRefused
from wheelhouse_builder.runtime.layout import NAMESPACE
from wheelhouse_builder.runtime.policy import read_trust


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return draft(tmp_path_factory.mktemp("draft"))


def check(directory: Path, data: bytes, *trusted: Key) -> VerifiedBundle:
    (directory / "bundle.whb").write_bytes(data)
    return verify(str(directory / "bundle.whb"), read_trust(str(write_trust(directory, *trusted))))


OTHERS = pytest.mark.parametrize("key", [EcdsaKey(1), SecurityKey(1), MldsaKey(1)], ids=["ecdsa", "security key", "ml-dsa"])


@OTHERS
def test_a_signature_by_a_key_of_another_type_is_good(tmp_path: Path, small: Draft, key: Key) -> None:
    with check(tmp_path, small.signed(key), key, OURS) as bundle:
        assert [(each.public_key, each.algorithm) for each in bundle.signers] == [(key.public_key, sshsig.key_type(key.public_key))]


@OTHERS
def test_its_wrong_signature_refuses_though_another_is_good(tmp_path: Path, small: Draft, key: Key) -> None:
    wrong = {sshsig.member_name(key.public_key): key.armored(b"another manifest")}
    with pytest.raises(SignatureRefused, match="is wrong"):
        check(tmp_path, replace(small, control={**small.control, **wrong}).signed(OURS), key, OURS)


@OTHERS
def test_its_signature_for_another_purpose_refuses(tmp_path: Path, small: Draft, key: Key) -> None:
    elsewhere = {sshsig.member_name(key.public_key): key.armored(b"text", namespace="file")}
    with pytest.raises(SignatureRefused, match="is for 'file'"):
        check(tmp_path, replace(small, control={**small.control, **elsewhere}).signed(OURS), key, OURS)


@OTHERS
def test_it_is_passed_over_where_nobody_trusts_it(tmp_path: Path, small: Draft, key: Key) -> None:
    with check(tmp_path, small.signed(OURS, key), OURS) as bundle:
        assert [each.public_key for each in bundle.signers] == [OURS.public_key]
    with pytest.raises(SignatureRefused) as caught:
        check(tmp_path, small.signed(key), OURS)
    assert sshsig.fingerprint(key.public_key) in str(caught.value)


@OTHERS
def test_its_malformed_signature_refuses_though_another_is_good(tmp_path: Path, small: Draft, key: Key) -> None:
    with pytest.raises(SignatureRefused, match="malformed"):
        check(tmp_path, with_malformed_signature(small, key).signed(OURS), key, OURS)


@OTHERS
def test_its_malformed_signature_is_passed_over_where_nobody_trusts_it(tmp_path: Path, small: Draft, key: Key) -> None:
    with check(tmp_path, with_malformed_signature(small, key).signed(OURS), OURS) as bundle:
        assert [each.public_key for each in bundle.signers] == [OURS.public_key]


def with_malformed_signature(made: Draft, key: Key) -> Draft:
    armored = sshsig.encode(key.public_key, NAMESPACE, b"")
    return replace(made, control={**made.control, sshsig.member_name(key.public_key): armored})


def test_a_security_key_that_was_not_touched_refuses(tmp_path: Path, small: Draft) -> None:
    with pytest.raises(SignatureRefused, match="is wrong"):
        check(tmp_path, small.signed(SecurityKey(1, flags=0)), SecurityKey(1))


def with_signature_by_an_unknown_algorithm(made: Draft) -> Draft:
    public_key = sshsig.string(b"ssh-tomorrow") + b"whatever"
    armored = sshsig.encode(public_key, NAMESPACE, b"whatever")
    return replace(made, control={**made.control, sshsig.member_name(public_key): armored})


def test_a_signature_by_an_unknown_algorithm_is_passed_over_beside_a_good_one(tmp_path: Path, small: Draft) -> None:
    with check(tmp_path, with_signature_by_an_unknown_algorithm(small).signed(OURS), OURS) as bundle:
        assert len(bundle.signers) == 1


def test_a_signature_by_an_unknown_algorithm_alone_is_none(tmp_path: Path, small: Draft) -> None:
    with pytest.raises(SignatureRefused, match="no good signature"):
        check(tmp_path, with_signature_by_an_unknown_algorithm(small).signed(), OURS)
