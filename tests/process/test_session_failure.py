"""A mistake of the daemon's own in one session."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace
from websockets.exceptions import ConnectionClosed

from tests import wire
from tests.process.conftest import embedded, started
from tests.waiting import eventually
from wernicke_daemon.daemon import Daemon


async def test_a_session_that_fails_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client is told and let go of instead of talking to nobody; a second one beside it has its words."""
    audio = wire.turn(5).astype("<f4").tobytes()
    async with (
        started(embedded(tmp_path)) as daemon,
        wire.open_socket(daemon.port, f"{wire.MONO}&events=session") as one,
    ):
        await wire.receive(one)
        (session,) = daemon.sessions
        monkeypatch.setattr(session, "take_news", None)
        assert (await wire.receive(one))["code"] == "INTERNAL_ERROR"
        await one.send(audio)
        with pytest.raises(ConnectionClosed) as closed:
            async with asyncio.timeout(20):
                await one.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011
        assert wire.finals(await wire.transcribe(daemon.port, audio))[0]["text"]


async def test_a_session_that_fails_while_it_waits_gives_way_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ring is free already; newcomers that find none are told so, and those that wait make room for them."""
    config = replace(embedded(tmp_path, runtime={"resume_window_s": 600.0}), max_connections=1)
    async with started(config) as daemon:
        assert await _vanishes(daemon) is None
        (session,) = daemon.sessions
        monkeypatch.setattr(session, "take_news", None)
        await session.done.wait()
        codes = [await _vanishes(daemon) for _ in range(3)]
        assert codes == [None, None, "SERVER_OVERLOADED"]


async def _vanishes(daemon: Daemon) -> str | None:
    """A client that is cut off after some audio. The code of the error where it was turned away."""
    async with wire.open_socket(daemon.port, f"{wire.MONO}&events=session,ack") as socket:
        if code := (await wire.receive(socket)).get("code"):
            return str(code)
        await socket.send(wire.silence(1.0))
        await wire.until(socket, "audio_received")
        socket.transport.abort()
    await eventually(lambda: not daemon.gateway.active)
    return None
