"""Everything that is said between the front and a stage, as frozen tagged structs (msgpack on the wire).

Two channels a direction: *work* (Job out, Done/Failed back) and *control* (Init, Stop, … out; Hello, Ready,
Heartbeat, … back). Work may wait behind work; control never does. Times in a message are durations or
positions in audio, never clock readings: monotonic clocks are not comparable across processes.
"""

from collections.abc import Iterable
from functools import reduce
from typing import Literal, get_args

import msgspec

from ipc.audio_handle import AudioHandle
from ipc.settings import StageSettings

Trigger = Literal["silence", "max_duration", "flush", "stop", "disconnect"]
StageName = Literal["ingest", "asr", "diarization", "correction"]
JobKind = Literal["firm", "early", "live"]
About = Literal["number", "negation"]
LeftOut = Literal["no_speech", "too_fast", "repetition", "improbable", "phantom", "said_before"]
STAGES: tuple[StageName, ...] = get_args(StageName)

Spans = tuple[tuple[int, int], ...]
"""Samples [start, end) of a session, in order, apart from each other."""


def within(spans: Spans, start: int, end: int) -> Spans:
    """What of the spans is in [start, end)."""
    parts = ((max(start, one), min(end, two)) for one, two in spans)
    return tuple((one, two) for one, two in parts if one < two)


class Message(msgspec.Struct, frozen=True, tag=True):
    """Base: the class name travels as the tag."""


# --- ingest: where utterances begin and end -------------------------------------------------------


class IngestTask(Message, frozen=True):
    """News of one session.

    session: id that comes back in the outcome. audio: samples not examined yet (count may be 0).
    state: what the last outcome returned, b"" at first. end: why the open utterance must end after these samples,
    None to let silence decide. idle_s: seconds in which nothing was received, not reported before.
    """

    session: str
    audio: AudioHandle
    state: bytes
    end: Trigger | None
    idle_s: float


class IngestWork(Message, frozen=True):
    tasks: tuple[IngestTask, ...]


class Boundary(Message, frozen=True):
    """One utterance found: samples [start, end) of the session, rolls included. speech: where in it there is speech; at
    most some hundred, as short pauses divide none. Empty where that is not known."""

    start: int
    end: int
    trigger: Trigger
    speech_samples: int
    last_speech_end: int
    speech: Spans = ()


class OpenSpeech(Message, frozen=True):
    """An open utterance with enough speech to become one, after what was examined. Samples of the session."""

    start: int  # its first one
    phrase_start: int  # the first one of its last phrase
    last_speech_end: int  # as in Boundary
    end: int  # where it would end if nothing more were said
    silence: int  # samples' worth of time since the last speech, received or not
    paused: bool  # that is long enough to end a phrase
    full_at: int  # where it would be cut for its length
    ends_at: int  # up to which nothing must be said for silence to end it
    speech: Spans = ()  # as in Boundary, up to here


class IngestOutcome(Message, frozen=True):
    """What was found in the new audio of one session."""

    session: str  # whose audio it was
    examined_to: int  # next sample to examine
    retain_from: int  # first sample that ingest still needs
    state: bytes  # of the detector, for the next task
    boundaries: tuple[Boundary, ...]  # utterances that ended
    speaking: bool  # an utterance is open, so idle time matters
    dropped_samples: int = 0  # speech too short to be an utterance, dropped and counted
    stale: bool = False  # the audio could not be read any more; state is unchanged then
    open: OpenSpeech | None = None  # what is being said, after all boundaries


class IngestResult(Message, frozen=True):
    outcomes: tuple[IngestOutcome, ...]


# --- asr -------------------------------------------------------------------------------------------


class Word(Message, frozen=True):
    """start, end: seconds from the utterance's start. text: as recognised, *with* the blank before it where the
    script has one, so that words joined with nothing between give the segment's text. score: 0…1."""

    start: float
    end: float
    text: str
    score: float


class Segment(Message, frozen=True):
    """start, end: seconds from the utterance's start. log_prob: mean natural logarithm of its tokens' probabilities,
    or of those of all the utterance's words (pocketsphinx). no_speech: probability that nobody speaks there. Both 0
    where the engine does not say."""

    start: float
    end: float
    text: str
    words: tuple[Word, ...]
    log_prob: float = 0.0
    no_speech: float = 0.0


class AsrWork(Message, frozen=True):
    """language: ISO 639-1 code or "auto". glossary: terms the client expects to hear. context: the end of what was said
    before, "" for none. kind: "firm" for the text that counts; "early" is the same work, done before it is certain that
    the utterance has ended; "live" is the text alone, as cheaply as the engine can (segments without words).
    speech: where in the audio there is speech, in seconds from its start; empty where that is not known. spoken: the
    language of what was said before, where it is to be recognised; "" where that is not known."""

    audio: AudioHandle
    language: str
    glossary: tuple[str, ...] = ()
    context: str = ""
    kind: JobKind = "firm"
    speech: tuple[tuple[float, float], ...] = ()
    spoken: str = ""


class Doubt(Message, frozen=True):
    """Two recognitions of a stretch (seconds from the utterance's start) that differ. text: what stands, at first.
    other: what the second look says."""

    start: float
    end: float
    about: About
    text: str
    other: str


class AsrResult(Message, frozen=True):
    """alignment: what timed the words. warnings: protocol codes. left_out: of each segment that is not there because
    nobody said it, how that was told. without_text_s: seconds of speech that have no text."""

    language: str
    language_probability: float
    segments: tuple[Segment, ...]
    alignment: str
    warnings: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    without_text_s: float = 0.0
    doubtful: tuple[Doubt, ...] = ()


# --- diarization -----------------------------------------------------------------------------------


class Piece(Message, frozen=True):
    """A stretch of speech of one speaker, as fine as the engine has it. start, end: seconds from the utterance's start.

    speaker: the engine's own voice within this utterance, from 0: pieces of two speakers are two voices, pieces of one
    are perhaps one. seconds: of clean speech, with nobody else over it, that the embedding is of. embedding: (), where
    that is too little to say anything. halves: cosine of the embeddings of its first and second half; None where they
    are too short.
    """

    start: float
    end: float
    speaker: int
    seconds: float
    embedding: tuple[float, ...] = ()
    halves: float | None = None


class Turn(Message, frozen=True):
    """start, end: seconds from the utterance's start. piece: index of the piece that it is part of."""

    start: float
    end: float
    piece: int


class DiarizationWork(Message, frozen=True):
    audio: AudioHandle


class DiarizationResult(Message, frozen=True):
    """turns: in time order, not overlapping. same_voice: cosine similarity from which two of this engine's embeddings
    are one voice, where the session's own do not tell. model: that made the embeddings, as its engine calls it; ""
    where that is not known."""

    turns: tuple[Turn, ...]
    pieces: tuple[Piece, ...]
    same_voice: float
    model: str = ""


# --- correction ------------------------------------------------------------------------------------


class CorrectionWork(Message, frozen=True):
    """texts: one per segment. context: what was said before, oldest first."""

    texts: tuple[str, ...]
    language: str
    glossary: tuple[str, ...] = ()
    context: tuple[str, ...] = ()


Refusal = Literal["malformed", "other_text", "number", "negation", "sound", "letters"]
"""Why a check turned a correction down: it is no line of text, it is another text, it loses or changes a number, it
turns a sentence's meaning, it sounds otherwise (Japanese), it has too many other letters (other languages)."""


class CorrectionResult(Message, frozen=True):
    """texts: one per segment, None where the recognised text stands. refused: of each segment in which a check turned
    an edit down, why the first of them was."""

    texts: tuple[str | None, ...]
    refused: tuple[Refusal, ...] = ()
    warnings: tuple[str, ...] = ()


# --- the work channel ------------------------------------------------------------------------------

Work = IngestWork | AsrWork | DiarizationWork | CorrectionWork
Result = IngestResult | AsrResult | DiarizationResult | CorrectionResult


class Job(Message, frozen=True):
    """limit_s: how long it may take; the stage writes its stacks then, and is replaced."""

    job_id: int
    work: Work
    limit_s: float


class Done(Message, frozen=True):
    job_id: int
    result: Result
    run_ms: float


class Failed(Message, frozen=True):
    """The engine raised and lives on. code: of the error; reason: one sentence, safe to log."""

    job_id: int
    code: str
    reason: str
    run_ms: float


Incoming = Done | Failed

# --- the control channel ---------------------------------------------------------------------------


class Init(Message, frozen=True):
    """Answer to Hello: load an engine. arena: geometry for ArenaReader."""

    arena: str
    settings: StageSettings


class Cancel(Message, frozen=True):
    job_id: int


class Stop(Message, frozen=True):
    """Finish nothing more; close the engine and exit."""


class Hello(Message, frozen=True):
    pid: int


class Loading(Message, frozen=True):
    """What a starting stage is doing, in plain words."""

    doing: str


class GpuMemory(Message, frozen=True):
    """GPU memory of one stage in MiB. allocated: in use by PyTorch. reserved: that and what PyTorch keeps for later.
    process: all that the driver counts for the process, None where it does not say (Windows)."""

    allocated: int
    reserved: int
    process: int | None = None

    def together(self, other: "GpuMemory") -> "GpuMemory":
        """What both hold."""
        process = self.process + other.process if self.process is not None and other.process is not None else None
        return GpuMemory(self.allocated + other.allocated, self.reserved + other.reserved, process)

    @staticmethod
    def of_all(held: "Iterable[GpuMemory | None]") -> "GpuMemory | None":
        """What all of them hold; None where none holds any."""
        known = [one for one in held if one is not None]
        return reduce(GpuMemory.together, known) if known else None


class Ready(Message, frozen=True):
    """Its engine is loaded: it takes jobs."""

    engine: str  # registry name
    model: str  # what `models_used` shows
    why: str  # how it came to be chosen
    load_ms: float  # that loading took
    gpu: GpuMemory | None = None  # memory it holds
    live: bool = False  # whether it takes live jobs
    node: str = ""  # the machine that it runs on; "" for the front's own


class Unusable(Message, frozen=True):
    """No engine could be loaded and warmed up. reason: one sentence naming the ways out."""

    reason: str


class Started(Message, frozen=True):
    """limit_s: of the job."""

    job_id: int
    limit_s: float


class Heartbeat(Message, frozen=True):
    """rss_mb: resident memory of the process. gpu: as it was after loading or after the last job. parts: of jobs done
    so far, by a process that has no shared memory to say so."""

    rss_mb: float
    gpu: GpuMemory | None = None
    parts: int = 0


ToStage = Init | Cancel | Stop
FromStage = Hello | Loading | Ready | Unusable | Started | Heartbeat
