from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bundles import FOREIGN, OURS, write_trust
from wheelhouse_builder.runtime.errors import KeyFailure
from wheelhouse_builder.runtime.layout import NAMESPACE
from wheelhouse_builder.runtime.trust import AllowedSigners, read_allowed_signers
from wheelhouse_builder.runtime.trusted_file import MAX_FILE_SIZE

NOW = datetime(2026, 11, 19, 12, tzinfo=UTC).timestamp()
KEY = OURS.public_line()
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ=="


def signers(directory: Path, text: str | bytes) -> AllowedSigners:
    path = directory / "allowed_signers"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_allowed_signers(str(path))


def test_a_key_in_the_file_is_trusted_with_its_principal_and_fingerprint(tmp_path: Path) -> None:
    found = read_allowed_signers(str(write_trust(tmp_path, OURS)))
    assert found.trusts(OURS.public_key, NAMESPACE, NOW) == ("packer@example.org", OURS.public_key)
    assert found.trusts(FOREIGN.public_key, NAMESPACE, NOW) is None


@pytest.mark.parametrize(
    "line",
    [
        f"a@b {KEY}",
        f"a@b {KEY} a comment with words",
        f"  a@b\t{KEY}  ",
        f"a@b,c@d {KEY}",
        f'"a b" {KEY}',
        f'a@b namespaces="{NAMESPACE}" {KEY}',
        f'a@b namespaces="file,{NAMESPACE}" {KEY}',
        f'a@b namespaces="wheelhouse-*" {KEY}',
        f'a@b namespaces="*,!file" {KEY}',
        f'a@b namespaces="wheelhouse-bundle-v?" {KEY}',
        f'a@b NameSpaces="{NAMESPACE}" {KEY}',
        f'a@b valid-after="20261118" {KEY}',
        f'a@b valid-after="20261119115959Z",valid-before="20261119120000Z" {KEY}',
        f'a@b namespaces="{NAMESPACE}",valid-before="203012312359Z" {KEY}',
    ],
)
def test_a_line_gives_trust(tmp_path: Path, line: str) -> None:
    assert signers(tmp_path, line + "\n").trusts(OURS.public_key, NAMESPACE, NOW)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ('namespaces="file,git"', "not for 'wheelhouse-bundle-v1'"),
        ('namespaces="*,!wheelhouse-*"', "not for 'wheelhouse-bundle-v1'"),
        ('namespaces="wheelhouse-bundle-v1?"', "not for"),
        ('namespaces="wheelhouse-bundle-v"', "not for"),
        ('valid-after="20261119120001Z"', "trusted from 2026-11-19 12:00:01 UTC"),
        ('valid-before="20261119115959Z"', "was trusted until 2026-11-19 11:59:59 UTC"),
    ],
)
def test_an_option_takes_trust_away_and_the_reason_is_known(tmp_path: Path, options: str, reason: str) -> None:
    found = signers(tmp_path, f"a@b {options} {KEY}\n")
    assert found.trusts(OURS.public_key, NAMESPACE, NOW) is None
    assert reason in found.why_not(OURS.public_key, NAMESPACE, NOW)


def test_a_second_line_may_give_what_the_first_does_not(tmp_path: Path) -> None:
    found = signers(tmp_path, f'old valid-before="20200101" {KEY}\nnew {KEY}\n')
    signer = found.trusts(OURS.public_key, NAMESPACE, NOW)
    assert signer is not None
    assert signer.principal == "new"


def test_comments_empty_lines_and_windows_line_ends_are_passed_over(tmp_path: Path) -> None:
    assert signers(tmp_path, f"# who signs\r\n\r\n   \r\n  # more\r\na@b {KEY}\r\n").trusts(OURS.public_key, NAMESPACE, NOW)


def test_certificate_authorities_and_other_keys_give_no_trust_and_no_offence(tmp_path: Path) -> None:
    found = signers(tmp_path, f"ca cert-authority {OURS.public_line()}\nrsa {RSA}\na@b {FOREIGN.public_line()}\n")
    assert found.trusts(OURS.public_key, NAMESPACE, NOW) is None
    assert found.trusts(FOREIGN.public_key, NAMESPACE, NOW)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a@b", "no key"),
        (KEY, "neither a key type nor an option"),
        (f'a@b zone="x" {KEY}', "option zone is unknown"),
        (f"a@b no-touch-required {KEY}", "option no-touch-required is unknown"),
        (f"a@b namespaces {KEY}", "needs a value"),
        (f'a@b namespaces="" {KEY}', "empty value"),
        (f"a@b namespaces=file {KEY}", "neither a key type nor an option"),
        (f'a@b cert-authority="x" {KEY}', "takes no value"),
        (f'a@b namespaces="a",namespaces="b" {KEY}', "there twice"),
        (f'a@b namespaces="a", {KEY}', "comma"),
        (f'a@b namespaces="a {KEY}', "quote"),
        (f'"a@b {KEY}', "quote"),
        (f'a@b valid-after="tomorrow" {KEY}', "no time"),
        (f'a@b valid-after="20261301" {KEY}', "no time"),
        (f'a@b valid-after="2026" {KEY}', "no time"),
        (f'a@b valid-after="20261119",valid-before="20261118" {KEY}', "not later"),
        ("a@b ssh-ed25519", "damaged"),
        (f"a@b {KEY[:-4]}", "damaged"),
        (f"a@b {KEY[:-1]}", "damaged"),
        (f"a@b {KEY}AAAA", "damaged"),
        ("a@b ssh-ed25519 !!!!", "damaged"),
        (f"a@b ssh-rsa {KEY.split()[1]}", "damaged"),
        (f"a@b ssh-ed25519 {RSA.split()[1]}", "damaged"),
        (f"a@b ssh-unheard {KEY.split()[1]}", "unknown"),
    ],
)
def test_a_line_that_is_not_understood_refuses_the_file_by_name_and_line(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(KeyFailure) as caught:
        signers(tmp_path, f"good {KEY}\n{line}\n")
    [problem] = caught.value.problems
    assert reason in problem
    assert str(tmp_path / "allowed_signers") + ", line 2: " in problem
    assert caught.value.hint


def test_all_bad_lines_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(KeyFailure) as caught:
        signers(tmp_path, f"a\ngood {KEY}\nb\nc\n")
    assert [problem.split(": ")[0].rpartition(" ")[2] for problem in caught.value.problems] == ["1", "3", "4"]


@pytest.mark.parametrize("text", ["", "\n", "# nobody yet\n", f"ca cert-authority {KEY}\n", f"a@b {RSA}\n"])
def test_a_file_that_trusts_nobody_is_a_failure_with_a_hint(tmp_path: Path, text: str) -> None:
    with pytest.raises(KeyFailure, match="trusts no key") as caught:
        signers(tmp_path, text)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["missing", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_a_failure_with_a_hint(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyFailure, match=r"cannot be read|not a regular file") as caught:
        read_allowed_signers(f"{tmp_path}/{name}")
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\0" * (MAX_FILE_SIZE + 1)])
def test_a_file_that_is_no_list_of_keys_is_a_failure(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(KeyFailure, match=r"no list of trusted keys|more than \d+ bytes"):
        signers(tmp_path, data)


def test_times_without_z_are_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    try:
        found = signers(tmp_path, f'a@b valid-after="202611190700" {KEY}\n')
        assert found.trusts(OURS.public_key, NAMESPACE, NOW)
        assert not found.trusts(OURS.public_key, NAMESPACE, NOW - 1)
    finally:
        monkeypatch.undo()
        time.tzset()


AGREED = (
    "",
    f'namespaces="{NAMESPACE}"',
    'namespaces="file"',
    'namespaces="*"',
    'namespaces="file,wheel*"',
    'namespaces="!wheelhouse-bundle-v1,*"',
    'valid-after="20261119120000Z"',
    'valid-before="20261119120000Z"',
    'valid-after="20261119"',
    'valid-before="202611191300"',
    'valid-after="20261118",valid-before="20261120"',
    f'namespaces="{NAMESPACE}",valid-after="20270101"',
    'unheard-of="x"',
    'valid-after="soon"',
    'valid-after="20270101",valid-before="20260101"',
    'namespaces="a",namespaces="b"',
    "cert-authority",
)  # fmt: skip


@pytest.mark.parametrize("options", AGREED)
def test_ssh_keygen_trusts_the_same_lines_at_the_same_times(tmp_path: Path, options: str) -> None:
    line = OURS.allowed_signers_line(options=options)
    (tmp_path / "signature").write_bytes(OURS.armored(b"hello"))
    for moment in ("20261119115959Z", "20261119120000Z", "20261119120001Z", "20261120120000Z", "20280101000000Z"):
        now = datetime.strptime(moment, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
        assert we_trust(tmp_path, line, now) == ssh_keygen_trusts(tmp_path, line, moment)


def we_trust(directory: Path, line: str, now: float) -> bool:
    try:
        return signers(directory, line).trusts(OURS.public_key, NAMESPACE, now) is not None
    except KeyFailure:
        return False


def ssh_keygen_trusts(directory: Path, line: str, moment: str) -> bool:
    (directory / "allowed").write_text(line)
    command = ["ssh-keygen", "-Y", "verify", "-f", str(directory / "allowed"), "-I", "packer@example.org", "-n", NAMESPACE]
    command += ["-s", str(directory / "signature"), "-O", f"verify-time={moment}"]
    return subprocess.run(command, input=b"hello", capture_output=True, check=False).returncode == 0


WORDS = st.sampled_from(
    [
        "a@b",
        KEY,
        "ssh-ed25519",
        "namespaces=",
        '"',
        '"x"',
        ",",
        "valid-after=",
        "20260101",
        "\\",
        "#",
        "\n",
        " ",
        "\0",
        "é",
        "cert-authority",
    ]
)


@given(st.lists(st.one_of(WORDS, st.text(max_size=4)), max_size=12).map("".join))
def test_any_text_is_understood_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    try:
        found = signers(tmp_path_factory.getbasetemp(), text.encode("utf-8", "replace"))
    except KeyFailure:
        return
    assert found.lines
