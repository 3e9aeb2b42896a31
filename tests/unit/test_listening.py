"""What is said where the address can't be listened on, and how it stands in a URL."""

import errno
import socket

import pytest

from wernicke_daemon.gateway.listening import trouble, try_to_bind, url_host


@pytest.mark.parametrize(
    ("error", "why", "fix"),
    [
        (OSError(errno.EADDRINUSE, "in use"), "port 80 of 192.0.2.1 is in use", "stop the program"),
        (OSError(errno.EADDRNOTAVAIL, "no"), "192.0.2.1 is no address of this machine", "--host"),
        (OSError(errno.EAFNOSUPPORT, "no"), "192.0.2.1 is no address of this machine", "--host"),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "192.0.2.1 is no address of this machine", "--host"),
        (PermissionError(errno.EACCES, "no"), "does not let this account have port 80", "above 1023"),
        (OSError(errno.ENOBUFS, "No buffer space"), "No buffer space", "--host and --port"),
    ],
)
def test_each_reason_has_its_way_out(error: OSError, why: str, fix: str) -> None:
    """Only where a program uses the port another one is to be stopped."""
    said = trouble(error, "192.0.2.1", 80)
    assert why in said.why and fix in said.fix
    assert ("stop the program" in said.fix) is (error.errno == errno.EADDRINUSE)


def test_all_addresses_are_taken_together() -> None:
    """Where one kind is in use, "::" is."""
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError) as refused:
        try_to_bind("::", other.getsockname()[1])
    assert refused.value.errno == errno.EADDRINUSE


def test_an_ipv6_address_has_brackets_in_a_url() -> None:
    assert (url_host("::"), url_host("fd00::5"), url_host("0.0.0.0")) == ("[::]", "[fd00::5]", "0.0.0.0")
