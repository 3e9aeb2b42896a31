"""Clients that misbehave, each beside one that does not: that one has its right result, and in the end nothing of the
bad one is left, neither memory nor a place nor a file descriptor."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import psutil
import pytest
import pytest_asyncio
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection

from tests import misbehaviour, wire
from tests.misbehaviour import CONNECTED, FLOODS, Misbehaviour, connects, flood, half_open, refused_with
from tests.process.conftest import embedded, serving, started
from tests.waiting import eventually
from wernicke_daemon.config.schema import SecuritySettings
from wernicke_daemon.daemon import Daemon
from wernicke_daemon.gateway import server, transport
from wernicke_daemon.gateway.connection_limit import MOST_WITHOUT_SESSION
from wernicke_daemon.hardware import descriptors
from wernicke_daemon.observability import log_throttle
from wernicke_daemon.sessions.recorder import IN_FULL
from wernicke_daemon.wire import tls

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST_MIB = 64
"""That the front's memory may grow by meanwhile, the test's own clients included: a few frames, no backlog."""

LIMITED = ("sh", "-c", 'ulimit -n 640 && exec "$@"', "sh")
"""Starts a command with a limit on open files that it can't raise."""

ELSEWHERE = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
"""Another address of this machine, where it has one."""

TLS_HELLO = b"\x16\x03\x01\x02\x00"
"""How TLS begins, where it is not spoken."""

SPEECH = wire.turn(5).astype("<f4").tobytes()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A daemon that soon notices who is gone, takes small frames only, and reads little ahead."""
    config = embedded(tmp_path_factory.mktemp("data"))
    config = replace(config, timeout=3.0, audio=replace(config.audio, max_frame_mib=1, read_ahead_mib=8))
    soon = partial(server.serve, open_timeout=5.0, close_timeout=1.0)
    # What waits for a slow disk has a bound of its own (journal.MOST_WAITING).
    with mock.patch.object(os, "fsync"), mock.patch.object(server, "serve", soon):
        async with started(config) as daemon:
            yield daemon


@dataclass(frozen=True)
class Footprint:
    """Of this process, which is the front's. mib: on Linux without what it shares: rings that are used for the first
    time would look like growth. handles: file descriptors, or Windows' handles."""

    mib: float
    handles: int

    @classmethod
    def now(cls) -> "Footprint":
        process = psutil.Process()
        memory = process.memory_info()
        shared = memory.shared if sys.platform == "linux" else 0
        return cls((memory.rss - shared) / 2**20, handles(process))


def handles(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return process.num_handles()
    return process.num_fds()


Survives = Callable[..., Awaitable[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def survives(strict: Daemon) -> Survives:
    """Called with clients that misbehave: a good one gets the same result beside them as alone, and nothing of them
    stays."""
    alone = texts(await wire.transcribe(strict.port, SPEECH))  # and what is allocated once is allocated now

    async def survives(*misbehave: Misbehaviour) -> None:
        await nobody_left(strict)
        before = Footprint.now()
        async with wire.open_socket(strict.port, f"{wire.MONO}&events=ack") as good:
            over = asyncio.Event()
            bad = [asyncio.create_task(one(strict.port, over)) for one in misbehave]
            beside = await spoken(good)
            over.set()
            await asyncio.gather(*bad)
        assert texts(beside) == alone != []
        await nobody_left(strict)
        assert Footprint.now().mib - before.mib < MOST_MIB
        await eventually(lambda: Footprint.now().handles <= before.handles)

    return survives


def texts(messages: list[dict[str, Any]]) -> list[str]:
    return [final["text"] for final in wire.finals(messages)]


async def spoken(good: ClientConnection) -> list[dict[str, Any]]:
    for at in range(0, len(SPEECH), 6400):
        await good.send(SPEECH[at : at + 6400])
        await asyncio.sleep(0.01)
    await good.send('{"type": "stop"}')
    return await wire.until(good, "session_ended")


async def nobody_left(daemon: Daemon) -> None:
    await eventually(lambda: not daemon.gateway.active and not list(daemon.sessions))


async def test_a_client_that_never_reads_is_cut_off(survives: Survives) -> None:
    """The writer of its answers does not wait for ever, nor does anybody else."""
    await survives(misbehaviour.never_reads)


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_harms_nobody(survives: Survives, kind: str) -> None:
    """Text that means nothing, text that means something, noise, single bytes, nothing at all: as fast as they go."""
    await survives(flood(FLOODS[kind]), flood(FLOODS[kind]))


async def test_one_byte_at_a_time(survives: Survives) -> None:
    """TCP makes no promise about pieces."""
    await survives(misbehaviour.byte_by_byte)


async def test_half_open_connections_are_closed(survives: Survives) -> None:
    """Before, in and after the handshake; in a frame; TLS that is not spoken here."""
    said = (
        b"",
        b"GET /transcribe HTT",
        CONNECTED[:-2],
        CONNECTED,
        CONNECTED + b"\x82\xfe\xff",
        TLS_HELLO,
    )
    await survives(*map(half_open, said))


async def test_frames_that_are_too_large_end_the_connection(survives: Survives) -> None:
    """1009, and they are not kept."""
    await survives(refused_with(1009, bytes((1 << 20) + 1)))


async def test_messages_in_too_many_pieces_end_the_connection(survives: Survives) -> None:
    """However small they are: what is kept of each is not."""
    await survives(misbehaviour.endless_message)


async def test_text_that_is_not_utf_8_ends_the_connection(survives: Survives) -> None:
    """1007."""
    await survives(refused_with(1007, b"\xff\xfe{", text=True))


async def test_random_text_and_bytes_are_refused(survives: Survives) -> None:
    """Each costs its sender an error."""
    await survives(misbehaviour.nonsense, misbehaviour.nonsense)


async def test_what_is_no_websocket_is_hung_up_on(survives: Survives) -> None:
    """Without an effect on those who speak it."""
    await survives(misbehaviour.noise_on_the_line)


async def test_many_connections_a_second(survives: Survives) -> None:
    """200 a second for three seconds."""
    await survives(connects(600, per_second=200))


async def test_many_connections_at_once(survives: Survives) -> None:
    """1,000 as fast as they are taken; whoever was there before keeps its place."""
    await survives(connects(1000, per_second=1e6))


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
async def test_silent_connections_leave_file_descriptors_for_the_others(tmp_path: Path) -> None:
    """More than the daemon may have files open, while a stage needs new sockets. Those that have a place keep it,
    newcomers get in, and the log is not flooded as well."""
    descriptors.raise_limit()  # for this side's half of the connections
    with serving(tmp_path, launcher=LIMITED) as (process, port):
        async with wire.open_socket(port, f"{wire.MONO}&events=session") as good:
            await wire.receive(good)
            with misbehaviour.silent(port, 1500) as flood:
                await hung_up(flood[0])
                os.kill((await health(port))["stages"]["asr"]["pid"], signal.SIGKILL)
                beside, newcomer = await asyncio.gather(spoken(good), a_newcomer(port))
                page = await health(port)
        assert len(wire.finals(beside)) == len(wire.finals(newcomer)) == 1
        assert page["stages"]["asr"]["restarts"] == 1
        assert page["problems"] == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    lines = (tmp_path / "data" / "logs" / "wernicke.jsonl").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if json.loads(line)["level"] == "error"] == []
    assert len(lines) < 100


async def hung_up(plain: socket.socket) -> None:
    """Waits until the other side does so."""
    with contextlib.suppress(ConnectionError):
        assert await asyncio.get_running_loop().sock_recv(plain, 1) == b""


async def health(port: int) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        page: dict[str, Any] = (await http.get(f"http://127.0.0.1:{port}/health")).json()
    return page


async def a_newcomer(port: int) -> list[dict[str, Any]]:
    """The system may let it wait behind the flood for a while, before the daemon hears of it."""
    address = f"ws://127.0.0.1:{port}/transcribe?{wire.MONO}&events=ack"
    async with connect(address, local_addr=(ELSEWHERE, 0), compression=None, open_timeout=60) as newcomer:
        return await spoken(newcomer)


async def test_silent_connections_count_before_tls_is_spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many, and the first is cut, which would be waited for all day. All are forgotten once they hung up."""
    monkeypatch.setattr(transport, "TLS_TIMEOUT_S", 86_400)
    certificate, key = tls.make_certificate(tmp_path, [], now=datetime.now(UTC))
    security = SecuritySettings(certificate_file=str(certificate), key_file=str(key))
    async with started(embedded(tmp_path, security=security)) as daemon:
        silent = [await asyncio.open_connection("127.0.0.1", daemon.port) for _ in range(MOST_WITHOUT_SESSION + 1)]
        with contextlib.suppress(ConnectionError):
            assert await silent[0][0].read() == b""
        address = f"wss://localhost:{daemon.port}/transcribe?{wire.MONO}&events=ack"
        async with connect(address, ssl=tls.client_context(certificate), host="127.0.0.1", compression=None) as good:
            assert wire.finals(await spoken(good))
        for _, writer in silent:
            writer.close()
        await eventually(lambda: not list(daemon.gateway.open_connections))


async def test_a_goodbye_over_tls_leaves_little_to_be_taken_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood that ends with it: others have their turn in it, too."""
    sizes: list[int] = []
    take = ServerConnection.data_received

    def noted(connection: ServerConnection, data: bytes) -> None:
        sizes.append(len(data))
        take(connection, data)

    monkeypatch.setattr(ServerConnection, "data_received", noted)
    certificate, key = tls.make_certificate(tmp_path, [], now=datetime.now(UTC))
    security = SecuritySettings(certificate_file=str(certificate), key_file=str(key))
    async with started(embedded(tmp_path, security=security)) as daemon:
        context = tls.client_context(certificate)
        reader, writer = await asyncio.open_connection("localhost", daemon.port, ssl=context)
        writer.write(CONNECTED)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x82\x80\0\0\0\0" * 100_000)
        writer.close()
        await eventually(lambda: not list(daemon.gateway.open_connections))
    assert sum(sizes) > 600_000 and max(sizes) < 65_536


async def test_sessions_that_wait_for_their_clients_give_way(tmp_path: Path) -> None:
    """Clients that could come back and do not can't keep newcomers out for as long as they are waited for."""
    async with started(embedded(tmp_path, runtime={"resume_window_s": 600.0})) as daemon:
        while (code := await session_that_waits(daemon.port)) is None:
            pass
        assert code == "SERVER_OVERLOADED"
        await eventually(lambda: a_place(daemon.port))


@pytest.mark.skipif(ELSEWHERE == "127.0.0.1", reason="this machine has only one address of its own")
async def test_sessions_that_wait_at_one_address_give_way_to_each_other(tmp_path: Path) -> None:
    """However often somebody comes, speaks and vanishes: it costs nobody elsewhere the wait for its client."""
    async with started(embedded(tmp_path, runtime={"resume_window_s": 600.0})) as daemon:
        query = f"{wire.MONO}&events=session"
        async with connect(f"ws://127.0.0.1:{daemon.port}/transcribe?{query}", local_addr=(ELSEWHERE, 0)) as good:
            hello = await wire.receive(good)
            await good.send(SPEECH[:64_000])
            good.transport.abort()
        await eventually(lambda: not daemon.gateway.active)
        refused = 0
        while refused < 5:
            refused += await session_that_waits(daemon.port) is not None
        query += f"&session={hello['session_id']}&resume_token={hello['resume_token']}"
        async with wire.open_socket(daemon.port, query) as back:
            assert (await wire.receive(back))["resumed"]


async def a_place(port: int) -> bool:
    """Whether there was one for a session that waits."""
    return await session_that_waits(port) is None


async def session_that_waits(port: int) -> str | None:
    """Its client is cut off in mid-speech. The code of the refusal where there was no place for it."""
    async with wire.open_socket(port, f"{wire.MONO}&events=session") as socket:
        hello = await wire.receive(socket)
        if hello["type"] == "error":
            return str(hello["code"])
        await socket.send(SPEECH[:64_000])
        socket.transport.abort()
    return None


async def test_everybody_gets_a_turn_after_each_frame_of_a_flood(strict: Daemon) -> None:
    """Thousands of tiny frames arrive as one piece, and between any two of them whoever else has something to do
    does it: this test, which shares the daemon's event loop, counts on each of its turns how far the flood has come."""
    frames, one_byte = 4000, b"\x82\x81" + bytes(4) + b"\x7f"  # a masked binary frame
    await nobody_left(strict)
    async with wire.open_socket(strict.port, f"{wire.MONO}&encoding=s16le") as flooder:
        await eventually(lambda: list(strict.sessions))
        [session] = strict.sessions
        flooder.transport.write(one_byte * frames)
        taken = [0]
        while taken[-1] < frames:
            await asyncio.sleep(0)
            taken.append(session.received().bytes_received)
    assert max(now - before for before, now in pairwise(taken)) <= 2
    await nobody_left(strict)


async def test_strangers_can_not_flood_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who lose their line, who come and go, who are refused, and who are no WebSocket: a few lines each, however
    many they are. Whoever brings audio is told of all the same."""
    monkeypatch.setattr(log_throttle, "SPAN_S", 86_400.0)
    many = 4 * IN_FULL
    config = embedded(tmp_path)
    async with started(config) as daemon:
        await line_lost(daemon, many)
        for _ in range(many):
            async with wire.open_socket(daemon.port):
                pass
            await nobody_left(daemon)
        for path in ("transcribe", "health", "stats", "nothing"):
            await asks(daemon.port, path, many)
        for said in (misbehaviour.RANDOM[:3000], TLS_HELLO, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000):
            await talks(daemon.port, said, many)
        assert wire.finals(await wire.transcribe(daemon.port, SPEECH))
    lines = [json.loads(line) for line in config.log_path.read_text(encoding="utf-8").splitlines()]
    written = Counter(line["event"] for line in lines)
    told = ("waiting_for_client", "refused", "session_started", "session_over", "utterance")
    assert [written[event] for event in told] == [IN_FULL, IN_FULL, IN_FULL + 1, IN_FULL + 1, 1]
    assert len(lines) < 60


async def line_lost(daemon: Daemon, times: int) -> None:
    """One session, its client gone and back again. It never brings a whole sample."""
    query = f"{wire.MONO}&events=session"
    for _ in range(times):
        async with wire.open_socket(daemon.port, query) as socket:
            hello = await wire.receive(socket)
            await socket.send(b"1")
            await eventually(lambda: any(session.received().bytes_received for session in daemon.sessions))
            socket.transport.abort()
        await eventually(lambda: not daemon.gateway.active)
        query = f"events=session&session={hello['session_id']}&resume_token={hello['resume_token']}"
    async with wire.open_socket(daemon.port, query) as socket:
        await socket.send('{"type": "stop"}')
        await wire.until(socket, "session_ended")


async def asks(port: int, path: str, times: int) -> None:
    """As a page from elsewhere does, which gets no session."""
    async with httpx.AsyncClient(trust_env=False, timeout=60, headers={"Origin": "https://evil.example"}) as http:
        for _ in range(times):
            await http.get(f"http://127.0.0.1:{port}/{path}")


async def talks(port: int, said: bytes, times: int) -> None:
    """What is no request, until it is hung up on."""
    for _ in range(times):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            writer.write(said)
            writer.write_eof()
            await reader.read()
        writer.close()
