"""Whether a request's Origin is the server that it asks; pure.

Browsers say with Origin where a page comes from. Some programs' libraries do, too, and say the server's own address.
"""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
"""ws and wss are what some libraries have for a scheme; no page has them."""


def is_this_server(origin: str, hosts: Sequence[str]) -> bool:
    """Whether they are one address, and an IP address or localhost. hosts: the request's Host headers."""
    # Such an address is looked up nowhere. A name is whatever its owner's name server says: a page of evil.example can
    # have that name lead to this machine from one moment to the next (DNS rebinding), and then its Origin and its Host
    # are the same, too. So no name is believed. A page of an IP address or localhost and of this port was served by
    # this port, and the daemon serves none.
    scheme, _, _ = origin.partition("://")
    if scheme not in _DEFAULT_PORTS or len(hosts) != 1:
        return False
    asked = _host_and_port(f"{scheme}://{hosts[0]}")
    return asked is not None and asked == _host_and_port(origin) and is_address(asked[0])


def _host_and_port(address: str) -> tuple[str, int] | None:
    """None for what has more to it, or is none."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return host, _DEFAULT_PORTS[parts.scheme] if port is None else port


def is_address(host: str) -> bool:
    """Whether it is looked up nowhere: an IP address, or localhost."""
    if host == "localhost":  # of this machine always (RFC 6761, 6.3); browsers ask nobody for it
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
