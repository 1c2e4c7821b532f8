"""What the attestations of a distribution say (PEP 740), read without believing it: of which file they speak, who published that, and how.

Whether its signatures hold is seen where the distribution is fetched: that takes X.509 and a transparency log. What is seen here needs
neither: that a document speaks of this very file, and says what a manifest tells of it. Numbers have no meaning in what is read, so they
are left as text.
"""

import base64
import json
import re
from typing import Any, Dict, List, NamedTuple, Tuple

PUBLISH, SLSA = PREDICATES = ("https://docs.pypi.org/attestations/publish/v1", "https://slsa.dev/provenance/v1")
"""What an index takes: who uploaded a file, and how it was built."""
PUBLISHERS = {
    "GitHub": "github.com/{repository}/.github/workflows/{workflow}",
    "GitLab": "gitlab.com/{repository}//{workflow_filepath}",
    "Google": "accounts.google.com/{email}",
    "CircleCI": "circleci.com/{project_id}/{pipeline_definition_id}",
}
"""How each kind of publisher is named: from the general to the particular, so that the beginning of a name is a name, too."""
_NAME = re.compile("[!-~]+")


class Attested(NamedTuple):
    """Who published a file, and what was attested of it."""

    publisher: str
    """As :data:`PUBLISHERS` has it."""
    predicates: Tuple[str, ...]
    """Of :data:`PREDICATES`, sorted; at least one."""


def read_attestations(data: bytes, sha256: str) -> Attested:
    """What the provenance document ``data`` says of the file with this digest. Raises ValueError with a clause; nothing is verified."""
    publishers, predicates = set(), set()
    document = _object(_parsed(data, "the document"), "the document")
    for bundle in _list(document, "attestation_bundles"):
        publishers.add(publisher_name(_object(_get(bundle, "publisher"), "publisher")))
        for attestation in _list(bundle, "attestations"):
            predicates.add(_predicate(_get(_get(attestation, "envelope"), "statement"), sha256))
    if len(publishers) > 1:
        raise ValueError("it names several publishers: {}".format(", ".join(map(ascii, sorted(publishers)))))
    if not predicates:
        raise ValueError("it holds no attestation")
    return Attested(publishers.pop(), tuple(sorted(predicates)))


def publisher_name(publisher: Dict[str, Any]) -> str:
    """The name of a publisher. Raises ValueError for a kind that is not known, and for one that lacks something."""
    form = PUBLISHERS.get(str(publisher.get("kind")))
    if form is None:
        raise ValueError("its publisher is of an unknown kind, {}".format(ascii(publisher.get("kind"))[:80]))
    try:
        name = form.format(**{key: value for key, value in publisher.items() if type(value) is str and value})
    except KeyError as error:
        raise ValueError("its publisher has no {}".format(error.args[0])) from None
    if not _NAME.fullmatch(name):
        raise ValueError("its publisher is {}, which is no name".format(ascii(name)[:80]))
    return name


def _predicate(statement: Any, sha256: str) -> str:
    """The predicate's type of an in-toto statement whose one subject is the file."""
    if type(statement) is not str:
        raise ValueError("an attestation has no statement")
    inner = _object(_parsed(base64.b64decode(statement), "a statement"), "a statement")
    subjects = _list(inner, "subject")
    if len(subjects) != 1 or _get(_get(subjects[0], "digest"), "sha256") != sha256:
        raise ValueError("it speaks of another file")
    predicate = inner.get("predicateType")
    if predicate not in PREDICATES:
        raise ValueError("it attests {}, which is not known".format(ascii(predicate)[:80]))
    return str(predicate)


def _parsed(data: bytes, what: str) -> Any:
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_without_twins, parse_int=str, parse_float=str)
    except RecursionError:
        raise ValueError("{} is nested too deeply".format(what)) from None
    except ValueError as error:
        raise ValueError("{} is not JSON ({})".format(what, ascii(str(error)))) from None


def _without_twins(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _object(value: Any, what: str) -> Dict[str, Any]:
    if type(value) is not dict:
        raise ValueError("{} is no object".format(what))
    return dict(value)


def _get(value: Any, key: str) -> Any:
    return _object(value, "what holds {!r}".format(key)).get(key)


def _list(value: Any, key: str) -> List[Any]:
    found = _get(value, key)
    if type(found) is not list:
        raise ValueError("{!r} is no list".format(key))
    return list(found)
