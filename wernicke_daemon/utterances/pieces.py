"""An utterance's text from the stretches of its audio that were recognised by themselves. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from ipc.audio_handle import SAMPLE_RATE, AudioHandle
from ipc.messages import AsrResult, AsrWork, JobKind, Segment, Spans, within


@dataclass
class StageTiming:
    """queued_ms, run_ms: milliseconds. attempts: times a stage began it. answered: when its answer came, in seconds of
    the front's monotonic clock."""

    queued_ms: float
    run_ms: float
    attempts: int
    answered: float = 0.0


@dataclass(eq=False)
class Piece:
    """A stretch of audio that is recognised at once."""

    audio: AudioHandle  # where it is
    kind: JobKind  # how much it matters by now
    speech: Spans = ()  # where in the session's audio there is speech, as far as it is known; more than its own
    work: AsrWork | None = None  # of the recognition that was asked for last
    job_id: int | None = None  # of that; None before and after
    result: AsrResult | None = None  # None as long as there is none
    timing: StageTiming | None = None  # of the answered job


def speech_in(audio: AudioHandle, spans: Spans) -> tuple[tuple[float, float], ...]:
    """What of the spans is in the audio, in seconds from its start."""
    inside = within(spans, audio.start, audio.end)
    return tuple(((start - audio.start) / SAMPLE_RATE, (end - audio.start) / SAMPLE_RATE) for start, end in inside)


def joined(pieces: Sequence[Piece]) -> AsrResult:
    """The pieces' results, all there, as that of an utterance that begins with the first one: times are counted from
    its start, the language is that of the piece with most text, warnings are said once."""
    results = [piece.result for piece in pieces if piece.result is not None]
    if len(results) == 1:
        return results[0]
    longest = max(results, key=lambda result: sum(len(segment.text) for segment in result.segments))
    begin = pieces[0].audio.start
    return replace(
        longest,
        segments=tuple(
            _later(segment, (piece.audio.start - begin) / SAMPLE_RATE)
            for piece, result in zip(pieces, results, strict=True)
            for segment in result.segments
        ),
        warnings=tuple(dict.fromkeys(warning for result in results for warning in result.warnings)),
        left_out=tuple(why for result in results for why in result.left_out),
        doubtful=tuple(
            replace(doubt, start=doubt.start + later, end=doubt.end + later)
            for piece, result in zip(pieces, results, strict=True)
            for later in [(piece.audio.start - begin) / SAMPLE_RATE]
            for doubt in result.doubtful
        ),
        without_text_s=round(sum(result.without_text_s for result in results), 2),
    )


def together(pieces: Sequence[Piece]) -> StageTiming:
    """What their recognition took in all; how long the last of them waited, as the others did so before."""
    timings = [piece.timing for piece in pieces if piece.timing is not None]
    run_ms, attempts = sum(timing.run_ms for timing in timings), max(timing.attempts for timing in timings)
    return StageTiming(timings[-1].queued_ms, run_ms, attempts, timings[-1].answered)


def _later(segment: Segment, seconds: float) -> Segment:
    words = tuple(replace(word, start=word.start + seconds, end=word.end + seconds) for word in segment.words)
    return replace(segment, start=segment.start + seconds, end=segment.end + seconds, words=words)
