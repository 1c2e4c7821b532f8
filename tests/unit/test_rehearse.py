from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.pylock import Pylock
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from tests.support.wheels import make_wheel
from wheelhouse_builder.errors import RehearsalError
from wheelhouse_builder.model.distribution import LockedWheel, Wheel
from wheelhouse_builder.model.lock import Lock
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.rehearse import rehearse

LINUX, WINDOWS, MACOS = "cp312-manylinux_2_28_x86_64", "cp312-win_amd64", "cp312-macosx_14_0_arm64"


def stored(path: Path) -> Wheel:
    project, version, _, _ = parse_wheel_filename(path.name)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return Wheel(project=project, version=version, filename=path.name, sha256=digest, size=len(data), path=path, url=path.as_uri())


def locked(wheel: Wheel) -> LockedWheel:
    return LockedWheel(project=wheel.project, version=wheel.version, filename=wheel.filename, url=wheel.url, sha256=wheel.sha256)


def a_lock(target: str, wheels: list[Wheel], *requirements: str, bootstrap: list[Wheel]) -> Lock:
    return Lock(
        target=Target.parse(target),
        pylock=Pylock(lock_version=Version("1.0"), created_by="tests", packages=[]),
        wheels=tuple(map(locked, wheels)),
        bootstrap=tuple(map(locked, bootstrap)),
        requirements=tuple(map(Requirement, requirements)),
    )


class Stage:
    """Wheels, and the rehearsal of one lock of all of them for each target."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheels: list[Wheel] = []
        self.bootstrap = [stored(make_wheel(folder, "pip", "26.0"))]

    def add(self, project: str, version: str = "1.0", **options: object) -> None:
        self.wheels.append(stored(make_wheel(self.folder, project, version, **options)))  # type: ignore[arg-type]

    def library(self) -> Mapping[str, Wheel]:
        return {wheel.filename: wheel for wheel in (*self.wheels, *self.bootstrap)}

    def problems(
        self, *requirements: str, targets: tuple[str, ...] = (LINUX,), library: Mapping[str, Wheel] | None = None
    ) -> tuple[str, ...]:
        locks = [a_lock(target, self.wheels, *requirements, bootstrap=self.bootstrap) for target in targets]
        try:
            rehearse(locks, self.library() if library is None else library)
        except RehearsalError as error:
            return error.problems
        return ()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_closed_set_passes(stage: Stage) -> None:
    stage.add("app", requires=["dep[fast]>=1", "never; sys_platform == 'win32'"])
    stage.add("dep", requires=["speed; extra == 'fast'", "absent; extra == 'slow'"])
    stage.add("speed", tag="cp312-cp312-manylinux_2_17_x86_64")
    assert stage.problems("app") == ()


def test_a_dependency_that_is_not_there_is_named_for_each_target_that_needs_it(stage: Stage) -> None:
    stage.add("app", requires=["dep", "colorama; sys_platform == 'win32'"])
    assert stage.problems(targets=(LINUX, WINDOWS)) == (
        f"{LINUX}: app requires dep, which is not there",
        f"{WINDOWS}: app requires dep, which is not there",
        f'{WINDOWS}: app requires colorama; sys_platform == "win32", which is not there',
    )


def test_extras_are_followed_from_the_requirements_on(stage: Stage) -> None:
    stage.add("app", requires=["dep[deep]; extra == 'web'"])
    stage.add("dep", requires=["bottom; extra == 'deep'"])
    assert stage.problems("app") == (f"{LINUX}: dep 1.0 is locked, and nobody needs it",)
    assert stage.problems("app[web]") == (f'{LINUX}: dep requires bottom; extra == "deep", which is not there',)


def test_an_extra_that_names_its_own_project_ends(stage: Stage) -> None:
    stage.add("app", requires=["app[a,b]; extra == 'all'", "one; extra == 'a'", "app[all]; extra == 'b'"])
    assert stage.problems("app[all]") == (f'{LINUX}: app requires one; extra == "a", which is not there',)


def test_the_wrong_version_is_told(stage: Stage) -> None:
    stage.add("app", requires=["dep>=2"])
    stage.add("dep", "1.5")
    assert set(stage.problems("dep<1")) == {
        f"{LINUX}: app requires dep>=2, but 1.5 is there",
        f"{LINUX}: the requirements ask for dep<1, but 1.5 is there",
        f"{LINUX}: app 1.0 is locked, and nobody needs it",
    }


def test_what_nobody_needs_on_the_target_is_told(stage: Stage) -> None:
    stage.add("app", requires=["dep; sys_platform == 'win32'"])
    stage.add("dep", requires=["deeper"])
    stage.add("deeper")
    assert stage.problems("app", targets=(WINDOWS,)) == ()
    assert stage.problems("app") == (
        f"{LINUX}: deeper 1.0 is locked, and nobody needs it",
        f"{LINUX}: dep 1.0 is locked, and nobody needs it",
    )
    assert stage.problems() == ()


def test_a_pre_release_that_was_locked_satisfies(stage: Stage) -> None:
    stage.add("app", requires=["dep>=1"])
    stage.add("dep", "2.0rc1")
    assert stage.problems() == ()


def test_a_marker_that_only_the_host_can_tell_names_the_requirement(stage: Stage) -> None:
    stage.add("app", requires=["dep; platform_release >= '20' and sys_platform == 'darwin'"])
    stage.add("dep")
    assert stage.problems() == ()
    (problem,) = stage.problems(targets=(MACOS,))
    assert "app requires dep; platform_release" in problem
    assert "probe" in problem


def test_a_python_that_the_wheel_does_not_want_is_told(stage: Stage) -> None:
    stage.add("app", requires_python="<3.12")
    assert stage.problems() == (f"{LINUX}: app 1.0 requires Python <3.12, this is {Target.parse(LINUX).markers['python_full_version']}",)


def test_a_tag_that_does_not_fit_is_told(stage: Stage) -> None:
    stage.add("app", tag="cp312-cp312-manylinux_2_34_x86_64")
    assert stage.problems() == (f"{LINUX}: app: app-1.0-cp312-cp312-manylinux_2_34_x86_64.whl does not fit",)


def test_a_project_with_two_wheels_is_told(stage: Stage) -> None:
    stage.add("app", "1.0")
    stage.add("app", "2.0")
    assert stage.problems() == (f"{LINUX}: app: two wheels are locked",)


def test_a_wheel_that_is_not_there_or_another_one_is_told(stage: Stage) -> None:
    stage.add("app")
    stage.add("dep")
    swapped = {**stage.library(), "dep-1.0-py3-none-any.whl": stage.wheels[0]}
    del swapped["app-1.0-py3-none-any.whl"]
    assert stage.problems(library=swapped) == (
        f"{LINUX}: app: app-1.0-py3-none-any.whl is not there",
        f"{LINUX}: dep: dep-1.0-py3-none-any.whl is another file than was locked",
    )


def test_a_wheel_that_calls_itself_something_else_is_told(stage: Stage, tmp_path: Path) -> None:
    other = make_wheel(tmp_path, "other", "1.0")
    stage.wheels.append(stored(other.rename(tmp_path / "app-1.0-py3-none-any.whl")))
    assert stage.problems() == (f"{LINUX}: app: app-1.0-py3-none-any.whl calls itself other 1.0, the lock 1.0",)


def test_two_wheels_may_share_a_file_but_not_a_path(stage: Stage) -> None:
    stage.add("one", files={"shared/__init__.py": "", "shared/core.py": "1", "shared/more.py": "1"})
    stage.add("two", files={"shared/__init__.py": "", "shared/core.py": "2", "shared/more.py": "2"})
    assert stage.problems() == (f"{LINUX}: one 1.0 and two 1.0 both write shared/core.py and 1 more, each something else",)


def test_case_matters_where_the_system_says_so(stage: Stage) -> None:
    stage.add("one", files={"Pack/a.py": "1"})
    stage.add("two", files={"pack/a.py": "2"})
    assert stage.problems() == ()
    assert len(stage.problems(targets=(WINDOWS, MACOS))) == 2


def test_scripts_and_data_directories_collide_where_they_are_installed(stage: Stage) -> None:
    stage.add("one", files={"pkg/a.py": "1"}, entry_points={"run": "pkg.a:main", "same": "x:y"})
    stage.add("two", files={"two-1.0.data/purelib/pkg/a.py": "2"}, entry_points={"run": "pkg.b:main", "same": "x:y"})
    assert stage.problems() == (f"{LINUX}: one 1.0 and two 1.0 both write <scripts>/run and 1 more, each something else",)


def test_a_target_without_pip_or_with_one_that_does_not_fit_is_told(stage: Stage, tmp_path: Path) -> None:
    stage.add("app")
    stage.bootstrap = [stored(make_wheel(tmp_path, "pip", "27.0", requires_python=">=3.13"))]
    (problem,) = stage.problems()
    assert problem.startswith(f"{LINUX}: bootstrap: pip 27.0 requires Python >=3.13")
    stage.bootstrap = []
    assert stage.problems() == (f"{LINUX}: bootstrap: there is no pip to install the others with",)


def test_metadata_that_cannot_be_read_is_told(stage: Stage) -> None:
    stage.add("app", requires=["not a requirement"])
    (problem,) = stage.problems()
    assert "METADATA is not as it must be" in problem


def test_what_would_fit_is_told_where_an_index_knows(stage: Stage) -> None:
    stage.add("app", requires=["lib<2"])
    stage.add("lib", "2.0")
    stage.add("young", requires_python=">=3.13")
    stage.add("windowsy", tag="py3-none-win_amd64")
    asked = []

    def nearest(project: str, target: Target, bounds: SpecifierSet) -> Version:
        asked.append((project, target.name, str(bounds)))
        return Version("1.5")

    with pytest.raises(RehearsalError) as caught:
        rehearse([a_lock(LINUX, stage.wheels, bootstrap=stage.bootstrap)], stage.library(), nearest=nearest)
    python = Target.parse(LINUX).environment["python_full_version"]
    assert sorted(caught.value.problems) == [
        f"{LINUX}: app requires lib<2, but 2.0 is there; nearest: lib 1.5 has a wheel for it",
        f"{LINUX}: windowsy: windowsy-1.0-py3-none-win_amd64.whl does not fit; nearest: windowsy 1.5 has a wheel for it",
        f"{LINUX}: young 1.0 requires Python >=3.13, this is {python}; nearest: young 1.5 has a wheel for it",
    ]
    assert sorted(asked) == [("lib", LINUX, "<2"), ("windowsy", LINUX, ""), ("young", LINUX, "")]
