"""The trial of an environment before anybody uses it: each top-level module is imported, and the bundle's own commands are run."""

import csv
import io
import json
import os
import re
import subprocess
from typing import Any, Dict, Iterator, List, Sequence

from .child import clean_environment, run
from .engine import Installation, Job
from .errors import InstallError

_MODULE = re.compile(r"([A-Za-z_]\w*)(?:\.py|(?:\.[\w-]+)*\.(?:so|pyd))")

# Answers are lines in a file: what modules print themselves goes elsewhere, and what was answered before a crash is there.
_IMPORT = """
import importlib, json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    modules = json.load(file)
answers = open(sys.argv[1] + ".answers", "w", encoding="utf-8", buffering=1)
for module in modules:
    answers.write(json.dumps([module, None]) + "\\n")
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        answers.write(json.dumps([module, str(error), error.name]) + "\\n")
    except BaseException as error:
        answers.write(json.dumps([module, "%s: %s" % (type(error).__name__, error), ""]) + "\\n")
    else:
        answers.write(json.dumps([module, ""]) + "\\n")
"""


def import_all(job: Job, done: Installation) -> List[str]:
    """Import each top-level module, in one child of the new interpreter; what could not be, as problems.

    A module that wants another which no distribution brings is none: some projects bring modules for others that they do not require.
    """
    modules = sorted(
        {module for each in done.records.values() for module in _top_level(each.record)},
        key=lambda name: (name == "pip", name),  # once it is imported, setuptools cannot be: it keeps its distutils from pip
    )
    path = os.path.join(job.scratch, "modules.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(modules, file)
    ended = subprocess.run(
        [job.python, "-I", "-B", "-c", _IMPORT, path],
        env=clean_environment(job.scratch),
        cwd=job.scratch,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    answers = _answers(path + ".answers")
    problems = [
        "%s cannot be imported: %s" % (answer[0], answer[1])
        for answer in answers.values()
        if answer[1] and not _wants_other(answer, modules)
    ]
    crashed = [answer[0] for answer in answers.values() if answer[1] is None]
    problems += ["%s ends the interpreter when it is imported (%d)." % (module, ended.returncode) for module in crashed]
    return problems or (["%s does not start (%d)." % (job.python, ended.returncode)] if modules and not answers else [])


def run_commands(job: Job, commands: Sequence[Sequence[str]]) -> None:
    """Run each of the bundle's own ``commands`` in the environment. Raises InstallError at the first that fails."""
    for command in commands:
        run(_resolved(job, command), job.scratch, "%s failed." % " ".join(command))


def _resolved(job: Job, command: Sequence[str]) -> List[str]:
    """The command as it can be run before the environment is in its place: scripts name an interpreter that is not there yet."""
    if command[0] == "python":
        return [job.python, "-I", "-B", *command[1:]]
    found = [os.path.join(job.paths["scripts"], command[0] + suffix) for suffix in ("", ".exe")]
    script = next((path for path in found if os.path.isfile(path)), None)
    if script is None:
        raise InstallError(
            "The bundle wants to run %s, which the environment does not have." % command[0],
            hint="Nothing was changed. Its sender named it under `smoke`; tell him.",
        )
    with open(script, "rb") as file:
        head = file.read(1024)
    is_python = script.endswith(".exe") or os.fsencode(job.executable) in head
    return [*([job.python, "-I", "-B"] if is_python else []), script, *command[1:]]


def _wants_other(answer: Sequence[Any], modules: Sequence[str]) -> bool:
    wants = str(answer[2] or "").partition(".")[0]
    return bool(wants) and wants not in modules


def _answers(path: str) -> Dict[str, List[Any]]:
    """The last that was said of each module."""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return {line[0]: line for line in lines}


def _top_level(record: bytes) -> Iterator[str]:
    """What can be imported of a wheel: files of its root that are modules, and folders that hold any."""
    for row in csv.reader(io.StringIO(record.decode("utf-8"))):
        path = re.sub(r"^[^/]+\.data/(?:purelib|platlib)/", "", row[0]) if row else ""
        folder, slash, _ = path.partition("/")
        match = _MODULE.fullmatch(path.rpartition("/")[2])
        if match and (folder.isidentifier() if slash else True):
            yield folder if slash else match.group(1)
