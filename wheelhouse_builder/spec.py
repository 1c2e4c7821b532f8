r"""The spec: ``wheelhouse.yaml``, what to bundle for which targets, as a frozen value.

::

    bundle: acme-web                       # a name that is good as a file name
    version: "2026.11"                     # a string: quoted
    requirements:                          # at least one
      - requirements.in                    # a file
      - uvicorn[standard]>=0.30            # a requirement; one with a URL may be built: acme @ git+https://git.example.org/acme@v2
      - ./libs/acme                        # the folder of a project, to be built
      - {pyproject: pyproject.toml, extras: [web], groups: [deploy]}
    locked: pylock.toml                    # instead of requirements: the lock of another tool, or requirements with hashes, as it is
    constraints: [constraints.txt]         # files; optional
    overrides: [botocore>=1.43]            # files and requirements; optional: in place of what anybody else asks of these projects
    targets: [cp312-manylinux_2_28_x86_64, targets/web01.json]    # names, and files that `wheelhouse probe` wrote
      # or {target: cp312-win_amd64, add: [pywin32], exclude: [uvloop]}: asked for there as well, not asked for there
    index: https://pypi.org/simple         # optional; or {url: …, user_variable: …, password_variable: …}
    indexes:                               # instead of index, where there are several; the first that has a project is the one for it
      - {name: ours, url: https://pypi.example.org/simple, projects: ["acme-*"]}     # these here and nowhere else, nothing else here
      - {name: vendor, folder: wheels}     # a folder of wheels; projects: as above
      - {name: pypi, url: https://pypi.org/simple}
    exclude-newer: 14 days                 # optional; or a date, 2026-11-01: no release that was uploaded since
    resolver: uv                           # optional; or pip-tools
    kind: catalogue                        # optional; or application: all requirements are one set; in a catalogue each is one, and
    keep: 3                                # so many of the newest releases of each project, by default 1, stand side by side
    sign: {key: ~/.config/wheelhouse/id_ed25519}     # optional
    channel: stable                        # optional: the line of bundles that this one belongs to, and
    sequence: 12                           # its number in that line; inside, none goes back to a lower one
    audience: [restricted-net]             # optional: whom it is meant for
    not-after: 2027-05-31T00:00:00Z        # optional: not to be installed later
    excused: {odd-project: why its malformed wheel may pass}     # optional
    files:                                 # optional: put into the environment inside, below its directory files
      - {path: systemd/acme.service, from: deploy/acme.service}     # mode: "0640", if it is not to be "0644"
    smoke: [acme --version]                # optional: commands of the environment that must succeed inside before it is used
    bytecode: true                         # optional: carry what is compiled, so that no host inside has to
    recipes: [recipes]                     # optional: folders of recipes, asked before those that come with wheelhouse
    build-roots: [/srv/roots/bullseye]     # optional: older systems to build in, for targets that are older than this host; OCI images, too
    no-binary: [pyyaml]                    # optional: projects that are built though they have wheels
    attestations: offered                  # optional: off, offered (what the index has must hold) or required; or by project,
      # {"*": offered, numpy: required, rfc8785: github.com/trailofbits/rfc8785.py}: required, and by that publisher; "*": all others

Which strings under ``requirements`` are files? Those that end in ``.txt``, ``.in`` or ``.toml``, and those that hold a ``/`` or ``\`` and
no ``@``, unless they name a folder. All others are requirements as PEP 508 has them. A string that could be both, because a file of exactly
that name lies beside the spec, is refused: guessing would send a file's name to the index as if it were a project.
"""

from __future__ import annotations

import re
import shlex
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from wheelhouse_builder.document import Page, instead, kind, listed
from wheelhouse_builder.errors import SpecError
from wheelhouse_builder.model.attestations import MODES, OFFERED, REQUIRED, Attestations, Demand
from wheelhouse_builder.model.extras import Extras, PlacedFile
from wheelhouse_builder.model.policy import Policy
from wheelhouse_builder.model.probed import read_probe
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.runtime import layout
from wheelhouse_builder.runtime.manifest import FILE_MODES

FILE_NAME = "wheelhouse.yaml"
DEFAULT_INDEX = "https://pypi.org/simple"
UV, PIP_TOOLS = RESOLVERS = ("uv", "pip-tools")
APPLICATION, CATALOGUE = KINDS = ("application", "catalogue")
MOST_KEPT = 100

POLICY_KEYS = ("channel", "sequence", "audience", "not-after")
KEYS = (
    "bundle",
    "version",
    "requirements",
    "locked",
    "constraints",
    "overrides",
    "targets",
    "index",
    "indexes",
    "exclude-newer",
    "resolver",
    "kind",
    "keep",
    "sign",
    *POLICY_KEYS,
    "excused",
    "recipes",
    "build-roots",
    "no-binary",
    "attestations",
    "files",
    "smoke",
    "bytecode",
)
REQUIRED_KEYS = {
    "bundle": "bundle: acme-web",
    "version": 'version: "2026.11"',
    "requirements": "requirements: [requirements.in]",
    "targets": "targets: [cp312-manylinux_2_28_x86_64]",
}
NO_CATALOGUE = {
    "overrides": "pip chooses from a catalogue by itself, and would not know them",
    "recipes": "a catalogue holds what was published as wheels, and nothing that is built",
    "no-binary": "a catalogue holds what was published as wheels, and nothing that is built",
}
"""Keys that have no meaning in a catalogue, and why."""
BESIDE_NO_LOCK = ("requirements", "constraints", "overrides", "kind", "keep", "no-binary")
TARGET_KEYS = ("target", "add", "exclude")
PYPROJECT_KEYS = ("pyproject", "extras", "groups")
CREDENTIAL_KEYS = ("user_variable", "password_variable")
INDEX_KEYS = ("url", *CREDENTIAL_KEYS)
INDEXES_KEYS = ("name", "url", "folder", "projects", *CREDENTIAL_KEYS)
SIGN_KEYS = ("key",)
FILES_KEYS = ("path", "from", "mode")

_FILE_SUFFIXES = (".txt", ".in", ".toml")
_PORTABLE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+-]{0,98}[A-Za-z0-9])?")
PROJECT_FILES = ("pyproject.toml", "setup.py")
"""One of them lies in each folder that is a project."""
_POLICY_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_PROJECT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_PUBLISHER = re.compile(r"(?:github\.com|gitlab\.com|circleci\.com|accounts\.google\.com)(?:/[^\s/]*)*/[^\s/]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HINT = "mend the lines named above; in another folder, `wheelhouse init` writes a spec whose comments tell what may stand there"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pyproject:
    """The dependencies of a ``pyproject.toml``, and those of some of its extras and dependency groups (PEP 621, PEP 735)."""

    path: Path
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """A project that lies in a folder, to be built."""

    path: Path
    line: int
    """Of the spec; the first is 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """Where distributions are found, and the names of the environment variables that hold the credentials for it."""

    url: str = DEFAULT_INDEX
    user_variable: str | None = None
    password_variable: str | None = None
    folder: bool = False
    """It is a folder of wheels; ``url`` is its file: URL."""
    projects: tuple[str, ...] = ()
    """Patterns of projects that are found here only, and beside which nothing is looked for here; none: anything may be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What is asked for on one target in another way than on the others."""

    add: tuple[Requirement, ...] = ()
    exclude: frozenset[NormalizedName] = frozenset()
    """Projects that the requirements name and that are not asked for there; where another project requires them, they come all the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """What to bundle, for which targets. All paths are absolute."""

    path: Path
    """Where it was read from."""
    name: str
    version: str
    requirement_files: tuple[Path, ...]
    requirements: tuple[Requirement, ...]
    """Those that were written into the spec itself."""
    pyprojects: tuple[Pyproject, ...]
    constraints: tuple[Path, ...]
    locked: Path | None
    """The lock of another tool, in place of requirements."""
    override_files: tuple[Path, ...]
    overrides: tuple[Requirement, ...]
    """Those that were written into the spec itself."""
    targets: tuple[Target, ...]
    """In the order in which they were written; no two alike."""
    changes: Mapping[str, Change]
    """By the name of the target; others have none."""
    indexes: tuple[Index, ...]
    """In order; one at least."""
    exclude_newer: str | None
    """A date, or an age such as ``14 days``."""
    resolver: str
    """One of :data:`RESOLVERS`. pip-tools answers for targets that uv has no name for, whatever this says."""
    key: Path | None
    """The private key to sign with; None: the default one."""
    projects: tuple[Folder, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    """Where those of :attr:`requirements` that have a URL stand; the first line is 1."""
    keep: int | None = None
    """Of a catalogue: how many of the newest releases of each project; None: this is none, but an application."""
    policy: Policy = field(default_factory=Policy)
    excused: Mapping[NormalizedName, str] = field(default_factory=dict)
    """Projects whose wheels may be malformed, each with the reason."""
    extras: Extras = field(default_factory=Extras)
    recipes: tuple[Path, ...] = ()
    """Folders of recipes, in order."""
    build_roots: tuple[Path, ...] = ()
    """Older systems to build in, in order."""
    no_binary: frozenset[NormalizedName] = frozenset()
    """Projects that are built though they have wheels."""
    attestations: Attestations = field(default_factory=Attestations)
    bytecode: bool = False
    """Whether the bundle carries bytecode for those targets whose Python this host has."""

    @property
    def folder(self) -> Path:
        """Where the spec, and so its locks, lie."""
        return self.path.parent


def read_spec(path: Path) -> Spec:
    """Read the spec at ``path``.

    Raises SpecError with every problem of the file, each with its line, its column and what would be right.
    """
    page = Page(path, hint=_HINT, missing="`wheelhouse init` writes one, or give the path of yours")
    top = page.mapping(page.top(), "", KEYS, _required(page.top()))
    written = {key: _SECTIONS[key](page, node) for key, node in top.items()}
    _refuse_contradictions(page, top, written)
    page.fail_if_bad()
    files, inline, pyprojects, projects = _sorted_out(written.get("requirements", ()))
    return Spec(
        path=path.absolute(),
        name=written["bundle"],
        version=written["version"],
        requirement_files=files,
        requirements=inline,
        pyprojects=pyprojects,
        projects=projects,
        lines=_lines(top.get("requirements")),
        constraints=tuple(written.get("constraints", ())),
        locked=written.get("locked"),
        override_files=tuple(each for each in written.get("overrides", ()) if isinstance(each, Path)),
        overrides=tuple(each for each in written.get("overrides", ()) if isinstance(each, Requirement)),
        targets=tuple(target for target, _ in written["targets"]),
        changes={target.name: change for target, change in written["targets"] if change is not None},
        indexes=written.get("indexes") or (written.get("index") or Index(),),
        exclude_newer=written.get("exclude-newer"),
        resolver=written.get("resolver") or UV,
        key=written.get("sign"),
        keep=(written.get("keep") or 1) if written.get("kind") == CATALOGUE else None,
        policy=Policy(
            channel=written.get("channel"),
            sequence=written.get("sequence"),
            audience=written.get("audience", frozenset()),
            not_after=written.get("not-after"),
        ),
        excused=written.get("excused", {}),
        extras=Extras(files=tuple(written.get("files", ())), smoke=tuple(written.get("smoke", ()))),
        recipes=written.get("recipes", ()),
        build_roots=written.get("build-roots", ()),
        no_binary=written.get("no-binary", frozenset()),
        attestations=written.get("attestations") or Attestations(),
        bytecode=bool(written.get("bytecode")),
    )


def _required(top: yaml.Node) -> Mapping[str, str]:
    """The keys that must be there: a lock stands in place of requirements."""
    keys = [key.value for key, _ in top.value if isinstance(key, yaml.ScalarNode)] if isinstance(top, yaml.MappingNode) else []
    return {key: example for key, example in REQUIRED_KEYS.items() if key != "requirements" or "locked" not in keys}


def _refuse_contradictions(page: Page, top: Mapping[str, yaml.Node], written: Mapping[str, Any]) -> None:
    """Tell of keys that have no meaning beside others, or without them."""
    if "sequence" in top and "channel" not in top:
        page.problem(top["sequence"], "sequence: counts within a channel: add 'channel: stable'")
    if "keep" in top and written.get("kind") != CATALOGUE:
        page.problem(top["keep"], "keep: counts the releases in a catalogue: add 'kind: catalogue'")
    if written.get("kind") == CATALOGUE:
        for key in (key for key in NO_CATALOGUE if key in top):
            page.problem(top[key], f"{key}: {NO_CATALOGUE[key]}: leave it out, or take an application")
    if "index" in top and "indexes" in top:
        page.problem(top["indexes"], "indexes: stands beside index: keep one of them")
    if "locked" in top:
        for key in (key for key in BESIDE_NO_LOCK if key in top):
            page.problem(top[key], f"{key}: the lock says it all, and nothing of it is changed: keep one of locked and {key}")
        if any(change is not None for _, change in written.get("targets", ())):
            page.problem(top["targets"], "targets: the lock says it all: nothing can be added for one target, or excluded")


def name_problem(text: str) -> str | None:
    """Why ``text`` cannot be part of the bundle's file name on every platform, or None."""
    if not _PORTABLE.fullmatch(text):
        return (
            f"{text!r} cannot be part of a file name everywhere: use letters, digits and . _ + - only,"
            " begin and end with a letter or digit, at most 100 characters"
        )
    problem = layout.path_problem(text)
    return f"{text!r} {problem}" if problem else None


def _name(page: Page, node: yaml.Node, where: str) -> str | None:
    text = page.string(node, where)
    problem = name_problem(text) if text is not None else None
    if problem:
        page.problem(node, f"{where}: {problem}")
    return text


def _bundle(page: Page, node: yaml.Node) -> str | None:
    return _name(page, node, "bundle")


def _version(page: Page, node: yaml.Node) -> str | None:
    return _name(page, node, "version")


def _requirements(page: Page, node: yaml.Node) -> list[Path | Requirement | Pyproject | Folder]:
    """What the list ``requirements`` asks for, in its order."""
    found = []
    for item, where in page.items(node, "requirements"):
        one = _pyproject(page, item, where) if isinstance(item, yaml.MappingNode) else _requirement(page, item, where)
        if one is not None:
            found.append(one)
    if isinstance(node, yaml.SequenceNode) and not node.value:
        page.problem(node, f"requirements: must not be empty: add '{REQUIRED_KEYS['requirements']}'")
    return found


def _requirement(page: Page, node: yaml.Node, where: str) -> Path | Requirement | Pyproject | Folder | None:
    """A string of the list: a file, or a requirement (the module's docstring says which is which)."""
    text = page.string(node, where)
    if text is None:
        return None
    if ("/" in text or "\\" in text) and "@" not in text and page.resolve(text).is_dir():
        return _project_folder(page, node, where, text)
    if _is_file_name(text):
        path = page.file(node, where, text)
        return Pyproject(path=path) if path.suffix == ".toml" else path
    if page.resolve(text).is_file():
        page.problem(node, f"{where}: {text!r} is a file here and could be a project of the index: write './{text}' for the file")
        return None
    return _inline(page, node, where, text)


def _project_folder(page: Page, node: yaml.Node, where: str, text: str) -> Folder:
    folder = page.resolve(text)
    if not any((folder / name).is_file() for name in PROJECT_FILES):
        page.problem(node, f"{where}: {folder} holds no project: neither {' nor '.join(PROJECT_FILES)} is there")
    return Folder(path=folder, line=node.start_mark.line + 1)


def _lines(node: yaml.Node | None) -> dict[str, int]:
    """The line of each requirement with a URL, in a list that was found to be good."""
    items = node.value if isinstance(node, yaml.SequenceNode) else []
    named = [item for item in items if isinstance(item, yaml.ScalarNode) and "@" in item.value and not item.value.endswith(_FILE_SUFFIXES)]
    return {str(Requirement(item.value)): item.start_mark.line + 1 for item in named}


def _is_file_name(text: str) -> bool:
    return text.endswith(_FILE_SUFFIXES) or (("/" in text or "\\" in text) and "@" not in text)


def _inline(page: Page, node: yaml.Node, where: str, text: str) -> Requirement | None:
    if text.startswith("-"):
        page.problem(node, f"{where}: {text!r} is an option of pip: give the file's path alone, or put the line into a requirements file")
        return None
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        page.problem(node, f"{where}: {text!r} is not a requirement: {reason}; right would be 'fastapi[standard]>=0.110'")
        return None


def _pyproject(page: Page, node: yaml.Node, where: str) -> Pyproject | None:
    """A ``pyproject.toml``, whose extras and groups must be in it."""
    values = page.mapping(node, where, PYPROJECT_KEYS, {"pyproject": "pyproject: pyproject.toml"})
    text = page.string(values["pyproject"], f"{where}.pyproject") if "pyproject" in values else None
    if text is None:
        return None
    path = page.file(values["pyproject"], f"{where}.pyproject", text)
    document = _toml(page, values["pyproject"], f"{where}.pyproject", path)
    chosen = {}
    for key, table in (("extras", _dig(document, "project", "optional-dependencies")), ("groups", _dig(document, "dependency-groups"))):
        names = page.strings(values[key], f"{where}.{key}") if key in values else ()
        chosen[key] = tuple(_named(page, names, table, f"{key} of {path}"))
    return Pyproject(path=path, extras=chosen["extras"], groups=chosen["groups"])


def _named(page: Page, names: Iterable[tuple[yaml.Node, str, str]], table: dict[str, Any] | None, what: str) -> Iterator[str]:
    """Those of ``names`` that ``table`` holds; others are problems, unless the table could not be read at all."""
    known = {canonicalize_name(key): key for key in table or ()}
    for node, where, text in names:
        if table is not None and canonicalize_name(text) not in known:
            page.problem(node, f"{where}: {text!r} is not among the {what}{instead(text, tuple(known.values()))}")
        yield text


def _toml(page: Page, node: yaml.Node, where: str, path: Path) -> dict[str, Any] | None:
    """The TOML document at ``path``; one that is not TOML is a problem, one that is not there already was one."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        page.problem(node, f"{where}: {path} is not TOML: {error}")
    except OSError:
        pass
    return None


def _dig(document: dict[str, Any] | None, *keys: str) -> dict[str, Any] | None:
    """A table within ``document``, empty where it is missing; None when there is no document."""
    if document is None:
        return None
    table: Any = document
    for key in keys:
        table = table.get(key, {}) if isinstance(table, dict) else {}
    return table if isinstance(table, dict) else {}


def _constraints(page: Page, node: yaml.Node) -> list[Path]:
    return [page.file(item, where, text) for item, where, text in page.strings(node, "constraints")]


def _locked(page: Page, node: yaml.Node) -> Path | None:
    text = page.string(node, "locked")
    if text is None:
        return None
    path = page.file(node, "locked", text)
    if path.suffix not in (".toml", ".txt"):
        page.problem(
            node, f"locked: {path.name} is no lock that is read here: export it as pylock.toml, or as requirements.txt with hashes"
        )
    return path


def _overrides(page: Page, node: yaml.Node) -> list[Path | Requirement]:
    """Files and requirements, told apart as under ``requirements``."""
    found = [(_requirement(page, item, where), item, where) for item, where in page.items(node, "overrides")]
    for one, item, where in found:
        if isinstance(one, Pyproject | Folder):
            what = "a pyproject.toml" if isinstance(one, Pyproject) else "a folder"
            page.problem(item, f"{where}: must be a requirements file or a requirement, not {what}")
    return [one for one, _, _ in found if isinstance(one, Path | Requirement)]


def _targets(page: Page, node: yaml.Node) -> list[tuple[Target, Change | None]]:
    """The targets, each once, with what is asked for on them alone."""
    found: dict[str, tuple[Target, Change | None, int]] = {}
    for item, where in page.items(node, "targets"):
        target, change = _changed_target(page, item, where) if isinstance(item, yaml.MappingNode) else (_target(page, item, where), None)
        if target is None:
            continue
        if target.name in found:
            page.problem(
                item, f"{where}: {target.name} stands here again, it was already given in line {found[target.name][2]}: keep one of them"
            )
        else:
            found[target.name] = (target, change, item.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode) and not node.value:
        page.problem(node, f"targets: must not be empty: add '{REQUIRED_KEYS['targets']}'")
    return [(target, change) for target, change, _ in found.values()]


def _changed_target(page: Page, node: yaml.Node, where: str) -> tuple[Target | None, Change]:
    """A target on which something else is asked for."""
    values = page.mapping(node, where, TARGET_KEYS, {"target": "target: cp312-win_amd64"})
    target = _target(page, values["target"], f"{where}.target") if "target" in values else None
    texts = page.strings(values["add"], f"{where}.add") if "add" in values else ()
    added = [_inline(page, item, address, text) for item, address, text in texts]
    excluded = [_project(page, *each) for each in page.strings(values["exclude"], f"{where}.exclude")] if "exclude" in values else []
    return target, Change(add=tuple(one for one in added if one is not None), exclude=frozenset(excluded))


def _project(page: Page, node: yaml.Node, where: str, text: str) -> NormalizedName:
    if not _PROJECT.fullmatch(text):
        page.problem(node, f"{where}: {text!r} is not the name of a project: right would be 'uvloop', without a version")
    return canonicalize_name(text)


def _target(page: Page, node: yaml.Node, where: str) -> Target | None:
    """A target by its name, or a host that was probed by its file."""
    text = page.string(node, where)
    if text is None:
        return None
    try:
        if text.endswith(".json"):
            path = page.file(node, where, text)
            return read_probe(path) if path.is_file() else None
        return Target.parse(text)
    except SpecError as error:
        page.problem(node, f"{where}: {'; '.join(error.problems)}")
        return None


def _index(page: Page, node: yaml.Node) -> Index | None:
    """The index: a URL, or a mapping when it asks for a user and a password."""
    if not isinstance(node, yaml.MappingNode):
        url = page.string(node, "index")
        return Index(url=_url(page, node, "index", url)) if url is not None else None
    values = page.mapping(node, "index", INDEX_KEYS, {"url": f"url: {DEFAULT_INDEX}"})
    url = page.string(values["url"], "index.url") if "url" in values else None
    variables = {key: _variable(page, values[key], f"index.{key}") for key in CREDENTIAL_KEYS if key in values}
    if len(variables) == 1:
        page.problem(node, f"index: {listed(CREDENTIAL_KEYS)} come together: add the other one")
    user, password = (variables.get(key) for key in CREDENTIAL_KEYS)
    return Index(url=_url(page, values["url"], "index.url", url), user_variable=user, password_variable=password) if url else None


def _indexes(page: Page, node: yaml.Node) -> tuple[Index, ...]:
    """Several indexes, in order."""
    names: set[str] = set()
    found = []
    for item, where in page.items(node, "indexes"):
        values = page.mapping(item, where, INDEXES_KEYS, {"name": "name: ours"})
        name = page.string(values["name"], f"{where}.name") if "name" in values else None
        if name in names:
            page.problem(values["name"], f"{where}.name: {name!r} stands here again: give each index a name of its own")
        names |= {name} if name else set()
        found.append(_one_of_several(page, item, where, values))
    if isinstance(node, yaml.SequenceNode) and not node.value:
        page.problem(node, f"indexes: must not be empty: add '- {{name: pypi, url: {DEFAULT_INDEX}}}'")
    return tuple(found)


def _one_of_several(page: Page, node: yaml.Node, where: str, values: Mapping[str, yaml.Node]) -> Index:
    if ("url" in values) == ("folder" in values):
        page.problem(node, f"{where}: wants one of url and folder: add 'url: {DEFAULT_INDEX}' or 'folder: wheels'")
    texts = {key: page.string(values[key], f"{where}.{key}") or "" for key in ("url", "folder") if key in values}
    url = _url(page, values["url"], f"{where}.url", texts["url"]) if texts.get("url") else ""
    if texts.get("folder"):
        path = page.resolve(texts["folder"]).absolute()
        url = path.as_uri()
        if not path.is_dir():
            page.problem(values["folder"], f"{where}.folder: there is no folder {path}")
    variables = {key: _variable(page, values[key], f"{where}.{key}") for key in CREDENTIAL_KEYS if key in values}
    if len(variables) == 1:
        page.problem(node, f"{where}: {listed(CREDENTIAL_KEYS)} come together: add the other one")
    patterns = tuple(text for _, _, text in page.strings(values["projects"], f"{where}.projects")) if "projects" in values else ()
    user, password = (variables.get(key) for key in CREDENTIAL_KEYS)
    return Index(url=url, folder="folder" in texts, projects=patterns, user_variable=user, password_variable=password)


def _exclude_newer(page: Page, node: yaml.Node) -> str | None:
    """A date or an age. YAML takes a bare date for one, which here is as good as a string."""
    text = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    try:
        newest_upload(text, datetime.now(UTC))
    except ValueError:
        page.problem(node, "exclude-newer: must be a date or an age: 2026-11-01, 2026-11-01T12:00:00Z, 14 days, 2 weeks")
        return None
    return text


def newest_upload(text: str, now: datetime) -> datetime:
    """The moment from which on uploads do not count. Raises ValueError for what is neither a date nor an age."""
    if match := re.fullmatch(r"(\d{1,4}) (hour|day|week)s?", text.strip()):
        return now - timedelta(**{f"{match[2]}s": int(match[1])})
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _url(page: Page, node: yaml.Node, where: str, text: str) -> str:
    """A URL without credentials: neither the spec nor an error message of it is a place for a secret."""
    parts = urlsplit(text)
    if parts.scheme not in {"https", "http", "file"} or (parts.scheme != "file" and not parts.hostname):
        page.problem(node, f"{where}: must be a URL such as {DEFAULT_INDEX}")
    elif "@" in parts.netloc:
        page.problem(
            node,
            f"{where}: must not hold credentials: name environment variables with"
            " {url: …, user_variable: …, password_variable: …}, or use ~/.netrc",
        )
    return text.rstrip("/")


def _variable(page: Page, node: yaml.Node, where: str) -> str | None:
    text = page.string(node, where)
    if text is not None and not _VARIABLE.fullmatch(text):
        page.problem(node, f"{where}: must be the name of an environment variable, such as INDEX_PASSWORD, never the secret itself")
    return text


def _resolver(page: Page, node: yaml.Node) -> str | None:
    text = page.string(node, "resolver")
    if text is not None and text not in RESOLVERS:
        page.problem(node, f"resolver: there is no {text!r}{instead(text, RESOLVERS)}")
    return text


def _kind(page: Page, node: yaml.Node) -> str | None:
    text = page.string(node, "kind")
    if text is not None and text not in KINDS:
        page.problem(node, f"kind: there is no {text!r}{instead(text, KINDS)}")
    return text


def _keep(page: Page, node: yaml.Node) -> int | None:
    return _whole_number(page, node, "keep", first=1, last=MOST_KEPT, example=3)


def _sign(page: Page, node: yaml.Node) -> Path | None:
    """The private key. It may come into being after the spec, so that it is missing is told later."""
    values = page.mapping(node, "sign", SIGN_KEYS, {"key": "key: ~/.config/wheelhouse/id_ed25519"})
    text = page.string(values["key"], "sign.key") if "key" in values else None
    return page.resolve(text) if text is not None else None


def _channel(page: Page, node: yaml.Node) -> str | None:
    return _policy_name(page, node, "channel")


def _audience(page: Page, node: yaml.Node) -> frozenset[str]:
    return frozenset(name for item, where in page.items(node, "audience") if (name := _policy_name(page, item, where)) is not None)


def _policy_name(page: Page, node: yaml.Node, where: str) -> str | None:
    text = page.string(node, where)
    if text is not None and not _POLICY_NAME.fullmatch(text):
        page.problem(node, f"{where}: must be a name of letters, digits and . _ - such as 'stable', not {text!r}")
    return text


def _sequence(page: Page, node: yaml.Node) -> int | None:
    return _whole_number(page, node, "sequence", first=0, last=layout.MAX_SIZE, example=12)


def _whole_number(page: Page, node: yaml.Node, where: str, *, first: int, last: int, example: int) -> int | None:
    """A number as people write one: YAML's octals, underscores and signs are left out."""
    text = node.value if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:int" else ""
    if re.fullmatch(r"0|[1-9][0-9]{0,18}", text) and first <= int(text) <= last:
        return int(text)
    page.problem(node, f"{where}: must be a whole number from {first} to {last}, such as {example}")
    return None


def _not_after(page: Page, node: yaml.Node) -> datetime | None:
    """A time of UTC. A date alone is refused: whether its own day still counts is a question that nobody should have to ask."""
    text = node.value if isinstance(node, yaml.ScalarNode) else ""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        page.problem(node, "not-after: must be a time of UTC such as 2027-05-31T00:00:00Z")
        return None


def _excused(page: Page, node: yaml.Node) -> dict[NormalizedName, str]:
    """Projects, each with a reason; no project twice, however it is spelled."""
    if not isinstance(node, yaml.MappingNode):
        page.problem(node, f"excused: must be a mapping of projects to reasons, such as {{odd-project: why it may pass}}, not {kind(node)}")
        return {}
    found: dict[NormalizedName, str] = {}
    for key, value in node.value:
        name = page.string(key, "excused")
        reason = page.string(value, f"excused.{name}")
        if name is None or reason is None:
            continue
        if not _PROJECT.fullmatch(name):
            page.problem(key, f"excused: {name!r} is not the name of a project")
        elif canonicalize_name(name) in found:
            page.problem(key, f"excused: {name!r} stands here again: keep one of them")
        elif not reason.isprintable():
            page.problem(value, f"excused.{name}: must be one line of text")
        found[canonicalize_name(name)] = unicodedata.normalize("NFC", reason.strip())
    return found


def _recipes(page: Page, node: yaml.Node) -> tuple[Path, ...]:
    return _paths(page, node, "recipes", Path.is_dir, "no folder")


def _build_roots(page: Page, node: yaml.Node) -> tuple[Path, ...]:
    return _paths(page, node, "build-roots", Path.exists, "no folder or image")


def _paths(page: Page, node: yaml.Node, key: str, fits: Callable[[Path], bool], none: str) -> tuple[Path, ...]:
    paths = []
    for item, where, text in page.strings(node, key):
        paths.append(page.resolve(text))
        if not fits(paths[-1]):
            page.problem(item, f"{where}: there is {none} {paths[-1]}")
    return tuple(paths)


def _no_binary(page: Page, node: yaml.Node) -> frozenset[NormalizedName]:
    return frozenset(_project(page, *each) for each in page.strings(node, "no-binary"))


def _attestations(page: Page, node: yaml.Node) -> Attestations:
    """What is asked of all projects, or of each one that is named and of all others."""
    if not isinstance(node, yaml.MappingNode):
        return Attestations(others=_demand(page, node, "attestations"))
    found: dict[str, Demand] = {}
    for key, value in node.value:
        name = page.string(key, "attestations")
        if name is None:
            continue
        if name != "*" and not _PROJECT.fullmatch(name):
            page.problem(key, f"attestations: {name!r} is not the name of a project")
        elif canonicalize_name(name) in found:
            page.problem(key, f"attestations: {name!r} stands here again: keep one of them")
        found[canonicalize_name(name)] = _demand(page, value, f"attestations.{name}")
    others = found.pop("*", Demand(mode=OFFERED))
    return Attestations(others=others, projects={canonicalize_name(name): demand for name, demand in found.items()})


def _demand(page: Page, node: yaml.Node, where: str) -> Demand:
    """A mode, or a publisher. YAML takes a bare ``off`` for false, which here is as good as a string."""
    text = node.value if isinstance(node, yaml.ScalarNode) else ""
    if text in MODES:
        return Demand(mode=text)
    if not _PUBLISHER.fullmatch(text):
        page.problem(
            node, f"{where}: must be {listed(MODES)} or a publisher such as github.com/OWNER/REPOSITORY, not {text or kind(node)!r}"
        )
    return Demand(mode=REQUIRED, publisher=text)


def _files(page: Page, node: yaml.Node) -> list[PlacedFile]:
    """The files to place, each path once, also where case does not count."""
    found: list[PlacedFile] = []
    for item, where in page.items(node, "files"):
        values = page.mapping(item, where, FILES_KEYS, {"path": "path: systemd/acme.service", "from": "from: deploy/acme.service"})
        texts = {key: page.string(value, f"{where}.{key}") or "" for key, value in values.items()}
        if not texts.get("path") or not texts.get("from"):
            continue
        path, mode = texts["path"], texts.get("mode", "0644")
        problem = layout.path_problem(path)
        if problem or layout.paths_problem([path, *(each.path for each in found)]):
            page.problem(values["path"], f"{where}.path: {path!r} {problem or 'stands here again'}")
        if mode not in FILE_MODES:
            page.problem(values["mode"], f"{where}.mode: must be one of {listed(FILE_MODES)}, in quotes, not {mode!r}")
        found.append(PlacedFile(path=path, source=page.file(values["from"], f"{where}.from", texts["from"]), mode=mode))
    return found


def _smoke(page: Page, node: yaml.Node) -> list[tuple[str, ...]]:
    """Commands as a shell would take them apart; no shell runs them."""
    found = []
    for item, where, text in page.strings(node, "smoke"):
        try:
            words = shlex.split(text)
        except ValueError as error:
            page.problem(item, f"{where}: {text!r} is no command: {error}")
            continue
        if not words or layout.path_problem(words[0]) or "/" in words[0] or not text.isprintable():
            page.problem(item, f"{where}: must begin with the name of a script of the environment, or python: 'acme --version'")
        found.append(tuple(unicodedata.normalize("NFC", word) for word in words))
    return found


def _bytecode(page: Page, node: yaml.Node) -> bool:
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:bool":
        return node.value.lower() in ("true", "yes", "on")
    page.problem(node, "bytecode: must be true or false")
    return False


_SECTIONS: dict[str, Callable[[Page, yaml.Node], Any]] = {
    "bundle": _bundle,
    "version": _version,
    "requirements": _requirements,
    "locked": _locked,
    "constraints": _constraints,
    "overrides": _overrides,
    "targets": _targets,
    "index": _index,
    "indexes": _indexes,
    "exclude-newer": _exclude_newer,
    "resolver": _resolver,
    "kind": _kind,
    "keep": _keep,
    "sign": _sign,
    "channel": _channel,
    "sequence": _sequence,
    "audience": _audience,
    "not-after": _not_after,
    "excused": _excused,
    "files": _files,
    "smoke": _smoke,
    "bytecode": _bytecode,
    "recipes": _recipes,
    "build-roots": _build_roots,
    "no-binary": _no_binary,
    "attestations": _attestations,
}


def _sorted_out(
    written: Iterable[Path | Requirement | Pyproject | Folder],
) -> tuple[tuple[Path, ...], tuple[Requirement, ...], tuple[Pyproject, ...], tuple[Folder, ...]]:
    files: list[Path] = []
    inline: list[Requirement] = []
    pyprojects: list[Pyproject] = []
    projects: list[Folder] = []
    for one in written:
        match one:
            case Path():
                files.append(one)
            case Requirement():
                inline.append(one)
            case Pyproject():
                pyprojects.append(one)
            case Folder():
                projects.append(one)
    return tuple(files), tuple(inline), tuple(pyprojects), tuple(projects)
