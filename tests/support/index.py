"""A real index on this host: PEP 503 pages, PEP 691 documents and files over HTTP, with credentials and faults on demand."""

from __future__ import annotations

import base64
import email.message
import email.parser
import hashlib
import html
import json
import re
import socket
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import canonicalize_name

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "text/html; charset=utf-8"
UPLOADED = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What goes wrong with an answer. ``times``: with how many answers; None: with all."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    corrupt: bool = False
    delay: float = 0.0
    times: int | None = None


def failing(status: int = 503, *, times: int | None = None, retry_after: str | None = None) -> Fault:
    """Answer with ``status``."""
    return Fault(status=status, times=times, headers={"Retry-After": retry_after} if retry_after else {})


def missing() -> Fault:
    """Answer 404."""
    return Fault(status=404)


def redirect(location: str) -> Fault:
    """Answer 302 to ``location``."""
    return Fault(status=302, headers={"Location": location})


def dropped(after: int, *, times: int | None = 1) -> Fault:
    """Promise the whole body, send ``after`` bytes of it, and close the connection."""
    return Fault(drop_after=after, times=times)


def wrong_bytes(*, times: int | None = None) -> Fault:
    """Send a body of the right size of which one bit is wrong."""
    return Fault(corrupt=True, times=times)


def slow(seconds: float) -> Fault:
    """Wait before the body."""
    return Fault(delay=seconds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request that the index got, and what it answered."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    status: int


@dataclass(frozen=True, kw_only=True)
class Published:
    """One distribution as the index tells of it."""

    path: Path
    yanked: str | bool = False

    @cached_property
    def data(self) -> bytes:
        return self.path.read_bytes()

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def metadata(self) -> bytes:
        return read_metadata(self.path)

    @cached_property
    def headers(self) -> email.message.Message:
        return email.parser.BytesParser().parsebytes(self.metadata, headersonly=True)

    @property
    def project(self) -> str:
        return canonicalize_name(self.headers["Name"])


def read_metadata(path: Path) -> bytes:
    """METADATA of the wheel, or PKG-INFO of the sdist, at ``path``."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA")))
    with tarfile.open(path) as sdist:
        member = sdist.extractfile(next(name for name in sdist.getnames() if name.count("/") == 1 and name.endswith("/PKG-INFO")))
        assert member is not None
        return member.read()


class LocalIndex:
    """An index over the distributions in ``directory``; use it as a context manager.

    ``form``: "html" or "json" forces one, "negotiated" follows the Accept header. ``metadata``: publish PEP 658 files.
    ``auth``: demand these basic credentials, everywhere. ``ranges``: honour Range headers. ``yanked``: file name → True or a reason.
    ``provenance``: file name → its provenance document (PEP 740).
    The directory is read again for each page, so files may come and go. ``requests`` is the log.
    """

    def __init__(
        self,
        directory: Path,
        *,
        form: Literal["html", "json", "negotiated"] = "negotiated",
        metadata: bool = True,
        hashes: bool = True,
        auth: tuple[str, str] | None = None,
        ranges: bool = True,
        yanked: Mapping[str, str | bool] | None = None,
        provenance: Mapping[str, bytes] | None = None,
    ) -> None:
        self.directory = directory
        self.form = form
        self.metadata = metadata
        self.hashes = hashes
        self.auth = auth
        self.ranges = ranges
        self.yanked = dict(yanked or {})
        self.provenance = dict(provenance or {})
        self.requests: list[Request] = []
        self._faults: dict[str, list[Fault]] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:port``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """What a user writes as the index: ends in ``/simple/``."""
        return f"{self.origin}/simple/"

    def file_url(self, filename: str) -> str:
        """Where a distribution is found."""
        return f"{self.origin}/files/{quote(filename)}"

    def provenance_url(self, filename: str) -> str:
        """Where what is attested of a distribution is found."""
        return f"{self.origin}/integrity/{quote(filename)}/provenance"

    def fault(self, path: str, fault: Fault) -> None:
        """Let answers for ``path``, a file name or a URL path such as ``/simple/demo/``, go wrong; several wait in line."""
        self._faults.setdefault(path, []).append(fault)

    def fetched(self, filename: str) -> list[Request]:
        """The requests for one distribution."""
        return [request for request in self.requests if request.path.endswith("/" + quote(filename))]

    def published(self) -> Iterator[Published]:
        """All distributions, by file name."""
        for path in sorted(self.directory.iterdir()):
            if path.name.endswith((".whl", ".tar.gz")):
                yield Published(path=path, yanked=self.yanked.get(path.name, False))

    def take_fault(self, path: str) -> Fault:
        """The fault that is due for the URL path ``path``."""
        with self._lock:
            waiting = self._faults.get(path) or self._faults.get(path.rpartition("/")[2]) or []
            if not waiting:
                return Fault()
            fault = waiting[0]
            if fault.times is not None:
                waiting[:1] = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
            return fault

    def answer(self, path: str, accept: str) -> tuple[str, bytes] | None:
        """Content type and body for a URL path; None: there is no such thing."""
        as_json = self.form == "json" or (self.form == "negotiated" and JSON_TYPE in accept)
        if path in ("/simple/", "/simple"):
            return self._root(as_json=as_json)
        if match := re.fullmatch(r"/simple/([^/]+)/?", path):
            return self._project(match[1], as_json=as_json)
        if match := re.fullmatch(r"/files/([^/]+)", path):
            return self._file(match[1])
        if (match := re.fullmatch(r"/integrity/([^/]+)/provenance", path)) and match[1] in self.provenance:
            return "application/vnd.pypi.integrity.v1+json", self.provenance[match[1]]
        return None

    def _root(self, *, as_json: bool) -> tuple[str, bytes]:
        projects = sorted({published.project for published in self.published()})
        if as_json:
            document = {"meta": {"api-version": "1.1"}, "projects": [{"name": project} for project in projects]}
            return JSON_TYPE, json.dumps(document).encode()
        return HTML_TYPE, _page(f'<a href="/simple/{project}/">{project}</a>' for project in projects)

    def _project(self, project: str, *, as_json: bool) -> tuple[str, bytes] | None:
        files = [published for published in self.published() if published.project == canonicalize_name(project)]
        if not files:
            return None
        if as_json:
            versions = sorted({published.headers["Version"] for published in files})
            document = {
                "meta": {"api-version": "1.1"},
                "name": project,
                "versions": versions,
                "files": [self._json_entry(published) for published in files],
            }
            return JSON_TYPE, json.dumps(document).encode()
        return HTML_TYPE, _page(self._anchor(published) for published in files)

    def _json_entry(self, published: Published) -> dict[str, object]:
        entry: dict[str, object] = {
            "filename": published.path.name,
            "url": self.file_url(published.path.name),
            "hashes": {"sha256": published.sha256} if self.hashes else {},
            "size": len(published.data),
            "upload-time": UPLOADED.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "yanked": published.yanked,
        }
        if published.headers["Requires-Python"]:
            entry["requires-python"] = published.headers["Requires-Python"]
        if published.path.name in self.provenance:
            entry["provenance"] = self.provenance_url(published.path.name)
        if self.metadata:
            entry["core-metadata"] = {"sha256": hashlib.sha256(published.metadata).hexdigest()}
        return entry

    def _anchor(self, published: Published) -> str:
        fragment = f"#sha256={published.sha256}" if self.hashes else ""
        attributes = {"href": f"../../files/{quote(published.path.name)}{fragment}"}
        if published.headers["Requires-Python"]:
            attributes["data-requires-python"] = published.headers["Requires-Python"]
        if published.yanked is not False:
            attributes["data-yanked"] = published.yanked if isinstance(published.yanked, str) else ""
        if published.path.name in self.provenance:
            attributes["data-provenance"] = self.provenance_url(published.path.name)
        if self.metadata:
            attributes["data-core-metadata"] = f"sha256={hashlib.sha256(published.metadata).hexdigest()}"
        written = " ".join(f'{name}="{html.escape(value)}"' for name, value in attributes.items())
        return f"<a {written}>{html.escape(published.path.name)}</a>"

    def _file(self, filename: str) -> tuple[str, bytes] | None:
        path = self.directory / filename
        if path.is_file():
            return "application/octet-stream", path.read_bytes()
        described = self.directory / filename.removesuffix(".metadata")
        if self.metadata and filename.endswith(".metadata") and described.is_file():
            return "text/plain", read_metadata(described)
        return None


def _page(lines: Iterator[str]) -> bytes:
    head = '<!DOCTYPE html>\n<html><head><meta name="pypi:repository-version" content="1.1"><title>Index</title></head><body>\n'
    return (head + "".join(f"{line}<br>\n" for line in lines) + "</body></html>\n").encode()


def _handler_for(index: LocalIndex) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        pass

    Handler.index = index
    return Handler


class _Handler(BaseHTTPRequestHandler):
    index: LocalIndex
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        fault = self.index.take_fault(path)
        if not self._authorized():
            return self._send(401, {"WWW-Authenticate": 'Basic realm="index"'}, b"no\n", fault)
        if fault.status is not None:
            return self._send(fault.status, fault.headers, b"fault\n", fault)
        found = self.index.answer(path, self.headers.get("Accept", ""))
        if found is None:
            return self._send(404, {}, b"no such thing\n", fault)
        kind, body = found
        if fault.corrupt and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        return self._send_body(kind, body, fault)

    do_HEAD = do_GET  # noqa: N815

    def _authorized(self) -> bool:
        if self.index.auth is None:
            return True
        expected = base64.b64encode(":".join(self.index.auth).encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def _send_body(self, kind: str, body: bytes, fault: Fault) -> None:
        headers = {"Content-Type": kind, "ETag": f'"{hashlib.sha256(body).hexdigest()}"'}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not self.index.ranges:
            return self._send(200, headers, body, fault)
        headers["Accept-Ranges"] = "bytes"
        if wanted is None or self.headers.get("If-Range", headers["ETag"]) != headers["ETag"]:
            return self._send(200, headers, body, fault)
        start, end = int(wanted[1]), int(wanted[2] or len(body) - 1)
        if start >= len(body):
            return self._send(416, {"Content-Range": f"bytes */{len(body)}"}, b"", fault)
        part = body[start : end + 1]
        headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(body)}"
        return self._send(206, headers, part, fault)

    def _send(self, status: int, headers: Mapping[str, str], body: bytes, fault: Fault) -> None:
        self.index.requests.append(
            Request(
                method=self.command,
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                status=status,
            )
        )
        self.send_response(status, HTTPStatus(status).phrase)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        time.sleep(fault.delay)
        self._write(body, fault)

    def _write(self, body: bytes, fault: Fault) -> None:
        try:
            self.wfile.write(body if fault.drop_after is None else body[: fault.drop_after])
            self.wfile.flush()
            if fault.drop_after is not None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            self.close_connection = True  # the client has gone, which is its right

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: ``requests`` is the log."""
