from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.support.sources import MOMENT, write_tar
from tests.support.wheels import core_metadata
from wheelhouse_builder.errors import DistributionError
from wheelhouse_builder.sdist import promise_of, read_sdist, unpack_sdist

REQUIRES_TXT = """
six>=1

[:python_version < "3.9"]
old-thing; os_name == "posix"

[fast]
quick

[fast:sys_platform == "win32"]
pywin32>300
"""


def sdist(tmp_path: Path, **files: str) -> Path:
    return write_tar(tmp_path / "demo-1.0.tar.gz", {name.replace("__", "/").replace("_dot_", "."): text for name, text in files.items()})


def pkg_info(version: str = "2.1", *lines: str) -> str:
    return "\n".join([f"Metadata-Version: {version}", "Name: demo", "Version: 1.0", *lines, ""])


def test_what_metadata_says_for_sure_is_the_promise(tmp_path: Path) -> None:
    info = pkg_info("2.2", "Requires-Python: >=3.9", "Requires-Dist: six >= 1", "Requires-Dist: b; extra == 'x'", "Provides-Extra: x")
    facts = read_sdist(sdist(tmp_path, **{"PKG-INFO": info, "demo_dot_egg-info__requires_dot_txt": "other\n"}), "demo-1.0.tar.gz")
    assert facts.promise == promise_of(info)
    assert facts.promise.requires == ('b; extra == "x"', "six>=1")
    assert facts.epoch == MOMENT
    assert [str(requirement) for requirement in facts.build_requires] == ["setuptools>=40.8.0"]


@pytest.mark.parametrize("info", [pkg_info("2.1"), pkg_info("2.2", "Dynamic: Requires-Dist", "Requires-Dist: wrong")])
def test_what_is_not_sure_stands_in_requires_txt(tmp_path: Path, info: str) -> None:
    files = {"PKG-INFO": info, "src__demo_dot_egg-info__PKG-INFO": info, "src__demo_dot_egg-info__requires_dot_txt": REQUIRES_TXT}
    promise = read_sdist(sdist(tmp_path, **files), "demo-1.0.tar.gz").promise
    assert promise.requires == (
        'old-thing; os_name == "posix" and python_version < "3.9"',
        'pywin32>300; sys_platform == "win32" and extra == "fast"',
        'quick; extra == "fast"',
        "six>=1",
    )
    assert promise.extras == ("fast",)
    assert next(iter(promise.lines())) == "Provides-Extra: fast"


def test_an_egg_info_without_requirements_means_none(tmp_path: Path) -> None:
    info = pkg_info("1.2", "Requires-Dist: stale")
    files = {"PKG-INFO": info, "demo_dot_egg-info__PKG-INFO": info}
    assert read_sdist(sdist(tmp_path, **files), "demo-1.0.tar.gz").promise.requires == ()


def test_the_build_system_table_says_what_builds(tmp_path: Path) -> None:
    files = {"PKG-INFO": pkg_info(), "pyproject_dot_toml": '[build-system]\nrequires = ["cython; python_version > \'3\'", "wheel"]\n'}
    found = read_sdist(sdist(tmp_path, **files), "demo-1.0.tar.gz").build_requires
    assert list(map(str, found)) == ['cython; python_version > "3"', "wheel"]


@pytest.mark.parametrize(
    "files",
    [
        {"README": "no metadata"},
        {"PKG-INFO": pkg_info("2.2", "Requires-Dist: ???")},
        {"PKG-INFO": pkg_info(), "pyproject_dot_toml": "[build-system"},
        {"PKG-INFO": pkg_info(), "pyproject_dot_toml": '[build-system]\nrequires = ["???"]\n'},
    ],
)
def test_an_sdist_that_says_nothing_sensible_is_refused_by_name(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(DistributionError, match=r"demo-1\.0\.tar\.gz cannot be read"):
        read_sdist(sdist(tmp_path, **files), "demo-1.0.tar.gz")


@pytest.mark.parametrize(
    ("pyproject", "date"),
    [("build-system = []", (1980, 1, 1, 0, 0, 0)), ("a = " + "[" * 5000 + "]" * 5000, (1980, 1, 1, 0, 0, 0)), ("", (1980, 0, 0, 0, 0, 0))],
)
def test_nonsense_of_another_kind_is_refused_by_name_too(tmp_path: Path, pyproject: str, date: tuple[int, int, int, int, int, int]) -> None:
    path = tmp_path / "demo-1.0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {"PKG-INFO": core_metadata("demo", "1.0"), "pyproject.toml": pyproject}.items():
            member = zipfile.ZipInfo(f"demo-1.0/{name}")
            member.date_time = date
            archive.writestr(member, text)
    with pytest.raises(DistributionError, match="cannot be read"):
        read_sdist(path, path.name)


def test_what_is_no_archive_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "demo-1.0.tar.gz"
    path.write_bytes(b"not an archive")
    with pytest.raises(DistributionError, match="cannot be read"):
        read_sdist(path, path.name)
    with pytest.raises(DistributionError, match="cannot be unpacked"):
        unpack_sdist(path, path.name, tmp_path / "out")


def test_it_is_unpacked_without_its_outermost_directory_and_nowhere_else(tmp_path: Path) -> None:
    unpack_sdist(sdist(tmp_path, **{"PKG-INFO": pkg_info(), "a__b": "c"}), "demo-1.0.tar.gz", tmp_path / "out")
    assert (tmp_path / "out/a/b").read_text() == "c"
    evil = write_tar(tmp_path / "evil-1.tar.gz", {"../../escaped": "x"})
    with pytest.raises(DistributionError, match="cannot be unpacked"):
        unpack_sdist(evil, evil.name, tmp_path / "in")
    assert not (tmp_path / "escaped").exists()
