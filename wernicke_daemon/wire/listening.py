"""The address to listen on, and what is wrong where it can't be."""

import errno
import socket
from contextlib import ExitStack
from typing import Any, NamedTuple

_BACKLOG = 100
"""Connections that wait to be accepted: asyncio's number."""

_NOT_OURS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""An address of another machine, or of a kind that this one has none of."""


_GONE = {
    getattr(errno, name)
    for name in (
        "ECONNRESET", "ECONNABORTED", "ENOTCONN", "EPERM", "EPROTO", "ENOPROTOOPT", "EOPNOTSUPP",
        "ENETDOWN", "ENETUNREACH", "EHOSTDOWN", "EHOSTUNREACH", "ENONET",
    )
    if hasattr(errno, name)
}  # fmt: skip
"""Errors of an accept that are the connection's, not the listening socket's: on Linux (accept(2)) and Windows
(WSAECONNRESET of Winsock's `accept`; wine has WSAENOTCONN)."""


class Listener(socket.socket):
    """Listens. A connection that was broken off before it is accepted is passed over; asyncio would log a traceback for
    each one."""

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises OSError, BlockingIOError where no more wait."""
        for _ in range(_BACKLOG):
            try:
                return super().accept()
            except OSError as error:
                if error.errno not in _GONE:
                    raise
        raise BlockingIOError(errno.EAGAIN, "many connections were broken off")  # the others have their turn


def listeners(host: str, port: int) -> list[Listener]:
    """One for each address that `host` stands for. "::" is every address of this machine, those of IPv4 included.
    Raises OSError."""
    if host == "::" and socket.has_dualstack_ipv6():
        # Linux would add IPv4 by itself, Windows would not.
        return [_listener(host, port, socket.AF_INET6, dualstack_ipv6=True)]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with ExitStack() as opened:
        made = [
            opened.enter_context(_listener(address, port, family))
            for family, address in dict.fromkeys((family, str(to[0])) for family, _, _, _, to in found)
        ]
        opened.pop_all()
        return made


def _listener(address: str, port: int, family: int, *, dualstack_ipv6: bool = False) -> Listener:
    plain = socket.create_server((address, port), family=family, backlog=_BACKLOG, dualstack_ipv6=dualstack_ipv6)
    return Listener(fileno=plain.detach())


def try_to_bind(host: str, port: int) -> None:
    """Listen there for a moment. Raises OSError."""
    for each in listeners(host, port):
        each.close()


def reachable(host: str) -> str:
    """Where this machine's own programs find what listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def url_host(host: str) -> str:
    """As it stands in an address: an IPv6 one in brackets."""
    return f"[{host}]" if ":" in host else host


class Trouble(NamedTuple):
    """why: the address can't be listened on. fix: what to do. Both without a capital and a full stop."""

    why: str
    fix: str


def trouble(error: OSError, host: str, port: int) -> Trouble:
    """error: of `place`, or of listening there."""
    if isinstance(error, socket.gaierror) or error.errno in _NOT_OURS:
        fix = 'choose another with --host or in config.toml: "0.0.0.0" is every one that it has'
        return Trouble(f"{host} is no address of this machine", fix)
    if error.errno == errno.EADDRINUSE:
        fix = "stop the program that uses it, or choose another port with --port or in config.toml"
        return Trouble(f"port {port} of {host} is in use", fix)
    if error.errno in (errno.EACCES, errno.EPERM):
        fix = "choose another port with --port or in config.toml, above 1023"
        return Trouble(f"the system does not let this account have port {port}", fix)
    return Trouble(error.strerror or str(error), "choose another address with --host and --port, or in config.toml")
