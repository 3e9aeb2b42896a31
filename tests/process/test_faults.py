"""Stages that die at their worst moment, clients that vanish, the daemon told to stop: nothing received is lost."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import pytest_asyncio
from msgspec.structs import replace
from websockets.exceptions import ConnectionClosed

from ipc.messages import STAGES, StageName
from tests import wire
from tests.ollama_server import OllamaServer
from tests.process.conftest import embedded, serving, started
from wernicke_daemon.daemon import Daemon

pytestmark = pytest.mark.asyncio(loop_scope="module")

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def correcting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A daemon whose four stages all have work to do: correction goes to a local server that speaks Ollama's API."""
    config = embedded(tmp_path_factory.mktemp("data"))
    with OllamaServer() as server:
        config = replace(
            config,
            correction=replace(config.correction, engine="ollama"),
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

    def started_and_killed(name: StageName, job_id: int) -> None:
        job_started(name, job_id)
        pid = daemon.pipeline.supervisor.stages[stage].pid
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


@pytest.mark.parametrize("stage", STAGES)
async def test_a_stage_killed_at_work_costs_time_and_nothing_else(
    correcting: Daemon, stage: StageName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same connection, same results, a moment later."""
    audio = np.concatenate([wire.turn(2), np.zeros(40_000, np.float32), wire.turn(5)]).astype("<f4").tobytes()
    undisturbed = wire.finals(await wire.transcribe(correcting.port, audio))
    with kill_at_work(correcting, stage, monkeypatch) as killed:
        disturbed = wire.finals(await wire.transcribe(correcting.port, audio))
    assert len(killed) == 1
    assert [substance(final) for final in disturbed] == [substance(final) for final in undisturbed]
    assert len(undisturbed) == 2 and all(final["segments"][0]["corrected"] for final in undisturbed)
    assert correcting.pipeline.supervisor.stages[stage].deaths >= 1


async def test_what_a_client_that_vanishes_had_sent_is_kept(correcting: Daemon) -> None:
    """The line is cut in mid-utterance; the final is in the transcript store."""
    audio = wire.turn(2).astype("<f4").tobytes()
    expected = wire.finals(await wire.transcribe(correcting.port, audio))[0]
    async with wire.open_socket(correcting.port, f"{wire.MONO}&events=ack") as socket:
        await socket.send(audio)
        received = 0
        while received < len(audio):
            received = (await wire.until(socket, "audio_received"))[-1]["bytes_received"]
        (session,) = correcting.sessions
        socket.transport.abort()
    await session.done.wait()
    (final,) = correcting.store.results_after(session.id, 0)
    assert final["trigger"] == "disconnect"
    assert final["text"] == expected["text"]


async def test_a_client_that_lost_its_line_twice_has_everything_once(correcting: Daemon) -> None:
    """Cut in mid-frame and cut again: audio goes on at the acknowledged sample, results come in order, voices keep
    their names."""
    parts = [wire.turn(number, after_s=2.3) for number in (2, 3, 5)]
    speech = np.concatenate(parts)
    whole = wire.finals(await wire.transcribe(correcting.port, speech.astype("<f4").tobytes()))
    audio, got, query, sent = speech.astype("<f4").tobytes(), list[dict[str, Any]](), "", 0
    for cut_at in (90_001, 330_002, None):
        async with wire.open_socket(correcting.port, f"{wire.MONO}&events=session,ack&{query}") as socket:
            hello = await wire.receive(socket)
            assert hello["resumed"] == bool(query)
            if query:
                sent = 4 * (await wire.until(socket, "audio_received"))[-1]["samples_received"]
            await socket.send(audio[sent:cut_at])
            if cut_at is None:
                await socket.send('{"type": "stop"}')
                got += wire.finals(await wire.until(socket, "session_ended"))
            else:
                got += wire.finals(await wire.until(socket, "audio_received"))
                socket.transport.abort()
        last = got[-1]["sequence"] if got else 0
        query = f"session={hello['session_id']}&resume_token={hello['resume_token']}&last_sequence={last}"
    assert [final["sequence"] for final in got] == [final["sequence"] for final in whole]
    for final, expected in zip(got, whole, strict=True):
        assert [segment["speaker"] for segment in final["segments"]] == [
            segment["speaker"] for segment in expected["segments"]
        ]
        for edge in ("start", "end"):  # waiting for an acknowledgement may shift the grid of 32 ms windows
            assert final["timestamp_range"][edge] == pytest.approx(expected["timestamp_range"][edge], abs=0.04)
        assert SequenceMatcher(None, final["text"].split(), expected["text"].split()).ratio() > 0.9


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
        while session.attached:
            await asyncio.sleep(0.01)
        async with wire.open_socket(daemon.port, f"{wire.MONO}&events=session&session={session.id}") as other:
            assert (await wire.receive(other))["session_id"] != session.id
            for token in (hello["resume_token"], "%E3%81%82"):
                query = f"{wire.MONO}&session={session.id}&resume_token={token}"
                async with wire.open_socket(daemon.port, query) as late:
                    assert (await wire.receive(late))["code"] == "SERVER_OVERLOADED"
            await asyncio.wait_for(session.done.wait(), 20)
        assert session.ended == "disconnect"


async def test_audio_that_a_killed_daemon_had_received_is_finished_at_the_next_start(tmp_path: Path) -> None:
    """kill -9 of the front in mid-utterance: the next start finds the audio in the journal, the result in the store."""
    audio = np.concatenate([wire.turn(5, after_s=2.6), wire.turn(2)]).astype("<f4").tobytes()
    with serving(tmp_path) as (process, port):
        whole = wire.finals(await wire.transcribe(port, audio))
        async with wire.open_socket(port, f"{wire.MONO}&events=session") as socket:
            hello = await wire.receive(socket)
            await socket.send(audio)
            await wire.until(socket, "final")
            process.kill()
            process.wait()
    async with started(embedded(tmp_path / "data")) as daemon:
        assert daemon.recovery is not None
        await daemon.recovery
        results = daemon.store.results_after(hello["session_id"], 0)
    assert [result["text"] for result in results] == [final["text"] for final in whole]
    assert [result["sequence"] for result in results] == [1, 2]


async def test_an_utterance_too_late_for_correction_goes_out_as_recognised(tmp_path: Path) -> None:
    """The LLM hangs: the recognised text is there at the deadline, with a warning."""
    config = embedded(tmp_path)
    with OllamaServer() as server:
        config = replace(
            config,
            correction=replace(config.correction, engine="ollama", deadline_s=1.0),
            llm=replace(config.llm, host=server.url),
        )
        async with started(config) as daemon:
            server.mode = "hang"
            final = wire.finals(await wire.transcribe(daemon.port, wire.turn(2).astype("<f4").tobytes()))[0]
    assert final["text"] and final["warnings"] == ["LLM_TIMEOUT"]
    assert not any(segment["corrected"] for segment in final["segments"])


async def test_stopping_sends_what_is_under_way_and_leaves_nothing(tmp_path: Path) -> None:
    """A client in mid-utterance gets its final and close code 1001; processes and shared memory are gone."""
    context = started(embedded(tmp_path))
    daemon = await context.__aenter__()
    async with wire.open_socket(daemon.port, f"{wire.MONO}&events=ack") as socket:
        pids = [stage.pid for stage in daemon.pipeline.supervisor.stages.values()]
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


async def test_stopping_is_bounded_with_a_wedged_client_among_five(tmp_path: Path) -> None:
    """Four clients get their results and 1001; the one that never reads can't hold the stop up."""
    context = started(embedded(tmp_path, runtime={"drain_timeout_s": 10.0}))
    daemon = await context.__aenter__()
    sockets = [await wire.open_socket(daemon.port, f"{wire.MONO}&events=ack") for _ in range(5)]
    sockets[4].transport.pause_reading()
    for socket in sockets:
        await socket.send(wire.turn(5).astype("<f4").tobytes())
    for socket in sockets[:4]:
        await wire.until(socket, "audio_received")
    began = time.monotonic()
    stopping = asyncio.create_task(context.__aexit__(None, None, None))
    for socket in sockets[:4]:
        assert (await wire.until(socket, "final"))[-1]["text"]
        with pytest.raises(ConnectionClosed) as closed:
            await wire.until(socket, "never")
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001
    await stopping
    assert time.monotonic() - began < 10.0 + 2.0
    sockets[4].transport.abort()


async def test_a_silent_client_is_closed_after_the_timeout(tmp_path: Path) -> None:
    """No audio, no message and no pong: IDLE_TIMEOUT and close 1000."""
    async with started(replace(embedded(tmp_path), timeout=0.5)) as daemon:
        async with wire.open_socket(daemon.port, wire.MONO) as socket:
            socket.transport.pause_reading()  # pings are not read, so no pong goes back
            while daemon.gateway.active:
                await asyncio.sleep(0.02)
            socket.transport.resume_reading()
            assert (await wire.receive(socket))["code"] == "IDLE_TIMEOUT"
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1000


async def test_a_quiet_client_that_answers_pings_stays(tmp_path: Path) -> None:
    """A long pause with a live client is no reason to close."""
    async with (
        started(replace(embedded(tmp_path), timeout=0.5)) as daemon,
        wire.open_socket(daemon.port, wire.MONO) as socket,
    ):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 1.5)
        await socket.send('{"type": "stop"}')
        assert (await wire.receive(socket))["type"] == "session_ended"
