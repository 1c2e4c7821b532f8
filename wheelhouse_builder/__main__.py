"""``python -m wheelhouse_builder``: the command ``wheelhouse``."""

import sys

from wheelhouse_builder.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
