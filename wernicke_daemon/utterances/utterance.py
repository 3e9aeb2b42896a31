"""One utterance on its way from its boundary to its final: what is known of it so far. Pure data."""

from dataclasses import dataclass, field

from ipc.audio_handle import SAMPLE_RATE, AudioHandle
from ipc.messages import AsrResult, Boundary, CorrectionResult, DiarizationResult, Segment, StageName


@dataclass(frozen=True)
class SpokenLine:
    """A segment said by one voice. speaker: voice local to the utterance, None where nobody could say."""

    segment: Segment
    speakers: tuple[int | None, ...]
    speaker: int | None


@dataclass
class StageTiming:
    """Milliseconds; attempts: times a stage began it."""

    queued_ms: float
    run_ms: float
    attempts: int


@dataclass
class Utterance:
    """triggered, settled: seconds of the front's monotonic clock at which the boundary was committed and the result
    complete. wall_start: seconds since 1970 of its first sample. failure, failure_code: why there is no text, for the
    client. models: what ran in each stage when it was submitted."""

    session: str
    sequence: int
    buffer_id: str
    audio: AudioHandle
    boundary: Boundary
    language: str
    glossary: tuple[str, ...]
    triggered: float
    wall_start: float
    asr: AsrResult | None = None
    diarization: DiarizationResult | None = None
    correction: CorrectionResult | None = None
    lines: tuple[SpokenLine, ...] = ()
    failure: str | None = None
    failure_code: str = "TRANSCRIPTION_FAILED"
    settled: float = 0.0
    timings: dict[StageName, StageTiming] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    models: dict[StageName, str] = field(default_factory=dict)

    def warn(self, code: str) -> None:
        if code not in self.warnings:
            self.warnings.append(code)

    @property
    def start_s(self) -> float:
        return self.audio.start / SAMPLE_RATE

    @property
    def end_s(self) -> float:
        return self.audio.end / SAMPLE_RATE

    @property
    def work_s(self) -> float:
        """Seconds of work that the stages spent on it."""
        return sum(timing.run_ms for timing in self.timings.values()) / 1000
