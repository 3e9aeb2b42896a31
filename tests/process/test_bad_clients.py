"""Clients that misbehave, each beside one that does not: that one has its right result, and in the end nothing of the
bad one is left, neither memory nor a place nor a file descriptor."""

import asyncio
import contextlib
import random
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import pytest_asyncio
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests import wire
from tests.process.conftest import embedded, started
from wernicke_daemon.daemon import Daemon

pytestmark = pytest.mark.asyncio(loop_scope="module")

Misbehaviour = Callable[[int, asyncio.Event], Coroutine[Any, Any, None]]
"""Gets the port, and an event that is set when the good client beside it has its result."""

MOST_MIB = 64
"""That the front's memory may grow by meanwhile, the test's own clients included: a few frames, no backlog."""

SPEECH = wire.turn(5).astype("<f4").tobytes()
CONNECTED = b"GET /transcribe HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
CONNECTED += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A daemon that soon notices who is gone, and takes small frames only."""
    config = embedded(tmp_path_factory.mktemp("data"))
    config = replace(config, timeout=3.0, audio=replace(config.audio, max_frame_mib=1))
    async with started(config) as daemon:
        await wire.transcribe(daemon.port, SPEECH)  # what is allocated once is allocated now
        yield daemon


@dataclass(frozen=True)
class Footprint:
    """Of this process, which is the front's. handles: file descriptors, or Windows' handles."""

    mib: float
    handles: int

    @classmethod
    def now(cls) -> "Footprint":
        process = psutil.Process()
        return cls(process.memory_info().rss / 2**20, handles(process))


def handles(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return process.num_handles()
    return process.num_fds()


async def survives(daemon: Daemon, *misbehave: Misbehaviour) -> None:
    """A good client gets the same result beside the bad ones as alone, and nothing of them stays."""
    alone = wire.finals(await wire.transcribe(daemon.port, SPEECH))
    await nobody_left(daemon)
    before = Footprint.now()
    async with wire.open_socket(daemon.port, f"{wire.MONO}&events=ack") as good:
        over = asyncio.Event()
        bad = [asyncio.create_task(one(daemon.port, over)) for one in misbehave]
        beside = await spoken(good)
        over.set()
        await asyncio.gather(*bad)
    assert [final["text"] for final in wire.finals(beside)] == [final["text"] for final in alone] != []
    await nobody_left(daemon)
    assert Footprint.now().mib - before.mib < MOST_MIB
    await eventually(lambda: Footprint.now().handles <= before.handles)


async def spoken(good: ClientConnection) -> list[dict[str, Any]]:
    for at in range(0, len(SPEECH), 6400):
        await good.send(SPEECH[at : at + 6400])
        await asyncio.sleep(0.01)
    await good.send('{"type": "stop"}')
    return await wire.until(good, "session_ended")


async def nobody_left(daemon: Daemon) -> None:
    await eventually(lambda: not daemon.gateway.active and not list(daemon.sessions))


async def eventually(condition: Callable[[], bool]) -> None:
    """The test's own time limit ends a wait in vain."""
    while True:
        if condition():
            return
        await asyncio.sleep(0.02)


# --- clients that send and do not read -------------------------------------------------------------


async def never_reads(port: int, over: asyncio.Event) -> None:
    """Has so many answers coming that its side and the daemon's are full; the daemon cuts it off."""
    with small_window(port) as plain:
        async with connect(f"ws://127.0.0.1:{port}/transcribe", sock=plain, compression=None) as socket:
            socket.transport.pause_reading()
            with pytest.raises(ConnectionClosed):
                while True:
                    await socket.send("never read")
                    await asyncio.sleep(0)
    await over.wait()


@contextlib.contextmanager
def small_window(port: int) -> Any:
    """A connected TCP socket whose receive buffer is as small as can be."""
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(("127.0.0.1", port))
        plain.setblocking(False)
        yield plain


async def test_a_client_that_never_reads_is_cut_off(strict: Daemon) -> None:
    """The writer of its answers does not wait for ever, nor does anybody else."""
    await survives(strict, never_reads)


# --- clients that send too much, or too little at a time --------------------------------------------


def flood(frame: str | bytes) -> Misbehaviour:
    """Sends the frame as fast as it is taken, and reads whatever comes."""

    async def flooding(port: int, over: asyncio.Event) -> None:
        async with wire.open_socket(port, f"{wire.MONO}&encoding=s16le") as socket:
            reading = asyncio.create_task(read_all(socket))
            with contextlib.suppress(ConnectionClosed):  # that it is cut off is right as well
                while not over.is_set():
                    await socket.send(frame)
                    await asyncio.sleep(0)
        await reading
        await over.wait()

    return flooding


async def read_all(socket: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await socket.recv()


RANDOM = random.Random(1).randbytes(1 << 16)

FLOODS: dict[str, str | bytes] = {
    "words": "x" * 100,
    "keepalives": '{"type": "keepalive"}',
    "flushes": '{"type": "flush"}',
    "noise": RANDOM,
    "bytes": b"\x7f",
    "empty frames": b"",
}


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_harms_nobody(strict: Daemon, kind: str) -> None:
    """Text that means nothing, text that means something, noise, single bytes, nothing at all: as fast as they go."""
    await survives(strict, flood(FLOODS[kind]), flood(FLOODS[kind]))


async def byte_by_byte(port: int, over: asyncio.Event) -> None:
    """Handshake and frames in TCP segments of one byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    masked_text = b"\x81\x94" + bytes(4) + b'{"type":"keepalive"}'
    for byte in CONNECTED:
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    while not over.is_set():
        for byte in masked_text:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
    await hang_up(writer)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_one_byte_at_a_time(strict: Daemon) -> None:
    """TCP makes no promise about pieces."""
    await survives(strict, byte_by_byte)


# --- clients that are not there ---------------------------------------------------------------------


def half_open(said: bytes) -> Misbehaviour:
    """Says that and then nothing more, and does not answer either; the daemon hangs up."""

    async def silent(port: int, over: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        with contextlib.suppress(ConnectionError):
            while await reader.read(4096):
                pass
        await hang_up(writer)
        await over.wait()

    return silent


async def test_half_open_connections_are_closed(strict: Daemon) -> None:
    """Before, in and after the handshake; TLS that is not spoken here."""
    said = [
        b"",
        b"GET /transcribe HTT",
        CONNECTED[:-2],
        CONNECTED,
        CONNECTED + b"\x82\xfe\xff",
        b"\x16\x03\x01\x02\x00",
    ]
    await survives(strict, *map(half_open, said))


# --- clients that speak wrongly ---------------------------------------------------------------------


def refused_with(code: int, frame: bytes, text: bool = False) -> Misbehaviour:
    """Sends such a frame over and over, each time on a new connection, which is closed with that code."""

    async def insisting(port: int, over: asyncio.Event) -> None:
        codes = set[int]()
        while not over.is_set() or code not in codes:
            codes.add(await close_code(port, frame, text))
        assert codes <= {code, 1013}  # its own sessions are in its way until they are over

    return insisting


async def close_code(port: int, frame: bytes, text: bool) -> int:
    async with wire.open_socket(port, wire.MONO) as socket:
        with contextlib.suppress(ConnectionClosed):
            await socket.send(frame, text=text)
            await read_all(socket)
    assert socket.close_code is not None
    return socket.close_code


async def test_frames_that_are_too_large_end_the_connection(strict: Daemon) -> None:
    """1009, and they are not kept."""
    await survives(strict, refused_with(1009, bytes((1 << 20) + 1)))


async def test_text_that_is_not_utf_8_ends_the_connection(strict: Daemon) -> None:
    """1007."""
    await survives(strict, refused_with(1007, b"\xff\xfe{", text=True))


async def nonsense(port: int, over: asyncio.Event) -> None:
    """Random text and random bytes as 32-bit floats, NaN and infinities among them; errors come back, no close."""
    chance = random.Random(2)
    refused = 0
    async with wire.open_socket(port, wire.MONO) as socket:
        while not over.is_set() or not refused:
            await socket.send("".join(chr(chance.randrange(1, 0xD800)) for _ in range(50)))
            await socket.send(chance.randbytes(chance.randrange(400)))
            await socket.send(np.full(100, chance.choice([np.nan, np.inf, -np.inf, 1e30]), "<f4").tobytes())
            with contextlib.suppress(TimeoutError):
                while message := await wire.receive(socket, 0.001):
                    assert message["code"] in ("INVALID_MESSAGE", "INVALID_AUDIO_FORMAT")
                    refused += 1


async def test_random_text_and_bytes_are_refused(strict: Daemon) -> None:
    """Each costs its sender an error."""
    await survives(strict, nonsense, nonsense)


async def noise_on_the_line(port: int, over: asyncio.Event) -> None:
    """Bytes that are no HTTP, no WebSocket frame, or a header without end."""
    chance = random.Random(3)
    while not over.is_set():
        for said in (
            chance.randbytes(3000),
            CONNECTED + chance.randbytes(3000),
            b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(ConnectionError):
                writer.write(said)
                await writer.drain()
                writer.write_eof()
                await reader.read()
            await hang_up(writer)


async def test_what_is_no_websocket_is_hung_up_on(strict: Daemon) -> None:
    """Without an effect on those who speak it."""
    await survives(strict, noise_on_the_line)


# --- clients that come and go -----------------------------------------------------------------------


def connects(count: int, per_second: float, query: str = wire.MONO, at_a_time: int = 100) -> Misbehaviour:
    """Connections that are opened, given a frame, and cut; most find no place."""

    async def connecting(port: int, over: asyncio.Event) -> None:
        places = asyncio.Semaphore(at_a_time)
        began = time.monotonic()
        tasks = []
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            await places.acquire()
            tasks.append(asyncio.create_task(come_and_go(port, query)))
            tasks[-1].add_done_callback(lambda _: places.release())
        await asyncio.gather(*tasks)

    return connecting


async def come_and_go(port: int, query: str) -> None:
    async with wire.open_socket(port, query) as socket:
        with contextlib.suppress(ConnectionClosed):
            await socket.send(RANDOM[:640])
        socket.transport.abort()


async def test_many_connections_a_second(strict: Daemon) -> None:
    """200 a second for three seconds."""
    await survives(strict, connects(600, per_second=200))


async def test_many_connections_at_once(strict: Daemon) -> None:
    """1,000 as fast as they are taken; whoever was there before keeps its place."""
    await survives(strict, connects(1000, per_second=1e6))


async def test_sessions_that_wait_for_their_clients_give_way(tmp_path: Path) -> None:
    """Clients that could come back and do not can't keep newcomers out for as long as they are waited for."""
    async with started(embedded(tmp_path, runtime={"resume_window_s": 600.0})) as daemon:
        while (code := await session_that_waits(daemon.port)) is None:
            pass
        assert code == "SERVER_OVERLOADED"
        await eventually_served(daemon.port)


async def session_that_waits(port: int) -> str | None:
    """Its client is cut off in mid-speech. The code of the refusal where there was no place for it."""
    async with wire.open_socket(port, f"{wire.MONO}&events=session") as socket:
        hello = await wire.receive(socket)
        if hello["type"] == "error":
            return str(hello["code"])
        await socket.send(SPEECH[:64_000])
        socket.transport.abort()
    return None


async def eventually_served(port: int) -> None:
    while await session_that_waits(port):
        await asyncio.sleep(0.2)
