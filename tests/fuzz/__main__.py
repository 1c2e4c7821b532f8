"""Fuzz the named parsers, or all of them, one after the other; see the package's docstring."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FOUND = Path(".fuzz")
"""Where inputs lie that broke something, and all that atheris found interesting."""
SLOWEST = 20
"""Seconds that one input may take."""
MEMORY = 1500
"""MB that a process may take."""


def main() -> None:
    options = arguments()
    if options.write_seeds:
        importlib.import_module("tests.fuzz.seeds").write_seeds()
    elif options.child:
        run_atheris(options.child, options.rest)
    else:
        sys.exit(fuzz_all(options.parsers, options.minutes))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("parsers", nargs="*", metavar="PARSER", help="those of tests/fuzz/parsers.py; all by default")
    parser.add_argument("--minutes", type=float, default=1, help="for each parser (default: 1)")
    parser.add_argument("--write-seeds", action="store_true", help="write corpus/*/seed-* anew, and end")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options, rest = parser.parse_known_args()
    options.rest = rest
    return options


def fuzz_all(names: list[str], minutes: float) -> int:
    """Fuzz each parser in a process of its own; 1 if anything was found."""
    known = list(importlib.import_module("tests.fuzz.parsers").PARSERS)
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f"There is no parser {', '.join(unknown)}. There are {', '.join(known)}.")
    sound = [fuzz(name, minutes) for name in names or known]
    return 0 if all(sound) else 1


def fuzz(name: str, minutes: float) -> bool:
    """Fuzz one parser and tell what came of it."""
    found, corpus = FOUND / name, Path(__file__).parent / "corpus" / name
    (found / "corpus").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz", "--child", name, str(found / "corpus"), str(corpus)]
    command += [f"-max_total_time={int(minutes * 60)}", f"-artifact_prefix={found}/", "-print_final_stats=1"]
    command += [f"-timeout={SLOWEST}", f"-rss_limit_mb={MEMORY}"]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        ended = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
        log.seek(0)
        lines = log.read()
    executions = re.search(r"number_of_executed_units: (\d+)|^#(\d+)\s+DONE|Done (\d+) runs", lines, re.MULTILINE)
    count = next(group for group in executions.groups() if group) if executions else "?"
    print(f"{name:16} {count:>10} executions: {'nothing found' if ended == 0 else 'FAILED'}", flush=True)  # noqa: T201 - it is a program
    if ended:
        print(lines[-6000:], flush=True)  # noqa: T201
    return ended == 0


def run_atheris(name: str, options: list[str]) -> None:
    """Fuzz in this process; atheris ends it."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["wheelhouse_builder.runtime"]):
        parsers = importlib.import_module("tests.fuzz.parsers").PARSERS
    atheris.Setup([sys.argv[0], *options], parsers[name])
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    atheris.Fuzz()


if __name__ == "__main__":
    main()
