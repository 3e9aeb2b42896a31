"""No library of a stage fetches or reports anything, or reaches another machine.

- Libraries that are known to try are told not to (`enforce`), before they are imported.
- For all others the process is confined (`confine`): HTTP goes to a proxy that does not exist, also from native code
  that heeds the usual variables, and what Python code looks up or connects to must be this machine or permitted
  (`permit`).

Native code that heeds no variable is held back by neither. ZeroMQ is such code, and its addresses are the daemon's own.
"""

import errno
import ipaddress
import os
import socket
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "PYANNOTE_METRICS_ENABLED": "0",
    "OTEL_SDK_DISABLED": "true",
    "DO_NOT_TRACK": "1",
}
"""Read by huggingface_hub, transformers and onnxruntime when they are imported, by pyannote.audio at every use; the
last two by what it reports through. onnxruntime 1.32, left alone, keeps an id of the machine below the home directory
and reports 9 s after its first session."""

NOWHERE = "http://127.0.0.1:9"
"""Refused at once, and no name is looked up: the port of the discard protocol (RFC 863), which nobody serves."""

PROXIES = {
    **{f"{scheme}_proxy": NOWHERE for scheme in ("http", "https", "ftp", "all")},
    **{f"{scheme}_PROXY": NOWHERE for scheme in ("HTTP", "HTTPS", "FTP", "ALL")},
    "no_proxy": "",
    "NO_PROXY": "",
}

_permitted: set[str] = set()
_refused: set[str] = set()


def enforce() -> None:
    """For this process, and those it starts."""
    os.environ.update(ENVIRONMENT)


def confine() -> None:
    """For this process, for good; `enforce` included."""
    enforce()
    os.environ.update(PROXIES)
    sys.addaudithook(_audit)


def permit(url: str) -> None:
    """Its host may be looked up and connected to. Raises ValueError where it is no URL."""
    host = urlsplit(url).hostname
    if host:
        _permitted.add(host)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Called by the interpreter at every event that it audits (PEP 578), of which few are the network's. Raises
    PermissionError, which libraries take for a network that does not work."""
    target = _TARGETS.get(event)
    if target is not None:
        host = target(arguments)
        if not (_is_this_machine(host) or _is_permitted(host)):
            _refuse(host)


def _destination(arguments: tuple[Any, ...]) -> str:
    """Empty where it is no other machine's: sockets of other families, and sendmsg on one that is connected."""
    of, address = arguments
    return _text(address[0]) if of.family in (socket.AF_INET, socket.AF_INET6) and address else ""


def _name(arguments: tuple[Any, ...]) -> str:
    return _text(arguments[0])


def _text(host: str | bytes | bytearray | None) -> str:
    return host.decode(errors="replace") if isinstance(host, bytes | bytearray) else host or ""


_TARGETS: dict[str, Callable[[tuple[Any, ...]], str]] = {
    "socket.connect": _destination,
    "socket.sendto": _destination,
    "socket.sendmsg": _destination,
    "socket.getaddrinfo": _name,
    "socket.gethostbyname": _name,
    "socket.gethostbyaddr": _name,
    "socket.getnameinfo": lambda arguments: _text(arguments[0][0]),
}
"""The host that an audit event is about (https://docs.python.org/3/library/audit_events.html)."""


def _is_this_machine(host: str) -> bool:
    try:
        return host in ("", "localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_permitted(host: str) -> bool:
    """By the name that was permitted, or as one of its addresses."""
    if host in _permitted:
        return True
    return any(host == found[4][0] for name in _permitted for found in socket.getaddrinfo(name, None))


def _refuse(host: str) -> None:
    """Told once for each host: a library may go on trying for as long as the process lives."""
    if host not in _refused:
        _refused.add(host)
        print(f"Refused: something in this stage wanted to reach {host}.", file=sys.stderr, flush=True)
    raise PermissionError(errno.EACCES, f"a stage reaches this machine and llm.host only, not {host}")
