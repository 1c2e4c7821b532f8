r"""Recipes: how one project's sdist becomes a portable, tested wheel. ``recipes/*.yaml`` as frozen values.

::

    project: mysqlclient
    versions: ">=2.1"                      # optional: the releases that it serves
    pure: true                             # optional: no compiled code, so one wheel serves every target of its Python or all of them
    toolchain: native                      # optional: native, zig or root; left out, the target decides
    environment: {PYYAML_FORCE_LIBYAML: "1"}         # optional, as the rest
    build-requirements: [cython<3.1]       # beside those of the project's own pyproject.toml
    config-settings: {--global-option: --with-libyaml}
    system-packages:                       # by distribution, as /etc/os-release calls it; checked, never installed
      debian: [default-libmysqlclient-dev, pkg-config]
    libraries:                             # C libraries, built from source before the project where the system's are not to be used
      - {name: libyaml, url: "https://…/yaml-0.2.5.tar.gz", sha256: …, commands: ["./configure --prefix=$PREFIX", "make install"]}
                                           # and mirrors: [URL, …], where the same file may be when it is gone there
    patches: [fix-build.patch]             # beside the recipe, applied with -p1, in this order
    has-extension: true                    # the wheel must hold compiled code: some projects swallow the compiler's errors
    forbidden-rpaths: [/opt]
    exclude: [libGL.so.1]                  # libraries that the target has itself
    test:                                  # of the finished wheel, without a network and without the libraries that it was built with
      imports: [MySQLdb]
      services:                            # each started before the commands, ended after them
        - {name: mariadb, packages: {debian: [mariadb-server]}, prepare: […], start: …, ready: …}
      commands: ["python -c 'import MySQLdb'"]

Commands are lines for ``sh -c``, run in a folder of their own.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from wheelhouse_builder.document import Page, instead, kind
from wheelhouse_builder.model.distribution import LockedSdist
from wheelhouse_builder.model.target import Target
from wheelhouse_builder.sdist import SdistFacts

NATIVE, ZIG, ROOT = TOOLCHAINS = ("native", "zig", "root")
REQUIRED = {"project": "project: mysqlclient"}
LIBRARY_KEYS = ("name", "url", "sha256", "commands")
TEST_KEYS = ("imports", "services", "commands")
SERVICE_KEYS = ("name", "packages", "prepare", "start", "ready")
_HINT = "mend the lines named above; `wheelhouse recipe show docopt` prints a whole one"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_BOOLEANS = {"true": True, "false": False}
SUFFIX = ".yaml"
PURE_PYTHON = "cp311"
BUILD_PLATFORM = "manylinux_2_28"
"""What hosts that build have at least, so that a lock asks for the same build requirements on each of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """A C library that is built from source before the project."""

    name: str
    url: str
    sha256: str
    commands: tuple[str, ...]
    """Run in its unpacked source; ``$PREFIX`` is where it is to be installed."""
    mirrors: tuple[str, ...] = ()
    """Where else its source archive may be: in order, when it cannot be had from ``url``."""

    @property
    def filename(self) -> str:
        """Of its source archive."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A program that a test talks to."""

    name: str
    packages: Mapping[str, tuple[str, ...]]
    """System packages by distribution."""
    prepare: tuple[str, ...]
    start: str
    """Runs until it is ended."""
    ready: str
    """Succeeds as soon as the service answers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What proves that a wheel works."""

    imports: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How to build, repair and test the releases of one project. All paths are absolute."""

    path: Path
    project: NormalizedName
    versions: SpecifierSet
    pure: bool = False
    toolchain: str | None = None
    """One of :data:`TOOLCHAINS`; None: whatever the target needs."""
    environment: Mapping[str, str] = field(default_factory=dict)
    build_requirements: tuple[Requirement, ...] = ()
    config_settings: Mapping[str, str] = field(default_factory=dict)
    system_packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    libraries: tuple[Library, ...] = ()
    patches: tuple[Path, ...] = ()
    has_extension: bool = False
    forbidden_rpaths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    test: Proof = field(default_factory=Proof)
    lines: Mapping[str, int] = field(default_factory=dict)
    """Where in the file each key that is there stands; the first line is 1."""

    @property
    def name(self) -> str:
        """Of the file, without its suffix."""
        return self.path.stem

    def serves(self, version: Version) -> bool:
        """Whether it builds this release."""
        return self.versions.contains(version, prereleases=True)

    def where(self, key: str) -> str:
        """The file, and the line of ``key`` if it is there."""
        return f"{self.path}:{self.lines[key]}" if key in self.lines else str(self.path)

    @property
    def digest(self) -> str:
        """SHA-256 over everything that changes the wheel: what it says, but for its test, and its patches."""
        said = {
            "project": self.project,
            "pure": self.pure,
            "toolchain": self.toolchain,
            "environment": dict(self.environment),
            "build-requirements": list(map(str, self.build_requirements)),
            "config-settings": dict(self.config_settings),
            "system-packages": {key: list(names) for key, names in self.system_packages.items()},
            "libraries": [[each.name, each.sha256, *each.commands] for each in self.libraries],
            "patches": [hashlib.sha256(path.read_bytes()).hexdigest() for path in self.patches],
            "has-extension": self.has_extension,
            "forbidden-rpaths": list(self.forbidden_rpaths),
            "exclude": list(self.exclude),
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


class Cookbook:
    """Recipes by project. Of several that serve one release the first counts: those of the spec's folders stand before those shipped."""

    def __init__(self, recipes: Iterable[Recipe]) -> None:
        self._recipes: dict[NormalizedName, list[Recipe]] = {}
        for recipe in recipes:
            self._recipes.setdefault(recipe.project, []).append(recipe)

    @classmethod
    def of(cls, folders: Iterable[Path] = ()) -> Cookbook:
        """The recipes of ``folders``, then those that come with wheelhouse. Raises SpecError with every problem of the first bad one."""
        return cls(recipe for folder in (*folders, shipped()) for recipe in recipes_in(folder))

    def __iter__(self) -> Iterator[Recipe]:
        for project in sorted(self._recipes):
            yield from self._recipes[project]

    def has(self, project: NormalizedName) -> bool:
        """Whether some release of ``project`` can be built."""
        return project in self._recipes

    def find(self, project: NormalizedName, version: Version) -> Recipe | None:
        """Who builds this release."""
        return next((recipe for recipe in self._recipes.get(project, ()) if recipe.serves(version)), None)

    def builder(self, sdist: LockedSdist, facts: SdistFacts) -> Recipe | None:
        """Who builds this sdist: what the user named is built without a recipe, too."""
        found = self.find(sdist.project, sdist.version)
        return found or (_plain(sdist.project, facts) if sdist.named else None)


def _plain(project: NormalizedName, facts: SdistFacts) -> Recipe:
    """The recipe of a project that has none: built as it is."""
    return Recipe(path=Path("default"), project=project, versions=SpecifierSet(), pure=not facts.compiles)


def shipped() -> Path:
    """The folder of the recipes that come with wheelhouse: in an installation within the package, in a checkout beside it."""
    package = Path(__file__).parent
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def recipes_in(folder: Path) -> tuple[Recipe, ...]:
    """The recipes that lie in ``folder``, by name. Raises SpecError."""
    return tuple(read_recipe(path) for path in sorted(folder.glob(f"*{SUFFIX}")))


def read_recipe(path: Path) -> Recipe:
    """Read the recipe at ``path``. Raises SpecError with every problem of the file, each with its line and column."""
    page = Page(path, hint=_HINT, missing="name the recipe's file")
    top = page.mapping(page.top(), "", tuple(_SECTIONS), REQUIRED)
    written = {key.replace("-", "_"): _SECTIONS[key](page, node, key) for key, node in top.items()}
    page.fail_if_bad()
    lines = {key: node.start_mark.line + 1 for key, node in top.items()}
    return Recipe(path=path.absolute(), lines=lines, **{"versions": SpecifierSet(), **written})


def _string(page: Page, node: yaml.Node, where: str) -> str:
    return page.string(node, where) or ""


def _folder(page: Page, values: Mapping[str, yaml.Node], where: str) -> str:
    """The name of something that is given a folder of its own."""
    text = _string(page, values["name"], f"{where}.name") if "name" in values else ""
    if text and not _FOLDER.fullmatch(text):
        page.problem(values["name"], f"{where}.name: {text!r} names no folder: letters, digits, '.', '_' and '-' do")
    return text


def _project(page: Page, node: yaml.Node, where: str) -> NormalizedName:
    return canonicalize_name(_string(page, node, where))


def _versions(page: Page, node: yaml.Node, where: str) -> SpecifierSet:
    text = _string(page, node, where)
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        page.problem(node, f"{where}: {text!r} is not a version specifier: right would be '>=2.1'")
        return SpecifierSet()


def _boolean(page: Page, node: yaml.Node, where: str) -> bool:
    found = _BOOLEANS.get(node.value) if isinstance(node, yaml.ScalarNode) else None
    if found is None:
        page.problem(node, f"{where}: must be true or false, not {kind(node)}")
    return bool(found)


def _toolchain(page: Page, node: yaml.Node, where: str) -> str:
    text = _string(page, node, where)
    if text and text not in TOOLCHAINS:
        page.problem(node, f"{where}: there is no {text!r}{instead(text, TOOLCHAINS)}")
    return text


def _strings(page: Page, node: yaml.Node, where: str) -> tuple[str, ...]:
    return tuple(text for _, _, text in page.strings(node, where))


def _table(page: Page, node: yaml.Node, where: str) -> Iterator[tuple[yaml.Node, str, yaml.Node]]:
    """Keys and values of a mapping that may have any key, none twice."""
    if not isinstance(node, yaml.MappingNode):
        page.problem(node, f"{where}: must be a mapping, not {kind(node)}")
        return
    seen: set[str] = set()
    for key, value in node.value:
        name = page.string(key, where)
        if name in seen:
            page.problem(key, f"{where}: {name!r} stands here again: keep one of them")
        elif name is not None:
            seen.add(name)
            yield key, name, value


def _texts(page: Page, node: yaml.Node, where: str) -> dict[str, str]:
    return {name: _string(page, value, f"{where}.{name}") for _, name, value in _table(page, node, where)}


def _environment(page: Page, node: yaml.Node, where: str) -> dict[str, str]:
    for key, name, _ in _table(page, node, where):
        if not _VARIABLE.fullmatch(name):
            page.problem(key, f"{where}: {name!r} is not the name of an environment variable")
    return _texts(page, node, where)


def _by_distribution(page: Page, node: yaml.Node, where: str) -> dict[str, tuple[str, ...]]:
    return {name: _strings(page, value, f"{where}.{name}") for _, name, value in _table(page, node, where)}


def _requirements(page: Page, node: yaml.Node, where: str) -> tuple[Requirement, ...]:
    found = []
    for item, address, text in page.strings(node, where):
        try:
            found.append(Requirement(text))
        except InvalidRequirement:
            page.problem(item, f"{address}: {text!r} is not a requirement: right would be 'cython<3.1'")
    return tuple(found)


def _patches(page: Page, node: yaml.Node, where: str) -> tuple[Path, ...]:
    return tuple(page.file(item, address, text) for item, address, text in page.strings(node, where))


def _libraries(page: Page, node: yaml.Node, where: str) -> tuple[Library, ...]:
    found = []
    for item, address in page.items(node, where):
        examples = {key: f"{key}: …" for key in LIBRARY_KEYS}
        values = page.mapping(item, address, (*LIBRARY_KEYS, "mirrors"), examples)
        texts = {key: _string(page, values[key], f"{address}.{key}") if key in values else "" for key in ("url", "sha256")}
        mirrors = tuple(page.strings(values["mirrors"], f"{address}.mirrors")) if "mirrors" in values else ()
        urls = [(values["url"], f"{address}.url", texts["url"]), *mirrors] if texts["url"] else mirrors
        for place, key, url in urls:
            if not url.startswith(("https://", "file:///")):
                page.problem(place, f"{key}: must begin with https:// or file:///")
        if texts["sha256"] and not _SHA256.fullmatch(texts["sha256"]):
            page.problem(values["sha256"], f"{address}.sha256: must be 64 lower-case hexadecimal digits")
        commands = _strings(page, values["commands"], f"{address}.commands") if "commands" in values else ()
        name, elsewhere = _folder(page, values, address), tuple(url for _, _, url in mirrors)
        found.append(Library(name=name, url=texts["url"], sha256=texts["sha256"], commands=commands, mirrors=elsewhere))
    return tuple(found)


def _test(page: Page, node: yaml.Node, where: str) -> Proof:
    values = page.mapping(node, where, TEST_KEYS, {})
    readers: Mapping[str, Callable[[Page, yaml.Node, str], Any]] = {
        "imports": _imports,
        "services": _services,
        "commands": _strings,
    }
    return Proof(**{key: readers[key](page, value, f"{where}.{key}") for key, value in values.items()})


def _imports(page: Page, node: yaml.Node, where: str) -> tuple[str, ...]:
    for item, address, text in page.strings(node, where):
        if not _MODULE.fullmatch(text):
            page.problem(item, f"{address}: {text!r} is not the name of a module")
    return _strings(page, node, where)


def _services(page: Page, node: yaml.Node, where: str) -> tuple[Service, ...]:
    found = []
    for item, address in page.items(node, where):
        values = page.mapping(item, address, SERVICE_KEYS, {"name": "name: mariadb", "start": "start: …", "ready": "ready: …"})
        texts = {key: _string(page, values[key], f"{address}.{key}") if key in values else "" for key in ("start", "ready")}
        packages = _by_distribution(page, values["packages"], f"{address}.packages") if "packages" in values else {}
        prepare = _strings(page, values["prepare"], f"{address}.prepare") if "prepare" in values else ()
        found.append(Service(name=_folder(page, values, address), packages=packages, prepare=prepare, **texts))
    return tuple(found)


_SECTIONS: Mapping[str, Callable[[Page, yaml.Node, str], Any]] = {
    "project": _project,
    "versions": _versions,
    "pure": _boolean,
    "toolchain": _toolchain,
    "environment": _environment,
    "build-requirements": _requirements,
    "config-settings": _texts,
    "system-packages": _by_distribution,
    "libraries": _libraries,
    "patches": _patches,
    "has-extension": _boolean,
    "forbidden-rpaths": _strings,
    "exclude": _strings,
    "test": _test,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildQuestion:
    """What must be installed where an sdist is built."""

    requirements: tuple[Requirement, ...]
    """The project's own, then the recipe's."""
    target: Target
    """The Python that builds."""
    digest: str
    """Identity of the question."""


def build_question(recipe: Recipe, sha256: str, facts: SdistFacts, target: Target) -> BuildQuestion:
    """What building the sdist with this digest for ``target`` requires. It runs on this host, also for a target of another machine."""
    requirements = (*facts.build_requires, *recipe.build_requirements)
    builder = build_target(recipe, target)
    said = json.dumps([sha256, *map(str, requirements), builder.name])
    return BuildQuestion(requirements=requirements, target=builder, digest=hashlib.sha256(said.encode()).hexdigest())


def build_target(recipe: Recipe, target: Target) -> Target:
    """The Python that builds for ``target``, on a host of this machine: the same; where nothing is compiled, the oldest that runs us."""
    return building_python(PURE_PYTHON if recipe.pure else target.name.partition("-")[0])


def building_python(python: str) -> Target:
    """A Python, as ``cp312``, on hosts of this machine that build."""
    return Target.parse(f"{python}-{BUILD_PLATFORM}_{platform.machine()}")


def write_down(project: str) -> Sequence[str]:
    """The shortest recipe that could serve ``project``, line by line."""
    return (f"project: {project}", "has-extension: true", f"test: {{imports: [{project.replace('-', '_')}]}}")
