from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.index import UPLOADED, LocalIndex, dropped, failing, missing, redirect
from tests.support.wheels import make_sdist, make_wheel
from wheelhouse_builder.adapters.index import (
    Abandoned,
    IndexClient,
    Login,
    Page,
    Patience,
    login_from_environment,
    origin,
    parse_page,
    shown,
    split_login,
)
from wheelhouse_builder.errors import EnvironmentFailure, IndexFailure

WHEEL = "demo-1.0-py3-none-any.whl"
IMPATIENT = Patience(attempts=3, first=0.001, longest=0.01)


class Bytes:
    """A sink in memory."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.expected: int | None = None

    @property
    def size(self) -> int:
        return len(self.data)

    def write(self, data: bytes) -> None:
        self.data += data

    def expect(self, size: int) -> None:
        self.expected = size

    def restart(self) -> None:
        self.data.clear()


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "NETRC"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def distributions(tmp_path: Path) -> Path:
    directory = tmp_path / "distributions"
    make_wheel(directory, "demo", "1.0", requires_python=">=3.8", files={"demo.py": bytes(range(256)) * 400}, compression=0)
    make_sdist(directory, "demo", "1.0")
    make_wheel(directory, "other", "1.0")
    return directory


@pytest.fixture
def client() -> Iterator[IndexClient]:
    with IndexClient(patience=IMPATIENT) as client:
        yield client


# Project pages


def test_html_and_json_tell_the_same(distributions: Path, client: IndexClient) -> None:
    with LocalIndex(distributions, form="html", yanked={WHEEL: "broken"}) as index:
        html = client.files(index.url, "Demo")
        index.form = "json"
        json_ = client.files(index.url, "demo")
    assert [file.filename for file in html] == ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"]
    for one, other in zip(html, json_, strict=True):
        for key in ("project", "filename", "url", "hashes", "requires_python", "yanked", "yanked_reason", "metadata"):
            assert getattr(one, key) == getattr(other, key)
    assert (html[0].requires_python, html[0].yanked, html[0].yanked_reason, html[0].metadata) == (">=3.8", True, "broken", True)
    assert (json_[0].size, json_[0].uploaded) == ((distributions / WHEEL).stat().st_size, UPLOADED)


def test_json_is_asked_for_first(distributions: Path, client: IndexClient) -> None:
    with LocalIndex(distributions) as index:
        assert client.files(index.url.rstrip("/"), "demo")[0].size
        assert index.requests[0].headers["accept"].startswith("application/vnd.pypi.simple.v1+json,")


def test_an_index_without_hashes_and_metadata_is_read_as_well(distributions: Path, client: IndexClient) -> None:
    with LocalIndex(distributions, hashes=False, metadata=False) as index:
        file = client.files(index.url, "other")[0]
    assert (file.hashes, file.metadata) == ({}, False)


def html_page(body: str, url: str = "https://pypi.org/simple/demo/") -> Page:
    return Page(url=url, content_type="text/html; charset=utf-8", body=body.encode())


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("../../files/demo-1.0.tar.gz#sha256=ab", "https://pypi.org/files/demo-1.0.tar.gz"),
        ("//files.pypi.org/demo-1.0.tar.gz", "https://files.pypi.org/demo-1.0.tar.gz"),
        ("https://u:secret@pypi.org/demo-1.0.tar.gz", "https://pypi.org/demo-1.0.tar.gz"),
        ("https://files.pypi.org/a-1/b_2/demo-1.0%2Bcpu.tar.gz", "https://files.pypi.org/a-1/b_2/demo-1.0%2Bcpu.tar.gz"),
        ("https://files.pypi.org/demo-1.0.tar.gz#sha256=ab", "https://files.pypi.org/demo-1.0.tar.gz"),
        ("https://u:secret@pypi.org:8443/a/demo-1.0.tar.gz", "https://pypi.org:8443/a/demo-1.0.tar.gz"),
        ("https:demo-1.0.tar.gz", "https://pypi.org/simple/demo/demo-1.0.tar.gz"),
        ("demo-1.0.tar.gz?token=1&amp;b=2", "https://pypi.org/simple/demo/demo-1.0.tar.gz?token=1&b=2"),
    ],
)
def test_links_are_made_absolute_and_lose_credentials(link: str, url: str) -> None:
    assert [file.url for file in parse_page("demo", html_page(f'<a href="{link}">demo-1.0.tar.gz</a>'))] == [url]


def test_the_base_of_a_page_is_honoured() -> None:
    page = html_page('<head><base href="https://mirror.pypi.org/x/"></head><a href="demo-1.0%2Bcpu-py3-none-any.whl">x</a>')
    assert parse_page("demo", page)[0].url == "https://mirror.pypi.org/x/demo-1.0%2Bcpu-py3-none-any.whl"
    assert parse_page("demo", page)[0].filename == "demo-1.0+cpu-py3-none-any.whl"


def test_links_that_are_no_distributions_are_left_out() -> None:
    assert parse_page("demo", html_page('<a href="../">up</a><a>x</a><a href="demo-1.0.tar.gz.asc">x</a>')) == ()


def test_upload_times_of_html_pages_are_read() -> None:
    page = html_page('<a href="demo-1.0.tar.gz" data-upload-time="2013-07-16T19:29:45.445020Z">x</a>')
    assert parse_page("demo", page)[0].uploaded == datetime(2013, 7, 16, 19, 29, 45, 445020, UTC)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", '<meta name="pypi:repository-version" content="2.0">'),
        ("application/json", '{"meta": {"api-version": "2.0"}, "files": []}'),
        ("application/json", "<html>"),
        ("application/json", "[]"),
        ("application/json", '{"files": []}'),
        ("application/json", '{"meta": {"api-version": "1.0"}, "files": [{"filename": "a.whl"}]}'),
        ("application/json", json.dumps({"meta": {"api-version": "1.0"}, "files": [{"filename": "../a.whl", "url": "a", "hashes": {}}]})),
        ("application/json", json.dumps({"meta": {"api-version": "1.0"}, "files": [{"filename": "a.whl", "url": "a", "hashes": None}]})),
    ],
)
def test_a_page_that_is_none_is_refused(content_type: str, body: str) -> None:
    with pytest.raises(IndexFailure, match="not as an index's page must be"):
        parse_page("demo", Page(url="https://user:secret@pypi.org/simple/demo/", content_type=content_type, body=body.encode()))


def test_a_project_that_the_index_does_not_have_is_said_at_once(distributions: Path, client: IndexClient) -> None:
    with LocalIndex(distributions) as index, pytest.raises(IndexFailure, match="404 Not Found") as caught:
        client.files(index.url, "absent")
    assert "look at its name" in caught.value.hint
    assert len(index.requests) == 1


def test_a_directory_can_be_an_index(tmp_path: Path, client: IndexClient) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "index.html").write_text(f'<a href="{WHEEL}#sha256=AB">x</a>')
    file = client.files(tmp_path.as_uri(), "demo")[0]
    assert (file.url, file.hashes) == ((tmp_path / "demo" / WHEEL).as_uri(), {"sha256": "ab"})
    with pytest.raises(IndexFailure, match="cannot read"):
        client.files(tmp_path.as_uri(), "absent")


# Downloads and patience


def fetched(client: IndexClient, index: LocalIndex, sink: Bytes | None = None) -> bytes:
    sink = sink or Bytes()
    client.download(index.file_url(WHEEL), sink)
    return bytes(sink.data)


def test_a_file_is_brought_whole(distributions: Path, client: IndexClient) -> None:
    with LocalIndex(distributions) as index:
        assert fetched(client, index) == (distributions / WHEEL).read_bytes()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_trouble_that_passes_is_waited_for(distributions: Path, client: IndexClient, status: int) -> None:
    with LocalIndex(distributions) as index:
        index.fault(WHEEL, failing(status, times=2))
        assert fetched(client, index) == (distributions / WHEEL).read_bytes()
    assert [request.status for request in index.requests] == [status, status, 200]


def test_trouble_that_stays_is_told(distributions: Path, client: IndexClient) -> None:
    with LocalIndex(distributions) as index:
        index.fault(WHEEL, failing(503))
        with pytest.raises(IndexFailure, match="503 Service Unavailable") as caught:
            fetched(client, index)
    assert (len(index.requests), "try again later" in caught.value.hint) == (3, True)


@pytest.mark.parametrize("when", ["0", "Sun, 01 Nov 2020 12:00:00 GMT"])
def test_retry_after_is_obeyed(distributions: Path, when: str) -> None:
    with IndexClient(patience=Patience(attempts=2, first=60.0)) as client, LocalIndex(distributions) as index:
        index.fault(WHEEL, failing(429, times=1, retry_after=when))
        assert fetched(client, index)


def test_waits_double_and_end() -> None:
    patience = Patience(first=1.0, longest=8.0)
    for failures, base in ((1, 1.0), (2, 2.0), (4, 8.0), (9, 8.0)):
        assert all(base * 0.5 <= patience.wait(failures) <= base * 1.5 for _ in range(50))


def test_a_dropped_connection_is_taken_up_where_it_broke(distributions: Path, client: IndexClient) -> None:
    with LocalIndex(distributions) as index:
        for after in (30_000, 20_000, 10_000, 5_000, 1_000):  # more often than there are attempts: each brings something
            index.fault(WHEEL, dropped(after))
        assert fetched(client, index) == (distributions / WHEEL).read_bytes()
    assert [request.status for request in index.requests] == [200, 206, 206, 206, 206, 206]
    assert index.requests[1].headers["range"].startswith("bytes=")


def test_an_index_without_ranges_starts_again(distributions: Path, client: IndexClient) -> None:
    with LocalIndex(distributions, ranges=False) as index:
        index.fault(WHEEL, dropped(30_000))
        assert fetched(client, index) == (distributions / WHEEL).read_bytes()
    assert [request.status for request in index.requests] == [200, 200]


def test_a_leftover_that_is_longer_than_the_file_is_forgotten(distributions: Path, client: IndexClient) -> None:
    with LocalIndex(distributions) as index:
        assert fetched(client, index, Bytes(bytes(1_000_000))) == (distributions / WHEEL).read_bytes()
    assert [request.status for request in index.requests] == [416, 200]


def test_redirects_are_followed(distributions: Path, client: IndexClient) -> None:
    with LocalIndex(distributions) as index:
        index.fault("/old/" + WHEEL, redirect(index.file_url(WHEEL)))
        sink = Bytes()
        client.download(f"{index.origin}/old/{WHEEL}", sink)
    assert bytes(sink.data) == (distributions / WHEEL).read_bytes()


@pytest.mark.parametrize(
    ("location", "words"), [("/files/" + WHEEL, "more than 10 times"), ("file:///etc/passwd", "not HTTP"), ("ftp://x/", "not HTTP")]
)
def test_redirects_that_lead_nowhere_good_are_refused(distributions: Path, client: IndexClient, location: str, words: str) -> None:
    with LocalIndex(distributions) as index:
        index.fault(WHEEL, redirect(location))
        with pytest.raises(IndexFailure, match=words):
            fetched(client, index)


def test_nobody_there_is_a_sentence_and_a_hint(client: IndexClient) -> None:
    with pytest.raises(IndexFailure, match=r"http://127\.0\.0\.1:9/x\.whl") as caught:
        client.download("http://user:secret@127.0.0.1:9/x.whl?token=secret", Bytes())
    assert "reachable" in caught.value.hint
    assert "secret" not in f"{caught.value}{caught.value.hint}"


def test_a_file_url_is_copied_from_where_the_sink_ends(distributions: Path, client: IndexClient) -> None:
    data = (distributions / WHEEL).read_bytes()
    sink = Bytes(data[:10])
    client.download((distributions / WHEEL).as_uri(), sink)
    assert bytes(sink.data) == data
    with pytest.raises(IndexFailure, match="No such file"):
        client.download((distributions / "absent.whl").as_uri(), Bytes())


def test_an_abandoned_client_stops(distributions: Path, client: IndexClient) -> None:
    client.abandon()
    with LocalIndex(distributions) as index, pytest.raises(Abandoned):
        fetched(client, index)


# Credentials


LOGIN = Login(user="me", password="s3cret:@/")


def test_credentials_are_taken_out_of_a_url() -> None:
    assert split_login("https://me:s3cret%3A%40%2F@pypi.org/simple") == ("https://pypi.org/simple", LOGIN)
    assert split_login("https://pypi.org/simple") == ("https://pypi.org/simple", None)


def test_what_is_shown_holds_no_secret() -> None:
    assert shown("https://me:secret@pypi.org:8443/x?token=secret#secret") == "https://pypi.org:8443/x"
    assert "s3cret" not in repr(LOGIN)


@pytest.mark.parametrize(("url", "expected"), [("https://pypi.org/x", "https://pypi.org:443"), ("http://u@h:81/", "http://h:81")])
def test_an_origin_is_scheme_host_and_port(url: str, expected: str) -> None:
    assert origin(url) == expected


def test_credentials_are_sent_for_pages_and_files(distributions: Path) -> None:
    with LocalIndex(distributions, auth=(LOGIN.user, LOGIN.password)) as index, IndexClient(logins={index.url: LOGIN}) as client:
        assert client.files(index.url, "demo")
        assert fetched(client, index)


def test_credentials_in_the_url_are_used(distributions: Path, client: IndexClient) -> None:
    with LocalIndex(distributions, auth=("me", "secret")) as index:
        assert client.files(index.url.replace("//", "//me:secret@"), "demo")


@pytest.mark.parametrize("by_variable", [True, False])
def test_credentials_come_from_netrc(distributions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, by_variable: bool) -> None:
    path = tmp_path / "home" / ".netrc"
    if by_variable:
        path = tmp_path / "my-netrc"
        monkeypatch.setenv("NETRC", str(path))
    path.parent.mkdir(exist_ok=True)
    path.write_text("machine 127.0.0.1 login me password secret\n")
    path.chmod(0o600)
    with LocalIndex(distributions, auth=("me", "secret")) as index, IndexClient() as client:
        assert fetched(client, index)


def test_the_default_of_netrc_is_sent_to_nobody(distributions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with LocalIndex(distributions) as index, IndexClient() as client:
        assert fetched(client, index)
    assert "authorization" not in index.requests[0].headers


@pytest.mark.parametrize("content", ["machine x login me passwort secret\n", None])
def test_a_bad_netrc_is_told_without_its_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None) -> None:
    if content is not None:
        (tmp_path / "netrc").write_text(content)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(EnvironmentFailure, match="netrc") as caught:
        IndexClient()
    assert "secret" not in str(caught.value)


def test_wrong_and_missing_credentials_are_told_without_a_second_try(distributions: Path, client: IndexClient) -> None:
    with LocalIndex(distributions, auth=("me", "right")) as index:
        with pytest.raises(IndexFailure, match="401 Unauthorized") as caught:
            fetched(client, index)
        assert "Give credentials" in caught.value.hint
        with IndexClient(logins={index.url: Login(user="me", password="wrong")}) as wrong, pytest.raises(IndexFailure) as caught:
            fetched(wrong, index)
    assert "does not take these credentials" in caught.value.hint
    assert "wrong" not in f"{caught.value}{caught.value.hint}"
    assert len(index.requests) == 2


def test_credentials_do_not_follow_a_redirect_to_another_origin(distributions: Path) -> None:
    with LocalIndex(distributions) as theirs, LocalIndex(distributions, auth=("me", "secret")) as ours:
        ours.fault(WHEEL, redirect(theirs.file_url(WHEEL)))
        with IndexClient(logins={ours.url: Login(user="me", password="secret")}) as client:
            assert fetched(client, ours)
    assert "authorization" in ours.requests[0].headers
    assert "authorization" not in theirs.requests[0].headers


def test_credentials_come_from_named_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_USER", "me")
    monkeypatch.setenv("ACME_PASSWORD", "s3cret:@/")
    assert login_from_environment("ACME_USER", "ACME_PASSWORD") == LOGIN
    assert login_from_environment(None, "ACME_PASSWORD").user == "__token__"
    monkeypatch.delenv("ACME_PASSWORD")
    with pytest.raises(EnvironmentFailure, match="ACME_PASSWORD"):
        login_from_environment("ACME_USER", "ACME_PASSWORD")


# The way


def test_a_proxy_from_the_environment_is_used(distributions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalIndex(distributions) as proxy:
        proxy.fault("/files/" + WHEEL, missing())
        monkeypatch.setenv("HTTP_PROXY", proxy.origin)
        with IndexClient(patience=IMPATIENT) as client, pytest.raises(IndexFailure, match="404"):
            client.download(f"http://pypi.invalid/files/{WHEEL}", Bytes())
    assert proxy.requests[0].path == f"http://pypi.invalid/files/{WHEEL}"


def test_a_bad_proxy_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://me:secret@proxy:1")
    with pytest.raises(EnvironmentFailure, match="proxy") as caught:
        IndexClient()
    assert "secret" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_that_cannot_be_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "absent.pem"))
    with pytest.raises(EnvironmentFailure, match=variable):
        IndexClient()


def test_the_certificates_of_the_environment_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    authorities = ssl.get_default_verify_paths().cafile
    if authorities:
        monkeypatch.setenv("CURL_CA_BUNDLE", authorities)
    with IndexClient():
        pass
