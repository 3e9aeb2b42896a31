"""Clients from which nothing comes."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace
from websockets.exceptions import ConnectionClosed

from tests import wire
from tests.process.conftest import embedded, started
from tests.waiting import eventually
from wernicke_daemon.daemon import Daemon

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A daemon that soon takes a client for gone."""
    async with started(replace(embedded(tmp_path_factory.mktemp("data")), timeout=0.5)) as daemon:
        yield daemon


async def test_a_silent_client_is_closed_after_the_timeout(impatient: Daemon) -> None:
    """No audio, no message and no pong: IDLE_TIMEOUT and close 1000."""
    async with wire.open_socket(impatient.port, wire.MONO) as socket:
        socket.transport.pause_reading()  # pings are not read, so no pong goes back
        await eventually(lambda: impatient.gateway.active)
        (answering,) = impatient.gateway.open_connections
        answering.close_timeout = 0.5  # for the close that the client does not answer either
        await eventually(lambda: not impatient.gateway.active)
        socket.transport.resume_reading()
        assert (await wire.receive(socket))["code"] == "IDLE_TIMEOUT"
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1000


async def test_a_quiet_client_that_answers_pings_stays(tmp_path: Path) -> None:
    """A long pause with a live client is no reason to close. (The client is this process, too: what holds it up for
    longer than the time-out would look like its silence.)"""
    async with (
        started(replace(embedded(tmp_path), timeout=3.0)) as daemon,
        wire.open_socket(daemon.port, wire.MONO) as socket,
    ):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4.5):
                await socket.recv()
        await socket.send('{"type": "stop"}')
        assert (await wire.receive(socket))["type"] == "session_ended"


async def test_a_client_was_not_silent_while_the_machine_slept(impatient: Daemon) -> None:
    """It is asked again before it is taken for gone."""
    async with wire.open_socket(impatient.port, wire.MONO) as socket:
        await (await socket.ping())
        time.sleep(1.0)  # the daemon's, too: both are in this process
        await (await socket.ping())
        await socket.send('{"type": "stop"}')
        assert (await wire.receive(socket))["type"] == "session_ended"
