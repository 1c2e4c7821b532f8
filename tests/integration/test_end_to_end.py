"""The main job: from requirements on a local index to an environment that was installed without a network."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv

from tests.support.cli import environment, on_terminal
from tests.support.index import UPLOADED, LocalIndex
from tests.support.pythons import cpythons
from tests.support.wheels import make_wheel
from tests.support.workplace import ARM, MAC, WINDOWS, Workplace, all_targets, publish_acme, this_target, workplace

OFFLINE = ("unshare", "-rn")
PROJECTS = {
    WINDOWS: {"acme", "compiled", "on-windows"},
    MAC: {"acme", "compiled", "on-unix", "old-thing"},
    ARM: {"acme", "compiled", "on-unix"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A bundle for four targets, made of locks."""
    root = tmp_path_factory.mktemp("end-to-end")
    with LocalIndex(publish_acme(root / "index")) as index:
        place = workplace(root / "work", index)
        place.run("lock")
        place.run("bundle", "-o", "acme.whb")
        yield place


@pytest.fixture
def again(place: Workplace, tmp_path: Path) -> Workplace:
    """Another folder with the same spec and index, its own home, nothing done yet."""
    return workplace(tmp_path / "work", place.index)


def offline(*command: str | Path, cwd: Path, expect: int = 0) -> str:
    done = subprocess.run([*OFFLINE, *command], cwd=cwd, env=environment(cwd), capture_output=True, check=False, encoding="utf-8")
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


class TestLock:
    @pytest.mark.parametrize("target", PROJECTS)
    def test_each_target_gets_the_projects_that_its_own_markers_ask_for(self, place: Workplace, target: str) -> None:
        document = tomllib.loads((place.folder / f"pylock.{target}.toml").read_text())
        assert {package["name"] for package in document["packages"]} == PROJECTS[target]

    def test_a_second_lock_changes_nothing(self, place: Workplace) -> None:
        before = {path: path.stat().st_mtime_ns for path in place.folder.glob("pylock.*")}
        document = place.run("lock", "--json").document
        assert [lock["target"] for lock in document["locks"]] == list(all_targets())
        assert not any(lock["first"] or lock["added"] or lock["removed"] or lock["changed"] for lock in document["locks"])
        assert {path: path.stat().st_mtime_ns for path in place.folder.glob("pylock.*")} == before

    def test_what_changes_is_told_project_by_project(self, tmp_path: Path) -> None:
        shelf = tmp_path / "index"
        publish_acme(shelf)
        with LocalIndex(shelf) as index:
            place = workplace(tmp_path / "work", index)
            place.write_spec(targets=[WINDOWS])
            assert place.run("lock").stdout == f"pylock.{WINDOWS}.toml: 3 projects, new\n"
            make_wheel(shelf, "acme", "2.0", requires=["compiled", "extra-thing"])
            assert place.run("lock").stdout == f"pylock.{WINDOWS}.toml: 3 projects, nothing changed\n"
            assert place.run("lock", "--upgrade").stdout.splitlines() == [
                f"pylock.{WINDOWS}.toml: 3 projects, 1 added, 1 removed, 1 changed",
                f"  + extra-thing 1.0, uploaded {UPLOADED:%Y-%m-%d}",
                "  - on-windows 1.0",
                f"  ~ acme 1.0 → 2.0, uploaded {UPLOADED:%Y-%m-%d}",
            ]

    def test_check_tells_what_the_locks_lack_and_writes_nothing(self, tmp_path: Path) -> None:
        with LocalIndex(publish_acme(tmp_path / "index")) as index:
            place = workplace(tmp_path / "work", index)
            place.write_spec(targets=[WINDOWS])
            assert f"pylock.{WINDOWS}.toml: is missing" in place.run("lock", "--check", expect=3).stderr
            assert not list(place.folder.glob("pylock.*"))
            place.run("lock")
            before = (place.folder / f"pylock.{WINDOWS}.toml").read_bytes()
            assert place.run("lock", "--check", "--json").document["checked"] is True
            place.write_spec(targets=[WINDOWS], requirements=["acme", "extra-thing"])
            problems = place.run("lock", "--check", "--json", expect=3).error["problems"]
            assert problems == [
                f"pylock.{WINDOWS}.toml: answers another question than the spec asks now: 1 added",
                f"pylock.{WINDOWS}.toml: + extra-thing 1.0, uploaded {UPLOADED:%Y-%m-%d}",
            ]
            assert (place.folder / f"pylock.{WINDOWS}.toml").read_bytes() == before
            place.write_spec(targets=[WINDOWS], requirements=["acme>=1"])
            (problem,) = place.run("lock", "--check", "--json", expect=3).error["problems"]
            assert "its projects stay as they are" in problem

    def test_one_project_alone_is_upgraded(self, tmp_path: Path) -> None:
        shelf = publish_acme(tmp_path / "index")
        with LocalIndex(shelf) as index:
            place = workplace(tmp_path / "work", index)
            place.write_spec(targets=[WINDOWS], requirements=["acme", "extra-thing"])
            place.run("lock")
            make_wheel(shelf, "acme", "2.0", requires=["compiled"])
            make_wheel(shelf, "extra-thing", "2.0")
            (lock,) = place.run("lock", "-P", "Extra_Thing", "--json").document["locks"]
            assert [(each["project"], each["from"], each["to"]) for each in lock["changed"]] == [("extra-thing", "1.0", "2.0")]
            assert lock["added"] == lock["removed"] == lock["refiled"] == []
            refused = place.run("lock", "--upgrade-project", "extra-thin", expect=2).stderr
            assert "no lock beside the spec holds extra-thin: did you mean extra-thing?" in refused
            place.run("lock", "--upgrade", "--check", expect=2)

    def test_a_bundle_is_refused_when_its_locks_answer_another_spec(self, again: Workplace) -> None:
        again.write_spec(targets=[WINDOWS])
        again.run("lock")
        again.write_spec(targets=[WINDOWS, ARM], requirements=["acme", "extra-thing"])
        told = again.run("bundle", "-o", "acme.whb", expect=3).stderr
        assert f"pylock.{WINDOWS}.toml: answers another question" in told
        assert f"pylock.{ARM}.toml: is missing" in told
        assert "wheelhouse lock" in told
        assert not (again.folder / "acme.whb").exists()


class TestBundle:
    def test_the_summary_tells_what_was_made_and_what_comes_next(self, place: Workplace) -> None:
        ended = place.run("bundle", "-o", "summary.whb")
        for told in (
            *all_targets(),
            "distributions",
            "of the wheels",
            "sha256:",
            "SHA256:",
            f"wheelhouse verify summary.whb --trust {place.folder / 'key.allowed_signers'}",
        ):
            assert told in ended.stdout
        assert ended.stderr == ""

    def test_the_document_names_the_digest_that_verify_finds(self, place: Workplace) -> None:
        made = place.run("bundle", "-o", "document.whb", "--json").document
        found = place.run("verify", "document.whb", "--trust", "key.allowed_signers", "--json").document
        assert made["bundle"]["digest"] == found["bundle"]["digest"]
        assert made["bundle"]["size"] == found["bundle"]["size"] == (place.folder / "document.whb").stat().st_size
        assert made["signed_by"] == [each["fingerprint"] for each in found["signers"]]
        assert {target["name"]: target["distributions"] for target in made["targets"]}[WINDOWS] == 3

    def test_the_default_name_is_that_of_the_spec_and_a_folder_stands_for_its_spec(self, place: Workplace) -> None:
        elsewhere = place.folder / "elsewhere"
        elsewhere.mkdir()
        Workplace(folder=elsewhere, index=place.index).run("bundle", "..", "--quiet", env={"XDG_CACHE_HOME": str(place.store.parent)})
        assert (elsewhere / "acme-1.0.whb").is_file()

    def test_a_second_run_fetches_nothing_and_makes_the_same_file(self, place: Workplace) -> None:
        requests = len(place.index.requests)
        place.run("bundle", "-o", "second.whb")
        assert len(place.index.requests) == requests
        assert (place.folder / "second.whb").read_bytes() == (place.folder / "acme.whb").read_bytes()

    def test_without_locks_the_targets_are_resolved_on_the_spot_to_the_same_content(self, again: Workplace, place: Workplace) -> None:
        made = again.run("bundle", "--json").document
        found = place.run("inspect", "acme.whb", "--json").document
        assert made["bundle"]["digest"] == found["bundle"]["digest"]
        assert not list(again.folder.glob("pylock.*"))

    def test_plain_has_the_same_identity(self, place: Workplace) -> None:
        made = place.run("bundle", "--plain", "-o", "plain.whb", "--json").document
        found = place.run("inspect", "acme.whb", "--json").document
        assert made["bundle"]["mode"] == "plain"
        assert made["bundle"]["digest"] == found["bundle"]["digest"]

    def test_ambient_configuration_changes_nothing(self, again: Workplace, place: Workplace) -> None:
        hostile = "http://127.0.0.1:9/simple"
        home = again.folder / "home"
        (home / ".config/pip").mkdir(parents=True)
        (home / ".config/uv").mkdir(parents=True)
        (home / ".config/pip/pip.conf").write_text(f"[global]\nindex-url = {hostile}\nno-binary = :all:\n")
        (home / ".config/uv/uv.toml").write_text(f'index-url = "{hostile}"\nprerelease = "allow"\n')
        (again.folder / "uv.toml").write_text(f'index-url = "{hostile}"\n')
        env = {"PIP_INDEX_URL": hostile, "PIP_NO_BINARY": ":all:", "UV_INDEX_URL": hostile, "UV_DEFAULT_INDEX": hostile, "UV_OFFLINE": "1"}
        env |= {"PIP_REQUIRE_HASHES": "1", "UV_RESOLUTION": "lowest", "UV_EXCLUDE_NEWER": "2020-01-01", "UV_CONSTRAINT": "/nowhere"}
        made = again.run("bundle", "--json", env=env).document
        assert made["bundle"]["digest"] == place.run("inspect", "acme.whb", "--json").document["bundle"]["digest"]

    def test_a_terminal_sees_progress_and_standard_output_holds_the_result_alone(self, again: Workplace) -> None:
        ended = on_terminal("bundle", cwd=again.folder)
        assert ended.code == 0
        for told in ("resolving", "fetching"):
            assert told in ended.stderr
        assert "\x1b" not in ended.stdout
        assert ended.stdout.startswith("acme 1.0: ")

    def test_no_color_is_honoured_on_a_terminal(self, again: Workplace) -> None:
        ended = on_terminal("bundle", cwd=again.folder, env={"NO_COLOR": "1"})
        assert ended.code == 0
        assert not [
            code for code in ("\x1b[3", "\x1b[9", "\x1b[4", "\x1b[1;3") if any(code + digit in ended.stderr for digit in "12345678")
        ]

    def test_verbose_tells_of_each_step_in_a_pipe_without_drawing(self, place: Workplace) -> None:
        told = place.run("bundle", "-o", "verbose.whb", "--verbose").stderr
        assert "fetching: " in told
        assert "\x1b" not in told
        assert "\r" not in told


class TestTheFarSide:
    @pytest.mark.parametrize("command", [["inspect"], ["verify", "--trust", "key.allowed_signers"]])
    def test_the_bundle_says_the_same_as_the_builder(self, place: Workplace, command: list[str]) -> None:
        ours = place.run(command[0], "acme.whb", *command[1:]).stdout
        its = offline(sys.executable, "acme.whb", *command, cwd=place.folder)
        assert ours == its.replace(str(place.folder / "acme.whb"), "acme.whb")

    def test_inspect_lists_each_distribution_with_its_targets(self, place: Workplace) -> None:
        document = place.run("inspect", "acme.whb", "--json").document
        targets = {each["project"]: each["targets"] for each in document["distributions"]}
        assert targets["on-windows"] == [WINDOWS]
        assert targets["acme"] == sorted(all_targets())
        (compiled,) = [each for each in document["distributions"] if each["project"] == "compiled" and WINDOWS in each["targets"]]
        assert compiled["filename"] == f"compiled-1.2-cp312-{WINDOWS}.whl"

    def test_tar_lists_it(self, place: Workplace) -> None:
        listed = subprocess.run(["tar", "--zstd", "-tf", "acme.whb"], cwd=place.folder, capture_output=True, check=True, text=True).stdout
        assert "acme-1.0/README.txt" in listed.splitlines()

    def test_a_foreign_signature_is_refused_and_nothing_written(self, place: Workplace) -> None:
        place.run("keygen", "--key", "stranger")
        ended = place.run("install", "acme.whb", "--venv", "never", "--trust", "stranger.allowed_signers", "--json", expect=12)
        assert ended.error["name"] == "signature-refused"
        assert not (place.folder / "never").exists()

    def test_install_makes_an_environment_that_imports_and_runs_without_a_network(self, place: Workplace) -> None:
        told = offline(
            sys.executable,
            "-m",
            "wheelhouse_builder",
            "install",
            "acme.whb",
            "--venv",
            "venv",
            "--trust",
            "key.allowed_signers",
            "--json",
            cwd=place.folder,
        )
        assert json.loads(told)["target"] == this_target()
        code = "import acme, importlib.metadata as m; print(acme.WHO); print(sorted(d.name for d in m.distributions()))"
        said = offline(place.folder / "venv/bin/python", "-I", "-c", code, cwd=place.folder).splitlines()
        assert said[0] == "acme on " + this_target().partition("-")[2]
        assert said[1] == str(["acme", "compiled", "old-thing", "on-unix", "pip"])

    def test_install_works_from_the_bundle_alone(self, place: Workplace) -> None:
        python = cpythons()[f"3.{sys.version_info.minor}"]
        offline(python, "acme.whb", "install", "--venv", "alone", "--trust", "key.allowed_signers", cwd=place.folder)
        assert "acme on" in offline(place.folder / "alone/bin/python", "-c", "import acme; print(acme.WHO)", cwd=place.folder)

    def test_what_is_unpacked_installs_by_pip_and_by_uv(self, place: Workplace) -> None:
        place.run("unpack", "acme.whb", "unpacked", "--trust", "key.allowed_signers")
        here = place.folder / "unpacked/targets" / this_target()
        ways = {
            "pip": ("pip", "install", "--no-index", "--find-links", "unpacked/wheels", "--require-hashes", "-r", here / "requirements.txt"),
            "uv": (uv.find_uv_bin(), "pip", "sync", "--no-config", "--offline", "--python", "by-uv/bin/python", here / "pylock.toml"),
        }
        for name, command in ways.items():
            subprocess.run([sys.executable, "-m", "venv", place.folder / f"by-{name}"], check=True)
            program = (place.folder / "by-pip/bin/python", "-m", "pip", *command[1:]) if name == "pip" else command
            offline(*program, cwd=place.folder)
            assert "acme on" in offline(place.folder / f"by-{name}/bin/python", "-c", "import acme; print(acme.WHO)", cwd=place.folder)

    def test_a_target_of_another_host_can_be_unpacked_but_not_installed(self, place: Workplace) -> None:
        place.run("unpack", "acme.whb", "for-windows", "--target", WINDOWS, "--trust", "key.allowed_signers")
        assert {path.name.partition("-")[0] for path in (place.folder / "for-windows/wheels").iterdir()} == {
            "acme",
            "compiled",
            "on_windows",
            "pip",
        }
        refused = place.run("install", "acme.whb", "--venv", "no", "--target", WINDOWS, "--trust", "key.allowed_signers", expect=13)
        assert WINDOWS in refused.stderr

    def test_what_exists_is_not_overwritten(self, place: Workplace) -> None:
        (place.folder / "full").mkdir()
        (place.folder / "full/file").write_text("mine")
        place.run("unpack", "acme.whb", "full", "--trust", "key.allowed_signers", expect=15)
        assert [path.name for path in (place.folder / "full").iterdir()] == ["file"]


@pytest.mark.network
def test_the_real_index_gives_each_target_what_it_needs(tmp_path: Path) -> None:
    with LocalIndex(tmp_path) as unused:
        place = workplace(tmp_path / "work", unused)
        place.write_spec(
            requirements=["fastapi", "uvicorn[standard]", "tqdm"], targets=[this_target(), WINDOWS], index="https://pypi.org/simple"
        )
        place.run("bundle", "-o", "real.whb")
    held = {each["project"]: each["targets"] for each in place.run("inspect", "real.whb", "--json").document["distributions"]}
    assert held["colorama"] == [WINDOWS]
    assert held["uvloop"] == [this_target()]
    offline(sys.executable, "-I", "real.whb", "install", "--venv", "venv", "--trust", "key.allowed_signers", cwd=place.folder)
    offline(place.folder / "venv/bin/python", "-c", "import fastapi, uvicorn, uvloop, tqdm", cwd=place.folder)
