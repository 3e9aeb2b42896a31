"""The address to listen on, and what is wrong where it can't be."""

import errno
import socket
from typing import Any, NamedTuple

_NOT_OURS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""An address of another machine, or of a kind that this one has none of."""


def place(host: str, port: int) -> dict[str, Any]:
    """Where to listen, as `asyncio.loop.create_server` takes it. "::" is every address of this machine, those of IPv4
    included. Raises OSError."""
    if host == "::" and socket.has_dualstack_ipv6():
        # Linux would add IPv4 by itself, Windows would not, and asyncio keeps it out everywhere.
        return {"sock": socket.create_server((host, port), family=socket.AF_INET6, backlog=100, dualstack_ipv6=True)}
    return {"host": host, "port": port}


def try_to_bind(host: str, port: int) -> None:
    """Listen there for a moment. Raises OSError."""
    at = place(host, port)
    if "sock" in at:
        at["sock"].close()
        return
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        with socket.create_server((str(address[0]), port), family=family):
            pass


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
