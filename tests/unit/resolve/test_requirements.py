from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sources import make_project
from wheelhouse_builder.errors import SpecError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve.requirements import Requirements, _Reader
from wheelhouse_builder.spec import Index, Pyproject, read_spec


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def lines(requirements: Requirements) -> list[str]:
    return [str(line) for line in requirements.requirements]


def test_a_requirements_file_means_what_pip_says_it_means(tmp_path: Path) -> None:
    text = (
        "\ufeff# a comment\n\nflask[async] >=3 ; sys_platform == 'linux'  # why\ndjango \\\n  --hash=sha256:aa \\\n  --hash sha256:bb\n"
        "-r more.txt\n-cbounds.txt\n--only-binary :all:\ndemo @ https://example.org/demo-1.0-py3-none-any.whl#sha256=cc\n"
    )
    write(tmp_path, main__txt=text, more__txt="six\n", bounds__txt="six<2\n")
    read = Requirements.from_files(tmp_path / "main.txt")
    assert lines(read) == [
        'flask[async]>=3; sys_platform == "linux"',
        "django --hash=sha256:aa --hash=sha256:bb",
        "six",
        "demo @ https://example.org/demo-1.0-py3-none-any.whl#sha256=cc",
    ]
    assert [str(line) for line in read.constraints] == ["six<2"]
    assert [line.where for line in read.requirements] == ["main.txt:3", "main.txt:4", "more.txt:1", "main.txt:10"]


def test_nested_files_lie_beside_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path, main__txt="-r sub/a.txt\n")
    write(tmp_path / "sub", a__txt="-r b.txt\n", b__txt="six\n")
    assert lines(Requirements.from_files(tmp_path / "main.txt")) == ["six"]


def test_what_a_constraints_file_includes_are_constraints(tmp_path: Path) -> None:
    write(tmp_path, main__txt="six\n", bounds__txt="-r more.txt\n", more__txt="six<2\n")
    read = Requirements.from_files(tmp_path / "main.txt", constraints=(tmp_path / "bounds.txt",))
    assert (len(read.requirements), len(read.constraints)) == (1, 1)


def test_every_line_that_is_not_understood_is_reported_at_once(tmp_path: Path) -> None:
    text = (
        "six\nnot a requirement\n-e .\n--index-url https://example.org\ndemo @ svn+https://example.org/demo\n-r absent.txt\n-r main.txt\n"
    )
    write(tmp_path, main__txt=text)
    with pytest.raises(SpecError) as caught:
        Requirements.from_files(tmp_path / "main.txt")
    problems = caught.value.problems
    assert [problem.split(":", 2)[1] for problem in problems[:4]] == ["2", "3", "4", "5"]
    assert "--index-url" in problems[2]
    assert "repository" in problems[3]
    assert "absent.txt" in problems[4]
    assert "main.txt → main.txt" in problems[5]
    assert len(problems) == 6


def test_two_files_that_include_each_other_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, a__txt="-r b.txt\n", b__txt="-r a.txt\n")
    with pytest.raises(SpecError, match=r"a\.txt → b\.txt → a\.txt: .* in a circle"):
        Requirements.from_files(tmp_path / "a.txt")


PYPROJECT = """
[project]
name = "Acme.Web"
version = "1"
requires-python = ">=3.11"
dependencies = ["flask"]
[project.optional-dependencies]
all = ["acme-web[db,cache]"]
db = ["psycopg"]
Cache = ["redis"]
other = ["never"]
[dependency-groups]
base = ["gunicorn"]
deploy = [{include-group = "base"}, "sentry-sdk"]
"""


def read_pyproject(path: Path, *, extras: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> Requirements:
    reader = _Reader(Path())
    reader.read_pyproject(Pyproject(path=path, extras=extras, groups=groups))
    return reader.finish()


def test_a_pyproject_gives_its_dependencies_extras_that_name_extras_and_groups_that_include_groups(tmp_path: Path) -> None:
    write(tmp_path, pyproject__toml=PYPROJECT)
    read = read_pyproject(tmp_path / "pyproject.toml", extras=("all",), groups=("deploy",))
    assert sorted(lines(read)) == ["flask", "gunicorn", "psycopg", "redis", "sentry-sdk"]
    assert str(read.requires_python) == ">=3.11"


@pytest.mark.parametrize(
    ("text", "extras", "groups", "problem"),
    [
        (PYPROJECT, ("nosuch",), (), "no extra 'nosuch'"),
        (PYPROJECT, (), ("nosuch",), "nosuch"),
        ("[project]\nname='x'\ndynamic=['dependencies']", (), (), "dependencies are dynamic"),
        ("[project", (), (), "pyproject.toml"),
        ("[dependency-groups]\na=[{include-group='b'}]\nb=[{include-group='a'}]", (), ("a",), "a"),
    ],
)
def test_what_a_pyproject_does_not_say_is_an_error(
    tmp_path: Path, text: str, extras: tuple[str, ...], groups: tuple[str, ...], problem: str
) -> None:
    write(tmp_path, pyproject__toml=text)
    with pytest.raises(SpecError, match=problem):
        read_pyproject(tmp_path / "pyproject.toml", extras=extras, groups=groups)


def test_no_binary_is_for_projects_that_a_recipe_builds(tmp_path: Path) -> None:
    write(tmp_path, main__txt="demo\n--no-binary Demo.Project,other\n-r more.txt\n", more__txt="--no-binary=third\n")
    assert Requirements.from_files(tmp_path / "main.txt").no_binary == {"demo-project", "other", "third"}


def test_the_digest_changes_with_everything_that_the_answer_rests_on() -> None:
    linux, windows = Target.parse("cp312-manylinux_2_28_x86_64"), Target.parse("cp312-win_amd64")
    same = Requirements.from_texts("a", "b>1")
    others = [
        Requirements.from_texts("a"),
        Requirements.from_texts("a", "b>2"),
        Requirements.from_texts("a", "b>1", constraints=("c<1",)),
        Requirements.from_texts("a", "b>1 --hash=sha256:00"),
        Requirements.from_texts("a", "b>1", index=Index(url="https://example.org/simple")),
    ]
    assert same.digest(linux) == Requirements.from_texts("b >1", "a").digest(linux)
    assert len({same.digest(linux), same.digest(windows), *(other.digest(linux) for other in others)}) == 7


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("--no-binary demo,:all:", "projects alone"),
        ("-e ../demo", "without this option"),
        ("git+https://example.org/demo.git@main", "write it as 'project @ git+https://example.org/demo.git@main'"),
        ("demo @ hg+https://example.org/demo", "right would be git+https://"),
        ("demo @ git+https://token@example.org/demo.git", "credentials"),
        ("demo @ https://example.org/demo.exe", "is not a wheel"),
        ("demo @ https://example.org/demo-1.0.zip#subdirectory=a", "must be at the top"),
        ("./demo", "there is no folder"),
        ("demo @ ./demo", "there is no folder"),
        ("wheels/demo-1.0-py3-none-any.whl", "project @ file:///"),
        ("--pre", "by project"),
        ("--find-links wheels", "wheelhouse.yaml"),
    ],
)
def test_what_would_have_to_be_built_or_stands_elsewhere_is_refused_with_the_reason(tmp_path: Path, line: str, reason: str) -> None:
    write(tmp_path, main__txt=f"{line}\n")
    with pytest.raises(SpecError) as caught:
        Requirements.from_files(tmp_path / "main.txt")
    (problem,) = caught.value.problems
    assert problem.startswith("main.txt:1: ")
    assert reason in problem
    assert "demo" in problem or line.startswith(("--pre", "--find"))


def test_a_constraints_file_that_comes_back_to_itself_is_a_circle_too(tmp_path: Path) -> None:
    write(tmp_path, main__txt="-c a.txt\n", a__txt="-c b.txt\n", b__txt="-c a.txt\n")
    with pytest.raises(SpecError, match=r"a\.txt → b\.txt → a\.txt"):
        Requirements.from_files(tmp_path / "main.txt")


def test_a_target_can_be_asked_for_more_and_for_less_than_the_others(tmp_path: Path) -> None:
    write(
        tmp_path,
        main__in="uvloop\napp\n",
        wheelhouse__yaml="""
bundle: demo
version: "1"
requirements: [main.in]
targets:
  - cp312-manylinux_2_28_x86_64
  - {target: cp312-win_amd64, add: ["pywin32>=300"], exclude: [UVloop]}
""",
    )
    spec = read_spec(tmp_path / "wheelhouse.yaml")
    requirements = Requirements.of(spec)
    assert [[str(line) for line in requirements.asked_of(target)] for target in spec.targets] == [
        ["uvloop", "app"],
        ["app", "pywin32>=300"],
    ]
    plain = Requirements.from_files(tmp_path / "main.in", index=spec.indexes[0])
    assert [requirements.digest(target) == plain.digest(target) for target in spec.targets] == [True, False]


def test_excluding_what_nobody_asks_for_is_a_mistake(tmp_path: Path) -> None:
    targets = "targets: [{target: cp312-win_amd64, exclude: [uvlop]}]"
    write(tmp_path, main__in="uvloop\n", wheelhouse__yaml=f'bundle: demo\nversion: "1"\nrequirements: [main.in]\n{targets}\n')
    with pytest.raises(SpecError, match="no requirement names uvlop"):
        Requirements.of(read_spec(tmp_path / "wheelhouse.yaml"))


def test_sources_are_told_relative_to_the_spec_so_that_a_lock_is_the_same_in_each_checkout(tmp_path: Path) -> None:
    asked = []
    for checkout in (tmp_path / "one", tmp_path / "two"):
        make_project(checkout / "libs/demo", "demo")
        (checkout / "sub").mkdir()
        write(
            checkout / "sub",
            main__txt="../libs/demo[web] ; python_version > '3'\nother @ git+ssh://git@example.org/x.git@v1#subdirectory=y\n",
        )
        asked.append(Requirements.from_files(checkout / "sub/main.txt"))
    one, two = asked
    assert lines(one) == ['demo[web] @ ../libs/demo ; python_version > "3"', "other @ git+ssh://git@example.org/x.git@v1#subdirectory=y"]
    target = Target.parse("cp312-manylinux_2_28_x86_64")
    assert one.digest(target) == two.digest(target)
    assert [line.requirement.url for line in one.requirements] == [None, None]


def test_neither_constraints_nor_catalogues_can_ask_for_a_build(tmp_path: Path) -> None:
    make_project(tmp_path / "demo", "demo")
    write(tmp_path, main__txt="six\n", bounds__txt="demo @ ./demo\n")
    with pytest.raises(SpecError, match=r"bounds\.txt:1: demo: .* make it a requirement"):
        Requirements.from_files(tmp_path / "main.txt", constraints=(tmp_path / "bounds.txt",))
    reader = _Reader(tmp_path)
    reader.take("./demo", "here", reader.requirements)
    with pytest.raises(SpecError, match="here: demo: a catalogue"):
        reader.finish(keep=1)
