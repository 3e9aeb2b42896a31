"""Correction that leaves every recognised text as it is."""

from ipc.messages import CorrectionResult, CorrectionWork, StageName, Work
from ipc.settings import StageSettings
from stages.engine import ReadAudio


class NoCorrection:
    """Needs nothing and can't fail."""

    name = "none"
    model = "none"

    def __init__(self, stage: StageName, settings: StageSettings) -> None:
        pass

    def load(self) -> None:
        pass

    def warm_up(self) -> None:
        pass

    def process(self, work: Work, read_audio: ReadAudio) -> CorrectionResult:
        assert isinstance(work, CorrectionWork)
        return CorrectionResult(texts=(None,) * len(work.texts))

    def close(self) -> None:
        pass
