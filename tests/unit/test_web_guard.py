"""Which hosts and origins the pages take, and where a login leads; a body that does not come."""

import asyncio

import msgspec
import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from wernicke_daemon.web import guard
from wernicke_daemon.web.guard import Guard, believes_host, is_foreign
from wernicke_daemon.web.login import _own_path

NAMES = frozenset({"pc", "pc.local"})
LISTED = ("https://captions.example:8443",)


@pytest.mark.parametrize(
    ("host", "believed"),
    [
        ("127.0.0.1:8001", True),
        ("[::1]:8001", True),
        ("192.168.1.20", True),
        ("localhost:8001", True),
        ("PC.local:8001", True),
        ("captions.example:8443", True),
        ("captions.example", False),
        ("evil.example:8001", False),
        ("127.0.0.1.evil.example", False),
        ("pc.local.evil.example", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_a_name_that_anybody_could_point_here_is_not_believed(host: str, believed: bool) -> None:
    """An address is, this machine's name is, and what is listed is."""
    assert believes_host([host], LISTED, NAMES) is believed


def test_one_host_and_no_more() -> None:
    """A request that says two of them is believed in none."""
    assert not believes_host([], (), NAMES) and not believes_host(["localhost", "localhost"], (), NAMES)


@pytest.mark.parametrize(
    ("origins", "foreign"),
    [
        ([], False),
        (["http://pc:8001"], False),
        (["https://pc:8001"], False),
        (["https://captions.example:8443"], False),
        (["http://pc"], True),
        (["http://pc:8000"], True),
        (["null"], True),
        (["http://pc:8001", "https://evil.example"], True),
    ],
)
def test_a_page_from_elsewhere_is_foreign(origins: list[str], foreign: bool) -> None:
    """Another port of this machine, too; a program sends no origin."""
    assert is_foreign(origins, ["pc:8001"], LISTED) is foreign


@pytest.mark.parametrize(
    "wanted", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_a_login_leads_nowhere_else(wanted: str) -> None:
    """Whatever the form says."""
    assert _own_path(wanted) == "/"


def test_a_login_leads_to_what_was_wanted() -> None:
    """With the page that asked for it."""
    assert _own_path("/transcripts/0a1b") == "/transcripts/0a1b"


async def _takes_a_body(scope: Scope, receive: Receive, send: Send) -> None:
    await Request(scope, receive).body()


@pytest.mark.asyncio
async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of it came before."""
    monkeypatch.setattr(guard, "BODY_S", 0.1)
    pieces: list[Message] = [{"type": "http.request", "body": b"token", "more_body": True}] * 2
    sent: list[Message] = []

    async def receive() -> Message:
        if pieces:
            return pieces.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/login", "headers": [(b"host", b"pc")], "query_string": b""}
    app = Guard(_takes_a_body, (), any_host=True, larger={}, let_in=lambda peer: None)
    async with asyncio.timeout(30):
        await app(scope, receive, send)
    assert sent[0]["status"] == 408


@pytest.mark.asyncio
@pytest.mark.parametrize(("path", "sentence"), [("/v1/listen", "err_msg"), ("/v1/realtime", "error")])
async def test_a_program_is_told_why_its_name_for_this_machine_is_not_believed(path: str, sentence: str) -> None:
    """In the words of its protocol, in place of a WebSocket; Deepgram's look into a header."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": path, "headers": [(b"host", b"wernicke.example")]}
    app = Guard(_takes_a_body, (), any_host=False, larger={}, let_in=lambda peer: None)
    await app(scope, receive, send)
    start, body = sent
    assert start["type"] == "websocket.http.response.start" and start["status"] == 403
    assert "not believed" in str(msgspec.json.decode(body["body"])[sentence])
    assert (guard.FOREIGN_HOST.encode() in dict(start["headers"]).values()) is (path == "/v1/listen")
