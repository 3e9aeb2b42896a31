"""Who said which word: diarization's turns on recognised words; segments are split where the voice changes. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby

from ipc.messages import Segment, Turn, Word
from wernicke_daemon.utterances.utterance import SpokenLine


def speaker_of(start: float, end: float, turns: Sequence[Turn]) -> int | None:
    """The voice with the largest overlap with [start, end], else the nearest in time; None without turns. Seconds."""
    if not turns:
        return None
    shared: defaultdict[int, float] = defaultdict(float)
    for turn in turns:
        shared[turn.speaker] += max(0.0, min(end, turn.end) - max(start, turn.start))
    if any(shared.values()):
        return max(shared, key=lambda speaker: shared[speaker])
    return min(turns, key=lambda turn: max(turn.start - end, start - turn.end)).speaker


def split_by_speaker(segments: Sequence[Segment], turns: Sequence[Turn]) -> tuple[SpokenLine, ...]:
    """Segments in time order, none with two voices. A segment without word times is not split."""
    return tuple(line for segment in segments for line in _lines(segment, turns))


def _lines(segment: Segment, turns: Sequence[Turn]) -> list[SpokenLine]:
    if not segment.words:
        return [SpokenLine(segment, (), speaker_of(segment.start, segment.end, turns))]
    spoken = [(speaker_of(word.start, word.end, turns), word) for word in segment.words]
    runs = [(speaker, [word for _, word in run]) for speaker, run in groupby(spoken, key=lambda pair: pair[0])]
    if len(runs) == 1:
        return [SpokenLine(segment, (runs[0][0],) * len(segment.words), runs[0][0])]
    return [_line(words, speaker) for speaker, words in runs]


def _line(words: list[Word], speaker: int | None) -> SpokenLine:
    text = "".join(word.text for word in words).strip()
    segment = Segment(words[0].start, words[-1].end, text, tuple(words))
    return SpokenLine(segment, (speaker,) * len(words), speaker)


def seconds_by_speaker(turns: Sequence[Turn], speakers: int) -> tuple[float, ...]:
    """Seconds of speech of each local voice."""
    totals = [0.0] * speakers
    for turn in turns:
        totals[turn.speaker] += turn.end - turn.start
    return tuple(totals)
