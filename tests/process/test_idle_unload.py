"""Models that leave the memory while there is no client: the real daemon, real processes, a local Ollama server."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec.structs import replace

from tests import wire
from tests.ollama_server import MODEL, OllamaServer
from tests.process.conftest import embedded, started, stored
from tests.waiting import eventually
from wernicke_daemon import idle_unload
from wernicke_daemon.daemon import Daemon

MODELS = ("asr", "diarization", "correction")
SPEECH = wire.turn(5).astype("<f4").tobytes()
IDLE_S = 0.5


@pytest.fixture
def ollama() -> Any:
    with OllamaServer() as server:
        yield server


@pytest.fixture
async def resting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ollama: OllamaServer) -> AsyncIterator[Daemon]:
    """A daemon whose models leave the memory after IDLE_S, and have."""
    monkeypatch.setattr(idle_unload, "LOOK_EVERY_S", 0.05)
    config = embedded(tmp_path, runtime={"idle_unload_s": IDLE_S, "standby": ("asr",)})
    correction = replace(config.correction, engine="ollama", deadline_s=60.0)
    config = replace(config, correction=correction, llm=replace(config.llm, host=ollama.url, model=MODEL))
    async with started(config) as daemon:
        await unloaded(daemon, ollama)
        yield daemon


async def unloaded(daemon: Daemon, ollama: OllamaServer) -> None:
    await eventually(lambda: daemon.status.health().status == "unloaded" and not ollama.loaded)


def stage_processes() -> list[str]:
    """Which stages have a process, spares included."""
    names = []
    for child in psutil.Process().children(recursive=True):
        try:
            if child.cmdline()[-2:-1] == ["stages.process.runner"]:
                names.append(child.cmdline()[-1])
        except psutil.Error:  # it has ended meanwhile
            continue
    return names


async def test_models_leave_the_memory_and_nothing_has_died(resting: Daemon, ollama: OllamaServer) -> None:
    """Their processes are gone, spares too; Ollama was told. The page says so, and that all is well."""
    await eventually(lambda: stage_processes() == ["ingest"])
    health, stats = resting.status.health(), resting.status.stats()
    assert {name: health.stages[name].state for name in MODELS} == dict.fromkeys(MODELS, "unloaded")
    assert [health.stages[name].restarts for name in MODELS] == [0, 0, 0]
    assert [stats.stages[name].pid for name in MODELS] == [None] * 3
    assert (resting.status.useful, health.problems, resting.status.lacking()) == (True, [], [])
    [unload] = [request.body for request in ollama.requests if request.body.get("keep_alive") == 0]
    assert unload == {"model": MODEL, "keep_alive": 0}


async def test_the_next_client_has_them_loaded_and_loses_nothing(resting: Daemon, ollama: OllamaServer) -> None:
    """It is told that they start, sends at once, and gets what a client gets of models that were there all the time;
    after it they leave again."""
    async with wire.open_socket(resting.port, f"{wire.MONO}&events=session,status") as socket:
        await socket.send(SPEECH)
        await socket.send(json.dumps({"type": "stop"}))
        messages = await wire.until(socket, "session_ended")
    kinds = [(message["type"], message.get("stage"), message.get("reason")) for message in messages]
    assert messages[0]["type"] == "connection_established" and set(messages[0]["degraded"]) == set(MODELS)
    assert kinds[1:4] == [("degraded", name, "starting") for name in idle_unload.LARGEST_FIRST]
    assert {("restored", name, "starting") for name in MODELS} <= set(kinds)
    [first] = wire.finals(messages)
    assert (first["warnings"], first["models_used"]["llm"]) == ([], MODEL)
    [again] = wire.finals(await wire.transcribe(resting.port, SPEECH))  # they are loaded
    assert first["text"] == again["text"]
    assert [one["text"] for one in stored(resting, messages[0]["session_id"])] == [first["text"]]
    assert ollama.loads == 2
    await unloaded(resting, ollama)
    assert [stage.restarts for stage in resting.status.health().stages.values()] == [0, 0, 0, 0]


async def test_a_session_that_waits_for_its_client_keeps_them(resting: Daemon, ollama: OllamaServer) -> None:
    """Its last words are still to be recognised when it is given up."""
    async with wire.open_socket(resting.port, f"{wire.MONO}&events=session") as socket:
        await socket.send(SPEECH)
        await wire.receive(socket)
        [session] = list(resting.sessions)
        await eventually(lambda: session.received().bytes_received == len(SPEECH))
        socket.transport.abort()
    await eventually(lambda: not session.attached and resting.pipeline.dispatcher.recognises)
    assert not await so_within(lambda: resting.status.health().status == "unloaded", 4 * IDLE_S)


async def so_within(what: Any, seconds: float) -> bool:
    try:
        await eventually(what, within=seconds)
    except AssertionError:
        return False
    return True
