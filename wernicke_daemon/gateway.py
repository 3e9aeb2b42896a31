"""The port that clients see: WebSocket sessions on /transcribe, GET on /health and /stats."""

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from ipc.arena import Arena, RingWriter
from ipc.errors import WernickeError
from wernicke_daemon import protocol
from wernicke_daemon.config import Config
from wernicke_daemon.connection import Connection, options_from
from wernicke_daemon.ingest_feed import IngestFeed
from wernicke_daemon.protocol import ServerMessage
from wernicke_daemon.reporter import Reporter
from wernicke_daemon.session import Options, Session
from wernicke_daemon.utterance import Utterance

_log = structlog.get_logger()

PATH = "/transcribe"
RETRY_AFTER_S = 10.0
FRAMES_AHEAD = 8
"""Frames read ahead of a session; beyond, TCP pushes back."""


class PortTaken(WernickeError):
    """The address can't be listened on."""

    code = "PORT_TAKEN"


class Gateway:
    """engines: stage → what is running there. ready: whether sessions are taken yet."""

    def __init__(
        self,
        config: Config,
        arena: Arena,
        feed: IngestFeed,
        submit: Callable[[Utterance, Session], None],
        reporter: Reporter,
        health: Callable[[], tuple[int, dict[str, Any]]],
        stats: Callable[[], dict[str, Any]],
        engines: Callable[[], tuple[dict[str, str], list[str]]],
    ) -> None:
        self._config = config
        self._arena = arena
        self._feed = feed
        self._submit = submit
        self._reporter = reporter
        self._pages: dict[str, Callable[[], tuple[int, dict[str, Any]]]] = {
            "/health": health,
            "/stats": lambda: (200, stats()),
        }
        self._engines = engines
        self._connections: set[Connection] = set()
        self._sessions: set[Session] = set()
        self._server: Server | None = None
        self.ready = False
        self.port = 0

    @property
    def sessions(self) -> frozenset[Session]:
        """Those that are not over yet, with or without a client."""
        return frozenset(self._sessions)

    @property
    def active(self) -> int:
        return len(self._connections)

    def broadcast(self, event: str, message: ServerMessage) -> None:
        """To every client that asked for `event`."""
        for session in self._sessions:
            session.tell(event, message)

    async def open(self) -> None:
        """Listen. Raises PortTaken, naming what to do."""
        config = self._config
        try:
            self._server = await serve(
                self._handle,
                config.host,
                config.port,
                process_request=self._request,
                compression=None,
                max_size=config.audio.max_frame_mib * 1024 * 1024,
                max_queue=FRAMES_AHEAD,
                ping_interval=None,
            )
        except OSError as error:
            raise PortTaken(
                f"The daemon can't listen on {config.host} port {config.port} ({error.strerror or error}); "
                "stop the program that uses it, or choose another with --port."
            ) from None
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def close(self, drain_timeout_s: float) -> None:
        """Refuse new clients, end what is open, send all results; give up on those that take longer than that."""
        self.ready = False
        if self._server is None:
            return
        self._server.close(close_connections=False)
        for connection in self._connections:
            connection.shut_down()
        unfinished = [asyncio.create_task(session.done.wait()) for session in self._sessions]
        if unfinished:
            _, late = await asyncio.wait(unfinished, timeout=drain_timeout_s)
            _log.log(40 if late else 20, "drained", sessions=len(unfinished), unfinished=len(late))
        for session in self._sessions:
            session.done.set()
        await self._server.wait_closed()

    # --- HTTP ---

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        if path in self._pages:
            status, page = self._pages[path]()
            return self._json(status, page, request)
        if path != PATH:
            known = ", ".join((PATH, *self._pages))
            return self._json(404, {"error": f"There is nothing at {path}; there is {known}."}, request)
        try:
            self._options(request.path)
        except WernickeError as error:
            return self._json(400, {"code": error.code, "error": str(error)}, request)
        return None

    def _json(self, status: int, page: dict[str, Any], request: Request) -> Response:
        body = json.dumps(page, ensure_ascii=False).encode()
        headers = Headers({"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body))})
        headers["Connection"] = "close"
        origin = request.headers.get("Origin")
        allowed = self._config.cors_origins
        if origin is not None and ("*" in allowed or origin in allowed):
            headers["Access-Control-Allow-Origin"] = origin
            headers["Vary"] = "Origin"
        return Response(status, "", headers, body)

    def _options(self, path: str) -> Options:
        """Raises InvalidAudio or InvalidMessage."""
        start = protocol.options_from_query(dict(parse_qsl(urlsplit(path).query)))
        return options_from(start, Options(self._config.audio.format, self._config.asr.language))

    # --- sessions ---

    async def _handle(self, socket: ServerConnection) -> None:
        refusal = self._refusal()
        ring = None if refusal else self._arena.acquire()
        if ring is None:
            await self._refuse(socket, refusal or "All places are taken by sessions whose results are still under way")
            return
        assert socket.request is not None
        session_id = secrets.token_hex(8)
        with structlog.contextvars.bound_contextvars(session=session_id):
            await self._serve(socket, session_id, ring, self._options(socket.request.path))

    def _refusal(self) -> str | None:
        if not self.ready:
            return "The daemon is still starting"
        if self.active >= self._config.max_connections:
            return f"All {self._config.max_connections} places are taken"
        return None

    async def _refuse(self, socket: ServerConnection, why: str) -> None:
        """An HTTP refusal would keep today's clients from ever coming back."""
        text = f"{why}; try again in {RETRY_AFTER_S:.0f} s."
        message = protocol.error("SERVER_OVERLOADED", text, retry_after_s=RETRY_AFTER_S)
        self._reporter.refused(message)
        try:
            await socket.send(protocol.encode(message))
            await socket.close(protocol.CLOSE_TRY_AGAIN)
        except ConnectionClosed:
            return

    async def _serve(self, socket: ServerConnection, session_id: str, ring: RingWriter, options: Options) -> None:
        def keep(message: ServerMessage) -> None:
            self._reporter.undelivered(session_id, message)

        connection = Connection(socket, keep, lambda start: options_from(start, session.options), self._config.timeout)
        session = Session(
            session_id,
            ring,
            options,
            context_lines=self._config.correction.context_lines,
            send=connection.send,
            submit=self._submit,
            report=self._reporter.settled,
        )
        self._greet(session)
        self._connections.add(connection)
        self._sessions.add(session)
        self._feed.add(session)
        _log.info(
            "session_started",
            peer=str(socket.remote_address),
            audio=msgspec.to_builtins(options.audio),
            language=options.language,
            glossary_terms=len(options.glossary),
            events=sorted(options.events),
        )
        try:
            await connection.run(session)
        finally:
            self._connections.discard(connection)
        await session.done.wait()
        self._feed.remove(session)
        self._sessions.discard(session)
        self._arena.release(ring)
        _log.info("session_over", ended=session.ended)

    def _greet(self, session: Session) -> None:
        engines, degraded = self._engines()
        audio = session.options.audio
        session.tell(
            "session",
            protocol.ConnectionEstablished(
                message="Send audio; results come as JSON.",
                session_id=session.id,
                protocol=protocol.PROTOCOL_VERSION,
                audio=protocol.AudioOptions(audio.sample_rate, audio.channels, audio.encoding),
                engines=engines,
                degraded=degraded,
            ),
        )
