"""Text while one speaks, on real stages with real speech at the pace at which it is said."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import pytest_asyncio
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection

from ipc.messages import StageName
from tests import wire
from tests.process.conftest import embedded, started
from tests.waiting import eventually
from wernicke_daemon.config.schema import stage_settings
from wernicke_daemon.daemon import Daemon, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRAME = 1600
"""Samples of a frame: 0.1 s."""

Told = list[tuple[float, dict[str, Any]]]


async def say(socket: ClientConnection, samples: wire.Samples, begin: float) -> None:
    """As a microphone does. begin: when the first sample is heard, by the loop's clock."""
    for at in range(0, len(samples), FRAME):
        await asyncio.sleep(max(0.0, begin + (at + FRAME) / 16_000 - asyncio.get_running_loop().time()))
        await socket.send(samples[at : at + FRAME].astype("<f4").tobytes())


async def spoken(port: int, samples: wire.Samples, events: str = "partial,suppressed") -> Told:
    """Everything that comes, with the seconds since the first sample was heard."""
    told: Told = []
    async with wire.open_socket(port, f"{wire.MONO}&events={events}") as socket:
        begin = asyncio.get_running_loop().time()
        sending = asyncio.create_task(say(socket, samples, begin))
        sending.add_done_callback(lambda done: asyncio.ensure_future(socket.send('{"type": "stop"}')))
        while not told or told[-1][1]["type"] != "session_ended":
            message = await wire.receive(socket)
            told.append((asyncio.get_running_loop().time() - begin, message))
        await sending
    return told


def of(told: Told, kind: str) -> list[dict[str, Any]]:
    return [message for _, message in told if message["type"] == kind]


def with_silence(*parts: wire.Samples, pause_s: float, end_s: float = 2.5) -> wire.Samples:
    """Phrases of one utterance, and silence that ends it."""
    pause, end = np.zeros(round(pause_s * 16_000), np.float32), np.zeros(round(end_s * 16_000), np.float32)
    joined = [piece for part in parts for piece in (part, pause)][:-1]
    return np.concatenate([*joined, end])


SPEECH = with_silence(wire.turn(2, 0.2, 0.0), wire.turn(5, 0.0, 0.0), pause_s=0.9)
"""Two phrases of two people, one utterance."""


async def test_a_phrase_is_shown_before_the_utterance_has_ended(daemon: Daemon) -> None:
    """And what is shown as stable stays; the final replaces it all."""
    told = await spoken(daemon.port, SPEECH)
    partials, [final] = of(told, "partial"), of(told, "final")
    first_at = next(at for at, message in told if message["type"] == "partial")
    assert first_at < len(SPEECH) / 16_000 - 2.5
    assert {message["buffer_id"] for message in partials} == {final["buffer_id"]}
    assert [message["revision"] for message in partials] == list(range(1, len(partials) + 1))
    assert final["revision"] > len(partials)
    for before, after in pairwise(partials):
        assert after["text"].startswith(before["text"][: before["stable_chars"]])
    assert final["trigger"] == "silence" and len(final["text"].split()) > 8


async def test_who_asks_for_nothing_sees_no_difference(daemon: Daemon) -> None:
    """But for when its final comes."""
    told = await spoken(daemon.port, SPEECH, events="")
    assert [message["type"] for _, message in told] == ["final", "session_ended"]


async def test_the_final_is_what_it_is_without_early_work(daemon: Daemon, tmp_path: Path) -> None:
    """With the whole utterance recognised again at each pause."""
    whole = embedded(tmp_path / "whole")
    whole = replace(whole, asr=replace(whole.asr, final="whole"))
    late = replace(embedded(tmp_path / "late"), asr=replace(whole.asr, early=False, live=False))
    async with started(whole) as one, started(late) as other:
        told, without = await asyncio.gather(spoken(one.port, SPEECH), spoken(other.port, SPEECH))
    [final], [expected] = of(told, "final"), of(without, "final")
    same = ("text", "segments", "timestamp_range", "language", "duration", "trigger", "warnings")
    assert {key: final[key] for key in same} == {key: expected[key] for key in same}
    assert [message["stage"] for message in of(without, "partial")][:1] == ["asr"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def slow(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A daemon whose stages only take time, long enough to be killed meanwhile."""
    config = embedded(tmp_path_factory.mktemp("data"))
    times = {"asr": 400.0, "diarization": 400.0, "correction": 400.0}
    async with running(config, lambda line: None, replace(stage_settings(config), sleep_ms=times)) as daemon:
        yield daemon


@pytest.mark.parametrize("stage", ["asr", "diarization", "correction"])
async def test_a_stage_killed_at_early_work_costs_the_final_nothing(slow: Daemon, stage: StageName) -> None:
    """It is killed at the first pause, while it works on what was said so far."""
    port = slow.pipeline.ports[stage]
    before = port.status().deaths
    killing = asyncio.create_task(kill_at_early_work(slow, stage))
    told = await spoken(slow.port, SPEECH)
    await killing
    await eventually(lambda: port.status().ready)
    assert port.status().deaths == before + 1
    [final] = of(told, "final")
    assert final["warnings"] == [] and not of(told, "error")


async def kill_at_early_work(daemon: Daemon, stage: StageName) -> None:
    """As soon as it has an early job."""
    dispatcher = daemon.pipeline.dispatcher
    await eventually(lambda: dispatcher.depth(stage))
    pid = daemon.pipeline.ports[stage].status().pid
    assert pid is not None
    psutil.Process(pid).kill()


async def test_a_file_sent_at_once_is_worked_on_once(daemon: Daemon) -> None:
    """Audio that comes faster than it is said has ended before early work on it is done."""
    before = daemon.status.stats().ahead["early"].jobs
    await wire.transcribe(daemon.port, SPEECH.astype("<f4").tobytes())
    assert daemon.status.stats().ahead["early"].jobs - before <= 2


async def test_the_log_and_the_figures_say_what_it_cost_and_what_was_used(tmp_path: Path) -> None:
    async with started(embedded(tmp_path)) as daemon:
        await spoken(daemon.port, SPEECH)
        ahead = daemon.status.stats().ahead["early"]
    assert ahead.jobs > 0 and 0 <= ahead.used_s <= ahead.work_s + 0.1
    lines = (tmp_path / "logs" / "wernicke.jsonl").read_text(encoding="utf-8").splitlines()
    [line] = [entry for entry in map(json.loads, lines) if entry["event"] == "utterance"]
    assert 0 < line["first_text_s"] <= line["last_partial_s"] <= line["final_s"]
    assert line["partials"] >= 1 and line["pieces"] >= 1
