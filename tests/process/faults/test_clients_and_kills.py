"""Stages that die at their worst moment, clients that vanish and come back: nothing is lost."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from msgspec.structs import replace
from websockets.exceptions import ConnectionClosed

from ipc.messages import STAGES, StageName
from tests import wire
from tests.cut_proxy import Cut, cut_proxy
from tests.ollama_server import OllamaServer
from tests.process.conftest import embedded, started, stored
from tests.process.faults.disturbed import speakers
from tests.waiting import eventually
from wernicke_daemon.config.schema import stage_settings
from wernicke_daemon.daemon import Daemon, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def correcting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A daemon whose four stages all have work to do: correction goes to a local server that speaks Ollama's API.
    However long another process takes to start, nothing is left out."""
    config = embedded(tmp_path_factory.mktemp("data"), runtime={"shed_after_s": 3600.0})
    with OllamaServer() as server:
        config = replace(
            config,
            correction=replace(config.correction, engine="ollama", deadline_s=300.0),
            diarization=replace(config.diarization, deadline_s=300.0),
            llm=replace(config.llm, host=server.url),
        )
        async with started(config) as daemon:
            yield daemon


@contextmanager
def kill_at_work(daemon: Daemon, stage: StageName, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Kills that stage's process the first time it says that it began a job. Gives the jobs it was killed at."""
    killed: list[int] = []
    dispatcher = daemon.pipeline.dispatcher
    job_started = dispatcher.job_started

    def started_and_killed(name: StageName, replica: int, job_id: int) -> None:
        job_started(name, replica, job_id)
        pid = daemon.pipeline.ports[stage].status().replicas[replica].pid
        if name == stage and not killed and pid is not None:
            os.kill(pid, KILL)
            killed.append(job_id)

    with monkeypatch.context() as patch:
        patch.setattr(dispatcher, "job_started", started_and_killed)
        yield killed


def substance(final: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on when and how often stages ran."""
    names = ("sequence", "text", "segments", "timestamp_range", "language", "duration", "trigger", "warnings")
    return {name: final[name] for name in names}


TWO_TURNS = np.concatenate([wire.turn(2), np.zeros(40_000, np.float32), wire.turn(5)]).astype("<f4").tobytes()


async def both_turns(daemon: Daemon) -> list[dict[str, Any]]:
    """The finals of TWO_TURNS. In one frame: between two of them it could seem that nothing follows, and what is
    examined then shifts the grid of 32 ms windows."""
    return wire.finals(await wire.transcribe(daemon.port, TWO_TURNS, frame_bytes=len(TWO_TURNS)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def undisturbed(correcting: Daemon) -> list[dict[str, Any]]:
    finals = await both_turns(correcting)
    assert len(finals) == 2 and all(final["segments"][0]["corrected"] for final in finals)
    return finals


@pytest.mark.parametrize("stage", STAGES)
async def test_a_stage_killed_at_work_costs_time_and_nothing_else(
    correcting: Daemon, undisturbed: list[dict[str, Any]], stage: StageName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same connection, same results, a moment later."""
    with kill_at_work(correcting, stage, monkeypatch) as killed:
        disturbed = await both_turns(correcting)
    assert len(killed) == 1
    assert [substance(final) for final in disturbed] == [substance(final) for final in undisturbed]
    assert correcting.pipeline.ports[stage].status().deaths >= 1


async def test_what_a_client_that_vanishes_had_sent_is_kept(
    correcting: Daemon, undisturbed: list[dict[str, Any]]
) -> None:
    """The line is cut in mid-utterance; the final is in the transcript store."""
    audio = wire.turn(2).astype("<f4").tobytes()
    async with wire.open_socket(correcting.port, f"{wire.MONO}&events=ack") as socket:
        await socket.send(audio)
        received = 0
        while received < len(audio):
            received = (await wire.until(socket, "audio_received"))[-1]["bytes_received"]
        (session,) = correcting.sessions
        socket.transport.abort()
    await session.done.wait()
    (final,) = stored(correcting, session.id)
    assert final["trigger"] == "disconnect"
    assert final["text"] == undisturbed[0]["text"]


@pytest_asyncio.fixture(loop_scope="module")
async def unhurried(tmp_path: Path) -> AsyncIterator[Daemon]:
    """A daemon with real ears and voices, without deadlines. It understands nothing: recognition takes a moment."""
    config = embedded(tmp_path)
    config = replace(config, diarization=replace(config.diarization, deadline_s=3600.0))
    settings = replace(stage_settings(config), sleep_ms={"asr": 100.0})
    async with running(config, lambda line: None, settings) as daemon:
        yield daemon


ODD_FRAME = 64_001
"""Bytes: its end lies within a sample."""


async def test_a_client_that_lost_its_line_twice_has_everything_once(unhurried: Daemon) -> None:
    """Twice in the middle of a frame of audio and twice in the middle of a result: audio goes on at the acknowledged
    sample, every result comes once and in order, voices keep their names."""
    parts = [wire.turn(number, after_s=2.3).astype("<f4").tobytes() for number in (2, 3, 5)]
    audio = b"".join(parts)
    whole = wire.finals(await wire.transcribe(unhurried.port, audio))
    first, second = len(parts[0]), len(parts[0] + parts[1])
    in_audio, in_result = Cut(after=100_000), Cut(inside=b'"final"')
    got, query = list[dict[str, Any]](), ""
    for upto, cut in ((first, in_audio), (first, in_result), (second, in_audio), (second, in_result), (None, Cut())):
        async with cut_proxy(unhurried.port, cut) as port:
            heard = await heard_until_cut(port, audio[:upto], query, stop=upto is None)
        hello = heard[0]
        assert hello["resumed"] == bool(query)
        assert (heard[-1]["type"] == "session_ended") == (upto is None)
        got += wire.finals(heard)
        last = got[-1]["sequence"] if got else 0
        query = f"session={hello['session_id']}&resume_token={hello['resume_token']}&last_sequence={last}"
    assert [final["sequence"] for final in got] == [final["sequence"] for final in whole] == [1, 2, 3]
    for final, expected in zip(got, whole, strict=True):
        assert speakers(final) == speakers(expected)
        for edge in ("start", "end"):  # what was examined before a cut may shift the grid of 32 ms windows
            assert final["timestamp_range"][edge] == pytest.approx(expected["timestamp_range"][edge], abs=0.04)


async def heard_until_cut(port: int, audio: bytes, query: str, stop: bool) -> list[dict[str, Any]]:
    """What a client gets, from the greeting to the end of its line, that sends what was not acknowledged of the audio
    and then, if it is to, stop."""
    heard = list[dict[str, Any]]()
    async with wire.open_socket(port, f"{wire.MONO}&events=session,ack&{query}") as socket:
        with contextlib.suppress(ConnectionClosed):
            heard += await wire.until(socket, "audio_received" if query else "connection_established")
            received = heard[-1]["samples_received"] if query else 0
            for at in range(4 * received, len(audio), ODD_FRAME):
                await socket.send(audio[at : at + ODD_FRAME])
            if stop:
                await socket.send('{"type": "stop"}')
            while True:
                heard.append(await wire.receive(socket))
    return heard


async def test_a_second_connection_takes_the_session_over(correcting: Daemon) -> None:
    """The first is closed; a wrong token gets a session of its own."""
    async with wire.open_socket(correcting.port, f"{wire.MONO}&events=session") as first:
        hello = await wire.receive(first)
        query = f"{wire.MONO}&events=session&session={hello['session_id']}&resume_token="
        async with wire.open_socket(correcting.port, query + "wrong") as stranger:
            assert (await wire.receive(stranger))["session_id"] != hello["session_id"]
            await stranger.send('{"type": "stop"}')
            await wire.until(stranger, "session_ended")
        async with wire.open_socket(correcting.port, query + hello["resume_token"]) as second:
            assert (await wire.receive(second))["session_id"] == hello["session_id"]
            with pytest.raises(ConnectionClosed):
                await wire.until(first, "never")
            await second.send(wire.turn(5).astype("<f4").tobytes())
            await second.send('{"type": "stop"}')
            assert wire.finals(await wire.until(second, "session_ended"))[0]["text"]


async def test_a_place_is_free_again_when_nobody_comes_back(tmp_path: Path) -> None:
    """Refused while the places are full, the client that lost its line is waited for no longer than the window; a
    token that is no text harms nobody."""
    config = replace(embedded(tmp_path, runtime={"resume_window_s": 1.0}), max_connections=1)
    async with started(config) as daemon:
        async with wire.open_socket(daemon.port, f"{wire.MONO}&events=session") as socket:
            hello = await wire.receive(socket)
            socket.transport.abort()
        (session,) = daemon.sessions
        await eventually(lambda: not session.attached)
        async with wire.open_socket(daemon.port, f"{wire.MONO}&events=session&session={session.id}") as other:
            assert (await wire.receive(other))["session_id"] != session.id
            for token in (hello["resume_token"], "%E3%81%82"):
                query = f"{wire.MONO}&session={session.id}&resume_token={token}"
                async with wire.open_socket(daemon.port, query) as late:
                    assert (await wire.receive(late))["code"] == "SERVER_OVERLOADED"
            async with asyncio.timeout(20):
                await session.done.wait()
        assert session.ended == "disconnect"
