"""Whole files sent as fast as they go, by clients of other people's libraries, which give a connection up when their
pings are not answered."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
import websocket
import websockets.sync.client
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect

from tests import wire
from tests.process.conftest import embedded
from tests.waiting import eventually
from tests.wine import UNDER_WINE
from wernicke_daemon.config.schema import Config, stage_settings
from wernicke_daemon.daemon import Daemon, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUDIO = wire.as_int16(np.concatenate([wire.clip()] * 4)[: 180 * 16_000])
"""Longer than the ring, and little enough that what the ring does not take fits into the sockets' buffers, with the
pings behind it."""

FRAMES = [AUDIO[at : at + 32_000] for at in range(0, len(AUDIO), 32_000)]
TIMES = 8 if UNDER_WINE else 1
"""All is slower there, clients too."""

PING_EVERY_S, PONG_WITHIN_S = 0.5 * TIMES, 1.0 * TIMES
"""As 20 s and 20 s of some libraries are to a file of half an hour."""

STOP = '{"type": "stop"}'

Texts = list[str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def slow(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A daemon that is busy with all clients' files for many times as long as they wait for a pong."""
    config = embedded(tmp_path_factory.mktemp("data"))
    async with sleeping(replace(config, audio=replace(config.audio, ring_seconds=72.0))) as daemon:
        yield daemon
        await eventually(lambda: not daemon.gateway.active)


@contextlib.asynccontextmanager
async def sleeping(config: Config) -> AsyncIterator[Daemon]:
    """A daemon whose recogniser takes 20 ms for each second of audio (`TIMES`)."""
    times = {"asr": 1.0, "diarization": 1.0, "correction": 1.0}
    settings = replace(stage_settings(config), sleep_ms=times, sleep_ms_per_audio_s={"asr": 20.0 * TIMES})
    async with running(config, lambda line: None, settings) as daemon:
        yield daemon


def address(port: int) -> str:
    return f"ws://127.0.0.1:{port}/transcribe?{wire.MONO}&encoding=s16le"


async def by_websockets(port: int) -> Texts:
    messages = Texts()
    async with connect(address(port), ping_interval=PING_EVERY_S, ping_timeout=PONG_WITHIN_S) as client:
        await send(client)
        async for message in client:
            messages.append(str(message))
    return messages


def by_websockets_threads(port: int) -> Texts:
    url = address(port)
    with websockets.sync.client.connect(url, ping_interval=PING_EVERY_S, ping_timeout=PONG_WITHIN_S) as client:
        for frame in FRAMES:
            client.send(frame)
        client.send(STOP)
        return [str(message) for message in client]


def by_websocket_client(port: int) -> Texts:
    messages = Texts()
    failures: list[Exception] = []

    def send() -> None:
        with contextlib.suppress(websocket.WebSocketException, OSError):  # `run_forever` tells why
            for frame in FRAMES:
                client.send(frame, websocket.ABNF.OPCODE_BINARY)
            client.send(STOP)

    client = websocket.WebSocketApp(
        address(port),
        on_open=lambda _: threading.Thread(target=send).start(),
        on_message=lambda _, message: messages.append(message),
        on_error=lambda _, error: failures.append(error),
    )
    client.run_forever(ping_interval=2 * PING_EVERY_S, ping_timeout=0.9 * PONG_WITHIN_S)
    assert all("closed normally (code 1000)" in str(each) for each in failures)  # it counts that as one
    return messages


async def by_aiohttp(port: int) -> Texts:
    heartbeat = 2 * PONG_WITHIN_S  # of which it waits half for the pong
    async with aiohttp.ClientSession() as http, http.ws_connect(address(port), heartbeat=heartbeat) as client:
        for frame in FRAMES:
            await client.send_bytes(frame)
        await client.send_str(STOP)
        messages = [message.data async for message in client]
        assert (client.close_code, client.exception()) == (1000, None)
        return messages


def assert_whole(messages: Texts, paused: bool) -> None:
    """All results, to the end of the file, although its audio had to wait."""
    parsed: list[dict[str, Any]] = [json.loads(message) for message in messages]
    assert paused
    assert parsed[-1]["type"] == "session_ended"
    assert {message["type"] for message in parsed[:-1]} == {"final"}
    assert parsed[-2]["timestamp_range"]["end"] > 175


async def was_paused(daemon: Daemon, client: asyncio.Task[Texts]) -> bool:
    """Whether a full ring made the client's audio wait."""
    while not client.done():
        if any(session.paused for session in daemon.sessions):
            return True
        await asyncio.sleep(0.01)
    return False


PYTHON: list[Callable[[int], Any]] = [by_websockets, by_websockets_threads, by_websocket_client, by_aiohttp]


@pytest.mark.parametrize("library", PYTHON)
async def test_a_ping_is_answered_while_audio_waits(slow: Daemon, library: Callable[[int], Any]) -> None:
    sent = library(slow.port) if asyncio.iscoroutinefunction(library) else asyncio.to_thread(library, slow.port)
    client = asyncio.ensure_future(sent)
    paused = await was_paused(slow, client)
    assert_whole(await client, paused)


async def test_beyond_the_bound_the_socket_is_not_read_and_nothing_is_lost(tmp_path: Path) -> None:
    """What TCP pushes back comes later."""
    config = embedded(tmp_path)
    config = replace(config, audio=replace(config.audio, ring_seconds=72.0, read_ahead_mib=1))
    async with sleeping(config) as daemon, connect(address(daemon.port), ping_interval=None) as client:
        sending = asyncio.create_task(send(client))
        [connection] = [await eventually(lambda: next(iter(daemon.gateway._connections.values()), None))]
        await eventually(lambda: not connection._inbox.reading)
        assert connection._inbox._held < 600_000
        messages = [str(message) async for message in client]
        await sending
    assert_whole(messages, paused=True)


async def test_what_was_read_ahead_of_a_cut_is_sent_again(tmp_path: Path) -> None:
    """Only what is acknowledged is received: audio goes on there, once."""
    config = embedded(tmp_path)
    config = replace(config, audio=replace(config.audio, ring_seconds=72.0))
    async with sleeping(config) as daemon:
        async with connect(f"{address(daemon.port)}&events=session", ping_interval=None) as client:
            hello = json.loads(await client.recv())
            [session] = list(daemon.sessions)
            for frame in FRAMES:
                await client.send(frame)
            await eventually(lambda: session.paused)
            client.transport.abort()
        back = f"&session={hello['session_id']}&resume_token={hello['resume_token']}"
        async with connect(f"{address(daemon.port)}{back}", ping_interval=None) as client:
            received = 0
            while not received:
                message = json.loads(await client.recv())
                received = message.get("bytes_received", 0)
            assert received < len(AUDIO)
            await client.send(AUDIO[received:])
            await client.send(STOP)
            messages = [str(message) async for message in client]
    assert_whole(messages, paused=True)
    assert session.account()["received_s"] == len(AUDIO) / 2 / 16_000


async def send(client: ClientConnection) -> None:
    for frame in FRAMES:
        await client.send(frame)
    await client.send(STOP)
