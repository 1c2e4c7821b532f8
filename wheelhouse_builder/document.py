"""YAML documents that people write: each problem is told with its line and column, and all of them at once.

A document is read as a graph of nodes, not as values: each node knows its place, a repeated key is still there, and ``2026.10`` has not
become the number 2026.1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from wheelhouse_builder.errors import SpecError

_STRING = "tag:yaml.org,2002:str"
_KINDS = {"int": "a number", "float": "a number", "bool": "true or false", "null": "nothing", "timestamp": "a date"}


class Page:
    """The file that is being read, and the problems seen so far.

    ``hint`` says how the file can be mended, ``missing`` how one comes about.
    """

    def __init__(self, path: Path, *, hint: str, missing: str) -> None:
        self.path = path
        self.folder = path.absolute().parent
        self._hint = hint
        self._missing = missing
        self._problems: list[tuple[int, int, str]] = []

    def top(self) -> yaml.Node:
        """The document's outermost node. Raises SpecError when the file is not there or not YAML."""
        text = self._text()
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line, mark.column) if mark else (0, 0)
            self.at(line, column, f"this is not YAML: {_yaml_advice(error)}")
        except yaml.reader.ReaderError as error:
            self._at_end_of(text[: error.position], "a character stands here that YAML does not allow: delete it")
        else:
            if node is not None:
                return node
            self.at(0, 0, "the file is empty")
        raise self._failure()

    def _text(self) -> str:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            raise SpecError(f"{self.path}: there is no such file", hint=self._missing) from None
        except IsADirectoryError:
            raise SpecError(f"{self.path}: is a folder", hint=self._missing) from None
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self._at_end_of(data[: error.start].decode("utf-8-sig"), "this is not UTF-8: save the file as UTF-8")
            raise self._failure() from None

    def _at_end_of(self, before: str, text: str) -> None:
        self.at(before.count("\n"), len(before) - before.rfind("\n") - 1, text)

    def at(self, line: int, column: int, text: str) -> None:
        """Note a problem at ``line`` and ``column``, which count from 0."""
        self._problems.append((line + 1, column + 1, text))

    def problem(self, node: yaml.Node, text: str) -> None:
        """Note a problem where ``node`` begins."""
        self.at(node.start_mark.line, node.start_mark.column, text)

    def fail_if_bad(self) -> None:
        """Raise SpecError if there was any problem, with all of them in the file's order."""
        if self._problems:
            raise self._failure()

    def _failure(self) -> SpecError:
        lines = (f"{self.path}:{line}:{column}: {text}" for line, column, text in sorted(self._problems))
        return SpecError(*dict.fromkeys(lines), hint=self._hint)

    def mapping(self, node: yaml.Node, where: str, known: Sequence[str], required: Mapping[str, str]) -> dict[str, yaml.Node]:
        """The values of a mapping by key; unknown, repeated and missing keys are problems.

        ``required`` holds an example for each key that must be there.
        """
        if not isinstance(node, yaml.MappingNode):
            self.problem(node, f"{_at(where)}must be a mapping of {listed(known)}, not {kind(node)}")
            return {}
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if name not in known:
                self.problem(key, f"{_at(where)}unknown key {name or kind(key)!r}{instead(name, known)}")
            elif name in found:
                first = found[name].start_mark.line + 1
                self.problem(key, f"{_at(where)}{name!r} stands here again, it was already given in line {first}: keep one of them")
            else:
                found[name] = value
        for name in required.keys() - found.keys():
            self.problem(node, f"{_at(where)}the key {name!r} is missing: add '{required[name]}'")
        return found

    def string(self, node: yaml.Node, where: str) -> str | None:
        """The text of a string that is not empty."""
        if not isinstance(node, yaml.ScalarNode):
            self.problem(node, f"{where}: must be a string, not {kind(node)}")
        elif node.tag != _STRING:
            advice = f': quote it: "{node.value}"' if node.value else ""
            self.problem(node, f"{where}: must be a string, not {kind(node)}{advice}")
        elif not node.value.strip():
            self.problem(node, f"{where}: must not be empty")
        else:
            return str(node.value)
        return None

    def items(self, node: yaml.Node, where: str) -> Iterator[tuple[yaml.Node, str]]:
        """The nodes of a list, each with its address; a bare string counts as a list of itself."""
        if isinstance(node, yaml.SequenceNode):
            yield from ((item, f"{where}[{number}]") for number, item in enumerate(node.value))
        elif isinstance(node, yaml.ScalarNode) and node.tag == _STRING:
            yield node, where
        else:
            self.problem(node, f"{where}: must be a list, not {kind(node)}")

    def strings(self, node: yaml.Node, where: str) -> Iterator[tuple[yaml.Node, str, str]]:
        """The strings of a list, each with its node and its address."""
        for item, address in self.items(node, where):
            text = self.string(item, address)
            if text is not None:
                yield item, address, text

    def file(self, node: yaml.Node, where: str, text: str) -> Path:
        """The file that ``text`` names, relative to this one; one that is not there is a problem."""
        path = self.resolve(text)
        if path.is_dir():
            self.problem(node, f"{where}: {path} is a folder: name a file in it")
        elif not path.is_file():
            self.problem(node, f"{where}: there is no file {path}{neighbour(path)}")
        return path

    def resolve(self, text: str) -> Path:
        """The path that ``text`` means: ``~`` is the home folder, and a relative one begins where this file lies."""
        try:
            return self.folder / Path(text).expanduser()
        except RuntimeError:  # ~ and the name of nobody here
            return self.folder / text


def _yaml_advice(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "it cannot be read"
    if "\\t" in problem:
        return "a tab stands here: indent with spaces"
    if "expected a single document" in (error.context or ""):
        return "a second document begins here: keep one in each file"
    return f"{problem}, {error.context}" if error.context else problem


def kind(node: yaml.Node) -> str:
    """What a node is, in the words of someone who writes YAML."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return _KINDS.get(node.tag.rpartition(":")[2], "a string")


def _at(where: str) -> str:
    return f"{where}: " if where else ""


def listed(names: Iterable[str]) -> str:
    """Names, with commas between them."""
    return ", ".join(names)


def instead(name: str, known: Sequence[str]) -> str:
    """What else could have been meant."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f": did you mean {close[0]!r}?"
    return f": known are {listed(known)}" if known else ": there are none"


def neighbour(path: Path) -> str:
    """A file beside ``path`` whose name is much like it."""
    names = [entry.name for entry in path.parent.iterdir() if entry.is_file()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    return f": did you mean {close[0]!r}?" if close else ""
