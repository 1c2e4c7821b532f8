"""The zig toolchain: a C and C++ compiler that brings every glibc from 2.17 on, and musl, for several machines (``ziglang`` on PyPI).

What it compiles runs on the target's floor, whatever this host has. It does not look at this host's libraries: what a project links must
be built by its recipe from source. For another machine, system or C library than this host's, the build sees the settings of a Python
there (``_PYTHON_SYSCONFIGDATA_NAME``), made of those of the Python here.
"""

from __future__ import annotations

import hashlib
import json
import pprint
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from wheelhouse_builder.adapters.interpreters import Interpreter
from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.adapters.sandbox import INSIDE, Sandbox
from wheelhouse_builder.build import windows
from wheelhouse_builder.build.native import compiler_environment
from wheelhouse_builder.build.pythons import Pythons
from wheelhouse_builder.build.toolchain import PREFIX, Ready, Unready
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import ZIG, Recipe

OLDEST_GLIBC = (2, 17)
SETTINGS = "_sysconfigdata_of_the_target"
CACHE = "zig-cache"
KEPT = "zig-libraries"
"""Where compiled libraries are kept."""
C, CPLUSPLUS = "c", "c++"
PROGRAMS = {
    C: ("main.c", "int main(void) { return 0; }\n"),
    CPLUSPLUS: ("main.cpp", "#include <string>\nint main(int count, char **words) { return std::string(words[0]).size() == count; }\n"),
}
"""What makes zig compile the libraries of a language: file and content."""

_PLATFORM = re.compile(r"(many|musl)linux_(\d+)_(\d+)_(\w+)")
_MACHINES = {
    "x86_64": ("x86_64", ""), "aarch64": ("aarch64", ""), "i686": ("x86", ""), "armv7l": ("arm", "eabihf"),
    "ppc64le": ("powerpc64le", ""), "s390x": ("s390x", ""), "riscv64": ("riscv64", ""),
}  # fmt: skip
"""What zig calls the machines of wheel tags, and the end of their C library's name."""

# Flags that interpreters were built with, or that configure scripts take for granted, and that zig does not know; and paths of this host.
# Those parts of glibc that are linked into each program tell where zig lies: hence --strip-debug.
COMPILER = """#!/bin/sh
library=
for flag do
  shift
  case $flag in
    -Wl,-Bsymbolic-functions | -Wl,--exclude-libs* | -Wl,--push-state* | -Wl,--pop-state | -Wl,-Map* | -Wl,-rpath[,=]/*) continue ;;
    -specs=* | -march=native | -mtune=* | -fcf-protection* | -ffat-lto-objects | -flto* | -fuse-linker-plugin) continue ;;{more}
  esac
  set -- "$@" "$flag"
done
exec {zig} {mode} -target {triple} -fno-sanitize=undefined -Wl,--strip-debug -isystem {include} "$@" $library
"""
# The interpreter's own headers are for Linux. Beside a DLL zig would leave its import library, which backends pack.
ON_WINDOWS = """
    -I{headers} | -I{headers}/*) continue ;;
    -shared) library="-s -Wl,--out-implib,/mnt/tmp/unused.lib {library}" ;;"""
TOOL = """#!/bin/sh
exec {zig} {mode} "$@"
"""
MODES = {"zig-cc": "cc", "zig-c++": "c++", "zig-ar": "ar", "zig-ranlib": "ranlib"}
_ASK = """
import importlib, json, sysconfig
settings = importlib.import_module(sysconfig._get_sysconfigdata_name()).build_time_vars
print(json.dumps([settings, open(sysconfig.get_config_h_filename()).read(), sysconfig.get_path("include")]))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Zig:
    """zig. What it compiled of each target's libraries is kept below ``cache``; builds get copies, so that none changes another's."""

    runner: Runner
    pythons: Pythons
    cache: Path

    def ready(self, recipe: Recipe, target: Target, *, cplusplus: bool = False) -> Ready | Unready:  # noqa: ARG002
        """See :class:`~wheelhouse_builder.build.toolchain.Toolchain`."""
        triple = triple_of(target.platforms[0])
        if triple is None:
            return Unready(problem=f"zig compiles for glibc from 2.17 on, for musl and for 64-bit Windows, not for {target.platforms[0]}")
        zig = _program()
        if zig is None:
            return Unready(problem="zig is not installed", hint="pip install 'wheelhouse-builder[zig]'")
        python = self.pythons.like(target)
        if python is None:
            return Unready(
                problem=f"no {target.interpreter} of ABI {target.abi} is on this host to build with",
                hint="install that Python, on PATH or under pyenv",
            )
        warm = self._warm(zig, triple, CPLUSPLUS if cplusplus else C)
        if isinstance(warm, Unready):
            return warm
        settings, header, headers = self._settings_of(python)
        foreign = target.platforms[0].startswith("musl") or target.markers["platform_machine"] != python.target.markers["platform_machine"]
        ready = Ready(
            toolchain=ZIG,
            sandbox=Sandbox(runner=self.runner),
            python=str(python.path),
            environment=_environment(triple),
            compiling=_cross_environment(target) if foreign else {},
            tools=(f"cpython {python.target.markers['python_full_version']}", f"zig {version('ziglang')} for {triple}"),
            files={**compilers(zig, triple), **header_of(header, settings, triple)},
            modules={SETTINGS: settings_of_target(settings, triple)} if foreign else {},
            folders={CACHE: warm},
            system_libraries=False,
        )
        return self._on_windows(ready, target, zig, settings, headers) if target.platforms[0] in windows.TRIPLES else ready

    def _on_windows(self, ready: Ready, target: Target, zig: Path, settings: Mapping[str, str | int], headers: Path) -> Ready | Unready:
        """What building for Windows takes instead: CPython's headers and DLL as they are there."""
        platform = target.platforms[0]
        triple = windows.TRIPLES[platform]
        texts = windows.headers(headers)
        definition = windows.exports(texts, f"python{target.abi.removeprefix('cp').rstrip('m')}.dll")
        library = self._import_library(zig, triple, definition)
        if isinstance(library, Unready):
            return library
        ours = ON_WINDOWS.format(headers=shlex.quote(str(headers)), library=INSIDE / windows.FOLDER / windows.LIBRARY)
        return replace(
            ready,
            files={
                **compilers(zig, triple, ours),
                **{f"include/{path}": text for path, text in texts.items()},
                windows.DEFINITION: definition,
            },
            modules={SETTINGS: _as_module(windows.settings_on(settings, target.abi, platform))},
            folders={**ready.folders, windows.FOLDER: library},
        )

    def _import_library(self, zig: Path, triple: str, definition: str) -> Path | Unready:
        """The folder of a library that makes the linker look for what is defined in a DLL."""
        digest = hashlib.sha256(definition.encode()).hexdigest()
        folder = self.cache / KEPT / version("ziglang") / f"{triple}-{digest}"
        if folder.is_dir():
            return folder
        with TemporaryDirectory(prefix="defining-", dir=folder.parent) as scratch:
            draft = Path(scratch, windows.FOLDER)
            draft.mkdir()
            Path(scratch, windows.DEFINITION).write_text(definition, encoding="utf-8")
            command = [str(zig), "dlltool", "-m", windows.MACHINES[triple], "-d", windows.DEFINITION, "-l", str(draft / windows.LIBRARY)]
            ended = self.runner.run(command, cwd=Path(scratch))
            if ended.returncode != 0:
                return Unready(problem=f"zig cannot make an import library: {ended.stderr.strip()}")
            _settle(draft, folder)
        return folder

    def _warm(self, zig: Path, triple: str, language: str) -> Path | Unready:
        """Where zig keeps the target's libraries; it compiles them once, at the first call: C's in seconds of CPU, C++'s in a minute."""
        folder = self.cache / KEPT / version("ziglang") / f"{triple}-{language}"
        if folder.is_dir():
            return folder
        before = self._warm(zig, triple, C) if language == CPLUSPLUS else None
        if isinstance(before, Unready):
            return before
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="warming-", dir=folder.parent) as scratch:
            draft = Path(scratch, CACHE)
            shutil.copytree(before, draft) if before else draft.mkdir()
            if problem := self._compile_libraries(zig, triple, language, Path(scratch)):
                return Unready(problem=f"zig cannot compile for {triple}: {problem}")
            _settle(draft, folder)
        return folder

    def _compile_libraries(self, zig: Path, triple: str, language: str, scratch: Path) -> str:
        """Have them compiled, into the cache in ``scratch``; what zig says last where it fails.

        In a sandbox, as builds are: what zig compiles tells in which folder that was, and what is linked with it does, too.
        """
        name, content = PROGRAMS[language]
        mode = "cc" if language == C else "c++"
        (scratch / name).write_text(content, encoding="utf-8")
        for kind in (("-shared", "-fPIC"), ()):  # libraries, and the programs that configure scripts make
            command = [str(zig), mode, *kind, "-target", triple, "-g0", "-O2", "-fno-sanitize=undefined", "-o", "made", name]
            ended = Sandbox(runner=self.runner).run(scratch, command, _places())
            if ended.returncode != 0:
                return ended.stderr.strip().rpartition("\n")[2]
        return ""

    def _settings_of(self, python: Interpreter) -> tuple[Mapping[str, str | int], str, Path]:
        """What an interpreter says of how it was built, its pyconfig.h, and the folder of its headers."""
        settings, header, headers = json.loads(self.runner.run([str(python.path), "-I", "-c", _ASK]).stdout)
        return settings, header, Path(headers)


def _settle(draft: Path, folder: Path) -> None:
    """Keep what was made as ``folder``, unless another run was faster."""
    try:
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def triple_of(platform: str) -> str | None:
    """What zig calls a platform tag, with the floor of its glibc; None where zig has none so old, or not that machine."""
    match = _PLATFORM.fullmatch(platform)
    if match is None or match[4] not in _MACHINES:
        return windows.TRIPLES.get(platform)
    machine, end = _MACHINES[match[4]]
    if match[1] == "musl":
        return f"{machine}-linux-musl{end}"
    floor = int(match[2]), int(match[3])
    return f"{machine}-linux-gnu{end}.{floor[0]}.{floor[1]}" if floor >= OLDEST_GLIBC else None


def _multiarch(triple: str) -> str:
    """What Debian, and the names of extension modules, call it."""
    return re.sub(r"^x86-", "i386-", re.sub(r"\.[\d.]+$", "", triple))


def _program() -> Path | None:
    found = find_spec("ziglang")
    places = found.submodule_search_locations if found else None
    return Path(places[0], "zig") if places else None


def _places() -> dict[str, str]:
    """Where zig keeps what it compiled."""
    return dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(INSIDE / CACHE))


def _environment(triple: str) -> dict[str, str]:
    tools = INSIDE / "tools"
    return {
        **compiler_environment(str(tools / "zig-cc"), str(tools / "zig-c++")),
        "AR": str(tools / "zig-ar"),
        "RANLIB": str(tools / "zig-ranlib"),
        **_places(),
        "PKG_CONFIG_LIBDIR": f"{PREFIX}/lib/pkgconfig",  # this host's libraries are none of the target's
        "HOST_TRIPLET": windows.HOSTS.get(triple) or _multiarch(triple),  # for recipes: ./configure --host=$HOST_TRIPLET
    }


def _cross_environment(target: Target) -> dict[str, str]:
    """What makes a Python here answer as the target's does, when it is asked how to build."""
    platform = target.platforms[0]
    return {
        "_PYTHON_HOST_PLATFORM": platform.replace("_", "-")
        if platform in windows.TRIPLES
        else f"linux-{target.markers['platform_machine']}",
        "_PYTHON_SYSCONFIGDATA_NAME": SETTINGS,
    }


def compilers(zig: Path, triple: str, more: str = "") -> dict[str, str]:
    """The programs that a build calls instead of the compiler and its tools: file → script. ``more`` is done with the compilers' flags."""
    program, include = shlex.quote(str(zig)), INSIDE / "include"
    templates = ((name, mode, COMPILER if mode.startswith("c") else TOOL) for name, mode in MODES.items())
    return {
        f"tools/{name}": text.format(zig=program, mode=mode, triple=triple, include=include, more=more) for name, mode, text in templates
    }


def header_of(header: str, settings: Mapping[str, str | int], triple: str, *, system: Path = Path("/usr/include")) -> dict[str, str]:
    """A pyconfig.h that only names the one of its machine, as Debian's does, leads to where zig does not look: here it is."""
    own = re.search(r"<([\w-]+)/(python[\w.]+/pyconfig\.h)>", header)
    if own is None:
        return {}
    inner = Path(system, str(settings.get("MULTIARCH", "")), own[2])
    return {f"include/{_multiarch(triple)}/{own[2]}": inner.read_text(encoding="utf-8")}


def settings_of_target(settings: Mapping[str, str | int], triple: str) -> str:
    """The settings of a Python on the target: those of the Python here, with its own names and suffixes."""
    here, there = str(settings["MULTIARCH"]), _multiarch(triple)
    return _as_module({key: value.replace(here, there) if isinstance(value, str) else value for key, value in settings.items()})


def _as_module(settings: Mapping[str, str | int]) -> str:
    return f"build_time_vars = {pprint.pformat(settings)}\n"
