"""Run by each CPython from 3.6 on: reads bundles with the reader that travels in them, and prints what came of each.

Arguments: the directory that holds the package ``wheelhouse_runtime``, an ``allowed_signers`` file, bundles.
"""

import importlib
import json
import sys
from typing import Any


def main(directory: str, trust: str, *paths: str) -> None:
    sys.path.insert(0, directory)
    bundle = importlib.import_module("wheelhouse_runtime.bundle")
    errors = importlib.import_module("wheelhouse_runtime.errors")
    signers = importlib.import_module("wheelhouse_runtime.policy").read_trust(trust)
    found: Any = []
    for path in paths:
        try:
            with bundle.verify(path, signers) as verified:
                found.append([verified.digest, verified.signers[0].principal, len(verified.manifest.distributions)])
        except errors.WheelhouseError as error:
            found.append([error.exit_code, *error.problems])
    print(json.dumps(found))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(*sys.argv[1:])
