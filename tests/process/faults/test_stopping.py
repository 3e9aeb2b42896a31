"""A stop is bounded, and sends what is under way."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ipc.messages import STAGES, StageName
from ipc.settings import Fault
from tests import wire
from tests.misbehaviour import small_window
from tests.process.conftest import embedded, started
from tests.waiting import eventually
from wernicke_daemon.config.schema import stage_settings
from wernicke_daemon.daemon import Daemon, running
from wernicke_daemon.gateway import server as gateway
from wernicke_daemon.gateway.connection import MOST_UNSENT
from wernicke_daemon.processes import ending

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_stopping_sends_what_is_under_way_and_leaves_nothing(tmp_path: Path) -> None:
    """A client in mid-utterance gets its final and close code 1001; processes and shared memory are gone."""
    context = started(embedded(tmp_path))
    daemon = await context.__aenter__()
    async with wire.open_socket(daemon.port, f"{wire.MONO}&events=ack") as socket:
        pids = [port.status().pid for port in daemon.pipeline.ports.values()]
        await socket.send(wire.turn(2).astype("<f4").tobytes())
        await wire.until(socket, "audio_received")
        arena = daemon.pipeline.arena.name
        stopping = asyncio.create_task(context.__aexit__(None, None, None))
        final = (await wire.until(socket, "final"))[-1]
        assert final["text"] and final["trigger"] == "stop"
        with pytest.raises(ConnectionClosed) as closed:
            await wire.until(socket, "never")
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001
        await stopping
        assert not any(psutil.pid_exists(pid) for pid in pids if pid)
        assert not (Path("/dev/shm") / arena).exists()


PROMISED_S = 2.0
"""Beyond `runtime.drain_timeout_s`, whatever happens."""


async def entered(stack: AsyncExitStack, context: AbstractAsyncContextManager[Daemon]) -> tuple[Daemon, float]:
    """The daemon, and the seconds that its stop may take beyond the drain: what is promised, and what its start took,
    as a machine that is slow or busy is so at both."""
    began = time.monotonic()
    daemon = await stack.enter_async_context(context)
    return daemon, PROMISED_S + time.monotonic() - began


@pytest.fixture
def disk_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal waits for one as long as it takes: nothing is promised for that."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def daemons_end(daemon: Daemon, client: ClientConnection) -> ServerConnection:
    return next(each for each in daemon.gateway.open_connections if each.remote_address == client.local_address)


async def wedge(daemon: Daemon, client: ClientConnection) -> None:
    """It has speech in the daemon, but does not read, until the system takes no more for it and so much waits in the
    daemon that the writer of its answers is blocked."""
    await client.send(wire.turn(5).astype("<f4").tobytes())
    await wire.until(client, "audio_received")
    client.transport.pause_reading()
    answering = daemons_end(daemon, client)
    answering.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for _ in range(MOST_UNSENT // 2):  # with more it would be cut off
        await client.send("an error for each of these")
    await eventually(lambda: answering.paused)


@asynccontextmanager
async def wedged_client(daemon: Daemon) -> AsyncIterator[ClientConnection]:
    address = f"ws://127.0.0.1:{daemon.port}/transcribe?{wire.MONO}&events=ack"
    with small_window(daemon.port) as plain:
        client = await connect(address, sock=plain, compression=None)
        try:
            await wedge(daemon, client)
            yield client
        finally:
            client.transport.abort()


async def four_speaking(daemon: Daemon) -> list[ClientConnection]:
    clients = [await wire.open_socket(daemon.port, f"{wire.MONO}&events=ack") for _ in range(4)]
    for client in clients:
        await client.send(wire.turn(5).astype("<f4").tobytes())
        await wire.until(client, "audio_received")
    return clients


async def at_work(daemon: Daemon, stage: StageName, client: ClientConnection) -> None:
    """That stage has begun with what the client said."""
    await client.send('{"type": "flush"}')
    working = daemon.pipeline.supervisor.replicas(stage)[0]._working
    assert working is not None
    await eventually(lambda: not working.liveness.idle)


async def told_goodbye(client: ClientConnection) -> None:
    with pytest.raises(ConnectionClosed) as closed:
        await wire.until(client, "never")
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001


def processes(daemon: Daemon) -> list[psutil.Process]:
    return [psutil.Process(port.status().pid) for port in daemon.pipeline.ports.values()]


def nothing_left(daemon: Daemon, stages: list[psutil.Process]) -> bool:
    """Neither of clients nor of stages, and no shared memory."""
    shared = Path("/dev/shm") / daemon.pipeline.arena.name
    return not daemon.gateway.active and not any(each.is_running() for each in stages) and not shared.exists()


@pytest.mark.usefixtures("disk_that_answers")
async def test_stopping_is_bounded_with_a_wedged_client_among_five(tmp_path: Path) -> None:
    """Four clients get their results and 1001; neither one that never reads nor a connection on which nothing was
    said can hold the stop up."""
    async with AsyncExitStack() as stack:
        daemon, limit_s = await entered(stack, started(embedded(tmp_path)))
        stages = processes(daemon)
        _, silent = await asyncio.open_connection("127.0.0.1", daemon.port)
        clients = await four_speaking(daemon)
        async with wedged_client(daemon):
            stopping = asyncio.create_task(stack.aclose())
            finals = [(await wire.until(client, "final"))[-1] for client in clients]
            await eventually(lambda: not list(daemon.sessions))  # as fast as the machine can; the rest has a limit
            drained = time.monotonic()
            await asyncio.gather(*map(told_goodbye, clients))
            await stopping
            assert time.monotonic() - drained < limit_s
        assert all(final["text"] for final in finals)
        assert nothing_left(daemon, stages)
        silent.close()


@pytest.mark.usefixtures("disk_that_answers")
@pytest.mark.parametrize("kind", ["hang", "hang_gil", "frozen"])
async def test_stopping_is_bounded_where_a_stage_does_nothing_any_more(
    tmp_path: Path, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drain runs out: at a job, with or without the GIL, or so that the front does not even know that it is not
    idle. Clients that read are told goodbye all the same, and what they said is in the journal."""
    config = embedded(tmp_path, runtime={"drain_timeout_s": 1.0})
    config = replace(config, asr=replace(config.asr, early=False))  # or the first may have its result by then
    faults = {} if kind == "frozen" else {"asr": (Fault(kind),)}
    settings = replace(stage_settings(config), faults=faults)
    async with AsyncExitStack() as stack:
        daemon, limit_s = await entered(stack, running(config, lambda line: None, settings))
        stages = processes(daemon)
        clients = await four_speaking(daemon)
        async with wedged_client(daemon):
            if kind == "frozen":
                stages[STAGES.index("asr")].suspend()
            else:
                await at_work(daemon, "asr", clients[0])
                monkeypatch.setattr(ending, "STOP_PATIENCE_S", 60.0)  # one at work is given none
            began = time.monotonic()
            stopping = asyncio.create_task(stack.aclose())
            await asyncio.gather(*map(told_goodbye, clients))
            await stopping
            assert 1.0 <= time.monotonic() - began < 1.0 + limit_s
        assert nothing_left(daemon, stages)
    assert len(list((tmp_path / "journal").glob("*/state.json"))) == 5


async def test_stages_end_while_clients_are_told_goodbye(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither waits for the other, or their time limits would add up."""
    monkeypatch.setattr(gateway, "GOODBYE_S", 60.0)
    async with AsyncExitStack() as stack:
        daemon = await stack.enter_async_context(started(embedded(tmp_path)))
        stages = processes(daemon)
        async with wedged_client(daemon):
            stopping = asyncio.create_task(stack.aclose())
            await eventually(lambda: not any(stage.is_running() for stage in stages))
            assert daemon.gateway.active == 1 and not stopping.done()
        await stopping
