"""The spec: what a good one becomes, and that each fault of a bad one is told with its place and its remedy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from wheelhouse_builder.errors import SpecError
from wheelhouse_builder.model.attestations import OFF, OFFERED, REQUIRED, Demand
from wheelhouse_builder.model.extras import Extras, PlacedFile
from wheelhouse_builder.model.policy import Policy
from wheelhouse_builder.spec import DEFAULT_INDEX, Index, Pyproject, Spec, newest_upload, read_spec

GOOD = """\
bundle: acme-web
version: "2026.11"
requirements: [requirements.in]
targets:
  - cp312-manylinux_2_28_x86_64
"""

PYPROJECT = """\
[project]
name = "acme"
version = "1"
[project.optional-dependencies]
web = ["uvicorn"]
[dependency-groups]
Deploy_Tools = ["ansible"]
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "requirements.in").write_text("fastapi\n")
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "constraints.txt").write_text("fastapi<1\n")

    def write_spec(text: str) -> Path:
        path = tmp_path / "wheelhouse.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_spec


def good_but(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def problems(path: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    assert caught.value.exit_code == 3
    assert caught.value.hint
    for problem in caught.value.problems:
        assert problem.startswith(f"{path}:")
    return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]


class TestGood:
    def test_the_smallest_spec_gets_the_defaults(self, write: Write) -> None:
        path = write(GOOD)
        spec = read_spec(path)
        assert (spec.name, spec.version) == ("acme-web", "2026.11")
        assert spec.requirement_files == (path.parent / "requirements.in",)
        assert [target.name for target in spec.targets] == ["cp312-manylinux_2_28_x86_64"]
        assert spec.indexes[0] == Index(url=DEFAULT_INDEX)
        assert (spec.requirements, spec.pyprojects, spec.constraints, spec.key) == ((), (), (), None)

    def test_everything_that_can_be_written(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/someone")
        spec = read_spec(
            write("""\
bundle: acme-web
version: "2026.11"
requirements:
  - requirements.in
  - uvicorn[standard]>=0.30; sys_platform != "win32"
  - {pyproject: pyproject.toml, extras: [web], groups: [deploy-tools]}
constraints: [constraints.txt]
targets: [cp312-manylinux_2_28_x86_64, cp312-win_amd64]
index: {url: https://index.example/simple/, user_variable: INDEX_USER, password_variable: INDEX_PASSWORD}
sign: {key: ~/keys/release}
""")
        )
        assert spec.requirements == (Requirement('uvicorn[standard]>=0.30; sys_platform != "win32"'),)
        assert spec.pyprojects == (Pyproject(path=spec.folder / "pyproject.toml", extras=("web",), groups=("deploy-tools",)),)
        assert spec.constraints == (spec.folder / "constraints.txt",)
        assert [target.name for target in spec.targets] == ["cp312-manylinux_2_28_x86_64", "cp312-win_amd64"]
        assert spec.indexes[0] == Index(url="https://index.example/simple", user_variable="INDEX_USER", password_variable="INDEX_PASSWORD")
        assert spec.key == Path("/home/someone/keys/release")

    def test_paths_begin_where_the_spec_lies_not_where_the_command_runs(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(GOOD + "sign: {key: keys/release}\n")
        elsewhere = path.parent / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        spec = read_spec(Path("../wheelhouse.yaml"))
        assert spec.requirement_files[0].samefile(path.parent / "requirements.in")
        assert spec.path.is_absolute()
        assert spec.key is not None
        assert spec.key.is_absolute()

    def test_a_single_string_is_a_list_of_one(self, write: Write) -> None:
        spec = read_spec(write(good_but("requirements: [requirements.in]", "requirements: requirements.in")))
        assert len(spec.requirement_files) == 1

    def test_a_pyproject_may_be_named_alone(self, write: Write) -> None:
        spec = read_spec(write(good_but("[requirements.in]", "[pyproject.toml]")))
        assert spec.pyprojects == (Pyproject(path=spec.folder / "pyproject.toml"),)

    def test_a_version_that_needs_quotes_keeps_its_digits(self, write: Write) -> None:
        assert read_spec(write(good_but('"2026.11"', "'2026.10'"))).version == "2026.10"

    def test_a_byte_order_mark_is_no_fault(self, write: Write) -> None:
        assert read_spec(write("\ufeff" + GOOD)).name == "acme-web"

    @pytest.mark.parametrize("text", ["./numpy", "reqs/numpy", "requirements.in"])
    def test_strings_that_are_files(self, write: Write, text: str) -> None:
        path = write(good_but("[requirements.in]", f"[{text}]"))
        named = path.parent / text
        named.parent.mkdir(exist_ok=True)
        named.write_text("fastapi\n")
        assert [each.resolve() for each in read_spec(path).requirement_files] == [named]

    @pytest.mark.parametrize("text", ["numpy", "zope.interface", "demo @ https://files.example/demo-1.0-py3-none-any.whl"])
    def test_strings_that_are_requirements(self, write: Write, text: str) -> None:
        assert read_spec(write(good_but("[requirements.in]", f"['{text}']"))).requirements == (Requirement(text),)

    def test_a_folder_named_like_a_project_does_not_hide_it(self, write: Write) -> None:
        path = write(good_but("[requirements.in]", "[numpy]"))
        (path.parent / "numpy").mkdir()
        assert read_spec(path).requirements == (Requirement("numpy"),)

    def test_the_value_is_frozen(self, write: Write) -> None:
        spec: Spec = read_spec(write(GOOD))
        with pytest.raises(AttributeError):
            spec.name = "other"  # type: ignore[misc]


BAD = [
    pytest.param(good_but("bundle:", "bundel:"), "1:1: unknown key 'bundel': did you mean 'bundle'?", id="misspelt key"),
    pytest.param(GOOD + "colour: red\n", "6:1: unknown key 'colour': known are bundle, version,", id="unknown key"),
    pytest.param(GOOD + "<<: {}\n", "6:1: unknown key '<<'", id="merge key"),
    pytest.param(GOOD + "bundle: other\n", "6:1: 'bundle' stands here again, it was already given in line 1", id="duplicate key"),
    pytest.param(
        good_but('"2026.11"', "2026.11"), '2:10: version: must be a string, not a number: quote it: "2026.11"', id="float version"
    ),
    pytest.param(good_but('"2026.11"', "2026"), '2:10: version: must be a string, not a number: quote it: "2026"', id="whole version"),
    pytest.param(
        good_but('"2026.11"', "2026-11-19"), '2:10: version: must be a string, not a date: quote it: "2026-11-19"', id="date version"
    ),
    pytest.param(good_but('"2026.11"', ""), "2:9: version: must be a string, not nothing", id="no version"),
    pytest.param(good_but('"2026.11"', '""'), "2:10: version: must not be empty", id="empty version"),
    pytest.param(good_but("acme-web", "yes"), '1:9: bundle: must be a string, not true or false: quote it: "yes"', id="boolean name"),
    pytest.param(good_but("acme-web", "[a]"), "1:9: bundle: must be a string, not a list", id="list as name"),
    pytest.param(
        good_but("acme-web", "acme web"), "1:9: bundle: 'acme web' cannot be part of a file name everywhere", id="name with a space"
    ),
    pytest.param(good_but("acme-web", "../acme"), "1:9: bundle: '../acme' cannot be part of a file name everywhere", id="name with a path"),
    pytest.param(good_but("acme-web", "acmé"), "1:9: bundle: 'acmé' cannot be part of a file name everywhere", id="name beyond ASCII"),
    pytest.param(good_but("acme-web", "nul"), "1:9: bundle: 'nul' has the part 'nul', a name that Windows reserves", id="reserved name"),
    pytest.param(
        good_but('"2026.11"', '"2026.11."'), "2:10: version: '2026.11.' cannot be part of a file name", id="version ends in a dot"
    ),
    pytest.param(good_but("[requirements.in]", "[requirement.in]"), "3:16: requirements[0]: there is no file", id="missing file"),
    pytest.param(good_but("[requirements.in]", "[requirement.in]"), "did you mean 'requirements.in'?", id="missing file with a neighbour"),
    pytest.param(good_but("[requirements.in]", "[../]"), "3:16: requirements[0]: ", id="a folder"),
    pytest.param(
        good_but("[requirements.in]", "['uvicorn[standard']"),
        "3:16: requirements[0]: 'uvicorn[standard' is not a requirement: ",
        id="bracket",
    ),
    pytest.param(good_but("[requirements.in]", "[fastapi=1.0]"), "right would be 'fastapi[standard]>=0.110'", id="one equals sign"),
    pytest.param(good_but("[requirements.in]", "['-r other']"), "3:16: requirements[0]: '-r other' is an option of pip", id="pip's option"),
    pytest.param(
        good_but("[requirements.in]", "[3]"), '3:16: requirements[0]: must be a string, not a number: quote it: "3"', id="a number"
    ),
    pytest.param(good_but("[requirements.in]", "{a: b}"), "3:15: requirements: must be a list, not a mapping", id="no list"),
    pytest.param(good_but("[requirements.in]", "[]"), "3:15: requirements: must not be empty", id="empty requirements"),
    pytest.param(
        good_but("[requirements.in]", "[{pyproject: pyproject.toml, extras: [wep]}]"),
        "3:53: requirements[0].extras[0]: 'wep' is not among the extras of",
        id="unknown extra",
    ),
    pytest.param(
        good_but("[requirements.in]", "[{pyproject: pyproject.toml, groups: [test]}]"),
        "3:53: requirements[0].groups[0]: 'test' is not among the groups of",
        id="unknown group",
    ),
    pytest.param(
        good_but("[requirements.in]", "[{extras: [web]}]"), "3:16: requirements[0]: the key 'pyproject' is missing", id="no pyproject"
    ),
    pytest.param(
        good_but("[requirements.in]", "[{pyproject: pyproject.toml, extra: [web]}]"),
        "3:44: requirements[0]: unknown key 'extra': did you mean 'extras'?",
        id="misspelt extras",
    ),
    pytest.param(GOOD + "constraints: [missing.txt]\n", "6:15: constraints[0]: there is no file", id="missing constraints"),
    pytest.param(good_but("cp312-manylinux_2_28_x86_64", "cp312-manylinux_2_28_x68_64"), "5:5: targets[0]: ", id="bad target"),
    pytest.param(
        GOOD + "  - cp312-manylinux_2_28_x86_64\n",
        "6:5: targets[1]: cp312-manylinux_2_28_x86_64 stands here again, it was already given in line 5",
        id="duplicate target",
    ),
    pytest.param(
        good_but("targets:\n  - cp312-manylinux_2_28_x86_64\n", ""), "1:1: the key 'targets' is missing: add 'targets: [", id="no targets"
    ),
    pytest.param(
        good_but("targets:\n  - cp312-manylinux_2_28_x86_64", "targets: []"), "4:10: targets: must not be empty", id="empty targets"
    ),
    pytest.param(GOOD + "index: pypi.org\n", "6:8: index: must be a URL such as https://pypi.org/simple", id="index without a scheme"),
    pytest.param(
        GOOD + "index: {user_variable: A, password_variable: B}\n", "6:8: index: the key 'url' is missing", id="index without a URL"
    ),
    pytest.param(
        GOOD + "index: {url: https://a.example/simple, user_variable: A}\n",
        "6:8: index: user_variable, password_variable come together",
        id="half of the credentials",
    ),
    pytest.param(GOOD + "sign: ~/key\n", "6:7: sign: must be a mapping of key, not a string", id="sign as a string"),
    pytest.param(GOOD + "sign: {kye: x}\n", "6:8: sign: unknown key 'kye': did you mean 'key'?", id="misspelt key of sign"),
    pytest.param(GOOD + "channel: a b\n", "6:10: channel: must be a name of letters", id="channel with a space"),
    pytest.param(GOOD + "sequence: 3\n", "6:11: sequence: counts within a channel: add 'channel: stable'", id="sequence without a channel"),
    pytest.param(GOOD + "channel: a\nsequence: -1\n", "7:11: sequence: must be a whole number", id="negative sequence"),
    pytest.param(GOOD + "channel: a\nsequence: 017\n", "7:11: sequence: must be a whole number", id="octal sequence"),
    pytest.param(GOOD + "channel: a\nsequence: 9223372036854775808\n", "7:11: sequence: must be a whole number", id="sequence of 2^63"),
    pytest.param(GOOD + "channel: a\nsequence: '3'\n", "7:11: sequence: must be a whole number", id="sequence as a string"),
    pytest.param(GOOD + "audience: {a: b}\n", "6:11: audience: must be a list", id="audience as a mapping"),
    pytest.param(GOOD + "audience: [a, '']\n", "6:15: audience[1]: must not be empty", id="empty audience"),
    pytest.param(GOOD + "not-after: 2027-05-31\n", "6:12: not-after: must be a time of UTC such as", id="a date alone"),
    pytest.param(GOOD + "not-after: 2027-05-31T00:00:00+02:00\n", "6:12: not-after: must be a time of UTC", id="another zone"),
    pytest.param(GOOD + "not_after: 2027-05-31T00:00:00Z\n", "6:1: unknown key 'not_after': did you mean 'not-after'?", id="underscore"),
    pytest.param(GOOD + "files: [{path: ../a, from: constraints.txt}]\n", "files[0].path: '../a' has the part '..'", id="file that leaves"),
    pytest.param(GOOD + "files: [{path: a, from: none.txt}]\n", "files[0].from: ", id="file that is not there"),
    pytest.param(GOOD + "files: [{path: a, from: constraints.txt, mode: '0666'}]\n", "must be one of 0600", id="file for everybody"),
    pytest.param(
        GOOD + "files: [{path: a, from: constraints.txt}, {path: A, from: constraints.txt}]\n", "'A' stands here again", id="file twice"
    ),
    pytest.param(GOOD + "smoke: ['/bin/sh -c true']\n", "must begin with the name of a script", id="command from elsewhere"),
    pytest.param(GOOD + 'smoke: ["demo \'x"]\n', "is no command: No closing quotation", id="command with half a quotation"),
    pytest.param(GOOD + "excused: [numpy]\n", "6:10: excused: must be a mapping of projects to reasons", id="excuses as a list"),
    pytest.param(GOOD + "excused: {numpy: ''}\n", "6:18: excused.numpy: must not be empty", id="excuse without a reason"),
    pytest.param(GOOD + "excused: {a.b: x, A-B: y}\n", "6:19: excused: 'A-B' stands here again", id="project excused twice"),
    pytest.param(GOOD + "excused: {'a b': x}\n", "6:11: excused: 'a b' is not the name of a project", id="excuse for no project"),
    pytest.param(GOOD + 'excused: {a: "x\\ny"}\n', "6:14: excused.a: must be one line", id="excuse of two lines"),
    pytest.param(GOOD + "recipes: [gone]\n", "6:11: recipes[0]: there is no folder", id="recipes that are not there"),
    pytest.param(GOOD + "build-roots: [gone]\n", "6:15: build-roots[0]: there is no folder", id="a build root that is not there"),
    pytest.param(GOOD + "no-binary: ['a==1']\n", "6:13: no-binary[0]: 'a==1' is not the name of a project", id="no-binary of a release"),
    pytest.param(GOOD + "attestations: on\n", "6:15: attestations: must be off, offered, required or a publisher", id="attestations on"),
    pytest.param(GOOD + "attestations: [numpy]\n", "6:15: attestations: must be off, offered, required or", id="attestations as a list"),
    pytest.param(GOOD + "attestations: {'a b': off}\n", "6:16: attestations: 'a b' is not the name", id="attestations of no project"),
    pytest.param(GOOD + "attestations: {a.b: off, A-B: off}\n", "6:26: attestations: 'A-B' stands here again", id="attestations twice"),
    pytest.param(GOOD + "attestations: {a: example.org/a}\n", "6:19: attestations.a: must be off,", id="a publisher that nobody knows"),
    pytest.param(GOOD + "attestations: {a: github.com}\n", "6:19: attestations.a: must be off,", id="a publisher that is a host"),
    pytest.param(GOOD + "attestations: {a: github.com/a/}\n", "6:19: attestations.a: must be off,", id="a publisher that ends in a slash"),
    pytest.param("- a\n- b\n", "1:1: must be a mapping of bundle, version,", id="a list"),
    pytest.param("", "1:1: the file is empty", id="an empty file"),
    pytest.param("bundle: a\n\tversion: b\n", "2:1: this is not YAML: a tab stands here: indent with spaces", id="a tab"),
    pytest.param(GOOD + "---\n" + GOOD, "6:1: this is not YAML: a second document begins here", id="two documents"),
    pytest.param('bundle: "acme\n', "2:1: this is not YAML: ", id="an open quote"),
    pytest.param("bundle: *there\n", "1:9: this is not YAML: found undefined alias", id="an undefined alias"),
    pytest.param("bundle: a\nversion: \x07\n", "2:10: a character stands here that YAML does not allow", id="a control character"),
]


def test_the_policy_and_the_excuses_are_read(write: Write) -> None:
    text = "channel: stable\nsequence: 12\naudience: [net-b, net-a]\nnot-after: 2027-05-31T00:00:00Z\nexcused: {Odd.Project: it must}\n"
    spec = read_spec(write(GOOD + text))
    assert (spec.policy.channel, spec.policy.sequence) == ("stable", 12)
    assert spec.policy.audience == {"net-a", "net-b"}
    assert spec.policy.not_after == datetime(2027, 5, 31, tzinfo=UTC)
    assert spec.excused == {"odd-project": "it must"}


def test_files_and_commands_are_read(write: Write) -> None:
    path = write(
        GOOD + "files: [{path: etc/acme.env, from: constraints.txt, mode: '0640'}]\nsmoke: [acme --version, python -c 'import acme']\n"
    )
    extras = read_spec(path).extras
    assert extras.files == (PlacedFile(path="etc/acme.env", source=path.parent / "constraints.txt", mode="0640"),)
    assert extras.smoke == (("acme", "--version"), ("python", "-c", "import acme"))
    assert read_spec(write(GOOD)).extras == Extras()


def test_what_is_asked_of_publishers_is_read(write: Write) -> None:
    assert not read_spec(write(GOOD)).attestations.asked
    assert not read_spec(write(GOOD + "attestations: off\n")).attestations.asked
    assert read_spec(write(GOOD + "attestations: required\n")).attestations.of(canonicalize_name("x")) == Demand(mode=REQUIRED)
    text = 'attestations: {"*": off, Odd.Project: required, other: gitlab.com/group/other}\n'
    asked = read_spec(write(GOOD + text)).attestations
    assert asked.asked
    assert asked.of(canonicalize_name("odd_project")) == Demand(mode=REQUIRED)
    assert asked.of(canonicalize_name("other")) == Demand(mode=REQUIRED, publisher="gitlab.com/group/other")
    assert asked.of(canonicalize_name("x")) == Demand(mode=OFF)
    assert read_spec(write(GOOD + "attestations: {other: required}\n")).attestations.of(canonicalize_name("x")) == Demand(mode=OFFERED)


def test_without_a_policy_nothing_is_bound(write: Write) -> None:
    spec = read_spec(write(GOOD))
    assert spec.policy == Policy()
    assert spec.excused == {}


class TestBad:
    @pytest.mark.parametrize(("text", "told"), BAD)
    def test_each_fault_is_told_with_line_column_and_remedy(self, write: Write, text: str, told: str) -> None:
        assert any(told in problem for problem in problems(write(text))), problems(write(text))

    def test_all_faults_are_told_at_once_in_the_order_of_the_file(self, write: Write) -> None:
        told = problems(
            write("""\
bundel: acme
version: 2026.11
requirements: [missing.in, 'a b c', 7]
targets: [cp312-win_amd64, cp312-win_amd64, nonsense]
index: ftp://x
""")
        )
        assert [problem.split(" ")[0] for problem in told] == ["1:1:", "1:1:", "2:10:", "3:16:", "3:28:", "3:37:", "4:28:", "4:45:", "5:8:"]

    def test_a_misspelt_target_is_answered_with_the_nearest_good_one(self, write: Write) -> None:
        (told,) = problems(write(good_but("cp312-manylinux_2_28_x86_64", "cp312-manylinux_2_28_x68_64")))
        assert "cp312-manylinux_2_28_x86_64" in told

    def test_a_file_that_could_be_a_project_is_not_guessed(self, write: Write) -> None:
        path = write(good_but("[requirements.in]", "[requirements]"))
        (path.parent / "requirements").write_text("fastapi\n")
        (told,) = problems(path)
        assert told.startswith("3:16: requirements[0]: 'requirements' is a file here and could be a project of the index")
        assert "'./requirements'" in told

    @pytest.mark.parametrize(
        "index", ["https://me:hunter2@index.example/simple", "{url: https://a.example, user_variable: A, password_variable: hunter2!}"]
    )
    def test_a_secret_in_the_spec_is_refused_and_not_repeated(self, write: Write, index: str) -> None:
        (told,) = problems(write(f"{GOOD}index: {index}\n"))
        assert told.startswith("6:")
        assert "hunter2" not in told

    def test_bytes_that_are_not_utf_8_are_located(self, write: Write) -> None:
        path = write(GOOD)
        path.write_bytes(b"bundle: acme\nversion: \xe9\n")
        assert problems(path) == ["2:10: this is not UTF-8: save the file as UTF-8"]

    def test_a_pyproject_that_is_not_toml_is_told(self, write: Write) -> None:
        path = write(good_but("[requirements.in]", "[{pyproject: pyproject.toml, extras: [web]}]"))
        (path.parent / "pyproject.toml").write_text("[project\n")
        (told,) = problems(path)
        assert told.startswith("3:28: requirements[0].pyproject: ")
        assert "is not TOML" in told

    def test_a_spec_that_is_not_there_is_told_with_what_writes_one(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match="there is no such file") as caught:
            read_spec(tmp_path / "wheelhouse.yaml")
        assert "wheelhouse init" in caught.value.hint

    def test_a_folder_is_no_spec(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match="is a folder"):
            read_spec(tmp_path)


class TestIndexes:
    def test_several_stand_in_order_with_what_is_pinned_to_them(self, write: Write, tmp_path: Path) -> None:
        (tmp_path / "wheels").mkdir()
        spec = read_spec(
            write(
                GOOD
                + """\
indexes:
  - {name: ours, url: https://pypi.example/simple/, projects: ["acme-*"], user_variable: U, password_variable: P}
  - {name: vendor, folder: wheels}
  - {name: pypi, url: https://pypi.org/simple}
exclude-newer: 14 days
resolver: pip-tools
"""
            )
        )
        assert spec.indexes == (
            Index(url="https://pypi.example/simple", projects=("acme-*",), user_variable="U", password_variable="P"),
            Index(url=(tmp_path / "wheels").as_uri(), folder=True),
            Index(url="https://pypi.org/simple"),
        )
        assert (spec.exclude_newer, spec.resolver) == ("14 days", "pip-tools")

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("indexes: [{name: a, url: https://a.example}]\nindex: https://b.example", "keep one of them"),
            ("indexes: []", "must not be empty"),
            ("indexes: [{url: https://a.example}]", "'name' is missing"),
            ("indexes: [{name: a}]", "one of url and folder"),
            ("indexes: [{name: a, url: https://a.example, folder: .}]", "one of url and folder"),
            ("indexes: [{name: a, folder: absent}]", "there is no folder"),
            ("indexes: [{name: a, url: https://u:p@a.example}]", "must not hold credentials"),
            ("indexes: [{name: a, url: https://a.example}, {name: a, url: https://b.example}]", "a name of its own"),
            ("indexes: [{name: a, url: https://a.example, user_variable: U}]", "come together"),
            ("exclude-newer: soon", "a date or an age"),
            ("resolver: poetry", "there is no 'poetry'"),
            ("kind: catalog", "there is no 'catalog'"),
            ("keep: 2", "add 'kind: catalogue'"),
            ("kind: catalogue\noverrides: [a]", "pip chooses from a catalogue by itself"),
            ("kind: catalogue\nno-binary: [a]", "nothing that is built"),
            ("overrides: [pyproject.toml]", "not a pyproject.toml"),
            ("overrides: [a b]", "is not a requirement"),
            ("locked: uv.lock", "export it as pylock.toml"),
            ("locked: pylock.toml", "requirements: the lock says it all"),
            ("kind: catalogue\nkeep: 0", "a whole number from 1 to 100"),
        ],
    )
    def test_what_is_wrong_is_told_where_it_stands(self, write: Write, text: str, problem: str) -> None:
        with pytest.raises(SpecError, match=problem):
            read_spec(write(f"{GOOD}{text}\n"))


def test_a_lock_stands_in_place_of_requirements(write: Write, tmp_path: Path) -> None:
    (tmp_path / "pylock.toml").write_text("")
    text = GOOD.replace("requirements: [requirements.in]", "locked: pylock.toml")
    assert read_spec(write(text)).locked == tmp_path / "pylock.toml"
    with pytest.raises(SpecError, match="nothing can be added for one target"):
        read_spec(write(text.replace("- cp312-manylinux_2_28_x86_64", "- {target: cp312-win_amd64, add: [pywin32]}")))


def test_overrides_are_files_and_requirements(write: Write, tmp_path: Path) -> None:
    (tmp_path / "overrides.txt").write_text("a>1\n")
    spec = read_spec(write(GOOD + "overrides: [overrides.txt, 'b[c]>=2']\n"))
    assert (spec.override_files, [str(each) for each in spec.overrides]) == ((tmp_path / "overrides.txt",), ["b[c]>=2"])


@pytest.mark.parametrize(
    ("text", "keep"), [("", None), ("kind: application\n", None), ("kind: catalogue\n", 1), ("kind: catalogue\nkeep: 3\n", 3)]
)
def test_a_catalogue_keeps_the_newest_release_unless_it_is_told_otherwise(write: Write, text: str, keep: int | None) -> None:
    assert read_spec(write(f"{GOOD}{text}")).keep == keep


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("14 days", datetime(2026, 11, 6, tzinfo=UTC)),
        ("1 week", datetime(2026, 11, 13, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T12:00:00Z", datetime(2026, 11, 1, 12, tzinfo=UTC)),
    ],
)
def test_an_age_counts_back_from_now_and_a_date_is_a_date(text: str, moment: datetime) -> None:
    assert newest_upload(text, datetime(2026, 11, 20, tzinfo=UTC)) == moment
