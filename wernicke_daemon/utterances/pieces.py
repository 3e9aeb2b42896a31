"""An utterance's text from the stretches of its audio that were recognised by themselves. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from ipc.audio_handle import SAMPLE_RATE, AudioHandle
from ipc.messages import AsrResult, JobKind, Segment, Word


@dataclass(eq=False)
class Piece:
    """A stretch of audio that is recognised at once. kind: how much it matters by now. job_id: of the recognition that
    is under way, None before and after. result: None as long as there is none. run_s: seconds it took. failed: there
    will be no result, unless it is asked for again."""

    audio: AudioHandle
    kind: JobKind
    job_id: int | None = None
    result: AsrResult | None = None
    run_s: float = 0.0
    failed: bool = False


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
    )


def _later(segment: Segment, seconds: float) -> Segment:
    words = tuple(Word(word.start + seconds, word.end + seconds, word.text, word.score) for word in segment.words)
    return Segment(segment.start + seconds, segment.end + seconds, segment.text, words)
