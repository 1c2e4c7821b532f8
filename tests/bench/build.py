"""Building one compiled project from its sdist, beside uv and auditwheel as they are: the same compiler, the same build requirements."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import uv

from tests.bench.measure import Contender, compare, table
from tests.support.cli import environment, wheelhouse
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.resolve import read_lock

PROJECT = "greenlet"
BUILD = """\
import sys
from pathlib import Path
from wheelhouse_builder.adapters.index import IndexClient
from wheelhouse_builder.adapters.store import Store
from wheelhouse_builder.build import build
from wheelhouse_builder.fetch import fetch
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import Cookbook
from wheelhouse_builder.reporter import Silent
from wheelhouse_builder.resolve import read_lock
lock, store = read_lock(Path(sys.argv[1]), Target.parse(sys.argv[2])), Store(Path(sys.argv[3]))
with IndexClient() as client:
    wheels = fetch(lock.files, store, client=client, reporter=Silent())
    (made,) = build([lock], wheels, Cookbook.of(), store=store, client=client, reporter=Silent(), tested=False).made
    assert not made.again
"""
"""The build stage, repair and audit with it, in a process of its own. All files are in the store."""


def bench() -> str:
    """Medians of five rounds; in each all is built anew."""
    with TemporaryDirectory() as folder:
        return table(compare(_contenders(Path(folder))), peer="uv build, auditwheel")


def _contenders(folder: Path) -> list[Contender]:
    target = Target.parse("this")
    (folder / "wheelhouse.yaml").write_text(
        f"bundle: bench\nversion: '1'\nrequirements: [{PROJECT}]\nno-binary: [{PROJECT}]\ntargets: [this]\nsign: {{key: key}}\n"
    )
    wheelhouse("keygen", "--key", "key", cwd=folder)
    wheelhouse("lock", cwd=folder)
    wheelhouse("bundle", "-o", "bench.whb", "--untested", cwd=folder)
    path, store = folder / f"pylock.{target.name}.toml", Store(folder / "home/.cache/wheelhouse")
    (sdist,) = read_lock(path, target).sdists
    (folder / "tools").mkdir()
    for tool in sdist.build_requirements:
        shutil.copy(store.path(tool.sha256), folder / "tools" / tool.filename)
    lines = [f"{tool.project}=={tool.version} --hash=sha256:{tool.sha256}\n" for tool in sdist.build_requirements]
    (folder / "constraints.txt").write_text("".join(lines))
    shutil.copy(store.path(sdist.sha256), folder / sdist.filename)
    flags = "--wheel --no-config --no-sources --offline --no-index --require-hashes --find-links tools -b constraints.txt"
    ready = f"export PATH={Path(sys.executable).parent}:$PATH && cd {folder}"
    bare = f"{uv.find_uv_bin()} build {flags} -p {sys.executable} -o out {sdist.filename}"
    repair = f"{sys.executable} -m auditwheel repair -w repaired out/*.whl"
    return [
        Contender(
            name="wheelhouse, build",
            command=(sys.executable, "-c", BUILD, str(path), target.name, str(store.root)),
            prepare=partial(shutil.rmtree, store.root / "builds", ignore_errors=True),
            env=environment(folder),
        ),
        Contender(
            name="uv build, auditwheel",
            command=("sh", "-c", f"{ready} && {bare} && {repair}"),
            prepare=partial(_remove, folder / "out", folder / "repaired"),
            env=environment(folder),
        ),
    ]


def _remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
