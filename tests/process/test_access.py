"""Who gets in, over real sockets: tokens, origins, TLS; and that no token is ever written down, and no path sent."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import pytest_asyncio
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests import wire
from tests.process.conftest import embedded, started
from tests.waiting import eventually
from wernicke_daemon import cli
from wernicke_daemon.client import Client, ClientError, Exit, ParsedMessage
from wernicke_daemon.config.schema import Config, SecuritySettings
from wernicke_daemon.daemon import Daemon
from wernicke_daemon.gateway import access, http_request
from wernicke_daemon.processes import process_tree
from wernicke_daemon.wire import tls, tokens

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN, WRONG = "0123456789abcdef" * 4, "fedcba9876543210" * 4
"""In the names of tests, which are the same each time."""
OURS, FOREIGN = "https://page.example", "https://evil.example"
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
SPEECH = wire.turn(5).astype("<f4").tobytes()


def guarded(directory: Path, **security: Any) -> Config:
    settings = SecuritySettings(clients=(tokens.hash_of(TOKEN),), origins=(OURS,), **security)
    return embedded(directory, security=settings)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A daemon that wants a token, not in the address, and lets one web page read its answers."""
    async with started(replace(guarded(tmp_path_factory.mktemp("data")), cors_origins=(OURS,))) as daemon:
        yield daemon


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def knock(daemon: Daemon, query: str = wire.MONO, **headers: str) -> connect:
    address = f"ws://127.0.0.1:{daemon.port}/transcribe?{query}"
    return connect(address, additional_headers=headers, compression=None)


async def page(daemon: Daemon, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{daemon.port}{path}", headers=headers)


async def text_of(socket: ClientConnection) -> str:
    """What comes back for a little speech."""
    await socket.send(SPEECH)
    await socket.send('{"type": "stop"}')
    [final] = wire.finals(await wire.until(socket, "session_ended"))
    return str(final["text"])


async def turned_away(socket: ClientConnection) -> tuple[str, int]:
    """The code of the error, and of the close that follows."""
    error = await wire.receive(socket)
    with pytest.raises(ConnectionClosed) as closed:
        await socket.recv()
    assert closed.value.rcvd is not None
    return error["code"], closed.value.rcvd.code


# --- tokens -----------------------------------------------------------------------------------------


async def test_a_token_in_the_header_lets_in(closed: Daemon) -> None:
    """As programs send it."""
    async with knock(closed, **bearer(TOKEN)) as socket:
        assert await text_of(socket)


async def test_each_request_is_read_and_judged_once(closed: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its token, or without one that has to follow in the first message; and for a page."""
    read = count_calls(monkeypatch, http_request, "read")
    judged = count_calls(monkeypatch, access, "request")
    parsed = count_calls(monkeypatch, http_request, "parse_qsl")
    async with knock(closed, **bearer(TOKEN)) as socket:
        assert await text_of(socket)
    async with knock(closed) as socket:
        await socket.send(json.dumps({"type": "start", "token": TOKEN, "events": "session"}))
        assert (await wire.receive(socket))["type"] == "connection_established"
        assert await text_of(socket)
    await page(closed, "/stats", bearer(TOKEN))
    assert (len(read), len(judged), len(parsed)) == (3, 2, 3)


def count_calls(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> list[None]:
    """Grows by one with each call."""
    called: list[None] = []
    function = getattr(module, name)

    def counted(*arguments: Any) -> Any:
        called.append(None)
        return function(*arguments)

    monkeypatch.setattr(module, name, counted)
    return called


@pytest.mark.parametrize("credentials", [f"Bearer {WRONG}", "Bearer", f"Basic {TOKEN}", TOKEN])
async def test_another_token_in_the_header_is_an_http_refusal(closed: Daemon, credentials: str) -> None:
    """401, and how to do better."""
    with pytest.raises(InvalidStatus) as refused:
        async with knock(closed, Authorization=credentials):
            pass
    answer = refused.value.response
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
    assert json.loads(answer.body or b"")["code"] == "UNAUTHORIZED"


async def test_a_token_in_the_first_message_lets_in(closed: Daemon) -> None:
    """As pages send it, which can set no header; the rest of the message counts as well."""
    start = {"type": "start", "token": TOKEN, "sample_rate": 16_000, "channels": 1, "events": "session"}
    async with knock(closed, query="") as socket:
        await socket.send(json.dumps(start))
        established = await wire.receive(socket)
        assert (established["type"], established["audio"]["sample_rate"]) == ("connection_established", 16_000)
        assert await text_of(socket)


@pytest.mark.parametrize(
    "first",
    [
        json.dumps({"type": "start", "token": WRONG}),
        json.dumps({"type": "start"}),
        json.dumps({"type": "flush", "token": TOKEN}),
        TOKEN,
        SPEECH[:6400],
    ],
    ids=["another", "none", "not start", "no message", "audio"],
)
async def test_any_other_first_message_is_turned_away(closed: Daemon, first: str | bytes) -> None:
    """An error in words, and 1008."""
    async with knock(closed) as socket:
        await socket.send(first)
        assert await turned_away(socket) == ("UNAUTHORIZED", 1008)


async def test_a_stranger_may_not_send_much(closed: Daemon) -> None:
    """A first message as large as a file is not even read."""
    async with knock(closed) as socket:
        await socket.send(bytes(1 << 20))
        with pytest.raises(ConnectionClosed) as closing:
            await socket.recv()
    assert closing.value.rcvd is not None and closing.value.rcvd.code == 1009


async def test_whoever_says_nothing_is_turned_away(closed: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a token takes up no place for long."""
    monkeypatch.setattr(access, "FIRST_MESSAGE_S", 0.2)
    async with knock(closed) as socket:
        assert await turned_away(socket) == ("UNAUTHORIZED", 1008)


async def test_a_token_in_the_address_does_not_count_where_it_may_not(closed: Daemon) -> None:
    """It is as if none had been brought."""
    async with knock(closed, f"{wire.MONO}&token={TOKEN}") as socket:
        await socket.send(SPEECH[:6400])
        assert await turned_away(socket) == ("UNAUTHORIZED", 1008)


async def test_a_stranger_takes_nobodys_session_over(closed: Daemon) -> None:
    """Whatever is said about the session, without a token there is none; with one, its resume token is needed too."""
    async with knock(closed, f"{wire.MONO}&events=session", **bearer(TOKEN)) as socket:
        hello = await wire.receive(socket)
        mine = f"{wire.MONO}&events=session&session={hello['session_id']}&resume_token="
        async with knock(closed, mine + hello["resume_token"]) as stranger:
            await stranger.send("hello")
            assert await turned_away(stranger) == ("UNAUTHORIZED", 1008)
        for guess in ("", "x", "%C3%BC", "%00"):
            async with knock(closed, mine + guess, **bearer(TOKEN)) as other:
                assert (await wire.receive(other))["session_id"] != hello["session_id"]
                await other.send('{"type": "stop"}')
                await wire.until(other, "session_ended")
        assert await text_of(socket)


# --- origins ----------------------------------------------------------------------------------------


async def test_foreign_pages_are_refused_even_with_a_token(closed: Daemon) -> None:
    """403; the listed origin is let in."""
    with pytest.raises(InvalidStatus) as refused:
        async with knock(closed, Origin=FOREIGN, **bearer(TOKEN)):
            pass
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body or b"")["code"] == "ORIGIN_REFUSED"
    async with knock(closed, Origin=OURS, **bearer(TOKEN)) as socket:
        assert await text_of(socket)


async def test_foreign_pages_are_refused_where_no_token_is_wanted(tmp_path: Path) -> None:
    """Without any setting, a page that somebody has open can't listen in."""
    async with started(embedded(tmp_path)) as daemon:
        with pytest.raises(InvalidStatus) as refused:
            async with knock(daemon, Origin=FOREIGN):
                pass
    assert refused.value.response.status_code == 403


# --- pages ------------------------------------------------------------------------------------------


async def test_stats_are_for_those_with_a_token(closed: Daemon) -> None:
    """401 for strangers, the page for the others."""
    for headers in ({}, bearer(WRONG)):
        refused = await page(closed, "/stats", headers)
        assert refused.status_code == 401 and refused.headers["WWW-Authenticate"] == "Bearer"
        assert set(refused.json()) == {"code", "error"}
    assert (await page(closed, f"/stats?token={TOKEN}")).status_code == 401
    assert (await page(closed, "/stats", bearer(TOKEN))).json()["stages"]["asr"]["state"] == "ready"


async def test_strangers_learn_from_health_only_how_it_is(closed: Daemon) -> None:
    """Enough for a watchdog, and no process ids."""
    for headers in ({}, bearer(WRONG)):
        known = (await page(closed, "/health", headers)).json()
        assert known in ({"status": "ok"}, {"status": "degraded"})  # a busy machine may slow a stage down
    assert (await page(closed, "/health", bearer(TOKEN))).json()["stages"]["asr"]["pid"]


async def test_web_pages_that_are_listed_may_read_what_is_answered(closed: Daemon) -> None:
    """Also a refusal; no other web page may read anything."""
    for path in ("/health", "/stats", "/nothing", "/transcribe?sample_rate=x"):
        ours = await page(closed, path, {"Origin": OURS})
        assert (ours.headers.get("Access-Control-Allow-Origin"), ours.headers.get("Vary")) == (OURS, "Origin")
        assert "Access-Control-Allow-Origin" not in (await page(closed, path, {"Origin": FOREIGN})).headers


# --- TLS --------------------------------------------------------------------------------------------


async def test_everything_over_tls_with_the_daemons_own_certificate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Client and `wernicke status` trust what `wernicke cert` made and nothing else; a token may be in the address
    here."""
    certificate, key = tls.make_certificate(tmp_path, [], now=datetime.now(UTC))
    config = guarded(tmp_path, in_query=True, certificate_file=str(certificate), key_file=str(key))
    async with started(config) as daemon:
        url = f"wss://localhost:{daemon.port}/transcribe"
        assert await said(Client(url, token=TOKEN, cafile=certificate))
        assert await said(Client(f"{url}?token={TOKEN}", cafile=certificate))
        for other in (Client(url, token=TOKEN), Client(url.replace("wss", "ws"), token=TOKEN)):
            with pytest.raises(ClientError, match=r"is not trusted|is not a Wernicke server") as refused:
                await said(other)
            assert refused.value.exit_code == Exit.UNREACHABLE
        options = ["--url", url, f"--token={TOKEN}"]
        assert await status(*options) == Exit.UNREACHABLE
        assert "--cafile" in capsys.readouterr().err
        assert await status(*options, "--cafile", str(certificate)) == Exit.OK
        assert "pocketsphinx" in capsys.readouterr().out


async def said(client: Client) -> list[ParsedMessage]:
    """The finals of a little speech."""
    async with client:
        await client.send(SPEECH)
        await client.stop()
        return wire.finals([message async for message in client])


async def status(*options: str) -> int:
    return await asyncio.to_thread(cli.main, ["status", *options])


# --- what is written down ---------------------------------------------------------------------------


async def test_no_token_is_written_down_or_sent_back(tmp_path: Path) -> None:
    """Not the right one, not a wrong one, not even of requests that are none; tracebacks and paths stay in the log."""
    config = guarded(tmp_path)
    config = replace(config, logging=replace(config.logging, level="debug"))
    async with started(config) as daemon:
        answers = [
            await raw(daemon, f"GET /transcribe?token={TOKEN} HTTP/1.1", f"Authorization: Bearer {WRONG}"),
            await raw(daemon, f"GET /transcribe?token={TOKEN}&sample_rate={WRONG} HTTP/1.1"),
            await raw(daemon, f"GET /{TOKEN} HTTP/1.1"),
            await raw(daemon, f"GET /stats?token={TOKEN} HTTP/1.1", f"Authorization: Basic {WRONG}"),
            await raw(daemon, f"GET /transcribe?token={TOKEN} HTTP/3.0"),
            await raw(daemon, f"BREW /transcribe?token={TOKEN}"),
            await raw(daemon, f"GET //[{TOKEN}]/ HTTP/1.1"),
            await raw(daemon, "GET /transcribe HTTP/1.1", f"Authorization : Bearer {TOKEN}"),
        ]
        for first in (json.dumps({"type": "start", "token": WRONG}), f'{{"type": "start", "token": "{TOKEN}'):
            async with knock(daemon) as socket:
                await socket.send(first)
                answers.append(str(await wire.receive(socket)))
        async with knock(daemon, f"{wire.MONO}&token={TOKEN}", **bearer(TOKEN)) as socket:
            await socket.send('{"type": "stop"}')
            await wire.until(socket, "session_ended")
    log = config.log_path.read_text(encoding="utf-8")
    assert "session_over" in log
    assert all(answers[:4])
    assert [line for line in log.splitlines() if TOKEN in line or WRONG in line] == []
    for answer in answers:
        assert TOKEN not in answer and WRONG not in answer
        assert "Traceback" not in answer and str(Path(wire.__file__).parents[1]) not in answer


async def test_no_path_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why an engine was chosen, and why a stage is down, is told without any folder's name; the log has it all."""
    model, python = tmp_path / "our secret models" / "whisper", tmp_path / "our secret programs" / "python"
    config = embedded(tmp_path)
    config = replace(config, asr=replace(config.asr, engine="auto", model=str(model)))
    async with started(config) as daemon:
        answers: list[Any] = await wire.transcribe(daemon.port, SPEECH, f"{wire.MONO}&events=all")
        assert "asr.model is" in answers[0]["engines"]["asr"]
        async with wire.open_socket(daemon.port, f"{wire.MONO}&events=status") as socket:
            monkeypatch.setattr(process_tree, "python", lambda: str(python))
            pid = daemon.pipeline.ports["diarization"].status().pid
            assert pid is not None
            os.kill(pid, KILL)
            answers += await wire.until(socket, "degraded")
            answers.append(await eventually(lambda: page_with(daemon, "/health", "could not be started")))
            answers.append(await eventually(lambda: page_with(daemon, "/stats", "could not be started")))
            answers += [(await page(daemon, path)).text for path in ("/", "/metrics", "/transcribe")]
            monkeypatch.undo()
    for secret in ("secret", tmp_path.name, f"{Path.home()}{os.sep}", str(Path(wire.__file__).parents[1])):
        assert [answer for answer in answers if secret in str(answer)] == []
    log = config.log_path.read_text(encoding="utf-8")
    assert "our secret models" in log
    assert "our secret programs" in log or os.name == "nt"  # where the system does not say what it did not find


async def page_with(daemon: Daemon, path: str, words: str) -> str | None:
    """The page, where those words are in it."""
    text = (await page(daemon, path)).text
    return text if words in text else None


async def raw(daemon: Daemon, *lines: str) -> str:
    """Whatever comes back for such a request."""
    upgrade = ("Host: x", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
    writer.write("\r\n".join((*lines, *upgrade, key, "", "")).encode())
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode(errors="replace")
