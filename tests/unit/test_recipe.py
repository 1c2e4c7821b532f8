from __future__ import annotations

import platform
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.sources import write_recipe
from wheelhouse_builder.errors import SpecError
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import Cookbook, build_question, read_recipe, shipped
from wheelhouse_builder.sdist import Promise, SdistFacts

PROJECTS = ["cffi", "docopt", "gevent", "greenlet", "lxml", "mysqlclient", "psycopg2", "python-ldap", "pyyaml"]


def test_the_recipes_that_come_with_wheelhouse_can_be_read_and_all_of_them_test_what_they_make() -> None:
    recipes = list(Cookbook.of())
    assert [recipe.project for recipe in recipes] == PROJECTS
    assert all(recipe.test.imports and recipe.test.commands for recipe in recipes)
    assert all(recipe.pure or recipe.has_extension for recipe in recipes)


def test_a_recipe_is_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "mend.patch").write_text("")
    path = write_recipe(
        tmp_path,
        "demo",
        'versions: ">=2,<3"',
        "toolchain: zig",
        'environment: {DEMO_FORCE: "1"}',
        "build-requirements: [cython<3.1]",
        "config-settings: {--global-option: --with-x}",
        "system-packages: {debian: [libx-dev, liby-dev]}",
        "libraries:",
        f"  - {{name: x, url: 'https://example.org/x-1.tar.gz', sha256: {'a' * 64}, commands: [make], mirrors: ['https://a.example/x']}}",
        "patches: [mend.patch]",
        "has-extension: true",
        "forbidden-rpaths: [/opt]",
        "exclude: [libGL.so.1]",
        "test:",
        "  imports: [demo.native]",
        "  services: [{name: db, packages: {debian: [db]}, prepare: [initdb], start: dbd, ready: ping}]",
        "  commands: [demo]",
    )
    recipe = read_recipe(path)
    assert recipe.serves(Version("2.5"))
    assert not recipe.serves(Version("3.0"))
    assert (recipe.toolchain, recipe.environment, recipe.config_settings) == (
        "zig",
        {"DEMO_FORCE": "1"},
        {"--global-option": "--with-x"},
    )
    assert list(map(str, recipe.build_requirements)) == ["cython<3.1"]
    assert recipe.system_packages == {"debian": ("libx-dev", "liby-dev")}
    (library,) = recipe.libraries
    assert (library.name, library.filename, library.commands) == ("x", "x-1.tar.gz", ("make",))
    assert library.mirrors == ("https://a.example/x",)
    assert recipe.patches == (tmp_path / "mend.patch",)
    assert recipe.test.services[0].prepare == ("initdb",)
    assert recipe.where("toolchain") == f"{path}:3"


def test_all_problems_of_a_recipe_are_told_at_once_each_with_its_place(tmp_path: Path) -> None:
    path = write_recipe(
        tmp_path,
        "demo",
        "versions: two",
        "toolchain: zag",
        "pure: perhaps",
        "environment: {1X: a}",
        "build-requirements: ['cython<<3']",
        "patches: [gone.patch]",
        "libraries: [{name: ../x, url: 'http://example.org/x', sha256: 00, commands: [make], mirrors: [x]}]",
        "test: {imports: [a-b], services: [{name: db}], speed: fast}",
        "colour: red",
    )
    with pytest.raises(SpecError) as caught:
        read_recipe(path)
    told = "\n".join(caught.value.problems)
    for line, text in (
        (2, "'two' is not a version specifier"),
        (3, "there is no 'zag': did you mean 'zig'?"),
        (4, "pure: must be true or false"),
        (5, "'1X' is not the name of an environment variable"),
        (6, "'cython<<3' is not a requirement"),
        (7, "there is no file"),
        (8, "libraries[0].url: must begin with https://"),
        (8, "libraries[0].mirrors[0]: must begin with https://"),
        (8, "'../x' names no folder"),
        (9, "'a-b' is not the name of a module"),
        (9, "the key 'start' is missing"),
        (9, "unknown key 'speed'"),
        (10, "unknown key 'colour'"),
    ):
        assert any(problem.startswith(f"{path}:{line}:") and text in problem for problem in caught.value.problems), (line, text, told)


def test_recipes_of_the_spec_stand_before_those_that_come_with_wheelhouse(tmp_path: Path) -> None:
    write_recipe(tmp_path, "docopt", 'versions: "==0.6.1"')
    cookbook = Cookbook.of([tmp_path])
    docopt = canonicalize_name("docopt")
    ours, theirs = cookbook.find(docopt, Version("0.6.1")), cookbook.find(docopt, Version("0.6.2"))
    assert ours is not None
    assert theirs is not None
    assert (ours.path.parent, theirs.path.parent) == (tmp_path, shipped())
    assert cookbook.find(canonicalize_name("unknown"), Version("1")) is None


def test_what_a_recipe_says_of_the_build_is_its_digest_and_what_it_says_of_the_test_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.patch").write_text("one")
    lines = ("pure: false", "has-extension: true", "environment: {A: b}", "patches: [a.patch]", "test: {imports: [demo]}")
    digests = [read_recipe(write_recipe(tmp_path, "demo", line)).digest for line in lines]
    (tmp_path / "a.patch").write_text("two")
    digests.append(read_recipe(write_recipe(tmp_path, "demo", "patches: [a.patch]")).digest)
    assert digests[0] == digests[4]
    assert len(set(digests)) == 5


@pytest.mark.parametrize("target", ["cp311-manylinux_2_28_aarch64", "cp311-musllinux_1_2_x86_64", "cp311-win_amd64"])
def test_what_a_build_for_another_system_requires_is_for_the_one_that_builds(target: str, tmp_path: Path) -> None:
    # of what frontends isolate, they look for the wheels of the machine that the build is made to see
    recipe = read_recipe(write_recipe(tmp_path, "demo", "has-extension: true", "build-requirements: [cython]"))
    facts = SdistFacts(
        promise=Promise(requires=(), extras=(), requires_python=""), build_requires=(Requirement("setuptools"),), epoch=0, compiles=True
    )
    question = build_question(recipe, "a" * 64, facts, Target.parse(target))
    assert list(map(str, question.requirements)) == ["setuptools", "cython"]
    assert question.target == Target.parse(f"cp311-manylinux_2_28_{platform.machine()}")
