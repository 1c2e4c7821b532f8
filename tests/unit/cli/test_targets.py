"""``wheelhouse targets``: names, and what they mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import wheelhouse
from wheelhouse_builder.model.target import Target


def test_each_friendly_name_is_listed_with_what_it_means(tmp_path: Path) -> None:
    shown = wheelhouse("targets", cwd=tmp_path).stdout
    assert "debian12" in shown
    assert "cp311-manylinux_2_36_x86_64" in shown
    document = wheelhouse("targets", "--json", cwd=tmp_path).document
    assert document["targets"]["rhel8"] == "cp36-manylinux_2_28_x86_64"
    assert {Target.parse(friendly).name for friendly in document["targets"]} == set(document["targets"].values())


@pytest.mark.parametrize(
    ("name", "resolver"),
    [
        ("windows-py312", "uv"),
        ("cp313t-manylinux_2_34_aarch64", "pip-tools"),
        ("pp311-manylinux_2_28_x86_64", "pip-tools"),
        ("cp27mu-manylinux2014_x86_64", "pip-tools"),
        ("cp312-musllinux_1_1_x86_64", "pip-tools"),
        ("cp310-manylinux_2_12_i686", "pip-tools"),
    ],
)
def test_one_target_is_explained_by_its_tags_its_markers_and_who_resolves_for_it(name: str, resolver: str, tmp_path: Path) -> None:
    target = Target.parse(name)
    shown = wheelhouse("targets", name, cwd=tmp_path).stdout
    assert shown.startswith(f"{target.name}\n")
    assert str(target.tags[0]) in shown
    assert "platform_release" in shown
    assert "only the host can tell" in shown
    document = wheelhouse("targets", name, "--json", cwd=tmp_path).document
    assert document["resolver"] == resolver
    assert document["tags"] == list(map(str, target.tags))
    assert document["markers"] == dict(target.markers)


def test_a_target_that_does_not_exist_is_told_with_the_nearest_that_does(tmp_path: Path) -> None:
    told = wheelhouse("targets", "cp312-manylinux_2_28_x86", cwd=tmp_path, expect=3)
    assert "manylinux_2_28_i686" in told.stderr or "the nearest is" in told.stderr
