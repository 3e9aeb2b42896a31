"""An engine that only takes time: for benchmarks of everything around engines, and for tests."""

import time
from collections.abc import Callable

from ipc import clock
from ipc.errors import EngineFailed, JobCancelled
from ipc.messages import (
    AsrResult,
    AsrWork,
    CorrectionResult,
    CorrectionWork,
    DiarizationResult,
    DiarizationWork,
    Result,
    Segment,
    StageName,
    Work,
)
from ipc.settings import StageSettings
from stages.engine import LOOK_S, ReadAudio

LIVE_SHARE = 0.6
"""Of the time of a firm job: Whisper with one beam instead of five, and without word times."""


class Sleep:
    """Reads its audio, sleeps as long as the settings say, gives a result of the right shape that says where the audio
    lay. A StoppableEngine: a cancelled correction ends at once, as Ollama's does; other jobs are slept through."""

    name = "sleep"
    model = "sleep"
    live = True

    def __init__(self, stage: StageName, settings: StageSettings) -> None:
        self._seconds = settings.sleep_ms[stage] / 1000
        self._per_audio_s = settings.sleep_ms_per_audio_s.get(stage, 0.0) / 1000
        self._unwanted: Callable[[], bool] = lambda: False

    def load(self) -> None:
        """Nothing to load."""

    def warm_up(self) -> None:
        """Nothing to warm up."""

    def stop_when(self, unwanted: Callable[[], bool]) -> None:
        self._unwanted = unwanted

    def process(self, work: Work, read_audio: ReadAudio) -> Result:
        """Raises JobCancelled, and EngineFailed for ingest work, which has no meaningful empty answer."""
        if isinstance(work, AsrWork | DiarizationWork):
            read_audio(work.audio)
        if isinstance(work, CorrectionWork):
            self._sleep_while_wanted(self._takes(work))
        else:
            time.sleep(self._takes(work))
        return self._answer(work)

    def _sleep_while_wanted(self, seconds: float) -> None:
        until = clock.monotonic() + seconds
        while (left := until - clock.monotonic()) > 0:
            if self._unwanted():
                raise JobCancelled("no longer wanted")
            time.sleep(min(left, LOOK_S))

    def _takes(self, work: Work) -> float:
        audio_s = work.audio.seconds if isinstance(work, AsrWork | DiarizationWork) else 0.0
        share = LIVE_SHARE if isinstance(work, AsrWork) and work.kind == "live" else 1.0
        return share * (self._seconds + self._per_audio_s * audio_s)

    def _answer(self, work: Work) -> Result:
        match work:
            case AsrWork(audio=audio):
                text = f"{audio.start}-{audio.end}"
                return AsrResult("en", 1.0, (Segment(0.0, audio.seconds, text, ()),), "none")
            case DiarizationWork():
                return DiarizationResult((), (), 1.0, self.model)
            case CorrectionWork(texts=texts):
                return CorrectionResult((None,) * len(texts))
        raise EngineFailed("the sleep engine does no ingest")

    def close(self) -> None:
        """Nothing to free."""
