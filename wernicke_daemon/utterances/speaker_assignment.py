"""Who said which word: diarization's turns on recognised words; segments are split where the voice changes. Pure.

A voice here is one of the utterance, whatever it is called: `voices` has one for each piece that diarization found."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby

from ipc.messages import Segment, Turn, Word
from wernicke_daemon.utterances.utterance import SpokenLine


def piece_of(start: float, end: float, turns: Sequence[Turn], voices: Sequence[int]) -> int | None:
    """The piece that says most of [start, end], of the voice that does; else the nearest in time; None without turns.
    Seconds."""
    if not turns:
        return None
    by_voice, by_piece = defaultdict[int, float](float), defaultdict[int, float](float)
    for turn in turns:
        shared = max(0.0, min(end, turn.end) - max(start, turn.start))
        by_voice[voices[turn.piece]] += shared
        by_piece[turn.piece] += shared
    if not any(by_piece.values()):
        return min(turns, key=lambda turn: max(turn.start - end, start - turn.end)).piece
    voice = max(by_voice, key=lambda voice: by_voice[voice])
    return max((piece for piece in by_piece if voices[piece] == voice), key=lambda piece: by_piece[piece])


def split_by_speaker(
    segments: Sequence[Segment], turns: Sequence[Turn], voices: Sequence[int]
) -> tuple[SpokenLine, ...]:
    """Segments in time order, none with two voices. A segment without word times is not split."""
    return tuple(line for segment in segments for line in _lines(segment, turns, voices))


def _lines(segment: Segment, turns: Sequence[Turn], voices: Sequence[int]) -> list[SpokenLine]:
    if not segment.words:
        return [SpokenLine(segment, (), piece_of(segment.start, segment.end, turns, voices))]
    spoken = [(piece_of(word.start, word.end, turns, voices), word) for word in segment.words]
    runs = [list(run) for _, run in groupby(spoken, key=lambda said: None if said[0] is None else voices[said[0]])]
    if len(runs) == 1:
        return [_line(segment, runs[0])]
    return [_line(_segment([word for _, word in run]), run) for run in runs]


def _segment(words: list[Word]) -> Segment:
    text = "".join(word.text for word in words).strip()
    return Segment(words[0].start, words[-1].end, text, tuple(words))


def _line(segment: Segment, said: list[tuple[int | None, Word]]) -> SpokenLine:
    seconds = defaultdict[int | None, float](float)
    for piece, word in said:
        seconds[piece] += word.end - word.start
    return SpokenLine(segment, tuple(piece for piece, _ in said), max(seconds, key=lambda piece: seconds[piece]))
