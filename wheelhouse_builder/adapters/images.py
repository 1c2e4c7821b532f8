"""Container images as systems to enter, without a container engine: OCI image layouts, as ``skopeo copy docker://… oci:DIR`` makes them.

A layout is a directory, or a tar archive of one (``oci-archive:FILE``; Docker's ``save`` writes one, too, since its version 25). Of it one
image is unpacked, once for each digest. Every blob is held against its digest, and nothing is written outside of the image's own root:
names that lead out are refused, links are followed as the system within would. Who owns what, and set-user-ID bits, are forgotten: all of
it is this user's. Devices and pipes are left out; who enters the system sees this host's.

See the OCI image specification: image-layout.md, image-index.md, manifest.md, layer.md.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, BinaryIO, cast

import zstandard

from wheelhouse_builder.adapters.rooted import inside
from wheelhouse_builder.errors import DistributionError

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}
"""What Go calls machines, where it is not what Linux does."""
_OCI, _DOCKER = "application/vnd.oci.image", "application/vnd.docker"
INDEXES = (f"{_OCI}.index.v1+json", f"{_DOCKER}.distribution.manifest.list.v2+json")
MANIFESTS = (f"{_OCI}.manifest.v1+json", f"{_DOCKER}.distribution.manifest.v2+json")
LAYERS: Mapping[str, Callable[[BinaryIO], BinaryIO]] = {
    f"{_OCI}.layer.v1.tar": lambda blob: blob,
    f"{_OCI}.layer.v1.tar+gzip": lambda blob: cast("BinaryIO", gzip.GzipFile(fileobj=blob)),
    f"{_OCI}.layer.v1.tar+zstd": lambda blob: zstandard.ZstdDecompressor().stream_reader(blob, read_across_frames=True),
    f"{_DOCKER}.image.rootfs.diff.tar.gzip": lambda blob: cast("BinaryIO", gzip.GzipFile(fileobj=blob)),
}
"""Kinds of layers, and what decompresses them."""
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
MOST_JSON = 4 << 20
"""No index, manifest or configuration is longer; bytes."""
NEEDED = ("dev", "proc", "tmp", "mnt")
"""Directories that whoever enters a system wants to find."""
HINT = "make it anew: skopeo copy docker://… oci:DIR"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RecursionError),
    *(tarfile.TarError, zlib.error, zstandard.ZstdError),
)
"""What reading a file that somebody else made may raise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A system that was unpacked of an image."""

    root: Path
    digest: str
    """Of its manifest: ``sha256:…``."""
    environment: Mapping[str, str]
    """What the image wants its programs to see."""


def is_image(path: Path) -> bool:
    """Whether ``path`` is an image rather than a system's root directory."""
    return path.is_file() or (path / "oci-layout").is_file()


def unpack_image(path: Path, cache: Path) -> Image:
    """The image at ``path`` for this machine, unpacked below ``cache`` unless it is there already.

    Raises DistributionError for one that is damaged, or for another machine, or not one alone.
    """
    try:
        with _layout(path) as layout:
            return _unpack(layout, cache)
    except _UNREADABLE as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else error
        raise DistributionError(f"{path} cannot be read as an OCI image: {why}", hint=HINT) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """Files of an image layout."""

    open: Callable[[str], BinaryIO]

    def json(self, descriptor: Mapping[str, Any]) -> Any:
        """The document that ``descriptor`` names."""
        if not isinstance(descriptor["size"], int) or descriptor["size"] > MOST_JSON:
            raise ValueError(f"{descriptor['digest']} is too long")
        with self.blob(descriptor) as blob:
            return json.load(blob)

    @contextmanager
    def blob(self, descriptor: Mapping[str, Any]) -> Iterator[BinaryIO]:
        """The blob that ``descriptor`` names, which is of its size and digest."""
        digest = _DIGEST.fullmatch(descriptor["digest"])
        if digest is None:
            raise ValueError(f"{descriptor['digest']!r} is no SHA-256")
        with self.open(f"blobs/sha256/{digest[1]}") as blob:
            found = hashlib.file_digest(blob, "sha256").hexdigest()  # type: ignore[arg-type] # typeshed wants readinto of it, which all have
            if (found, blob.tell()) != (digest[1], descriptor["size"]):
                raise ValueError(f"the blob {digest[1]} has the SHA-256 {found} and {blob.tell()} bytes, expected {descriptor['size']}")
            blob.seek(0)
            yield blob


@contextmanager
def _layout(path: Path) -> Iterator[_Layout]:
    if path.is_dir():
        yield _Layout(open=lambda name: (path / name).open("rb"))
        return
    with tarfile.open(path, "r:") as archive:
        files = {str(PurePosixPath(member.name)): member for member in archive if member.isreg()}
        if "oci-layout" not in files:
            raise ValueError("it holds no oci-layout: skopeo makes one of whatever it is")
        yield _Layout(open=lambda name: _of_archive(archive, files[name]))


def _of_archive(archive: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is no file")
    return cast("BinaryIO", file)


def _unpack(layout: _Layout, cache: Path) -> Image:
    with layout.open("index.json") as file:
        descriptor = _chosen(layout, json.loads(file.read(MOST_JSON)))
    manifest = layout.json(descriptor)
    config = layout.json(manifest["config"])
    architecture = _architecture()
    if (config["os"], config["architecture"]) != ("linux", architecture):
        raise ValueError(f"it is for {config['os']} on {config['architecture']}, not for linux on {architecture}")
    environment = dict(text.partition("=")[::2] for text in config.get("config", {}).get("Env") or ())
    if "\0" in "".join([*environment, *environment.values()]):
        raise ValueError("its environment holds a NUL")
    root = cache / descriptor["digest"].removeprefix("sha256:")
    if not root.exists():
        _make_root(layout, manifest["layers"], config["rootfs"]["diff_ids"], root)
    return Image(root=root, digest=descriptor["digest"], environment=environment)


def _architecture() -> str:
    machine = os.uname().machine
    return ARCHITECTURES.get(machine, machine)


def _chosen(layout: _Layout, index: Any) -> Mapping[str, Any]:
    """The descriptor of the one manifest for this machine."""
    found: list[Mapping[str, Any]] = []
    for each in index["manifests"]:
        platform = each.get("platform", {})
        if platform.get("architecture", _architecture()) != _architecture() or platform.get("os", "linux") != "linux":
            continue
        kind = each.get("mediaType", MANIFESTS[0])
        if kind in INDEXES:
            found.append(_chosen(layout, layout.json(each)))
        elif kind in MANIFESTS:
            found.append(each)
    if len(found) != 1:
        names = sorted(each.get("annotations", {}).get("org.opencontainers.image.ref.name", "") for each in found)
        told = f": {', '.join(filter(None, names))}" if any(names) else ""
        raise ValueError(f"it holds {len(found)} images for {_architecture()}{told}, not one: copy the one that is meant")
    return found[0]


def _make_root(layout: _Layout, layers: list[Mapping[str, Any]], contents: list[str], root: Path) -> None:
    """Lay the layers one upon the other; ``root`` is there as a whole, or not at all."""
    root.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="image-", dir=root.parent) as scratch:
        draft = Path(scratch) / "root"
        draft.mkdir()
        for layer, content in zip(layers, contents, strict=True):
            _lay(layout, layer, content, draft)
        for name in NEEDED:
            (draft / name).mkdir(exist_ok=True)
            if (draft / name).is_symlink():
                raise ValueError(f"its /{name} is a link")
        try:
            draft.rename(root)
        except OSError:  # another run was faster
            if not root.is_dir():
                raise


def _lay(layout: _Layout, layer: Mapping[str, Any], content: str, root: Path) -> None:
    decompressed = LAYERS.get(layer["mediaType"])
    if decompressed is None:
        raise ValueError(f"a layer is of the kind {layer['mediaType']!r}, which is not known")
    with TemporaryFile() as plain:
        digest = hashlib.sha256()
        with layout.blob(layer) as blob:
            source = decompressed(blob)
            for piece in iter(partial(source.read, 1 << 20), b""):
                digest.update(piece)
                plain.write(piece)
        if f"sha256:{digest.hexdigest()}" != content:
            raise ValueError(f"the layer {layer['digest']} does not decompress to {content}")
        plain.seek(0)
        with tarfile.open(fileobj=plain, mode="r:") as archive:
            _apply(archive, root)


def _apply(archive: tarfile.TarFile, root: Path) -> None:
    """One layer. Its whiteouts mean what lower layers hold, wherever they stand in it."""
    members = [(parts, member) for member in archive if (parts := _parts(member.name))]
    for parts, _ in members:
        if parts[-1].startswith(WHITEOUT):
            _white_out(inside(root, "/".join(parts[:-1])), parts[-1])
    for parts, member in members:
        if not parts[-1].startswith(WHITEOUT):
            _place(archive, member, _place_of(root, parts), root)


def _parts(name: str) -> list[str]:
    """The parts of a path that does not lead out; none for the root itself."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise ValueError(f"{name!r} leads out of it")
    return parts


def _place_of(root: Path, parts: list[str]) -> Path:
    """Where a member lies. Links among its parents are followed within ``root``; it itself may be one."""
    parent = inside(root, "/".join(parts[:-1]))
    parent.mkdir(parents=True, exist_ok=True)
    return parent / parts[-1]


def _white_out(parent: Path, name: str) -> None:
    if name == OPAQUE:
        for path in parent.iterdir() if parent.is_dir() else ():
            _remove(path)
        return
    gone = name.removeprefix(WHITEOUT)
    if gone in ("", ".", ".."):
        raise ValueError(f"{name!r} takes nothing away that has a name")
    if not gone.startswith(WHITEOUT):  # else notes of aufs to itself
        _remove(parent / gone)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, root: Path) -> None:
    """One member, in place of what lower layers have there; directories keep what is in them."""
    if member.isdir():
        if path.is_symlink() or not path.is_dir():
            _remove(path)
            path.mkdir()
        path.chmod(member.mode & 0o777 | 0o700)
        return
    if member.ischr() or member.isblk() or member.isfifo():
        return
    source = _place_of(root, _parts(member.linkname)) if member.islnk() else None
    if source == path:
        raise ValueError(f"{member.name!r} is a link to itself")
    _remove(path)
    if source is not None:
        os.link(source, path, follow_symlinks=False)
    elif member.issym():
        path.symlink_to(member.linkname)
    else:
        with _of_archive(archive, member) as content, path.open("xb") as file:
            shutil.copyfileobj(content, file)
        path.chmod(member.mode & 0o777 | 0o600)
        os.utime(path, (member.mtime, member.mtime))
