"""What ``pip check`` says of requirements that the packer overrode: it is expected, and nothing else is."""

import re
from typing import Iterable, Tuple

_COMPLAINT = re.compile(
    r"(?P<project>\S+) \S+ (?:requires (?P<missing>\S+), which is not installed\.|has requirement .+, but you have (?P<other>\S+) \S+\.)"
)


def only_overridden(said: str, overridden: Iterable[Tuple[str, str]]) -> bool:
    """Whether each line that ``pip check`` said complains of one of ``overridden``: whose requirement it is, and of which project."""
    expected = set(overridden)
    complaints = [_COMPLAINT.fullmatch(line.strip()) for line in said.splitlines() if line.strip()]
    return bool(complaints) and all(
        match is not None and (_normal(match.group("project")), _normal(match.group("missing") or match.group("other"))) in expected
        for match in complaints
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
