"""A git server on 127.0.0.1: git's own ``http-backend`` behind HTTP, with or without a password, and an ``ssh`` that goes nowhere."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_SSH = """#!/bin/sh
# what follows options and the host is the command; it is run here
[ "$1 $2" = "-o BatchMode=yes" ] || exit 1
shift 2
while case $1 in -*) true ;; *) false ;; esac; do
    case $1 in -o|-p) shift 2 ;; *) shift ;; esac
done
echo "$1" >> "{log}"
shift
exec sh -c "$*"
"""


@contextmanager
def git_server(folder: Path, *, login: tuple[str, str] | None = None) -> Iterator[str]:
    """Serve the repositories below ``folder``; gives the URL of the top."""
    wanted = "Basic " + base64.b64encode(":".join(login).encode()).decode() if login else None

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if wanted and self.headers.get("Authorization") != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic realm=tests")
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            sent = {"CONTENT_TYPE": self.headers.get("Content-Type", ""), "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", "")}
            asked = {"PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command, **sent}
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            environment = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(folder), "GIT_HTTP_EXPORT_ALL": "1", **asked}
            # whose repositories these are is not asked of somebody without a home
            settings = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
            done = subprocess.run(["git", "http-backend"], input=body, env=environment | settings, capture_output=True, check=True)
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ssh_to_here(folder: Path) -> Path:
    """Write a program ``ssh`` into the new ``folder``, which runs here what it is to run elsewhere; returns the list of hosts asked for."""
    folder.mkdir()
    log = folder / "hosts"
    (folder / "ssh").write_text(_SSH.format(log=log))
    (folder / "ssh").chmod(0o755)
    return log
