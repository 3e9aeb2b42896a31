"""An engine that only takes time: for benchmarks of everything around engines, and for tests."""

import time

from ipc.errors import EngineFailed
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
from stages.stage import ReadAudio


class Sleep:
    """Reads its audio, sleeps `sleep_ms[stage]`, gives a result of the right shape that says where the audio lay."""

    name = "sleep"
    model = "sleep"
    live = True

    def __init__(self, stage: StageName, settings: StageSettings) -> None:
        self._seconds = settings.sleep_ms[stage] / 1000

    def load(self) -> None:
        """Nothing to load."""

    def warm_up(self) -> None:
        """Nothing to warm up."""

    def process(self, work: Work, read_audio: ReadAudio) -> Result:
        """Raises EngineFailed for ingest work, which has no meaningful empty answer."""
        if isinstance(work, AsrWork | DiarizationWork):
            read_audio(work.audio)
        time.sleep(self._seconds)
        return self._answer(work)

    def _answer(self, work: Work) -> Result:
        match work:
            case AsrWork(audio=audio):
                text = f"{audio.start}-{audio.end}"
                return AsrResult("en", 1.0, (Segment(0.0, audio.seconds, text, ()),), "none")
            case DiarizationWork():
                return DiarizationResult((), (), 1.0)
            case CorrectionWork(texts=texts):
                return CorrectionResult((None,) * len(texts))
        raise EngineFailed("the sleep engine does no ingest")

    def close(self) -> None:
        """Nothing to free."""
