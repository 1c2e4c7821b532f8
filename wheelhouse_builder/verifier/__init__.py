"""The verifier as one file, to be carried in once, with the trust store, by another path than any bundle.

It is the head beside this module and, unchanged, those modules of the runtime that verifying needs: what a reviewer has read there they
have read here, and ``diff`` says so.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from importlib.resources import files

from wheelhouse_builder import __version__

FILE_NAME = "wheelhouse-verify.py"
ROOTS = ("bundle", "memory", "policy", "report")
"""What the head asks for; what these need comes with them."""
_RUNTIME = "wheelhouse_builder.runtime"
_MARK = "# ---- module: {} ----\n"


def source() -> str:
    """The whole file: the same text for the same version of this package."""
    head = files(__name__).joinpath("head.py").read_text(encoding="utf-8").replace("@VERSION@", __version__)
    return "#!/usr/bin/env python3\n" + head + "".join(f"\n\n{_MARK.format(name)}{_module(name)}" for name in _in_order(ROOTS))


def _module(name: str) -> str:
    return files(_RUNTIME).joinpath(f"{name}.py").read_text(encoding="utf-8")


def _in_order(roots: Iterable[str]) -> list[str]:
    """The modules and all that they need, each after what it needs."""
    found: dict[str, None] = {}

    def take(name: str) -> None:
        if name not in found:
            for needed in _needs(name):
                take(needed)
            found[name] = None

    for root in roots:
        take(root)
    return list(found)


def _needs(name: str) -> list[str]:
    """The runtime's modules that this one imports."""
    imports = [node for node in ast.walk(ast.parse(_module(name))) if isinstance(node, ast.ImportFrom) and node.level == 1]
    return sorted({needed for node in imports for needed in ([node.module] if node.module else [alias.name for alias in node.names])})
