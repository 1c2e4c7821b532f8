"""Older systems to build in: which of them can, and why others cannot."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.support.images import OCI, archived, file, folder, link, make_layout, renamed, tree_of
from tests.support.roots import make_root
from tests.support.sources import write_recipe
from wheelhouse_builder.adapters.process import Processes
from wheelhouse_builder.build.root import InRoot
from wheelhouse_builder.build.toolchain import Ready, Unready
from wheelhouse_builder.build.toolchains import candidates
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import NATIVE, ROOT, ZIG, Recipe, read_recipe

THIS = Target.parse("this")
OLDER = Target.parse(f"{THIS.interpreter}-manylinux_2_17_{THIS.markers['platform_machine']}")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This host's Python, C library and, as far as it is asked, compiler."""
    root = make_root(tmp_path_factory.mktemp("roots") / "root", Path(sys.executable))
    (root / "usr/bin").mkdir()
    shutil.copy("/bin/true", root / "usr/bin/gcc")
    return root


def recipe(tmp_path: Path, *lines: str) -> Recipe:
    return read_recipe(write_recipe(tmp_path, "demo", *lines))


def test_a_root_builds_for_its_own_machine_and_says_what_with(root: Path, tmp_path: Path) -> None:
    answer = InRoot(runner=Processes(), roots=(root,), cache=tmp_path).ready(recipe(tmp_path), THIS)
    assert isinstance(answer, Ready)
    assert (answer.toolchain, answer.sandbox.root, answer.system_libraries) == ("root", root, False)
    assert [tool.split()[0] for tool in answer.tools] == ["cpython", "gcc", "glibc"]
    assert isinstance(
        InRoot(runner=Processes(), roots=(root,), cache=tmp_path).ready(recipe(tmp_path), OLDER), Ready
    )  # the wheel's audit will tell
    other = Target.parse(f"{THIS.interpreter}-manylinux_2_28_s390x")
    refused = InRoot(runner=Processes(), roots=(root,), cache=tmp_path).ready(recipe(tmp_path), other)
    assert isinstance(refused, Unready)
    assert f"{root} is a system for" in refused.problem


def test_an_image_is_a_root_and_says_where_its_programs_are(root: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    python = f"python{THIS.markers['python_version']}"
    moved = [  # as manylinux' images have it: absolute links, and a compiler that is not in /usr/bin
        *[each for each in tree_of(root) if each[0].name not in ("usr/bin/gcc", f"usr/local/bin/{python}")],
        *[file("opt/new/bin/gcc", "#!/bin/sh\necho 14.2\n", 0o755), link(f"opt/python/{THIS.interpreter}-{THIS.abi}", "/opt/_internal")],
        *[folder("opt/_internal/bin"), link(f"opt/_internal/bin/{python}", f"/usr/local/bin/real-{python}")],
        next(
            (renamed(info, f"usr/local/bin/real-{python}"), data) for info, data in tree_of(root) if info.name == f"usr/local/bin/{python}"
        ),
    ]
    descriptor = make_layout(image, moved, kind=f"{OCI}.layer.v1.tar", environment=["PATH=/opt/new/bin:/usr/bin", "PYTHONHOME=/usr/local"])
    for given in (image, archived(image)):
        answer = InRoot(runner=Processes(), roots=(given,), cache=tmp_path).ready(recipe(tmp_path), THIS)
        assert isinstance(answer, Ready), answer
        assert answer.python == f"/opt/python/{THIS.interpreter}-{THIS.abi}/bin/{python}"
        assert answer.tools[1] == "gcc 14.2"
        assert answer.tools[-1] == f"image {descriptor['digest']}"
        assert answer.environment["PATH"].endswith(":/opt/new/bin:/usr/bin")
    (image / "index.json").write_text("{}")
    refused = InRoot(runner=Processes(), roots=(image,), cache=tmp_path).ready(recipe(tmp_path), THIS)
    assert isinstance(refused, Unready)
    assert f"{image} cannot be read as an OCI image" in refused.problem


def test_a_root_with_another_python_says_which(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    for name in ("python3.9", "python3.9-config", "python3"):
        (tmp_path / "usr/bin" / name).write_text("")
    answer = InRoot(runner=Processes(), roots=(tmp_path,), cache=tmp_path).ready(
        recipe(tmp_path), Target.parse("cp312-manylinux_2_28_x86_64")
    )
    assert isinstance(answer, Unready)
    assert f"{tmp_path} lacks python3.12, it has 3.9" in answer.problem
    assert "opt/python3.12" in answer.hint


def test_what_a_root_lacks_is_told_with_how_to_get_it(root: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    answer = InRoot(runner=Processes(), roots=(bare,), cache=tmp_path).ready(recipe(tmp_path), THIS)
    assert isinstance(answer, Unready)
    assert f"{bare} lacks python" in answer.problem
    assert "apt install gcc" in answer.hint
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/os-release").write_text("ID=debian\n")
    answer = InRoot(runner=Processes(), roots=(bare, root), cache=tmp_path).ready(
        recipe(tmp_path, "system-packages: {debian: [libpq-dev]}"), THIS
    )
    assert isinstance(answer, Unready)
    assert f"not installed in {root}: libpq-dev" in answer.problem
    none = InRoot(runner=Processes(), roots=(), cache=tmp_path).ready(recipe(tmp_path), THIS)
    assert isinstance(none, Unready)
    assert "build-roots" in none.hint


def test_a_root_is_for_libraries_of_a_system_that_no_recipe_builds(tmp_path: Path) -> None:
    libraries = f"libraries: [{{name: x, url: 'https://example.org/x-1.tar.gz', sha256: {'a' * 64}, commands: [make]}}]"
    system = "system-packages: {debian: [libpq-dev]}"
    assert list(candidates(recipe(tmp_path, system), OLDER, rooted=True)) == [ROOT]
    assert list(candidates(recipe(tmp_path, system), OLDER)) == [NATIVE]
    assert list(candidates(recipe(tmp_path, system, libraries), OLDER, rooted=True)) == [ZIG, ROOT, NATIVE]
    assert list(candidates(recipe(tmp_path, system), THIS, rooted=True)) == [NATIVE]
