"""Progress within a job: told by engines that have several parts, counted in shared memory, read by the front."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ipc.arena import Arena, ArenaReader
from ipc.audio_handle import AudioHandle
from ipc.messages import AsrResult, AsrWork, Done, Job, Work
from ipc.settings import AsrSettings, StageSettings
from stages.asr.faster_whisper import FasterWhisper
from stages.engine import ReadAudio
from stages.process.control import Control
from stages.process.worker import Worker
from stages.testing.faults import Faults
from tests.tiny_whisper import build_tiny_whisper


class InThreeParts:
    name = model = "parts"

    def load(self) -> None: ...
    def warm_up(self) -> None: ...
    def close(self) -> None: ...

    def tell_progress(self, progressed: Callable[[], None]) -> None:
        self._progressed = progressed

    def process(self, work: Work, read_audio: ReadAudio) -> AsrResult:
        for _ in range(3):
            self._progressed()
        return AsrResult("en", 1.0, (), "none")


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena(1, 16_000)
    yield made
    made.close()


def test_the_front_sees_the_parts_of_a_job(control: Control, arena: Arena) -> None:
    """Of each replica apart, and on from where the process before it was."""
    for expected in (3, 6):
        reader = ArenaReader(arena.geometry)
        worker = Worker("asr", 1, InThreeParts(), reader, control, Faults("asr", 1, ()), False)
        answer = worker.do(Job(1, AsrWork(AudioHandle("arena", 0, 1, 0, 0), "en"), limit_s=60.0))
        assert isinstance(answer, Done)
        assert (arena.progress("asr", 1), arena.progress("asr", 0), arena.progress("diarization", 1)) == (
            expected,
            0,
            0,
        )
        reader.close()


def test_whisper_tells_of_each_attempt(tmp_path: Path) -> None:
    """Of a text that is doubtful every time there are several."""
    directory = build_tiny_whisper(tmp_path / "whisper", "hello")
    asr = AsrSettings(
        model=str(directory), language="en", device="cpu", compute_type="int8", log_prob_threshold=0.0, cpu_threads=1
    )
    engine = FasterWhisper("asr", StageSettings(asr=asr))
    engine.load()
    parts: list[None] = []
    engine.tell_progress(lambda: parts.append(None))
    noise = np.random.default_rng(0).standard_normal(3 * 16_000).astype(np.float32)
    engine.process(AsrWork(AudioHandle("", 0, 0, 0, len(noise)), "en"), lambda handle: noise)
    assert len(parts) > 1
