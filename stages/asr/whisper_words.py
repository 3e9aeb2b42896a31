"""Segments and words as faster-whisper gives them, made into those of the protocol. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from ipc.messages import Segment, Word

HALF_CHARACTER = "\N{REPLACEMENT CHARACTER}"
"""What a token that holds a part of a character's bytes is decoded to."""


class FoundWord(Protocol):
    """A word as faster-whisper gives it; the numbers may be numpy's. start, end: seconds."""

    start: float
    end: float
    word: str
    probability: float


class FoundSegment(Protocol):
    """A segment as faster-whisper gives it; words is None where the model can't time them. avg_logprob, no_speech_prob:
    of its window."""

    start: float
    end: float
    text: str
    avg_logprob: float
    no_speech_prob: float
    words: Sequence[FoundWord] | None


def to_segments(found: Iterable[FoundSegment], duration_s: float) -> Iterator[Segment]:
    """Segments that hold text, in order, all times within the audio (Whisper's may lie past its end)."""
    earliest = 0.0
    for segment in found:
        text = segment.text.replace(HALF_CHARACTER, "").strip()
        if text:
            start, end = within(segment.start, segment.end, earliest, duration_s)
            words = tuple(timed(spelled(segment.words or (), text), earliest, duration_s))
            if words:
                start, end = words[0].start, words[-1].end
            yield Segment(start, end, text, words, float(segment.avg_logprob), float(segment.no_speech_prob))
            earliest = end


def spelled(found: Iterable[FoundWord], text: str) -> list[Word]:
    """Words that joined are `text`: each reaches from the end of the one before to its own end in the text.

    A word that the text does not have is one with the next: the text holds whole characters only.
    """
    words: list[Word] = []
    position, waiting = 0, None
    for word in map(to_word, found):
        waiting = word if waiting is None else both(waiting, word)
        letters = word.text.strip()
        at = text.find(letters, position) if letters else -1
        if at >= 0:
            end = at + len(letters)
            words.append(spelling(waiting, text[position:end]))
            position, waiting = end, None
    return ended(words, waiting, text[position:])


def ended(words: list[Word], waiting: Word | None, rest: str) -> list[Word]:
    """The words with what is left: a word without its text, text without its word, or both."""
    if waiting is not None and (rest or not words):
        return [*words, spelling(waiting, rest)]
    if not words:
        return []
    last = words[-1] if waiting is None else both(words[-1], waiting)
    return [*words[:-1], spelling(last, words[-1].text + rest)]


def to_word(found: FoundWord) -> Word:
    score = min(1.0, max(0.0, float(found.probability)))
    return Word(float(found.start), float(found.end), found.word, score)


def both(one: Word, two: Word) -> Word:
    """Two words as one, as sure as the less sure of them."""
    return Word(one.start, two.end, one.text + two.text, min(one.score, two.score))


def spelling(word: Word, text: str) -> Word:
    return Word(word.start, word.end, text, word.score)


def timed(words: Iterable[Word], earliest: float, latest: float) -> Iterator[Word]:
    """The words, none before `earliest` or after `latest`, none beginning before the one before has ended."""
    for word in words:
        start, end = within(word.start, word.end, earliest, latest)
        yield Word(start, end, word.text, word.score)
        earliest = end


def within(start: float, end: float, earliest: float, latest: float) -> tuple[float, float]:
    start = min(max(float(start), earliest), latest)
    return start, min(max(float(end), start), latest)
