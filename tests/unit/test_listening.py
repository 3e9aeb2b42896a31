"""What is said where the address can't be listened on, and how it stands in a URL."""

import asyncio
import errno
import socket

import pytest
from msgspec.structs import replace

from ipc import event_loop
from tests import misbehaviour
from wernicke_daemon.commands import serve
from wernicke_daemon.config.schema import Config
from wernicke_daemon.wire.listening import Listener, listeners, trouble, try_to_bind, url_host


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


@pytest.mark.parametrize(
    ("host", "announced"),
    [("0.0.0.0", "ws://127.0.0.1:8/"), ("::", "ws://[::1]:8/"), ("192.0.2.1", "ws://192.0.2.1:8/")],
)
def test_what_is_announced_can_be_connected_to(host: str, announced: str) -> None:
    said: list[str] = []
    serve._announce_ready(replace(Config(), host=host), 8, said.append)
    assert said[-1].startswith(f"Ready: {announced}")
    assert ("other addresses" in said[-1]) is (host != "192.0.2.1")


def test_an_ipv6_address_has_brackets_in_a_url() -> None:
    assert (url_host("::"), url_host("fd00::5"), url_host("0.0.0.0")) == ("[::]", "[fd00::5]", "0.0.0.0")


def accepting(monkeypatch: pytest.MonkeyPatch, *errors: int) -> Listener:
    """A socket whose accept fails so before there is a connection."""
    left = iter(errors)

    def accept(self: socket.socket) -> tuple[str, str]:
        for error in left:
            raise OSError(error, "no")
        return "connection", "address"

    monkeypatch.setattr(socket.socket, "accept", accept)
    return Listener()


def test_connections_that_were_broken_off_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with accepting(monkeypatch, errno.ECONNRESET, errno.ENOTCONN, errno.ECONNABORTED) as listener:
        assert listener.accept() == ("connection", "address")


def test_for_ever_they_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop has other things to do, too."""
    with accepting(monkeypatch, *[errno.ECONNRESET] * 1000) as listener, pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENOBUFS, errno.EAGAIN, errno.EINVAL])
def test_what_is_wrong_with_the_listening_itself_is_raised(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    with accepting(monkeypatch, error) as listener, pytest.raises(OSError) as raised:
        listener.accept()
    assert raised.value.errno == error


def test_every_address_of_a_name_is_listened_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once, though a hosts file may name it twice; where one can't be, none stays open."""
    stream, address = (socket.AF_INET, socket.SOCK_STREAM, 6, ""), ("127.0.0.1", 0)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(*stream, address), (*stream, address)])
    [listener] = listeners("twice", 0)
    port = listener.getsockname()[1]
    listener.close()
    taken = [(*stream, ("127.0.0.1", port)), (*stream, ("192.0.2.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: taken)
    with pytest.raises(OSError):
        listeners("half", port)
    try_to_bind_again = socket.create_server(("127.0.0.1", port))
    try_to_bind_again.close()


def test_resets_before_the_accept_end_no_service() -> None:
    """The accept fails then, or gives a connection that is gone."""
    event_loop.run(_reset_often())


async def _reset_often() -> None:
    [listener] = listeners("127.0.0.1", 0)
    async with await asyncio.start_server(_greet, sock=listener):
        port = listener.getsockname()[1]
        for _ in range(50):
            for _ in range(6):  # in a row: the loop does not turn meanwhile
                misbehaviour.reset(port)
            await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(30):
            assert await reader.read() == b"here"
        writer.close()


def _greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"here")
    writer.close()
