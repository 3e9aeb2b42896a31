"""Where audio lies on a file's clock, and what is told to be missing."""

import pytest

from wernicke_daemon.formats.file_clock import CUT_OFF, DAMAGED, HOLE, FileClock, Skipped

HOUR = 3600.0


def clock(start: float = 0.0, length: float | None = None, restarts: bool = False) -> FileClock:
    made = FileClock()
    made.begin(start, length=length, restarts=restarts)
    return made


def test_time_0_is_where_the_file_starts() -> None:
    """Not where its audio does, which may be later."""
    file = clock(start=1.4)
    assert file.place(6.4, 1.0) == pytest.approx(5.0)
    assert file.end == pytest.approx(6.0)
    assert file.skipped == []


def test_pieces_without_a_time_stamp_follow_each_other() -> None:
    """As where a format has none."""
    file = clock()
    assert [file.place(None, 0.5) for _ in range(3)] == [0.0, 0.5, 1.0]


def test_a_hole_moves_what_follows_and_is_told() -> None:
    """What comes after it is where its time stamp says."""
    file = clock(length=24)
    file.place(0, 7)
    assert file.place(17, 1) == 17
    assert file.skipped == [Skipped(7, 17, HOLE)]


def test_rounded_time_stamps_are_no_holes() -> None:
    """Matroska counts in milliseconds, FLV too; they do not add up either."""
    file = clock()
    begins = [file.place(round(number * 1024 / 44_100, 3), 1024 / 44_100) for number in range(1000)]
    assert begins[-1] == pytest.approx(999 * 1024 / 44_100, abs=0.001)
    assert file.skipped == []


@pytest.mark.parametrize("back", [0.0, 4.0])
def test_time_stamps_that_go_back_are_another_recording(back: float) -> None:
    """It is placed behind what came before; nothing is over it, and its own holes are kept."""
    file = clock()
    file.place(0, 5)
    assert file.place(back, 1) == 5
    assert file.place(back + 3, 1) == 8


def test_a_jump_is_another_recording_where_the_format_has_such() -> None:
    """A broadcast's clock of hours later; elsewhere, as far as the file is that long, it is a hole."""
    broadcast, film = clock(restarts=True), clock(length=3 * HOUR)
    for file in (broadcast, film):
        file.place(0, 5)
    assert broadcast.place(2 * HOUR, 1) == 5 and broadcast.place(2 * HOUR + 1, 1) == 6
    assert film.place(2 * HOUR, 1) == 2 * HOUR
    assert broadcast.skipped == []


def test_a_time_stamp_beyond_the_file_is_not_believed() -> None:
    """Hours of silence are not made from one bad number."""
    file = clock(length=60)
    file.place(0, 5)
    assert file.place(5 * HOUR, 1) == 5 and file.place(6, 1) == 6


def test_audio_may_begin_long_after_the_picture() -> None:
    """Also where time stamps may begin anew within a file."""
    assert clock(start=1.4, length=100, restarts=True).place(61.4, 1) == 60


def test_damage_lasts_until_the_next_good_piece() -> None:
    """Whatever was thought of its length, where time stamps are there."""
    file = clock()
    file.place(0, 5)
    file.damaged(0.1)
    file.damaged(0.1)
    assert file.place(6, 1) == 6
    assert file.skipped == [Skipped(5, 6, DAMAGED)]


def test_damage_lasts_as_long_as_thought_where_there_are_none() -> None:
    """In the middle, and at the end."""
    file = clock()
    file.place(None, 5)
    file.damaged(0.5)
    assert file.place(None, 1) == 5.5
    file.damaged(0.25)
    file.finish(None)
    assert file.skipped == [Skipped(5, 5.5, DAMAGED), Skipped(6.5, 6.75, DAMAGED)]


def test_damage_with_hardly_anything_good_in_it_is_told_once() -> None:
    """What is between is less than a word."""
    file = clock()
    for time in (0, 2, 2.05, 4):
        file.place(time, 0.05)
        file.damaged(0.5)
    file.finish(None)
    assert file.skipped == [Skipped(0.05, pytest.approx(4.55), DAMAGED)]


@pytest.mark.parametrize(("length", "told"), [(None, []), (5.2, []), (60, [Skipped(5, 60, CUT_OFF)])])
def test_a_file_that_breaks_off_is_told(length: float | None, told: list[Skipped]) -> None:
    """By the length that it says it has; lengths are not exact."""
    file = clock(length=length)
    file.place(0, 5)
    file.finish(length)
    assert file.skipped == told


def test_a_joined_file_begins_behind_the_one_before() -> None:
    """With a clock of its own; what seemed damage was its head."""
    file = clock(length=5)
    file.place(0, 5)
    file.damaged(1)
    file.begin(2.0, length=4, restarts=False)
    assert file.place(2.0, 1) == 5 and file.place(5.0, 1) == 8
    file.finish(8)
    assert file.skipped == [Skipped(6, 8, HOLE), Skipped(9, 13, CUT_OFF)]
