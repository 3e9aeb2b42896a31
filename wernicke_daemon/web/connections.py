"""How many connections the web process has open, counted from their first moment: before TLS, and before a request, at
which uvicorn looks how many there are. One socket more than Windows' select() serves ends the event loop.
"""

import asyncio
import errno
import socket
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

from uvicorn.protocols.http.h11_impl import H11Protocol

from wernicke_daemon.wire.listening import Listener

FIRST_REQUEST_S = 30.0
"""For a whole request to come. Browsers connect before they know what to ask for, and a phone that has left never hangs
up."""


class FewConnections(Listener):
    """Hangs up on those that are too many."""

    def __init__(self, listener: Listener, opened: WeakSet[socket.socket], most: int) -> None:
        """listener: is used up. opened: all that were accepted, by other listeners, too, and are not forgotten yet."""
        super().__init__(fileno=listener.detach())
        self._opened = opened
        self._most = most

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises what `Listener.accept` does; ConnectionAbortedError, which asyncio passes over, for one too many."""
        connection, address = super().accept()
        if sum(each.fileno() >= 0 for each in self._opened) >= self._most:
            connection.close()
            raise ConnectionAbortedError(errno.ECONNABORTED, "too many connections")
        self._opened.add(connection)
        return connection, address


def few(listeners: Iterable[Listener], most: int) -> list[socket.socket]:
    """The same, with at most so many connections open among them."""
    opened = WeakSet[socket.socket]()
    return [FewConnections(listener, opened, most) for listener in listeners]


class PromptHttp(H11Protocol):
    """uvicorn's, which hangs up on who has not asked for anything in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(FIRST_REQUEST_S, self._hang_up_if_silent)

    def _hang_up_if_silent(self) -> None:
        if self.scope is None:  # no request has come
            self.transport.close()
