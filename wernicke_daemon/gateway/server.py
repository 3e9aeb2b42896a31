"""The port that clients see: listens, lets clients in, and serves their sessions."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from ipc import event_loop
from ipc.errors import WernickeError
from wernicke_daemon.config.schema import Config
from wernicke_daemon.config.typed_toml import ConfigError
from wernicke_daemon.gateway import http_request
from wernicke_daemon.gateway.admission import Admission
from wernicke_daemon.gateway.connection import Connection
from wernicke_daemon.gateway.connection_limit import MOST_WATCHERS, most_in_session
from wernicke_daemon.gateway.editing import Editor
from wernicke_daemon.gateway.greeting import Greeter
from wernicke_daemon.gateway.http_request import WATCH, SessionRequest, SideRequest, options_from
from wernicke_daemon.gateway.inbox import Allowance
from wernicke_daemon.gateway.pages import Pages
from wernicke_daemon.gateway.transport import ClientSocket, OpenConnections, address, socket_class
from wernicke_daemon.gateway.watching import Watcher
from wernicke_daemon.records import transcript_file
from wernicke_daemon.sessions.recorder import Recorder
from wernicke_daemon.sessions.registry import Drained, SessionRegistry
from wernicke_daemon.sessions.session import Session
from wernicke_daemon.status import Status
from wernicke_daemon.wire import listening

GOODBYE_S = 1.0
"""Seconds for last results and the close after the drain."""

CUT_S = 0.25
"""Seconds that those who were cut off then have to be gone."""

FRAMES_AHEAD = 2
"""Frames that the library reads before they are asked for. What is read ahead of a session is the inbox's business."""


class CanNotListen(WernickeError):
    """The address can't be listened on. The message says what to do."""

    code = "CAN_NOT_LISTEN"


class Gateway:
    """Where clients connect: sessions over WebSockets, and pages over HTTP."""

    def __init__(
        self,
        config: Config,
        sessions: SessionRegistry,
        recorder: Recorder,
        status: Status,
        on_client: Callable[[], None] = lambda: None,
    ) -> None:
        """on_client: told of each client that is let in, before it has a session."""
        self._on_client = on_client
        self._config = config  # address, limits and who may connect
        self._sessions = sessions  # where clients' sessions are
        self._pages = Pages(
            config.cors_origins, recorder.refused, status, secure=config.tls_files is not None
        )  # answers HTTP
        self._status = status  # greets clients with what there is
        self._admission = Admission(config.security, recorder.refused)  # lets clients in
        self._allowance = Allowance(config.audio.read_ahead_mib * 1024 * 1024)  # for what waits for room in the rings
        self._connections: dict[Session, Connection] = {}  # of each session that has a client, the newest one
        self._editor = Editor(sessions, config.data_path / transcript_file.FILE_NAME)  # changes what is kept
        self._watching: set[ClientSocket] = set()  # of those who see all sessions
        # with and without a session
        self.open_connections = OpenConnections(self._not_to_be_cut)
        self._servers: list[Server] = []  # from `open` on, one for each address
        self.ready = False  # until the daemon says that sessions are taken, and again from `drain` on
        self.port = 0  # until `open` has bound one
        self.web_port: int | None = None  # where pages for browsers are; None where there are none

    @property
    def active(self) -> int:
        """Clients that are connected to a session."""
        return len(self._connections)

    async def open(self) -> None:
        """Listen. Raises CanNotListen, ConfigError and TlsError."""
        _refuse_too_many(self._config.max_connections)
        host, port = self._config.host, self._config.port
        connections = socket_class(self.open_connections, self._tls())
        try:
            listeners = listening.listeners(host, port)
        except OSError as error:
            why, fix = listening.trouble(error, host, port)
            raise CanNotListen(f"The daemon can't listen: {why}; {fix}.") from None
        self._servers = [await self._serving(listener, connections) for listener in listeners]
        self.port = listeners[0].getsockname()[1]

    async def _serving(self, listener: listening.Listener, connections: type[ClientSocket]) -> Server:
        return await serve(
            self._handle,
            sock=listener,
            process_request=self._request,
            compression=None,
            max_size=self._config.audio.max_frame_mib * 1024 * 1024,
            max_queue=FRAMES_AHEAD,
            ping_interval=None,
            create_connection=connections,
        )

    def _tls(self) -> ssl.SSLContext | None:
        """None where no certificate is configured. Raises TlsError."""
        files = self._config.tls_files
        if files is None:
            return None
        from wernicke_daemon.wire import tls

        return tls.server_context(*files)

    async def drain(self, timeout_s: float) -> Drained:
        """Refuse new clients, end open utterances, and wait until all have their results; after `timeout_s` the rest is
        given up."""
        self.ready = False
        for server in self._servers:
            server.close(close_connections=False)
        for connection in self._connections.values():
            connection.shut_down()
        return await self._sessions.drain(timeout_s)

    async def close(self) -> None:
        """After `drain`: what is still to be sent, and 1001. Takes at most GOODBYE_S and CUT_S."""
        if await _closed(self._servers, GOODBYE_S):
            return
        self.open_connections.cut_all()  # clients that do not read can't be sent a close
        await _closed(self._servers, CUT_S)  # what is not gone by then ends with this process

    def _request(self, socket: ServerConnection, request: Request) -> Response | None:
        """Answers what is no session; None lets the WebSocket begin."""
        assert isinstance(socket, ClientSocket)  # `serve` was given its class
        asked = http_request.read(request.method, request.path, request.headers, self._config)
        if isinstance(asked, SessionRequest | SideRequest):
            socket.begin(asked)
            return None
        return self._pages.answer(asked, request, self.web_port)

    async def _handle(self, socket: ServerConnection) -> None:
        """From the end of the WebSocket handshake to the end of the connection."""
        assert isinstance(socket, ClientSocket)  # `serve` was given its class
        asked = socket.asked
        if isinstance(asked, SideRequest):
            await (self._watch(socket) if asked.path == WATCH else self._editor.serve(socket))
            return
        if (admitted := await self._admission.admit(socket, asked)) is None:
            return
        session = self._sessions.find(admitted.session, admitted.resume_token)
        resumed = session is not None
        refusal = self._refusal(session, admitted.options.background)
        if refusal is None:
            self._on_client()
        if refusal is None and session is None:
            earlier = self._sessions.earlier(admitted.session, admitted.resume_token)
            session = self._sessions.new(admitted.options, str(socket.remote_address), earlier)
        if refusal is not None or session is None:
            why = refusal or "All places are taken by sessions whose results are still under way"
            await self._admission.refuse(socket, why)
            return
        socket.let_in()
        with structlog.contextvars.bound_contextvars(session=session.id):
            await self._serve(socket, session, admitted.last_sequence if resumed else None)

    def _not_to_be_cut(self) -> set[ClientSocket]:
        return {each.socket for each in self._connections.values()} | self._watching

    async def _watch(self, socket: ClientSocket) -> None:
        if len(self._watching) >= MOST_WATCHERS:
            await self._admission.refuse(socket, f"{MOST_WATCHERS} are watching already")
            return
        self._watching.add(socket)
        try:
            await Watcher(socket, self._sessions, self._status).run()
        finally:
            self._watching.discard(socket)

    def _refusal(self, resumed: Session | None, background: bool) -> str | None:
        """Why there is no place for one more client; None where there is. background: it can wait. One of those takes
        nobody's place; there are rings enough."""
        if not self.ready:
            return "The daemon is still starting"
        has_place = resumed is not None and (resumed.attached or resumed.done.is_set())  # or needs none any more
        taken = [session.options.background for session in self._connections if not session.done.is_set()]
        most = self._config.max_connections + (background or any(taken))
        if len(taken) >= most and not has_place:
            return f"All {self._config.max_connections} places are taken"
        return None

    async def _serve(self, socket: ClientSocket, session: Session, last_sequence: int | None) -> None:
        """last_sequence: of a client that came back, None for a new one."""
        greeter = Greeter(session, self._status, resumed=last_sequence is not None)
        connection = Connection(
            socket,
            self._allowance,
            lambda start: options_from(start, session.options),
            greeter.greet,
            self._editor.call,
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
                await self._detach(session, address(socket.transport))

    async def _detach(self, session: Session, peer: str) -> None:
        """Its connection has ended, and no other has taken it over."""
        del self._connections[session]
        session.detach()
        if session.ended is None:
            await self._sessions.client_left(session, peer)


def _refuse_too_many(connections: int) -> None:
    """Raises ConfigError where the event loop could not serve them all: one socket too many would end it."""
    if event_loop.MOST_SOCKETS is None or connections <= (most := most_in_session(event_loop.MOST_SOCKETS)):
        return
    raise ConfigError(
        f"max_connections is {connections}, but Windows' select() serves {event_loop.MOST_SOCKETS} sockets at a time, "
        f"handshakes included; set it to {most} or less"
    )


async def _closed(servers: Sequence[Server], within_s: float) -> bool:
    """Whether every connection is gone by then."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            for server in servers:
                await server.wait_closed()
            return True
    return False
