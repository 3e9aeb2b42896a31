"""Which changes of voice between words are believed, and where they are put."""

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipc.messages import AsrResult, DiarizationResult, Piece, Segment, Turn, Word
from wernicke_daemon.utterances.backchannels import is_backchannel
from wernicke_daemon.utterances.speaker_assignment import lines_by_speaker, named
from wernicke_daemon.utterances.speaker_changes import Changes

A, B = 0, 1

Said = tuple[float, float, str]


def segment(*said: Said) -> Segment:
    words = tuple(Word(start, end, text, 0.9) for start, end, text in said)
    return Segment(words[0].start, words[-1].end, "".join(word.text for word in words).strip(), words)


def in_order(*turns: tuple[float, float, int]) -> DiarizationResult:
    """One piece a turn."""
    pieces = tuple(Piece(start, end, voice, end - start, (1.0,)) for start, end, voice in turns)
    return DiarizationResult(tuple(Turn(a, b, piece) for piece, (a, b, _) in enumerate(turns)), pieces, 0.7)


def lines(found: DiarizationResult, *segments: Segment, language: str = "en") -> list[tuple[int | None, str]]:
    """(voice, text) of each."""
    voices = [piece.speaker for piece in found.pieces]
    made = lines_by_speaker(AsrResult(language, 0.9, segments, "whisper"), found, voices)
    return [(None if line.piece is None else voices[line.piece], line.segment.text) for line in made]


SAYING = segment((0.0, 1.0, "so"), (1.0, 2.0, " we"), (2.0, 2.4, " then"), (2.4, 4.0, " decided"))


def test_one_short_word_is_no_change() -> None:
    """It stays with the voice around it, or beside it at an end."""
    assert lines(in_order((0.0, 2.0, A), (2.0, 2.4, B), (2.4, 4.0, A)), SAYING) == [(A, "so we then decided")]
    assert lines(in_order((0.0, 3.5, A), (3.5, 4.0, B)), segment((0, 3, "so"), (3.5, 4, " we"))) == [(A, "so we")]
    assert lines(in_order((0.0, 0.5, B), (0.5, 4.0, A)), segment((0, 0.5, "so"), (0.5, 4, " we"))) == [(A, "so we")]


def test_a_longer_word_is_one() -> None:
    """From 0.7 s on."""
    spoken = segment((0.0, 1.0, "so"), (1.0, 2.0, " we"), (2.0, 2.7, " then"), (2.7, 4.0, " decided"))
    found = in_order((0.0, 2.0, A), (2.0, 2.7, B), (2.7, 4.0, A))
    assert lines(found, spoken) == [(A, "so we"), (B, "then"), (A, "decided")]


def test_three_short_words_are_one() -> None:
    spoken = segment((0.0, 2.0, "we"), (2.0, 2.2, " no"), (2.2, 2.4, " I"), (2.4, 2.6, " do"), (2.6, 4.0, " decided"))
    assert len(lines(in_order((0.0, 2.0, A), (2.0, 2.6, B), (2.6, 4.0, A)), spoken)) == 3
    assert len(lines(in_order((0.0, 2.2, A), (2.2, 2.6, B), (2.6, 4.0, A)), spoken)) == 1


@pytest.mark.parametrize(("said", "parts"), [("いやです", 1), ("行きません", 3)])
def test_three_words_of_japanese_are_five_letters(said: str, parts: int) -> None:
    """A recogniser gives letters, not words."""
    step = 0.6 / len(said)
    letters = [(2.0 + at * step, 2.0 + (at + 1) * step, letter) for at, letter in enumerate(said)]
    spoken = segment((0.0, 2.0, "明日行きますよね"), *letters, (2.6, 4.0, "わかりました"))
    found = in_order((0.0, 2.0, A), (2.0, 2.6, B), (2.6, 4.0, A))
    assert len(lines(found, spoken, language="ja")) == parts


def test_a_voice_goes_on_over_the_end_of_a_segment() -> None:
    """What is short in this segment alone is no short run."""
    one, two = segment((0.0, 1.9, "so"), (1.9, 2.4, " Well")), segment((2.4, 4.0, "I am here."))
    assert lines(in_order((0.0, 1.9, A), (1.9, 4.0, B)), one, two) == [(A, "so"), (B, "Well I am here.")]


def test_a_whole_segment_is_its_voices() -> None:
    """However short: the recogniser parted it, too."""
    one, two = segment((0.0, 2.0, "shall we?")), segment((2.0, 2.3, "No."))
    assert lines(in_order((0.0, 2.0, A), (2.0, 2.3, B)), one, two) == [(A, "shall we?"), (B, "No.")]


OVER = segment((0.0, 2.0, "今日は"), (2.0, 2.8, "うんうん"), (2.8, 5.0, "晴れですね"))


def overlapped(main_goes_on: bool) -> DiarizationResult:
    """うんうん by B from 2.0 to 2.8 s, while A goes on, or not."""
    pieces = (
        Piece(0.0, 5.0 if main_goes_on else 2.0, A, 4.0, (1.0,)),
        Piece(2.0, 2.8, B, 0.0),
        Piece(2.8, 5.0, A, 2.0, (1.0,)),
    )
    return DiarizationResult((Turn(0.0, 2.0, 0), Turn(2.0, 2.8, 1), Turn(2.8, 5.0, 2)), pieces, 0.7)


def test_a_backchannel_over_speech_stays_with_it() -> None:
    """It would be long enough; a like stretch of other words is the other's."""
    assert lines(overlapped(True), OVER, language="ja") == [(A, "今日は うんうん 晴れですね".replace(" ", ""))]
    assert len(lines(overlapped(False), OVER, language="ja")) == 3
    other = segment((0.0, 2.0, "今日は"), (2.0, 2.8, "いやです"), (2.8, 5.0, "晴れですね"))
    assert len(lines(overlapped(True), other, language="ja")) == 3


def test_a_backchannel_that_stands_alone_is_the_others() -> None:
    """Too short to count, but for the pauses around it."""
    spoken = segment((0.0, 2.0, "we did it"), (2.0, 2.6, " yeah,"), (2.6, 4.0, " today"))
    alone = in_order((0.0, 1.95, A), (2.2, 2.5, B), (2.75, 4.0, A))
    assert lines(alone, spoken) == [(A, "we did it"), (B, "yeah,"), (A, "today")]
    assert len(lines(in_order((0.0, 1.95, A), (2.1, 2.5, B), (2.75, 4.0, A)), spoken)) == 1
    assert len(lines(alone, segment((0.0, 2.0, "we did it"), (2.0, 2.6, " them"), (2.6, 4.0, " today")))) == 1


def test_a_change_is_moved_to_punctuation() -> None:
    """That is nearest, before or after, within 0.4 s."""
    found = in_order((0.0, 2.0, A), (2.0, 5.0, B))
    late = segment((0.0, 1.6, "It is."), (1.6, 2.0, " Is"), (2.0, 3.0, " it"), (3.0, 5.0, " really"))
    assert lines(found, late) == [(A, "It is."), (B, "Is it really")]
    early = segment((0.0, 2.0, "It"), (2.0, 2.3, " is."), (2.3, 3.0, " Is it"), (3.0, 5.0, " really"))
    assert lines(found, early) == [(A, "It is."), (B, "Is it really")]
    far = segment((0.0, 1.5, "It is."), (1.5, 2.0, " Is"), (2.0, 3.0, " it"), (3.0, 5.0, " really"))
    assert lines(found, far) == [(A, "It is. Is"), (B, "it really")]


def test_a_change_is_moved_to_a_pause() -> None:
    found = in_order((0.0, 2.1, A), (2.1, 5.0, B))
    spoken = segment((0.0, 1.5, "今日は"), (1.8, 2.1, "え"), (2.1, 5.0, "そうですか"))
    assert lines(found, spoken, language="ja") == [(A, "今日は"), (B, "えそうですか")]
    closed = segment((0.0, 1.7, "今日は"), (1.8, 2.1, "え"), (2.1, 5.0, "そうですか"))
    assert lines(found, closed, language="ja") == [(A, "今日はえ"), (B, "そうですか")]


def test_a_change_is_not_moved_so_far_that_a_short_word_is_left() -> None:
    found = in_order((0.0, 2.0, A), (2.0, 2.8, B), (2.8, 5.0, A))
    spoken = segment((0.0, 2.0, "we"), (2.0, 2.4, " no,"), (2.4, 2.8, " stop"), (2.8, 5.0, " decided"))
    assert lines(found, spoken) == [(A, "we"), (B, "no, stop"), (A, "decided")]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("はい。", "ja"),
        ("はいはい", "ja"),
        ("うん、なるほど", "ja"),
        ("Yeah, right.", "en"),
        ("Mm-hm.", "en"),
        ("ja genau", "de"),
    ],
)
def test_backchannels(text: str, language: str) -> None:
    assert is_backchannel(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("はい、行きます", "ja"),
        ("no", "en"),
        ("", "en"),
        ("はい", "en"),
        ("yeah", "fi"),
        ("配置", "ja"),
        ("あ" * 1000 + "い", "ja"),
    ],
)
def test_no_backchannels(text: str, language: str) -> None:
    assert not is_backchannel(text, language)


@st.composite
def heard(draw: st.DrawFn) -> tuple[AsrResult, DiarizationResult]:
    """Up to three voices; words without gaps or with, turns that fit them or not."""
    at, segments = 0.0, []
    for _ in range(draw(st.integers(1, 4))):
        said: list[Said] = []
        for _ in range(draw(st.integers(0, 8))):
            at += draw(st.sampled_from([0.0, 0.1, 0.5, 1.5]))
            end = at + draw(st.sampled_from([0.0, 0.1, 0.3, 1.0]))
            said.append((at, end, draw(st.sampled_from([" yeah", " so,", " we", " did.", "はい", "行く"]))))
            at = end
        segments.append(segment(*said) if said else Segment(at, at, "well", ()))
    cuts = sorted(draw(st.lists(st.floats(0.0, at + 1.0), min_size=0, max_size=8, unique=True)))
    turns = [(a, b, draw(st.integers(0, 2))) for a, b in pairwise(cuts)]
    language = draw(st.sampled_from(["ja", "en", "fi"]))
    return AsrResult(language, 0.9, tuple(segments), "whisper"), in_order(*turns)


@given(heard(), st.lists(st.sampled_from(["Speaker_00", "Speaker_01", None]), min_size=8, max_size=8))
def test_no_word_is_lost_and_none_has_two_names(
    given_: tuple[AsrResult, DiarizationResult], names: Sequence[str | None]
) -> None:
    """Whatever was heard. Words stay in order, times go on, a line has one voice, and one name."""
    asr, found = given_
    voices = [piece.speaker for piece in found.pieces]
    made = lines_by_speaker(asr, found, voices)
    assert [word for line in made for word in line.segment.words] == [
        w for segment in asr.segments for w in segment.words
    ]
    assert _letters(line.segment.text for line in made) == _letters(segment.text for segment in asr.segments)
    times = [time for line in made for time in (line.segment.start, line.segment.end)]
    assert times == sorted(times)
    for line in made:
        assert len(line.pieces) == len(line.segment.words)
        assert len({voices[piece] for piece in line.pieces if piece is not None}) <= 1
        pieces = {line.piece, *line.pieces} - {None}
        assert named(line, names) in {None, *(names[piece] for piece in pieces if piece is not None)}


@given(heard())
def test_no_short_run_within_a_segment_is_left(given_: tuple[AsrResult, DiarizationResult]) -> None:
    """One that holds no whole segment has 0.7 s, or three words, or is a backchannel."""
    asr, found = given_
    words = [word for segment in asr.segments for word in segment.words]
    begins = [0, *accumulate(len(segment.words) for segment in asr.segments if segment.words)]
    if not words or not found.turns:
        return
    voices = [piece.speaker for piece in found.pieces]
    heard_voices = [voices[at % len(voices)] for at in range(len(words))]
    believed = Changes(words, begins[:-1], found, voices, asr.language).believed(heard_voices)
    for first, end in pairwise(
        [0, *(at for at in range(1, len(words)) if believed[at - 1] != believed[at]), len(words)]
    ):
        run = words[first:end]
        whole = any(first <= a and b <= end for a, b in pairwise(begins))
        backchannel = is_backchannel("".join(word.text for word in run), asr.language)
        assert whole or backchannel or run[-1].end - run[0].start >= 0.7 or len(run) >= 3


def _letters(texts: Iterable[str]) -> str:
    return "".join("".join(texts).split())
