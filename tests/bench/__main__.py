"""``make bench``: the project's figures, each beside a named peer that ran in turn with it.

``python -m tests.bench [NAME …]`` runs only those named; ``pack-4`` and ``pack-7``, bundles for four and seven targets,
parts of these tables, such as ``pack-4-max``, ``pack-science``, a month's ``delta``, the catalogues, and what killed installers leave
(``killed``), only then.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from tests.bench import build, catalogue, delta, fetch, install, killed, lock, pack, unpack, verify

BENCHES: dict[str, Callable[[], str]] = {
    "build": build.bench,
    "delta": delta.bench,
    "fetch": fetch.bench,
    "install": install.bench,
    "killed": killed.bench,
    "lock": lock.bench,
    **pack.benches(),
    "pack-science": pack.science,
    "unpack": unpack.web,
    "unpack-science": unpack.science,
    "verify": verify.bench,
    "catalogue": catalogue.some,
    "catalogue-25": catalogue.all_of_them,
}
USUAL = ("build", "fetch", "install", "lock", "pack", "unpack", "verify")


def main() -> None:
    """Run what is named, or the usual ones, and print each table as it is ready."""
    for name in sys.argv[1:] or USUAL:
        print(f"\n{name}\n{'─' * len(name)}\n{BENCHES[name]()}", flush=True)


main()
