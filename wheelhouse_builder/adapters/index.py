"""Indexes: the one place that opens sockets. Project pages (PEP 503 and PEP 691) and files, over HTTP or from this host.

Credentials never travel inside a URL here: they are taken out of it on the way in, belong to an origin (scheme, host and port), and
are in no message. They go to that origin only, and not to one that it redirects to.
"""

from __future__ import annotations

import base64
import email.utils
import json
import netrc
import os
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from sys import intern
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import url2pathname

import httpx
from packaging.utils import canonicalize_name

from wheelhouse_builder.errors import EnvironmentFailure, IndexFailure

CONNECTIONS = 16
"""How many files are fetched at once."""
PIECE = 1 << 18
"""Bytes handed on at once."""
MAX_PAGE = 256 << 20
"""Bytes of a project page; the longest ones of the real index have about 20 MB."""
MAX_REDIRECTS = 10
MAX_TRIES = 100
"""Of one file, even if each brings a little."""
ACCEPTED_PAGES = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PLAIN_URL = re.compile(r"https?://[a-z0-9.-]+(?:/[A-Za-z0-9_%+~!-][A-Za-z0-9_.%+~!-]*)+")
"""One that is absolute already, and holds nothing to take out: without credentials, query, fragment and steps upwards."""
WORTH_A_RETRY = frozenset({408, 425, 429, 500, 502, 503, 504})
DISTRIBUTIONS = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz", ".egg")


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """What an index wants to see before it answers."""

    user: str
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        """The value of the Authorization header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexFile:
    """One distribution as an index tells of it."""

    project: str
    """Normalized."""
    filename: str
    url: str
    """Absolute, without credentials and fragment."""
    hashes: Mapping[str, str]
    """Algorithm → hexadecimal digest."""
    size: int | None = None
    uploaded: datetime | None = None
    """UTC."""
    requires_python: str | None = None
    yanked: bool = False
    yanked_reason: str = ""
    metadata: bool = False
    """METADATA lies beside the file, at ``url`` + ``.metadata`` (PEP 658, PEP 714)."""
    provenance: str | None = None
    """Where its attestations are found (PEP 740): absolute, without credentials."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long to bear with an index that fails for a while. Waits double from ``first`` to ``longest`` seconds, give or take a half."""

    attempts: int = 5
    """In a row that bring nothing."""
    first: float = 0.3
    longest: float = 10.0

    def wait(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        return min(self.longest, self.first * 2.0 ** (failures - 1)) * random.uniform(0.5, 1.5)  # noqa: S311 (nobody gains by guessing it)


class Sink(Protocol):
    """Where a file arrives."""

    @property
    def size(self) -> int:
        """Bytes that are there already."""
        ...

    def expect(self, size: int) -> None:
        """Learn that the whole file has ``size`` bytes, if the server is right."""
        ...

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        ...

    def restart(self) -> None:
        """Forget what has arrived."""
        ...


@dataclass(kw_only=True, slots=True)
class InMemory:
    """A :class:`Sink` that keeps what arrives."""

    data: bytearray = field(default_factory=bytearray)

    @property
    def size(self) -> int:
        """Bytes that are there already."""
        return len(self.data)

    def expect(self, size: int) -> None:
        """Nothing depends on it."""

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        self.data += data

    def restart(self) -> None:
        """Forget what has arrived."""
        self.data.clear()


# URLs and credentials


def split_login(url: str) -> tuple[str, Login | None]:
    """A URL without its credentials, and the credentials."""
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = userinfo.partition(":")
    return urlunsplit(parts._replace(netloc=host)), Login(user=unquote(user), password=unquote(password))


def shown(url: str) -> str:
    """A URL as messages may have it: without credentials, query and fragment, where tokens may stand."""
    return urlunsplit(urlsplit(split_login(url)[0])._replace(query="", fragment=""))


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def login_from_environment(user: str | None, password: str) -> Login:
    """The login whose password, and user if it has one, stand in the environment variables of these names."""
    missing = [name for name in (user, password) if name and name not in os.environ]
    if missing:
        problems = [f"the environment variable {name}, which the spec names for an index, is not set" for name in missing]
        raise EnvironmentFailure(*problems, hint="Set it, or take it out of the spec.")
    return Login(user=os.environ[user] if user else "__token__", password=os.environ[password])


def netrc_logins() -> Mapping[str, Login]:
    """Host → login from the file that NETRC names, else ~/.netrc. Only machines that are named: its ``default`` would go to any host."""
    named = os.environ.get("NETRC")
    path = Path(named) if named else Path.home() / ".netrc"
    if not named and not path.is_file():
        return {}
    try:
        hosts = netrc.netrc(str(path)).hosts
    except netrc.NetrcParseError as error:  # its text may hold the secret
        raise EnvironmentFailure(f"{path}, line {error.lineno}: not as a netrc file must be", hint="Mend this line.") from None
    except OSError as error:
        raise EnvironmentFailure(f"cannot read {path}: {error.strerror}", hint="Mend NETRC or the file's permissions.") from error
    return {host: Login(user=login or "", password=password or "") for host, (login, _, password) in hosts.items() if host != "default"}


# The client


T = TypeVar("T")


class Abandoned(Exception):
    """The run was interrupted; nobody waits for the answer."""


class _Failed(Exception):
    """One attempt that failed.

    ``final``: another one would too. ``absent``: the index says that there is no such thing. ``after``: it asks to wait so many seconds.
    """

    def __init__(self, problem: str, *, hint: str = "", final: bool = False, absent: bool = False, after: float | None = None) -> None:
        super().__init__(problem)
        self.hint = hint
        self.final = final
        self.absent = absent
        self.after = after


def is_absent(failure: IndexFailure) -> bool:
    """Whether the index is well, and only does not have what was asked for."""
    return isinstance(failure.__cause__, _Failed)


def absent(problem: str, *, hint: str) -> IndexFailure:
    """A failure of which :func:`is_absent` is true."""
    failure = IndexFailure(problem, hint=hint)
    failure.__cause__ = _Failed(problem, absent=True)
    return failure


class IndexClient:
    """Reads indexes: one pool of connections, proxies and certificates from the environment, patient with what passes.

    ``logins``: origin or any URL of it → login, before those in netrc. Use it as a context manager; any thread may call it.
    """

    def __init__(self, *, logins: Mapping[str, Login] | None = None, patience: Patience | None = None) -> None:
        self._logins = {origin(url): login for url, login in (logins or {}).items()}
        self._hosts = netrc_logins()
        self._patience = patience or Patience()
        self._abandoned = threading.Event()
        self._http = _http_client()
        self._counting = threading.Lock()
        self._parsing = threading.Lock()  # of two pages at once none is parsed sooner, and each takes many times its size meanwhile
        self._requests = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._http.close()

    @property
    def requests(self) -> int:
        """How many were sent, redirects and repetitions included."""
        return self._requests

    def abandon(self) -> None:
        """End all work of other threads soon, with :class:`Abandoned`; the client is of no use afterwards."""
        self._abandoned.set()

    def files(self, index: str, project: str) -> tuple[IndexFile, ...]:
        """All distributions of ``project`` on the index at the URL ``index`` (``https://pypi.org/simple``)."""
        name = canonicalize_name(project)
        page = self._patiently(lambda: self._page(f"{index.rstrip('/')}/{name}/"))
        with self._parsing:
            return parse_page(name, page)

    def download(self, url: str, sink: Sink) -> None:
        """Bring the bytes at ``url`` into ``sink``, those that are missing. Raises IndexFailure; what has arrived stays in the sink."""
        if urlsplit(url).scheme == "file":
            return self._copy(url, sink)
        return self._patiently(lambda: self._download(url, sink), progress=lambda: sink.size)

    def check_abandoned(self) -> None:
        """Raise :class:`Abandoned` if the run was interrupted."""
        if self._abandoned.is_set():
            raise Abandoned

    def _patiently(self, attempt: Callable[[], T], progress: Callable[[], int] = lambda: 0) -> T:
        """Try until it works, it is hopeless, or ``attempts`` in a row brought no progress."""
        tries = failures = 0
        while True:
            tries += 1
            self.check_abandoned()
            before = progress()
            try:
                return attempt()
            except _Failed as failed:
                failures = 1 if progress() > before else failures + 1
                if failed.final or failures >= self._patience.attempts or tries >= MAX_TRIES:
                    raise IndexFailure(str(failed), hint=failed.hint) from (failed if failed.absent else failed.__cause__)
                self._abandoned.wait(self._patience.wait(failures) if failed.after is None else min(failed.after, 60.0))

    def _page(self, url: str) -> Page:
        if urlsplit(url).scheme == "file":
            return _local_page(url)
        with self._answer(url, {"Accept": ACCEPTED_PAGES}) as answer:
            body = bytearray()
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > MAX_PAGE:
                    raise _Failed(f"{shown(url)} has more than {MAX_PAGE} bytes", final=True)
            return Page(url=str(answer.url), content_type=answer.headers.get("Content-Type", ""), body=bytes(body))

    def _download(self, url: str, sink: Sink) -> None:
        # identity: the bytes of the file are wanted, not those of a proxy's compressor
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={sink.size}-"} if sink.size else {})
        with self._answer(url, headers) as answer:
            if sink.size and not _continues(answer, sink.size):
                sink.restart()
                if answer.status_code != httpx.codes.OK:
                    raise _Failed(f"{shown(url)} gave another part than was asked for")
            if (length := answer.headers.get("Content-Length", "")).isdecimal():
                sink.expect(sink.size + int(length))
            for piece in _gathered(answer.iter_raw()):
                self.check_abandoned()
                sink.write(piece)

    @contextmanager
    def _answer(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """The good answer to a GET, its body not read yet; every other one is a :class:`_Failed`."""
        try:
            answer = self._follow(url, headers)
            try:
                yield answer
            finally:
                answer.close()
        except (httpx.TransportError, httpx.StreamError) as error:
            raise _Failed(f"{shown(url)}: {_reason(error)}", hint=_unreachable(url, error)) from error
        except (httpx.InvalidURL, httpx.DecodingError) as error:
            raise _Failed(f"{shown(url)}: {error}", final=True) from error

    def _follow(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        clean, login = split_login(url)
        for _ in range(MAX_REDIRECTS):
            login = login or self._login(clean)
            sent = {**headers, **({"Authorization": login.header} if login else {})}
            with self._counting:
                self._requests += 1
            answer = self._http.send(self._http.build_request("GET", clean, headers=sent), stream=True)
            if not answer.has_redirect_location:
                return _accepted(answer, clean, with_login=login is not None)
            answer.close()
            clean, login = _redirected(clean, answer.headers["Location"]), None
        raise _Failed(f"{shown(url)} redirects more than {MAX_REDIRECTS} times", final=True)

    def _login(self, url: str) -> Login | None:
        return self._logins.get(origin(url)) or self._hosts.get(urlsplit(url).hostname or "")

    def _copy(self, url: str, sink: Sink) -> None:
        path = local_path(url)
        try:
            with path.open("rb") as file:
                file.seek(sink.size)
                while piece := file.read(PIECE):
                    self.check_abandoned()
                    sink.write(piece)
        except OSError as error:
            raise IndexFailure(
                f"cannot read {path}: {error.strerror}", hint="The lock names this file: bring it back, or lock again."
            ) from error


def _http_client() -> httpx.Client:
    limits = httpx.Limits(max_connections=2 * CONNECTIONS, max_keepalive_connections=2 * CONNECTIONS)
    try:
        return httpx.Client(
            verify=_certificates(),
            limits=limits,
            timeout=httpx.Timeout(30.0, connect=10.0, pool=None),
            headers={"User-Agent": "wheelhouse"},
        )
    except (ValueError, httpx.InvalidURL):  # its text would show the proxy's password
        problem = "the proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY is not one that can be used"
        raise EnvironmentFailure(problem, hint="Write it as http://host:port, or unset it.") from None


def _certificates() -> ssl.SSLContext:
    """The authorities that this host trusts, and those that the environment names."""
    named = {variable: Path(os.environ[variable]) for variable in CERTIFICATES if os.environ.get(variable)}
    context = ssl.create_default_context()  # OpenSSL itself reads SSL_CERT_FILE and SSL_CERT_DIR, and says nothing when it cannot
    known = named.get("SSL_CERT_FILE")
    for variable, path in named.items():
        try:
            if path.is_dir():
                context.load_verify_locations(capath=path)
            elif path != known or not path.is_file():
                context.load_verify_locations(cafile=path)
        except OSError as error:
            problem = f"{variable} names {path}, which cannot be read as certificates: {error.strerror or error}"
            raise EnvironmentFailure(problem, hint=f"Mend or unset {variable}.") from error
    if not named and not context.get_ca_certs():
        return httpx.create_ssl_context()  # a Python without a trust store of its host: that of certifi
    return context


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same in larger pieces: those of TLS are so small that threads would do little else than wait for their turn.

    What a connection has brought before it broke is not lost.
    """
    held = bytearray()
    try:
        for piece in pieces:
            held += piece
            if len(held) >= PIECE:
                yield bytes(held)
                held.clear()
    except httpx.TransportError:
        yield bytes(held)
        raise
    yield bytes(held)


def _accepted(answer: httpx.Response, url: str, *, with_login: bool) -> httpx.Response:
    """The answer, if it is one to read on."""
    if answer.status_code in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT, httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE):
        return answer
    answer.close()
    problem = f"{shown(url)} answered {answer.status_code} {answer.reason_phrase}".rstrip()
    again = answer.status_code in WORTH_A_RETRY
    raise _Failed(
        problem,
        hint=_status_hint(answer, url, with_login=with_login),
        final=not again,
        absent=answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE),
        after=_retry_after(answer) if again else None,
    )


def _status_hint(answer: httpx.Response, url: str, *, with_login: bool) -> str:
    host = urlsplit(url).hostname
    match answer.status_code:
        case 401 | 403 if with_login:
            return f"{host} does not take these credentials: mend them in netrc, or in the environment variables that the spec names."
        case 401 | 403:
            return f"Give credentials: in netrc (machine {host} login … password …), or in environment variables that the spec names."
        case 404 | 410:
            return "The index does not have it (any more): look at its name, or lock again."
        case 407:
            return "The proxy wants credentials: write them into HTTPS_PROXY as http://user:password@host:port."
        case status if status in WORTH_A_RETRY:
            return f"{host} is in trouble: try again later; what was fetched so far is kept."
    return f"Ask whoever runs {host}."


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds that the index asks us to wait (RFC 9110, 10.2.3: seconds or a date)."""
    value = answer.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _redirected(url: str, location: str) -> str:
    target = split_login(urljoin(url, location))[0]
    if urlsplit(target).scheme not in ("http", "https"):
        raise _Failed(f"{shown(url)} redirects to {shown(target)}, which is not HTTP", final=True)
    if url.startswith("https:") and target.startswith("http:"):
        raise _Failed(f"{shown(url)} redirects to {shown(target)}: from an encrypted connection to an open one", final=True)
    return target


def _continues(answer: httpx.Response, size: int) -> bool:
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return answer.status_code == httpx.codes.PARTIAL_CONTENT and match is not None and int(match[1]) == size


def _reason(error: Exception) -> str:
    """What went wrong on the way, in words."""
    match error:
        case httpx.ConnectTimeout() | httpx.ReadTimeout() | httpx.WriteTimeout():
            return "no answer in time"
        case httpx.ProxyError():
            return f"the proxy refused: {error}"
        case httpx.RemoteProtocolError():
            return "the connection ended before the answer did"
        case _:
            return str(error) or type(error).__name__


def _unreachable(url: str, error: Exception) -> str:
    host = urlsplit(url).hostname
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return f"If {host} has a certificate of your own authority, name that authority's file in SSL_CERT_FILE."
    if isinstance(error, httpx.ProxyError):
        return "Look at HTTPS_PROXY and HTTP_PROXY, and write credentials into them as http://user:password@host:port."
    return f"Is {host} reachable from here? Behind a proxy, set HTTPS_PROXY. What was fetched so far is kept."


def local_path(url: str) -> Path:
    """The path of a file: URL."""
    return Path(url2pathname(urlsplit(url).path))


# Project pages


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A project page as it came."""

    url: str
    """Where it came from in the end; relative links start here."""
    content_type: str
    body: bytes


def _local_page(url: str) -> Page:
    path = local_path(url)
    try:
        return Page(url=url, content_type="text/html", body=(path / "index.html").read_bytes())
    except OSError as error:
        absent = isinstance(error, FileNotFoundError) and path.parent.is_dir()
        raise _Failed(f"cannot read {path}: {error.strerror}", hint="Is this directory an index?", final=True, absent=absent) from error


def parse_page(project: str, page: Page) -> tuple[IndexFile, ...]:
    """The distributions that a project page names, in its order."""
    kind = page.content_type.partition(";")[0].strip().lower()
    try:
        if kind.endswith("json"):
            return _parse_json(project, page)
        return _parse_html(project, page)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise IndexFailure(
            f"{shown(page.url)} is not as an index's page must be: {error}", hint="Is this URL an index (…/simple)?"
        ) from error


def _parse_json(project: str, page: Page) -> tuple[IndexFile, ...]:
    document = json.loads(page.body)
    _check_version(page, document["meta"]["api-version"])
    return tuple(_json_file(project, page, entry) for entry in document["files"])


def _json_file(project: str, page: Page, entry: Mapping[str, Any]) -> IndexFile:
    yanked = entry.get("yanked", False)
    metadata = entry.get("core-metadata", entry.get("dist-info-metadata", False))
    return IndexFile(
        project=project,
        filename=_plain_filename(entry["filename"]),
        url=_absolute(page.url, entry["url"])[0],
        hashes=_digests({str(name): str(value).lower() for name, value in entry["hashes"].items()}),
        size=int(entry["size"]) if entry.get("size") is not None else None,
        uploaded=_time(entry.get("upload-time")),
        requires_python=intern(str(entry.get("requires-python") or "")) or None,
        yanked=yanked is not False,
        yanked_reason=yanked if isinstance(yanked, str) else "",
        metadata=bool(metadata),
        provenance=_link(page.url, entry.get("provenance")),
    )


class _Sha256(Mapping[str, str]):
    """The one digest that most indexes tell of a file, in a quarter of what a dict takes: a catalogue's pages name half a million files."""

    __slots__ = ("_digest",)

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def __getitem__(self, algorithm: str) -> str:
        if algorithm != "sha256":
            raise KeyError(algorithm)
        return self._digest.hex()

    def __contains__(self, algorithm: object) -> bool:
        return algorithm == "sha256"

    def __iter__(self) -> Iterator[str]:
        return iter(("sha256",))

    def __len__(self) -> int:
        return 1


def _digests(told: Mapping[str, str]) -> Mapping[str, str]:
    plain = told.keys() == {"sha256"} and re.fullmatch("[0-9a-f]{64}", told["sha256"])
    return _Sha256(bytes.fromhex(told["sha256"])) if plain else told


def _parse_html(project: str, page: Page) -> tuple[IndexFile, ...]:
    anchors = _Anchors()
    anchors.feed(page.body.decode("utf-8", "replace"))
    anchors.close()
    _check_version(page, anchors.version)
    base = urljoin(page.url, anchors.base)
    files = (_html_file(project, base, anchor) for anchor in anchors.found if anchor.get("href"))
    return tuple(file for file in files if file.filename.endswith(DISTRIBUTIONS))


def _html_file(project: str, base: str, anchor: Mapping[str, str]) -> IndexFile:
    url, fragment = _absolute(base, anchor["href"])
    algorithm, _, digest = fragment.partition("=")
    metadata = anchor.get("data-core-metadata", anchor.get("data-dist-info-metadata"))
    return IndexFile(
        project=project,
        filename=_plain_filename(unquote(urlsplit(url).path.rpartition("/")[2]) or "-"),
        url=url,
        hashes=_digests({algorithm: digest.lower()} if digest else {}),
        uploaded=_time(anchor.get("data-upload-time")),
        requires_python=intern(anchor.get("data-requires-python") or "") or None,
        yanked="data-yanked" in anchor,
        yanked_reason=anchor.get("data-yanked", ""),
        metadata=metadata is not None and metadata != "false",
        provenance=_link(base, anchor.get("data-provenance")),
    )


class _Anchors(HTMLParser):
    """The links of a PEP 503 page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self.base = ""
        self.version = "1.0"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.found.append(attributes)
        elif tag == "base" and not self.base:
            self.base = attributes.get("href", "")
        elif tag == "meta" and attributes.get("name") == "pypi:repository-version":
            self.version = attributes.get("content", "")


def _check_version(page: Page, version: str) -> None:
    """PEP 629: another major version may mean anything."""
    if version.partition(".")[0] != "1":
        raise ValueError(f"it speaks version {version} of the index protocol, we speak 1 ({shown(page.url)})")


def _absolute(base: str, link: str) -> tuple[str, str]:
    """The URL that ``link`` means on the page ``base``, without credentials and fragment, and the fragment."""
    if _PLAIN_URL.fullmatch(link):
        return link, ""
    parts = urlsplit(split_login(urljoin(base, link))[0])
    return urlunsplit(parts._replace(fragment="")), parts.fragment


def _link(base: str, link: str | None) -> str | None:
    return None if link is None else _absolute(base, link)[0]


def _plain_filename(name: str) -> str:
    if "/" in name or "\\" in name or name in ("", ".", ".."):
        raise ValueError(f"{name!r} is not a file name")
    return name


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
