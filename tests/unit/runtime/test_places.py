"""Each kind of place holds what was installed last, whole: replaced in one step, beside earlier releases, or not changed at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.installs import QUICK, Site, said
from wheelhouse_builder.runtime import install as installing
from wheelhouse_builder.runtime import switch
from wheelhouse_builder.runtime.commands import Destination, run_inspect, run_install, run_unpack
from wheelhouse_builder.runtime.elsewhere import Interpreter
from wheelhouse_builder.runtime.engine import Installation, Job
from wheelhouse_builder.runtime.errors import AlreadyThere, EnvironmentFailure, InstallError, UsageError
from wheelhouse_builder.runtime.locking import alone
from wheelhouse_builder.runtime.places import venv_place
from wheelhouse_builder.runtime.progress import NoProgress
from wheelhouse_builder.runtime.releasing import run_gc, run_list, run_rollback
from wheelhouse_builder.runtime.report import render


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def in_use(site: Site) -> str:
    return (site.prefix / "current").readlink().name


# One environment


def test_an_environment_is_replaced_by_the_next_bundle_and_names_its_place_everywhere(site: Site) -> None:
    first = site.install(site.bundle("1.0"))
    assert (first["changed"], first["replaced"]) == (True, None)
    second = site.install(site.bundle("2.0"))
    assert (second["changed"], second["replaced"]) == (True, "acme-web 2026.11")
    assert said(site.venv) == "demo 2.0\n"
    texts = [path.read_text() for path in [site.venv / "pyvenv.cfg", *(site.venv / "bin").glob("activate*"), site.venv / "bin" / "demo"]]
    assert not [text for text in texts if ".wheelhouse-" in text]
    assert str(site.venv) in texts[0]
    assert site.left() == []


def test_the_same_bundle_once_more_changes_nothing_and_is_no_failure(site: Site) -> None:
    bundle = site.bundle("1.0")
    site.install(bundle)
    before = {path: (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in site.venv.rglob("*")}
    report = site.install(bundle)
    assert report["changed"] is False
    assert {path: (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in site.venv.rglob("*")} == before
    assert "already there, whole" in render(report)


def test_what_was_changed_since_is_installed_anew_and_told(site: Site) -> None:
    bundle = site.bundle("1.0")
    site.install(bundle)
    [module] = site.venv.glob("lib/python*/site-packages/demo/__init__.py")
    module.write_text("def main():\n    print('meddled with')\n")
    report = site.install(bundle)
    assert report["changed"] is True
    assert any("site-packages/demo/__init__.py was changed" in each for each in report["repaired"])
    assert said(site.venv) == "demo 1.0\n"


def test_what_another_user_could_have_put_there_is_not_believed_whatever_its_receipt_says(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = site.bundle("1.0")
    site.install(bundle)
    site.venv.chmod(0o777)
    assert any("others than this user may have written" in each for each in site.install(bundle)["repaired"])
    assert stat.S_IMODE(site.venv.stat().st_mode) == 0o755
    if os.geteuid() == 0:
        os.chown(site.venv, 65534, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert site.install(bundle)["changed"]


def test_an_environment_whose_interpreter_is_gone_is_not_whole(site: Site) -> None:
    bundle = site.bundle("1.0")
    site.install(bundle)
    (site.venv / "bin" / "python").unlink()
    assert any("its interpreter is gone" in each for each in site.install(bundle)["repaired"])
    assert said(site.venv) == "demo 1.0\n"


@pytest.mark.parametrize("planted", ["[" * 200_000, None])
def test_what_is_no_receipt_is_none(site: Site, planted: str | None) -> None:
    receipt = site.venv / "wheelhouse-receipt.json"
    site.venv.mkdir()
    if planted:
        receipt.write_text(planted)
    else:
        receipt.mkdir()
    with pytest.raises(AlreadyThere, match="no installation of ours"):
        site.install(site.bundle("1.0"))


def test_two_renames_do_where_no_system_call_exchanges(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch, "_exchange", lambda *_: False)
    site.install(site.bundle("1.0"))
    site.install(site.bundle("2.0"))
    assert said(site.venv) == "demo 2.0\n"
    assert site.left() == []


def test_the_old_environment_goes_back_when_the_second_of_two_renames_fails(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    site.install(site.bundle("1.0"))
    monkeypatch.setattr(switch, "_exchange", lambda *_: False)
    monkeypatch.setattr(switch, "_move_in", fails)
    with pytest.raises(EnvironmentFailure):
        site.install(site.bundle("2.0"))
    assert said(site.venv) == "demo 1.0\n"
    assert site.left() == []


@pytest.mark.parametrize("what", ["directory", "file", "link", "environment"])
def test_what_is_no_installation_of_ours_is_not_replaced(site: Site, what: str) -> None:
    if what == "directory":
        site.venv.mkdir()
        (site.venv / "mine").touch()
    elif what == "file":
        site.venv.touch()
    elif what == "link":
        (site.directory / "elsewhere").mkdir()
        site.venv.symlink_to("elsewhere")
    else:
        subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", site.venv], check=True)
    before = sorted(map(str, site.directory.rglob("*")))
    bundle = site.bundle("1.0")
    made = {str(path) for path in (site.directory / "made").rglob("*")} | {str(site.directory / "made"), bundle}
    with pytest.raises(AlreadyThere):
        site.install(bundle)
    assert sorted({*map(str, site.directory.rglob("*"))} - made) == before


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(site: Site) -> None:
    bundle = site.bundle("1.0", placed={"acme.env": ("0640", b"A=1\n")}, smoke=[["demo"]])
    before = sorted(map(str, site.directory.rglob("*")))
    told = site.install(bundle, prefix=str(site.prefix), dry_run=True)["steps"]
    assert sorted(map(str, site.directory.rglob("*"))) == before
    for part in ("install 2 distributions", "place acme.env in it, mode 0640", "run there: demo", "put it in one step", "current lead to"):
        assert any(part in step for step in told), part
    site.release(bundle)
    assert site.install(bundle, prefix=str(site.prefix), dry_run=True)["steps"] == ["change nothing: it is there already, whole"]


# Releases


def test_releases_stand_side_by_side_and_current_leads_to_the_last(site: Site) -> None:
    for version in ("1.0", "2.0"):
        report = site.release(site.bundle(version))
    assert said(site.prefix / "current") == "demo 2.0\n"
    assert report["prefix"] == str(site.prefix)
    assert f"next\n  {site.prefix}/current/" in render(report)
    told = run_list(str(site.prefix))
    assert [each["in_use"] for each in told["releases"]].count(True) == 1
    assert len(told["releases"]) == 2
    assert in_use(site) in render(told)
    assert all(each["name"].startswith("acme-web-2026.11-") for each in told["releases"])


def test_a_rollback_goes_to_what_was_in_use_before_not_to_what_was_installed_before(site: Site) -> None:
    one, two, three = (site.bundle(version) for version in ("1.0", "2.0", "3.0"))
    for bundle in (one, two, one, three):
        site.release(bundle)
    report = run_rollback(str(site.prefix))
    assert said(site.prefix / "current") == "demo 1.0\n"
    assert report["current"] == in_use(site)
    with pytest.raises(InstallError, match="no release before"):
        run_rollback(str(site.prefix))
    assert run_rollback(str(site.prefix), report["before"])["changed"]
    assert said(site.prefix / "current") == "demo 3.0\n"


def test_a_release_that_was_changed_is_not_rolled_back_to(site: Site) -> None:
    site.release(site.bundle("1.0"))
    first = site.prefix / "releases" / in_use(site)
    site.release(site.bundle("2.0"))
    next(first.glob("lib/python*/site-packages/demo/__init__.py")).write_text("")
    with pytest.raises(InstallError, match="not as it was installed"):
        run_rollback(str(site.prefix))
    assert said(site.prefix / "current") == "demo 2.0\n"


def test_a_release_that_others_may_write_to_is_not_rolled_back_to(site: Site) -> None:
    site.release(site.bundle("1.0"))
    (site.prefix / "releases" / in_use(site)).chmod(0o775)
    site.release(site.bundle("2.0"))
    with pytest.raises(InstallError, match="others than this user"):
        run_rollback(str(site.prefix))
    assert said(site.prefix / "current") == "demo 2.0\n"


def test_old_releases_go_and_the_one_in_use_never(site: Site) -> None:
    bundles = [site.bundle(version) for version in ("1.0", "2.0", "3.0")]
    for bundle in bundles[:2]:
        site.release(bundle)
    assert len(site.release(bundles[2], keep=2)["removed"]) == 1
    run_rollback(str(site.prefix))
    assert run_gc(str(site.prefix), 1)["kept"] == [in_use(site)]
    assert said(site.prefix / "current") == "demo 2.0\n"
    assert site.left() == []
    with pytest.raises(UsageError):
        run_gc(str(site.prefix), 0)


def test_current_goes_on_leading_to_the_old_release_when_it_cannot_be_led_to_the_new(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    site.release(site.bundle("1.0"))
    monkeypatch.setattr(os, "symlink", fails)
    with pytest.raises(EnvironmentFailure):
        run_install(site.bundle("2.0"), Destination(prefix=str(site.prefix)), site.trust, QUICK)
    assert said(site.prefix / "current") == "demo 1.0\n"
    assert len(run_list(str(site.prefix))["releases"]) == 1


@pytest.mark.parametrize("planted", ["releases", "current"])
def test_links_that_somebody_planted_below_the_prefix_are_refused(site: Site, planted: str) -> None:
    (site.directory / "elsewhere").mkdir()
    site.prefix.mkdir()
    (site.prefix / planted).symlink_to(site.directory / "elsewhere")
    with pytest.raises(AlreadyThere):
        site.release(site.bundle("1.0"))
    assert list((site.directory / "elsewhere").iterdir()) == []


def test_a_release_whose_name_somebody_took_for_a_link_is_refused(site: Site) -> None:
    bundle, elsewhere = site.bundle("1.0"), site.directory / "elsewhere"
    site.release(bundle)
    release = site.prefix / "releases" / in_use(site)
    release.rename(elsewhere)
    before = sorted(map(str, elsewhere.rglob("*")))
    release.symlink_to(elsewhere)
    with pytest.raises(AlreadyThere, match="no installation of ours"):
        site.release(bundle)
    assert sorted(map(str, elsewhere.rglob("*"))) == before


@pytest.mark.parametrize("work", [run_list, run_rollback, run_gc])
def test_a_prefix_without_releases_is_no_prefix(site: Site, work: Callable[[str], object]) -> None:
    for path in (site.prefix, site.directory):
        with pytest.raises(UsageError, match="no releases below"):
            work(str(path))
    assert not site.prefix.exists()


# Directories above


@pytest.mark.parametrize("place", ["venv", "prefix"])
def test_root_installs_nothing_where_others_may_exchange_it(site: Site, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, shared = site.bundle("1.0"), site.directory / "shared"
    (shared / "below").mkdir(parents=True)
    where: dict[str, Any] = {place: str(shared / "below" / "acme")}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    shared.chmod(0o777)
    with pytest.raises(EnvironmentFailure, match=f"{shared} may be written by everybody \\(mode 0777\\)"):
        site.install(bundle, **where)
    assert list((shared / "below").iterdir()) == []
    shared.chmod(0o1777)  # there, only its owner renames what is his
    assert site.install(bundle, **where)["exposed"] == []


def test_who_is_not_root_is_told_and_may(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, shared = site.bundle("1.0"), site.directory / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    uid = os.getuid() or 1000
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    for dry_run in (True, False):
        report = site.install(bundle, venv=str(shared / "venv"), dry_run=dry_run)
        assert any(f"{shared} may be written by everybody (mode 0777), who can put" in each for each in report["exposed"])
        assert f"beware\n  {shared} may be" in render(report)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives directories away")
def test_directories_of_groups_and_of_other_users_above_are_told(site: Site) -> None:
    bundle, shared = site.bundle("1.0"), site.directory / "shared"
    shared.mkdir()
    shared.chmod(0o775)
    os.chown(shared, 0, 12345)
    with pytest.raises(EnvironmentFailure, match="may be written by group 12345"):
        site.install(bundle, venv=str(shared / "venv"))
    os.chown(shared, 12345, 0)
    assert any(f"{shared} belongs to user 12345" in each for each in site.install(bundle, venv=str(shared / "venv"))["exposed"])


# What a bundle brings beside its distributions


def test_a_reviewer_sees_what_is_placed_and_what_is_run(site: Site) -> None:
    told = run_inspect(site.bundle("1.0", placed={".env": ("0600", b"")}, smoke=[["demo", "--version"]]))
    assert told["placed"] == [{"path": ".env", "mode": "0600"}]
    assert "  files/.env, mode 0600\n" in render(told)
    assert "  demo --version\n" in render(told)


def test_files_are_placed_by_the_same_switch_with_their_modes(site: Site) -> None:
    unit = b"[Service]\nExecStart=/opt/acme/current/bin/demo\n"
    placed = {"systemd/acme.service": ("0644", unit), ".env": ("0600", b"SECRET=1\n"), "hook": ("0755", b"#!/bin/sh\n")}
    bundle = site.bundle("1.0", placed=placed)
    site.release(bundle)
    files = site.prefix / "current" / "files"
    assert (files / "systemd" / "acme.service").read_bytes() == unit
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in files.iterdir() if path.is_file()} == {".env": "0o600", "hook": "0o755"}
    (files / ".env").write_text("SECRET=2\n")
    assert any("files/.env was changed" in each for each in site.release(bundle)["repaired"])
    with pytest.raises(UsageError, match="environment of their own"):
        site.install(bundle, python=sys.executable)


def test_files_are_unpacked_and_survive_the_engine_that_unpacks(site: Site) -> None:
    bundle = site.bundle("1.0", placed={"etc/acme.env": ("0640", b"A=1\n")})
    site.install(bundle, manner=QUICK._replace(exact=True))
    run_unpack(bundle, str(site.directory / "out"), site.trust)
    for path in (site.venv, site.directory / "out"):
        assert (path / "files" / "etc" / "acme.env").read_bytes() == b"A=1\n"


@pytest.mark.parametrize("command", [["demo"], ["python", "-c", "import demo; demo.main()"], ["tool", "one two"]])
def test_the_bundles_own_commands_run_before_anybody_sees_the_environment(site: Site, command: list[str]) -> None:
    tool = "#!python\nimport demo, sys\nsys.exit(sys.argv[1] != 'one two')\n"
    site.install(site.bundle("1.0", smoke=[command], scripts={"tool": tool}))
    assert said(site.venv) == "demo 1.0\n"


@pytest.mark.parametrize("command", [["python", "-c", "raise SystemExit('out of order')"], ["absent"]])
def test_a_command_that_fails_undoes_it(site: Site, command: list[str]) -> None:
    site.install(site.bundle("1.0"))
    with pytest.raises(InstallError, match=r"out of order|absent"):
        site.install(site.bundle("2.0", smoke=[command]))
    assert said(site.venv) == "demo 1.0\n"
    assert site.left() == []


def test_a_module_that_cannot_be_imported_undoes_it_unless_one_does_not_want_to_know(site: Site) -> None:
    broken = site.bundle("1.0", files={"broken.py": "raise ValueError('never')\n", "optional.py": "import nobody_has_this\n"})
    with pytest.raises(InstallError, match="broken cannot be imported: ValueError: never"):
        site.install(broken, manner=QUICK._replace(imports=True))
    assert not site.venv.exists()
    site.install(broken)


def test_pip_is_imported_after_all_others_whoever_begins_where(site: Site) -> None:
    """Who begins with the smallest would come to it first, and then to setuptools, while another is busy."""
    others = {f"other{number}.py": "import time\ntime.sleep(0.3)\n" + "ANSWER = 42\n" * 9 for number in range(3)}
    bundle = site.bundle("1.0", files={**others, "setuptools/__init__.py": "import sys\nassert 'pip' not in sys.modules\n"})
    site.install(bundle, manner=QUICK._replace(imports=True))


def test_what_a_module_writes_when_it_is_imported_was_not_smuggled_in(site: Site) -> None:
    writes = "import os\nwith open(os.path.join(os.path.dirname(__file__), 'table.txt'), 'w') as file:\n    file.write('made')\n"
    bundle = site.bundle("1.0", files={"demo/tables.py": writes, "tabled.py": "import demo.tables\n"})
    site.install(bundle, manner=QUICK._replace(imports=True))
    assert site.install(bundle)["changed"] is False


# An environment that is there


def test_an_environment_that_is_there_is_upgraded_and_keeps_what_is_not_ours(site: Site) -> None:
    shared = site.directory / "shared"
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", shared], check=True)
    [packages] = shared.glob("lib/python*/site-packages")
    (packages / "mine.py").touch()
    python = str(shared / "bin" / "python")
    site.install(site.bundle("1.0", files={"demo/old.py": ""}), python=python)
    report = site.install(site.bundle("2.0"), python=python)
    assert report["python"] == python
    assert said(shared) == "demo 2.0\n"
    assert not (packages / "demo" / "old.py").exists()
    assert sorted(path.name for path in packages.iterdir()) == ["demo", "demo-2.0.dist-info", "mine.py"]
    assert site.install(site.bundle("2.0"), python=python)["changed"] is False
    assert site.left() == []


def test_files_of_nobody_are_not_overwritten(site: Site) -> None:
    shared = site.directory / "shared"
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", shared], check=True)
    (shared / "bin" / "demo").write_text("mine")
    before = sorted(map(str, shared.rglob("*")))
    with pytest.raises(InstallError, match="bin/demo is there"):
        site.install(site.bundle("1.0"), python=str(shared / "bin" / "python"))
    assert sorted(map(str, shared.rglob("*"))) == before


@pytest.mark.parametrize("planted", ["lib/{}/site-packages/demo", "wheelhouse-receipt.json"])
def test_links_that_somebody_planted_in_an_environment_are_not_followed(site: Site, planted: str) -> None:
    shared, elsewhere = site.directory / "shared", site.directory / "elsewhere"
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", shared], check=True)
    elsewhere.mkdir()
    [python] = [path.name for path in (shared / "lib").iterdir()]
    (shared / planted.format(python)).symlink_to(elsewhere / "receipt.json" if "receipt" in planted else elsewhere)
    with contextlib.suppress(InstallError):
        site.install(site.bundle("1.0"), python=str(shared / "bin" / "python"))
    assert list(elsewhere.iterdir()) == []


def test_a_python_that_its_system_manages_is_left_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Interpreter
    marker = site.directory / "EXTERNALLY-MANAGED"
    marker.touch()

    def manages(_cls: object, host: object, prefix: str, _base: str, paths: dict[str, str]) -> object:
        return asked._make((host, prefix, prefix, {**paths, "stdlib": str(site.directory)}))

    monkeypatch.setattr("wheelhouse_builder.runtime.elsewhere.Interpreter", type("Managed", (), {"__new__": manages}))
    with pytest.raises(InstallError, match="belongs to this system's own packages"):
        site.install(site.bundle("1.0"), python=sys.executable)


# Hosts that have nothing, and others that mean ill


def test_another_interpreter_can_be_the_one_of_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wheelhouse_builder.runtime.commands.this_host", lambda: pytest.fail("it was not asked for"))
    report = site.install(site.bundle("1.0"), manner=QUICK._replace(with_python=sys.executable))
    assert report["changed"]
    with pytest.raises(EnvironmentFailure, match="no Python"):
        site.install(site.bundle("1.0"), manner=QUICK._replace(with_python="/bin/false"))


def test_no_home_no_temporary_directory_and_any_umask_will_do(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = site.bundle("1.0")
    monkeypatch.delenv("HOME", raising=False)
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setattr("tempfile.tempdir", None)
    before = os.umask(0o777)
    try:
        site.install(bundle, manner=QUICK._replace(imports=True))
    finally:
        os.umask(before)
    assert said(site.venv) == "demo 1.0\n"
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in site.venv.rglob("*") if not path.is_symlink()}
    assert not [path for path, mode in modes.items() if mode & 0o022 or not mode & 0o044]


def test_poison_in_the_environment_has_no_say(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    poison = site.directory / "poison"
    poison.mkdir()
    for name in ("sitecustomize", "usercustomize", "pip", "json", "demo"):
        (poison / f"{name}.py").write_text("raise SystemExit('poisoned')\n")
    for name, value in {"PYTHONPATH": poison, "PYTHONHOME": poison, "PYTHONSTARTUP": poison / "pip.py", "PIP_TARGET": poison}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(poison)
    site.install(site.bundle("1.0", smoke=[["demo"]]), manner=QUICK._replace(imports=True))
    monkeypatch.undo()
    assert said(site.venv) == "demo 1.0\n"


def test_two_at_once_take_turns(site: Site) -> None:
    bundle, reports = site.bundle("1.0"), []
    threads = [threading.Thread(target=lambda: reports.append(json.loads(_in_a_process(bundle, site)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(report["changed"] for report in reports) == [False, True]
    assert site.left() == []


def _in_a_process(bundle: str, site: Site) -> str:
    command = [sys.executable, bundle, "install", "--venv", str(site.venv), "--trust", site.trust, "--json", "--engine", "direct"]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout


def test_a_lock_of_a_killed_run_is_none_and_a_planted_link_is_refused(site: Site) -> None:
    lock = Path(venv_place(str(site.venv)).lock)
    lock.write_text("12345\n")
    with alone(str(lock), NoProgress()):
        assert lock.read_text() == f"{os.getpid()}\n"
    assert not lock.exists()
    lock.symlink_to(site.directory / "target")
    with pytest.raises(AlreadyThere, match="symbolic link"):
        site.install(site.bundle("1.0"))
    assert not (site.directory / "target").exists()


def test_a_lock_that_is_another_name_of_somebodys_file_is_refused_and_the_file_stays(site: Site) -> None:
    precious = site.directory / "precious"
    precious.write_text("precious")
    os.link(precious, venv_place(str(site.venv)).lock)
    with pytest.raises(AlreadyThere, match="another name of a file"):
        site.install(site.bundle("1.0"))
    assert precious.read_text() == "precious"


def test_what_windows_would_not_let_go_is_no_trace_of_a_killed_run(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is loaded stays, and so does what it lies in."""
    removes = shutil.rmtree

    def in_use(path: str, **options: Any) -> None:
        kept = Path(path, "decoder.pyd")
        kept.touch()
        for each in Path(path).iterdir():
            if each.is_dir():
                removes(each, **options)
            elif each != kept:
                each.unlink()

    bundle = site.bundle("1.0")
    with monkeypatch.context() as windows:
        windows.setattr(shutil, "rmtree", in_use)
        site.install(bundle)
        [left] = (site.directory / each for each in site.left())
        assert site.install(bundle)["repaired"] == [f"{left} cannot be taken away: somebody still uses what lies in it."]
    assert site.install(bundle)["repaired"] == [f"{left} was taken away: an earlier run could not, for it used what lay in it."]
    assert site.left() == []


def test_a_journal_beside_a_place_that_needs_none_moves_nothing(site: Site) -> None:
    precious = site.directory / "precious"
    precious.write_text("precious")
    left = site.directory / f".wheelhouse-{venv_place(str(site.venv)).mark}left"
    left.mkdir(mode=0o700)
    (left / "journal.json").write_text(json.dumps([[], ["precious"]]))
    assert site.install(site.bundle("1.0"))["repaired"] == [f"{left} was taken away: an earlier run was killed and left it."]
    assert precious.read_text() == "precious"


def test_what_a_stranger_could_have_made_is_not_taken_for_what_a_killed_run_left(site: Site) -> None:
    mark = venv_place(str(site.venv)).mark
    planted = site.directory / f".wheelhouse-{mark}planted"
    (planted / "old.venv" / "bin").mkdir(parents=True)
    planted.chmod(0o777)
    site.install(site.bundle("1.0"))
    assert said(site.venv) == "demo 1.0\n"
    assert planted.exists()
    shutil.rmtree(planted)


# The audit


@pytest.mark.parametrize("where", ["lib/python*/site-packages/demo/__init__.py", "bin/activate", "pyvenv.cfg", "bin/demo"])
def test_what_is_not_what_was_signed_is_not_switched_in(site: Site, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    engine = installing.ENGINES["direct"]

    def meddled(job: Job) -> Installation:
        done = engine(job)
        [path] = Path(job.environment).glob(where)
        path.write_bytes(path.read_bytes() + b"\n# meddled with\n")
        return done

    monkeypatch.setitem(installing.ENGINES, "direct", meddled)
    with pytest.raises(InstallError, match="is not what was signed"):
        site.install(site.bundle("1.0"))
    assert not site.venv.exists()


@pytest.mark.parametrize(
    "name", ["lib/{}/site-packages/evil.pth", "bin/evil", "lib/{}/site-packages/demo/__pycache__/evil.cpython-311.pyc", "evil"]
)
def test_a_file_that_nobody_signed_is_not_switched_in(site: Site, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    engine = installing.ENGINES["direct"]

    def planted(job: Job) -> Installation:
        done = engine(job)
        [python] = Path(job.environment, "lib").iterdir()
        path = Path(job.environment, name.format(python.name))
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        return done

    monkeypatch.setitem(installing.ENGINES, "direct", planted)
    with pytest.raises(InstallError, match=r"evil.* is in no RECORD"):
        site.install(site.bundle("1.0"))
    assert not site.venv.exists()
