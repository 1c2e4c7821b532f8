"""``wheelhouse init``: what it writes is a good spec."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import on_terminal, wheelhouse
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.spec import Pyproject, read_spec

TWO = ("--target", "cp312-manylinux_2_28_x86_64", "--target", "cp312-win_amd64")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "acme web"
    folder.mkdir()
    return folder


def test_a_requirements_file_in_the_folder_becomes_a_spec(folder: Path) -> None:
    (folder / "requirements.in").write_text("fastapi\n")
    (folder / "requirements.txt").write_text("fastapi==0.1\n")
    ended = wheelhouse("init", *TWO, cwd=folder)
    assert "wheelhouse.yaml is written" in ended.stdout
    spec = read_spec(folder / "wheelhouse.yaml")
    assert spec.name == "acme-web"
    assert spec.requirement_files == (folder / "requirements.in",)
    assert [target.name for target in spec.targets] == ["cp312-manylinux_2_28_x86_64", "cp312-win_amd64"]


def test_a_pyproject_gives_its_name_and_shows_its_extras_and_groups(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "acme"\n[project.optional-dependencies]\nweb = []\n[dependency-groups]\ndeploy = []\n'
    )
    wheelhouse("init", *TWO, cwd=folder)
    spec = read_spec(folder / "wheelhouse.yaml")
    assert spec.name == "acme"
    assert spec.pyprojects == (Pyproject(path=folder / "pyproject.toml"),)
    text = (folder / "wheelhouse.yaml").read_text()
    assert "# extras: [web]" in text
    assert "# groups: [deploy]" in text


def test_every_line_that_is_commented_out_may_be_uncommented(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[project]\nname = "acme"\n[project.optional-dependencies]\nweb = []\n')
    wheelhouse("init", "--target", "cp313-manylinux_2_28_aarch64", cwd=folder)
    (folder / "constraints.txt").write_text("")
    path = folder / "wheelhouse.yaml"
    commented = ("# constraints:", "# index: {", "# sign:", "    # extras:", "  # - cp312")
    lines = [line.replace("# ", "", 1) if line.startswith(commented) else line for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines))
    spec = read_spec(path)
    assert spec.key is not None
    assert spec.constraints
    assert spec.pyprojects[0].extras == ("web",)
    assert len(spec.targets) == 4


@pytest.mark.parametrize("name", ["requirements/prod.in", "reqs", "on", "odd name.txt", "ü.txt"])
def test_a_named_file_is_found_again_from_the_spec(folder: Path, name: str) -> None:
    source = folder / name
    source.parent.mkdir(exist_ok=True)
    source.write_text("fastapi\n")
    wheelhouse("init", name, *TWO, cwd=folder)
    (found,) = read_spec(folder / "wheelhouse.yaml").requirement_files
    assert found.samefile(source)


def test_constraints_beside_the_requirements_are_used(folder: Path) -> None:
    (folder / "requirements.txt").write_text("fastapi\n")
    (folder / "constraints.txt").write_text("fastapi<1\n")
    wheelhouse("init", *TWO, cwd=folder)
    assert read_spec(folder / "wheelhouse.yaml").constraints == (folder / "constraints.txt",)


def test_the_default_target_is_this_host(folder: Path) -> None:
    (folder / "requirements.txt").write_text("fastapi\n")
    document = wheelhouse("init", "--json", cwd=folder).document
    here = Target.parse("this").name
    path = str(folder / "wheelhouse.yaml")
    assert document == {"command": "init", "spec": path, "requirements": "requirements.txt", "targets": [here]}
    assert [target.name for target in read_spec(folder / "wheelhouse.yaml").targets] == [here]


def test_a_terminal_is_asked_for_targets_until_they_are_good(folder: Path) -> None:
    (folder / "requirements.txt").write_text("fastapi\n")
    ended = on_terminal("init", cwd=folder, answer="cp312-win_amd46\ncp312-win_amd64 cp313-win_amd64\n")
    assert ended.code == 0
    assert "Targets" in ended.stderr
    assert "the nearest is cp312-win_amd64" in ended.stderr
    assert [target.name for target in read_spec(folder / "wheelhouse.yaml").targets] == ["cp312-win_amd64", "cp313-win_amd64"]


def test_a_spec_is_never_overwritten(folder: Path) -> None:
    (folder / "requirements.txt").write_text("fastapi\n")
    (folder / "wheelhouse.yaml").write_text("mine")
    assert "is not overwritten" in wheelhouse("init", cwd=folder, expect=15).stderr
    assert (folder / "wheelhouse.yaml").read_text() == "mine"


def test_a_folder_without_requirements_is_told_what_was_looked_for(folder: Path) -> None:
    ended = wheelhouse("init", cwd=folder, expect=2)
    assert "requirements.in, requirements.txt, pyproject.toml" in ended.stderr
    assert not (folder / "wheelhouse.yaml").exists()


def test_all_bad_targets_are_told_at_once(folder: Path) -> None:
    (folder / "requirements.txt").write_text("fastapi\n")
    ended = wheelhouse("init", "--target", "cp312-win_amd46", "--target", "nonsense", cwd=folder, expect=3)
    assert ended.stderr.count("error: ") == 2
    assert not (folder / "wheelhouse.yaml").exists()
