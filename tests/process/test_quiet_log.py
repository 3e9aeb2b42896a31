"""No session, however it ends, leaves an error in the log: its reader would look for a fault, and strangers could fill
it with them."""

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import structlog
from msgspec.structs import replace
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests import wire
from tests.misbehaviour import CONNECTED
from tests.process.conftest import embedded
from tests.waiting import eventually
from wernicke_daemon.config.schema import SecuritySettings, stage_settings
from wernicke_daemon.daemon import Daemon, running
from wernicke_daemon.wire import tokens

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = tokens.new_token()
SPEECH = wire.turn(5).astype("<f4").tobytes()
START = json.dumps({"type": "start", "token": TOKEN})
STOP = '{"type": "stop"}'
QUERY = f"{wire.MONO}&events=all"

WRITTEN = "all_before_is_written"

Ends = Callable[[Daemon], Awaitable[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def quiet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A daemon that wants a token and soon gives up whoever is silent."""
    security = SecuritySettings(clients=(tokens.hash_of(TOKEN),), in_query=True)
    config = embedded(tmp_path_factory.mktemp("data"), security=security, runtime={"resume_window_s": 0.5})
    config = replace(config, timeout=1.0, max_connections=20, audio=replace(config.audio, max_frame_mib=1))
    settings = replace(stage_settings(config), sleep_ms={"asr": 300.0, "diarization": 1.0, "correction": 1.0})
    async with running(config, lambda line: None, settings) as daemon:
        yield daemon


def open_socket(daemon: Daemon, query: str = QUERY, token: str = TOKEN) -> Any:
    return wire.open_socket(daemon.port, f"{query}&token={token}")


# --- how sessions end -------------------------------------------------------------------------------


async def stopped(daemon: Daemon) -> None:
    async with open_socket(daemon) as socket:
        await socket.send(SPEECH)
        await socket.send(STOP)
        await wire.until(socket, "session_ended")


async def closed_before_its_results(daemon: Daemon) -> None:
    async with open_socket(daemon) as socket:
        await socket.send(SPEECH)
        await socket.send(STOP)


async def closed_without_stop(daemon: Daemon) -> None:
    async with open_socket(daemon, wire.MONO) as socket:
        await socket.send(SPEECH)


async def closed_at_once(daemon: Daemon) -> None:
    async with open_socket(daemon):
        pass


async def closed_by_a_message_of_its_token(daemon: Daemon) -> None:
    async with wire.open_socket(daemon.port, QUERY) as socket:
        await socket.send(START)
        await socket.send(STOP)


async def cut_off(daemon: Daemon) -> None:
    async with open_socket(daemon) as socket:
        await socket.send(SPEECH)
        socket.transport.abort()


async def cut_off_in_a_frame(daemon: Daemon) -> None:
    async with open_socket(daemon) as socket:
        socket.transport.write(b"\x82\xfe\xff\xff" + SPEECH[:100])
        socket.transport.abort()


async def half_closed(daemon: Daemon) -> None:
    async with open_socket(daemon) as socket:
        await socket.send(SPEECH)
        socket.transport.write_eof()
        with contextlib.suppress(ConnectionClosed):
            await wire.until(socket, "session_ended")


async def flooding(daemon: Daemon) -> None:
    async with open_socket(daemon) as socket:
        for _ in range(100):
            await socket.send(SPEECH[:6400])
            await socket.send('{"type": "flush"}')
        socket.transport.abort()


async def taken_over(daemon: Daemon) -> None:
    async with open_socket(daemon) as first:
        hello = await wire.receive(first)
        await first.send(SPEECH)
        await wire.until(first, "audio_received")
        back = f"{QUERY}&session={hello['session_id']}&resume_token={hello['resume_token']}"
        async with open_socket(daemon, back) as second:
            assert (await wire.receive(second))["resumed"]
            await second.send(STOP)
            await wire.until(second, "session_ended")


async def given_up_waiting_for(daemon: Daemon) -> None:
    async with open_socket(daemon) as socket:
        await socket.send(SPEECH)
        await wire.until(socket, "audio_received")
    await eventually(lambda: not list(daemon.sessions))


async def silent(daemon: Daemon) -> None:
    """Neither audio nor pongs."""
    async with open_socket(daemon, wire.MONO) as socket:
        await socket.send(SPEECH)
        socket.transport.pause_reading()
        await eventually(lambda: not daemon.gateway.active)
        socket.transport.abort()


async def broken_protocol(daemon: Daemon) -> None:
    for nonsense in (b"\xff\xff", b"\x81\x82\0\0\0\0\xff\xff"):
        async with open_socket(daemon) as socket:
            socket.transport.write(nonsense)
            with contextlib.suppress(ConnectionClosed):
                await wire.until(socket, "session_ended")


async def too_large(daemon: Daemon) -> None:
    async with open_socket(daemon) as socket:
        with contextlib.suppress(ConnectionClosed):
            await socket.send(bytes(2_000_000))
            await wire.until(socket, "session_ended")


async def refused(daemon: Daemon) -> None:
    with pytest.raises(InvalidStatus):
        async with open_socket(daemon, token="wrong"):
            pass
    async with wire.open_socket(daemon.port, QUERY) as socket:
        await socket.send('{"type": "start", "token": "wrong"}')
        with contextlib.suppress(ConnectionClosed):
            await wire.until(socket, "session_ended")
    async with wire.open_socket(daemon.port, QUERY):  # without its first message
        pass


async def no_session(daemon: Daemon) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        for method, path in (("GET", "/stats"), ("POST", "/health"), ("GET", "/nothing"), ("OPTIONS", "/stats")):
            await http.request(method, f"http://127.0.0.1:{daemon.port}{path}", content=b"x")
    for said in (b"", b"GET /health HT", b"SSH-2.0-x\r\n", b"GET /health HTTP/1.1\r\nno header\r\n\r\n", CONNECTED):
        _, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
        writer.write(said)
        await writer.drain()
        writer.transport.abort()


ENDS: list[Ends] = [
    stopped,
    closed_before_its_results,
    closed_without_stop,
    closed_at_once,
    closed_by_a_message_of_its_token,
    cut_off,
    cut_off_in_a_frame,
    half_closed,
    flooding,
    taken_over,
    given_up_waiting_for,
    silent,
    broken_protocol,
    too_large,
    refused,
    no_session,
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_a_session_that_ends_leaves_no_error_in_the_log(quiet: Daemon, end: Ends) -> None:
    """Five at once, and collected, as tasks complain that were never awaited."""
    log = quiet._config.log_path
    begin = len(log.read_text(encoding="utf-8"))
    await asyncio.gather(*(end(quiet) for _ in range(5)))
    await eventually(lambda: not list(quiet.gateway.open_connections) and not list(quiet.sessions))
    gc.collect()
    structlog.get_logger().info(WRITTEN)
    await eventually(lambda: WRITTEN in log.read_text(encoding="utf-8")[begin:])
    assert errors(log, begin) == []


def errors(log: Path, begin: int) -> list[dict[str, Any]]:
    """begin: characters of it that were there before."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8")[begin:].splitlines()]
    return [line for line in lines if line["level"] in ("error", "critical")]


async def test_nor_does_a_daemon_that_stops_under_them(tmp_path: Path) -> None:
    """With clients that speak, that wait, and that do not answer."""
    config = embedded(tmp_path)
    settings = replace(stage_settings(config), sleep_ms={"asr": 300.0, "diarization": 1.0, "correction": 1.0})
    async with contextlib.AsyncExitStack() as clients:
        async with running(config, lambda line: None, settings) as daemon:
            sockets = [await clients.enter_async_context(wire.open_socket(daemon.port, QUERY)) for _ in range(4)]
            for socket in sockets[1:]:
                await socket.send(SPEECH)
            sockets[2].transport.pause_reading()
            sockets[3].transport.abort()
        gc.collect()
        for socket in sockets:
            socket.transport.abort()
    assert errors(config.log_path, 0) == []
