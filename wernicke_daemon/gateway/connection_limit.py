"""How many connections may be open without a session, and which of them is cut; pure.

Each open connection costs a file descriptor, and a process that has none left can do nothing any more, so connections
count from their first moment, before any handshake. The newest is taken in, and the oldest of the address that has most
of them is cut. Prompt clients are served long before they are the oldest.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Generic, TypeVar

from wernicke_daemon.wire.fairness import oldest_of_busiest_address

MOST_WITHOUT_SESSION = 200
"""Connections in their handshake, waiting to be let in, or being refused."""

MOST_WATCHERS = 32
"""Of all sessions, at a time; they are not cut either. The web process is one, however many pages are open."""

OTHER_SOCKETS = 12
"""Of the event loop, beside those connections: what it is woken by, what listens, requests to Ollama, and connections
that have just been cut."""

Connection = TypeVar("Connection")


def most_in_session(sockets: int) -> int:
    """sockets: that the event loop can serve at a time."""
    return sockets - MOST_WITHOUT_SESSION - MOST_WATCHERS - OTHER_SOCKETS


class ConnectionLimit(Generic[Connection]):
    """Counts open connections; iterates over them, oldest first. Those in a session are never cut."""

    def __init__(self, most: int, in_session: Callable[[], Collection[Connection]]) -> None:
        """most: that may be open without a session. in_session: those that have one."""
        self._most = most
        self._in_session = in_session
        self._addresses: dict[Connection, str] = {}

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._addresses))

    def opened(self, connection: Connection, address: str) -> Connection | None:
        """Count one more. Returns the one that is to be cut for it, which counts no more."""
        self._addresses[connection] = address
        in_session = self._in_session()
        others = {each: peer for each, peer in self._addresses.items() if each not in in_session}
        cut = oldest_of_busiest_address(others, self._most)
        if cut is not None:
            self.closed(cut)
        return cut

    def closed(self, connection: Connection) -> None:
        """It counts no more, if it still did."""
        self._addresses.pop(connection, None)
