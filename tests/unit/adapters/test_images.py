"""Container images as systems: what is unpacked, and what is refused."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.support.images import COMPRESSED, OCI, archived, file, folder, hard_link, link, make_layout, other, put, write_index
from wheelhouse_builder.adapters.images import is_image, unpack_image
from wheelhouse_builder.errors import DistributionError


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return tmp_path / "layout"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def tree(root: Path) -> dict[str, str]:
    """What lies in ``root``, but for the folders that each system has: files with their content, links with where they lead."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_text()
        elif name not in ("dev", "proc", "tmp", "mnt"):
            found[name] = "/"
    return found


def refused(layout: Path, cache: Path) -> str:
    with pytest.raises(DistributionError) as caught:
        unpack_image(layout, cache)
    assert not [path for path in cache.rglob("*") if cache.exists()], "something half-written stayed"
    return caught.value.problems[0]


@pytest.mark.parametrize("kind", COMPRESSED)
def test_an_image_is_unpacked_once_and_says_what_it_is(kind: str, layout: Path, cache: Path) -> None:
    descriptor = make_layout(layout, [folder("usr"), file("usr/answer", "42", 0o4755)], kind=kind)
    image = unpack_image(layout, cache)
    assert (image.digest, image.environment) == (descriptor["digest"], {"PATH": "/opt/new/bin:/usr/bin"})
    assert tree(image.root) == {"usr": "/", "usr/answer": "42"}
    status = (image.root / "usr/answer").stat()
    assert (status.st_mode & 0o7777, status.st_mtime, status.st_uid) == (0o755, 1_700_000_000, os.getuid())
    (image.root / "usr/answer").write_text("still there")
    assert unpack_image(archived(layout), cache) == image
    assert tree(image.root)["usr/answer"] == "still there"


def test_upper_layers_take_away_replace_and_add(layout: Path, cache: Path) -> None:
    lower = [
        folder("a"),
        file("a/one", "1"),
        file("a/two", "2"),
        folder("b"),
        file("b/old"),
        folder("c"),
        file("c/x"),
        file("d"),
        link("e", "a"),
    ]
    upper = [
        *[file("a/.wh.one"), file("b/new", "new"), file("b/.wh..wh..opq"), file("b/.wh..wh.aufs")],
        *[file(".wh.c"), folder("c"), file("c/y", "y"), folder("d"), file("d/now", "a folder"), folder("e"), file("e/own", "its own")],
    ]
    make_layout(layout, lower, upper)
    assert tree(unpack_image(layout, cache).root) == {
        "a": "/",
        "a/two": "2",
        "b": "/",
        "b/new": "new",
        "c": "/",
        "c/y": "y",
        "d": "/",
        "d/now": "a folder",
        "e": "/",
        "e/own": "its own",
    }


def test_links_are_followed_as_within_the_image(layout: Path, cache: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    lower = [link("abs", str(outside)), link("rel", "../../../../../../../.." + str(outside)), folder("usr"), link("lib", "usr/lib")]
    upper = [
        file("abs/planted", "x"),
        file("rel/too", "y"),
        file("lib/libc.so", "z"),
        hard_link("copy", "lib/libc.so"),
        link("loose", "/etc/passwd"),
    ]
    make_layout(layout, lower, upper)
    root = unpack_image(layout, cache).root
    inner = str(outside).lstrip("/")
    assert not list(outside.iterdir())
    assert [(root / inner / name).read_text() for name in ("planted", "too")] == ["x", "y"]
    assert (root / "usr/lib/libc.so").samefile(root / "copy")
    assert (root / "loose").readlink() == Path("/etc/passwd")  # means the image's own


def test_a_hard_link_to_a_link_is_a_link(layout: Path, cache: Path) -> None:
    make_layout(layout, [link("shadow", "/etc/shadow"), hard_link("mine", "shadow")])
    assert tree(unpack_image(layout, cache).root) == {"shadow": "-> /etc/shadow", "mine": "-> /etc/shadow"}


def test_devices_and_pipes_are_left_out(layout: Path, cache: Path) -> None:
    kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    make_layout(layout, [folder("dev"), *(other(f"dev/{number}", kind) for number, kind in enumerate(kinds)), file("kept")])
    assert tree(unpack_image(layout, cache).root) == {"kept": ""}


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ([file("../planted")], "'../planted' leads out"),
        ([file("/planted")], "'/planted' leads out"),
        ([file("a/../../planted")], "leads out"),
        ([hard_link("a", "../../etc/passwd")], "'../../etc/passwd' leads out"),
        ([hard_link("a", "/etc/passwd")], "'/etc/passwd' leads out"),
        ([hard_link("a", "gone")], "No such file"),
        ([hard_link("a", "a")], "a link to itself"),
        ([hard_link("a", ".")], "index"),
        ([file(".wh...")], "takes nothing away"),
        ([file(".wh.")], "takes nothing away"),
        ([link("a", "b"), link("b", "a"), file("a/x")], "Too many levels"),
        ([file("a"), file("a/b")], "exists"),
        ([link("mnt", "/etc")], "its /mnt is a link"),
    ],
)
def test_what_leads_out_or_makes_no_sense_is_refused(
    members: list[tuple[tarfile.TarInfo, bytes]], told: str, layout: Path, cache: Path
) -> None:
    make_layout(layout, members)
    assert told in refused(layout, cache)


def test_a_blob_that_is_not_what_its_name_says_is_refused(layout: Path, cache: Path) -> None:
    make_layout(layout, [file("a", "b")])
    whole = {path: path.read_bytes() for path in (layout / "blobs/sha256").iterdir()}
    for path, content in whole.items():
        for damaged in (content[:-1] + bytes([content[-1] ^ 1]), content[:-1], content + b" "):
            path.write_bytes(damaged)
            assert "SHA-256" in refused(layout, cache)
        path.unlink()
        assert "No such file" in refused(layout, cache)
        path.write_bytes(content)


def test_a_layer_that_decompresses_to_another_is_refused(layout: Path, cache: Path) -> None:
    descriptor = make_layout(layout, [file("a", "b")])
    manifest = json.loads((layout / "blobs/sha256" / descriptor["digest"][7:]).read_text())
    config = json.loads((layout / "blobs/sha256" / manifest["config"]["digest"][7:]).read_text())
    config["rootfs"]["diff_ids"] = ["sha256:" + "0" * 64]
    manifest["config"] = put(layout, json.dumps(config).encode(), f"{OCI}.config.v1+json")
    write_index(layout, put(layout, json.dumps(manifest).encode(), f"{OCI}.manifest.v1+json"))
    assert "does not decompress to sha256:000" in refused(layout, cache)


def test_of_several_machines_this_one_s_image_is_taken_and_of_several_images_none(layout: Path, cache: Path) -> None:
    other_machine = make_layout(layout, [file("theirs")], machine="pdp11") | {"platform": {"os": "linux", "architecture": "pdp11"}}
    ours = make_layout(layout, [file("ours")])
    index = put(layout, json.dumps({"manifests": [other_machine, ours]}).encode(), f"{OCI}.index.v1+json")
    write_index(layout, index)
    assert tree(unpack_image(layout, cache).root) == {"ours": ""}
    named = [each | {"annotations": {"org.opencontainers.image.ref.name": name}} for each, name in ((ours, "new"), (other_machine, "old"))]
    write_index(layout, *({key: value for key, value in each.items() if key != "platform"} for each in named))
    empty = cache.with_name("empty")
    assert "holds 2 images" in refused(layout, empty)
    assert "new, old" in refused(layout, empty)
    write_index(layout)
    assert "holds 0 images" in refused(layout, empty)


def test_an_image_for_another_machine_or_of_unknown_layers_is_refused(layout: Path, cache: Path) -> None:
    make_layout(layout, [file("a")], machine="pdp11")
    assert "it is for linux on pdp11" in refused(layout, cache)
    make_layout(layout, [file("a")], kind="application/vnd.example.secret")
    assert "vnd.example.secret" in refused(layout, cache)


def test_an_environment_that_no_process_could_have_is_refused_before_anything_is_unpacked(layout: Path, cache: Path) -> None:
    descriptor = make_layout(layout, [file("a")])
    manifest = json.loads((layout / "blobs/sha256" / descriptor["digest"][7:]).read_text())
    config = json.loads((layout / "blobs/sha256" / manifest["config"]["digest"][7:]).read_text())
    config["config"] = {"Env": ["PATH=/bin\0/usr/bin"]}
    manifest["config"] = put(layout, json.dumps(config).encode(), f"{OCI}.config.v1+json")
    write_index(layout, put(layout, json.dumps(manifest).encode(), f"{OCI}.manifest.v1+json"))
    assert "NUL" in refused(layout, cache)


def test_an_index_nested_deeper_than_json_is_read_is_refused(layout: Path, cache: Path) -> None:
    make_layout(layout, [file("a")])
    (layout / "index.json").write_text("[" * 100_000)
    assert "cannot be read as an OCI image" in refused(layout, cache)


def test_what_is_no_image_is_told(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "nonsense").write_text("no tar")
    assert "cannot be read as an OCI image" in refused(tmp_path / "nonsense", cache)
    with tarfile.open(tmp_path / "saved.tar", "w:") as archive:
        archive.addfile(tarfile.TarInfo("manifest.json"))
    assert "it holds no oci-layout" in refused(tmp_path / "saved.tar", cache)
    assert (is_image(tmp_path), is_image(tmp_path / "saved.tar"), is_image(tmp_path / "gone")) == (False, True, False)
