"""Where in an utterance there is speech, and what that says of words: where they can't be, and where some are lacking.

Pure. Times are seconds from the utterance's start. Speech is what the ingest stage heard: its spans are exact to a
window of 32 ms. Whisper's own times are not: the first word begins with the audio, and one at a pause reaches into it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from ipc.audio_handle import SAMPLE_RATE
from ipc.messages import AsrWork, Segment, Word

Speech = tuple[tuple[float, float], ...]

SHORTEST_S = 0.2
"""A span of its own without a word is heard again if it is longer: はい and うん take 0.25 to 0.35 s, a click less."""
REST_S = 1.0
"""Of speech without a word beside words, from which it is heard again: words' times are wrong by up to half of that."""
AROUND_S = 0.3
"""Of audio around what is heard again, as around an utterance (`vad.pre_roll_s`): words without it are heard worse."""


class Stretch(NamedTuple):
    """Speech without words, from `start` to `end`, of which `speech_s` is speech; `after` words there are before it.
    first, last: the audio to be heard again for it, up to the words around it. apart: it is whole spans, so that words
    elsewhere account for the other speech."""

    start: float
    end: float
    speech_s: float
    after: int
    first: float
    last: float
    apart: bool


def within_speech(segments: Sequence[Segment], speech: Speech) -> tuple[Segment, ...]:
    """The segments, each word of which lies in the span that it has most of, none before the first span or after the
    last. What is wholly in a pause within stays there: speech may be too quiet to be noticed."""
    return tuple(_within(segment, speech) for segment in segments) if speech else tuple(segments)


def _within(segment: Segment, speech: Speech) -> Segment:
    words = tuple(_placed(word, speech) for word in segment.words)
    if words:
        return replace(segment, start=words[0].start, end=words[-1].end, words=words)
    start, end = (min(max(moment, speech[0][0]), speech[-1][1]) for moment in (segment.start, segment.end))
    return replace(segment, start=start, end=end)


def _placed(word: Word, speech: Speech) -> Word:
    start, end = max(speech, key=lambda span: overlap(word.start, word.end, span))
    if not overlap(word.start, word.end, (start, end)):
        start, end = speech[0][0], speech[-1][1]
    return replace(word, start=min(max(word.start, start), end), end=min(max(word.end, start), end))


def overlap(start: float, end: float, span: tuple[float, float]) -> float:
    return max(0.0, min(end, span[1]) - max(start, span[0]))


def spoken_s(start: float, end: float, speech: Speech) -> float:
    """Seconds of speech in [start, end)."""
    return sum(overlap(start, end, span) for span in speech)


def without_words(segments: Sequence[Segment], speech: Speech, audio_s: float) -> list[Stretch]:
    """Stretches that should have words: whole spans, or more than REST_S of speech."""
    timed = [(word.start, word.end) for segment in segments for word in segment.words or (segment,)]
    ends, starts = [0.0, *(end for _, end in timed)], [*(start for start, _ in timed), audio_s]
    found = (_stretch(speech, after, *gap) for after, gap in enumerate(zip(ends, starts, strict=True)))
    return [stretch for stretch in found if stretch is not None]


def _stretch(speech: Speech, after: int, start: float, end: float) -> Stretch | None:
    """Of the speech between two words."""
    parts = [(max(start, one), min(end, two)) for one, two in speech]
    parts = [(one, two) for one, two in parts if two - one >= SHORTEST_S]
    total = sum(two - one for one, two in parts)
    if total < REST_S and not set(parts) & set(speech):
        return None
    first, last = parts[0][0], parts[-1][1]
    around = max(start, first - AROUND_S), min(end, last + AROUND_S)
    return Stretch(first, last, total, after, *around, apart=set(parts) <= set(speech))


def inserted(segments: Sequence[Segment], after: int, more: Sequence[Segment]) -> tuple[Segment, ...]:
    """Segments with more of them after the first `after` words, where one may have to be divided."""
    before: list[Segment] = []
    rest = list(segments)
    while rest and after:
        segment = rest.pop(0)
        size = len(segment.words) or 1
        if size > after:
            rest.insert(0, _of(segment, segment.words[after:]))
            segment = _of(segment, segment.words[:after])
        before.append(segment)
        after = max(0, after - size)
    return (*before, *more, *rest)


def _of(segment: Segment, words: tuple[Word, ...]) -> Segment:
    text = "".join(word.text for word in words).strip()
    first = replace(words[0], text=words[0].text.lstrip())
    return replace(segment, start=first.start, end=words[-1].end, text=text, words=(first, *words[1:]))


def part_of(work: AsrWork, first: float, last: float, language: str) -> AsrWork:
    """The same of a part of its audio, with the speech in that. language: that of the whole."""
    start, end = round(first * SAMPLE_RATE), round(last * SAMPLE_RATE)
    audio = replace(work.audio, start=work.audio.start + start, count=end - start)
    inside = [(max(one, first), min(two, last)) for one, two in work.speech]
    speech = tuple((one - first, two - first) for one, two in inside if one < two)
    return replace(work, audio=audio, language=language, context="", speech=speech)


def later(segment: Segment, seconds: float) -> Segment:
    words = tuple(replace(word, start=word.start + seconds, end=word.end + seconds) for word in segment.words)
    return replace(segment, start=segment.start + seconds, end=segment.end + seconds, words=words)
