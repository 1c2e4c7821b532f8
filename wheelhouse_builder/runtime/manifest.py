"""The manifest: the signed document that names all that a bundle holds (FORMAT.md section 5).

It is parsed as a whole or refused: one possible encoding, no key unknown or missing, nothing named that is not there. Each
problem carries an address, as ``distributions[3].sha256``.
"""

import hashlib
import json
import re
import time
import unicodedata
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from .attested import PREDICATES, Attested
from .built import BuiltBy, Graft, ManifestBuilt, Material, Need, Repair, Toolchain
from .errors import BundleRefused
from .layout import (
    CHUNK_SIZE,
    FORMAT,
    LOCK_FILES,
    MAIN,
    MAX_ATTESTATIONS,
    MAX_MANIFEST_SIZE,
    MAX_MODULE_SIZE,
    MAX_MODULES,
    MAX_SIZE,
    README,
    RUNTIME,
    TAR_END,
    VERSION,
    attestations_entry,
    bytecode_entry,
    lock_entry,
    path_problem,
    paths_problem,
    placed_entry,
    pool_entry,
    root_directory,
    skeleton_entry,
    tar_entry_size,
    wheel_entry,
)
from .versions import same_version

MARKERS = (
    "implementation_name", "implementation_version", "os_name", "platform_machine", "platform_python_implementation", "platform_release",
    "platform_system", "platform_version", "python_full_version", "python_version", "sys_platform",
)  # fmt: skip
"""The keys of PEP 508's marker environment, sorted; ``extra`` is no property of a host."""
DENSE, PLAIN = "dense", "plain"
FILE_MODES = ("0600", "0640", "0644", "0700", "0750", "0755")
"""What a file that is placed may have: nobody but its owner writes it."""
INDEX, BUILT = "index", "built"
"""Where a distribution came from."""
APPLICATION, CATALOGUE = "application", "catalogue"


class Overridden(NamedTuple):
    """A requirement of a distribution that is not met on purpose."""

    project: str
    """Whose requirement it is."""
    requires: str
    """The project that is there in another release than it asks for, or not at all."""


class ManifestTarget(NamedTuple):
    """One Python on one platform that the bundle serves."""

    name: str
    interpreter: str
    abi: str
    platforms: Tuple[str, ...]
    """Platform tags, best first; the first is the floor."""
    markers: Dict[str, Optional[str]]
    """All of :data:`MARKERS`; None where only the host knows."""
    pip: str
    """File name of the distribution that installs the others."""
    decoder: Optional[str]
    """File name of the wheel whose zstd decoder is carried, or None: this Python has zstd in its library."""
    overridden: Tuple[Overridden, ...]
    """Requirements that the set does not meet, because the packer overrode them; all others are met."""


class Origin(NamedTuple):
    """Where a distribution came from."""

    kind: str
    """:data:`INDEX`, or :data:`BUILT` of an sdist."""
    url: str
    """Of the sdist, for one that was built."""
    uploaded: Optional[str]


class ManifestDecoder(NamedTuple):
    """A wheel whose compiled zstd decoder is carried for the targets that need it."""

    filename: str
    size: int
    """Bytes of the wheel."""
    sha256: str
    """Of the wheel."""
    origin: Origin
    attested: Optional[Attested]
    """As of a distribution."""


class ManifestDistribution(NamedTuple):
    """One wheel of the bundle."""

    filename: str
    project: str
    version: str
    size: int
    """Bytes."""
    sha256: str
    origin: Origin
    targets: Tuple[str, ...]
    """Names of the targets that it is for."""
    bootstrap: bool
    """True: carried only to install the others."""
    notable: Tuple[str, ...]
    """What it installs beside its project's own name: see :mod:`.notable`."""
    attested: Optional[Attested]
    """What its publisher attested, and the packer verified; the document itself is one of the files."""


class ManifestPolicy(NamedTuple):
    """For whom the bundle is meant, and which one in a line of bundles it is (check 4)."""

    channel: Optional[str]
    """The line of bundles that it belongs to, or None."""
    sequence: Optional[int]
    """Its number in that line, which grows; or None."""
    audience: Tuple[str, ...]
    """Whom it is meant for; empty: everybody."""
    not_after: Optional[str]
    """UTC; not to be unpacked or installed later."""


class Excuse(NamedTuple):
    """A wheel that is not as it must be, and that the packer lets pass."""

    filename: str
    reason: str
    problems: Tuple[str, ...]
    """What the check of wheels says of it (check 8); nothing else is let pass."""


class ManifestPlaced(NamedTuple):
    """A file that is put into the environment beside the distributions, as it is."""

    path: str
    """Below ``files`` in the environment."""
    mode: str
    """One of :data:`FILE_MODES`."""


class ManifestFile(NamedTuple):
    """A file that is no distribution: of the payload or of the control part."""

    path: str
    size: int
    sha256: str


class Compressed(NamedTuple):
    """What stands compressed in the control part, as it stands, back to back."""

    size: int
    sha256: str


class Entry(NamedTuple):
    """One file of the payload's tar: its path below the root directory, and its size in bytes."""

    path: str
    size: int


class Frame(NamedTuple):
    """One zstd frame of the payload."""

    size: int
    """Compressed bytes."""
    tar_size: int
    """Decompressed bytes: those of its entries in the tar, and in the last frame the end of that."""
    entries: Tuple[Entry, ...]
    chunks: Tuple[str, ...]
    """SHA-256 of each 4 MiB of the compressed bytes."""


class BaseWheel(NamedTuple):
    """A wheel of a delta's base whose members lead the pool."""

    filename: str
    size: int
    sha256: str
    pool_size: int
    """Bytes of all its members, inflated."""


class ManifestBase(NamedTuple):
    """The bundle without which a delta is not whole."""

    name: str
    version: str
    digest: str
    """Content digest."""
    taken: Tuple[str, ...]
    """File names of the distributions that it holds and the delta does not."""
    pool: Tuple[BaseWheel, ...]


class Manifest(NamedTuple):
    """What a bundle holds. Made by :func:`parse_manifest` alone."""

    kind: str
    """:data:`APPLICATION`: what a target has is installed together. :data:`CATALOGUE`: each of it alone, with what it requires."""
    name: str
    version: str
    as_of: Optional[str]
    policy: ManifestPolicy
    targets: Tuple[ManifestTarget, ...]
    decoders: Tuple[ManifestDecoder, ...]
    distributions: Tuple[ManifestDistribution, ...]
    excused: Tuple[Excuse, ...]
    built: Tuple[ManifestBuilt, ...]
    placed: Tuple[ManifestPlaced, ...]
    smoke: Tuple[Tuple[str, ...], ...]
    """Commands of the environment, each with its arguments, that must succeed before it is used."""
    files: Tuple[ManifestFile, ...]
    control: Tuple[ManifestFile, ...]
    mode: str
    """:data:`DENSE` or :data:`PLAIN`."""
    zstd: str
    zlib: str
    compressed: Compressed
    base: Optional[ManifestBase]
    """None: the bundle is whole in itself."""
    logs: Tuple[str, ...]
    """Of each of :attr:`built`, in their order, the digest of what its build said."""
    frames: Tuple[Frame, ...]
    document: Dict[str, Any]
    """The whole as parsed JSON."""

    @property
    def root(self) -> str:
        """The directory, with its slash, in which the payload's entries lie."""
        return root_directory(self.name, self.version)

    @property
    def lock_files(self) -> Tuple[str, ...]:
        """The names of the locks that each target has."""
        return LOCK_FILES if self.kind == APPLICATION else ()

    @property
    def payload_size(self) -> int:
        """Bytes of the payload as it stands in the file."""
        return sum(frame.size for frame in self.frames)


def canonical_json(value: Any) -> bytes:
    """The one encoding of ``value``: sorted keys, no spaces, UTF-8 in NFC, one newline at the end.

    Raises ValueError for what has none: a floating-point number, a key that is no string, text that is not NFC or not Unicode.
    """
    _require_encodable(value)
    text = _dumps(value)
    if unicodedata.normalize("NFC", text) != text:
        raise ValueError("text is not in Unicode's normal form C")
    return text.encode("utf-8")


def content_digest(document: Dict[str, Any]) -> str:
    """The identity of a bundle: SHA-256 of the manifest without its ``transport``."""
    content = {key: value for key, value in document.items() if key != "transport"}
    return hashlib.sha256(_dumps(content).encode("utf-8")).hexdigest()


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in ``data``.

    Raises BundleRefused with an address if it is not well-formed, not canonical, or contradicts itself.
    """
    document = _load(data)
    _require_version(document)
    _keys(
        document,
        "",
        (
            *("format", "version", "bundle", "as_of", "policy", "targets", "decoders", "distributions", "excused", "files", "control"),
            *("built", "placed", "smoke", "transport"),
        ),
    )
    bundle = _keys(document["bundle"], "bundle", ("kind", "name", "version"))
    transport = _keys(document["transport"], "transport", ("mode", "zstd", "zlib", "compressed", "base", "logs", "frames"))
    manifest = Manifest(
        kind=_choice((APPLICATION, CATALOGUE), bundle["kind"], "bundle.kind"),
        name=_part(bundle["name"], "bundle.name"),
        version=_part(bundle["version"], "bundle.version"),
        as_of=_optional(_time, document["as_of"], "as_of"),
        policy=_policy(document["policy"], "policy"),
        targets=_list(_target, document["targets"], "targets"),
        decoders=_list(_decoder, document["decoders"], "decoders"),
        distributions=_list(_distribution, document["distributions"], "distributions"),
        excused=_list(_excuse, document["excused"], "excused"),
        built=_list(_built, document["built"], "built"),
        placed=_list(_placed, document["placed"], "placed"),
        smoke=_list(_command, document["smoke"], "smoke"),
        files=_list(_file, document["files"], "files"),
        control=_list(_file, document["control"], "control"),
        mode=_choice((DENSE, PLAIN), transport["mode"], "transport.mode"),
        zstd=_text(transport["zstd"], "transport.zstd"),
        zlib=_text(transport["zlib"], "transport.zlib"),
        compressed=_compressed(transport["compressed"], "transport.compressed"),
        base=_optional(_base, transport["base"], "transport.base"),
        logs=_list(_digest, transport["logs"], "transport.logs"),
        frames=_list(_frame, transport["frames"], "transport.frames"),
        document=document,
    )
    manifest = manifest._replace(frames=_measured(manifest))
    _require_canonical(document, data)
    for check in (
        _check_order,
        _check_policy,
        _check_targets,
        _check_decoders,
        _check_distributions,
        _check_excused,
        _check_built,
        _check_placed,
        _check_files,
        _check_control,
        _check_base,
        _check_entries,
        _check_frames,
    ):
        check(manifest)
    return manifest


# From bytes to JSON


def _load(data: bytes) -> Any:
    """The JSON document; its depth, numbers and keys are as bounded as its bytes."""
    if len(data) > MAX_MANIFEST_SIZE:
        raise _refused("", "it has {} bytes, {} are allowed".format(len(data), MAX_MANIFEST_SIZE))
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_int=_integer, parse_float=_no_float, parse_constant=_no_float
        )
    except RecursionError:
        raise _refused("", "it is nested too deeply") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are such
        raise _refused("", "it is not UTF-8 encoded JSON ({})".format(ascii(str(error)))) from None


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _refused("", "a key is there twice: {}".format(ascii(_first_twin([key for key, _ in pairs]))))
    return found


def _first_twin(keys: Sequence[str]) -> str:
    seen: Set[str] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError("no key is there twice")


def _integer(text: str) -> int:
    if len(text) > len(str(MAX_SIZE)):  # int() of a million digits takes minutes on Pythons before 3.11
        raise _refused("", "a number has {} digits".format(len(text)))
    return int(text)


def _no_float(text: str) -> float:
    raise _refused("", "{} is no integer".format(text[:32]))


def _require_canonical(document: Any, data: bytes) -> None:
    try:
        canonical = canonical_json(document)
    except ValueError as error:
        raise _refused("", ascii(str(error))) from None
    if canonical != data:
        raise _refused("", "it is not written in the one way that the format allows (canonical JSON)")


def _require_encodable(value: Any) -> None:
    """Refuse what JSON would write in more than one way; the depth is small, the schema sees to it."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a key is no string")
        for item in value.values():
            _require_encodable(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _require_encodable(item)
    elif not (value is None or isinstance(value, (str, bool, int))):
        raise ValueError("{} has no canonical encoding".format(type(value).__name__))


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"


# From JSON to values: each function takes a value and its address


def _target(value: Any, where: str) -> ManifestTarget:
    _keys(value, where, ManifestTarget._fields)
    return ManifestTarget(
        name=_match(_TARGET_NAME, "a target's name", value["name"], where + ".name"),
        interpreter=_match(_TAG, "a tag", value["interpreter"], where + ".interpreter"),
        abi=_match(_TAG, "a tag", value["abi"], where + ".abi"),
        platforms=_list(_platform, value["platforms"], where + ".platforms"),
        markers=_markers(value["markers"], where + ".markers"),
        pip=_wheel_name(value["pip"], where + ".pip"),
        decoder=_optional(_wheel_name, value["decoder"], where + ".decoder"),
        overridden=_list(_overridden, value["overridden"], where + ".overridden"),
    )


def _overridden(value: Any, where: str) -> Overridden:
    _keys(value, where, Overridden._fields)
    return Overridden(*(_match(_PROJECT, "a normalized project name", value[key], where + "." + key) for key in Overridden._fields))


def _markers(value: Any, where: str) -> Dict[str, Optional[str]]:
    _keys(value, where, MARKERS)
    _optional(_minor_version, value["python_version"], where + ".python_version")
    return {key: _optional(_text, value[key], "{}.{}".format(where, key)) for key in MARKERS}


def _minor_version(value: Any, where: str) -> str:
    return _match(_MINOR_VERSION, "a version such as 3.12", value, where)


def _decoder(value: Any, where: str) -> ManifestDecoder:
    _keys(value, where, ManifestDecoder._fields)
    return ManifestDecoder(
        filename=_wheel_name(value["filename"], where + ".filename"),
        size=_size(value["size"], where + ".size"),
        sha256=_digest(value["sha256"], where + ".sha256"),
        origin=_origin(value["origin"], where + ".origin"),
        attested=_optional(_attested, value["attested"], where + ".attested"),
    )


def _compressed(value: Any, where: str) -> Compressed:
    _keys(value, where, Compressed._fields)
    return Compressed(_size(value["size"], where + ".size"), _digest(value["sha256"], where + ".sha256"))


def _distribution(value: Any, where: str) -> ManifestDistribution:
    _keys(value, where, ManifestDistribution._fields)
    return ManifestDistribution(
        filename=_wheel_name(value["filename"], where + ".filename"),
        project=_match(_PROJECT, "a normalized project name", value["project"], where + ".project"),
        version=_match(_VERSION, "a version", value["version"], where + ".version"),
        size=_size(value["size"], where + ".size"),
        sha256=_digest(value["sha256"], where + ".sha256"),
        origin=_origin(value["origin"], where + ".origin"),
        targets=_list(_text, value["targets"], where + ".targets"),
        bootstrap=_bool(value["bootstrap"], where + ".bootstrap"),
        notable=_list(_text, value["notable"], where + ".notable"),
        attested=_optional(_attested, value["attested"], where + ".attested"),
    )


def _attested(value: Any, where: str) -> Attested:
    _keys(value, where, Attested._fields)
    predicates = _list(_predicate, value["predicates"], where + ".predicates")
    if not predicates or list(predicates) != sorted(set(predicates)):
        raise _refused(where + ".predicates", "it is empty, not sorted, or has something twice")
    return Attested(_match(_PUBLISHER, "a publisher", value["publisher"], where + ".publisher"), predicates)


def _predicate(value: Any, where: str) -> str:
    return _choice(PREDICATES, value, where)


def _origin(value: Any, where: str) -> Origin:
    _keys(value, where, Origin._fields)
    return Origin(
        kind=_choice((INDEX, BUILT), value["kind"], where + ".kind"),
        url=_match(_URL, "a URL without credentials", value["url"], where + ".url"),
        uploaded=_optional(_time, value["uploaded"], where + ".uploaded"),
    )


def _placed(value: Any, where: str) -> ManifestPlaced:
    _keys(value, where, ManifestPlaced._fields)
    return ManifestPlaced(_path(value["path"], where + ".path"), _choice(FILE_MODES, value["mode"], where + ".mode"))


def _command(value: Any, where: str) -> Tuple[str, ...]:
    """A command's name, and its arguments."""
    words = _list(_text, value, where)
    if not words:
        raise _refused(where, "it names no command")
    _part(words[0], where + "[0]")
    return words


def _policy(value: Any, where: str) -> ManifestPolicy:
    _keys(value, where, ManifestPolicy._fields)
    return ManifestPolicy(
        channel=_optional(_name, value["channel"], where + ".channel"),
        sequence=_optional(_number, value["sequence"], where + ".sequence"),
        audience=_list(_name, value["audience"], where + ".audience"),
        not_after=_optional(_time, value["not_after"], where + ".not_after"),
    )


def _excuse(value: Any, where: str) -> Excuse:
    _keys(value, where, Excuse._fields)
    return Excuse(
        filename=_wheel_name(value["filename"], where + ".filename"),
        reason=_text(value["reason"], where + ".reason"),
        problems=_list(_text, value["problems"], where + ".problems"),
    )


def _built(value: Any, where: str) -> ManifestBuilt:
    _keys(value, where, ManifestBuilt._fields)
    recipe = _keys(value["recipe"], where + ".recipe", BuiltBy._fields)
    toolchain = _keys(value["toolchain"], where + ".toolchain", Toolchain._fields)
    return ManifestBuilt(
        filename=_wheel_name(value["filename"], where + ".filename"),
        sdist=_material(value["sdist"], where + ".sdist"),
        recipe=BuiltBy(_text(recipe["name"], where + ".recipe.name"), _digest(recipe["sha256"], where + ".recipe.sha256")),
        toolchain=Toolchain(
            name=_text(toolchain["name"], where + ".toolchain.name"),
            tools=_list(_text, toolchain["tools"], where + ".toolchain.tools"),
            packages=_list(_text, toolchain["packages"], where + ".toolchain.packages"),
        ),
        materials=_list(_material, value["materials"], where + ".materials"),
        repair=_optional(_repair, value["repair"], where + ".repair"),
    )


def _material(value: Any, where: str) -> Material:
    _keys(value, where, Material._fields)
    return Material(
        filename=_part(value["filename"], where + ".filename"),
        url=_match(_URL, "a URL without credentials", value["url"], where + ".url"),
        sha256=_digest(value["sha256"], where + ".sha256"),
    )


def _repair(value: Any, where: str) -> Repair:
    _keys(value, where, Repair._fields)
    return Repair(
        tool=_text(value["tool"], where + ".tool"),
        raw=_digest(value["raw"], where + ".raw"),
        grafted=_list(_graft, value["grafted"], where + ".grafted"),
        needs=_list(_need, value["needs"], where + ".needs"),
    )


def _graft(value: Any, where: str) -> Graft:
    _keys(value, where, Graft._fields)
    return Graft(
        member=_path(value["member"], where + ".member"),
        library=_part(value["library"], where + ".library"),
        sha256=_digest(value["sha256"], where + ".sha256"),
    )


def _need(value: Any, where: str) -> Need:
    _keys(value, where, Need._fields)
    return Need(
        member=_path(value["member"], where + ".member"),
        symbol=_text(value["symbol"], where + ".symbol"),
        library=_part(value["library"], where + ".library"),
        version=_part(value["version"], where + ".version"),
    )


def _file(value: Any, where: str) -> ManifestFile:
    _keys(value, where, ManifestFile._fields)
    return ManifestFile(
        path=_path(value["path"], where + ".path"),
        size=_size(value["size"], where + ".size"),
        sha256=_digest(value["sha256"], where + ".sha256"),
    )


def _base(value: Any, where: str) -> ManifestBase:
    _keys(value, where, ManifestBase._fields)
    return ManifestBase(
        name=_part(value["name"], where + ".name"),
        version=_part(value["version"], where + ".version"),
        digest=_digest(value["digest"], where + ".digest"),
        taken=_list(_wheel_name, value["taken"], where + ".taken"),
        pool=_list(_base_wheel, value["pool"], where + ".pool"),
    )


def _base_wheel(value: Any, where: str) -> BaseWheel:
    _keys(value, where, BaseWheel._fields)
    return BaseWheel(
        filename=_wheel_name(value["filename"], where + ".filename"),
        size=_size(value["size"], where + ".size"),
        sha256=_digest(value["sha256"], where + ".sha256"),
        pool_size=_size(value["pool_size"], where + ".pool_size"),
    )


def _frame(value: Any, where: str) -> Frame:
    _keys(value, where, ("size", "entries", "chunks"))
    return Frame(
        size=_size(value["size"], where + ".size"),
        tar_size=0,
        entries=_list(_entry, value["entries"], where + ".entries"),
        chunks=_list(_digest, value["chunks"], where + ".chunks"),
    )


def _entry(value: Any, where: str) -> Entry:
    if type(value) is not list or len(value) != len(Entry._fields):
        raise _refused(where, "it is no pair of path and size")
    return Entry(_path(value[0], where + "[0]"), _size(value[1], where + "[1]"))


_TARGET_NAME = re.compile(r"[A-Za-z0-9_]+-[A-Za-z0-9_]+")
_PLATFORM = re.compile(r"(?:manylinux|musllinux|macosx)_[0-9]+_[0-9]+_[a-z0-9_]+|win32|win_(?:amd64|arm64)")
_TAG = re.compile(r"[A-Za-z0-9_]+")
_MINOR_VERSION = re.compile(r"[0-9]+\.[0-9]+")
_PROJECT = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PUBLISHER = re.compile(r"[!-.0-~]+(?:/[!-.0-~]*)+")
_URL = re.compile(r"(?:https?|file|git\+(?:https?|ssh|file))://(?![^/?#]*@)[!-~]*|file:[!-.0-~][!-~]*")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]Z")  # strptime takes leap seconds
_CONTROL_CHARACTER = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069]")
"""What would speak to a terminal instead of a reader: controls, line ends, changes of direction."""


def _keys(value: Any, where: str, wanted: Sequence[str]) -> Dict[str, Any]:
    if type(value) is not dict:
        raise _refused(where, "it is no object")
    problems = ["the key {} is unknown".format(ascii(key)) for key in sorted(set(value) - set(wanted))]
    problems += ["the key {!r} is missing".format(key) for key in wanted if key not in value]
    if problems:
        raise _refused(where, ", ".join(problems))
    return dict(value)


def _list(item: Callable[[Any, str], Any], value: Any, where: str) -> Tuple[Any, ...]:
    if type(value) is not list:
        raise _refused(where, "it is no list")
    return tuple(item(each, "{}[{}]".format(where, index)) for index, each in enumerate(value))


def _optional(item: Callable[[Any, str], Any], value: Any, where: str) -> Any:
    return None if value is None else item(value, where)


def _text(value: Any, where: str) -> str:
    if type(value) is not str:
        raise _refused(where, "it is no string")
    if _CONTROL_CHARACTER.search(value):
        raise _refused(where, "it holds control characters")
    return str(value)


def _match(pattern: "re.Pattern[str]", what: str, value: Any, where: str) -> str:
    text = _text(value, where)
    if not pattern.fullmatch(text):
        raise _refused(where, "{} is not {}".format(ascii(text[:80]), what))
    return text


def _choice(choices: Sequence[str], value: Any, where: str) -> str:
    text = _text(value, where)
    if text not in choices:
        raise _refused(where, "{} is none of {}".format(ascii(text[:80]), ", ".join(choices)))
    return text


def _platform(value: Any, where: str) -> str:
    return _match(_TAG, "a tag", value, where)


def _name(value: Any, where: str) -> str:
    return _match(_NAME, "a name of letters, digits and . _ -", value, where)


def _digest(value: Any, where: str) -> str:
    return _match(_DIGEST, "a SHA-256 of 64 lower-case hexadecimal digits", value, where)


def _size(value: Any, where: str) -> int:
    if type(value) is not int or not 0 <= value <= MAX_SIZE:
        raise _refused(where, "it is no size in bytes")
    return int(value)


def _number(value: Any, where: str) -> int:
    if type(value) is not int or not 0 <= value <= MAX_SIZE:
        raise _refused(where, "it is no whole number from 0 to {}".format(MAX_SIZE))
    return int(value)


def _bool(value: Any, where: str) -> bool:
    if type(value) is not bool:
        raise _refused(where, "it is neither true nor false")
    return bool(value)


def _path(value: Any, where: str) -> str:
    text = _text(value, where)
    problem = path_problem(text)
    if problem:
        raise _refused(where, "{} {}".format(ascii(text[:80]), problem))
    return text


def _part(value: Any, where: str) -> str:
    """One part of a path, for the root directory."""
    text = _path(value, where)
    if "/" in text:
        raise _refused(where, "{!r} holds a slash".format(text))
    return text


def _wheel_name(value: Any, where: str) -> str:
    """A wheel's file name: five or six parts (PEP 427)."""
    text = _part(value, where)
    if not text.endswith(".whl") or len(text.split("-")) not in (5, 6):
        raise _refused(where, "{!r} is no file name of a wheel".format(text))
    return text


def _time(value: Any, where: str) -> str:
    """A second of UTC, as RFC 3339 writes it."""
    text = _match(_TIME, "a time such as 2026-11-19T12:00:00Z", value, where)
    try:
        time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        raise _refused(where, "{!r} is no time".format(text)) from None
    return text


# The manifest as a whole


def _require_version(document: Any) -> None:
    if type(document) is not dict or document.get("format") != FORMAT:
        raise _refused("format", "it is not {!r}".format(FORMAT))
    version = document.get("version")
    if type(version) is not int or version != VERSION:
        raise BundleRefused(
            "The bundle's manifest: version: it is {}, this reader knows {}.".format(ascii(version)[:32], VERSION),
            hint="Read it with the wheelhouse that made it, or a newer one.",
        )


def _check_order(manifest: Manifest) -> None:
    _sorted([target.name for target in manifest.targets], "targets")
    _sorted([each.filename for each in manifest.decoders], "decoders")
    _sorted([each.filename for each in manifest.distributions], "distributions")
    _sorted([each.path for each in manifest.files], "files")
    _sorted([each.path for each in manifest.control], "control")
    for index, each in enumerate(manifest.distributions):
        _sorted(list(each.targets), "distributions[{}].targets".format(index))
    problem = paths_problem(entry.path for _, entry in _entries(manifest))
    if problem:
        raise _refused("transport.frames", problem)


def _check_policy(manifest: Manifest) -> None:
    policy = manifest.policy
    if policy.sequence is not None and policy.channel is None:
        raise _refused("policy.sequence", "there is no channel in which it would count")
    _sorted(list(policy.audience), "policy.audience")


def _check_excused(manifest: Manifest) -> None:
    names = {each.filename for each in manifest.distributions}
    _sorted([each.filename for each in manifest.excused], "excused")
    for index, each in enumerate(manifest.excused):
        where = "excused[{}]".format(index)
        if each.filename not in names:
            raise _refused(where + ".filename", "{!r} is no distribution within".format(each.filename))
        if not each.reason.strip(" ") or not each.problems:
            raise _refused(where, "it lacks a reason, or a problem to excuse")


def _check_built(manifest: Manifest) -> None:
    """Every wheel that was built says how, and no other."""
    urls: Dict[str, Set[str]] = {}
    origins = [(wheel.filename, wheel.origin) for wheel in manifest.distributions]
    for filename, origin in origins + [(decoder.filename, decoder.origin) for decoder in manifest.decoders]:
        if origin.kind == BUILT:
            urls.setdefault(filename, set()).add(origin.url)
    _same_names({each.filename for each in manifest.built}, set(urls), "built")
    _sorted([each.filename for each in manifest.built], "built")
    if len(manifest.logs) != len(manifest.built):
        raise _refused("transport.logs", "there are {} of {} builds".format(len(manifest.logs), len(manifest.built)))
    for index, each in enumerate(manifest.built):
        where = "built[{}]".format(index)
        _sorted([material.filename for material in each.materials], where + ".materials")
        _sorted([graft.member for graft in each.repair.grafted] if each.repair else [], where + ".repair.grafted")
        _sorted([need.version for need in each.repair.needs] if each.repair else [], where + ".repair.needs")
        if urls[each.filename] != {each.sdist.url}:
            raise _refused(where + ".sdist.url", "its origin says another")


def _sorted(names: List[str], where: str) -> None:
    problem = paths_problem(names)
    if problem:
        raise _refused(where, problem)
    for index in range(1, len(names)):
        if names[index] < names[index - 1]:
            raise _refused("{}[{}]".format(where, index), "{!r} is not sorted".format(names[index]))


def _check_targets(manifest: Manifest) -> None:
    if not manifest.targets:
        raise _refused("targets", "there is none")
    distributions = {each.filename: each for each in manifest.distributions}
    decoders = {each.filename for each in manifest.decoders}
    for index, target in enumerate(manifest.targets):
        where = "targets[{}]".format(index)
        pip = distributions.get(target.pip)
        if pip is None or pip.project != "pip":
            raise _refused(where + ".pip", "{!r} is no distribution of pip within".format(target.pip))
        if target.decoder is not None and target.decoder not in decoders:
            raise _refused(where + ".decoder", "{} is no decoder within".format(ascii(target.decoder)))
        if list(target.overridden) != sorted(set(target.overridden)):
            raise _refused(where + ".overridden", "it is not sorted, or names something twice")
        if not target.platforms or len(set(target.platforms)) != len(target.platforms):
            raise _refused(where + ".platforms", "it is empty, or has a platform twice")
        if not _is_name_of(target):
            raise _refused(where + ".name", "{!r} is the name of another target".format(target.name))


def _is_name_of(target: ManifestTarget) -> bool:
    """Whether a target's name says nothing else than its tags; hosts that were probed are called as their people call them."""
    python, platform = target.name.split("-")
    return python in (target.interpreter, target.abi) and (target.platforms[:1] == (platform,) or not _PLATFORM.fullmatch(platform))


def _check_decoders(manifest: Manifest) -> None:
    """Each decoder has a target."""
    needed = {target.decoder for target in manifest.targets}
    for index, each in enumerate(manifest.decoders):
        if each.filename not in needed:
            raise _refused("decoders[{}]".format(index), "no target needs it")


def _check_distributions(manifest: Manifest) -> None:
    names = {target.name for target in manifest.targets}
    for index, each in enumerate(manifest.distributions):
        where = "distributions[{}]".format(index)
        for position, target in enumerate(each.targets):
            if target not in names:
                raise _refused("{}.targets[{}]".format(where, position), "{!r} is no target of the bundle".format(target))
        if not each.targets and not each.bootstrap:
            raise _refused(where + ".targets", "no target needs it")
        if re.sub(r"[-_.]+", "-", each.filename.split("-")[0]).lower() != each.project:
            raise _refused(where + ".project", "{!r} is not the project of {!r}".format(each.project, each.filename))
        if not same_version(each.version, each.filename.split("-")[1]):
            raise _refused(where + ".version", "{!r} is not the version of {!r}".format(each.version, each.filename))


def _check_placed(manifest: Manifest) -> None:
    """A catalogue is not installed, so nothing of it is placed or tried."""
    _sorted([each.path for each in manifest.placed], "placed")
    if manifest.kind == CATALOGUE and (manifest.placed or manifest.smoke):
        raise _refused("placed" if manifest.placed else "smoke", "a catalogue is not installed")


def _check_files(manifest: Manifest) -> None:
    wanted = {README} | {lock_entry(target.name, name) for target in manifest.targets for name in manifest.lock_files}
    attested = {attestations_entry(each.filename) for each in manifest.distributions if each.attested}
    attested |= {attestations_entry(each.filename) for each in manifest.decoders if each.attested}
    placed = {placed_entry(each.path) for each in manifest.placed}
    _same_names({each.path for each in manifest.files} - _bytecode_paths(manifest), wanted | attested | placed, "files")
    for index, each in enumerate(manifest.files):
        if each.path in attested and each.size > MAX_ATTESTATIONS:
            raise _refused("files[{}].size".format(index), "{} are allowed".format(MAX_ATTESTATIONS))


def _bytecode_paths(manifest: Manifest) -> Set[str]:
    """Where bytecode may be, if there is any: of each wheel, for each of the Pythons."""
    interpreters = {target.interpreter for target in manifest.targets}
    return {bytecode_entry(interpreter, each.filename) for interpreter in interpreters for each in manifest.distributions}


def _check_control(manifest: Manifest) -> None:
    for index, each in enumerate(manifest.control):
        if not _is_control_path(each.path):
            raise _refused("control[{}].path".format(index), "{!r} has no place in the control part".format(each.path))
        if each.size > MAX_MODULE_SIZE:  # so much is inflated in memory, also of a bundle that is only looked at
            raise _refused("control[{}].size".format(index), "{} are allowed".format(MAX_MODULE_SIZE))
    if len(manifest.control) > MAX_MODULES:
        raise _refused("control", "it has {} files, {} are allowed".format(len(manifest.control), MAX_MODULES))


def _is_control_path(path: str) -> bool:
    if path == MAIN:
        return True
    folder, _, name = path.partition("/")
    return folder + "/" == RUNTIME and name.endswith(".py") and "/" not in name


def _check_base(manifest: Manifest) -> None:
    """What is taken from the base are distributions; its wheels lead the pool of a dense bundle alone."""
    if manifest.base is None:
        return
    _sorted(list(manifest.base.taken), "transport.base.taken")
    _sorted([each.filename for each in manifest.base.pool], "transport.base.pool")
    held = {each.filename: (each.size, each.sha256) for each in manifest.distributions}
    for index, filename in enumerate(manifest.base.taken):
        if filename not in held:
            raise _refused("transport.base.taken[{}]".format(index), "{!r} is no distribution of the bundle".format(filename))
    for index, each in enumerate(manifest.base.pool):
        if each.filename in manifest.base.taken and held[each.filename] != (each.size, each.sha256):
            raise _refused("transport.base.pool[{}]".format(index), "{!r} is taken from the base with another digest".format(each.filename))
    if manifest.mode == PLAIN and manifest.base.pool:
        raise _refused("transport.base.pool", "a plain bundle has no pool")
    if manifest.base.digest == content_digest(manifest.document):
        raise _refused("transport.base.digest", "the bundle cannot be its own base")


def _check_entries(manifest: Manifest) -> None:
    """Each distribution that is not taken from a base and each file has its one entry; the pool is numbered; nothing else is there."""
    sizes: Dict[str, Optional[int]] = {each.path: each.size for each in manifest.files}
    taken = manifest.base.taken if manifest.base else ()
    whole = {entry.path for _, entry in _entries(manifest)}
    for each in manifest.distributions:
        if each.filename in taken:
            continue
        if manifest.mode == PLAIN or wheel_entry(each.filename) in whole:
            sizes[wheel_entry(each.filename)] = each.size
        else:
            sizes[skeleton_entry(each.filename)] = None  # a skeleton's size is its own
    pieces = 0
    found: Set[str] = set()
    for where, entry in _entries(manifest):
        if manifest.mode == DENSE and entry.path == pool_entry(pieces):
            pieces += 1
            continue
        if entry.path not in sizes:
            raise _refused(where, "{!r} has no place in the payload".format(entry.path))
        if sizes[entry.path] not in (None, entry.size):
            raise _refused(where + "[1]", "the size of {!r} is {}".format(entry.path, sizes[entry.path]))
        found.add(entry.path)
    _same_names(found, set(sizes), "transport.frames")


def _entries(manifest: Manifest) -> List[Tuple[str, Entry]]:
    """Each entry with its address, in file order."""
    return [
        ("transport.frames[{}].entries[{}]".format(number, index), entry)
        for number, frame in enumerate(manifest.frames)
        for index, entry in enumerate(frame.entries)
    ]


def _check_frames(manifest: Manifest) -> None:
    for number, frame in enumerate(manifest.frames):
        where = "transport.frames[{}]".format(number)
        chunks = -(-frame.size // CHUNK_SIZE)
        if not frame.entries:
            raise _refused(where + ".entries", "there is none")
        if not frame.size or len(frame.chunks) != chunks:
            raise _refused(where + ".chunks", "there are {} for {} bytes".format(len(frame.chunks), frame.size))


def _measured(manifest: Manifest) -> Tuple[Frame, ...]:
    """The frames with the sizes that follow from their entries."""
    sizes = [sum(tar_entry_size(manifest.root + entry.path, entry.size) for entry in frame.entries) for frame in manifest.frames]
    sizes[-1:] = [size + len(TAR_END) for size in sizes[-1:]]
    return tuple(frame._replace(tar_size=size) for frame, size in zip(manifest.frames, sizes))


def _same_names(found: Set[str], wanted: Set[str], where: str) -> None:
    missing, foreign = sorted(wanted - found), sorted(found - wanted)
    if missing:
        raise _refused(where, "{!r} is missing".format(missing[0]))
    if foreign:
        raise _refused(where, "{!r} has no place here".format(foreign[0]))


def _refused(where: str, why: str) -> BundleRefused:
    return BundleRefused(
        "The bundle's manifest: {}{}.".format(where + ": " if where else "", why),
        hint="The manifest is not as the format asks. Ask the sender to pack the bundle again.",
    )
