"""The state file: what was here before, so that nothing older comes after it."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import OURS, Draft, draft, write_trust
from tests.support.damaged import policy
from wheelhouse_builder.runtime import memory
from wheelhouse_builder.runtime.bundle import VerifiedBundle, verify
from wheelhouse_builder.runtime.errors import AlreadyThere, BundleRefused, EnvironmentFailure, KeyFailure
from wheelhouse_builder.runtime.locking import alone
from wheelhouse_builder.runtime.memory import read_memory, remembering
from wheelhouse_builder.runtime.moments import seconds
from wheelhouse_builder.runtime.policy import Policy, Trust, read_trust
from wheelhouse_builder.runtime.progress import NoProgress

LAST = 2**63 - 1


class Host:
    """A host with a trust store and a state file, to which bundles come."""

    def __init__(self, directory: Path, made: Draft) -> None:
        self.directory, self.made = directory, made
        self.state = directory / "state" / "state.json"
        self.trust = read_trust(str(write_trust(directory, OURS)))

    def bundle(self, sequence: int | None, *, channel: str | None = "stable", as_of: str | None = None, note: str = "1") -> str:
        """A bundle's path; ``note`` makes two of the same sequence differ."""

        def change(document: dict[str, Any]) -> None:
            document["policy"] = policy(channel=channel, sequence=sequence)
            document["as_of"] = as_of or document["as_of"]
            document["distributions"][0]["origin"]["url"] = f"https://files.example.org/{note}"

        path = self.directory / f"{channel}-{sequence}-{note}.whb"
        path.write_bytes(self.made.changed(change).signed(OURS))
        return str(path)

    def check(self, path: str, *, trust: Trust | None = None, reason: str = "", now: float | None = None) -> VerifiedBundle:
        return verify(path, trust or self.trust, memory=read_memory(str(self.state), allow_rollback=reason), payload=False, now=now)

    def take(self, path: str, *, trust: Trust | None = None, reason: str = "") -> None:
        """What unpack and install do around their work."""
        with self.check(path, trust=trust, reason=reason) as bundle:
            seen = read_memory(str(self.state), allow_rollback=reason)
            with remembering(seen, bundle.manifest, bundle.digest, (trust or self.trust).policy):
                pass

    @property
    def document(self) -> dict[str, Any]:
        found = json.loads(self.state.read_text())
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return draft(tmp_path_factory.mktemp("made"))


@pytest.fixture
def host(tmp_path: Path, made: Draft) -> Host:
    return Host(tmp_path, made)


@pytest.mark.parametrize(("seen", "next_one"), [(0, 0), (0, 1), (5, 6), (5, LAST), (LAST, LAST)])
def test_the_same_and_a_higher_sequence_are_taken(host: Host, seen: int, next_one: int) -> None:
    host.take(host.bundle(seen))
    host.take(host.bundle(next_one))
    assert host.document["channels"]["stable"]["sequence"] == next_one


@pytest.mark.parametrize(("seen", "next_one"), [(1, 0), (5, 4), (LAST, LAST - 1), (LAST, 0), (0, None)])
def test_a_lower_one_and_none_are_refused_and_change_nothing(host: Host, seen: int, next_one: int | None) -> None:
    host.take(host.bundle(seen))
    before = host.state.read_bytes()
    with pytest.raises(BundleRefused, match="was here already") as caught:
        host.check(host.bundle(next_one))
    assert "--allow-rollback" in caught.value.hint
    assert host.state.read_bytes() == before


def test_another_bundle_of_the_same_sequence_is_refused(host: Host) -> None:
    host.take(host.bundle(5))
    with pytest.raises(BundleRefused, match="so was another bundle"):
        host.check(host.bundle(5, note="2"))


def test_channels_do_not_know_each_other(host: Host) -> None:
    host.take(host.bundle(5))
    host.take(host.bundle(1, channel="beta"))
    host.take(host.bundle(None, channel=None))
    assert {name: seen["sequence"] for name, seen in host.document["channels"].items()} == {"stable": 5, "beta": 1}


def test_verifying_writes_nothing(host: Host) -> None:
    host.check(host.bundle(5)).close()
    assert not host.state.exists()


def test_a_rollback_that_is_allowed_is_recorded_and_lowers_nothing(host: Host) -> None:
    host.take(host.bundle(5))
    host.take(host.bundle(3), reason="5 breaks the reports")
    assert host.document["channels"]["stable"]["sequence"] == 5
    (told,) = host.document["rollbacks"]
    assert (told["reason"], told["channel"], told["sequence"]) == ("5 breaks the reports", "stable", 3)
    assert seconds(told["time"]) > 0
    with pytest.raises(BundleRefused):
        host.check(host.bundle(4))


def test_a_reason_for_which_there_is_no_need_is_not_recorded(host: Host) -> None:
    host.take(host.bundle(5), reason="to be sure")
    assert host.document["rollbacks"] == []


def test_work_that_fails_is_not_remembered(host: Host) -> None:
    with host.check(host.bundle(5)) as bundle, pytest.raises(ZeroDivisionError):  # noqa: SIM117 # the error must leave the inner one
        with remembering(read_memory(str(host.state)), bundle.manifest, bundle.digest, Policy()):
            raise ZeroDivisionError
    assert not host.state.exists()


def test_that_nothing_can_be_remembered_is_told_before_the_work(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    begun = []
    with host.check(host.bundle(5)) as bundle:
        seen = read_memory(str(tmp_path / "state.json"))._replace(path=str(tmp_path / "file" / "state.json"))
        with pytest.raises(EnvironmentFailure), remembering(seen, bundle.manifest, bundle.digest, Policy()):
            begun.append(1)
    assert not begun


def test_a_bundle_without_a_channel_leaves_no_trace_where_there_is_no_policy(host: Host) -> None:
    host.take(host.bundle(None, channel=None))
    assert not host.state.parent.exists()


@pytest.mark.parametrize("newer", [Policy(version=4, revoked_version=7), Policy(version=5, revoked_version=8)])
def test_the_trust_store_may_stay_or_grow(host: Host, newer: Policy) -> None:
    host.take(host.bundle(1), trust=host.trust._replace(policy=Policy(version=4, revoked_version=7)))
    host.take(host.bundle(2), trust=host.trust._replace(policy=newer))
    assert (host.document["policy"], host.document["revoked"]) == (newer.version, newer.revoked_version)


@pytest.mark.parametrize(
    "older", [Policy(version=3, revoked_version=7), Policy(version=4, revoked_version=6), Policy(version=4), Policy()], ids=str
)
def test_an_older_policy_or_revocation_list_is_refused(host: Host, older: Policy) -> None:
    host.take(host.bundle(1), trust=host.trust._replace(policy=Policy(version=4, revoked_version=7)))
    with pytest.raises(KeyFailure, match="this host has used version") as caught:
        host.check(host.bundle(2), trust=host.trust._replace(policy=older))
    assert caught.value.hint


def test_no_clock_is_believed_that_is_older_than_what_was_here(host: Host) -> None:
    trust = host.trust._replace(policy=Policy(version=1, max_age_days=30))
    host.take(host.bundle(1, as_of="2026-11-19T12:00:00Z"), trust=host.trust)
    stale = host.bundle(2, as_of="2026-09-01T00:00:00Z")
    with pytest.raises(BundleRefused, match="none older than 30 days on 2026-11-19"):
        host.check(stale, trust=trust, now=seconds("2016-11-19T00:00:00Z"))


DAMAGED: dict[str, Any] = {
    "empty": "",
    "cut off": '{"version": 1',
    "a list": "[]",
    "another version": {"version": 2},
    "no channels": {"channels": None},
    "a sequence in words": {"channels": {"stable": {"sequence": "5", "digest": "x"}}},
    "a channel without a digest": {"channels": {"stable": {"sequence": 5}}},
    "a policy in words": {"policy": "1"},
    "no time": {"newest": "yesterday"},
    "an unknown key": {"note": 1},
    "rollbacks as an object": {"rollbacks": {}},
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_state_file_is_no_state_file(host: Host, damage: str) -> None:
    host.take(host.bundle(5))
    change = DAMAGED[damage]
    host.state.write_text(change if isinstance(change, str) else json.dumps({**host.document, **change}))
    with pytest.raises(EnvironmentFailure, match=r"state\.json") as caught:
        host.check(host.bundle(6))
    assert "backup" in caught.value.hint


@pytest.mark.skipif(os.name == "nt", reason="the mode of a file says nothing there")
def test_a_state_file_that_others_may_write_is_not_believed(host: Host) -> None:
    host.take(host.bundle(5))
    assert stat.S_IMODE(host.state.stat().st_mode) == 0o600
    host.state.chmod(0o666)
    with pytest.raises(EnvironmentFailure, match="others than its owner may write it"):
        host.check(host.bundle(6))


def test_many_at_once_leave_the_highest(host: Host) -> None:
    paths = [host.bundle(number) for number in range(12)]
    failed = []

    def take(path: str) -> None:
        try:
            host.take(path)
        except BundleRefused:
            failed.append(path)

    threads = [threading.Thread(target=take, args=(path,)) for path in reversed(paths)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert host.document["channels"]["stable"]["sequence"] == 11
    assert paths[-1] not in failed
    assert host.document["rollbacks"] == []


def test_many_who_change_it_lose_nothing_of_each_other(tmp_path: Path) -> None:
    """The lock's file goes away with each holder; nobody is alone with one that is gone."""
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count() -> None:
        for _ in range(50):
            with alone(str(tmp_path / "lock"), NoProgress()):
                counter.write_text(str(int(counter.read_text()) + 1))

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.read_text() == "400"


def test_nothing_lies_beside_the_state_file(host: Host) -> None:
    host.take(host.bundle(1))
    assert [path.name for path in host.state.parent.iterdir()] == ["state.json"]


def test_a_link_in_place_of_the_lock_is_not_followed(host: Host, tmp_path: Path) -> None:
    host.state.parent.mkdir()
    host.state.with_name("state.json.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AlreadyThere, match="symbolic link"):
        host.take(host.bundle(1))
    assert not (tmp_path / "elsewhere").exists()


def test_the_place_is_the_systems_for_root_and_the_users_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert memory.default_path() == "/var/lib/wheelhouse/state.json"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert memory.default_path() == "/home/ann/.local/state/wheelhouse/state.json"
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert memory.default_path() == "/state/wheelhouse/state.json"
