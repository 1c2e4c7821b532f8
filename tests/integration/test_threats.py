"""Each threat of the design, T1 to T16, as an attack that is made for real: one class for each, named after it.

The dense sweeps over every bit and every length stand beside the code that they try (tests/unit/runtime); here are the attacks, and the
large counts behind ``slow``.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import pytest

from tests.data import DATA
from tests.support import attested, bundles, damaged
from tests.support.bundles import FOREIGN, OURS, Draft, Key, draft, write_trust
from tests.support.damaged import policy
from tests.support.handmade import bundle_for
from tests.support.index import LocalIndex, wrong_bytes
from tests.support.lies import LIES
from tests.support.malformed_wheels import FILENAME, MALFORMED
from tests.support.pip import bundled_pip
from tests.support.wheels import make_wheel, wheel_members, write_zip
from tests.support.workplace import this_target, workplace
from wheelhouse_builder.runtime import sshsig
from wheelhouse_builder.runtime.attested import PREDICATES
from wheelhouse_builder.runtime.bundle import verify
from wheelhouse_builder.runtime.commands import Destination, run_inspect, run_install, run_unpack, run_verify
from wheelhouse_builder.runtime.errors import BundleRefused, KeyFailure, SignatureRefused, WheelhouseError
from wheelhouse_builder.runtime.host import this_host
from wheelhouse_builder.runtime.layout import CHUNK_SIZE
from wheelhouse_builder.runtime.manifest import canonical_json
from wheelhouse_builder.runtime.moments import seconds
from wheelhouse_builder.runtime.policy import read_trust
from wheelhouse_builder.runtime.report import render
from wheelhouse_builder.runtime.staging import replace_file
from wheelhouse_builder.runtime.wheel import name_problem, wheel_problems

ANN, BOB = Key(11), Key(12)
DAY = 86400


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """A restricted host: a trust store, a state file, and a place where bundles arrive."""

    folder: Path

    @property
    def trust(self) -> str:
        return str(self.folder / "store")

    @property
    def state(self) -> str:
        return str(self.folder / "state.json")

    def asks(self, *keys: Key, **asked: Any) -> Host:
        """The same host, whose administrator trusts ``keys`` and asks for this."""
        store = self.folder / "store"
        store.mkdir(exist_ok=True)
        lines = "".join(key.allowed_signers_line(principal=f"person-{key.seed}@example.org") for key in keys)
        (store / "allowed_signers").write_text(lines)
        (store / "policy.json").write_text(json.dumps({"version": 1, **asked}))
        return self

    def arrives(self, data: bytes, name: str = "acme.whb") -> str:
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def verify(self, data: bytes) -> None:
        run_verify(self.arrives(data), self.trust, state=self.state)

    def unpack(self, data: bytes, out: str = "out", **options: Any) -> Path:
        run_unpack(self.arrives(data), str(self.folder / out), self.trust, state=self.state, targets=["all"], **options)
        return self.folder / out

    def refuses(self, data: bytes, error: type[WheelhouseError] = BundleRefused) -> str:
        """What it says of bytes that it neither verifies nor unpacks; nothing may be written."""
        before = self.names()
        with pytest.raises(error) as caught:
            self.verify(data)
        with pytest.raises(error):
            self.unpack(data)
        assert caught.value.hint
        assert self.names() - before <= {"acme.whb"}
        return "\n".join(caught.value.problems)

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(folder=tmp_path).asks(OURS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return draft(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def bulky(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    """Several chunks."""
    return draft(tmp_path_factory.mktemp("bulky"), bulk=2 * CHUNK_SIZE)


class TestT1TheIndexServesAnotherFileForAPinnedVersion:
    def test_a_wheel_that_was_rebuilt_since_it_was_locked_is_refused(self, tmp_path: Path) -> None:
        shelf = tmp_path / "shelf"
        make_wheel(shelf, "demo", "1.0")
        shutil.copy(bundled_pip(), shelf)
        with LocalIndex(shelf) as index:
            place = workplace(tmp_path / "work", index)
            place.write_spec(requirements=["demo==1.0"], targets=[this_target()])
            place.run("lock")
            make_wheel(shelf, "demo", "1.0", files={"demo/__init__.py": "import os  # evil\n"})
        with LocalIndex(shelf) as index:
            spec = place.folder / "wheelhouse.yaml"
            lock = place.folder / f"pylock.{this_target()}.toml"
            lock.write_text(lock.read_text().replace(place.index.origin, index.origin))
            place.write_spec(requirements=["demo==1.0"], targets=[this_target()], index=index.url)
            ended = place.run("bundle", "-o", "acme.whb", expect=None)
        assert spec.exists()
        assert ended.code in (3, 7)
        assert not (place.folder / "acme.whb").exists()

    def test_a_flipped_bit_is_refused(self, tmp_path: Path) -> None:
        shelf = tmp_path / "shelf"
        make_wheel(shelf, "demo", "1.0")
        shutil.copy(bundled_pip(), shelf)
        with LocalIndex(shelf) as index:
            place = workplace(tmp_path / "work", index)
            place.write_spec(requirements=["demo"], targets=[this_target()])
            place.run("lock")
            index.fault("demo-1.0-py3-none-any.whl", wrong_bytes())
            ended = place.run("bundle", "-o", "acme.whb", expect=7)
        assert "demo-1.0-py3-none-any.whl" in ended.stderr
        assert not (place.folder / "acme.whb").exists()


class TestT2AnotherProjectOrReleaseThanWasReviewed:
    def test_a_release_that_appears_after_the_review_does_not_get_in(self, tmp_path: Path) -> None:
        shelf = tmp_path / "shelf"
        make_wheel(shelf, "demo", "1.0")
        shutil.copy(bundled_pip(), shelf)
        with LocalIndex(shelf) as index:
            place = workplace(tmp_path / "work", index)
            place.write_spec(requirements=["demo"], targets=[this_target()])
            place.run("lock")
            make_wheel(shelf, "demo", "99.0", files={"demo/__init__.py": "import os  # evil\n"})
            place.run("bundle", "-o", "acme.whb")
            held = place.run("inspect", "acme.whb", "--json").document["distributions"]
        assert {each["filename"] for each in held} == {"demo-1.0-py3-none-any.whl", bundled_pip().name}

    def test_a_requirement_that_was_added_after_the_review_is_refused(self, tmp_path: Path) -> None:
        shelf = tmp_path / "shelf"
        for project in ("demo", "dem0"):
            make_wheel(shelf, project, "1.0")
        shutil.copy(bundled_pip(), shelf)
        with LocalIndex(shelf) as index:
            place = workplace(tmp_path / "work", index)
            place.write_spec(requirements=["demo"], targets=[this_target()])
            place.run("lock")
            place.write_spec(requirements=["demo", "dem0"], targets=[this_target()])
            assert "answers another question" in place.run("bundle", expect=3).stderr


class TestT3AMalformedWheel:
    @pytest.mark.parametrize("defect", sorted(name for name, each in MALFORMED.items() if each.filename == FILENAME)[::12])
    def test_one_that_the_packer_signed_is_refused_inside(self, host: Host, defect: str) -> None:
        """The check at the build is made again: this packer leaves it out."""
        data = MALFORMED[defect].build()
        path = host.folder / "made" / FILENAME
        path.parent.mkdir()
        path.write_bytes(data)
        pip = make_wheel(path.parent, "pip", "26.3")
        with pytest.raises(BundleRefused):
            host.unpack(bundle_for(this_host(), [path], pip).signed(OURS))
        assert not (host.folder / "out").exists()

    def test_each_malformed_wheel_is_told(self) -> None:
        assert len(MALFORMED) >= 60
        for name, each in MALFORMED.items():
            assert wheel_problems(io.BytesIO(each.build()), each.filename), name

    def test_each_archive_that_the_index_would_reject_is_no_wheel(self) -> None:
        paths = sorted(path for path in (DATA / "zip-fixtures/reject").iterdir() if path.is_file())
        assert len(paths) >= 24
        for path in paths:
            assert wheel_problems(io.BytesIO(path.read_bytes()), "demo-1.0-py3-none-any.whl"), path.name

    def test_an_excuse_lets_pass_what_was_signed_for_and_nothing_else(self, host: Host) -> None:
        members = wheel_members("odd", "1.0")
        members["odd/extra.py"] = b"not in RECORD\n"
        (host.folder / "made").mkdir()
        path = write_zip(host.folder / "made" / "odd-1.0-py3-none-any.whl", members)
        pip = make_wheel(path.parent, "pip", "26.3")
        bundle = bundle_for(this_host(), [path], pip)
        problem = "'odd/extra.py': is not in RECORD"

        def excused(*problems: str) -> bytes:
            entry = {"filename": path.name, "reason": "its maker is gone", "problems": list(problems)}
            return bundle.changed(lambda document: document.update(excused=[entry])).signed(OURS)

        with pytest.raises(BundleRefused, match="is not in RECORD"):
            host.unpack(bundle.signed(OURS))
        with pytest.raises(BundleRefused, match="is not in RECORD"):
            host.unpack(excused("another problem"))
        assert (host.unpack(excused(problem)) / "wheels" / path.name).read_bytes() == path.read_bytes()

    def test_at_the_build_it_is_refused_too_until_its_project_is_excused(self, tmp_path: Path) -> None:
        shelf = tmp_path / "shelf"
        shelf.mkdir()
        members = wheel_members("odd", "1.0")
        write_zip(shelf / "odd-1.0-py3-none-any.whl", {**members, "odd/extra.py": b"not in RECORD\n"})
        shutil.copy(bundled_pip(), shelf)
        with LocalIndex(shelf) as index:
            place = workplace(tmp_path / "work", index)
            place.write_spec(requirements=["odd"], targets=[this_target()])
            assert "'odd/extra.py': is not in RECORD" in place.run("bundle", "-o", "acme.whb", expect=7).stderr
            spec = place.folder / "wheelhouse.yaml"
            spec.write_text(spec.read_text() + "excused: {Odd: its maker is gone}\n")
            place.run("bundle", "-o", "acme.whb")
        (told,) = place.run("verify", "acme.whb", "--trust", "key.allowed_signers", "--deep", "--json").document["excused"]
        assert told == {
            "project": "odd",
            "filename": "odd-1.0-py3-none-any.whl",
            "reason": "its maker is gone",
            "problems": ["'odd/extra.py': is not in RECORD"],
        }
        assert "its maker is gone" in place.run("inspect", "acme.whb").stdout


class TestT4ACompromisedBuildHost:
    def test_its_signature_alone_is_not_enough(self, host: Host, made: Draft) -> None:
        host.asks(ANN, BOB, threshold=2)
        assert "1 of the 2 people" in host.refuses(made.signed(ANN), SignatureRefused)
        host.verify(made.signed(ANN, BOB))

    def test_what_the_second_signer_signed_is_not_what_it_changed_afterwards(self, host: Host, made: Draft) -> None:
        host.asks(ANN, BOB, threshold=2)
        evil = made.changed(lambda document: document["bundle"].update(version="6.6.6"))
        good = sshsig.member_name(BOB.public_key)
        mixed = replace(evil, control={**evil.control, good: BOB.armored(canonical_json(made.document))})
        assert "is wrong" in host.refuses(mixed.signed(ANN), SignatureRefused)

    def test_a_role_cannot_be_filled_by_the_builder(self, host: Host, made: Draft) -> None:
        host.asks(ANN, BOB, roles={"reviewer": {"required": 1, "holders": [f"person-{BOB.seed}@example.org"]}})
        assert "reviewer" in host.refuses(made.signed(ANN), SignatureRefused)

    def test_a_second_host_gets_the_same_digest(self, made: Draft, tmp_path: Path) -> None:
        assert canonical_json(made.document) == canonical_json(draft(tmp_path).document)


class TestT5AStolenKey:
    def test_a_revoked_key_does_not_count(self, host: Host, made: Draft) -> None:
        fingerprint = sshsig.fingerprint(OURS.public_key)
        host.asks(OURS, ANN, revoked={"version": 2, "keys": [fingerprint]})
        assert "revoked" in host.refuses(made.signed(OURS), SignatureRefused)

    def test_the_list_of_revoked_keys_cannot_be_taken_back(self, host: Host, made: Draft) -> None:
        stable = made.changed(lambda document: document.update(policy=policy(channel="stable", sequence=1)))
        host.asks(ANN, revoked={"version": 2, "keys": []}).unpack(stable.signed(ANN))
        host.asks(ANN, revoked={"version": 1, "keys": []})
        assert "has version 1, this host has used version 2" in host.refuses(stable.signed(ANN), KeyFailure)

    def test_the_same_key_twice_is_one(self, host: Host, made: Draft) -> None:
        host.asks(ANN, ANN, BOB, threshold=2)
        assert "1 of the 2" in host.refuses(made.signed(ANN), SignatureRefused)


class TestT6DamagedMedia:
    def test_bit_rot_anywhere_is_seen(self, host: Host, bulky: Draft) -> None:
        data = bytearray(bulky.signed(OURS))
        chance = random.Random(6)
        for place in [0, len(data) - 1, *(chance.randrange(len(data)) for _ in range(6))]:
            data[place] ^= 1 << chance.randrange(8)
            with pytest.raises((BundleRefused, SignatureRefused)):
                host.verify(bytes(data))
            data = bytearray(bulky.signed(OURS))

    def test_a_part_that_is_cut_off_zeroed_or_repeated_is_seen(self, host: Host, bulky: Draft) -> None:
        data = bulky.signed(OURS)
        for broken in (data[:-CHUNK_SIZE], data[CHUNK_SIZE:], bytes(CHUNK_SIZE) + data[CHUNK_SIZE:], data[:CHUNK_SIZE] + data, data + data):
            with pytest.raises(BundleRefused):
                host.verify(broken)


class TestT7EditedMedia:
    def test_without_a_signature_it_is_refused(self, host: Host, made: Draft) -> None:
        assert "not signed" in host.refuses(made.signed(), SignatureRefused)

    def test_a_signature_by_a_stranger_is_none(self, host: Host, made: Draft) -> None:
        host.refuses(made.signed(FOREIGN), SignatureRefused)

    def test_a_weaker_half_alone_is_refused(self, host: Host, made: Draft) -> None:
        host.asks(OURS, require_algorithms=["ssh-ed25519", "mldsa87@wheelhouse"])
        assert "mldsa87@wheelhouse" in host.refuses(made.signed(OURS), SignatureRefused)

    def test_an_algorithm_that_is_not_taken_is_refused(self, host: Host, made: Draft) -> None:
        host.asks(OURS, algorithms=["ecdsa-sha2-nistp384"])
        assert "does not count" in host.refuses(made.signed(OURS), SignatureRefused)

    @pytest.mark.parametrize("version", [0, 2])
    def test_another_version_of_the_format_is_refused(self, host: Host, made: Draft, version: int) -> None:
        host.refuses(made.changed(lambda document: document.update(version=version)).signed(OURS))

    def test_whatever_is_wrong_it_is_refused(self, host: Host, tmp_path_factory: pytest.TempPathFactory) -> None:
        for name, data in damaged.bad(tmp_path_factory.mktemp("bad")):
            with pytest.raises((BundleRefused, SignatureRefused)) as caught:
                host.verify(data)
            assert caught.value.hint, name


class TestT8AnOlderGenuineBundle:
    def test_it_is_refused_and_an_override_leaves_a_record(self, host: Host, made: Draft) -> None:
        def numbered(sequence: int) -> bytes:
            return made.changed(lambda document: document.update(policy=policy(channel="stable", sequence=sequence))).signed(OURS)

        host.unpack(numbered(7), "seven")
        for older in (0, 1, 6):
            assert f"It is {older} of the channel 'stable', and 7 was here already." in host.refuses(numbered(older))
        host.unpack(numbered(6), "six", allow_rollback="7 breaks the reports")
        (record,) = json.loads(Path(host.state).read_text())["rollbacks"]
        assert (record["reason"], record["sequence"]) == ("7 breaks the reports", 6)
        assert record["time"].endswith("Z")
        host.refuses(numbered(6))
        host.unpack(numbered(2**63 - 1), "last")
        host.refuses(numbered(2**63 - 2))


class TestT9PartsOfTwoBundlesOrAnotherAudience:
    def test_the_payload_of_another_genuine_bundle_is_refused(self, host: Host, made: Draft, bulky: Draft) -> None:
        host.refuses(replace(made, payload=bulky.payload).signed(OURS))
        host.refuses(replace(bulky, payload=made.payload).signed(OURS))

    def test_the_control_part_of_another_genuine_bundle_is_refused(self, host: Host, made: Draft, bulky: Draft) -> None:
        host.refuses(bulky.payload + made.signed(OURS)[len(made.payload) :])

    def test_a_frame_of_another_genuine_bundle_is_refused(self, host: Host, made: Draft, tmp_path_factory: pytest.TempPathFactory) -> None:
        sibling = draft(tmp_path_factory.mktemp("sibling"), bulk=10)
        first = made.document["transport"]["frames"][0]["size"]
        host.refuses(replace(made, payload=made.payload[:first] + sibling.payload[first:]).signed(OURS))

    @pytest.mark.parametrize("here", [None, "other-net"])
    def test_a_bundle_for_another_audience_is_refused(self, host: Host, made: Draft, here: str | None) -> None:
        host.asks(OURS, **({} if here is None else {"audience": here}))
        theirs = made.changed(lambda document: document.update(policy=policy(audience=["their-net"])))
        assert "It is meant for 'their-net'" in host.refuses(theirs.signed(OURS))

    def test_a_bundle_of_another_channel_is_refused(self, host: Host, made: Draft) -> None:
        host.asks(OURS, channels=["stable"])
        beta = made.changed(lambda document: document.update(policy=policy(channel="beta")))
        assert "It is of the channel 'beta'" in host.refuses(beta.signed(OURS))


class TestT10BombsAndEndlessData:
    @pytest.mark.parametrize(
        "end", [b"\xff" * 22, b"PK\x05\x06" + b"\xff" * 16 + b"\0\0", b"PK\x05\x06" + bytes(8) + b"\xff" * 8 + b"\0\0"]
    )
    def test_lengths_are_capped_before_they_are_read(self, host: Host, end: bytes) -> None:
        path = host.folder / "huge.whb"
        with path.open("wb") as file:
            file.truncate(1 << 40)
            file.seek(-22, os.SEEK_END)
            file.write(end)
        tracemalloc.start()
        with pytest.raises(BundleRefused):
            run_verify(str(path), host.trust, state=host.state)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 << 20

    def test_a_frame_that_inflates_beyond_the_signed_size_stops_there(self, host: Host, made: Draft) -> None:
        bomb = bundles.compress(bytes(64 << 20))

        def plant(document: dict[str, Any]) -> None:
            frame = document["transport"]["frames"][1]
            frame.update(size=len(bomb), chunks=[bundles.size_and_digest(bomb)["sha256"]])

        first = made.document["transport"]["frames"][0]["size"]
        planted = replace(made.changed(plant), payload=made.payload[:first] + bomb)
        with pytest.raises(BundleRefused):
            host.unpack(planted.signed(OURS))
        assert not (host.folder / "out").exists()

    def test_nothing_is_parsed_for_a_stranger(self, host: Host, made: Draft) -> None:
        deep = bundles.with_signed_manifest(made, b"[" * 1_000_000, FOREIGN)
        assert "no good signature" in host.refuses(deep, SignatureRefused)

    def test_a_pipe_that_never_ends_is_not_waited_for(self, host: Host) -> None:
        os.mkfifo(host.folder / "pipe")
        began = time.monotonic()
        with pytest.raises(BundleRefused):
            run_verify(str(host.folder / "pipe"), host.trust, state=host.state)
        assert time.monotonic() - began < 5


class Swapper(threading.Thread):
    """Another user of the staging host, who replaces ``path`` by ``evil`` and back, again and again."""

    def __init__(self, path: Path, good: bytes, evil: bytes) -> None:
        super().__init__(daemon=True)
        self.path, self.contents, self.stop = path, (evil, good), threading.Event()
        self.swaps = 0

    def run(self) -> None:
        other = self.path.with_name("other")
        while not self.stop.is_set():
            other.write_bytes(self.contents[self.swaps % 2])
            other.replace(self.path)
            self.swaps += 1

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join()


class TestT11AFileIsSwappedBetweenVerificationAndUse:
    def attack(self, host: Host, made: Draft, evil: Callable[[Draft], bytes], times: int) -> set[str]:
        """Unpack while the file is swapped; whatever comes out is the good one or nothing."""
        good = made.signed(OURS)
        wanted = {each["filename"]: each["sha256"] for each in made.document["distributions"]}
        path, verdicts = Path(host.arrives(good)), set()
        with Swapper(path, good, evil(made)) as swapper:
            for number in range(times):
                out = host.folder / f"out{number}"
                try:
                    run_unpack(str(path), str(out), host.trust, state=host.state, targets=["all"])
                except (BundleRefused, SignatureRefused) as error:
                    verdicts.add(error.name)
                    assert not out.exists()
                else:
                    verdicts.add("unpacked")
                    assert {p.name: bundles.size_and_digest(p.read_bytes())["sha256"] for p in (out / "wheels").iterdir()} == wanted
                    shutil.rmtree(out)
            assert swapper.swaps > times
        assert host.names() <= {"store", "acme.whb", "other", "state.json"}
        return verdicts

    @pytest.mark.parametrize("evil", ["another signer", "another payload"])
    def test_what_comes_out_is_what_was_signed_or_nothing(self, host: Host, made: Draft, evil: str) -> None:
        forged = {"another signer": lambda made: made.signed(FOREIGN), "another payload": lambda made: bytes(100) + made.signed(OURS)[100:]}
        assert self.attack(host, made, forged[evil], 40) <= {"unpacked", "signature-refused", "bundle-refused"}

    @pytest.mark.slow
    def test_at_a_thousand_instants(self, host: Host, made: Draft) -> None:
        verdicts = self.attack(host, made, lambda made: bytes(100) + made.signed(OURS)[100:], 1000)
        assert verdicts == {"unpacked", "bundle-refused"}

    def test_an_edit_in_place_while_it_is_read_is_seen(self, host: Host, bulky: Draft) -> None:
        path = Path(host.arrives(bulky.signed(OURS)))
        with verify(str(path), read_trust(host.trust), payload=False) as bundle:
            chunks = bundle.chunks(1)
            next(chunks)
            with path.open("r+b") as file:
                file.seek(bundle.frame_offsets[1] + CHUNK_SIZE + 5)
                file.write(b"evil")
            with pytest.raises(BundleRefused, match="not what was signed"):
                next(chunks)

    def test_nobody_else_may_enter_where_it_works(self, host: Host, made: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: set[tuple[bool, int]] = set()

        def look(*_: object) -> Iterator[str]:
            seen.update((path.is_dir(), path.stat().st_mode & 0o777) for path in host.folder.glob(".wheelhouse-*"))
            raise KeyboardInterrupt

        monkeypatch.setattr("wheelhouse_builder.runtime.unpack.sync_tree", look)
        with pytest.raises(KeyboardInterrupt):
            host.unpack(made.signed(OURS))
        assert seen == {(True, 0o700), (False, 0o600)}
        assert host.names() == {"store", "acme.whb"}


class TestT12AKillInTheMiddle:
    @pytest.mark.parametrize("instant", [0.05, 0.2, 0.4])
    def test_after_it_there_is_the_whole_or_nothing_and_the_next_try_succeeds(self, host: Host, bulky: Draft, instant: float) -> None:
        path, out = host.arrives(bulky.signed(OURS)), host.folder / "out"
        command = [sys.executable, "-m", "wheelhouse_builder", "unpack", path, str(out), "--trust", host.trust, "--state", host.state]
        process = subprocess.Popen([*command, "--target", "all"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not list(host.folder.glob(".wheelhouse-*")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(instant / 10)
        process.kill()
        process.wait()
        wanted = {each["filename"] for each in bulky.document["distributions"]}
        assert not out.exists() or {p.name for p in (out / "wheels").iterdir()} == wanted
        shutil.rmtree(out, ignore_errors=True)
        host.unpack(bulky.signed(OURS))
        assert {p.name for p in (out / "wheels").iterdir()} == wanted
        assert not list(host.folder.glob(".wheelhouse-*"))

    def test_a_state_file_is_old_or_new_and_never_half(self, host: Host) -> None:
        replace_file(host.state, "whole")
        with pytest.raises(UnicodeEncodeError):
            replace_file(host.state, "x" * 1_000_000 + "\ud800")  # fails when much of it is written
        assert Path(host.state).read_text() == "whole"
        assert host.names() == {"store", "state.json"}


class TestT13AnOldPythonAndAPoisonedEnvironment:
    def test_what_the_environment_says_of_pip_and_python_is_not_heard(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        poison = host.folder / "poison"
        poison.mkdir()
        for name in ("pip", "hashlib", "zipfile", "sitecustomize"):
            (poison / f"{name}.py").write_text("raise SystemExit('poisoned')\n")
        (poison / "pip.conf").write_text("[global]\nindex-url = https://evil.example\nno-binary = :all:\n")
        demo = make_wheel(host.folder / "made", "demo", "1.0")
        path = host.arrives(bundle_for(this_host(), [demo], bundled_pip()).signed(OURS))
        for name, value in {
            "PYTHONPATH": poison,
            "PYTHONHOME": "",
            "PIP_CONFIG_FILE": poison / "pip.conf",
            "PIP_NO_BINARY": ":all:",
        }.items():
            monkeypatch.setenv(name, str(value))
        run_install(path, Destination(venv=str(host.folder / "venv")), host.trust, state=host.state)
        monkeypatch.undo()
        subprocess.run([host.folder / "venv" / "bin" / "python", "-c", "import demo"], check=True)

    def test_no_entry_leaves_the_directory(self, host: Host, made: Draft) -> None:
        for path in ("../evil.txt", "/evil.txt", "a/../../evil.txt", "C:/evil.txt", "a\\..\\evil.txt"):

            def point(document: dict[str, Any], path: str = path) -> None:
                document["files"][0]["path"] = path
                document["transport"]["frames"][0]["entries"][0][0] = path

            host.refuses(made.changed(point).signed(OURS))


class TestT14AWrongClock:
    @pytest.mark.parametrize("years", [-10, 10])
    def test_a_replay_is_refused_whatever_the_clock_says(
        self, host: Host, made: Draft, years: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def numbered(sequence: int) -> bytes:
            return made.changed(lambda document: document.update(policy=policy(channel="stable", sequence=sequence))).signed(OURS)

        host.unpack(numbered(7))
        now = time.time() + years * 365 * DAY
        monkeypatch.setattr("time.time", lambda: now)
        assert "7 was here already" in host.refuses(numbered(6), BundleRefused)

    def test_an_end_that_has_passed_stays_passed_when_the_clock_goes_back(
        self, host: Host, made: Draft, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late = {"as_of": "2026-11-19T12:00:00Z"}
        host.unpack(made.changed(lambda document: document.update(late, policy=policy(channel="stable", sequence=2))).signed(OURS))
        ended = policy(channel="other", sequence=1, not_after="2026-10-01T00:00:00Z")
        old = made.changed(lambda document: document.update(as_of="2026-09-01T00:00:00Z", policy=ended)).signed(OURS)
        monkeypatch.setattr("time.time", lambda: seconds("2016-11-19T12:00:00Z"))
        assert "It was not to be used after 2026-10-01T00:00:00Z" in host.refuses(old)

    def test_a_clock_that_is_far_ahead_refuses_what_has_an_end_and_nothing_else(
        self, host: Host, made: Draft, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("time.time", lambda: seconds("2036-11-19T12:00:00Z"))
        host.verify(made.signed(OURS))
        host.refuses(made.changed(lambda document: document.update(policy=policy(not_after="2027-01-01T00:00:00Z"))).signed(OURS))


NAMES = [
    "a/../b", "../a", "/a", "C:/a", "a\\b", "con", "a/NUL.txt", "aux.py", "com1", "COM\u00b9", "lpt9.txt", "a.", "a ", "a/b. /c", "a:b",
    "a*b", "a\x00b", "a\nb", "a\u202eb", "e\u0301", "a\u200bb", "x" * 300, "", "a//b", "./a",
]  # fmt: skip


class TestT15NamesThatMeanSomethingElseElsewhere:
    @pytest.mark.parametrize("name", NAMES, ids=ascii)
    def test_a_name_that_some_platform_reads_otherwise_is_refused(self, name: str) -> None:
        assert name_problem(name)

    @pytest.mark.parametrize("twins", [("a.py", "A.py"), ("straße.py", "STRASSE.py"), ("é.py", "É.py")], ids=ascii)
    def test_two_names_that_some_platform_takes_for_one_are_refused(self, twins: tuple[str, str], tmp_path: Path) -> None:
        path = make_wheel(tmp_path, "demo", "1.0", files={f"demo/{name}": name for name in twins})
        with path.open("rb") as file:
            assert any("same place" in problem for problem in wheel_problems(file, path.name))

    def test_two_entries_of_the_payload_that_differ_in_case_are_refused(self, host: Host, made: Draft) -> None:
        def twin(document: dict[str, Any]) -> None:
            document["control"].insert(1, {**document["control"][0], "path": "__MAIN__.py"})

        host.refuses(made.changed(twin).signed(OURS))


WHEEL = attested.FILENAME
VERDICT = {"publisher": attested.PUBLISHER, "predicates": [attested.PUBLISH]}
TOLD = ["README.txt", "pylock.toml", "requirements.txt"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    """A wheel, and the pip that installs it."""
    folder = tmp_path_factory.mktemp("parts")
    return [make_wheel(folder, "demo", "1.0")], make_wheel(folder, "pip", "26.3")


class TestT16WhatPeopleReadSaysSomethingElse:
    """A packer, or whoever took over a build host, signs one thing for machines and another for reviewers."""

    @staticmethod
    def refused_when_it_is_read(host: Host, data: bytes) -> str:
        """What deep verification and unpacking say; nothing may be written."""
        path = host.arrives(data)
        with pytest.raises(BundleRefused) as caught:
            run_verify(path, host.trust, state=host.state, deep=True)
        with pytest.raises(BundleRefused):
            host.unpack(data)
        assert not (host.folder / "out").exists()
        return "\n".join(caught.value.problems)

    @staticmethod
    def file_of(made: Draft, name: str) -> str:
        """The payload path of README.txt or of a lock."""
        paths: list[str] = [each["path"] for each in made.document["files"]]
        return next(path for path in paths if path.rpartition("/")[2] == name)

    @pytest.mark.parametrize("lie", LIES)
    def test_a_lie_that_is_signed_is_found_out(self, host: Host, parts: tuple[list[Path], Path], lie: str) -> None:
        honest = bundle_for(this_host(), *parts)
        out = host.unpack(honest.signed(OURS))
        path = self.file_of(honest, LIES[lie].file)
        truth = (out / path).read_bytes()
        shutil.rmtree(out)
        told = truth.replace(LIES[lie].old, LIES[lie].new)
        assert told != truth
        dishonest = bundle_for(this_host(), *parts, retold={path: told})
        assert self.refused_when_it_is_read(host, dishonest.signed(OURS)).startswith(f"{path}: ")

    @pytest.mark.parametrize("name", TOLD)
    def test_a_lie_that_is_not_signed_is_found_out_before_that(self, host: Host, parts: tuple[list[Path], Path], name: str) -> None:
        honest = bundle_for(this_host(), *parts)
        edited = bundle_for(this_host(), *parts, retold={self.file_of(honest, name): b"evil\n"})
        host.refuses(replace(honest, payload=edited.payload).signed(OURS))

    @pytest.mark.parametrize("name", TOLD)
    def test_silence_is_a_lie_too(self, host: Host, parts: tuple[list[Path], Path], name: str) -> None:
        path = self.file_of(bundle_for(this_host(), *parts), name)
        self.refused_when_it_is_read(host, bundle_for(this_host(), *parts, retold={path: b""}).signed(OURS))

    @pytest.mark.parametrize(
        ("where", "told"),
        [("version", "6.6"), ("version", "1.0.post1"), ("project", "other"), ("filename", "demo-6.6-py3-none-any.whl")],
    )
    def test_a_wheel_is_what_the_manifest_calls_it(self, host: Host, made: Draft, where: str, told: str) -> None:
        host.refuses(made.changed(lambda document: document["distributions"][0].update({where: told})).signed(OURS))

    @pytest.mark.parametrize(
        "change", [{"interpreter": "cp39", "abi": "cp39"}, {"platforms": ["win_amd64", "any"]}, {"platforms": ["any"]}]
    )
    def test_a_target_is_what_it_is_called(self, host: Host, made: Draft, change: dict[str, Any]) -> None:
        told = made.changed(lambda document: document["targets"][0].update(change)).signed(OURS)
        assert "is the name of another target" in host.refuses(told)

    @staticmethod
    def attested_bundle(host: Host, verdict: dict[str, Any], document: bytes) -> bytes:
        pip = make_wheel(host.folder / "made", "pip", "26.3")
        return bundle_for(this_host(), [attested.PATH], pip, attested={WHEEL: (verdict, document)}).signed(OURS)

    def test_a_true_verdict_is_shown_and_what_was_attested_is_there_for_an_auditor(self, host: Host) -> None:
        data = self.attested_bundle(host, VERDICT, attested.DOCUMENT)
        out = host.unpack(data)
        assert (out / f"attestations/{WHEEL}.json").read_bytes() == attested.DOCUMENT
        shown = run_inspect(host.arrives(data))
        assert [each["attested"] for each in shown["distributions"]] == [VERDICT, None]
        assert f"{attested.PUBLISHER}: {attested.PROJECT} {attested.VERSION}" in render(shown)

    @pytest.mark.parametrize(
        "verdict",
        [{"publisher": "github.com/numpy/numpy"}, {"predicates": ["https://slsa.dev/provenance/v1"]}, {"predicates": sorted(PREDICATES)}],
    )
    def test_another_verdict_than_the_attestation_is_found_out(self, host: Host, verdict: dict[str, Any]) -> None:
        told = self.refused_when_it_is_read(host, self.attested_bundle(host, {**VERDICT, **verdict}, attested.DOCUMENT))
        assert "the manifest says otherwise" in told

    @pytest.mark.parametrize("name", attested.MALFORMED)
    def test_an_attestation_of_another_file_or_none_at_all_is_found_out(self, host: Host, name: str) -> None:
        self.refused_when_it_is_read(host, self.attested_bundle(host, VERDICT, attested.MALFORMED[name]))

    def test_a_verdict_without_an_attestation_is_refused(self, host: Host, made: Draft) -> None:
        told = made.changed(lambda document: document["distributions"][0].update(attested=VERDICT))
        assert "is missing" in host.refuses(told.signed(OURS))


@pytest.mark.slow
class TestTheLargeCounts:
    def test_ten_thousand_flips_of_the_payload(self, tmp_path: Path, bulky: Draft) -> None:
        data = bulky.signed(OURS)
        path = tmp_path / "bundle.whb"
        path.write_bytes(data)
        chance = random.Random(10_000)
        frames = bulky.document["transport"]["frames"]
        starts = [0, frames[0]["size"]]
        with verify(str(path), read_trust(str(write_trust(tmp_path, OURS))), payload=False) as bundle, path.open("r+b") as file:
            for _ in range(10_000):
                at, bit = chance.randrange(len(bulky.payload)), 1 << chance.randrange(8)
                frame = int(at >= starts[1])
                os.pwrite(file.fileno(), bytes([data[at] ^ bit]), at)
                with pytest.raises(BundleRefused, match="not what was signed"):
                    list(bundle.chunks(frame))
                os.pwrite(file.fileno(), data[at : at + 1], at)

    def test_every_length_to_4096_and_each_boundary_by_one(self, tmp_path: Path, bulky: Draft) -> None:
        data = bulky.signed(OURS)
        trust = read_trust(str(write_trust(tmp_path, OURS)))
        path = tmp_path / "bundle.whb"
        payload, end = len(bulky.payload), len(data)
        first = bulky.document["transport"]["frames"][0]["size"]
        edges = [first, first + CHUNK_SIZE, first + 2 * CHUNK_SIZE, payload, payload + 4, payload + 8, end - 22, end]
        lengths = {*range(4097), *(edge + by for edge in edges for by in (-1, 0, 1)), *range(payload, end)} - {end, end + 1}
        path.write_bytes(data)
        for length in sorted(lengths, reverse=True):
            os.truncate(path, length)
            with pytest.raises(BundleRefused):
                verify(str(path), trust)

    def test_every_bit_of_the_control_part(self, tmp_path: Path, made: Draft) -> None:
        data = made.signed(OURS)
        trust = read_trust(str(write_trust(tmp_path, OURS)))
        path = tmp_path / "bundle.whb"
        path.write_bytes(data)
        with path.open("r+b") as file:
            for at in range(len(made.payload), len(data)):
                for bit in range(8):
                    os.pwrite(file.fileno(), bytes([data[at] ^ 1 << bit]), at)
                    with pytest.raises((BundleRefused, SignatureRefused)):
                        verify(str(path), trust)
                os.pwrite(file.fileno(), data[at : at + 1], at)
