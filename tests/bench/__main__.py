"""``make bench``: the project's figures, each as a ratio to a named peer that ran in turn with it.

``python -m tests.bench [NAME …]`` runs only those named.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from tests.bench import fetch

BENCHES: dict[str, Callable[[], str]] = {"fetch": fetch.bench}


def main() -> None:
    """Run what is named, or all, and print each table as it is ready."""
    for name in sys.argv[1:] or BENCHES:
        print(f"\n{name}\n{'─' * len(name)}\n{BENCHES[name]()}", flush=True)


main()
