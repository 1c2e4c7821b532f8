"""delocate's own command line, where there are no tools of macOS: what it asks otool, install_name_tool and codesign for is done in Python.

Those parts are repairwheel's, and so is the list of what they replace. Both projects' names are private to them: pyproject.toml pins
both, and tests/unit/repair/test_macos.py repairs a wheel with them.

Arguments: delocate-wheel's own.
"""

from __future__ import annotations

import delocate.delocating
import delocate.libsana
import delocate.tools
from delocate.cmd.delocate_wheel import main
from repairwheel.macos import machotools

REPLACED = (
    "_get_install_names",
    "_get_install_ids",
    "_get_rpaths",
    "set_install_name",
    "set_install_id",
    "add_rpath",
    "_delete_rpaths",
    "get_archs",
    "replace_signature",
    "validate_signature",
)


def replace_tools() -> None:
    """Put Python in the place of macOS' programs, wherever delocate has taken their names to."""
    for name in REPLACED:
        replacement = getattr(machotools, name)
        for module in (delocate.tools, delocate.delocating, delocate.libsana):
            if hasattr(module, name):
                setattr(module, name, replacement)


if __name__ == "__main__":
    replace_tools()
    main()
