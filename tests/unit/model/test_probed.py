"""Probed hosts as targets: exact where the document is whole, refused with an address where it is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker

from wheelhouse_builder.errors import SpecError
from wheelhouse_builder.model.markers import holds
from wheelhouse_builder.model.probed import KEYS, MARKERS, read_probe
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.runtime import probe

TAGS = ["cp39-cp39-linux_x86_64", "cp39-cp39-manylinux_2_28_x86_64", "cp39-abi3-manylinux_2_28_x86_64", "py39-none-any", "py3-none-any"]


def good(**changed: Any) -> dict[str, Any]:
    markers = {**probe.markers(), "python_version": "3.9", "platform_release": "5.14.0-503.el9.x86_64"}
    return {**probe.probe(), "tags": TAGS, "markers": markers, **changed}


def written(folder: Path, document: object, name: str = "web01.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def problems(path: Path) -> tuple[str, ...]:
    with pytest.raises(SpecError) as caught:
        read_probe(path)
    assert caught.value.hint
    return tuple(problem.replace(f"{path}: ", "") for problem in caught.value.problems)


def test_the_keys_are_those_that_the_probe_writes() -> None:
    assert set(KEYS) == set(probe.probe())
    assert set(MARKERS) == set(probe.markers())


def test_tags_and_markers_are_taken_as_they_are(tmp_path: Path) -> None:
    target = read_probe(written(tmp_path, good()))
    assert [str(tag) for tag in target.tags] == TAGS
    assert target.markers["platform_release"] == "5.14.0-503.el9.x86_64"
    assert None not in target.markers.values()
    assert (target.interpreter, target.abi) == ("cp39", "cp39")


def test_the_platform_that_promises_a_c_library_is_the_floor(tmp_path: Path) -> None:
    assert read_probe(written(tmp_path, good())).platforms == ("manylinux_2_28_x86_64", "linux_x86_64")


def test_it_is_called_after_its_python_and_its_file(tmp_path: Path) -> None:
    assert read_probe(written(tmp_path, good(), "web-01.example.json")).name == "cp39-web_01_example"
    free_threaded = [tag.replace("cp39", "cp313", 1).replace("-cp39-", "-cp313t-") for tag in TAGS[:2]]
    markers = {**good()["markers"], "python_version": "3.13"}
    assert read_probe(written(tmp_path, good(tags=free_threaded, markers=markers))).name == "cp313t-web01"


def test_markers_of_the_kernel_can_be_decided(tmp_path: Path) -> None:
    marker = Marker("'el9' in platform_release")
    assert holds(marker, read_probe(written(tmp_path, good()))) is True
    assert holds(marker, Target.parse("cp39-manylinux_2_28_x86_64")) is None


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], "not what `wheelhouse probe` writes"),
        ({}, "wheelhouse-probe: must be 1, the format that this wheelhouse knows, not None"),
        (good(tags=[]), "tags: must be a list of wheel tags, best first"),
        (good(tags=["py3-none-any", 3]), "tags[1]: 3 is not a wheel tag"),
        (good(tags=["py3-none-any.win32"]), "tags[0]: 'py3-none-any.win32' is not a wheel tag"),
        (good(tags=["py3-none-any"]), "tags[0]: py3-none-any is not the tag of compiled code for CPython or PyPy"),
        (
            good(tags=["cp311-cp311-win_amd64"]),
            "tags[0]: cp311-cp311-win_amd64 is for another Python than markers.python_version says, '3.9'",
        ),
        (good(tags=TAGS[:1] * 2), "tags: one stands there twice"),
        (good(markers=3), "markers: must be a mapping of PEP 508's environment markers"),
        (good(markers={**good()["markers"], "os_name": None}), "markers.os_name: must be a string"),
        (good(markers={**good()["markers"], "os": "posix"}), "markers.os: unknown"),
        (good(host="web01"), "host: unknown"),
        ({key: value for key, value in good().items() if key != "libc"}, "libc: is missing"),
    ],
)
def test_what_is_wrong_is_told_with_its_address(document: object, problem: str, tmp_path: Path) -> None:
    assert problem in problems(written(tmp_path, document))


def test_a_file_that_is_no_json_or_is_called_like_a_platform_is_refused(tmp_path: Path) -> None:
    (tmp_path / "web01.json").write_bytes("{}".encode("utf-16"))
    assert "not what `wheelhouse probe` writes" in problems(tmp_path / "web01.json")[0]
    assert "cannot be called like a platform" in problems(written(tmp_path, good(), "win_amd64.json"))[0]
