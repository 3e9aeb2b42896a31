"""Clients that misbehave, for tests and a benchmark: each is told when the others have seen enough of it."""

import asyncio
import contextlib
import random
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests import wire

Misbehaviour = Callable[[int, asyncio.Event], Coroutine[Any, Any, None]]
"""Gets the port, and an event that is set when it may end."""

CONNECTED = b"GET /transcribe HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
CONNECTED += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
"""A whole opening handshake."""

LINGER_NOT = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""struct linger: on, for 0 s. Such a socket resets its connection when it is closed."""

RANDOM = random.Random(1).randbytes(1 << 16)

FLOODS: dict[str, str | bytes] = {
    "words": "x" * 100,
    "keepalives": '{"type": "keepalive"}',
    "flushes": '{"type": "flush"}',
    "noise": RANDOM,
    "bytes": b"\x7f",
    "empty frames": b"",
}


async def never_reads(port: int, over: asyncio.Event) -> None:
    """Has so many answers coming that its side and the daemon's are full; it ends when the daemon has cut it off."""
    with small_window(port) as plain:
        async with connect(f"ws://127.0.0.1:{port}/transcribe", sock=plain, compression=None) as client:
            client.transport.pause_reading()
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await client.send("never read")
                    await asyncio.sleep(0)
    await over.wait()


@contextlib.contextmanager
def small_window(port: int) -> Iterator[socket.socket]:
    """A connected TCP socket whose receive buffer is as small as can be."""
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(("127.0.0.1", port))
        plain.setblocking(False)
        yield plain


def reset(port: int, said: bytes = b"") -> None:
    """Connects, says that, and resets the connection: no goodbye, and what is under way is void."""
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        plain.sendall(said)


def flood(frame: str | bytes) -> Misbehaviour:
    """Sends the frame as fast as it is taken, and reads whatever comes; that it is cut off is right as well."""

    async def flooding(port: int, over: asyncio.Event) -> None:
        async with wire.open_socket(port, f"{wire.MONO}&encoding=s16le") as client:
            reading = asyncio.create_task(_read_all(client))
            with contextlib.suppress(ConnectionClosed):
                while not over.is_set():
                    await client.send(frame)
                    await asyncio.sleep(0)
        await reading
        await over.wait()

    return flooding


async def _read_all(client: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await client.recv()


async def endless_message(port: int, over: asyncio.Event) -> None:
    """One in empty pieces, so that it never is too large; it ends when the daemon has had enough of them."""

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b""
            await asyncio.sleep(0)

    async with wire.open_socket(port, wire.MONO) as client:
        with contextlib.suppress(ConnectionClosed):
            await client.send(pieces())
    assert client.close_code == 1009
    await over.wait()


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
    await _hang_up(writer)


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def half_open(said: bytes) -> Misbehaviour:
    """Says that and then nothing more, and does not answer either; it ends when the daemon has hung up."""

    async def silent(port: int, over: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        with contextlib.suppress(ConnectionError):
            while await reader.read(4096):
                pass
        await _hang_up(writer)
        await over.wait()

    return silent


@contextlib.contextmanager
def silent(port: int, count: int) -> Iterator[list[socket.socket]]:
    """TCP connections that are begun as fast as it goes and on which nothing is said."""
    with contextlib.ExitStack() as held:
        silent = [held.enter_context(socket.socket()) for _ in range(count)]
        for plain in silent:
            plain.setblocking(False)
            plain.connect_ex(("127.0.0.1", port))
        yield silent


def refused_with(code: int, frame: bytes, text: bool = False) -> Misbehaviour:
    """Sends such a frame over and over, each time on a new connection, which is closed with that code."""

    async def insisting(port: int, over: asyncio.Event) -> None:
        codes = set[int]()
        while not over.is_set() or code not in codes:
            codes.add(await _close_code(port, frame, text))
        assert codes <= {code, 1013}  # its own sessions are in its way until they are over

    return insisting


async def _close_code(port: int, frame: bytes, text: bool) -> int:
    async with wire.open_socket(port, wire.MONO) as client:
        with contextlib.suppress(ConnectionClosed):
            await client.send(frame, text=text)
            await _read_all(client)
    assert client.close_code is not None
    return client.close_code


async def nonsense(port: int, over: asyncio.Event) -> None:
    """Random text and random bytes as 32-bit floats, NaN and infinities among them; errors come back, no close."""
    chance = random.Random(2)
    refused = 0
    async with wire.open_socket(port, wire.MONO) as client:
        while not over.is_set() or not refused:
            await client.send("".join(chr(chance.randrange(1, 0xD800)) for _ in range(50)))
            await client.send(chance.randbytes(chance.randrange(400)))
            await client.send(np.full(100, chance.choice([np.nan, np.inf, -np.inf, 1e30]), "<f4").tobytes())
            with contextlib.suppress(TimeoutError):
                while message := await wire.receive(client, 0.001):
                    assert message["code"] in ("INVALID_MESSAGE", "INVALID_AUDIO_FORMAT")
                    refused += 1


async def noise_on_the_line(port: int, over: asyncio.Event) -> None:
    """Bytes that are no HTTP, no WebSocket frame, or a header without end."""
    chance = random.Random(3)
    while not over.is_set():
        endless = b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000
        for said in (chance.randbytes(3000), CONNECTED + chance.randbytes(3000), endless):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(ConnectionError):
                writer.write(said)
                await writer.drain()
                writer.write_eof()
                await reader.read()
            await _hang_up(writer)


def connects(count: int, per_second: float, at_a_time: int = 100) -> Misbehaviour:
    """Connections that are opened, given a frame, and cut; most find no place. Ends when they all have been."""

    async def connecting(port: int, over: asyncio.Event) -> None:
        places = asyncio.Semaphore(at_a_time)
        began = time.monotonic()
        tasks = []
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            await places.acquire()
            tasks.append(asyncio.create_task(_come_and_go(port)))
            tasks[-1].add_done_callback(lambda _: places.release())
        await asyncio.gather(*tasks)

    return connecting


async def _come_and_go(port: int) -> None:
    async with wire.open_socket(port, wire.MONO) as client:
        with contextlib.suppress(ConnectionClosed):
            await client.send(RANDOM[:640])
        client.transport.abort()
