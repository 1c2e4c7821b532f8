"""What attestations say is read without believing it, and held against the file that they must speak of."""

from __future__ import annotations

import pytest

from tests.support import attested
from tests.support.attested import MALFORMED
from wheelhouse_builder.runtime.attested import Attested, publisher_name, read_attestations


def test_a_real_document_says_who_published_the_file() -> None:
    assert read_attestations(attested.DOCUMENT, attested.SHA256) == Attested(attested.PUBLISHER, (attested.PUBLISH,))
    assert (
        read_attestations(attested.OF_ANOTHER_FILE, attested.ANOTHER_SHA256).publisher
        == "github.com/trailofbits/pypi-attestations/.github/workflows/release.yml"
    )


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_or_of_another_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_attestations(MALFORMED[name], attested.SHA256)
    assert type(caught.value) is ValueError or name == "a statement that is no base64"
    assert str(caught.value)


@pytest.mark.parametrize(
    ("publisher", "name"),
    [
        ({"kind": "GitHub", "repository": "o/r", "workflow": "w.yml"}, "github.com/o/r/.github/workflows/w.yml"),
        ({"kind": "GitLab", "repository": "g/s/p", "workflow_filepath": ".gitlab-ci.yml"}, "gitlab.com/g/s/p//.gitlab-ci.yml"),
        ({"kind": "Google", "email": "a@example.org"}, "accounts.google.com/a@example.org"),
        ({"kind": "CircleCI", "project_id": "p", "pipeline_definition_id": "d"}, "circleci.com/p/d"),
    ],
)
def test_each_kind_of_publisher_has_a_name(publisher: dict[str, str], name: str) -> None:
    assert publisher_name(publisher) == name
