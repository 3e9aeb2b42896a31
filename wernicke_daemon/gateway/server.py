"""The port that clients see: WebSocket sessions on /transcribe, GET on /health and /stats."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from ipc.errors import WernickeError
from wernicke_daemon.config.schema import Config
from wernicke_daemon.gateway import access
from wernicke_daemon.gateway.admission import SMALL_FRAME, Door
from wernicke_daemon.gateway.connection import Connection, options_from
from wernicke_daemon.gateway.connection_limit import Visitors, address, connection_class
from wernicke_daemon.sessions.options import Options
from wernicke_daemon.sessions.recorder import Recorder
from wernicke_daemon.sessions.registry import SessionRegistry
from wernicke_daemon.sessions.session import Session
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import Start
from wernicke_daemon.wire.redaction import public

PATH = "/transcribe"
GOODBYE_S = 1.0
"""Seconds for last results and the close after the drain."""

CUT_S = 0.25
"""Seconds that those who were cut off then have to be gone."""

FRAMES_AHEAD = 2
"""Frames read ahead of a session; beyond, TCP pushes back."""


class PortTaken(WernickeError):
    """The address can't be listened on."""

    code = "PORT_TAKEN"


class Gateway:
    """ready: whether sessions are taken yet. port: the bound one."""

    def __init__(
        self,
        config: Config,
        sessions: SessionRegistry,
        reporter: Recorder,
        health: Callable[[], tuple[int, dict[str, Any]]],
        stats: Callable[[], dict[str, Any]],
        engines: Callable[[], tuple[dict[str, str], list[str]]],
        lacking: Callable[[], list[protocol.Degraded]],
    ) -> None:
        """engines: what runs in each stage, and which stages are down. lacking: what clients were told of that is so
        still."""
        self._config = config
        self._sessions = sessions
        self._reporter = reporter
        self._pages: dict[str, Callable[[], tuple[int, dict[str, Any]]]] = {
            "/health": health,
            "/stats": lambda: (200, stats()),
        }
        self._engines = engines
        self._lacking = lacking
        self._connections: dict[Session, Connection] = {}
        self._door = Door(config.security, lambda start: options_from(start, self._options(Start())), reporter.refused)
        self._visitors = Visitors(lambda: {connection.socket for connection in self._connections.values()})
        self._server: Server | None = None
        self.ready = False
        self.port = 0

    @property
    def active(self) -> int:
        return len(self._connections)

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
                create_connection=connection_class(self._visitors, self._tls()),
            )
        except OSError as error:
            raise PortTaken(
                f"The daemon can't listen on {config.host} port {config.port} ({error.strerror or error}); "
                "stop the program that uses it, or choose another with --port."
            ) from None
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    def _tls(self) -> ssl.SSLContext | None:
        """None where no certificate is configured. Raises TlsError."""
        files = self._config.tls_files
        if files is None:
            return None
        from wernicke_daemon.wire import tls

        return tls.server_context(*files)

    async def drain(self, timeout_s: float) -> None:
        """Refuse new clients, end what is open, have all results; give up on those that take longer than that."""
        self.ready = False
        if self._server is None:
            return
        self._server.close(close_connections=False)
        for connection in self._connections.values():
            connection.shut_down()
        await self._sessions.drain(timeout_s)

    async def close(self) -> None:
        """After `drain`: what is still to be sent, and 1001. Takes at most GOODBYE_S and CUT_S."""
        if self._server is None or await _closed(self._server, GOODBYE_S):
            return
        self._visitors.cut_all()  # clients that do not read can't be told goodbye
        await _closed(self._server, CUT_S)  # what is not gone by then ends with this process

    # --- HTTP ---

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answers what is no session; None lets the WebSocket begin."""
        try:
            target = urlsplit(request.path)
        except ValueError:
            return self._json(400, {"error": "The address is not one."}, request)
        query = dict(parse_qsl(target.query))
        if target.path in self._pages:
            return self._page(target.path, request, query)
        if target.path != PATH:
            known = ", ".join((PATH, *self._pages))
            return self._json(404, {"error": f"There is nothing at this address; there is {known}."}, request)
        verdict = access.request(self._config.security, request.headers, query)
        if verdict in access.REFUSALS:
            return self._denied(verdict, request)
        try:
            self._options(self._start(request.path))
        except WernickeError as error:
            return self._json(400, {"code": error.code, "error": public(str(error))}, request)
        return None

    def _page(self, path: str, request: Request, query: dict[str, str]) -> Response:
        known = access.may_read_pages(self._config.security, request.headers, query)
        if not known and path != "/health":
            return self._denied(access.Verdict.REFUSED_TOKEN, request)
        status, page = self._pages[path]()
        page = public(page)
        return self._json(status, page if known else access.health_for_strangers(page), request)

    def _denied(self, verdict: access.Verdict, request: Request) -> Response:
        refusal = access.REFUSALS[verdict]
        self._reporter.refused(protocol.error(refusal.code, refusal.message))
        response = self._json(refusal.status, {"code": refusal.code, "error": refusal.message}, request)
        if refusal.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def _json(self, status: int, page: dict[str, Any], request: Request) -> Response:
        body = json.dumps(page, ensure_ascii=False).encode()
        headers = Headers({"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body))})
        headers["Connection"] = "close"
        origins = request.headers.get_all("Origin")
        origin = origins[0] if len(origins) == 1 else None
        allowed = self._config.cors_origins
        if origin is not None and ("*" in allowed or origin in allowed):
            headers["Access-Control-Allow-Origin"] = origin
            headers["Vary"] = "Origin"
        return Response(status, "", headers, body)

    def _start(self, path: str) -> Start:
        """What the address says. Raises InvalidMessage."""
        return protocol.options_from_query(dict(parse_qsl(urlsplit(path).query)))

    def _options(self, start: Start) -> Options:
        """Raises InvalidAudio or InvalidMessage."""
        return options_from(start, Options(self._config.audio.format, self._config.asr.language))

    # --- sessions ---

    async def _handle(self, socket: ServerConnection) -> None:
        socket.protocol.max_message_size = SMALL_FRAME  # until it is let in
        if (first := await self._door.admit(socket)) is None:
            return
        assert socket.request is not None
        start = self._start(socket.request.path)
        options = options_from(first, self._options(start))
        if first.session is not None:
            start = first
        session = self._sessions.find(start.session, start.resume_token)
        resumed = session is not None
        refusal = self._refusal(session)
        if refusal is None and session is None:
            session = self._sessions.new(options, str(socket.remote_address))
        if refusal is not None or session is None:
            why = refusal or "All places are taken by sessions whose results are still under way"
            await self._door.refuse(socket, why)
            return
        socket.protocol.max_message_size = self._config.audio.max_frame_mib * 1024 * 1024
        with structlog.contextvars.bound_contextvars(session=session.id):
            await self._serve(socket, session, start.last_sequence or 0 if resumed else None)

    def _refusal(self, resumed: Session | None) -> str | None:
        if not self.ready:
            return "The daemon is still starting"
        has_place = resumed is not None and (resumed.attached or resumed.done.is_set())  # or needs none any more
        taken = sum(not session.done.is_set() for session in self._connections)
        if taken >= self._config.max_connections and not has_place:
            return f"All {self._config.max_connections} places are taken"
        return None

    async def _serve(self, socket: ServerConnection, session: Session, last_sequence: int | None) -> None:
        """last_sequence: of a client that came back, None for a new one."""
        greeter = Greeter(session, self._engines, self._lacking, resumed=last_sequence is not None)
        connection = Connection(
            socket,
            lambda start: options_from(start, session.options),
            greeter.greet,
            self._config.timeout,
            resumed=last_sequence is not None,
        )
        if (previous := self._connections.get(session)) is not None:
            previous.evict()
        self._connections[session] = connection
        try:
            self._sessions.came_back(session)
            session.attach(connection.send, resumed=last_sequence is not None)
            greeter.greet()
            if last_sequence is not None:
                session.replay(last_sequence)
            if await connection.run(session) and session.done.is_set():
                self._sessions.delivered(session)
        finally:
            if self._connections.get(session) is connection:
                del self._connections[session]
                session.detach()
                if session.ended is None:
                    await self._sessions.client_left(session, address(socket.transport))


async def _closed(server: Server, within_s: float) -> bool:
    """Whether every connection is gone by then."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await server.wait_closed()
            return True
    return False


class Greeter:
    """Tells a client of its session and of what is lacking, each once, whether it asked in the address or in its start
    message."""

    def __init__(
        self,
        session: Session,
        engines: Callable[[], tuple[dict[str, str], list[str]]],
        lacking: Callable[[], list[protocol.Degraded]],
        resumed: bool,
    ) -> None:
        self._told: set[str] = set()
        self._session = session
        self._engines = engines
        self._lacking = lacking
        self._resumed = resumed

    def greet(self) -> None:
        for event, tell in (("session", self._tell_session), ("status", self._tell_lacking)):
            if event in self._session.options.events and event not in self._told:
                self._told.add(event)
                tell()

    def _tell_lacking(self) -> None:
        for each in self._lacking():
            self._session.send(each)

    def _tell_session(self) -> None:
        engines, degraded = self._engines()
        audio = self._session.options.audio
        self._session.send(
            protocol.ConnectionEstablished(
                message="Send audio; results come as JSON.",
                session_id=self._session.id,
                resume_token=self._session.resume_token,
                resumed=self._resumed,
                protocol=protocol.PROTOCOL_VERSION,
                audio=protocol.AudioOptions(audio.sample_rate, audio.channels, audio.encoding),
                engines=public(engines),
                degraded=degraded,
            )
        )
