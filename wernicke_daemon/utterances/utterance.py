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
from wernicke_daemon.utterances.said import Said


@dataclass(frozen=True)
class SpokenLine:
    """A segment said by one voice. pieces: of each word, where in diarization's pieces it is; piece: the one that says
    most of it. None where nobody could say."""

    segment: Segment
    pieces: tuple[int | None, ...]
    piece: int | None


@dataclass
class Utterance:
    """Times that are not called otherwise are seconds of the front's monotonic clock.

    One whose end is not certain yet is as if nothing more were said."""

    session: str  # its id
    sequence: int  # its number in the session, from 1
    buffer_id: str  # its name for the client
    audio: AudioHandle  # where its samples are
    boundary: Boundary  # where it was found, and why it ended there
    language: str  # as the client said, "auto" for any
    glossary: tuple[str, ...]  # words that it may contain
    triggered: float  # when the boundary was committed; what it was before that means nothing
    wall_start: float  # seconds since 1970 of its first sample
    began: float = 0.0  # when that was received
    pieces: tuple[Piece, ...] = ()  # its audio, as it is recognised; in order. Where nothing is said, all at once
    caption: Caption = field(default_factory=Caption)  # what its client has been shown of it
    said: Said = field(default_factory=Said)  # what else was said in its session
    certain: bool = True  # its end is: what is found of it goes into its final
    served_from: float = 0.0  # the service clock when it was triggered
    asr: AsrResult | None = None  # what the stages found
    diarization: DiarizationResult | None = None  # who spoke when
    correction: CorrectionResult | None = None  # what the LLM made of the text
    correction_work: CorrectionWork | None = None  # what that is (to be) an answer to
    corrected_early: tuple[CorrectionWork, CorrectionResult] | None = None  # of one whose place it took
    lines: tuple[SpokenLine, ...] = ()  # recognition and diarization put together
    left_out: set[StageName] = field(default_factory=set)  # stages it goes without
    open_jobs: dict[StageName, int] = field(default_factory=dict)  # job ids; those of recognition are the pieces'
    audio_released: bool = False  # no stage will read its audio any more
    early_ms: float = 0.0  # work that was done of it, and used, before its end was certain
    failure: str | None = None  # why there is no text, for the client
    failure_code: str = "TRANSCRIPTION_FAILED"  # how that is called in the protocol
    given_up: bool = False  # that is because the recogniser was down for too long: it could be done later
    settled: float = 0.0  # when all this was complete
    timings: dict[StageName, StageTiming] = field(default_factory=dict)  # of the answers so far
    warnings: list[str] = field(default_factory=list)  # codes of what is missing or doubtful
    models: dict[StageName, str] = field(
        default_factory=dict
    )  # what ran in each stage when it was submitted; diarization says itself what made its result

    @property
    def texts_before(self) -> tuple[str, ...]:
        """What was said just before and is recognised by now, oldest first: the context of its correction."""
        return self.said.texts_before(self.sequence)

    @property
    def text_before(self) -> str:
        """The last of it, "" for none: the context of its recognition."""
        return self.said.text_before(self.sequence)

    @property
    def language_before(self) -> str:
        """Of the last of it, "" for none: what a short word is taken to be in."""
        return self.said.language_before(self.sequence)

    def __post_init__(self) -> None:
        self.pieces = self.pieces or (Piece(self.audio, "firm", self.boundary.speech),)

    @property
    def has_text(self) -> bool:
        return self.asr is not None and any(segment.text for segment in self.asr.segments)

    def lacks(self, stage: Literal["diarization", "correction"]) -> bool:
        """Neither there, nor under way, nor left out."""
        return getattr(self, stage) is None and stage not in self.left_out and stage not in self.open_jobs

    def leave_out(self, stage: StageName, code: str) -> None:
        """It goes without that stage's part. code: the warning that says so."""
        self.left_out.add(stage)
        self.warn(code)

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
    def known_correction(self) -> tuple[CorrectionWork, CorrectionResult] | None:
        """What the language model has answered of it so far, for the same words again."""
        if self.correction is not None and self.correction_work is not None:
            return self.correction_work, self.correction
        return self.corrected_early

    @property
    def done_ms(self) -> float:
        """Milliseconds of work that is in it so far."""
        recognised = sum(piece.timing.run_ms for piece in self.pieces if piece.timing is not None)
        there = {"diarization": self.diarization, "correction": self.correction}
        return recognised + sum(t.run_ms for stage, t in self.timings.items() if there.get(stage) is not None)

    @property
    def work_s(self) -> float:
        """Seconds of work that the stages spent on it."""
        return sum(timing.run_ms for timing in self.timings.values()) / 1000
