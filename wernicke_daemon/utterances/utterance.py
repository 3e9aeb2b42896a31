"""One utterance on its way from its boundary to its final: what is known of it so far. Pure data."""

from dataclasses import dataclass, field

from ipc.audio_handle import SAMPLE_RATE, AudioHandle
from ipc.messages import AsrResult, Boundary, CorrectionResult, DiarizationResult, Segment, StageName
from wernicke_daemon.utterances.said import Said


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
    """Times that are not called otherwise are seconds of the front's monotonic clock."""

    session: str  # its id
    sequence: int  # its number in the session, from 1
    buffer_id: str  # its name for the client
    audio: AudioHandle  # where its samples are
    boundary: Boundary  # where it was found, and why it ended there
    language: str  # as the client said, "auto" for any
    glossary: tuple[str, ...]  # words that it may contain
    triggered: float  # when the boundary was committed
    wall_start: float  # seconds since 1970 of its first sample
    said: Said = field(default_factory=Said)  # what else was said in its session
    asr: AsrResult | None = None  # what the stages found
    diarization: DiarizationResult | None = None
    correction: CorrectionResult | None = None
    lines: tuple[SpokenLine, ...] = ()  # recognition and diarization put together
    failure: str | None = None  # why there is no text, for the client
    failure_code: str = "TRANSCRIPTION_FAILED"
    settled: float = 0.0  # when all this was complete
    timings: dict[StageName, StageTiming] = field(default_factory=dict)  # of the answers so far
    warnings: list[str] = field(default_factory=list)  # codes of what is missing or doubtful
    models: dict[StageName, str] = field(default_factory=dict)  # what ran in each stage when it was submitted

    @property
    def texts_before(self) -> tuple[str, ...]:
        """What was said just before and is recognised by now, oldest first: the context of its correction."""
        return self.said.texts_before(self.sequence)

    @property
    def text_before(self) -> str:
        """The last of it, "" for none: the context of its recognition."""
        return self.said.text_before(self.sequence)

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
