"""Diarization left out: nobody is told apart."""

from ipc.messages import DiarizationResult, DiarizationWork, StageName, Work
from ipc.settings import StageSettings
from stages.engine import ReadAudio


class NoDiarization:
    """Finds no turns, so that results carry no speakers. Reads no audio and needs no package."""

    name = "none"
    model = "none"

    def __init__(self, stage: StageName, settings: StageSettings) -> None:
        pass

    def load(self) -> None:
        pass

    def warm_up(self) -> None:
        pass

    def process(self, work: Work, read_audio: ReadAudio) -> DiarizationResult:
        if not isinstance(work, DiarizationWork):
            raise TypeError(f"a diarization engine was given {type(work).__name__}")
        return DiarizationResult(turns=(), pieces=(), same_voice=1.0, model=self.model)

    def close(self) -> None:
        pass
