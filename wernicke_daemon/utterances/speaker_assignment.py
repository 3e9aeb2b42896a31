"""Who said which word: diarization's turns on recognised words, as lines of one voice each. Pure.

A voice here is one of the utterance, whatever it is called: `voices` has one for each piece that diarization found."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate, groupby

from ipc.messages import AsrResult, DiarizationResult, Segment, Turn, Word
from wernicke_daemon.utterances.joining import joined
from wernicke_daemon.utterances.sentences import goes_on, is_punctuated
from wernicke_daemon.utterances.speaker_changes import Changes
from wernicke_daemon.utterances.utterance import SpokenLine

WITHIN_SENTENCE_S = 1.0
"""A longer pause parts two segments whatever they say: those within sentences are mostly shorter (Campione & Véronis,
"A large-scale multilingual study of silent pause duration", 2002)."""


def lines_by_speaker(asr: AsrResult, found: DiarizationResult | None, voices: Sequence[int]) -> tuple[SpokenLine, ...]:
    """All that was recognised, in order: segments are split where the voice changes, and put together where one voice
    goes on within a sentence. A segment without word times is not split. found: None where nobody says who spoke."""
    if found is None or not found.turns:
        return tuple(SpokenLine(segment, (None,) * len(segment.words), None) for segment in asr.segments)
    by_voice = _voices_of(asr, found, voices)
    spoken = zip(asr.segments, by_voice, strict=True)
    lines = [line for segment, own in spoken for line in _lines(segment, own, found.turns, voices)]
    return tuple(_whole_sentences(lines, voices, asr.language))


def piece_of(start: float, end: float, turns: Sequence[Turn], voices: Sequence[int]) -> int:
    """The piece that says most of [start, end], of the voice that does; else the nearest in time. Seconds."""
    first = bisect_right(turns, start, key=lambda turn: turn.end)
    beyond = bisect_left(turns, end, lo=first, key=lambda turn: turn.start)
    if first == beyond:
        return min(turns[max(0, first - 1) : first + 1], key=lambda turn: max(turn.start - end, start - turn.end)).piece
    by_voice, by_piece = defaultdict[int, float](float), defaultdict[int, float](float)
    for turn in turns[first:beyond]:
        shared = min(end, turn.end) - max(start, turn.start)
        by_voice[voices[turn.piece]] += shared
        by_piece[turn.piece] += shared
    voice = max(by_voice, key=lambda voice: by_voice[voice])
    return max((piece for piece in by_piece if voices[piece] == voice), key=lambda piece: by_piece[piece])


def named(line: SpokenLine, names: Sequence[str | None]) -> str | None:
    """The name that most of the line's seconds have; pieces without a name say nothing. names: of each piece."""
    seconds = defaultdict[str, float](float)
    pieces = zip(line.pieces, line.segment.words, strict=True) if line.segment.words else [(line.piece, line.segment)]
    for piece, said in pieces:
        if piece is not None and piece < len(names) and (name := names[piece]) is not None:
            seconds[name] += said.end - said.start
    return max(seconds, key=lambda name: seconds[name], default=None)


def _voices_of(asr: AsrResult, found: DiarizationResult, voices: Sequence[int]) -> list[list[int]]:
    """Of each segment's words."""
    spoken = [segment for segment in asr.segments if segment.words]
    words = [word for segment in spoken for word in segment.words]
    if not words:
        return [[] for _ in asr.segments]
    begins = [0, *accumulate(len(segment.words) for segment in spoken)][:-1]
    heard = [voices[piece_of(word.start, word.end, found.turns, voices)] for word in words]
    believed = iter(Changes(words, begins, found, voices, asr.language).believed(heard))
    return [[next(believed) for _ in segment.words] for segment in asr.segments]


def _lines(segment: Segment, by_voice: Sequence[int], turns: Sequence[Turn], voices: Sequence[int]) -> list[SpokenLine]:
    if not segment.words:
        return [SpokenLine(segment, (), piece_of(segment.start, segment.end, turns, voices))]
    own = {voice: [turn for turn in turns if voices[turn.piece] == voice] for voice in by_voice}
    said = zip(by_voice, segment.words, strict=True)
    runs = [(voice, [word for _, word in run]) for voice, run in groupby(said, key=lambda pair: pair[0])]
    if len(runs) == 1:
        return [_line(segment, own[runs[0][0]], voices)]
    return [_line(_segment(words), own[voice], voices) for voice, words in runs]


def _segment(words: Sequence[Word]) -> Segment:
    text = "".join(word.text for word in words).strip()
    return Segment(words[0].start, words[-1].end, text, tuple(words))


def _line(segment: Segment, turns: Sequence[Turn], voices: Sequence[int]) -> SpokenLine:
    """turns: of its voice."""
    pieces = tuple(piece_of(word.start, word.end, turns, voices) for word in segment.words)
    return SpokenLine(segment, pieces, _longest(pieces, segment.words))


def _longest(pieces: Sequence[int | None], words: Sequence[Word]) -> int | None:
    seconds = defaultdict[int | None, float](float)
    for piece, word in zip(pieces, words, strict=True):
        seconds[piece] += word.end - word.start
    return max(seconds, key=lambda piece: seconds[piece])


def _whole_sentences(lines: Sequence[SpokenLine], voices: Sequence[int], language: str) -> list[SpokenLine]:
    punctuated = is_punctuated(line.segment.text for line in lines)
    whole: list[SpokenLine] = []
    for line in lines:
        if whole and _go_together(whole[-1], line, voices) and goes_on(whole[-1].segment.text, language, punctuated):
            whole[-1] = _together(whole[-1], line, language)
        else:
            whole.append(line)
    return whole


def _go_together(one: SpokenLine, two: SpokenLine, voices: Sequence[int]) -> bool:
    """One voice says both, and hardly pauses between."""
    if one.piece is None or two.piece is None or not (one.segment.words and two.segment.words):
        return False
    pause_s = two.segment.start - one.segment.end
    return voices[one.piece] == voices[two.piece] and pause_s <= WITHIN_SENTENCE_S


def _together(one: SpokenLine, two: SpokenLine, language: str) -> SpokenLine:
    first, second = one.segment, two.segment
    text = joined((first.text, second.text), language)
    words, pieces = first.words + second.words, one.pieces + two.pieces
    return SpokenLine(Segment(first.start, second.end, text, words), pieces, _longest(pieces, words))
