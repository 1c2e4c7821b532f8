"""Several indexes as one: a small index on this host, for as long as a resolver runs, that says of each project what one index says of it.

Resolvers have ideas of their own about several indexes: one mixes them, another cannot pin a project that only others require. So the
rule is kept here, once, for both of them and for us:

1. a project that an index's ``projects`` name is looked for there and nowhere else;
2. any other is looked for in those that name no projects, in their order; the first that has it is the only one that counts;
3. what was uploaded at ``newest`` or later, or nobody knows when, is not there. A folder's wheels are: whoever laid them there chose them.

An index that fails is never passed over: that would be asking the next one for a project that is not its own. Files come from where they
lie, except those that a resolver could not fetch itself: from folders, and from indexes that want credentials. So that nobody else on this
host gets these, the router itself wants credentials, made for the run.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from wheelhouse_builder.adapters.index import IndexFile, InMemory, Login, Sink, absent, is_absent
from wheelhouse_builder.errors import IndexFailure

PORT = 47_611
"""Tried first: resolvers keep what they learn by the URL of the index."""
JSON_TYPE = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """An index, or a folder of wheels."""

    url: str
    """Of a folder: ``file:``."""
    folder: bool = False
    projects: tuple[str, ...] = ()
    """Patterns, as ``acme-*``: these are found here only, and only these are looked for here."""
    login: bool = False
    """It wants credentials, which the client knows."""

    def names(self, project: str) -> bool:
        """Whether the project is pinned to this place."""
        return any(fnmatchcase(project, canonicalize_name(pattern)) for pattern in self.projects)


class Client(Protocol):
    """What reads indexes; :class:`~wheelhouse_builder.adapters.index.IndexClient` does."""

    def files(self, index: str, project: str) -> Sequence[IndexFile]:
        """All distributions of a project. Raises IndexFailure."""
        ...

    def download(self, url: str, sink: Sink) -> None:
        """Bring the bytes at ``url`` into ``sink``. Raises IndexFailure."""
        ...


class Several:
    """Several places as one: of each project what one of them says, by the rule above. Any thread may call it."""

    def __init__(self, client: Client, places: Sequence[Place], newest: datetime | None = None) -> None:
        self._client = client
        self._places = places
        self._newest = newest
        self._known: dict[str, Future[tuple[Place | None, tuple[IndexFile, ...]]]] = {}
        self._mutex = threading.Lock()
        self.failures: list[IndexFailure] = []
        """Of the places, as they came: resolvers tell of them in terms of this host."""

    def files(self, _index: str, project: str) -> tuple[IndexFile, ...]:
        """All distributions of a project, with their true URLs. Raises IndexFailure."""
        place, files = self._look(canonicalize_name(project))
        if place is None:
            raise absent(f"no index has {project}", hint="is its name right, and is it pinned to the right index?")
        return files

    def _look(self, project: str) -> tuple[Place | None, tuple[IndexFile, ...]]:
        """Who has the project, and what; each is asked once. Raises IndexFailure."""
        with self._mutex:
            ours = project not in self._known
            future = self._known.setdefault(project, Future())
        if ours:
            try:
                future.set_result(self._found(project))
            except BaseException as error:  # noqa: BLE001 # whoever waits shall hear of it
                if isinstance(error, IndexFailure):
                    self.failures.append(error)
                future.set_exception(error)
        return future.result()

    def _found(self, project: str) -> tuple[Place | None, tuple[IndexFile, ...]]:
        pinned = [place for place in self._places if place.names(project)]
        for place in pinned or [place for place in self._places if not place.projects]:
            files = self._files_of(place, project)
            if files is not None:
                return place, files
        return None, ()

    def _files_of(self, place: Place, project: str) -> tuple[IndexFile, ...] | None:
        """What one place has; None when it does not know the project. Raises IndexFailure."""
        if place.folder:
            return tuple(_wheels_in(Path(unquote(urlsplit(place.url).path)), project)) or None
        try:
            files = self._client.files(place.url, project)
        except IndexFailure as failure:
            if is_absent(failure):
                return None
            raise
        return tuple(file for file in files if self._newest is None or (file.uploaded is not None and file.uploaded < self._newest))


class Router(Several):
    """The same for resolvers: an index on this host. Use it as a context manager; any thread may call it."""

    def __init__(self, client: Client, places: Sequence[Place], newest: datetime | None = None) -> None:
        super().__init__(client, places, newest)
        self._carried: dict[str, str] = {}
        self.login = Login(user="wheelhouse", password=secrets.token_urlsafe(32))
        """What it wants to see."""
        self._server = _server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where resolvers find it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/simple"

    def true_url(self, url: str) -> str:
        """Where a file lies that a resolver may have got from here."""
        return self._carried.get(urlsplit(url).path, url)

    def page(self, project: str) -> bytes | None:
        """The project page as PEP 691 has it; None when no place has the project. Raises IndexFailure."""
        place, files = self._look(canonicalize_name(project))
        if place is None:
            return None
        entries = [self._entry(place, file) for file in files]
        return json.dumps({"meta": {"api-version": "1.1"}, "name": project, "files": entries}).encode()

    def carried(self, path: str) -> bytes | None:
        """The bytes of a file that a resolver could not fetch itself; None when it is none of them. Raises IndexFailure."""
        if path not in self._carried:
            return None
        memory = InMemory()
        self._client.download(self._carried[path], memory)
        return bytes(memory.data)

    def _entry(self, place: Place, file: IndexFile) -> Mapping[str, object]:
        entry: dict[str, object] = {
            "filename": file.filename,
            "url": self._carry(file) if place.folder or place.login else file.url,
            "hashes": dict(file.hashes),
            "yanked": (file.yanked_reason or True) if file.yanked else False,
            "requires-python": file.requires_python,
            "size": file.size,
            "upload-time": file.uploaded.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if file.uploaded else None,
        }
        if file.metadata:
            entry["core-metadata"] = True
        return {key: value for key, value in entry.items() if value is not None}

    def _carry(self, file: IndexFile) -> str:
        path = f"/files/{hashlib.sha256(file.url.encode()).hexdigest()}/{quote(file.filename)}"
        self._carried |= {path: file.url} | ({f"{path}.metadata": f"{file.url}.metadata"} if file.metadata else {})
        return self.url.removesuffix("/simple") + path


def _wheels_in(folder: Path, project: str) -> Iterator[IndexFile]:
    """The wheels of a project in a folder."""
    try:
        paths = sorted(folder.glob("*.whl"))
    except OSError as error:
        raise IndexFailure(f"cannot read {folder}: {error.strerror}", hint="is it a folder that you may read?") from error
    for path in paths:
        try:
            name = parse_wheel_filename(path.name)[0]
        except InvalidWheelFilename:
            continue
        if name == project:
            data = path.read_bytes()
            hashes = {"sha256": hashlib.sha256(data).hexdigest()}
            yield IndexFile(project=project, filename=path.name, url=path.as_uri(), hashes=hashes, size=len(data))


def _server(router: Router) -> ThreadingHTTPServer:
    handler = type("Handler", (_Handler,), {"router": router})
    for port in (PORT, 0):
        try:
            server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError:
            continue
        server.daemon_threads = True
        return server
    raise IndexFailure("no port is free on 127.0.0.1", hint="several indexes are offered to the resolver there: end what holds all ports")


class _Handler(BaseHTTPRequestHandler):
    router: Router

    def do_GET(self) -> None:
        """Answer for a project page or a carried file."""
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), self.router.login.header.encode()):
            self._send(401, "text/plain", b"")
            return
        path = urlsplit(self.path).path
        try:
            body = self.router.page(path.split("/")[2]) if path.startswith("/simple/") else self.router.carried(path)
        except IndexFailure as failure:
            self._send(502, "text/plain", str(failure).encode())
            return
        kind = JSON_TYPE if path.startswith("/simple/") else "application/octet-stream"
        self._send(404 if body is None else 200, kind, body or b"")

    do_HEAD = do_GET  # noqa: N815 # http.server calls it so

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status == 401:
            self.send_header("WWW-Authenticate", "Basic")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # http.server calls it so
        """Say nothing: whoever wants to know asks the places' own logs."""
