"""A mistake of the daemon's own in one session."""

import asyncio
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from tests import wire
from tests.process.conftest import embedded, started


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
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(one.recv(), 20)
        assert wire.finals(await wire.transcribe(daemon.port, audio))[0]["text"]
