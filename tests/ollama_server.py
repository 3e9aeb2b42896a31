"""A local HTTP server that speaks as much of Ollama's API as the daemon uses, and fails on request.

    with OllamaServer(corrections={"きょうは": "今日は"}) as server:
        ...  # llm.host = server.url
        server.mode = "503"

It reads the texts to correct from the JSON of the last chat message. A text that is not in `corrections` comes back
with a full stop, so that a correction is visible. What else is asked for is answered by `summarize`.
"""

import contextlib
import json
import math
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

MODEL = "qwen2.5:14b-instruct-q4_0"
CREATED = "2026-01-01T00:00:00Z"
EXPIRES = "2318-01-01T00:00:00Z"
MODEL_BYTES = 8_500_000_000

Mode = Literal[
    "good",
    "503",
    "hang",  # no answer before the client hangs up or the server closes
    "cut",  # half a body, then the connection closes
    "malformed",  # broken JSON as the model's answer
    "not_json",  # broken JSON as the body
    "wrong_count",  # one segment too few
    "length",  # the model ran into its token limit
    "unknown_model",
    "redirect",  # to `elsewhere`
    "slow_load",  # loading takes `load_s`, and is aborted if the client hangs up meanwhile; good once loaded
]
Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    path: str
    body: Json


class Place:
    """An address at which nobody listens yet, and nobody else can."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        """host: the address to listen on; `url` is on loopback in any case."""
        self.socket = socket.socket()
        self.socket.bind((host, 0))
        self.address: tuple[str, int] = self.socket.getsockname()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.address[1]}"


class OllamaServer:
    """mode: how /api/chat and /api/generate behave from the next request on; `next_modes` are used up before it.
    requests: all that came, oldest first. library: what /api/pull finds. models: that it has on disk. loaded: that it
    has in memory, each with its context. loads: how many were begun. vram_share: what part of the model /api/ps reports
    in VRAM. context_length: what it reports; None: as asked for. elsewhere: where mode "redirect" sends to.
    place: where it listens; url: for `llm.host`. capabilities: of every model.
    summarize: what is answered to the JSON of a summary's request.
    given_up: paths of the requests whose client hung up while it waited for its answer. ps_hangs: /api/ps does.
    """

    def __init__(
        self,
        models: Sequence[str] = (MODEL,),
        corrections: Mapping[str, str] | None = None,
        place: "Place | None" = None,
    ) -> None:
        self.mode: Mode = "good"
        self.next_modes: list[Mode] = []
        self.models = list(models)
        self.corrections = dict(corrections or {})
        self.library = {MODEL}
        self.capabilities = ["completion"]
        self.summarize: Callable[[Json], Json] = lambda asked: {}
        self.requests: list[Request] = []
        self.load_s = 1.0
        self.vram_share = 1.0
        self.context_length: int | None = None
        self.elsewhere = ""
        self.loaded: dict[str, int] = {}
        self.loads = 0
        self.given_up: list[str] = []
        self.ps_hangs = False
        self.closing = threading.Event()
        place = place or Place()
        self.url = place.url
        self._http = _Server(self, place)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def chats(self) -> list[Json]:
        """Bodies of the correction requests."""
        return [request.body for request in self.requests if request.path == "/api/chat"]

    def close(self) -> None:
        """Ends at once, hanging requests and kept-alive connections included. May be called again."""
        self.closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.disconnect()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close() then waits for them

    def __init__(self, ollama: OllamaServer, place: Place) -> None:
        self.ollama = ollama
        self._connections: set[socket.socket] = set()
        super().__init__(place.address, _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = place.socket
        self.server_port = place.address[1]
        self.server_activate()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def disconnect(self) -> None:
        """Wake the threads that wait for a next request on a connection that is kept alive."""
        for connection in tuple(self._connections):
            with contextlib.suppress(OSError):  # its thread may have closed it meanwhile
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that gave up is no error
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20.0  # on Windows a thread that reads is not woken by `disconnect`
    server: _Server

    def do_GET(self) -> None:
        ollama = self._received({})
        if self.path == "/api/tags":
            self._send({"models": [_listed(name) for name in ollama.models]})
        elif self.path == "/api/ps" and ollama.ps_hangs:
            self._hang()
        elif self.path == "/api/ps":
            self._send({"models": [_running(ollama, name) for name in ollama.loaded]})
        else:
            self._send({"error": "not found"}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ollama = self._received(body)
        if self.path == "/api/pull":
            self._pull(ollama, body["model"])
            return
        showing = self.path == "/api/show"
        mode = ollama.next_modes.pop(0) if ollama.next_modes and not showing else ollama.mode
        if body["model"] not in ollama.models or mode == "unknown_model":
            self._send({"error": f"model '{body['model']}' not found"}, 404)
        elif showing:
            self._send({"details": {}, "model_info": {}, "capabilities": ollama.capabilities})
        elif not self._failed(mode):
            self._answer(ollama, mode, body)

    def _received(self, body: Json) -> OllamaServer:
        self.server.ollama.requests.append(Request(self.path, body))
        return self.server.ollama

    def _pull(self, ollama: OllamaServer, name: str) -> None:
        """Its steps, a line each, as Ollama streams them; a failure is a line too."""
        part = {"status": "pulling 0123456789ab", "digest": "sha256:" + "0" * 64, "total": MODEL_BYTES}
        steps: list[Json] = [{"status": "pulling manifest"}]
        if name in ollama.library:
            steps += [part, {**part, "completed": MODEL_BYTES}, {"status": "success"}]
            ollama.models.append(name)
        else:
            steps.append({"error": "pull model manifest: file does not exist"})
        self._send_bytes(b"".join(json.dumps(step).encode() + b"\n" for step in steps))

    def _failed(self, mode: Mode) -> bool:
        """Do what a mode breaks below the model's answer."""
        if mode == "503":
            self._send({"error": "server busy, please try again. maximum pending requests exceeded"}, 503)
        elif mode == "redirect":
            self.send_response(307)  # with the same method and body
            self.send_header("Location", self.server.ollama.elsewhere + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif mode == "hang":
            self._hang()
        elif mode == "cut":
            self._send_bytes(b'{"model": ', announced=1000)
            self.close_connection = True
        elif mode == "not_json":
            self._send_bytes(b'{"model": ')
        else:
            return False
        return True

    def _answer(self, ollama: OllamaServer, mode: Mode, body: Json) -> None:
        if body.get("keep_alive") == 0 and not body.get("prompt") and self.path == "/api/generate":
            ollama.loaded.pop(body["model"], None)
            self._send({"model": body["model"], "created_at": CREATED, "done": True, "done_reason": "unload"})
            return
        if body["model"] not in ollama.loaded and not self._loaded(ollama, mode):
            self.close_connection = True
            return
        ollama.loaded[body["model"]] = body.get("options", {}).get("num_ctx", 4096)
        done = {"model": body["model"], "created_at": CREATED, "done": True}
        if self.path == "/api/generate":
            self._send({**done, "response": "", "done_reason": "load"})
        else:
            message = {"role": "assistant", "content": _content(ollama, mode, body)}
            reason = "length" if mode == "length" else "stop"
            self._send({**done, "message": message, "done_reason": reason})

    def _loaded(self, ollama: OllamaServer, mode: Mode) -> bool:
        """Take the time of a load; False where the client or the server has gone before it was over."""
        ollama.loads += 1
        return self._waited(ollama.load_s if mode == "slow_load" else 0.0)

    def _hang(self) -> None:
        self._waited(math.inf)
        self.close_connection = True

    def _waited(self, seconds: float) -> bool:
        """False where the client or the server has gone before that was over."""
        ollama, until = self.server.ollama, time.monotonic() + seconds
        while time.monotonic() < until:
            if ollama.closing.wait(0.02):
                return False
            if select.select([self.connection], [], [], 0)[0]:
                ollama.given_up.append(self.path)  # what there is to read is its end, as one request goes at a time
                return False
        return True

    def _send(self, answer: Json, status: int = 200) -> None:
        """A line each is NDJSON too: a streamed answer of one part."""
        self._send_bytes(json.dumps(answer).encode() + b"\n", status)

    def _send_bytes(self, content: bytes, status: int = 200, announced: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(announced or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _content(ollama: OllamaServer, mode: Mode, body: Json) -> str:
    """The model's answer to the texts of a chat request, or to the end of one that does not fit into its context."""
    if _tokens(body) > body["options"]["num_ctx"]:
        return "I see only the end of something."
    asked = json.loads(body["messages"][-1]["content"])
    answer = _corrections(ollama, mode, asked["segments"]) if "segments" in asked else ollama.summarize(asked)
    content = json.dumps(answer, ensure_ascii=False)
    return content[:-3] if mode == "malformed" else content


def _corrections(ollama: OllamaServer, mode: Mode, asked: list[Json]) -> Json:
    segments = [{"index": one["index"], "text": _corrected(ollama, one["text"])} for one in asked]
    if mode == "wrong_count":
        segments.pop()
    return {"segments": segments}


def _tokens(body: Json) -> float:
    """About what a prompt has for qwen2.5."""
    content = "".join(message["content"] for message in body["messages"])
    return sum(0.3 if character.isascii() else 1.0 for character in content)


def _corrected(ollama: OllamaServer, text: str) -> str:
    stop = "。" if any(character >= "\u3000" for character in text) else "."
    unchanged = text if text.endswith((".", "?", "!", "。", "?", "!")) else text + stop
    return ollama.corrections.get(text, unchanged)


def _listed(name: str) -> Json:
    return {"name": name, "model": name, "modified_at": CREATED, "size": MODEL_BYTES, "digest": "0" * 64}


def _running(ollama: OllamaServer, name: str) -> Json:
    size_vram = int(MODEL_BYTES * ollama.vram_share)
    context_length = ollama.context_length or ollama.loaded[name]
    return {**_listed(name), "size_vram": size_vram, "context_length": context_length, "expires_at": EXPIRES}
