"""One utterance on its way from its boundary to its final: what is known of it so far. Pure data."""

from dataclasses import dataclass, field
from typing import Literal

from ipc.audio_handle import SAMPLE_RATE, AudioHandle
from ipc.messages import (
    AsrResult,
    Boundary,
    CorrectionResult,
    CorrectionWork,
    DiarizationResult,
    Segment,
    StageName,
)
from wernicke_daemon.utterances.caption import Caption
from wernicke_daemon.utterances.pieces import Piece, StageTiming


@dataclass(frozen=True)
class SpokenLine:
    """A segment said by one voice. speaker: voice local to the utterance, None where nobody could say."""

    segment: Segment
    speakers: tuple[int | None, ...]
    speaker: int | None


@dataclass
class Utterance:
    """From its boundary to its final; one whose end is not certain yet as if that were its boundary."""

    session: str
    sequence: int
    buffer_id: str
    audio: AudioHandle
    boundary: Boundary
    language: str
    glossary: tuple[str, ...]
    wall_start: float  # seconds since 1970 of its first sample
    began: float  # seconds of the front's monotonic clock at which that was received
    caption: Caption  # what its client has been shown of it
    pieces: tuple[Piece, ...]  # its audio, as it is recognised; in order
    certain: bool = True  # its end is: what is there of it goes into the final
    text_before: str = ""  # the last thing said before it that was recognised when it was begun, for the recogniser
    context: tuple[str, ...] = ()  # what was said before it, oldest first, as of when its text was there: for the LLM
    triggered: float = 0.0  # seconds of the front's monotonic clock at which its boundary was committed
    served_from: float = 0.0  # the service clock at that time
    settled: float = 0.0  # seconds of the front's monotonic clock at which its result was complete
    asr: AsrResult | None = None
    diarization: DiarizationResult | None = None
    correction: CorrectionResult | None = None
    correction_work: CorrectionWork | None = None  # what that is (to be) an answer to
    lines: tuple[SpokenLine, ...] = ()  # once it is recognised and its speakers are there, or left out
    left_out: set[StageName] = field(default_factory=set)  # stages it goes without
    open_jobs: dict[StageName, int] = field(default_factory=dict)  # job ids; those of recognition are the pieces'
    audio_released: bool = False  # no stage will read its audio any more
    failure: str | None = None  # why there is no text, for the client
    failure_code: str = "TRANSCRIPTION_FAILED"
    timings: dict[StageName, StageTiming] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    models: dict[StageName, str] = field(default_factory=dict)  # what ran in each stage when it was begun

    def warn(self, code: str) -> None:
        if code not in self.warnings:
            self.warnings.append(code)

    def leave_out(self, stage: StageName, code: str) -> None:
        self.left_out.add(stage)
        self.warn(code)

    def lacks(self, stage: Literal["diarization", "correction"]) -> bool:
        """Neither there, nor under way, nor left out."""
        return getattr(self, stage) is None and stage not in self.left_out and stage not in self.open_jobs

    @property
    def has_text(self) -> bool:
        return self.asr is not None and any(segment.text for segment in self.asr.segments)

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
