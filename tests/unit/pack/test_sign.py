"""Signing what is packed already: all else stays as it was, and whenever it ends, the file has its old signatures or its new ones."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.bundles import FOREIGN, OURS, Draft, Key, draft, write_trust
from tests.support.keys import EcdsaKey, MldsaKey, SecurityKey
from wheelhouse_builder.errors import BundleRefused, EnvironmentFailure, SignatureRefused, UsageError, WheelhouseError
from wheelhouse_builder.pack.container import prove
from wheelhouse_builder.pack.sign import attach, manifest_bytes, sign
from wheelhouse_builder.runtime import sshsig
from wheelhouse_builder.runtime.bundle import VerifiedBundle, open_bundle, verify
from wheelhouse_builder.runtime.manifest import canonical_json
from wheelhouse_builder.runtime.policy import read_trust


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return draft(tmp_path_factory.mktemp("draft"))


@pytest.fixture
def bundle(tmp_path: Path, made: Draft) -> Path:
    """A bundle that we have signed."""
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "b.whb"
    path.write_bytes(made.signed(OURS))
    return path


def signers(bundle: Path, *trusted: Key) -> set[bytes]:
    with verify(str(bundle), read_trust(str(write_trust(bundle.parent.parent, *trusted)))) as verified:
        return {each.public_key for each in verified.signers}


def alone(bundle: Path) -> bool:
    return list(bundle.parent.iterdir()) == [bundle]


@pytest.mark.parametrize("key", [FOREIGN, EcdsaKey(1), SecurityKey(1), MldsaKey(1)], ids=["ed25519", "ecdsa", "security key", "ml-dsa"])
def test_a_signature_is_added_and_all_else_stays(bundle: Path, made: Draft, key: Key) -> None:
    bundle.chmod(0o640)
    before = open_bundle(str(bundle))
    done = sign(bundle, [key])
    after = open_bundle(str(bundle))
    assert done.added == (sshsig.fingerprint(key.public_key),)
    assert set(done.fingerprints) == {sshsig.fingerprint(key.public_key), sshsig.fingerprint(OURS.public_key)}
    assert done.digest == before.digest == after.digest
    assert bundle.read_bytes().startswith(made.payload)
    name = sshsig.member_name(key.public_key)
    assert {**after.control, name: b""} == {**before.control, name: b""}
    assert signers(bundle, OURS, key) == {OURS.public_key, key.public_key}
    assert bundle.stat().st_mode & 0o777 == 0o640
    assert alone(bundle)


def test_signing_later_makes_the_bytes_that_signing_at_once_makes(bundle: Path, made: Draft) -> None:
    sign(bundle, [FOREIGN, Key(3)])
    assert bundle.read_bytes() == made.signed(OURS, FOREIGN, Key(3))


def test_a_signature_that_is_there_is_not_made_again(bundle: Path) -> None:
    sign(bundle, [EcdsaKey(1)])
    before = bundle.stat()
    assert sign(bundle, [EcdsaKey(1), OURS]).added == ()
    assert (bundle.stat().st_ino, bundle.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_bad_signature_by_the_same_key_gives_way(bundle: Path, made: Draft) -> None:
    bad = {sshsig.member_name(FOREIGN.public_key): FOREIGN.armored(b"another manifest")}
    bundle.write_bytes(replace(made, control={**made.control, **bad}).signed(OURS))
    assert sign(bundle, [FOREIGN]).added == (sshsig.fingerprint(FOREIGN.public_key),)
    assert signers(bundle, OURS, FOREIGN) == {OURS.public_key, FOREIGN.public_key}


def test_a_link_stays_a_link(bundle: Path) -> None:
    link = bundle.parent.parent / "link"
    link.symlink_to(bundle)
    sign(link, [FOREIGN])
    assert link.is_symlink()
    assert signers(bundle, FOREIGN) == {FOREIGN.public_key}


def test_where_the_system_cannot_copy_by_itself_the_copy_is_the_same(bundle: Path, made: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> int:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "copy_file_range", unsupported)
    sign(bundle, [FOREIGN])
    assert bundle.read_bytes() == made.signed(OURS, FOREIGN)


# What is attached


def attached(bundle: Path, armored: bytes) -> None:
    signature = bundle.parent.parent / "sig"
    signature.write_bytes(armored)
    attach(bundle, signature)


@pytest.mark.parametrize("key", [FOREIGN, EcdsaKey(1), SecurityKey(1), MldsaKey(1)], ids=["ed25519", "ecdsa", "security key", "ml-dsa"])
def test_a_signature_that_was_made_elsewhere_is_attached(bundle: Path, key: Key) -> None:
    attached(bundle, key.armored(manifest_bytes(bundle)))
    assert signers(bundle, key) == {key.public_key}


def unknown_type() -> bytes:
    return sshsig.encode(sshsig.string(b"ssh-rsa") + b"whatever", "wheelhouse-bundle-v1", b"whatever")


def another_key(manifest: bytes) -> bytes:
    return sshsig.encode(OURS.public_key, "wheelhouse-bundle-v1", FOREIGN.sign(sshsig.signed_data(manifest, "wheelhouse-bundle-v1")))


REFUSED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "over another manifest": (
        lambda manifest: FOREIGN.armored(manifest.replace(b"2026.11", b"2026.12")),
        "not over this bundle's manifest",
    ),
    "over the manifest without its last newline": (lambda manifest: FOREIGN.armored(manifest[:-1]), "not over this bundle's manifest"),
    "of another namespace": (lambda manifest: FOREIGN.armored(manifest, namespace="file"), "is for 'file'"),
    "in the name of another key": (another_key, "not over this bundle's manifest"),
    "by a key that was not touched": (lambda manifest: SecurityKey(1, flags=0).armored(manifest), "not over this bundle's manifest"),
    "of a type that no reader checks": (lambda _: unknown_type(), "no reader can check"),
    "cut off": (lambda manifest: FOREIGN.armored(manifest)[:-40], "malformed"),
    "with CRLF": (lambda manifest: FOREIGN.armored(manifest).replace(b"\n", b"\r\n"), "malformed"),
    "empty": (lambda _: b"", "malformed"),
    "endless": (lambda _: b"x" * 100_000, "malformed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_signature_that_the_far_side_would_refuse_is_not_attached(bundle: Path, made: Draft, name: str) -> None:
    make, reason = REFUSED[name]
    with pytest.raises(SignatureRefused, match=reason) as caught:
        attached(bundle, make(manifest_bytes(bundle)))
    assert caught.value.hint
    assert bundle.read_bytes() == made.signed(OURS)
    assert alone(bundle)


def test_the_manifest_is_what_ssh_keygen_signs_and_what_was_signed(bundle: Path, made: Draft) -> None:
    assert manifest_bytes(bundle) == canonical_json(made.document)


# What cannot be signed


def test_a_damaged_payload_is_not_signed(bundle: Path, made: Draft) -> None:
    """The signature would be good: it is over the manifest. But who signs, vouches for the whole."""
    damaged = bytearray(made.signed(OURS))
    damaged[100] ^= 1
    bundle.write_bytes(damaged)
    with pytest.raises(BundleRefused):
        sign(bundle, [FOREIGN])
    assert bundle.read_bytes() == damaged
    assert alone(bundle)


def test_the_65th_signature_is_refused(bundle: Path, made: Draft) -> None:
    bundle.write_bytes(made.signed(*(Key(seed) for seed in range(64))))
    with pytest.raises(UsageError, match="no more are allowed"):
        sign(bundle, [Key(64)])
    assert alone(bundle)


def test_a_signer_that_lies_is_found_out(bundle: Path, made: Draft) -> None:
    class Liar:
        public_key = FOREIGN.public_key

        def sign(self, data: bytes) -> bytes:
            return FOREIGN.sign(data + b"!")

    with pytest.raises(SignatureRefused):
        sign(bundle, [Liar()])
    assert bundle.read_bytes() == made.signed(OURS)


def test_a_file_that_changes_meanwhile_is_not_replaced(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two who sign the same file at the same moment: the second one is told, and loses nothing."""

    def sign_it_too(path: Path, public_keys: Iterable[bytes]) -> VerifiedBundle:
        monkeypatch.setattr("wheelhouse_builder.pack.sign.prove", prove)
        sign(bundle, [Key(3)])
        return prove(path, public_keys)

    monkeypatch.setattr("wheelhouse_builder.pack.sign.prove", sign_it_too)
    with pytest.raises(EnvironmentFailure, match="changed while it was signed"):
        sign(bundle, [FOREIGN])
    assert signers(bundle, OURS, FOREIGN, Key(3)) == {OURS.public_key, Key(3).public_key}
    assert alone(bundle)


@pytest.mark.parametrize(
    ("make", "error"), [(Path.touch, BundleRefused), (Path.mkdir, WheelhouseError), (lambda _: None, EnvironmentFailure)]
)
def test_what_is_no_bundle_is_not_signed(tmp_path: Path, make: object, error: type[WheelhouseError]) -> None:
    make(tmp_path / "b.whb")  # type: ignore[operator]
    with pytest.raises(error) as caught:
        sign(tmp_path / "b.whb", [OURS])
    assert caught.value.hint


def test_a_directory_that_may_not_be_written_is_told(bundle: Path, made: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere, so the system's answer is played."""

    def denied(self: Path, mode: str = "r", *arguments: object, **options: object) -> object:
        if "x" in mode:
            raise PermissionError(13, "Permission denied", str(self))
        return open(self, mode, *arguments, **options)  # type: ignore[call-overload]  # noqa: PTH123

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(EnvironmentFailure, match="could not be signed") as caught:
        sign(bundle, [FOREIGN])
    assert "wheelhouse manifest" in caught.value.hint
    assert bundle.read_bytes() == made.signed(OURS)


# A kill

KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from tests.support.bundles import FOREIGN
    from wheelhouse_builder.pack.sign import sign

    def killed_at(step):
        count = -1
        def hook(event, arguments):
            nonlocal count
            if event.startswith(("open", "os.", "shutil.")):
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)
        return hook

    bundle, old = Path(sys.argv[1]), Path(sys.argv[1]).read_bytes()
    found = []
    sys.dont_write_bytecode = True
    for step in range(200):
        child = os.fork()
        if not child:
            sys.addaudithook(killed_at(step))
            sign(bundle, [FOREIGN])
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        found.append("old" if bundle.read_bytes() == old else "new")
        Path(sys.argv[2]).with_name(str(step)).write_bytes(bundle.read_bytes())
        if status == 0:
            break
        bundle.write_bytes(old)
    print(*found)
    """
)


def test_whenever_a_kill_comes_the_file_is_the_old_one_or_the_new_one(bundle: Path, made: Draft) -> None:
    """Killed before each thing that Python asks of the system."""
    folder = bundle.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", KILLED, bundle, folder / "x"], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    verdicts = done.stdout.split()
    assert len(verdicts) > 10
    assert verdicts == sorted(verdicts, key=["old", "new"].index)
    assert verdicts[0] == "old"
    assert verdicts[-2:] == ["new", "new"]  # the last one ended by itself, the one before was killed after the rename
    for step, verdict in enumerate(verdicts):
        assert (folder / str(step)).read_bytes() == (made.signed(OURS) if verdict == "old" else made.signed(OURS, FOREIGN))
