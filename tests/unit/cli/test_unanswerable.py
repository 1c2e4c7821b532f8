"""What cannot be resolved by its nature is told before any index is asked: the cause, its place, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import wheelhouse

SPEC = 'bundle: demo\nversion: "1"\nrequirements: [main.in]\ntargets: [{target}]\nindex: http://127.0.0.1:9/simple\n'
LINUX = "cp312-manylinux_2_28_x86_64"


@pytest.mark.parametrize(
    ("main", "target", "code", "told"),
    [
        ('app; platform_release >= "5"\n', LINUX, 4, (LINUX, "main.in:1", 'platform_release >= "5"', "wheelhouse probe --script", "this")),
        ("app\n", "cp312-manylinux_2_99_x86_64", 3, ("wheelhouse.yaml:4", "glibc 2.99", "the nearest is cp312-manylinux_2_")),
        ("app\n", "debian99", 3, ("wheelhouse.yaml:4", "debian99", "the nearest is debian")),
        ("-r more.in\n", LINUX, 3, ("more.in → deep.in → more.in", "circle")),
        ("app\n--no-binary app\n", LINUX, 3, ("no recipe builds app", "project: app")),
    ],
)
def test_each_is_a_clear_error(main: str, target: str, code: int, told: tuple[str, ...], tmp_path: Path) -> None:
    for name, text in {"main.in": main, "more.in": "-r deep.in\n", "deep.in": "-c more.in\n"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "wheelhouse.yaml").write_text(SPEC.format(target=target))
    said = wheelhouse("lock", cwd=tmp_path, expect=code).stderr
    assert not [text for text in told if text not in said], said
    assert said.count("hint: ") == 1
