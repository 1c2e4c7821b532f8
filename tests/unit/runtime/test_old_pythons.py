from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import bundles, read_bundles
from tests.support.bundles import FOREIGN, OURS, draft, write_trust
from tests.support.keys import EcdsaKey, MldsaKey, SecurityKey
from tests.support.pythons import cpythons
from wheelhouse_builder import runtime
from wheelhouse_builder.runtime.manifest import canonical_json, content_digest

SCRIPT = Path(read_bundles.__file__ or "")
FIRST_OF_ALL = "3.6"
OTHER_KEYS = (EcdsaKey(1), SecurityKey(2), MldsaKey(3))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One good bundle, then malformed ones that try the parsers."""
    directory = tmp_path_factory.mktemp("bundles")
    made = draft(directory)
    good = made.signed(OURS)
    deep, huge = b"[" * 200_000 + b"]" * 200_000, b"9" * 1_000_000
    manifest = canonical_json(made.document)
    contents = [
        good,
        good[:-1],
        made.signed(FOREIGN),
        made.signed(),
        bundles.with_frames_swapped(made, OURS),
        bundles.with_another_main(made, OURS),
        bundles.with_signed_manifest(made, manifest.replace(b'"as_of":', b'"as_of":' + deep + b',"x":'), OURS),
        bundles.with_signed_manifest(made, manifest.replace(b'"version":1}', b'"version":' + huge + b"}"), OURS),
        bundles.with_signed_manifest(made, manifest.replace(b'"as_of":', b'"as_of":1,"as_of":'), OURS),
        *(made.signed(key) for key in OTHER_KEYS),
        *(bundles.signed_over_another_manifest(made, key) for key in OTHER_KEYS),
    ]
    paths = [directory / f"{number}.whb" for number in range(len(contents))]
    for path, data in zip(paths, contents, strict=True):
        path.write_bytes(data)
    return paths


@pytest.fixture(scope="module")
def travelling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the runtime under the name that it has in a bundle."""
    directory = tmp_path_factory.mktemp("travelling")
    shutil.copytree(Path(runtime.__file__ or "").parent, directory / "wheelhouse_runtime", ignore=shutil.ignore_patterns("__pycache__"))
    return directory


def verdicts(python: Path, travelling: Path, trust: Path, files: list[Path]) -> Any:
    command = [str(part) for part in (python, "-I", "-B", "-W", "error", SCRIPT, travelling, trust, *files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_oldest_python_that_we_promise_is_here() -> None:
    assert FIRST_OF_ALL in cpythons()


@pytest.mark.parametrize("version", cpythons())
def test_the_reader_comes_to_the_same_verdicts_on_every_python(version: str, tmp_path: Path, travelling: Path, files: list[Path]) -> None:
    found = verdicts(cpythons()[version], travelling, write_trust(tmp_path, OURS, *OTHER_KEYS), files)
    assert found[0] == [content_digest(draft(tmp_path).document), "packer@example.org", 2]
    assert [verdict[0] for verdict in found[1:]] == [11, 12, 12, 11, 11, 11, 11, 11, *found[0][:1] * 3, 12, 12, 12]
    assert "nested too deeply" in found[6][1] or "it is no string" in found[6][1]
    assert "digits" in found[7][1]
    assert "twice" in found[8][1]
