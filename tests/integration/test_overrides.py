"""An override from the spec to the far side: what stays unmet is named and signed, and stops neither the rehearsal nor the installation."""

from __future__ import annotations

from pathlib import Path

from tests.support.index import LocalIndex
from tests.support.wheels import make_wheel
from tests.support.workplace import publish_acme, this_target, workplace


def test_what_is_overridden_installs_and_nothing_else_is_excused(tmp_path: Path) -> None:
    wheels = publish_acme(tmp_path / "index")
    for version in ("1.0", "2.0"):
        make_wheel(wheels, "library", version)
    make_wheel(wheels, "strict", "1.0", requires=["library<2"])
    with LocalIndex(wheels) as index:
        place = workplace(tmp_path / "work", index)
        place.write_spec(requirements=("strict",), targets=(this_target(),))
        with (place.folder / "wheelhouse.yaml").open("a") as spec:
            spec.write("overrides: [library>=2]\n")
        place.run("bundle", "-o", "strict.whb", "--rehearse", "run")
    manifest = place.run("manifest", "strict.whb").stdout
    assert '"overridden":[{"project":"strict","requires":"library"}]' in manifest
    place.run("install", "strict.whb", "--venv", "venv", "--trust", "key.allowed_signers")
    assert list((place.folder / "venv").glob("lib/*/site-packages/library-2.0.dist-info"))
