"""pipecat's service for Deepgram, by the README's lines, in a pipeline."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests import wire
from tests.clients.conftest import Served, from_readme
from tests.cut_proxy import Cut, cut_proxy
from tests.process.conftest import stored
from tests.talk import PAUSE, TALK, is_right
from tests.waiting import eventually
from wernicke_daemon.evaluation.scoring import Spoken

pytest.importorskip("pipecat", reason="needs pipecat of the extra `clients`")
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIECE = 1600
"""Samples: 0.1 s."""


class Sink(FrameProcessor):
    """Keeps what comes of the service: transcriptions downstream, errors upstream."""

    def __init__(self, frames: list[Frame]) -> None:
        super().__init__()
        self._frames = frames

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InterimTranscriptionFrame | TranscriptionFrame | ErrorFrame):
            self._frames.append(frame)
        await self.push_frame(frame, direction)


@dataclass
class Running:
    """A pipeline. frames: that came out of it so far."""

    worker: Any
    frames: list[Frame]

    async def push(self, samples: wire.Samples, each_s: float = 0.0) -> None:
        """each_s: seconds between tenths of a second."""
        for at in range(0, len(samples), PIECE):
            audio = wire.as_int16(samples[at : at + PIECE])
            await self.worker.queue_frame(InputAudioRawFrame(audio=audio, sample_rate=16_000, num_channels=1))
            await asyncio.sleep(each_s)

    def of(self, kind: type[Frame]) -> list[Any]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    def finals(self) -> list[Any]:
        return [frame.result for frame in self.of(TranscriptionFrame)]


@contextlib.asynccontextmanager
async def running(stt: Any) -> AsyncIterator[Running]:
    frames: list[Frame] = []
    worker = PipelineWorker(Pipeline([Sink(frames), stt, Sink(frames)]), cancel_on_idle_timeout=False)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_pipeline_started(worker: Any, frame: Any) -> None:
        started.set()

    run = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(120):
            await started.wait()
            yield Running(worker, frames)
            await worker.queue_frame(EndFrame())
            await run
    finally:
        run.cancel()


def service(host: str, key: str = "", **settings: Any) -> Any:
    """By the README's lines; settings: such as pipecat has for a service that is on."""
    defined = from_readme("pipecat", host, key) if key else from_readme("pipecat", host)
    stt = defined["stt"]
    for name, value in settings.items():
        setattr(stt._settings, name, value)
    return stt


def line(result: Any) -> Any:
    return result.channel.alternatives[0]


async def test_a_talk_comes_back_with_words_and_speakers(served: Served) -> None:
    async with running(service(served.host, diarize=True)) as pipeline:
        await pipeline.push(TALK)
        await pipeline.push(PAUSE)
        await eventually(lambda: any(result.speech_final and result.start > 10 for result in pipeline.finals()))
    results = pipeline.finals()
    [session] = {result.metadata.request_id for result in results}
    kept = stored(served.daemon, session)
    assert [line(each).transcript for each in results] == [part["text"] for final in kept for part in final["segments"]]
    assert is_right([Spoken(str(line(each).words[0].speaker), line(each).transcript) for each in results])
    assert not pipeline.of(ErrorFrame)


async def test_text_comes_while_one_speaks_and_is_final_when_their_detector_says_so(served: Served) -> None:
    """It sends `Finalize` when its own voice detection says that nobody speaks any more."""
    async with running(service(served.host)) as pipeline:
        while not pipeline.of(InterimTranscriptionFrame):
            await pipeline.push(wire.turn(3, after_s=0.0), each_s=0.1)
        await pipeline.worker.queue_frame(VADUserStoppedSpeakingFrame())
        await eventually(lambda: any(result.from_finalize for result in pipeline.finals()))


async def test_a_wrong_key_ends_their_service_with_our_status(served: Served) -> None:
    """It does not try again, as it would for what may pass."""
    async with running(service(served.host, "c" * 64)) as pipeline:
        [error] = await eventually(lambda: pipeline.of(ErrorFrame))
    assert "401" in error.error


async def test_a_broken_line_is_taken_up_by_a_new_session(served: Served) -> None:
    """pipecat connects again by itself; what was said before is kept, what is said then comes."""
    before = {session.id for session in served.daemon.sessions}
    cut = Cut(after=len(wire.as_int16(TALK)))  # of each connection: what is said on the second is shorter
    async with cut_proxy(served.port, cut) as port, running(service(f"127.0.0.1:{port}")) as pipeline:
        first = (await eventually(lambda: {each.id for each in served.daemon.sessions} - before)).pop()
        await pipeline.push(np.concatenate([TALK, PAUSE]))
        second = (await eventually(lambda: {each.id for each in served.daemon.sessions} - before - {first})).pop()
        await eventually(lambda: stored(served.daemon, first))
        await pipeline.push(np.concatenate([wire.turn(3), PAUSE, PAUSE]))
        await eventually(lambda: second in {result.metadata.request_id for result in pipeline.finals()})
