"""A local HTTP server that speaks as much of the Hugging Face hub's API as `models pull` uses, and fails on request.

with HubServer({"org/model": Repository({"config.json": b"{}", "model.bin": b"..."})}) as server:
    ...  # HF_ENDPOINT=server.url in the environment of a process that imports huggingface_hub
    server.repositories["org/model"].gated = True
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".bin", ".safetensors", ".npz", ".onnx")
"""Endings of what the hub keeps in large file storage, under its SHA-256; the rest is named by git."""


@dataclass
class Repository:
    """files: by path. gated: whether a licence has to be accepted. accepted_by: tokens of those who have.
    cut: how often each file breaks off in the middle. damaged: files that come with another content than announced."""

    files: dict[str, bytes]
    gated: bool = False
    accepted_by: set[str] = field(default_factory=set)
    cut: dict[str, int] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Fetched:
    """A file that was asked for. range: of the request, "" for all of it."""

    repository: str
    path: str
    range: str


class HubServer:
    """fetched: the files that were asked for with GET, in order. known: tokens that are valid."""

    def __init__(self, repositories: Mapping[str, Repository]) -> None:
        self.repositories = dict(repositories)
        self.known = {"hf_good", "hf_other"}
        self.fetched: list[Fetched] = []
        self._http = _Server(self)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def paths(self) -> set[str]:
        """Of all files that were asked for."""
        return {one.path for one in self.fetched}

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: HubServer) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    """One request a connection, so that nothing is left open when the server closes."""

    server: _Server

    def do_GET(self) -> None:
        self._handle({})

    def do_HEAD(self) -> None:
        self._handle({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._handle(parse_qs(body))

    def _handle(self, form: dict[str, list[str]]) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        name, rest = "/".join(parts[2:4] if api else parts[:2]), parts[4:] if api else parts[2:]
        repository = self.server.hub.repositories.get(name)
        if repository is None:
            self._refuse(404, "RepoNotFound")
        elif self._token() not in {None, *self.server.hub.known}:
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif api:
            self._json(_api_answer(name, repository, rest, form))
        elif repository.gated and self._token() not in repository.accepted_by:
            self._refuse(403 if self._token() else 401, "GatedRepo")
        else:
            self._file(name, repository, "/".join(rest[2:]))

    def _token(self) -> str | None:
        sent = self.headers.get("Authorization")
        return sent.removeprefix("Bearer ") if sent else None

    def _file(self, name: str, repository: Repository, path: str) -> None:
        content = repository.files.get(path)
        if content is None:
            self._refuse(404, "EntryNotFound")
            return
        wanted = self.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{_etag(path, content)}"')
        self.send_header("Content-Length", str(len(content) - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            self.server.hub.fetched.append(Fetched(name, path, wanted))
            self._body(repository, path, content[start:])

    def _body(self, repository: Repository, path: str, content: bytes) -> None:
        if repository.cut.get(path):
            repository.cut[path] -= 1
            content = content[: len(content) // 2]
        if path in repository.damaged:
            content = bytes(len(content))
        self.wfile.write(content)

    def _refuse(self, status: int, code: str, message: str = "") -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, answer: Any) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _api_answer(name: str, repository: Repository, rest: list[str], form: dict[str, list[str]]) -> Any:
    """Of /api/models/NAME, which is public for gated models too, and of what is below it."""
    if rest[:1] == ["tree"]:
        return [_entry(path, content) for path, content in repository.files.items()]
    if rest[:1] == ["paths-info"]:
        return [_entry(path, repository.files[path]) for path in form["paths"]]
    siblings = [{"rfilename": path} for path in repository.files]
    return {"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "tags": [], "private": False}


def _entry(path: str, content: bytes) -> dict[str, Any]:
    entry = {"type": "file", "path": path, "size": len(content), "oid": _git_hash(content)}
    if path.endswith(LARGE):
        entry["lfs"] = {"oid": _etag(path, content), "size": len(content), "pointerSize": 134}
    return entry


def _etag(path: str, content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if path.endswith(LARGE) else _git_hash(content)


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
