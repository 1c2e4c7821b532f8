"""What a reviewer is shown of a wheel: what lands beside its project's own name."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.support.bundles import OURS, write_trust
from tests.support.handmade import bundle_for
from tests.support.wheels import make_wheel
from wheelhouse_builder.runtime.commands import run_inspect, run_unpack
from wheelhouse_builder.runtime.errors import BundleRefused
from wheelhouse_builder.runtime.host import this_host
from wheelhouse_builder.runtime.notable import notable_members
from wheelhouse_builder.runtime.report import render


def notable(directory: Path, project: str, *names: str) -> list[str]:
    path = make_wheel(directory, project, "1.0", files=dict.fromkeys(names, ""))
    with path.open("rb") as file:
        return notable_members(file, project)


@pytest.mark.parametrize(
    ("project", "names", "found"),
    [
        ("demo", ["demo/__init__.py", "demo/evil.py"], []),
        ("demo", ["demo.py"], []),
        ("demo", ["demo.cpython-312-x86_64-linux-gnu.so", "demo.libs/libx.so", "demo_helper.py"], []),
        ("typing-extensions", ["typing_extensions.py"], []),
        ("zope-interface", ["zope/interface/__init__.py"], ["zope/"]),
        ("pyyaml", ["yaml/__init__.py", "_yaml/__init__.py"], ["_yaml/", "yaml/"]),
        ("demo", ["requests/__init__.py", "demo/__init__.py"], ["requests/"]),
        ("demo", ["os.py"], ["os.py"]),
        ("demo", ["demo.pth"], ["demo.pth"]),
        ("demo", ["demo/weights.pth"], []),
        ("demo", ["demo-1.0.data/purelib/other.pth"], ["other.pth"]),
        ("demo", ["demo-1.0.data/platlib/ssl/__init__.py", "demo-1.0.data/platlib/demo/x.py"], ["ssl/"]),
        ("demo", ["demo-1.0.data/scripts/pip"], ["scripts/pip"]),
        ("demo", ["demo-1.0.data/data/etc/cron.d/a", "demo-1.0.data/data/etc/cron.d/b"], ["data/etc/cron.d"]),
        ("demo", ["größe.py"], ["gr\\xf6\\xdfe.py"]),
    ],
)
def test_what_lands_beside_the_projects_own_name_is_shown(tmp_path: Path, project: str, names: list[str], found: list[str]) -> None:
    assert notable(tmp_path, project, *names) == found


def test_what_is_no_archive_has_nothing_to_show() -> None:
    assert notable_members(io.BytesIO(b"no archive"), "demo") == []


def test_inspect_shows_it_and_a_manifest_that_keeps_it_to_itself_is_refused(tmp_path: Path) -> None:
    made = tmp_path / "made"
    wheel = make_wheel(made, "demo", "1.0", files={"demo/__init__.py": "", "evil.pth": "import evil\n"})
    bundle = bundle_for(this_host(), [wheel], make_wheel(made, "pip", "26.3"))
    path, trust = tmp_path / "acme.whb", str(write_trust(tmp_path, OURS))
    path.write_bytes(bundle.signed(OURS))
    assert "  demo 1.0: evil.pth" in render(run_inspect(str(path))).splitlines()
    run_unpack(str(path), str(tmp_path / "honest"), trust)
    path.write_bytes(bundle.changed(lambda document: document["distributions"][0].update(notable=[])).signed(OURS))
    with pytest.raises(BundleRefused, match="beside its own name"):
        run_unpack(str(path), str(tmp_path / "dishonest"), trust)
    assert not (tmp_path / "dishonest").exists()
