"""How many connections the web process has open, counted from their first moment: before TLS, and before a request, at
which uvicorn looks how many there are. One socket more than Windows' select() serves ends the event loop.

Whoever is let in keeps their connection. Of strangers' only so many stay open, in whatever part of a request they are:
the newest is taken, and the oldest of the address that has most of them goes (`wire/fairness.py`). Requests that never
end keep nobody out so.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from wernicke_daemon.wire.fairness import oldest_of_busiest_address
from wernicke_daemon.wire.listening import Listener

REQUEST_S = 30.0
"""For the head of a request to come, of the first and of each that follows. Browsers connect before they know what to
ask for, and a phone that has left never hangs up."""

Peer = tuple[str, int]
"""Address and port of the other side."""


class OpenConnections:
    """All of the process, by whichever listener they came. Used on the event loop's thread."""

    def __init__(self, most: int, most_strangers: int) -> None:
        self._most = most
        self._most_strangers = most_strangers
        self._peers: WeakKeyDictionary[socket.socket, Peer] = WeakKeyDictionary()  # oldest first
        self._let_in = set[Peer]()

    def let_in(self, peer: Peer) -> None:
        """It is no stranger's."""
        self._let_in.add(peer)

    def take(self, connection: socket.socket, peer: Peer) -> bool:
        """One more; False where that is one too many. A stranger's may have to go for it."""
        for gone in [each for each in self._peers if each.fileno() < 0]:
            del self._peers[gone]
        self._let_in.intersection_update(self._peers.values())
        if len(self._peers) >= self._most:
            return False
        self._peers[connection] = peer
        self._hang_up_on_one_too_many()
        return True

    def _hang_up_on_one_too_many(self) -> None:
        strangers = {each: peer[0] for each, peer in self._peers.items() if peer not in self._let_in}
        if (cut := oldest_of_busiest_address(strangers, self._most_strangers)) is not None:
            del self._peers[cut]
            with contextlib.suppress(OSError):  # it is gone already
                cut.shutdown(socket.SHUT_RDWR)  # its transport closes it


class FewConnections(Listener):
    """Hangs up on those that are too many."""

    def __init__(self, listener: Listener, connections: OpenConnections) -> None:
        """listener: is used up."""
        super().__init__(fileno=listener.detach())
        self._open = connections

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises what `Listener.accept` does; ConnectionAbortedError, which asyncio passes over, for one too many."""
        connection, address = super().accept()
        if not self._open.take(connection, address[:2]):
            connection.close()
            raise ConnectionAbortedError(errno.ECONNABORTED, "too many connections")
        return connection, address


def few(listeners: Iterable[Listener], connections: OpenConnections) -> list[socket.socket]:
    """The same, with no more connections open among them."""
    return [FewConnections(listener, connections) for listener in listeners]


class PromptHttp(H11Protocol):
    """uvicorn's, which hangs up on who does not ask for anything in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect_request()

    def _expect_request(self) -> None:
        self.loop.call_later(REQUEST_S, self._hang_up_if_still, self.scope)

    def _hang_up_if_still(self, last: object) -> None:
        """last: the request before; None for the first. uvicorn's keep-alive ends with the first byte of another."""
        if self.scope is last:
            self.transport.close()


class PromptWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's, which is rid of a client that answers no ping: closed alone, a line that nobody reads would stay for
    what is still to be sent, and a session of the front with it."""

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()
