from __future__ import annotations

import pytest
from packaging.markers import Marker

from wheelhouse_builder.model.markers import holds
from wheelhouse_builder.model.target import Target

LINUX = Target.parse("debian12")


@pytest.mark.parametrize(
    ("marker", "answer"),
    [
        ("sys_platform == 'linux'", True),
        ("sys_platform == 'win32'", False),
        ("platform_release >= '5'", None),
        ("'Ubuntu' in platform_version", None),
        ("platform_version not in 'abc'", None),
        ("platform_release >= '5' and sys_platform == 'darwin'", False),
        ("platform_release >= '5' or sys_platform == 'linux'", True),
        ("platform_release >= '5' and sys_platform == 'linux'", None),
        ("platform_release >= '5' and platform_version < '3'", None),
        ("(platform_release >= '5' or platform_version < '3') and os_name == 'nt'", False),
    ],
)
def test_what_only_a_host_could_tell_matters_only_where_the_answer_hangs_on_it(marker: str, answer: bool | None) -> None:
    assert holds(Marker(marker), LINUX) is answer


def test_a_probed_target_knows_its_release() -> None:
    assert holds(Marker("platform_release >= '0' or platform_release < '0' or platform_release != ''"), Target.parse("this")) is True


def test_no_marker_always_holds() -> None:
    assert holds(None, LINUX) is True


def test_extras_are_tried_one_by_one() -> None:
    marker = Marker("extra == 'web-server' and os_name == 'posix'")
    assert holds(marker, LINUX) is False
    assert holds(marker, LINUX, ["other", "Web_Server"]) is True
