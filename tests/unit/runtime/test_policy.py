"""The trust store: who counts, who does not, and that every misunderstanding refuses."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import FOREIGN, OURS, Draft, Key, draft, write_trust
from wheelhouse_builder.runtime import policy, sshsig
from wheelhouse_builder.runtime.bundle import verify
from wheelhouse_builder.runtime.errors import BundleRefused, KeyFailure, SignatureRefused
from wheelhouse_builder.runtime.manifest import Manifest, canonical_json, parse_manifest
from wheelhouse_builder.runtime.moments import seconds
from wheelhouse_builder.runtime.policy import Policy, Trust, read_policy, read_trust
from wheelhouse_builder.runtime.trust import AllowedSigner, AllowedSigners, Signer

ANN, ANN_AGAIN, BOB, CAT = OURS, FOREIGN, Key(3), Key(4)
NAMES = {ANN: "ann@example.org", ANN_AGAIN: "ann@example.org", BOB: "bob@example.org", CAT: "cat@example.org"}
NOW = seconds("2026-12-01T00:00:00Z")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return draft(tmp_path_factory.mktemp("made"))


def store(directory: Path, asked: dict[str, Any] | str | None, keys: Sequence[Key] = (ANN, ANN_AGAIN, BOB, CAT)) -> Path:
    """A trust store with ``keys`` and, unless it is None, the policy ``asked``."""
    place = directory / "store"
    place.mkdir(exist_ok=True)
    (place / "allowed_signers").write_text("".join(key.allowed_signers_line(principal=NAMES[key]) for key in keys))
    if asked is not None:
        text = asked if isinstance(asked, str) else json.dumps({"version": 1, **asked})
        (place / "policy.json").write_text(text)
    return place


def signed(made: Draft, directory: Path, *keys: Key) -> str:
    path = directory / "bundle.whb"
    path.write_bytes(made.signed(*keys))
    return str(path)


def fingerprint(key: Key) -> str:
    return sshsig.fingerprint(key.public_key)


# Enough people

ENOUGH: dict[str, tuple[dict[str, Any], Sequence[Key]]] = {
    "one of one": ({}, [ANN]),
    "two of two": ({"threshold": 2}, [ANN, BOB]),
    "two of two, and a second key": ({"threshold": 2}, [ANN, ANN_AGAIN, BOB]),
    "a role by name": ({"roles": {"reviewer": {"required": 1, "holders": ["BOB@example.org"]}}}, [BOB]),
    "a role by key": ({"roles": {"reviewer": {"required": 1, "holders": [fingerprint(BOB)]}}}, [BOB]),
    "two roles, where the only way is the second one tried": (
        {
            "roles": {
                "builder": {"required": 1, "holders": ["ann@example.org", "bob@example.org"]},
                "reviewer": {"required": 1, "holders": ["ann@example.org"]},
            }
        },
        [ANN, BOB],
    ),
    "a role for two": (
        {"roles": {"reviewer": {"required": 2, "holders": ["ann@example.org", "bob@example.org", "cat@example.org"]}}},
        [BOB, CAT],
    ),
    "an algorithm that is asked for": ({"algorithms": ["ssh-ed25519"], "require_algorithms": ["ssh-ed25519"]}, [ANN]),
    "another key is revoked": ({"revoked": {"version": 1, "keys": [fingerprint(BOB)]}}, [ANN, BOB]),
}


@pytest.mark.parametrize("case", ENOUGH)
def test_these_signatures_are_enough(case: str, tmp_path: Path, made: Draft) -> None:
    asked, keys = ENOUGH[case]
    verify(signed(made, tmp_path, *keys), read_trust(str(store(tmp_path, asked)))).close()


TOO_FEW: dict[str, tuple[dict[str, Any], Sequence[Key], str]] = {
    "one of two": ({"threshold": 2}, [ANN], "1 of the 2 people"),
    "two keys of one person": ({"threshold": 2}, [ANN, ANN_AGAIN], "1 of the 2 people"),
    "two of three": ({"threshold": 3}, [ANN, BOB], "2 of the 3 people"),
    "nobody in the role": ({"roles": {"reviewer": {"required": 1, "holders": ["bob@example.org"]}}}, [ANN], "in the role of reviewer"),
    "one person in two roles": (
        {"roles": {role: {"required": 1, "holders": ["ann@example.org", "bob@example.org"]} for role in ("builder", "reviewer")}},
        [ANN, ANN_AGAIN],
        "in the role of reviewer",
    ),
    "one of two in a role": (
        {"roles": {"reviewer": {"required": 2, "holders": ["ann@example.org", "bob@example.org"]}}},
        [BOB],
        "in the role of reviewer",
    ),
    "the only key is revoked": ({"revoked": {"version": 1, "keys": [fingerprint(ANN)]}}, [ANN], "is revoked"),
    "one of two keys is revoked": ({"threshold": 2, "revoked": {"version": 1, "keys": [fingerprint(BOB)]}}, [ANN, BOB], "is revoked"),
    "no algorithm that counts": ({"algorithms": ["mldsa87@wheelhouse"]}, [ANN], "ssh-ed25519 is none of mldsa87@wheelhouse"),
    "half of a hybrid": (
        {"require_algorithms": ["ssh-ed25519", "mldsa87@wheelhouse"]},
        [ANN, BOB],
        "does not count: no signature of type mldsa87@wheelhouse",
    ),
}


@pytest.mark.parametrize("case", TOO_FEW)
def test_these_signatures_are_not_enough(case: str, tmp_path: Path, made: Draft) -> None:
    asked, keys, told = TOO_FEW[case]
    with pytest.raises(SignatureRefused) as caught:
        verify(signed(made, tmp_path, *keys), read_trust(str(store(tmp_path, asked))))
    assert told in str(caught.value)
    assert caught.value.hint


def hybrid(*halves: tuple[str, str]) -> list[Signer]:
    """Good signatures by (principal, type of key)."""
    return [Signer(name, sshsig.string(kind.encode()) + sshsig.string(name.encode())) for name, kind in halves]


def test_both_halves_of_a_hybrid_must_be_the_same_persons() -> None:
    trust = Trust(AllowedSigners("here", ()), Policy(require_algorithms=(sshsig.ED25519, sshsig.MLDSA_87)))
    trust.require_enough(hybrid(("ann", sshsig.ED25519), ("ann", sshsig.MLDSA_87)))
    with pytest.raises(SignatureRefused, match="0 of the 1 people"):
        trust.require_enough(hybrid(("ann", sshsig.ED25519), ("bob", sshsig.MLDSA_87)))


def test_names_in_one_line_are_one_person() -> None:
    trust = Trust(AllowedSigners("here", ()), Policy(threshold=2))
    with pytest.raises(SignatureRefused, match="1 of the 2 people"):
        trust.require_enough(hybrid(("ann,a.smith", "a"), ("A.Smith", "b"), ("ann", "c")))


def test_the_same_key_on_two_lines_is_one_signature() -> None:
    lines = tuple(AllowedSigner(name, OURS.public_key, None, None, None) for name in ("ann", "bob"))
    assert AllowedSigners("here", lines).trusts(OURS.public_key, "n", 0.0) == Signer("ann", OURS.public_key)


# For whom, and when


def problems(made: Draft, asked: Policy, now: float = NOW, **terms: Any) -> list[str]:
    written = {"channel": None, "sequence": None, "audience": [], "not_after": None, **terms}
    manifest = parse_manifest_of(made.changed(lambda document: document.update(policy=written)))
    return Trust(AllowedSigners("here", ()), asked).terms_problems(manifest, now)


def parse_manifest_of(made: Draft) -> Manifest:
    return parse_manifest(canonical_json(made.document))


def test_what_is_bound_to_nothing_is_fine_where_nothing_is_asked(made: Draft) -> None:
    assert problems(made, Policy()) == []


def test_the_channel_must_be_one_of_those_that_are_taken(made: Draft) -> None:
    asked = Policy(channels=("stable", "beta"))
    assert problems(made, asked, channel="beta") == []
    assert problems(made, asked, channel="nightly") == ["It is of the channel 'nightly', this host takes stable, beta."]
    assert problems(made, asked) == ["It is of no channel, this host takes stable, beta."]
    assert problems(made, Policy(), channel="nightly") == []


def test_the_audience_must_be_this_host_and_a_host_that_does_not_know_itself_is_none(made: Draft) -> None:
    assert problems(made, Policy(audience="a"), audience=["a", "b"]) == []
    assert "this host is 'c'" in problems(made, Policy(audience="c"), audience=["a", "b"])[0]
    assert "no policy.json says" in problems(made, Policy(), audience=["a"])[0]
    assert "meant for nobody by name" in problems(made, Policy(audience="a"))[0]


def test_after_its_end_and_beyond_its_age_it_is_refused(made: Draft) -> None:
    assert problems(made, Policy(), not_after="2026-12-01T00:00:00Z") == []
    assert problems(made, Policy(), not_after="2026-11-30T23:59:59Z") != []
    assert problems(made, Policy(max_age_days=12)) == []
    assert problems(made, Policy(max_age_days=11)) != []


def test_without_a_date_there_is_no_age_that_could_be_young_enough(made: Draft) -> None:
    undated = made.changed(lambda document: document.update(as_of=None))
    assert "of no known age" in problems(undated, Policy(max_age_days=1000))[0]


def test_no_clock_is_believed_that_is_older_than_the_bundle(made: Draft) -> None:
    assert problems(made, Policy(), now=0.0, not_after="2026-11-01T00:00:00Z") != []


def test_all_that_is_wrong_is_told_at_once(made: Draft) -> None:
    asked = Policy(channels=("stable",), audience="c", max_age_days=1)
    assert len(problems(made, asked, channel="x", audience=["a"], not_after="2026-11-01T00:00:00Z")) == 4


def test_a_refusal_by_the_policy_is_one_of_the_bundle(tmp_path: Path, made: Draft) -> None:
    with pytest.raises(BundleRefused) as caught:
        verify(signed(made, tmp_path, ANN), read_trust(str(store(tmp_path, {"channels": ["stable"]}))))
    assert caught.value.hint


# The files

WRONG: dict[str, tuple[Any, str]] = {
    "no JSON": ("{", "JSON"),
    "a list": ("[]", "no JSON object"),
    "a key twice": ('{"version": 1, "version": 2}', "there twice"),
    "a fraction": ('{"version": 1.5}', "no whole number"),
    "nesting": ("[" * 100_000, "nested too deeply"),
    "many digits": ('{"version": ' + "9" * 30 + "}", "30 digits"),
    "no version": ('{"threshold": 1}', "the key 'version' is missing"),
    "unknown key": ({"treshold": 2}, "the key 'treshold' is unknown"),
    "threshold 0": ({"threshold": 0}, "threshold: it is no whole number from 1 on"),
    "threshold true": ({"threshold": True}, "threshold: "),
    "more people than there are": ({"threshold": 4}, "names 3 people"),
    "roles as a list": ({"roles": []}, "roles: it is no object"),
    "role without holders": ({"roles": {"a": {"required": 1}}}, "roles.a: the key 'holders' is missing"),
    "role of nobody": ({"roles": {"a": {"required": 1, "holders": []}}}, "roles.a.holders: "),
    "role of a stranger": ({"roles": {"a": {"required": 1, "holders": ["eve@example.org"]}}}, "names eve@example.org, who is not in"),
    "role of a pattern": ({"roles": {"a": {"required": 1, "holders": ["*@example.org"]}}}, "roles.a.holders[0]: "),
    "unknown algorithm": ({"algorithms": ["ssh-rsa"]}, "algorithms[0]: 'ssh-rsa' is not one of"),
    "unknown algorithm required": ({"require_algorithms": ["ml-dsa"]}, "require_algorithms[0]: "),
    "no algorithm": ({"algorithms": []}, "algorithms: "),
    "channel with a space": ({"channels": ["a b"]}, "channels[0]: "),
    "audience as a list": ({"audience": ["a"]}, "audience: "),
    "age 0": ({"max_age_days": 0}, "max_age_days: "),
    "revoked without a version": ({"revoked": {"keys": []}}, "revoked: the key 'version' is missing"),
    "revoked by name": ({"revoked": {"version": 1, "keys": ["ann@example.org"]}}, "revoked.keys[0]: "),
    "null for a threshold": ({"threshold": None}, "threshold: "),
    "null for revoked": ({"revoked": None}, "revoked: it is no object"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_policy_that_is_not_understood_refuses_everything(case: str, tmp_path: Path) -> None:
    asked, told = WRONG[case]
    with pytest.raises(KeyFailure) as caught:
        read_trust(str(store(tmp_path, asked)))
    assert told in str(caught.value)
    assert caught.value.hint


def test_all_problems_of_a_policy_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(KeyFailure) as caught:
        read_trust(str(store(tmp_path, {"threshold": 0, "audience": 7, "note": 1, "max_age_days": -1})))
    assert len(caught.value.problems) == 4


def test_people_cannot_be_counted_by_patterns(tmp_path: Path) -> None:
    place = store(tmp_path, {"threshold": 2})
    (place / "allowed_signers").write_text(ANN.allowed_signers_line(principal="*@example.org") + BOB.allowed_signers_line(principal="bob"))
    with pytest.raises(KeyFailure, match="is a pattern"):
        read_trust(str(place))


def test_a_file_alone_and_a_directory_without_a_policy_ask_for_one_good_signature(tmp_path: Path) -> None:
    place = store(tmp_path, None)
    assert read_trust(str(place)).policy == read_trust(str(place / "allowed_signers")).policy == Policy()
    assert read_policy(str(place / "policy.json")) == Policy()


def test_a_directory_without_allowed_signers_trusts_nobody(tmp_path: Path) -> None:
    with pytest.raises(KeyFailure, match="no such file"):
        read_trust(str(tmp_path))


def test_without_a_store_the_first_carrying_in_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "default_place", lambda: str(tmp_path / "nowhere"))
    with pytest.raises(KeyFailure, match="trusts nobody yet") as caught:
        read_trust(None)
    assert "by another path" in caught.value.hint
    monkeypatch.setattr(policy, "default_place", lambda: str(store(tmp_path, {"threshold": 2})))
    assert read_trust(None).policy.threshold == 2


@pytest.mark.skipif(os.name == "nt", reason="the mode of a file says nothing there")
@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
@pytest.mark.parametrize("name", ["allowed_signers", "policy.json", "."])
def test_what_others_may_write_is_not_believed(tmp_path: Path, name: str, mode: int) -> None:
    place = store(tmp_path, {})
    (place / name).chmod(mode | (0o111 if name == "." else 0))
    with pytest.raises(KeyFailure, match="others than its owner may write it") as caught:
        read_trust(str(place))
    assert "chmod go-w" in caught.value.hint


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
def test_what_belongs_to_somebody_else_is_not_believed(tmp_path: Path) -> None:
    place = store(tmp_path, {})
    os.chown(place / "allowed_signers", 12345, -1)
    with pytest.raises(KeyFailure, match="belongs to user 12345"):
        read_trust(str(place))


def test_a_policy_cannot_be_passed_by(tmp_path: Path) -> None:
    """Whoever names the file in a trust store would leave out what stands beside it."""
    signers = write_trust(tmp_path, OURS)
    read_trust(str(signers))
    (tmp_path / "policy.json").write_text(json.dumps({"version": 1, "threshold": 2}))
    with pytest.raises(KeyFailure, match=r"has a policy\.json beside it") as caught:
        read_trust(str(signers))
    assert str(tmp_path) in caught.value.hint
