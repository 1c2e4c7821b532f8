"""Each content once, like beside like, in groups that a target can leave out."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from wheelhouse_builder.pack.members import Content
from wheelhouse_builder.pack.pool import ENOUGH, lay_out
from wheelhouse_builder.pack.streams import Source

NOWHERE = Source(path=Path("nowhere"), offset=0, length=0)


def content(path: str, *, size: int = 10, compiled: bool = False, text: str | None = None) -> Content:
    return Content(digest=hashlib.sha256((text or path).encode()).digest(), size=size, path=path, compiled=compiled, source=NOWHERE)


def paths(groups: tuple[tuple[Content, ...], ...]) -> list[list[str]]:
    return [[each.path for each in group] for group in groups]


def test_the_same_bytes_are_pooled_once() -> None:
    pool = lay_out([("a", content("a/LICENSE", text="MIT")), ("b", content("b/LICENSE", text="MIT"))], share_below=0)
    assert paths(pool.groups) == [["a/LICENSE"]]


def test_what_projects_share_comes_first_then_each_project() -> None:
    found = [("b", content("b.py")), ("b", content("MIT")), ("a", content("a.py")), ("a", content("MIT"))]
    assert paths(lay_out(found, share_below=0).groups) == [["MIT"], ["a.py"], ["b.py"]]


def test_small_projects_share_the_first_group() -> None:
    found = [("small", content("s.py", size=5)), ("large", content("l.py", size=50)), ("tiny", content("t.py", size=1))]
    assert paths(lay_out(found, share_below=10).groups) == [["s.py", "t.py"], ["l.py"]]


def test_machine_code_leads_then_neighbours_stand_together() -> None:
    order = ["x/core.so", "y/core.so", "METADATA", "x/a.py", "x/b.py", "y/a.py"]
    found = [("p", content(path, compiled=path.endswith(".so"))) for path in order]
    random.Random(0).shuffle(found)
    assert paths(lay_out(found, share_below=0).groups) == [order]


def test_a_group_that_no_window_spans_is_split_between_contents() -> None:
    sizes = {"1.py": ENOUGH - 1, "2.py": 1, "3.py": 1, "4.py": ENOUGH * 3, "5.py": 5}
    found = [("a", content(path, size=size)) for path, size in sizes.items()]
    assert paths(lay_out(found, share_below=0).groups) == [["1.py", "2.py"], ["3.py"], ["4.py"], ["5.py"]]


def test_empty_contents_are_nowhere() -> None:
    pool = lay_out([("a", content("a/__init__.py", size=0))], share_below=0)
    assert pool.groups == ()
    assert pool.starts == {}


def test_each_content_starts_where_the_one_before_ends() -> None:
    pool = lay_out([("a", content("1.py", size=3)), ("a", content("2.py", size=4)), ("b", content("3.py", size=5))], share_below=0)
    assert list(pool.starts.values()) == [0, 3, 7]
