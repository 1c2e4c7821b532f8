"""Packing: one file that everything accepts, the same from the same contents, or no file at all."""

from __future__ import annotations

import io
import os
import random
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.bundles import OURS, write_trust
from tests.support.contents import OTHER_TARGET, TARGET, held, make_contents, make_lock
from tests.support.frames import machine_code
from tests.support.wheels import make_wheel, write_zip
from tests.support.zips import DESCRIPTOR, ZipMember, deflated
from tests.support.zips import write_zip as write_odd_zip
from wheelhouse_builder.errors import DistributionError, EnvironmentFailure, SpecError, UsageError
from wheelhouse_builder.model.extras import Extras, PlacedFile
from wheelhouse_builder.pack import Contents, Packed, pack
from wheelhouse_builder.pack.effort import EFFORTS
from wheelhouse_builder.runtime import sshsig
from wheelhouse_builder.runtime.bundle import verify
from wheelhouse_builder.runtime.manifest import Manifest
from wheelhouse_builder.runtime.payload import read_entries
from wheelhouse_builder.runtime.policy import read_trust
from wheelhouse_builder.runtime.skeleton import FILTERED, decode, rebuild
from wheelhouse_builder.runtime.zstd import choose_decoder

NOISE = random.Random(0).randbytes(300_000)
TEXT = b"".join(b"line %d of a licence that is everywhere\n" % (number % 71) for number in range(3000))


def some_wheels(directory: Path) -> list[Path]:
    """Wheels of several kinds, which share a file."""
    shared = {"LICENSE": TEXT}
    return [
        make_wheel(directory, "alpha", "1.0", files={"alpha/__init__.py": b"a = 1\n" * 500, "alpha/LICENSE": TEXT, "alpha/empty.py": b""}),
        make_wheel(
            directory, "beta", "1.0", files={"beta/core.bin": b"\x7fELF" + NOISE, **shared}, tag="cp312-cp312-manylinux_2_28_x86_64"
        ),
        make_wheel(directory, "gamma", "1.0", files={"gamma/__init__.py": TEXT}, compression=zipfile.ZIP_STORED),
        write_zip(directory / "directories-1.0-py3-none-any.whl", {"directories/": b"", "directories/__init__.py": TEXT}),
        write_odd_zip(
            directory / "odd-1.0-py3-none-any.whl",
            [
                ZipMember(name="odd/nine.py", content=TEXT, data=deflated(TEXT, level=9)),
                ZipMember(name="odd/streamed.py", content=TEXT, data=deflated(TEXT), flags=DESCRIPTOR),
                ZipMember(name="odd/other.py", content=TEXT, data=deflated(TEXT, strategy=zlib.Z_HUFFMAN_ONLY)),
            ],
        ),
    ]


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    return make_contents(tmp_path / "store", *some_wheels(tmp_path / "store"), targets=[TARGET, OTHER_TARGET])


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "acme.whb"


def packed(contents: Contents, output: Path, *, plain: bool = False, effort: str = "fast", threads: int | None = None) -> Packed:
    return pack(contents, output, signers=[OURS], plain=plain, effort=effort, threads=threads)


def read_back(path: Path, directory: Path) -> tuple[Manifest, dict[str, bytes]]:
    """The verified manifest and every entry of the payload."""
    with verify(str(path), read_trust(str(write_trust(directory, OURS)))) as bundle:
        decoder = choose_decoder(b"", str(directory))
        frames = range(len(bundle.manifest.frames))
        return bundle.manifest, {path: b"".join(pieces) for frame in frames for path, _, pieces in read_entries(bundle, frame, decoder)}


def wheels_within(path: Path, directory: Path) -> dict[str, bytes]:
    """Every wheel of the bundle, rebuilt if need be; written for the test, with the whole pool in memory."""
    manifest, entries = read_back(path, directory)
    pool = b"".join(data for entry, data in entries.items() if entry.startswith("pool/"))
    found = {entry.removeprefix("wheels/"): data for entry, data in entries.items() if entry.startswith("wheels/")}
    for entry, data in entries.items():
        if entry.startswith("skeletons/"):
            whole = directory / "rebuilt"
            with whole.open("wb") as out:
                rebuild(decode(data), lambda start, length: [pool[start : start + length]], out)
            found[entry.removeprefix("skeletons/")] = whole.read_bytes()
    assert set(found) == {each.filename for each in manifest.distributions}
    return found


# What comes out is what went in


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("effort", EFFORTS)
def test_every_wheel_comes_out_bit_for_bit(contents: Contents, output: Path, tmp_path: Path, plain: bool, effort: str) -> None:
    packed(contents, output, plain=plain, effort=effort)
    expected = {filename: wheel.path.read_bytes() for filename, wheel in contents.wheels.items()}
    assert wheels_within(output, tmp_path) == expected


def test_machine_code_is_filtered_where_that_makes_it_smaller(tmp_path: Path, output: Path) -> None:
    store = tmp_path / "store"
    calls = [
        make_wheel(store, "calls", "1.0", files={"calls.so": machine_code(), "calls_too.so": machine_code() + b"\xc3", "text.txt": TEXT})
    ]
    contents = make_contents(
        store, *calls, make_wheel(store, "stored", "1.0", files={"a.so": machine_code()}, compression=zipfile.ZIP_STORED)
    )
    packed(contents, output, effort="max")
    skeleton = decode(read_back(output, tmp_path)[1]["skeletons/calls-1.0-py3-none-any.whl"])
    assert sum(member.method & FILTERED == FILTERED for member in skeleton.members) == 2
    assert wheels_within(output, tmp_path) == {filename: wheel.path.read_bytes() for filename, wheel in contents.wheels.items()}
    plain = output.stat().st_size
    packed(contents, output, effort="balanced")
    assert plain < output.stat().st_size - 10_000


def test_digests_that_follow_do_not_travel(tmp_path: Path, output: Path) -> None:
    store = tmp_path / "store"
    contents = make_contents(
        store, make_wheel(store, "many", "1.0", files={f"many/{number}.py": b"%d\n" % number for number in range(500)})
    )
    packed(contents, output, effort="max")
    _, entries = read_back(output, tmp_path)
    assert entries["pool/0000"].count(b",sha256=" + b"=" * 43 + b",") > 500
    assert wheels_within(output, tmp_path) == {filename: wheel.path.read_bytes() for filename, wheel in contents.wheels.items()}
    small = output.stat().st_size
    packed(contents, output, effort="balanced")
    assert small < output.stat().st_size - 500 * 32


def test_what_is_reported_is_what_was_written(contents: Contents, output: Path) -> None:
    done = packed(contents, output)
    assert done.path == output
    assert done.size == output.stat().st_size
    assert (done.targets, done.distributions) == (2, 6)
    assert done.wheels_size == sum(wheel.path.stat().st_size for wheel in contents.wheels.values())
    assert done.fingerprints == (sshsig.fingerprint(OURS.public_key),)


def test_dense_and_plain_are_one_content(contents: Contents, output: Path) -> None:
    dense = packed(contents, output)
    plain = packed(contents, output, plain=True)
    assert dense.digest == plain.digest


def test_what_wheels_share_is_carried_once(tmp_path: Path, output: Path) -> None:
    store = tmp_path / "store"
    wheels = [make_wheel(store, f"copy{number}", "1.0", files={"data.bin": NOISE}) for number in range(8)]
    packed(make_contents(store, *wheels), output)
    assert output.stat().st_size < 4 * len(NOISE)


def test_large_projects_have_frames_of_their_own(tmp_path: Path, output: Path) -> None:
    store = tmp_path / "store"
    large = [make_wheel(store, name, "1.0", files={f"{name}/data.bin": name.encode() * 2_000_000}) for name in ("large", "other")]
    packed(make_contents(store, make_wheel(store, "small", "1.0"), *large), output)
    manifest, entries = read_back(output, tmp_path)
    assert len(manifest.frames) == 3
    assert [entry for entry in entries if entry.startswith("pool/")] == ["pool/0000", "pool/0001", "pool/0002"]


def test_the_manifest_tells_targets_and_origins(contents: Contents, output: Path, tmp_path: Path) -> None:
    packed(contents, output)
    manifest, entries = read_back(output, tmp_path)
    assert [target.name for target in manifest.targets] == [TARGET, OTHER_TARGET]
    assert {target.pip for target in manifest.targets} == {"pip-26.3-py3-none-any.whl"}
    alpha = next(each for each in manifest.distributions if each.project == "alpha")
    assert alpha.origin.url == "https://pypi.org/files/alpha-1.0-py3-none-any.whl"
    assert alpha.targets == (TARGET, OTHER_TARGET)
    assert {each.path: each.size for each in manifest.files}.items() <= {path: len(data) for path, data in entries.items()}.items()


@pytest.mark.parametrize("plain", [True, False])
def test_files_and_commands_travel_signed(contents: Contents, output: Path, tmp_path: Path, plain: bool) -> None:
    (tmp_path / "unit").write_text("[Service]\n")
    files = (
        PlacedFile(path="systemd/acme.service", source=tmp_path / "unit"),
        PlacedFile(path=".env", source=tmp_path / "unit", mode="0600"),
    )
    packed(replace(contents, extras=Extras(files=files, smoke=(("demo", "--version"),))), output, plain=plain)
    manifest, entries = read_back(output, tmp_path)
    assert [tuple(each) for each in manifest.placed] == [(".env", "0600"), ("systemd/acme.service", "0644")]
    assert manifest.smoke == (("demo", "--version"),)
    assert entries["files/systemd/acme.service"] == b"[Service]\n"
    (tmp_path / "unit").unlink()
    with pytest.raises(SpecError, match="unit"):
        packed(replace(contents, extras=Extras(files=files)), output)


def test_the_decoder_travels_in_the_control_part(tmp_path: Path, output: Path) -> None:
    pip = held(make_wheel(tmp_path, "pip", "26.3"))
    module, licence = "backports/zstd/_zstd.cpython-312.so", "backports_zstd-1.0.dist-info/LICENSE"
    files = {module: NOISE, licence: TEXT, "backports/zstd/__init__.py": TEXT}
    decoder = held(make_wheel(tmp_path, "backports.zstd", "1.0", tag="cp312-cp312-manylinux_2_28_x86_64", files=files))
    wheels = {each.filename: each for each in (pip, decoder)}
    packed(Contents.gather(name="a", version="1", locks=[make_lock(TARGET, [], [pip, decoder])], wheels=wheels), output)
    with zipfile.ZipFile(output) as archive:
        content = archive.read("decoders.tar.xz")
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:xz") as tar:
        found = {name.removeprefix(f"{decoder.filename}/") for name in tar.getnames()}
    assert found == {module, licence}
    manifest, _ = read_back(output, tmp_path)
    assert manifest.targets[0].decoder == manifest.decoders[0].filename == decoder.filename


def test_the_readme_is_plain_ascii_and_names_the_targets(contents: Contents, output: Path, tmp_path: Path) -> None:
    packed(contents, output)
    text = read_back(output, tmp_path)[1]["README.txt"].decode("ascii")
    assert TARGET in text
    assert "ssh-keygen -Y verify" in text
    assert max(map(len, text.splitlines())) <= 80


# Other readers


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, check=False, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tar_zstd_and_zipfile_read_the_file(contents: Contents, output: Path, tmp_path: Path) -> None:
    packed(contents, output)
    names = run("tar", "--zstd", "-tf", output, cwd=tmp_path).splitlines()
    assert names == [f"acme-web-2026.11/{path}" for path in read_back(output, tmp_path)[1]]
    run("zstd", "-q", "-t", output, cwd=tmp_path)
    assert "manifest.json" in run(sys.executable, "-m", "zipfile", "-l", output, cwd=tmp_path)


def test_a_plain_bundle_unpacks_with_tar_alone(contents: Contents, output: Path, tmp_path: Path) -> None:
    packed(contents, output, plain=True)
    run("tar", "--zstd", "-xf", output, cwd=tmp_path)
    for filename, wheel in contents.wheels.items():
        assert (tmp_path / "acme-web-2026.11" / "wheels" / filename).read_bytes() == wheel.path.read_bytes()


def test_ssh_keygen_verifies_it_as_the_readme_says(contents: Contents, output: Path, tmp_path: Path) -> None:
    packed(contents, output)
    trust = write_trust(tmp_path, OURS)
    run(sys.executable, "-m", "zipfile", "-e", output, "check", cwd=tmp_path)
    (signature,) = (tmp_path / "check" / "signatures").iterdir()
    command = ["ssh-keygen", "-Y", "verify", "-f", trust, "-I", "packer@example.org", "-n", "wheelhouse-bundle-v1", "-s", signature]
    done = subprocess.run(
        list(map(str, command)), input=(tmp_path / "check" / "manifest.json").read_bytes(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_file_runs_as_its_own_reader(contents: Contents, output: Path, tmp_path: Path) -> None:
    packed(contents, output)
    run(sys.executable, output, "verify", "--trust", write_trust(tmp_path, OURS), cwd=tmp_path)


# The same contents, the same bytes


@pytest.mark.parametrize("plain", [False, True])
def test_neither_threads_nor_order_nor_umask_nor_time_zone_show(
    contents: Contents, output: Path, monkeypatch: pytest.MonkeyPatch, plain: bool
) -> None:
    packed(contents, output, plain=plain, threads=1)
    first = output.read_bytes()
    turned = Contents.gather(
        name=contents.name,
        version=contents.version,
        locks=[replace(lock, wheels=lock.wheels[::-1], bootstrap=lock.bootstrap[::-1]) for lock in reversed(contents.locks)],
        wheels=dict(list(contents.wheels.items())[::-1]),
    )
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    before = os.umask(0o077)
    try:
        packed(turned, output, plain=plain, threads=7)
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()
    assert output.read_bytes() == first


def test_the_file_is_as_readable_as_the_umask_allows(contents: Contents, output: Path) -> None:
    before = os.umask(0o027)
    try:
        packed(contents, output)
    finally:
        os.umask(before)
    assert stat.S_IMODE(output.stat().st_mode) == 0o640


def test_the_place_of_the_store_does_not_show(contents: Contents, output: Path, tmp_path: Path) -> None:
    packed(contents, output)
    first = output.read_bytes()
    packed(make_contents(tmp_path / "moved", *some_wheels(tmp_path / "moved"), targets=[TARGET, OTHER_TARGET]), output)
    assert output.read_bytes() == first


# Or no file at all


def nothing_beside(output: Path) -> bool:
    return not output.parent.exists() or [path.name for path in output.parent.iterdir()] == []


def test_a_wheel_that_changed_in_the_store_leaves_no_file(contents: Contents, output: Path) -> None:
    next(iter(contents.wheels.values())).path.write_bytes(b"other")
    for plain in (False, True):
        with pytest.raises(DistributionError):
            packed(contents, output, plain=plain)
    assert nothing_beside(output)


def test_a_wheel_that_is_gone_from_the_store_is_named(contents: Contents, output: Path) -> None:
    gone = next(iter(contents.wheels.values())).path
    gone.unlink()
    with pytest.raises(EnvironmentFailure, match=f"{gone.name} could not be read"):
        packed(contents, output)
    assert nothing_beside(output)


def test_a_missing_directory_is_a_sentence(contents: Contents, output: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="No such file") as caught:
        packed(contents, output.parent / "missing" / "acme.whb")
    assert "make the directory" in caught.value.hint


def test_a_directory_as_the_output_is_a_sentence(contents: Contents, output: Path) -> None:
    with pytest.raises(UsageError, match="directory"):
        packed(contents, output.parent)


def test_an_unknown_effort_is_a_sentence(contents: Contents, output: Path) -> None:
    with pytest.raises(UsageError, match="'extreme'") as caught:
        packed(contents, output, effort="extreme")
    assert "balanced" in caught.value.hint


def test_a_failed_run_leaves_the_bundle_of_before(contents: Contents, output: Path) -> None:
    packed(contents, output)
    before = output.read_bytes()
    next(iter(contents.wheels.values())).path.write_bytes(b"other")
    with pytest.raises(DistributionError):
        packed(contents, output)
    assert output.read_bytes() == before
    assert list(output.parent.iterdir()) == [output]


PACK_AND_TELL = """
import sys
from pathlib import Path
from tests.support.bundles import OURS
from tests.support.contents import make_contents
from wheelhouse_builder.errors import WheelhouseError
from wheelhouse_builder.pack import pack
store, output = map(Path, sys.argv[1:])
contents = make_contents(store, *sorted(store.glob("[!p]*.whl")))
print("ready", flush=True)
try:
    pack(contents, output, signers=[OURS], effort="max")
except WheelhouseError as error:
    sys.exit(f"{error.exit_code} {error} hint: {error.hint}")
"""
CHECKOUT = Path(__file__).parents[3]


def mounted(options: str, store: Path, output: Path) -> str:
    """What packing into a file system that was mounted with ``options`` tells; afterwards nothing may lie there."""
    inside = 'mount -t tmpfs -o "$1" none "$2" && "$3" -c "$4" "$5" "$2/acme.whb"; ls -A "$2"'
    arguments = ["unshare", "-rm", "sh", "-c", inside, "sh", options, output.parent, sys.executable, PACK_AND_TELL, store]
    done = subprocess.run(list(map(str, arguments)), cwd=CHECKOUT, capture_output=True, check=False, encoding="utf-8")
    assert done.stdout == "ready\n"
    return done.stderr


def test_a_full_disk_leaves_no_file_and_tells_how_much_is_needed(tmp_path: Path, output: Path) -> None:
    make_wheel(tmp_path / "store", "demo", "1.0", files={"demo/noise.bin": NOISE})
    told = mounted("size=400k", tmp_path / "store", output)
    assert told.startswith("9 ")
    assert "No space left on device" in told
    assert "hint: packing needs about twice" in told


def test_a_read_only_place_leaves_no_file_and_is_a_sentence(tmp_path: Path, output: Path) -> None:
    make_wheel(tmp_path / "store", "demo", "1.0")
    told = mounted("ro", tmp_path / "store", output)
    assert told.startswith("9 ")
    assert "Read-only file system" in told


@pytest.mark.parametrize("begun", [".wheelhouse-*", ".wheelhouse-*/frame-*"])
def test_an_interrupt_leaves_no_file_and_does_not_wait_for_the_work(tmp_path: Path, output: Path, begun: str) -> None:
    make_wheel(tmp_path / "store", "demo", "1.0", files={"demo/noise.bin": random.Random(1).randbytes(8_000_000)})
    command = [sys.executable, "-c", PACK_AND_TELL, str(tmp_path / "store"), str(output)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not any(output.parent.glob(begun)):
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in told
    assert nothing_beside(output)


def test_a_wrong_signer_is_found_before_the_file_is_seen(contents: Contents, output: Path) -> None:
    class Liar:
        public_key = OURS.public_key

        def sign(self, data: bytes) -> bytes:
            return OURS.sign(data + b"!")

    with pytest.raises(Exception, match="signature"):
        pack(contents, output, signers=[Liar()], effort="fast")
    assert nothing_beside(output)
