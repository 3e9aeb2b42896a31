"""Coming back to a session that is over, nearly over, or too full to be read; recognition only takes a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect

from tests import wire
from tests.cut_proxy import Cut, cut_proxy
from tests.process.conftest import embedded
from tests.waiting import eventually
from wernicke_daemon.config.schema import Config, stage_settings
from wernicke_daemon.daemon import Daemon, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPEECH = wire.turn(5).astype("<f4").tobytes()


@asynccontextmanager
async def recognising(config: Config, asr_ms: float) -> AsyncIterator[Daemon]:
    """A daemon whose recogniser takes that long for an utterance."""
    times = {"asr": asr_ms, "diarization": 1.0, "correction": 1.0}
    async with running(config, lambda line: None, replace(stage_settings(config), sleep_ms=times)) as daemon:
        yield daemon


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unhurried(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """For tests that leave no session to be waited for. A result is still under way when `stop` has come in."""
    async with recognising(embedded(tmp_path_factory.mktemp("data")), asr_ms=300) as daemon:
        yield daemon


def open_anew(port: int) -> connect:
    return wire.open_socket(port, f"{wire.MONO}&events=session,ack")


def come_back(port: int, hello: dict[str, Any]) -> connect:
    """With nothing of the session's results."""
    session = f"session={hello['session_id']}&resume_token={hello['resume_token']}&last_sequence=0"
    return wire.open_socket(port, f"{wire.MONO}&events=session&{session}")


async def cut_after_stop(socket: ClientConnection) -> dict[str, Any]:
    """All of a client's audio and its `stop` have come in when its line breaks. Returns what it was greeted with."""
    hello = await wire.receive(socket)
    await socket.send(SPEECH)
    await socket.send('{"type": "stop"}')
    received = 0
    while received < len(SPEECH):
        received = (await wire.until(socket, "audio_received"))[-1]["bytes_received"]
    socket.transport.abort()
    return hello


async def until_over(daemon: Daemon) -> None:
    await eventually(lambda: not list(daemon.sessions))


async def test_results_after_stop_wait_for_a_client_that_did_not_get_them(unhurried: Daemon) -> None:
    """They come with `session_ended`, also to a second try; once the client has them, nothing is left to go on with."""
    async with open_anew(unhurried.port) as socket:
        hello = await cut_after_stop(socket)
    await until_over(unhurried)
    async with cut_proxy(unhurried.port, Cut(inside=b"session_ended")) as port, come_back(port, hello) as socket:
        assert (await wire.receive(socket))["resumed"]
        await wire.until(socket, "final")
        await socket.wait_closed()
    async with come_back(unhurried.port, hello) as socket:
        told = [message["type"] for message in await wire.until(socket, "session_ended")]
        await socket.wait_closed()
        assert told == ["connection_established", "final", "audio_received", "session_ended"]
        assert socket.close_code == 1000
    async with come_back(unhurried.port, hello) as socket:
        assert not (await wire.receive(socket))["resumed"]
        await socket.send('{"type": "stop"}')
        await wire.until(socket, "session_ended")


async def test_what_comes_after_a_stop_is_in_nobodys_way(unhurried: Daemon) -> None:
    """A microphone does not stop at once: its client's pings are answered all the same, and its close is heard."""
    async with open_anew(unhurried.port) as socket:
        hello = await wire.receive(socket)
        await socket.send(SPEECH)
        await socket.send('{"type": "stop"}')
        for _ in range(10):
            await socket.send(wire.silence(0.1))
        await (await socket.ping())
        assert "final" in [message["type"] for message in await wire.until(socket, "session_ended")]
    await eventually(lambda: not unhurried.gateway.active)
    assert unhurried.sessions.find(hello["session_id"], hello["resume_token"]) is None


async def test_a_client_that_has_everything_leaves_nothing_behind(unhurried: Daemon) -> None:
    """Results of a session that ended well are not kept for it."""
    async with open_anew(unhurried.port) as socket:
        hello = await wire.receive(socket)
        await socket.send(SPEECH)
        await socket.send('{"type": "stop"}')
        await wire.until(socket, "session_ended")
    await eventually(lambda: not unhurried.gateway.active)
    assert unhurried.sessions.find(hello["session_id"], hello["resume_token"]) is None


async def cut_in_speech(daemon: Daemon) -> dict[str, Any]:
    """A line that breaks once its audio was acknowledged; the greeting that it had."""
    async with open_anew(daemon.port) as socket:
        hello = await wire.receive(socket)
        await socket.send(SPEECH)
        await wire.until(socket, "audio_received")
        socket.transport.abort()
    return hello


def kept(daemon: Daemon, hello: dict[str, Any]) -> bool:
    return daemon.sessions.find(hello["session_id"], hello["resume_token"]) is not None


async def test_results_after_stop_are_kept_of_no_more_sessions_than_there_are_places(tmp_path: Path) -> None:
    """The latest."""
    config = replace(embedded(tmp_path, runtime={"resume_window_s": 600.0}), max_connections=2)
    async with recognising(config, asr_ms=1) as daemon:
        hellos = []
        for _ in range(3):
            async with open_anew(daemon.port) as socket:
                hellos.append(await cut_after_stop(socket))
            await until_over(daemon)
        assert [kept(daemon, hello) for hello in hellos] == [False, True, True]


async def test_results_after_stop_are_kept_no_longer_than_the_window(tmp_path: Path) -> None:
    """Then memory is free again."""
    async with recognising(embedded(tmp_path, runtime={"resume_window_s": 1.0}), asr_ms=1) as daemon:
        async with open_anew(daemon.port) as socket:
            hello = await cut_after_stop(socket)
        await until_over(daemon)
        await eventually(lambda: not kept(daemon, hello))


async def test_who_comes_back_after_the_window_gets_a_new_session(tmp_path: Path) -> None:
    """Though results are still under way: its audio would go nowhere."""
    async with recognising(embedded(tmp_path, runtime={"resume_window_s": 0.2}), asr_ms=3000) as daemon:
        hello = await cut_in_speech(daemon)
        (session,) = daemon.sessions
        await eventually(lambda: session.ended is not None)
        async with come_back(daemon.port, hello) as socket:
            assert not session.done.is_set()
            greeting = await wire.receive(socket)
            assert (greeting["resumed"], greeting["session_id"] == session.id) == (False, False)
            await socket.send(SPEECH)
            await socket.send('{"type": "stop"}')
            assert len(wire.finals(await wire.until(socket, "session_ended"))) == 1


async def test_who_comes_back_while_the_session_is_being_ended_gets_a_new_one(tmp_path: Path) -> None:
    """There may be no room in the ring yet for the last of its audio; then, too, new audio would go nowhere."""
    async with recognising(embedded(tmp_path, runtime={"resume_window_s": 0.2}), asr_ms=1) as daemon:
        hello = await cut_in_speech(daemon)
        (session,) = daemon.sessions
        await eventually(lambda: not session.attached)
        async with session.audio_lock:  # as whoever waits for room has it
            await eventually(lambda: session.id not in daemon.sessions._windows)
            async with come_back(daemon.port, hello) as socket:
                assert session.ended is None
                assert not (await wire.receive(socket))["resumed"]


async def test_a_session_that_received_nothing_waits_for_nobody(tmp_path: Path) -> None:
    """There is nothing to go on with, and clients that only come and go must not end the wait for one that lost its
    line."""
    async with recognising(embedded(tmp_path), asr_ms=1) as daemon:
        async with open_anew(daemon.port) as socket:
            hello = await wire.receive(socket)
            await socket.send(SPEECH)
            await wire.until(socket, "audio_received")
            socket.transport.abort()
        for _ in range(50):
            async with open_anew(daemon.port) as socket:
                await wire.receive(socket)
        async with come_back(daemon.port, hello) as socket:
            assert (await wire.receive(socket))["resumed"]


async def test_coming_back_to_a_full_ring_is_answered_at_once(tmp_path: Path) -> None:
    """Results first; where audio goes on is told when all that came before the cut is in, and holds."""
    config = embedded(tmp_path)
    config = replace(config, max_connections=1, audio=replace(config.audio, ring_seconds=72.0))
    most = SPEECH * (80 * 16_000 * 4 // len(SPEECH) + 1)  # more than the ring holds
    async with recognising(config, asr_ms=700) as daemon:
        async with open_anew(daemon.port) as socket:
            hello = await wire.receive(socket)
            await socket.send(most)
            (session,) = daemon.sessions
            await eventually(lambda: session.paused)
            socket.transport.abort()
        async with come_back(daemon.port, hello) as socket:
            assert (await wire.receive(socket))["resumed"]
            assert session.paused
            received = (await wire.until(socket, "audio_received"))[-1]
            assert (received["bytes_received"], session.paused) == (len(most), False)
            await socket.send('{"type": "stop"}')
            await wire.until(socket, "session_ended")
    assert session.account()["received_s"] == len(most) / 4 / 16_000


async def test_who_is_found_gone_while_the_daemon_stops_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody can come back to it."""
    async with recognising(embedded(tmp_path), asr_ms=1) as daemon, open_anew(daemon.port) as socket:
        await socket.send(SPEECH)
        await wire.until(socket, "audio_received")
        (session,) = daemon.sessions
        stopping = asyncio.create_task(daemon.sessions.drain(300.0))
        await asyncio.sleep(0)
        session.detach()
        await daemon.sessions.client_left(session, "")
        async with asyncio.timeout(60):
            await stopping


async def test_a_sleep_gives_clients_the_whole_window_again(unhurried: Daemon) -> None:
    """Nobody can come back to a machine that is asleep; it is the session that waited."""
    async with open_anew(unhurried.port) as socket:
        hello = await wire.receive(socket)
        await socket.send(SPEECH)
        await wire.until(socket, "audio_received")
        socket.transport.abort()
    windows = unhurried.sessions._windows
    await eventually(lambda: hello["session_id"] in windows)
    before = windows[hello["session_id"]].end
    unhurried.sessions.slept(3600.0)
    assert before.cancelled()
    assert windows[hello["session_id"]].end.when() > before.when()
    async with come_back(unhurried.port, hello) as socket:
        assert (await wire.receive(socket))["resumed"]
        await socket.send('{"type": "stop"}')
        await wire.until(socket, "session_ended")
    assert not windows


async def test_an_utterance_does_not_go_on_over_a_sleep(tmp_path: Path) -> None:
    """What is said after it is another utterance, though the silence was none by the clock."""
    config = embedded(tmp_path)
    config = replace(config, vad=replace(config.vad, silence_s=10.0))
    async with recognising(config, asr_ms=1) as daemon, open_anew(daemon.port) as socket:
        await socket.send(SPEECH)
        await eventually(lambda: [one.received().bytes_received for one in daemon.sessions] == [len(SPEECH)])
        daemon.sessions.slept(3600.0)
        await socket.send(SPEECH)
        await socket.send('{"type": "stop"}')
        assert len(wire.finals(await wire.until(socket, "session_ended"))) == 2
