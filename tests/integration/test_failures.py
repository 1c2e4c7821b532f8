"""What goes wrong on the connected side ends in a sentence, a hint and an exit code, and leaves no half file."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Ended, environment
from tests.support.index import Fault, LocalIndex, failing, missing, wrong_bytes
from tests.support.native import ANSWER, asking, gcc, newer_system, wheel_of
from tests.support.pip import bundled_pip
from tests.support.wheels import make_sdist, make_wheel
from tests.support.workplace import WINDOWS, Workplace, publish_acme, this_target, workplace


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = publish_acme(tmp_path_factory.mktemp("shelf"))
    make_wheel(directory, "quarrelsome", "1.0", requires=["compiled<1"])
    make_sdist(directory, "source-only", "1.0")
    return directory


@pytest.fixture
def index(shelf: Path) -> Iterator[LocalIndex]:
    with LocalIndex(shelf) as index:
        yield index


@pytest.fixture
def place(index: LocalIndex, tmp_path: Path) -> Workplace:
    place = workplace(tmp_path / "work", index)
    place.write_spec(targets=[this_target(), WINDOWS])
    return place


def refused(place: Workplace, code: int) -> dict[str, str]:
    """Make the bundle in vain; the error that is told, as text."""
    ended = place.run("bundle", "-o", "acme.whb", "--json", expect=code)
    assert "Traceback" not in ended.stderr
    assert ended.error["exit_code"] == code
    assert ended.error["hint"]
    assert leftovers(place) == []
    return {"problems": "\n".join(ended.error["problems"]), "hint": str(ended.error["hint"])}


def leftovers(place: Workplace) -> list[str]:
    """What a run that failed left in its folder."""
    given = {"wheelhouse.yaml", "key", "key.pub", "key.allowed_signers", "home"}
    return [path.name for path in place.folder.iterdir() if path.name not in given]


def test_a_missing_key_is_told_before_anything_is_asked_of_the_index(place: Workplace) -> None:
    (place.folder / "key").unlink()
    told = refused(place, 10)
    assert "there is no key at" in told["problems"]
    assert "wheelhouse keygen" in told["hint"]
    assert place.index.requests == []


@pytest.mark.parametrize("output", ["nowhere/acme.whb", "."])
def test_an_output_that_cannot_be_is_told_before_anything_is_asked_of_the_index(place: Workplace, output: str) -> None:
    ended = place.run("bundle", "-o", output, expect=None)
    assert ended.code in (2, 9)
    assert "hint: " in ended.stderr
    assert place.index.requests == []


@pytest.mark.parametrize(
    ("lie", "told"), [("newer", "needs glibc 2.34, the tags say 2.28"), ("other", "is for aarch64, the tags say x86_64")]
)
def test_compiled_code_that_is_not_what_the_tags_say_is_told_with_the_member(tmp_path: Path, lie: str, told: str) -> None:
    shelf, built = tmp_path / "shelf", tmp_path / "built"
    newer = newer_system(built / "newer", "GLIBC_2.34") if lie == "newer" else []
    code = bytearray(gcc(built / "_demo.so", asking(ANSWER) if newer else ANSWER, *newer).read_bytes())
    code[18:20] = {"newer": b"\x3e\0", "other": b"\xb7\0"}[lie]  # e_machine: EM_X86_64, EM_AARCH64
    wheel_of(shelf, bytes(code), tag="cp32-abi3-manylinux_2_28_x86_64")
    shutil.copy(bundled_pip(), shelf)
    with LocalIndex(shelf) as index:
        place = workplace(tmp_path / "work", index)
        place.write_spec(requirements=["demo"], targets=["cp312-manylinux_2_28_x86_64"])
        assert f"'demo/_demo.abi3.so': {told}" in refused(place, 7)["problems"]


def test_requirements_that_cannot_be_met_show_the_resolvers_reasons_for_each_target(place: Workplace) -> None:
    place.write_spec(requirements=["acme", "quarrelsome"], targets=[this_target(), WINDOWS])
    told = refused(place, 4)
    assert "compiled<1" in told["problems"]
    assert WINDOWS in told["problems"]
    assert this_target() in told["problems"]


def test_projects_without_wheels_are_all_listed_with_the_targets_that_lack_them(place: Workplace) -> None:
    place.write_spec(requirements=["acme", "source-only"], targets=[this_target(), WINDOWS])
    told = refused(place, 5)
    assert "source-only: no wheel for" in told["problems"]
    assert WINDOWS in told["problems"]


def test_an_index_that_cannot_be_reached(place: Workplace) -> None:
    place.write_spec(index="http://127.0.0.1:9/simple", targets=[WINDOWS])
    assert "http://127.0.0.1:9/simple cannot be reached" in refused(place, 6)["problems"]


def test_wrong_credentials_are_told_without_telling_them(shelf: Path, tmp_path: Path) -> None:
    with LocalIndex(shelf, auth=("acme", "correct-horse")) as index:
        place = workplace(tmp_path / "work", index)
        spec = place.folder / "wheelhouse.yaml"
        credentials = f"{{url: '{index.url}', user_variable: INDEX_USER, password_variable: INDEX_PASSWORD}}"
        spec.write_text(spec.read_text().replace(f"index: {index.url}", f"index: {credentials}"))
        ended = place.run("bundle", expect=6, env={"INDEX_USER": "acme", "INDEX_PASSWORD": "hunter2"})
        assert "credentials" in ended.stderr
        assert "hunter2" not in ended.stderr
        assert "INDEX_PASSWORD" in place.run("bundle", expect=None).stderr
        place.run("bundle", env={"INDEX_USER": "acme", "INDEX_PASSWORD": "correct-horse"})
        written = [path for path in place.folder.rglob("*") if path.is_file() and b"correct-horse" in path.read_bytes()]
        assert not written


def test_a_file_that_is_gone_and_one_that_is_another_are_told_together(place: Workplace) -> None:
    place.index.fault("acme-1.0-py3-none-any.whl", missing())
    place.index.fault("old_thing-1.0-py3-none-any.whl", wrong_bytes())
    told = refused(place, 7)
    assert "acme-1.0-py3-none-any.whl" in told["problems"]
    assert "old_thing-1.0-py3-none-any.whl" in told["problems"]


def test_an_index_that_stumbles_is_asked_again(place: Workplace) -> None:
    place.index.fault("acme-1.0-py3-none-any.whl", failing(503, times=2))
    place.run("bundle", "-o", "acme.whb")


class TestTheDisk:
    def test_a_full_disk_under_the_store(self, place: Workplace) -> None:
        store = place.folder / "home/.cache"
        told = on_mounted(place, store, "size=200k", code=9)
        assert "No space left" in told.stdout
        assert leftovers(place) == []

    def test_a_full_disk_under_the_output(self, place: Workplace) -> None:
        told = on_mounted(place, place.folder / "out", "size=100k", code=9, output="out/acme.whb")
        assert "could not be written" in told.stdout

    def test_a_read_only_output(self, place: Workplace) -> None:
        told = on_mounted(place, place.folder / "out", "ro", code=9, output="out/acme.whb")
        assert "read-only" in told.stdout
        assert place.index.requests == []


def on_mounted(place: Workplace, folder: Path, options: str, *, code: int, output: str = "acme.whb") -> Ended:
    """Make the bundle while ``folder`` is a file system of its own, in namespaces of our own."""
    folder.mkdir(parents=True)
    script = 'mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@"'
    command = [sys.executable, "-m", "wheelhouse_builder", "bundle", "-o", output, "--json"]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", options, folder, *command],
        cwd=place.folder,
        env=environment(place.folder),
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    folder.rmdir()
    assert done.returncode == code, done.stdout + done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["hint"]
    assert error["exit_code"] == code
    return Ended(code=done.returncode, stdout=done.stdout, stderr=done.stderr)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_half_file_and_a_store_that_resumes(place: Workplace, sent: signal.Signals) -> None:
    slow_one = "acme-1.0-py3-none-any.whl"
    place.index.fault(slow_one, Fault(delay=60, times=1))
    command = [sys.executable, "-m", "wheelhouse_builder", "bundle", "-o", "acme.whb"]
    with subprocess.Popen(
        command, cwd=place.folder, env=environment(place.folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        wait_until_all_but_one_are_stored(place, slow_one)
        began = time.monotonic()
        os.kill(process.pid, sent)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < 10
    assert told.startswith("error: interrupted\nhint: ")
    assert leftovers(place) == []
    before = place.stored()
    assert before
    fetched = len(place.index.requests)
    place.run("bundle", "-o", "acme.whb")
    again = {request.path.rpartition("/")[2] for request in place.index.requests[fetched:] if request.path.endswith(".whl")}
    assert again == {slow_one}
    assert before < place.stored()


def wait_until_all_but_one_are_stored(place: Workplace, slow_one: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        asked = {request.path.rpartition("/")[2] for request in place.index.requests if request.path.endswith(".whl")}
        if slow_one in asked and len(place.stored()) == len(asked) - 1 > 3:
            return
        time.sleep(0.05)
    raise AssertionError(place.stored())
