"""Connections from their first moment: counted, TLS begun, and read in small pieces, before WebSocket is spoken."""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable, Collection, Iterator
from typing import Any, ClassVar, cast

import structlog
from websockets.asyncio.server import Server, ServerConnection
from websockets.server import ServerProtocol

from wernicke_daemon.gateway.connection_limit import MOST_WITHOUT_SESSION, ConnectionLimit
from wernicke_daemon.gateway.http_request import SessionRequest, SideRequest
from wernicke_daemon.gateway.opening import OpeningProtocol
from wernicke_daemon.gateway.small_reads import PIECE_BYTES, SmallReads
from wernicke_daemon.observability.log_throttle import Repeats

_log = structlog.get_logger()

MAPPED = "::ffff:"
"""Before the address of a client that comes over IPv4 to a socket that serves both (RFC 4291, 2.5.5.2)."""

TLS_TIMEOUT_S = 10
"""For the TLS handshake, and for its end. The library allows as much for the WebSocket handshake."""


class OpenConnections:
    """All connections of the gateway; cuts those that are too many. Used on the event loop's thread."""

    def __init__(self, in_session: Callable[[], Collection["ClientSocket"]]) -> None:
        """in_session: those that have a session, and are not cut."""
        self._limit = ConnectionLimit(MOST_WITHOUT_SESSION, in_session)
        self._cuts = Repeats(0, self._report)

    def __iter__(self) -> Iterator["ClientSocket"]:
        return iter(self._limit)

    def opened(self, socket: "ClientSocket") -> None:
        """Its TCP connection is there."""
        cut = self._limit.opened(socket, address(socket.tcp))
        if cut is not None:
            cut.tcp.abort()
            self._cuts.add(address(cut.tcp))

    def closed(self, socket: "ClientSocket") -> None:
        """By either side, or because it was cut."""
        self._limit.closed(socket)

    def cut_all(self) -> None:
        for socket in self:
            socket.tcp.abort()

    def _report(self, cuts: dict[str, int]) -> None:
        _log.warning("connections_cut", connections=sum(cuts.values()), peer=next(iter(cuts)))


class ClientSocket(ServerConnection):
    """A client's connection as the library serves it, but counted, and read in small pieces.

    TLS begins here, too. A server that is given the context itself hears of a connection only when its TLS handshake is
    over, and one that never says a word would be counted nowhere.
    """

    open_connections: ClassVar[OpenConnections]  # all of the gateway's, where this one is counted
    tls: ClassVar[ssl.SSLContext | None]  # None to serve without TLS
    tcp: asyncio.Transport  # the transport of TCP, whatever is spoken over it
    asked: SessionRequest | SideRequest  # what its request says, once it is read
    _reads: SmallReads  # what it reads, in pieces

    def __init__(self, protocol: ServerProtocol, server: Server, **options: Any) -> None:
        """protocol: the library's, whose limit is that for clients that are let in."""
        assert protocol.max_message_size is not None  # `serve` was given it
        self._opening = OpeningProtocol(protocol.max_message_size, protocol.logger)
        super().__init__(self._opening, server, **options)

    def begin(self, asked: SessionRequest | SideRequest) -> None:
        """Its request is for a WebSocket."""
        self.asked = asked
        if isinstance(asked, SessionRequest) and asked.needs_token:
            self._opening.expect_token()

    def let_in(self) -> None:
        self._go_on(True)

    def turn_away(self) -> None:
        """It is told, and closed."""
        self._go_on(False)

    def _go_on(self, let_in: bool) -> None:
        self._opening.go_on(let_in)
        if not self._opening.reader.eof:
            super().data_received(b"")  # what has come meanwhile

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called for TCP, and where TLS is spoken again for that."""
        assert isinstance(transport, asyncio.Transport)
        if transport.get_extra_info("ssl_object") is not None:
            cast(Any, transport).set_read_buffer_limits(PIECE_BYTES)
            self._speak_websocket(transport)
            return
        self.tcp = transport
        self.open_connections.opened(self)
        if self.tls is None:
            self._speak_websocket(transport)
        else:
            _speak_tls(self, transport, self.tls, lambda: self.open_connections.closed(self))

    def _speak_websocket(self, transport: asyncio.Transport) -> None:
        self._reads = SmallReads(transport, super().data_received)
        super().connection_made(cast(asyncio.Transport, self._reads))

    def data_received(self, data: bytes) -> None:
        self._reads.received(data)

    def eof_received(self) -> None:
        self._reads.finish()
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """exc: None where this side closed, and wants nothing more."""
        self.open_connections.closed(self)
        if exc is None:
            self._reads.stop()
        else:
            self._reads.finish()
        super().connection_lost(exc)


def socket_class(connections: OpenConnections, context: ssl.SSLContext | None) -> type[ClientSocket]:
    """What the library is to make for each connection. context: None to serve without TLS."""

    class GatewaySocket(ClientSocket):
        open_connections = connections
        tls = context

    return GatewaySocket


def address(transport: asyncio.BaseTransport) -> str:
    """Of the other side, without the port; empty for one that has hung up already."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]).removeprefix(MAPPED) if peer else ""


class _SmallTls(SSLProtocol):
    """Reads little at a time, too: with the client's end of TLS in it, what was read is taken at once."""

    max_size = PIECE_BYTES


def _speak_tls(
    protocol: asyncio.Protocol, transport: asyncio.Transport, context: ssl.SSLContext, failed: Callable[[], None]
) -> None:
    """As the event loop does it for a server with a context. (Its `start_tls` may pass data on before it returns the
    transport that the protocol needs for an answer.) failed: called if the handshake does not succeed."""
    begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    begun.add_done_callback(lambda begun: failed() if begun.exception() else None)
    layer = _SmallTls(
        begun.get_loop(),
        protocol,
        context,
        begun,
        server_side=True,
        ssl_handshake_timeout=TLS_TIMEOUT_S,
        ssl_shutdown_timeout=TLS_TIMEOUT_S,
    )
    transport.set_protocol(layer)
    layer.connection_made(transport)
