"""More to do than can be done: what is left out, what waits, and that nothing of it is lost."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection

from ipc.messages import StageName
from ipc.settings import Fault, StageSettings
from tests import wire
from tests.process.conftest import embedded
from tests.waiting import eventually
from wernicke_daemon.config.schema import Config, stage_settings
from wernicke_daemon.daemon import Daemon, running

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
SPEECH = wire.turn(5, before_s=0.1, after_s=0.1).astype("<f4").tobytes()
SHED = ["partials", "correction", "diarization"]


@asynccontextmanager
async def sleeping(config: Config, asr_ms: float) -> AsyncIterator[Daemon]:
    """A daemon whose recogniser takes that long for an utterance, and whose text says where it lay."""
    times = {"asr": asr_ms, "diarization": 1.0, "correction": 1.0}
    settings = replace(stage_settings(config), sleep_ms=times)
    async with running(config, lambda line: None, settings) as daemon:
        yield daemon


async def say(socket: ClientConnection, times: int) -> None:
    """So many utterances at once."""
    for _ in range(times):
        await socket.send(SPEECH)
        await socket.send('{"type": "flush"}')


def told(messages: list[dict[str, Any]], kind: str) -> list[str]:
    """What was said to be degraded, or restored, because of overload."""
    return [message["stage"] for message in messages if message["type"] == kind and message["reason"] == "overload"]


# --- shedding ---------------------------------------------------------------------------------------


async def test_what_is_left_out_comes_in_order_and_every_utterance_has_its_final(tmp_path: Path) -> None:
    """Partials first, then correction, then speakers; said to clients, in results and on /health; then all is back."""
    config = embedded(tmp_path, runtime={"shed_after_s": 1.5})
    async with (
        sleeping(config, asr_ms=400) as daemon,
        wire.open_socket(daemon.port, f"{wire.MONO}&events=partial,status") as socket,
    ):
        await say(socket, 14)
        messages = await until_told(socket, "degraded")
        await say(socket, 3)
        assert (await health(daemon))[1]["overload"] == len(SHED)
        messages += await until_told(socket, "restored")
        assert (await health(daemon))[1]["overload"] == 0
        while len(wire.finals(messages)) < 17:  # the last of them may be on its way to the disk when all is well again
            messages.append(await wire.receive(socket))
        await say(socket, 1)
        messages += await wire.until(socket, "final")
    assert told(messages, "degraded") == told(messages, "restored") == SHED
    finals = wire.finals(messages)
    assert [final["sequence"] for final in finals] == list(range(1, 19))
    assert len({final["text"] for final in finals}) == 18
    first, last_waiting, after = finals[0], finals[16], finals[17]
    assert first["warnings"] == after["warnings"] == [] and last_waiting["warnings"] == ["OVERLOADED"]
    assert uses(first) == uses(after) == {"diarization", "llm"} and uses(last_waiting) == set()
    assert {1, 18} <= with_partial(messages) and 17 not in with_partial(messages)


async def until_told(socket: ClientConnection, kind: str) -> list[dict[str, Any]]:
    """Messages up to that which says it of the last of SHED."""
    messages = list[dict[str, Any]]()
    while told(messages, kind)[-1:] != SHED[-1:]:
        messages.append(await wire.receive(socket))
    return messages


def uses(final: dict[str, Any]) -> set[str]:
    """Optional stages that had a part in it."""
    return {name for name in ("diarization", "llm") if final["models_used"][name]}


def with_partial(messages: list[dict[str, Any]]) -> set[int]:
    return {message["sequence"] for message in messages if message["type"] == "partial"}


async def health(daemon: Daemon) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{daemon.port}/health")
    return answer.status_code, answer.json()


# --- a full ring ------------------------------------------------------------------------------------


async def test_three_minutes_at_once_come_back_whole_though_the_ring_holds_one(tmp_path: Path) -> None:
    """Reading pauses while the ring is full and goes on: the utterances are those of a ring that holds everything."""
    audio = np.concatenate([wire.clip()] * 4)[: 180 * 16_000].astype("<f4").tobytes()
    small, paused = await transcribed(tmp_path, audio, ring_seconds=72.0)
    large, never = await transcribed(tmp_path, audio, ring_seconds=200.0)
    assert paused and not never
    assert [final["timestamp_range"] for final in small] == [final["timestamp_range"] for final in large]
    assert [final["text"] for final in small] == [final["text"] for final in large]
    assert large[-1]["timestamp_range"]["end"] > 170


async def transcribed(directory: Path, audio: bytes, ring_seconds: float) -> tuple[list[dict[str, Any]], bool]:
    """The finals, and whether reading ever paused."""
    config = embedded(directory)
    config = replace(config, max_connections=1, audio=replace(config.audio, ring_seconds=ring_seconds))
    async with sleeping(config, asr_ms=150) as daemon:
        watch = asyncio.create_task(was_paused(daemon))
        messages = await wire.transcribe(daemon.port, audio, f"{wire.MONO}&events=ack", frame_bytes=1 << 20)
        watch.cancel()
        [paused] = await asyncio.gather(watch, return_exceptions=True)
    received = [message["samples_received"] for message in messages if message["type"] == "audio_received"]
    assert received[-1] == len(audio) // 4
    return wire.finals(messages), paused is True


async def was_paused(daemon: Daemon) -> bool:
    """Returns once a session is paused."""
    while True:
        if any(session.paused for session in daemon.sessions):
            return True
        await asyncio.sleep(0.005)


# --- no recogniser ----------------------------------------------------------------------------------


async def test_a_recogniser_that_stays_down_is_an_error_and_not_a_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits and what comes then is answered with its sequence; the connection lives to see the recovery."""
    runtime = {"asr_down_limit_s": 1.5, "restarts_max": 1, "backoff_first_s": 0.1, "backoff_max_s": 0.3}
    async with (
        sleeping(embedded(tmp_path, runtime=runtime), asr_ms=50) as daemon,
        wire.open_socket(daemon.port, f"{wire.MONO}&events=status") as socket,
    ):
        with monkeypatch.context() as patch:
            break_for_good(daemon, "asr", patch)
            await say(socket, 3)
            errors = [(await wire.until(socket, "error"))[-1] for _ in range(3)]
            await say(socket, 1)
            errors += [(await wire.until(socket, "error"))[-1]]
            asr = daemon.pipeline.ports["asr"]
            # Its second process may take longer to die than what waited had patience.
            await eventually(lambda: asr.status().failed)
            status, page = await health(daemon)
            assert (status, page["status"]) == (503, "failed")
        await wire.until(socket, "restored")
        assert (await health(daemon))[0] == 200
        await say(socket, 1)
        final = (await wire.until(socket, "final"))[-1]
        await socket.send(json.dumps({"type": "stop"}))
        assert [message["type"] for message in await wire.until(socket, "session_ended")] == ["session_ended"]
    assert [error["sequence"] for error in errors] == [1, 2, 3, 4]
    assert {error["code"] for error in errors} == {"TRANSCRIPTION_LATE"}
    assert "recogniser" in errors[0]["message"] and final["sequence"] == 5


def break_for_good(daemon: Daemon, stage: StageName, patch: pytest.MonkeyPatch) -> None:
    """Its process is killed, and every one after it dies while it loads, until the patch is taken back."""
    [supervised] = daemon.pipeline.supervisor.replicas(stage)
    launcher = supervised._launcher
    settings: StageSettings = replace(launcher._setup.settings, faults={stage: (Fault("crash_load"),)})
    patch.setattr(launcher, "_setup", replace(launcher._setup, settings=settings))
    pid = supervised.status().pid
    assert pid is not None
    os.kill(pid, KILL)
