"""Versions as PEP 440 has them, as far as a reader has to know: whether two spellings mean the same one."""

import re
from typing import Tuple

_VERSION = re.compile(
    r"v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_n>\d*))?"
    r"(?:-(?P<post_implicit>\d+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_n>\d*))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_n>\d*))?(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.ASCII,
)
_PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}


def same_version(one: str, other: str) -> bool:
    """Whether two spellings mean the same version (PEP 440)."""
    return one == other or _version_key(one) == _version_key(other)


def _version_key(version: str) -> Tuple[str, ...]:
    match = _VERSION.fullmatch(version.strip().lower())
    if match is None:
        return ("?", version)
    part = match.groupdict(default="")
    release = re.sub(r"(?:\.0+)*$", "", ".".join(str(int(number)) for number in part["release"].split(".")))
    pre = _PRE.get(part["pre"], part["pre"]) + _number(part["pre"], part["pre_n"])
    post = "post" + _number("post", part["post_implicit"] or part["post_n"]) if part["post"] or part["post_implicit"] else ""
    dev = part["dev"] + _number(part["dev"], part["dev_n"])
    local = ".".join(_number(piece, piece) if piece.isdigit() else piece for piece in re.split(r"[-_.]", part["local"]))
    return (str(int(part["epoch"] or "0")), release, pre, post, dev, local)


def _number(word: str, digits: str) -> str:
    """A number behind ``word``: left out, it is 0; without a word there is none."""
    return str(int(digits or "0")) if word else ""
