"""The command line inside a bundle, run as a user runs it: ``python3 FILE.whb …`` on each Python of this host."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.bundles import FOREIGN, OURS, write_trust
from tests.support.handmade import bundle_for, host_of
from tests.support.pip import bundled_pip
from tests.support.pythons import cpythons
from tests.support.wheels import make_wheel
from wheelhouse_builder.errors import __all__ as error_names
from wheelhouse_builder.runtime import bundle_main, cli, errors
from wheelhouse_builder.runtime.errors import WheelhouseError
from wheelhouse_builder.runtime.host import this_host


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("far side")
    made = directory / "made"
    wheels = [make_wheel(made, "demo", "1.0", files={"demo/__init__.py": "x = 1\n" * 2000})]
    write_trust(directory, OURS)
    bundle = bundle_for(this_host(), wheels, make_wheel(made, "pip", "26.3"))
    (directory / "acme.whb").write_bytes(bundle.signed(OURS))
    return directory


def bundle_of(home: Path, version: str) -> str:
    """The name of a dense bundle for the Python ``version`` of this host, with a true pip; made when first asked for."""
    path = home / f"acme-{version}.whb"
    if not path.exists():
        python = cpythons()[version]
        wheels = sorted((home / "made").glob("demo-*.whl"))
        path.write_bytes(bundle_for(host_of(python), wheels, bundled_pip(python), mode="dense").signed(OURS))
    return path.name


def run(
    home: Path,
    *arguments: str,
    python: Path | str = sys.executable,
    bundle: str = "acme.whb",
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, bundle, *arguments],
        cwd=home,
        env={"PATH": os.environ["PATH"], **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )


@pytest.mark.parametrize("version", cpythons())
@pytest.mark.parametrize("arguments", [("inspect",), ("verify", "--trust", "allowed_signers", "--deep"), ("install", "--help")])
def test_each_python_says_the_same(home: Path, version: str, arguments: tuple[str, ...]) -> None:
    done = run(home, *arguments, python=cpythons()[version], env={"LC_ALL": "C"})
    ours = run(home, *arguments, env={"LC_ALL": "C"})
    assert (done.returncode, done.stderr) == (0, ours.stderr)
    if "--help" not in arguments:  # argparse words its headings differently over the years
        assert done.stdout == ours.stdout


def test_inspect_says_that_nothing_is_verified(home: Path) -> None:
    assert "NOT VERIFIED" in run(home, "inspect").stdout
    document = json.loads(run(home, "inspect", "--json").stdout)
    assert document["verified"] is False
    assert [each["filename"] for each in document["distributions"]] == ["demo-1.0-py3-none-any.whl", "pip-26.3-py3-none-any.whl"]


def test_verify_names_signer_digest_and_checks_and_says_once_what_it_is_worth(home: Path) -> None:
    done = run(home, "verify", "--trust", "allowed_signers")
    assert "packer@example.org (SHA256:" in done.stdout
    assert "sha256:" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[-6:]] == ["1", "2", "3", "4", "5", "6"]
    assert (done.stdout + done.stderr).count("cannot vouch for it") == 1


def test_quiet_prints_nothing(home: Path) -> None:
    done = run(home, "verify", "--trust", "allowed_signers", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "COMMAND"),
        (("frob",), 2, "frob"),
        (("verify",), 10, "--trust"),
        (("verify", "--tru", "allowed_signers"), 2, "--tru"),
        (("install", "--trust", "allowed_signers"), 2, "--venv"),
        (("verify", "--trust", "nowhere"), 10, "nowhere"),
        (("verify", "--trust", "foreign"), 12, "SHA256:"),
        (("unpack", "made", "--trust", "allowed_signers"), 15, "made"),
        (("unpack", "out", "--trust", "allowed_signers", "--target", "cp1-win32"), 2, "cp1-win32"),
        (("unpack", "/nowhere/out", "--trust", "allowed_signers"), 9, "/nowhere"),
    ],
)
def test_each_mistake_is_a_sentence_and_an_exit_code(home: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    (home / "foreign").write_text(FOREIGN.allowed_signers_line())
    done = run(home, *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    if arguments:
        assert [line.partition(":")[0] for line in done.stderr.splitlines()][-1] == "hint"
        as_json = run(home, *arguments, "--json")
        assert as_json.returncode == code
        assert as_json.stderr == ""
        assert json.loads(as_json.stdout)["error"]["exit_code"] == code


def test_every_flipped_byte_of_the_payload_is_refused(home: Path, tmp_path: Path) -> None:
    data = (home / "acme.whb").read_bytes()
    (tmp_path / "allowed_signers").write_bytes((home / "allowed_signers").read_bytes())
    damaged = bytearray(data)
    damaged[len(data) // 1000] ^= 1
    (tmp_path / "acme.whb").write_bytes(damaged)
    for command in (["verify"], ["unpack", "out"]):
        done = run(tmp_path, *command, "--trust", "allowed_signers")
        assert done.returncode == 11
    assert {path.name for path in tmp_path.iterdir()} == {"acme.whb", "allowed_signers"}


def test_the_environment_of_the_process_has_no_say(home: Path, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('poisoned')\n")
    (tmp_path / "wheelhouse_runtime.py").write_text("raise SystemExit('poisoned')\n")
    (tmp_path / "usercustomize.py").write_text("raise SystemExit('poisoned')\n")
    done = run(
        home, "inspect", env={"PYTHONPATH": str(tmp_path), "PYTHONINSPECT": "1", "PYTHONWARNINGS": "error", "PYTHONUSERBASE": str(tmp_path)}
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_working_directory_has_no_say(home: Path, tmp_path: Path) -> None:
    (tmp_path / "argparse.py").write_text("raise SystemExit('poisoned')\n")
    done = run(tmp_path, "inspect", bundle=str(home / "acme.whb"))
    assert done.returncode == 0, done.stderr


def test_a_python_that_is_too_old_learns_it(tmp_path: Path) -> None:
    """The file must parse there: only what Python 2.7 knows may stand in it."""
    source = Path(bundle_main.__file__).read_text(encoding="ascii")
    for word in ('f"', "f'", ":=", "nonlocal", "print(", "->", "async", "raise from"):
        assert word not in source.replace("() -> int", "").replace("(str) -> int", "").replace("(str) -> str", "")
    shown = tmp_path / "main.py"
    shown.write_text(source.replace("OLDEST = (3, 6)", "OLDEST = (9, 9)"))
    done = run(tmp_path, bundle=str(shown))
    assert done.returncode == 9
    assert done.stderr.startswith("error: this needs Python 3.6 or newer, and this is Python 3.")


def test_each_module_is_compiled_once(home: Path) -> None:
    """As long as Python itself imports from an archive, each is twice, which takes longer than all else that ``inspect`` does."""
    listen = """
import atexit, runpy, sys
seen = []
sys.addaudithook(lambda event, details: seen.append(str(details[1])) if event == "compile" else None)
atexit.register(lambda: print(*(name for name in seen if "wheelhouse_runtime" in name), file=sys.stderr))
sys.argv = ["acme.whb", "inspect"]
runpy.run_path("acme.whb", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-I", "-B", "-c", listen], cwd=home, capture_output=True, check=False, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    compiled = done.stderr.split()
    assert any(name.endswith("manifest.py") for name in compiled)
    assert sorted(compiled) == sorted(set(compiled))


def test_a_python_that_lacks_a_part_of_its_library_is_told_which(home: Path) -> None:
    """As Debian's python3-minimal does."""
    without = "import runpy, sys; sys.modules['json'] = None; runpy.run_path(sys.argv[1], run_name='__main__')"
    done = subprocess.run([sys.executable, "-I", "-c", without, "acme.whb"], cwd=home, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (9, 2)
    assert "json" in done.stderr


def test_a_reader_that_leaves_early_is_no_error(home: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "acme.whb", "inspect"], cwd=home, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_sentence_and_leaves_nothing(home: Path, tmp_path: Path, which: signal.Signals) -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    bundle, trust = home / bundle_of(home, version), home / "allowed_signers"
    command = [sys.executable, str(bundle), "install", "--venv", str(tmp_path / "venv"), "--trust", str(trust)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob(".wheelhouse-*/venv/bin")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(which)
    _stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr.partition("\n")[0]) == (130, "error: Interrupted.")
    assert list(tmp_path.iterdir()) == []


def test_a_defect_is_one_line_and_a_traceback_only_when_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_path: str, **_: object) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr("wheelhouse_builder.runtime.commands.run_inspect", broken)
    assert cli.main(["inspect"], str(home / "acme.whb")) == 1
    said = capsys.readouterr().err
    assert "defect in wheelhouse: ZeroDivisionError: surprise" in said
    assert "Traceback" not in said
    monkeypatch.setenv("WHEELHOUSE_DEBUG", "1")
    assert cli.main(["inspect"], str(home / "acme.whb")) == 1
    assert "Traceback" in capsys.readouterr().err


def test_too_little_memory_is_a_sentence(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def hungry(_path: str, **_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("wheelhouse_builder.runtime.commands.run_inspect", hungry)
    assert cli.main(["inspect"], str(home / "acme.whb")) == 9
    assert "memory" in capsys.readouterr().err


def test_the_help_names_the_exit_codes_that_this_side_knows() -> None:
    told = cli._EXAMPLES
    raised = {
        "UsageError",
        "EnvironmentFailure",
        "KeyFailure",
        "BundleRefused",
        "SignatureRefused",
        "HostDoesNotFit",
        "InstallError",
        "AlreadyThere",
    }
    assert raised <= set(error_names)
    for name in raised:
        error = getattr(errors, name)
        assert issubclass(error, WheelhouseError)
        assert f" {error.exit_code} " in told.replace("\n", " ")
