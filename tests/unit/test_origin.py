"""Which Origin is the server itself, and which is a foreign page."""

import pytest

from wernicke_daemon.wire.origin import is_this_server

OWN = [
    ("http://127.0.0.1:8000", "127.0.0.1:8000"),
    ("http://192.168.1.5:8000", "192.168.1.5:8000"),
    ("https://192.168.1.5:8443", "192.168.1.5:8443"),
    ("http://localhost:8000", "localhost:8000"),
    ("http://LOCALHOST:8000", "localhost:8000"),
    ("http://[::1]:8000", "[::1]:8000"),
    ("http://[fd00::5]:8000", "[fd00::5]:8000"),
    ("http://127.0.0.1", "127.0.0.1:80"),
    ("https://127.0.0.1:443", "127.0.0.1"),
    ("ws://192.168.1.5:8000", "192.168.1.5:8000"),
    ("wss://192.168.1.5:8000", "192.168.1.5:8000"),
]
FOREIGN = [
    ("http://evil.example:8000", "192.168.1.5:8000"),  # a page anywhere
    ("http://evil.example:8000", "evil.example:8000"),  # DNS rebinding: its name leads here
    ("http://localhost.evil.example:8000", "localhost.evil.example:8000"),
    ("http://127.0.0.1.evil.example:8000", "127.0.0.1.evil.example:8000"),
    ("http://0x7f000001:8000", "0x7f000001:8000"),
    ("http://1.2.3.4:8000", "192.168.1.5:8000"),
    ("http://localhost:3000", "localhost:8000"),  # another program on this machine
    ("http://localhost", "localhost:8000"),
    ("http://127.0.0.1:8000", "localhost:8000"),
    ("http://127.0.0.1:8000@evil.example", "127.0.0.1:8000"),
    ("http://evil.example@127.0.0.1:8000", "evil.example@127.0.0.1:8000"),
    ("http://127.0.0.1:8000/", "127.0.0.1:8000"),
    ("http://127.0.0.1:99999", "127.0.0.1:99999"),
    ("http://127.0.0.1:x", "127.0.0.1:x"),
    ("http://[::1", "[::1"),
    ("chrome-extension://127.0.0.1", "127.0.0.1"),
    ("127.0.0.1:8000", "127.0.0.1:8000"),
    ("null", "null"),
    ("", ""),
]


@pytest.mark.parametrize(("origin", "host"), OWN)
def test_its_own_address_is_no_foreign_page(origin: str, host: str) -> None:
    assert is_this_server(origin, [host])


@pytest.mark.parametrize(("origin", "host"), FOREIGN)
def test_what_may_be_a_page_is_foreign(origin: str, host: str) -> None:
    assert not is_this_server(origin, [host])


def test_one_host_is_needed() -> None:
    assert not is_this_server("http://127.0.0.1:8000", [])
    assert not is_this_server("http://127.0.0.1:8000", ["127.0.0.1:8000", "evil.example"])
