"""Every way to stop: its exit code, its sentence, its JSON document."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import environment, wheelhouse
from wheelhouse_builder import errors
from wheelhouse_builder.cli import app
from wheelhouse_builder.errors import WheelhouseError

README = Path(__file__).parents[3] / "README.md"


def kinds(base: type[WheelhouseError]) -> Iterator[type[WheelhouseError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


def readme_table() -> dict[int, str]:
    """Code → name, from the section "Exit codes"."""
    section = README.read_text(encoding="utf-8").partition("\n## Exit codes\n")[2].partition("\n## ")[0]
    return {int(code): name for code, name in re.findall(r"^\| (\d+) \| (\S*) *\|", section, re.MULTILINE)}


def test_exit_codes_are_unique() -> None:
    codes = [kind.exit_code for kind in kinds(WheelhouseError) if "exit_code" in vars(kind)]  # the others are their parent
    assert len(codes) == len(set(codes))


def test_the_readmes_table_is_the_tree_of_errors() -> None:
    table = {kind.exit_code: kind.name for kind in kinds(WheelhouseError)}
    assert readme_table() == {0: "", **table}
    assert (table[errors.Interrupted.exit_code], table[errors.Defect.exit_code]) == ("interrupted", "internal")


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["bundel"], "bundel"),
            (["bundle", "--outptu", "x"], "--outptu"),
            (["verify"], "Missing argument"),
            (["keygen", "--key"], "--key"),
        ],
    )
    def test_a_wrong_command_line_is_2_with_a_hint(self, arguments: list[str], said: str, tmp_path: Path) -> None:
        ended = wheelhouse(*arguments, cwd=tmp_path, expect=2)
        assert ended.stdout == ""
        assert ended.stderr.startswith("error: ")
        assert said in ended.stderr
        assert "--help` shows how to use it" in ended.stderr

    def test_it_is_a_document_with_json(self, tmp_path: Path) -> None:
        ended = wheelhouse("verify", "--json", cwd=tmp_path, expect=2)
        assert ended.stderr == ""
        assert set(ended.error) == {"name", "exit_code", "problems", "hint"}
        assert (ended.error["name"], ended.error["exit_code"]) == ("usage", 2)


class TestWheelhouseErrors:
    def test_each_problem_is_a_line_and_the_hint_the_last(self, tmp_path: Path) -> None:
        (tmp_path / "wheelhouse.yaml").write_text("bundle: a\ncolour: red\n")
        ended = wheelhouse("lock", cwd=tmp_path, expect=3)
        lines = ended.stderr.splitlines()
        assert lines[0].startswith("error: wheelhouse.yaml:1:1: ")
        assert any(line.startswith("error: wheelhouse.yaml:2:1: unknown key 'colour'") for line in lines)
        assert lines[-1].startswith("hint: ")
        assert ended.stdout == ""

    def test_with_json_they_are_one_document_on_standard_output(self, tmp_path: Path) -> None:
        ended = wheelhouse("lock", "--json", cwd=tmp_path, expect=3)
        assert ended.stderr == ""
        assert ended.error["name"] == "spec"
        assert ended.error["problems"] == ["wheelhouse.yaml: there is no such file"]
        assert "wheelhouse init" in ended.error["hint"]

    def test_quiet_does_not_silence_them(self, tmp_path: Path) -> None:
        assert "there is no such file" in wheelhouse("lock", "--quiet", cwd=tmp_path, expect=3).stderr


class TestTheHostsFailures:
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
    def test_a_full_or_closed_disk_is_9_with_the_file_and_a_hint(
        self, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failure = raised(monkeypatch, OSError(number, "whatever", str(tmp_path / "file")))
        assert failure.exit_code == 9
        assert failure.problems == (f"{tmp_path / 'file'}: {os.strerror(number)}",)
        assert failure.hint

    def test_anything_else_is_a_defect_in_one_line(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        failure = raised(monkeypatch, ZeroDivisionError("division by zero"))
        assert failure.exit_code == 1
        assert failure.problems == ("this is a defect in wheelhouse: ZeroDivisionError: division by zero",)
        assert "WHEELHOUSE_DEBUG=1" in failure.hint
        assert "Traceback" not in capsys.readouterr().err

    def test_the_traceback_is_there_on_demand(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("WHEELHOUSE_DEBUG", "1")
        raised(monkeypatch, ZeroDivisionError("division by zero"))
        assert "Traceback" in capsys.readouterr().err

    def test_an_interrupt_is_130_and_says_how_to_go_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        failure = raised(monkeypatch, KeyboardInterrupt())
        assert failure.exit_code == 130
        assert "store" in failure.hint


def raised(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> WheelhouseError:
    """What the user is told when a command raises ``error``."""
    told: list[WheelhouseError] = []

    def run(_arguments: list[str]) -> int:
        raise error

    def tell(failure: WheelhouseError, *, to_json: bool) -> None:
        assert not to_json
        told.append(failure)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(app, "_run", run)
    monkeypatch.setattr(app, "print_failure", tell)
    code = app.main(["bundle"])
    signal.signal(signal.SIGTERM, before)
    (failure,) = told
    assert failure.exit_code == code
    return failure


def test_a_reader_that_leaves_early_hears_no_complaint(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    command = [sys.executable, "-m", "wheelhouse_builder", "keygen", "--key", "key"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), stdout=theirs, stderr=subprocess.PIPE, check=False)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "key").is_file()
