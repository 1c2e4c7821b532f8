"""The trial of an environment before anybody uses it: each top-level module is imported, and the bundle's own commands are run."""

import csv
import io
import json
import os
import re
import subprocess
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from .child import ended, run
from .cores import cores
from .engine import Installation, Job
from .errors import InstallError

_MODULE = re.compile(r"([A-Za-z_]\w*)(?:\.py|(?:\.[\w-]+)*\.(?:so|pyd))")

# Answers are lines in a file: what modules print themselves goes elsewhere, and what was answered before a crash is there. Each module is
# imported by whichever of several comes to it first, who makes the file with its number. Every other one begins with the smallest, which
# others want, so that less is imported twice; what came along is imported there already. Once pip is, setuptools cannot be any more: it
# keeps its distutils from pip. At the end nothing is taken apart, which takes as long as a third of the imports, nor is garbage on the way.
_IMPORT = """
import gc, importlib, json, os, sys
gc.disable()
path = sys.argv[1]
with open(path, encoding="utf-8") as file:
    modules = json.load(file)
answers = open(path + ".answers" + sys.argv[2], "w", encoding="utf-8", buffering=1)
def is_ours(number):
    try:
        os.close(os.open("%s.%d" % (path, number), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
def answer(module):
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        return [module, str(error), error.name]
    except BaseException as error:
        return [module, "%s: %s" % (type(error).__name__, error), ""]
    return [module, ""]
def attempt(module):
    answers.write(json.dumps([module, None]) + "\\n")
    answers.write(json.dumps(answer(module)) + "\\n")
rest = dict(enumerate(modules))
first = max if int(sys.argv[2]) % 2 else min
while rest:
    now = [each for each in rest if rest[each] != "pip"] or list(rest)
    number = next((each for each in now if rest[each] in sys.modules), first(now))
    module = rest.pop(number)
    if is_ours(number):
        attempt(module)
os._exit(0)
"""


def import_all(job: Job, done: Installation) -> List[str]:
    """Import each top-level module, in children of the new interpreter; what could not be, as problems.

    A module that wants another which no distribution brings is none: some projects bring modules for others that they do not require.
    """
    modules = _modules(done)
    path = os.path.join(job.scratch, "modules.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(modules, file)
    commands = [[job.python, "-I", "-B", "-c", _IMPORT, path, str(number)] for number in range(min(cores(), len(modules)))]
    codes = ended(commands, job.scratch, [subprocess.DEVNULL] * len(commands))
    answers = {each[0]: (each, code) for number, code in enumerate(codes) for each in _answers("%s.answers%d" % (path, number))}
    problems = [problem for problem in (_problem(*each, modules) for each in answers.values()) if problem]
    unanswered = [module for module in modules if module not in answers]
    if unanswered and not problems:
        problems = ["%s was not imported: %s ended (%s)." % (unanswered[0], job.python, ", ".join(map(str, codes)))]
    return sorted(problems)


def _problem(answer: Sequence[Any], code: int, modules: Sequence[str]) -> str:
    """What is wrong by the last that was said of a module, in a child that ended with ``code``; empty: nothing."""
    module, said = answer[:2]
    if said is None:
        return "%s ends the interpreter when it is imported (%d)." % (module, code)
    return "%s cannot be imported: %s" % (module, said) if said and not _wants_other(answer, modules) else ""


def _modules(done: Installation) -> List[str]:
    """What is to be imported, the largest first, for they bring others along."""
    sizes: Dict[str, int] = {}
    for each in done.records.values():
        for module, size in _top_level(each.record):
            sizes[module] = sizes.get(module, 0) + size
    return sorted(sizes, key=lambda name: (-sizes[name], name))


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


def _answers(path: str) -> List[List[Any]]:
    """The last that was said of each module."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return list({line[0]: line for line in lines}.values())


def _top_level(record: bytes) -> Iterator[Tuple[str, int]]:
    """What can be imported of a wheel, and bytes of it: files of its root that are modules, and folders that hold any."""
    for row in csv.reader(io.StringIO(record.decode("utf-8"))):
        path = re.sub(r"^[^/]+\.data/(?:purelib|platlib)/", "", row[0]) if row else ""
        folder, slash, _ = path.partition("/")
        match = _MODULE.fullmatch(path.rpartition("/")[2])
        if match and (folder.isidentifier() if slash else True):
            yield folder if slash else match.group(1), int("".join(row[2:]) or 0)
