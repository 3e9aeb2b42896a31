"""Which voice said which word, and where segments are split."""

from ipc.messages import Segment, Turn, Word
from wernicke_daemon.utterances.speaker_assignment import piece_of, split_by_speaker

A, B = 0, 1


def word(start: float, end: float, text: str) -> Word:
    return Word(start, end, text, 0.9)


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


def test_without_turns_nobody() -> None:
    """Where diarization found nobody, nobody is named."""
    assert piece_of(0.0, 1.0, (), ()) is None


def test_one_voice_keeps_the_segment_whole() -> None:
    """A segment in one voice keeps its own text and times."""
    (line,) = split_by_speaker([HELLO], (Turn(0.5, 3.5, B),), (A, B))
    assert line.segment is HELLO
    assert (line.piece, line.pieces) == (B, (B, B, B, B))


def test_no_diarization_keeps_the_segment_whole() -> None:
    """Without turns nothing is split and nobody named."""
    (line,) = split_by_speaker([HELLO], (), (A, B))
    assert line.segment is HELLO
    assert (line.piece, line.pieces) == (None, (None,) * 4)


def test_a_segment_is_split_where_the_voice_changes() -> None:
    """Two voices give two lines with the words, text and times of each."""
    first, second = split_by_speaker([HELLO], (Turn(0.0, 2.0, A), Turn(2.0, 4.0, B)), (A, B))
    assert (first.piece, first.segment.text, first.segment.start, first.segment.end) == (A, "good day", 0, 2)
    assert (second.piece, second.segment.text, second.segment.start, second.segment.end) == (B, "how are", 2, 4)
    assert first.segment.words + second.segment.words == HELLO.words
    assert second.pieces == (B, B)


def test_back_and_forth_gives_three_lines() -> None:
    """A voice that comes back opens a new line; order is kept."""
    turns = (Turn(0.0, 1.0, A), Turn(1.0, 2.0, B), Turn(2.0, 4.0, A))
    lines = split_by_speaker([HELLO], turns, (A, B))
    assert [(line.piece, line.segment.text) for line in lines] == [(A, "good"), (B, "day"), (A, "how are")]


def test_a_script_without_blanks() -> None:
    """Words are joined as they are: no blank is put between Japanese words."""
    segment = Segment(0.0, 3.0, "今日は雨", (word(0, 1, "今日"), word(1, 2, "は"), word(2, 3, "雨")))
    lines = split_by_speaker([segment], (Turn(0.0, 2.0, A), Turn(2.0, 3.0, B)), (A, B))
    assert [line.segment.text for line in lines] == ["今日は", "雨"]


def test_a_segment_without_word_times_is_not_split() -> None:
    """It goes whole to the voice that says most of it."""
    segment = Segment(0.0, 4.0, "good day", ())
    (line,) = split_by_speaker([segment], (Turn(0.0, 1.0, A), Turn(1.0, 4.0, B)), (A, B))
    assert (line.segment, line.piece, line.pieces) == (segment, B, ())


def test_segments_stay_in_order() -> None:
    """Several segments give their lines one after another; two segments of one voice stay two lines."""
    segments = [Segment(0.0, 1.0, "one", ()), Segment(1.0, 2.0, "two", ())]
    lines = split_by_speaker(segments, (Turn(0.0, 2.0, A),), (A, B))
    assert [line.segment.text for line in lines] == ["one", "two"]


def test_pieces_of_one_voice_are_one_line() -> None:
    """Its words have their pieces; the line has the one that says most of it."""
    (line,) = split_by_speaker([HELLO], (Turn(0.0, 1.0, 0), Turn(1.0, 4.0, 1)), (7, 7))
    assert line.segment is HELLO
    assert (line.piece, line.pieces) == (1, (0, 1, 1, 1))


def test_a_word_goes_to_the_voice_with_most_of_it() -> None:
    """Also where each piece of that voice alone has less than another's."""
    turns = (Turn(0.0, 3.0, 0), Turn(3.0, 7.0, 1), Turn(7.0, 9.5, 2))
    assert piece_of(0.0, 10.0, turns, (A, B, A)) == 0
    assert piece_of(0.0, 10.0, turns, (A, B, 2)) == 1
