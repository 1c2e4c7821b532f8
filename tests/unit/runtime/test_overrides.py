from __future__ import annotations

import pytest

from wheelhouse_builder.runtime.overrides import only_overridden

UNMET = "aiobotocore 2.25.0 has requirement botocore<1.40.50,>=1.40.46, but you have botocore 1.43.0."
MISSING = "Some.Thing 1.0 requires python_extra, which is not installed."


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (UNMET, True),
        (f"{UNMET}\n{UNMET}\n", True),
        (MISSING, True),
        (f"{UNMET}\n{MISSING}\n", True),
        (UNMET.replace("aiobotocore", "boto3"), False),
        (UNMET.replace("have botocore", "have urllib3"), False),
        (f"{UNMET}\nother 1.0 requires botocore, which is not installed.", False),
        (f"{UNMET}\nother 1.0 is not supported on this platform", False),
        ("Traceback (most recent call last):", False),
        ("", False),
    ],
)
def test_exactly_what_was_overridden_may_be_complained_about(said: str, expected: bool) -> None:
    assert only_overridden(said, [("aiobotocore", "botocore"), ("some-thing", "python-extra")]) is expected
