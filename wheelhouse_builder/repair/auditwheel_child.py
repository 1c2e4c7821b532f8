"""auditwheel's own command line, in a process that takes the target for the host.

auditwheel offers the platforms of the host that it runs on, and no others: its machine, and its C library. What it does for a platform
does not depend on the host, so those two answers are replaced, and musl's version; nothing else is. These names are private to auditwheel:
pyproject.toml pins it, and tests/unit/repair/test_linux.py repairs for a foreign machine and for musl.

Argument: the platform, as ``manylinux_2_28_aarch64``; then auditwheel's own.
"""

from __future__ import annotations

import re
import sys

from auditwheel.architecture import Architecture
from auditwheel.libc import Libc, LibcVersion
from auditwheel.main import main


def become(platform: str) -> None:
    """Take a host of ``platform`` for this one."""
    family, major, minor, machine = re.fullmatch(r"(many|musl)linux_(\d+)_(\d+)_(\w+)", platform).groups()  # type: ignore[union-attr]
    libc = Libc.MUSL if family == "musl" else Libc.GLIBC
    Libc.detect = staticmethod(lambda: libc)
    Libc.get_current_version = lambda _: LibcVersion(int(major), int(minor))
    Architecture.detect = staticmethod(lambda **_: Architecture(machine))


if __name__ == "__main__":
    become(sys.argv.pop(1))
    sys.exit(main())
