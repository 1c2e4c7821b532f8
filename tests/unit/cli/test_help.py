"""What the command says of itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.cli import on_terminal, wheelhouse
from wheelhouse_builder import __version__
from wheelhouse_builder.cli.app import COMMANDS

NAMES = [module.__name__.rpartition(".")[2] for module in COMMANDS]


def test_the_commands_stand_in_the_order_of_the_work() -> None:
    connected, inside = (
        "init targets probe recipe repair keygen lock bundle manifest sign split join",
        "inspect verify unpack install list rollback gc inventory request verifier",
    )
    assert [*connected.split(), *inside.split()] == NAMES


def test_the_version_is_the_packages(tmp_path: Path) -> None:
    assert wheelhouse("--version", cwd=tmp_path).stdout == f"wheelhouse {__version__}\n"


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_each_command_is_plain_text_and_ends_in_examples_line_by_line(name: str, tmp_path: Path) -> None:
    shown = wheelhouse(name, "--help", cwd=tmp_path, env={"FORCE_COLOR": "1"}).stdout
    _, _, examples = shown.partition("Examples:\n")
    lines = examples.strip().splitlines()
    assert lines
    assert all(re.match(rf"\s*wheelhouse {name}\b", line) for line in lines)
    for option in ("--json", "--quiet", "--verbose", "--help"):
        assert option in shown
    assert not [mark for mark in ("\x1b", "\b", "`", "**") if mark in shown]


def test_without_a_command_there_is_the_overview(tmp_path: Path) -> None:
    shown = wheelhouse(cwd=tmp_path)
    assert all(name in shown.stdout for name in NAMES)
    assert shown.stderr == ""
    assert not [line for line in shown.stdout.partition("Commands:")[2].splitlines() if line.endswith("...")], "cut off at 80 columns"


def test_help_is_help_on_a_terminal_too(tmp_path: Path) -> None:
    shown = on_terminal("bundle", "--help", cwd=tmp_path)
    assert shown.code == 0
    assert "Examples:" in shown.stdout
