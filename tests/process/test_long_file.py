"""A file of two hours, sent by OpenAI's client to a daemon whose engines take no time."""

import asyncio
import contextlib
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from msgspec.structs import replace

from benchmarks import engine_times, served
from benchmarks.conversation import generated
from benchmarks.engine_times import Times
from benchmarks.latency import VAD
from ipc.audio_handle import SAMPLE_RATE
from tests import wire
from tests.process.conftest import free_port, listening
from tests.waiting import eventually
from wernicke_daemon.config.schema import Config, WebSettings

openai = pytest.importorskip("openai", reason="needs OpenAI's client of the extra `test`")

pytestmark = [pytest.mark.asyncio, pytest.mark.long, pytest.mark.timeout(900)]

MINUTES = 120
NO_WORK = Times(1, 0, 1, 1)
MOST_GROWTH = 64 * 1024 * 1024
"""Bytes: the file has 220 MiB."""


async def test_two_hours_come_back_whole_as_they_are_done_in_bounded_memory(tmp_path: Path) -> None:
    """Text comes from the beginning on, in order and without a gap; neither process holds the file."""
    file = _talk(tmp_path / "talk.wav")
    port = free_port()
    config = Config(max_connections=1, vad=VAD, web=WebSettings(port=port))
    plan = replace(engine_times.plan_of(config, NO_WORK), pages=True)
    async with served.serving([plan], tmp_path) as [daemon]:
        await eventually(lambda: listening(port))
        async with _watched(daemon.front, daemon.web) as grown:
            texts, received_s = await _transcribed(port, daemon.stats, file)
    starts, ends = zip(*(map(int, text.split("-")) for text in texts), strict=True)
    assert list(starts) == sorted(starts) and all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    a_minute = sum(end <= 60 * SAMPLE_RATE for end in ends)
    assert len(texts) == MINUTES * a_minute > MINUTES
    assert received_s < MINUTES * 60 / 2
    print(f"front and web process grew by {[each >> 20 for each in grown]} MiB")
    assert max(grown) < MOST_GROWTH


def _talk(file: Path) -> Path:
    """The same conversation each minute."""
    talk = generated(1, 60.0, (VAD.phrase_pause_s, VAD.silence_s)).samples[: 60 * SAMPLE_RATE]
    minute = wire.as_int16(talk).ljust(60 * SAMPLE_RATE * 2, b"\0")
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        for _ in range(MINUTES):
            out.writeframesraw(minute)
    return file


async def _transcribed(port: int, stats: str, file: Path) -> tuple[list[str], float]:
    """The texts of all utterances, and how many seconds of audio the front had taken in when the first came."""
    address = f"http://127.0.0.1:{port}/v1"
    received_s, deltas = 0.0, list[str]()
    async with openai.AsyncOpenAI(api_key="any", base_url=address, max_retries=0, timeout=900) as client:
        with file.open("rb") as samples:
            stream: Any = await client.audio.transcriptions.create(file=samples, model="whisper-1", stream=True)
        async for event in stream:
            if event.type == "transcript.text.delta":
                received_s = received_s or await _received_s(stats)
                deltas.append(event.delta)
    assert "".join(deltas) == event.text
    return event.text.split("\n"), received_s


async def _received_s(stats: str) -> float:
    async with httpx.AsyncClient(trust_env=False) as http:
        [session] = (await http.get(stats)).json()["sessions"]
    return float(session["received_s"])


@contextlib.asynccontextmanager
async def _watched(*processes: psutil.Process) -> AsyncIterator[list[int]]:
    """By how many bytes of memory each was larger at most than at the beginning."""
    before = [process.memory_info().rss for process in processes]
    grown = [0 for _ in processes]

    async def watch() -> None:
        while True:
            for number, process in enumerate(processes):
                grown[number] = max(grown[number], process.memory_info().rss - before[number])
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    try:
        yield grown
    finally:
        watching.cancel()
