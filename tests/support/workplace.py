"""A build engineer's folder: an index of tiny wheels, a spec, a key; and the commands run in it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.cli import Ended, wheelhouse
from tests.support.index import LocalIndex
from tests.support.pip import bundled_pip
from tests.support.wheels import make_wheel
from wheelhouse_builder.model.target import Target

WINDOWS, MAC, ARM = "cp312-win_amd64", "cp312-macosx_14_0_arm64", "cp313-manylinux_2_28_aarch64"


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """A folder in which commands are run; ``home`` within it holds the store."""

    folder: Path
    index: LocalIndex

    def write_spec(
        self, *, requirements: Sequence[str] = ("acme",), targets: Sequence[str] = (), index: str = "", name: str = "acme"
    ) -> None:
        lines = [f"bundle: {name}", 'version: "1.0"', f"requirements: {list(requirements)}"]
        lines += [f"targets: {list(targets or all_targets())}", f"index: {index or self.index.url}"]
        (self.folder / "wheelhouse.yaml").write_text("\n".join([*lines, "sign: {key: key}", ""]))

    def run(self, *arguments: str | Path, expect: int | None = 0, env: Mapping[str, str] | None = None) -> Ended:
        return wheelhouse(*arguments, cwd=self.folder, expect=expect, env=env)

    @property
    def store(self) -> Path:
        return self.folder / "home/.cache/wheelhouse"

    def stored(self) -> set[str]:
        return {path.name for path in self.store.glob("sha256/*/*")}


def this_target() -> str:
    return Target.parse("this").name


def all_targets() -> tuple[str, ...]:
    return (this_target(), WINDOWS, MAC, ARM)


def workplace(folder: Path, index: LocalIndex) -> Workplace:
    """A folder with a spec for all targets and a key."""
    folder.mkdir(parents=True, exist_ok=True)
    place = Workplace(folder=folder, index=index)
    place.write_spec()
    place.run("keygen", "--key", "key")
    return place


def publish_acme(directory: Path) -> Path:
    """Wheels of ``acme``, which needs other projects on each system, and of a real pip."""
    make_wheel(
        directory,
        "acme",
        "1.0",
        requires=["compiled>=1", "on-windows; sys_platform == 'win32'", "on-unix; sys_platform != 'win32'", "extra-thing; extra == 'more'"],
        files={"acme/__init__.py": "import compiled\nWHO = 'acme on ' + compiled.PLATFORM\n", "acme/data.txt": "acme\n" * 5000},
        entry_points={"acme": "acme:WHO.split"},
    )
    make_wheel(directory, "on-windows", "1.0", requires_python=">=3.8")
    make_wheel(directory, "on-unix", "1.0", requires=["old-thing; python_version < '3.13'"])
    make_wheel(directory, "old-thing", "1.0")
    make_wheel(directory, "extra-thing", "1.0")
    for name in all_targets():
        publish_compiled(directory, name)
    shutil.copy(bundled_pip(), directory)
    return directory


def publish_compiled(directory: Path, target_name: str) -> None:
    """Two wheels of ``compiled``: one exactly for the target, and a lower one that it accepts but likes less."""
    target = Target.parse(target_name)
    for platform in {target.platforms[0], target.platforms[-1]}:
        files: dict[str, str | bytes] = {
            "compiled/__init__.py": f"PLATFORM = '{platform}'\n",
            "compiled/native.bin": b"\x7fELF" + bytes(range(256)) * 50,
        }
        make_wheel(directory, "compiled", "1.2", tag=f"{target.interpreter}-{target.abi}-{platform}", files=files)
