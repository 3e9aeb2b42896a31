"""Stages that die at their worst moment, clients that vanish, the daemon told to stop: nothing received is lost."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import pytest_asyncio
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ipc.messages import STAGES, StageName
from ipc.settings import Fault
from tests import wire
from tests.cut_proxy import Cut, cut_proxy
from tests.misbehaviour import small_window
from tests.ollama_server import OllamaServer
from tests.process.conftest import embedded, journalled, serving, started, stored
from tests.waiting import eventually
from wernicke_daemon.config.schema import stage_settings
from wernicke_daemon.daemon import Daemon, running
from wernicke_daemon.gateway import server as gateway
from wernicke_daemon.gateway.connection import MOST_UNSENT
from wernicke_daemon.processes import supervised_stage
from wernicke_daemon.records import store, transcript_file
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.journal_files import SessionMeta

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
        pid = daemon.pipeline.ports[stage].status().pid
        if name == stage and not killed and pid is not None:
            os.kill(pid, KILL)
            killed.append(job_id)

    with monkeypatch.context() as patch:
        patch.setattr(dispatcher, "job_started", started_and_killed)
        yield killed


def speakers(final: dict[str, Any]) -> list[str | None]:
    return [segment["speaker"] for segment in final["segments"]]


def substance(final: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on when and how often stages ran."""
    names = ("sequence", "text", "segments", "timestamp_range", "language", "duration", "trigger", "warnings")
    return {name: final[name] for name in names}


TWO_TURNS = np.concatenate([wire.turn(2), np.zeros(40_000, np.float32), wire.turn(5)]).astype("<f4").tobytes()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def undisturbed(correcting: Daemon) -> list[dict[str, Any]]:
    """The finals of TWO_TURNS."""
    finals = wire.finals(await wire.transcribe(correcting.port, TWO_TURNS))
    assert len(finals) == 2 and all(final["segments"][0]["corrected"] for final in finals)
    return finals


@pytest.mark.parametrize("stage", STAGES)
async def test_a_stage_killed_at_work_costs_time_and_nothing_else(
    correcting: Daemon, undisturbed: list[dict[str, Any]], stage: StageName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same connection, same results, a moment later."""
    with kill_at_work(correcting, stage, monkeypatch) as killed:
        disturbed = wire.finals(await wire.transcribe(correcting.port, TWO_TURNS))
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
            await asyncio.wait_for(session.done.wait(), 20)
        assert session.ended == "disconnect"


async def test_audio_that_a_killed_daemon_had_received_is_finished_at_the_next_start(tmp_path: Path) -> None:
    """kill -9 of the front in mid-utterance: the next start finds the audio in the journal, the result in the store.
    The second speaker stays the second, and the session ended when its last audio came, a day ago."""
    audio = np.concatenate([wire.turn(5, after_s=2.3), wire.turn(3)]).astype("<f4").tobytes()
    with serving(tmp_path) as (process, port):
        whole = wire.finals(await wire.transcribe(port, audio))
        async with wire.open_socket(port, f"{wire.MONO}&events=session") as socket:
            hello = await wire.receive(socket)
            await socket.send(audio)
            await wire.until(socket, "final")
            state = tmp_path / "data" / "journal" / hello["session_id"] / "state.json"
            await eventually(lambda: '"next_sequence":2' in state.read_text())  # else the first may be done again, too
            process.kill()
            process.wait()
    yesterday = time.time() - 86_400
    for segment in state.parent.glob("*.f32"):
        os.utime(segment, (yesterday, yesterday))
    async with started(embedded(tmp_path / "data")) as daemon:
        assert daemon.recovery is not None
        await daemon.recovery
        results = stored(daemon, hello["session_id"])
    with transcript_file.reading(tmp_path / "data" / transcript_file.FILE_NAME) as database:
        ((ended,),) = database.execute("SELECT ended FROM session WHERE id = ?", (hello["session_id"],)).fetchall()
    assert ended == pytest.approx(yesterday, abs=60)
    assert [result["text"] for result in results] == [final["text"] for final in whole]
    assert [result["sequence"] for result in results] == [1, 2]
    assert [speakers(result) for result in results] == [speakers(final) for final in whole]


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
    working = daemon.pipeline.supervisor._stages[stage]._working
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
                monkeypatch.setattr(supervised_stage, "STOP_PATIENCE_S", 60.0)  # one at work is given none
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


async def test_a_silent_client_is_closed_after_the_timeout(tmp_path: Path) -> None:
    """No audio, no message and no pong: IDLE_TIMEOUT and close 1000."""
    async with started(replace(embedded(tmp_path), timeout=0.5)) as daemon:
        async with wire.open_socket(daemon.port, wire.MONO) as socket:
            socket.transport.pause_reading()  # pings are not read, so no pong goes back
            await eventually(lambda: not daemon.gateway.active)
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
            await asyncio.wait_for(socket.recv(), 4.5)
        await socket.send('{"type": "stop"}')
        assert (await wire.receive(socket))["type"] == "session_ended"


async def test_a_client_was_not_silent_while_the_machine_slept(tmp_path: Path) -> None:
    """It is asked again before it is taken for gone."""
    async with (
        started(replace(embedded(tmp_path), timeout=0.5)) as daemon,
        wire.open_socket(daemon.port, wire.MONO) as socket,
    ):
        await (await socket.ping())
        time.sleep(1.0)  # the daemon's, too: both are in this process
        await (await socket.ping())
        await socket.send('{"type": "stop"}')
        assert (await wire.receive(socket))["type"] == "session_ended"


async def problems(port: int) -> list[str]:
    """Those that /health tells."""

    def page() -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=20) as answer:
            told: list[str] = json.load(answer)["problems"]
            return told

    return await asyncio.to_thread(page)


async def told(port: int, words: str) -> bool:
    """Whether a problem says so."""
    return any(words in problem for problem in await problems(port))


async def all_is_well(port: int) -> bool:
    return not await problems(port)


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits for another process")
async def test_a_session_is_journalled_again_after_a_full_disk(tmp_path: Path) -> None:
    """/health is well again though nobody speaks, and audio that comes after that survives kill -9."""
    import resource

    parts = [wire.turn(5, after_s=2.3), wire.turn(3, after_s=2.3), wire.turn(2)]
    with serving(tmp_path) as (process, port):
        whole = wire.finals(await wire.transcribe(port, np.concatenate(parts).astype("<f4").tobytes()))
        async with wire.open_socket(port, f"{wire.MONO}&events=session") as socket:
            hello = await wire.receive(socket)
            directory = tmp_path / "data" / "journal" / hello["session_id"]
            await socket.send(parts[0].astype("<f4").tobytes())
            await wire.until(socket, "final")
            _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4 * len(parts[0]), resource.RLIM_INFINITY))
            await socket.send(parts[1].astype("<f4").tobytes())
            await wire.until(socket, "final")
            await eventually(lambda: told(port, "not journalled"))
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))
            await eventually(lambda: all_is_well(port))
            await socket.send(parts[2].astype("<f4").tobytes())
            await eventually(lambda: journalled(directory) >= sum(map(len, parts)))
            process.kill()
            process.wait()
    async with started(embedded(tmp_path / "data")) as daemon:
        assert daemon.recovery is not None
        await daemon.recovery
        results = stored(daemon, hello["session_id"])
    assert [result["sequence"] for result in results] == [1, 2, 3]
    assert [result["trigger"] for result in results] == ["silence", "silence", "disconnect"]
    for result, expected in zip(results, whole, strict=True):
        assert SequenceMatcher(None, result["text"].split(), expected["text"].split()).ratio() > 0.9
        assert result["timestamp_range"]["end"] == pytest.approx(expected["timestamp_range"]["end"], abs=0.1)
    assert results[2]["timestamp_range"]["start"] >= (len(parts[0]) + len(parts[1])) / 16_000


async def test_audio_stays_until_its_results_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store fails while what a killed daemon left is finished, and while a client speaks. What the daemon holds in
    memory ends with it, and the next one makes those results again, and knows when the session began."""
    monkeypatch.setattr(store, "CLOSE_TIMEOUT_S", 0.5)  # the file is not let go of, however long a stop waits
    speech = wire.turn(5).astype("<f4")
    journal = Journal(tmp_path / "journal", 100)
    journal.begin("left", SessionMeta(language="en", wall_start=1_700_000_000.0))
    journal.append("left", 0, speech)
    journal.close()
    with transcript_file.open_for_writing(tmp_path / transcript_file.FILE_NAME) as other:
        other.execute("BEGIN IMMEDIATE")  # another program that never lets go of the file
        async with started(embedded(tmp_path)) as daemon:
            assert daemon.recovery is not None
            await daemon.recovery
            async with wire.open_socket(daemon.port, f"{wire.MONO}&events=session") as socket:
                hello = await wire.receive(socket)
                await socket.send(speech.tobytes())
                await socket.send('{"type": "stop"}')
                assert wire.finals(await wire.until(socket, "session_ended"))
    other.close()
    async with started(embedded(tmp_path)) as daemon:
        assert daemon.recovery is not None
        await daemon.recovery
        for session in ("left", hello["session_id"]):
            assert [result["type"] for result in stored(daemon, session)] == ["final"]
    with transcript_file.reading(tmp_path / transcript_file.FILE_NAME) as database:
        assert {one.id: one.begun for one in transcript_file.sessions(database)}["left"] == 1_700_000_000.0
    assert [path.name for path in (tmp_path / "journal").iterdir()] == ["lock"]


async def test_what_lies_behind_a_hole_is_recovered_in_its_place(tmp_path: Path) -> None:
    """Speech on both sides of a hole that is shorter than the silence that ends an utterance: two results."""
    before, after = wire.turn(5)[:-16_000], wire.turn(2)
    behind = len(before) + 8_000
    journal = Journal(tmp_path / "journal", 100)
    journal.begin("s", SessionMeta(language="en"))
    journal.append("s", 0, before)
    journal.close()
    (tmp_path / "journal" / "s" / f"{behind:015d}.f32").write_bytes(after.astype("<f4").tobytes())
    async with started(embedded(tmp_path)) as daemon:
        assert daemon.recovery is not None
        await daemon.recovery
        first, second = stored(daemon, "s")
    assert [first["trigger"], second["trigger"]] == ["flush", "disconnect"]
    assert first["timestamp_range"]["end"] <= len(before) / 16_000
    assert second["timestamp_range"]["start"] >= len(before) / 16_000
    assert second["timestamp_range"]["end"] == pytest.approx((behind + len(after)) / 16_000, abs=1.0)
