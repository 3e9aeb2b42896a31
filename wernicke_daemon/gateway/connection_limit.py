"""Connections from their first moment, before any handshake: how many may be open, and which gives way to another.

Each costs a file descriptor, and a process that has none left can do nothing any more, so their number is bounded where
they begin. Nobody is kept out for that: the newest comes in, and the oldest of the address that has most of them goes.
Whoever floods the port so cuts its own connections. A client that gets on with it has its place, or its page, before it
is the oldest, and one at another address is not touched at all.
"""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, cast

import structlog
from websockets.asyncio.server import ServerConnection

from wernicke_daemon.gateway.small_reads import PIECE_BYTES, SmallReads
from wernicke_daemon.observability.log_throttle import Repeats
from wernicke_daemon.sessions.fairness import oldest_of_busiest_address

_log = structlog.get_logger()

MOST_WAITING = 200
"""Connections that have no place (yet): in their handshake, waiting to be let in, being refused."""

TLS_PATIENCE_S = 10
"""For the TLS handshake, and for its end. The library allows as much for the WebSocket handshake."""


class _Arrival(NamedTuple):
    transport: asyncio.Transport
    address: str


class Visitors:
    """All connections that are open. Used on the event loop's thread."""

    def __init__(self, placed: Callable[[], Collection[ServerConnection]]) -> None:
        """placed: those that have a place, and are not cut for anybody."""
        self._placed = placed
        self._open: dict[ServerConnection, _Arrival] = {}
        self._cuts = Repeats(0, self._report)

    def came(self, visitor: ServerConnection, transport: asyncio.Transport) -> None:
        """transport: TCP's, whatever is spoken over it."""
        self._open[visitor] = _Arrival(transport, address(transport))
        placed = self._placed()
        waiting = {visitor: each.address for visitor, each in self._open.items() if visitor not in placed}
        unlucky = oldest_of_busiest_address(waiting, MOST_WAITING)
        if unlucky is not None:
            self._cut_off(self._open.pop(unlucky))

    def left(self, visitor: ServerConnection) -> None:
        """By itself, or because it was cut."""
        self._open.pop(visitor, None)

    def cut_all(self) -> None:
        for each in self._open.values():
            each.transport.abort()

    def _cut_off(self, arrival: _Arrival) -> None:
        arrival.transport.abort()
        self._cuts.add(arrival.address)

    def _report(self, cuts: dict[str, int]) -> None:
        _log.warning("connections_cut", connections=sum(cuts.values()), peer=next(iter(cuts)))


def address(transport: asyncio.BaseTransport) -> str:
    """Without the port; empty for one that has hung up already."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


def connection_class(visitors: Visitors, tls: ssl.SSLContext | None) -> type[ServerConnection]:
    """What the library is to make for each connection, so that `visitors` know it from its first moment.

    TLS begins here for the same reason. A server that is given the context itself hears of a connection only when its
    TLS handshake is over, and one that never says a word would be counted nowhere.
    """

    class Connection(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            """Called for TCP, and where TLS is spoken again for that."""
            assert isinstance(transport, asyncio.Transport)
            secure = transport.get_extra_info("ssl_object") is not None
            if secure:
                cast(Any, transport).set_read_buffer_limits(PIECE_BYTES)
            else:
                visitors.came(self, transport)
            if secure or tls is None:
                self._reads = SmallReads(transport, super().data_received)
                super().connection_made(cast(asyncio.Transport, self._reads))
            else:
                _speak_tls(self, transport, tls, lambda: visitors.left(self))

        def data_received(self, data: bytes) -> None:
            self._reads.received(data)

        def eof_received(self) -> None:
            self._reads.finish()
            super().eof_received()

        def connection_lost(self, exc: Exception | None) -> None:
            """exc: None where this side closed, and wants nothing more."""
            visitors.left(self)
            if exc is None:
                self._reads.stop()
            else:
                self._reads.finish()
            super().connection_lost(exc)

    return Connection


class _SmallTls(SSLProtocol):
    """Reads little at a time, too: with the client's goodbye in it, what was read is taken at once."""

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
        ssl_handshake_timeout=TLS_PATIENCE_S,
        ssl_shutdown_timeout=TLS_PATIENCE_S,
    )
    transport.set_protocol(layer)
    layer.connection_made(transport)
