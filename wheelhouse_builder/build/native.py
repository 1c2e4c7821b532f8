"""The native toolchain: this host's compiler and libraries, for targets whose C library is not older than this host's."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from wheelhouse_builder.adapters.packages import look_for
from wheelhouse_builder.adapters.process import Runner
from wheelhouse_builder.adapters.sandbox import Sandbox
from wheelhouse_builder.build.pythons import Pythons
from wheelhouse_builder.build.toolchain import COMPILER_FLAGS, PREFIX, Ready, Unready
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.recipe import NATIVE, Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Native:
    """This host's own tools."""

    runner: Runner
    pythons: Pythons

    def ready(self, recipe: Recipe, target: Target, *, cplusplus: bool = False) -> Ready | Unready:  # noqa: ARG002 # gcc's has it
        """See :class:`~wheelhouse_builder.build.toolchain.Toolchain`."""
        python = self.pythons.any() if recipe.pure else self.pythons.like(target)
        if python is None:
            return Unready(
                problem=f"no {target.interpreter} of ABI {target.abi} is on this host to build with",
                hint="install that Python, on PATH or under pyenv",
            )
        found = look_for(recipe.system_packages, self.runner)
        if found.missing:
            return Unready(problem=f"{recipe.where('system-packages')}: not installed: {', '.join(found.missing)}", hint=found.install)
        compiler = () if recipe.pure else _versions(self.runner)
        if not compiler and not recipe.pure:
            return Unready(problem="there is no C compiler, gcc, on this host", hint="apt install gcc, or pip install ziglang")
        full = python.target.markers["python_full_version"]
        return Ready(
            toolchain=NATIVE,
            sandbox=Sandbox(runner=self.runner),
            python=str(python.path),
            environment={} if recipe.pure else compiler_environment("gcc", "g++"),
            tools=(f"cpython {full}", *compiler),
            packages=found.versions,
        )


def compiler_environment(cc: str, cxx: str) -> dict[str, str]:
    """What makes setuptools and other backends use these compilers as we want them used.

    LDSHARED without what the interpreter was linked with: its RPATH would leak into the wheel.
    """
    include, library = f"-I{PREFIX}/include", f"-L{PREFIX}/lib"
    return {
        "CC": cc,
        "CXX": cxx,
        "LDSHARED": f"{cc} -shared",
        "LDCXXSHARED": f"{cxx} -shared",
        "CFLAGS": f"{COMPILER_FLAGS} {include}",
        "CXXFLAGS": f"{COMPILER_FLAGS} {include}",
        "LDFLAGS": library,
        "PKG_CONFIG_PATH": f"{PREFIX}/lib/pkgconfig",
    }


def _versions(runner: Runner) -> tuple[str, ...]:
    """gcc, the linker and the C library; nothing where there is no gcc."""
    try:
        gcc = runner.run(["gcc", "-dumpfullversion"]).stdout.strip()
        linker = runner.run(["ld", "--version"]).stdout.partition("\n")[0].strip()
    except FileNotFoundError:
        return ()
    return f"gcc {gcc}", linker, " ".join(platform.libc_ver())
