"""A server on loopback that answers as the Hub does, as far as huggingface_hub asks it here.

``/OWNER/REPO/resolve/REVISION/FILE``: HEAD names commit, size and hash; GET sends the bytes, or a
part of them. What goes wrong is told by the repository's name.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c0ffee" + "0" * 34
TOKEN = "hf_secret"
PATH = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass
class Hub:
    """What the server has, and what it was asked.

    Attributes:
        url: of the server.
        elsewhere: of a second one, as of a content delivery network.
        files: (repository, file) -> bytes.
        asked: (method, path, Range header) of every request for a file, in order.
        tokens: Authorization headers, by server: ``hub`` or ``elsewhere``.
    """

    url: str = ""
    elsewhere: str = ""
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    tokens: dict[str, set[str | None]] = field(default_factory=dict)
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def requests(self, repo: str, method: str) -> list[str | None]:
        """Range headers of the requests for a repository's files, in order."""
        return [part for how, path, part in self.asked if how == method and f"/{repo}/" in path]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    hub: Hub
    role: str

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        hub = self.hub
        found = PATH.fullmatch(self.path)
        if found is None:  # huggingface_hub has questions of its own
            return self.refuse(404)
        hub.asked.append((self.command, self.path, self.headers["Range"]))
        hub.tokens.setdefault(self.role, set()).add(self.headers["Authorization"])
        repo, file, revision = found["repo"], found["file"], found["revision"]
        kind = repo.partition("/")[2]
        hub.counts[repo, file, self.command] += 1
        nth = hub.counts[repo, file, self.command]
        if kind == "private":
            return self.refuse(401)
        if kind == "gated":
            return self.refuse(403, code="GatedRepo")
        if kind == "renamed":
            return self.redirect(self.path.replace("/renamed/", "/good/"))
        if not any(name == repo for name, _ in hub.files):
            return self.refuse(404, code="RepoNotFound")
        if revision not in ("main", COMMIT):
            return self.refuse(404, code="RevisionNotFound")
        if (repo, file) not in hub.files:
            return self.refuse(404, code="EntryNotFound", commit=COMMIT)
        data = hub.files[repo, file]
        if kind == "flaky" and body and nth == 1:
            return self.refuse(503)
        if kind == "down" and body:
            return self.refuse(500)
        if kind == "asleep" or (kind == "drowsy" and not body and nth == 1):
            return self.refuse(503)
        if kind == "mute":
            self.close_connection = True
            return None
        if kind == "delivered" and self.role == "hub":
            return self.redirect(hub.elsewhere + self.path, data)
        self.send_file(data, kind, nth, body=body)
        return None

    def send_file(self, data: bytes, kind: str, nth: int, *, body: bool) -> None:
        named = hashlib.sha256(b"other" if kind == "forged" else data).hexdigest()
        if kind == "plain":
            named = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        first = 0
        if body and (part := self.headers["Range"]):
            first = int(part.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.describe(named, len(data))
        sent = data[first:]
        if kind == "truncated":
            sent = sent[: len(sent) // 2]
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        if not body:
            return
        if kind in ("dropped", "stalled") and nth == 1:
            sent = sent[: len(sent) * 9 // 10]
            self.close_connection = True
        self.wfile.write(sent)
        self.wfile.flush()
        if kind == "stalled" and nth == 1:
            self.server.stalled.set()  # type: ignore[attr-defined]
            self.server.go_on.wait(30)  # type: ignore[attr-defined]

    def describe(self, named: str, size: int) -> None:
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Etag", f'"{named}"')
        self.send_header("X-Linked-Size", str(size))
        self.send_header("ETag", f'"{named}"')
        self.send_header("Accept-Ranges", "bytes")

    def redirect(self, where: str, data: bytes | None = None) -> None:
        self.send_response(302)
        self.send_header("Location", where)
        if data is not None:
            self.describe(hashlib.sha256(data).hexdigest(), len(data))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def refuse(self, status: int, *, code: str = "", commit: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        if commit:
            self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at `Hub.asked`."""


@contextmanager
def serving() -> Iterator[tuple[Hub, ThreadingHTTPServer]]:
    """The Hub and its delivery network on two free ports."""
    hub = Hub()
    servers = []
    for role in ("hub", "elsewhere"):
        handler = type("Of" + role, (Handler,), {"hub": hub, "role": role})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.stalled, server.go_on = threading.Event(), threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
    hub.url, hub.elsewhere = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    try:
        yield hub, servers[0]
    finally:
        for server in servers:
            server.go_on.set()  # type: ignore[attr-defined]
            server.shutdown()
            server.server_close()
