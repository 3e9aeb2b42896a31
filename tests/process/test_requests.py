"""What may be asked of the port, in HTTP and in a first message: methods, bodies, sizes, origins, addresses."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
import websocket
from msgspec.structs import replace
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests import wire
from tests.process.conftest import embedded, started
from tests.waiting import eventually
from wernicke_daemon.config.schema import SecuritySettings
from wernicke_daemon.daemon import Daemon
from wernicke_daemon.gateway.opening import LONGEST_REQUEST_LINE
from wernicke_daemon.gateway.server import CanNotListen
from wernicke_daemon.wire import tokens

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = tokens.new_token()
OURS, FOREIGN = "https://page.example", "https://evil.example"

GLOSSARIES = {"Japanese": "語", "four bytes": "𠮷", "letters": "x"}
"""200 terms of 100 of such characters are a glossary that is allowed."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A daemon that wants a token."""
    security = SecuritySettings(clients=(tokens.hash_of(TOKEN),))
    config = embedded(tmp_path_factory.mktemp("closed"), security=security, cors_origins=(OURS,))
    async with started(config) as daemon:
        yield daemon


async def ask(daemon: Daemon, method: str, path: str, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.request(method, f"http://127.0.0.1:{daemon.port}{path}", **options)


# --- methods and bodies -----------------------------------------------------------------------------


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(3):
        yield bytes(1000)


@pytest.mark.parametrize("path", ["/health", "/stats", "/transcribe"])
async def test_other_methods_are_answered(daemon: Daemon, path: str) -> None:
    """With a body or without: what is answered is said."""
    for method, content in (("POST", None), ("POST", b"x" * 3_000_000), ("PUT", chunks()), ("DELETE", None)):
        answer = await ask(daemon, method, path, content=content)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
        assert "WebSocket" in answer.json()["error"]


async def test_a_body_is_no_reason_to_hang_up(daemon: Daemon) -> None:
    """Also of one that has come as far as the request itself."""
    for content in (b"{}", chunks()):
        answer = await ask(daemon, "GET", "/health", content=content)
        assert (answer.status_code, "body" in answer.json()["error"]) == (400, True)
    answers = await raw(daemon, b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n\x81\x81\x81\x81")
    assert answers.startswith(b"HTTP/1.1 405 ")


async def test_what_can_not_be_read_is_answered(daemon: Daemon) -> None:
    """If it is HTTP."""
    endless = b"GET /health HTTP/1.1\r\n" + b"Cookie: %s\r\n" % (b"x" * 9000) + b"\r\n"
    assert (await raw(daemon, endless)).startswith(b"HTTP/1.1 431 ")
    assert (await raw(daemon, b"GET /health HTTP/1.1\r\nno header\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    assert (await raw(daemon, b"GET /health HTTP/3\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    assert await raw(daemon, b"SSH-2.0-x\r\n") == b""


async def raw(daemon: Daemon, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
    writer.write(request)
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer


async def test_head_is_the_page_without_itself(daemon: Daemon) -> None:
    head, _, body = (await raw(daemon, b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and b"Content-Length: " in head and body == b""


async def test_a_browser_may_ask_before_it_sends_a_token(closed: Daemon) -> None:
    """It asks without the token; only pages that are listed are told that they may."""
    asks = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    for path in ("/health", "/stats"):
        ours = await ask(closed, "OPTIONS", path, headers={"Origin": OURS, **asks})
        assert (ours.status_code, ours.content) == (204, b"")
        assert ours.headers["Access-Control-Allow-Origin"] == OURS
        assert ours.headers["Access-Control-Allow-Headers"] == "Authorization"
        assert "GET" in ours.headers["Access-Control-Allow-Methods"]
        foreign = await ask(closed, "OPTIONS", path, headers={"Origin": FOREIGN, **asks})
        assert not [name for name in foreign.headers if name.startswith("access-control")]
    assert (await ask(closed, "OPTIONS", "/nothing")).status_code == 404


# --- sizes ------------------------------------------------------------------------------------------


def terms(character: str) -> list[str]:
    return [f"{number:03}{character * 97}" for number in range(200)]


@pytest.mark.parametrize("character", GLOSSARIES.values(), ids=GLOSSARIES)
async def test_a_glossary_that_is_allowed_is_taken_in_the_address(daemon: Daemon, character: str) -> None:
    """However long its characters are there."""
    glossary = quote(",".join(terms(character)), safe="")
    async with wire.open_socket(daemon.port, f"{wire.MONO}&events=session&glossary={glossary}") as socket:
        hello = await wire.receive(socket)
        session = next(each for each in daemon.sessions if each.id == hello["session_id"])
        assert session.options.glossary == tuple(terms(character))


@pytest.mark.parametrize("character", GLOSSARIES.values(), ids=GLOSSARIES)
async def test_a_glossary_that_is_allowed_is_taken_beside_a_token(closed: Daemon, character: str) -> None:
    """Escaped, and with a large frame of audio in the same breath."""
    start = {"type": "start", "token": TOKEN, "events": "session,ack", "glossary": terms(character)}
    async with wire.open_socket(closed.port, wire.MONO) as socket:
        await socket.send(json.dumps(start))
        await socket.send(wire.silence(60.0))
        hello = await wire.receive(socket)
        received = (await wire.until(socket, "audio_received"))[-1]
        assert received["samples_received"] > 0
        session = next(each for each in closed.sessions if each.id == hello["session_id"])
        assert session.options.glossary == tuple(terms(character))


async def test_an_address_that_is_too_long_is_told_what_to_do(daemon: Daemon) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with wire.open_socket(daemon.port, f"glossary={'x' * LONGEST_REQUEST_LINE}"):
            pass
    assert refused.value.response.status_code == 414
    assert "start message" in json.loads(refused.value.response.body or b"")["error"]


async def test_strangers_send_little(closed: Daemon) -> None:
    """Before the first message is there, and after it was refused."""
    for message in (b"x" * 300_000, '{"type": "start", "token": "wrong"}'):
        async with wire.open_socket(closed.port) as socket:
            with pytest.raises(ConnectionClosed):
                await socket.send(message)
                await socket.send(bytes(1_000_000))
                while True:
                    await wire.receive(socket)
        assert socket.close_code in (1008, 1009)
    await eventually(lambda: not list(closed.gateway.open_connections))


async def test_a_number_with_a_point_is_the_same_number(daemon: Daemon) -> None:
    """In a message as in the address."""
    start = '{"type": "start", "sample_rate": 16000.0, "channels": 1.0, "events": "session"}'
    for query, first in (("", start), ("sample_rate=16000.0&channels=1.0&events=session", None)):
        async with wire.open_socket(daemon.port, query) as socket:
            if first is not None:
                await socket.send(first)
            audio = (await wire.receive(socket))["audio"]
            assert (audio["sample_rate"], audio["channels"]) == (16_000, 1)


# --- origins ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_program_may_send_its_servers_address_as_origin(daemon: Daemon, host: str) -> None:
    """As websocket-client does by itself."""

    def hello() -> dict[str, Any]:
        client = websocket.create_connection(f"ws://{host}:{daemon.port}/transcribe?events=session")
        message: dict[str, Any] = json.loads(client.recv())
        client.close()
        return message

    assert (await asyncio.to_thread(hello))["type"] == "connection_established"


async def test_a_name_that_was_made_to_lead_here_is_a_foreign_page(daemon: Daemon) -> None:
    """DNS rebinding: the page's own name, in Origin and Host alike."""
    evil = f"evil.example:{daemon.port}"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://{evil}/transcribe", host="127.0.0.1", origin=f"http://{evil}", proxy=None):  # type: ignore[arg-type]
            pass
    assert refused.value.response.status_code == 403
    assert "IP address" in json.loads(refused.value.response.body or b"")["error"]


# --- addresses --------------------------------------------------------------------------------------


async def test_one_address_serves_both_kinds(tmp_path: Path) -> None:
    """IPv4 and IPv6; an address of IPv4 is logged as one."""
    config = replace(embedded(tmp_path), host="::")
    async with started(config) as daemon:
        for host in ("127.0.0.1", "[::1]"):
            async with connect(f"ws://{host}:{daemon.port}/transcribe?events=session", proxy=None) as socket:
                assert (await wire.receive(socket))["type"] == "connection_established"


async def test_an_address_of_another_machine_is_not_said_to_be_in_use(tmp_path: Path) -> None:
    for host in ("192.0.2.1", "no-such-name.invalid"):
        with pytest.raises(CanNotListen, match=f"{host} is no address of this machine; choose another"):
            async with started(replace(embedded(tmp_path), host=host)):
                pass


async def test_a_port_in_use_is(daemon: Daemon, tmp_path: Path) -> None:
    with pytest.raises(CanNotListen, match=f"port {daemon.port} of 127.0.0.1 is in use; stop the program"):
        async with started(replace(embedded(tmp_path), port=daemon.port)):
            pass
