"""Which voice said which word, and where segments are split."""

from collections.abc import Sequence

from ipc.messages import AsrResult, DiarizationResult, Piece, Segment, Turn, Word
from wernicke_daemon.utterances.speaker_assignment import lines_by_speaker, named, piece_of
from wernicke_daemon.utterances.utterance import SpokenLine

A, B = 0, 1


def word(start: float, end: float, text: str) -> Word:
    return Word(start, end, text, 0.9)


def split(segments: Sequence[Segment], turns: Sequence[Turn], voices: Sequence[int]) -> tuple[SpokenLine, ...]:
    found = DiarizationResult(tuple(turns), tuple(Piece(0.0, 9.0, voice, 9.0) for voice in voices), 0.7)
    return lines_by_speaker(AsrResult("en", 0.9, tuple(segments), "whisper"), found, voices)


HELLO = Segment(
    0.0, 4.0, "good day how are", (word(0, 1, "good"), word(1, 2, " day"), word(2, 3, " how"), word(3, 4, " are"))
)


def test_the_turn_that_covers_it() -> None:
    """A word inside a turn belongs to it."""
    turns = (Turn(0.0, 2.0, A), Turn(2.0, 4.0, B))
    assert piece_of(0.5, 1.0, turns, (A, B)) == A
    assert piece_of(2.5, 3.0, turns, (A, B)) == B


def test_the_larger_share_wins() -> None:
    """A word over a change of voice belongs to whoever says more of it."""
    turns = (Turn(0.0, 2.0, A), Turn(2.0, 4.0, B))
    assert piece_of(1.9, 2.5, turns, (A, B)) == B
    assert piece_of(1.5, 2.1, turns, (A, B)) == A


def test_a_voice_counts_with_all_its_turns() -> None:
    """Two shorter turns of one voice outweigh a longer one of another."""
    turns = (Turn(0.0, 3.0, A), Turn(3.0, 7.0, B), Turn(7.0, 10.0, A))
    assert piece_of(0.0, 10.0, turns, (A, B)) == A


def test_outside_all_turns_the_nearest() -> None:
    """A word in a pause goes to the nearest turn, before or after."""
    turns = (Turn(0.0, 1.0, A), Turn(3.0, 4.0, B))
    assert piece_of(1.2, 1.6, turns, (A, B)) == A
    assert piece_of(2.6, 2.8, turns, (A, B)) == B
    assert piece_of(9.0, 9.5, turns, (A, B)) == B


def test_a_word_without_length() -> None:
    """A word that starts where it ends still belongs to the turn around it."""
    turns = (Turn(0.0, 2.0, A), Turn(2.5, 4.0, B))
    assert piece_of(3.0, 3.0, turns, (A, B)) == B


def test_one_voice_keeps_the_segment_whole() -> None:
    """A segment in one voice keeps its own text and times."""
    (line,) = split([HELLO], (Turn(0.5, 3.5, B),), (A, B))
    assert line.segment is HELLO
    assert (line.piece, line.pieces) == (B, (B, B, B, B))


def test_no_diarization_keeps_the_segment_whole() -> None:
    """Without turns nothing is split and nobody named."""
    (line,) = split([HELLO], (), (A, B))
    assert line.segment is HELLO
    assert (line.piece, line.pieces) == (None, (None,) * 4)


def test_a_segment_is_split_where_the_voice_changes() -> None:
    """Two voices give two lines with the words, text and times of each."""
    first, second = split([HELLO], (Turn(0.0, 2.0, A), Turn(2.0, 4.0, B)), (A, B))
    assert (first.piece, first.segment.text, first.segment.start, first.segment.end) == (A, "good day", 0, 2)
    assert (second.piece, second.segment.text, second.segment.start, second.segment.end) == (B, "how are", 2, 4)
    assert first.segment.words + second.segment.words == HELLO.words
    assert second.pieces == (B, B)


def test_back_and_forth_gives_three_lines() -> None:
    """A voice that comes back opens a new line; order is kept."""
    turns = (Turn(0.0, 1.0, A), Turn(1.0, 2.0, B), Turn(2.0, 4.0, A))
    lines = split([HELLO], turns, (A, B))
    assert [(line.piece, line.segment.text) for line in lines] == [(A, "good"), (B, "day"), (A, "how are")]


def test_a_script_without_blanks() -> None:
    """Words are joined as they are: no blank is put between Japanese words."""
    segment = Segment(0.0, 3.0, "今日は雨", (word(0, 1, "今日"), word(1, 2, "は"), word(2, 3, "雨")))
    lines = split([segment], (Turn(0.0, 2.0, A), Turn(2.0, 3.0, B)), (A, B))
    assert [line.segment.text for line in lines] == ["今日は", "雨"]


def test_a_segment_without_word_times_is_not_split() -> None:
    """It goes whole to the voice that says most of it."""
    segment = Segment(0.0, 4.0, "good day", ())
    (line,) = split([segment], (Turn(0.0, 1.0, A), Turn(1.0, 4.0, B)), (A, B))
    assert (line.segment, line.piece, line.pieces) == (segment, B, ())


def test_segments_stay_in_order() -> None:
    """Several segments give their lines one after another; two segments of one voice stay two lines."""
    segments = [Segment(0.0, 1.0, "one", ()), Segment(1.0, 2.0, "two", ())]
    lines = split(segments, (Turn(0.0, 2.0, A),), (A, B))
    assert [line.segment.text for line in lines] == ["one", "two"]


def test_pieces_of_one_voice_are_one_line() -> None:
    """Its words have their pieces; the line has the one that says most of it."""
    (line,) = split([HELLO], (Turn(0.0, 1.0, 0), Turn(1.0, 4.0, 1)), (7, 7))
    assert line.segment is HELLO
    assert (line.piece, line.pieces) == (1, (0, 1, 1, 1))


def test_a_word_goes_to_the_voice_with_most_of_it() -> None:
    """Also where each piece of that voice alone has less than another's."""
    turns = (Turn(0.0, 3.0, 0), Turn(3.0, 7.0, 1), Turn(7.0, 9.5, 2))
    assert piece_of(0.0, 10.0, turns, (A, B, A)) == 0
    assert piece_of(0.0, 10.0, turns, (A, B, 2)) == 1


FIRST = Segment(0.0, 1.0, "so we went,", (word(0, 1, "so we went,"),))
SECOND = Segment(1.8, 3.0, "and saw.", (word(1.8, 3.0, "and saw."),))
THIRD = Segment(3.0, 4.0, "It was", (word(3.0, 4.0, "It was"),))
LATE = Segment(5.1, 6.0, "good", (word(5.1, 6.0, "good"),))
"""After a pause of 1.1 s."""


def test_a_sentence_of_one_voice_is_one_line() -> None:
    """Whatever the recogniser made of it; it ends with its mark, with another voice, and with a long pause."""
    turns = (Turn(0.0, 6.0, 0),)
    whole = split([FIRST, SECOND, THIRD, LATE], turns, (A,))
    assert [(line.segment.text, line.segment.start, line.segment.end) for line in whole] == [
        ("so we went, and saw.", 0.0, 3.0),
        ("It was", 3.0, 4.0),
        ("good", 5.1, 6.0),
    ]
    assert whole[0].segment.words == FIRST.words + SECOND.words and whole[0].pieces == (0, 0)
    assert len(split([FIRST, SECOND], (Turn(0.0, 1.0, 0), Turn(1.0, 3.0, 1)), (A, B))) == 2


def test_where_no_sentence_is_marked_segments_stay() -> None:
    """Some recognisers have no punctuation: nothing is known of their sentences."""
    assert len(split([FIRST, THIRD], (Turn(0.0, 6.0, 0),), (A,))) == 2


def test_a_line_has_the_name_of_most_of_its_seconds() -> None:
    """Pieces without a name say nothing."""
    (line,) = split([HELLO], (Turn(0.0, 1.0, 0), Turn(1.0, 3.0, 1), Turn(3.0, 4.0, 2)), (A, A, A))
    assert named(line, ["Speaker_00", "Speaker_01", None]) == "Speaker_01"
    assert named(line, ["Speaker_00", None, None]) == "Speaker_00"
    assert named(line, [None, None, None]) is None and named(line, []) is None
    (without_words,) = split([Segment(0.0, 4.0, "good day", ())], (Turn(0.0, 4.0, 1),), (A, B))
    assert named(without_words, [None, "Speaker_01"]) == "Speaker_01"
