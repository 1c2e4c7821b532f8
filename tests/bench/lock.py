"""Locking web.in for eight targets with warm caches, beside the very uv calls that this makes, all of them at once and nothing else."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.measure import Contender, compare, table
from tests.data import DATA
from tests.support.cli import environment, wheelhouse
from wheelhouse_builder.adapters.index import IndexClient
from wheelhouse_builder.adapters.process import Finished, Processes
from wheelhouse_builder.resolve import Requirements, resolve
from wheelhouse_builder.spec import read_spec

TARGETS = (
    "cp311-manylinux_2_28_x86_64", "cp312-manylinux_2_28_x86_64", "cp313-manylinux_2_28_x86_64", "cp312-manylinux_2_28_aarch64",
    "cp312-win_amd64", "cp313-win_amd64", "cp312-macosx_14_0_arm64", "cp313-macosx_14_0_arm64",
)  # fmt: skip
SPEC = f"""\
bundle: bench
version: "1"
requirements: [web.in]
targets: [{", ".join(TARGETS)}]
"""


def bench() -> str:
    """Medians of five rounds."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copy(DATA / "web.in", folder)
        (folder / "wheelhouse.yaml").write_text(SPEC)
        wheelhouse("lock", cwd=folder)
        calls = _calls(folder)
        begun = " ".join(f'{call} & begun="$begun $!";' for call in calls)
        at_once = f"{begun} for each in $begun; do wait $each || exit; done"
        lock = (sys.executable, "-m", "wheelhouse_builder", "lock", "--upgrade", str(folder))
        contenders = [
            Contender(name="wheelhouse lock, 8 targets", command=lock, env=environment(folder)),
            Contender(name="uv", command=("sh", "-c", at_once), env=environment(folder)),
        ]
        return f"{len(calls)} uv calls\n{table(compare(contenders), peer='uv')}"


@dataclass
class _Recording(Processes):
    """Runs programs, and keeps what can run them again."""

    folder: Path
    calls: list[str] = field(default_factory=list)

    def run(self, command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Finished:
        """See :class:`~wheelhouse_builder.adapters.process.Runner`."""
        assert cwd is not None
        kept = Path(tempfile.mkdtemp(dir=self.folder))
        shutil.copytree(cwd, kept, dirs_exist_ok=True)
        settings = [f"{name}={value}" for name, value in (env or {}).items()]
        self.calls.append(shlex.join(["env", *settings, *(word.replace(str(cwd), str(kept)) for word in command)]))
        return super().run(command, env=env, cwd=cwd)


def _calls(folder: Path) -> list[str]:
    """The uv calls of a lock of the spec in ``folder``, as command lines of a shell."""
    spec, runner = read_spec(folder / "wheelhouse.yaml"), _Recording(folder)
    cache = Path(environment(folder)["HOME"]) / ".cache/wheelhouse"
    with IndexClient() as pages:
        resolve(Requirements.of(spec), spec.targets, pages=pages, cache=cache, runner=runner)
    return runner.calls
