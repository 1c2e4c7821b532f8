"""System packages: those that are there, also under another name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from wheelhouse_builder.adapters.packages import Found, look_for
from wheelhouse_builder.adapters.process import Finished

DPKG = """ii  libldap2-dev=2.4.57 libldap-dev, libldap-headers (= 2.4)
ii  gcc=4:10.2 c-compiler
rc  libpq-dev=13.1
"""


@dataclass
class Answers:
    """A package manager."""

    said: Mapping[str, str]
    asked: list[Sequence[str]] = field(default_factory=list)

    def run(self, command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Finished:  # noqa: ARG002
        self.asked.append(command)
        if command[0] not in self.said:
            raise FileNotFoundError(command[0])
        return Finished(returncode=0, stdout=self.said[command[0]], stderr="")


def asked(tmp_path: Path, system: str, said: Mapping[str, str], *names: str) -> Found:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(f"NAME=x\nID={system}\n")
    return look_for({"debian": names, "fedora": names}, Answers(said), tmp_path)


def test_what_an_installed_package_provides_is_there(tmp_path: Path) -> None:
    found = asked(tmp_path, "debian", {"dpkg-query": DPKG}, "libldap-dev", "libldap-headers", "gcc", "libpq-dev", "libyaml-dev")
    assert found.versions == ("gcc=4:10.2", "libldap2-dev=2.4.57")
    assert found.missing == ("libpq-dev", "libyaml-dev")
    assert found.install == "apt install libpq-dev libyaml-dev"


def test_so_it_is_with_rpm(tmp_path: Path) -> None:
    found = asked(tmp_path, "fedora", {"rpm": "libpq-devel-16.1-1.x86_64\n"}, "libpq-devel")
    assert (found.versions, found.missing) == (("libpq-devel-16.1-1.x86_64",), ())


@pytest.mark.parametrize("said", [{}, {"dpkg-query": ""}])
def test_without_an_answer_everything_is_missing(said: Mapping[str, str], tmp_path: Path) -> None:
    assert asked(tmp_path, "debian", said, "gcc").missing == ("gcc",)


def test_another_system_than_those_that_are_named_is_asked_for_nothing(tmp_path: Path) -> None:
    assert asked(tmp_path, "alpine", {}, "gcc") == Found(versions=(), missing=(), install="")
