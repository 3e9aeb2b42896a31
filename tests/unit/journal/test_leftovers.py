"""What another daemon left, and daemons side by side."""

from pathlib import Path

import numpy as np
import pytest
import structlog
from msgspec.structs import replace

from tests.unit.journal.recordings import META, NOTHING, failures, left_in, ramp, runs_of, samples_of, segments
from tests.waiting import eventually_sync
from wernicke_daemon.records.journal import Journal


@pytest.mark.usefixtures("small_segments")
def test_leftovers_are_released_and_ended_like_others(tmp_path: Path) -> None:
    """A recovery that is interrupted goes on where it was; one that ended leaves nothing."""
    dead = Journal(tmp_path, 100)
    dead.begin("s", META)
    dead.append("s", 0, ramp(0, 220))
    dead.close()
    journal = Journal(tmp_path, 100)
    pieces = journal.leftover()[0].pieces()
    np.testing.assert_array_equal(next(pieces)[1], ramp(0, 50))
    journal.release("s", 40, 3, NOTHING)
    np.testing.assert_array_equal(next(pieces)[1], ramp(50, 100))
    journal.release("s", 110, 4, NOTHING)
    eventually_sync(lambda: segments(tmp_path) == [100, 150, 200])
    journal.close()
    journal = Journal(tmp_path, 100)
    [left] = journal.leftover()
    assert (left.start, left.meta.next_sequence) == (110, 4)
    np.testing.assert_array_equal(samples_of(left), ramp(110, 220))
    journal.end("s")
    journal.close()
    assert left_in(tmp_path) == []


def test_two_daemons_do_not_eat_each_others_journal(tmp_path: Path) -> None:
    """The second one finds nothing, deletes nothing, says so, and takes over once the first is gone."""
    first = Journal(tmp_path, 100)
    first.begin("s", META)
    first.append("s", 0, ramp(0, 100))
    eventually_sync(lambda: segments(tmp_path) == [0])
    second = Journal(tmp_path, 100)
    assert second.leftover() == []
    with structlog.testing.capture_logs() as lines:
        second.begin("t", META)
        second.append("t", 0, ramp(0, 100))
        eventually_sync(lambda: len(failures(lines)) == 1)
        second.release("t", 50, 2, NOTHING)
        second.end("t")
        second.end("s")
        second.close()
    assert second.problem is not None and "another daemon" in second.problem
    assert [session for session, _ in failures(lines)] == ["t"]
    assert segments(tmp_path) == [0]
    first.close()
    assert [left.session_id for left in left_in(tmp_path)] == ["s"]


@pytest.mark.usefixtures("quick_tries")
def test_a_second_daemon_takes_over_when_the_first_is_gone(tmp_path: Path) -> None:
    """Its open session is journalled from then on."""
    first = Journal(tmp_path, 100)
    with structlog.testing.capture_logs() as lines:
        second = Journal(tmp_path, 100)
        second.begin("t", META)
        second.append("t", 0, ramp(0, 100))
        eventually_sync(lambda: len(failures(lines)) == 1)
        second.release("t", 50, 2, NOTHING)
        assert not (tmp_path / "t").exists()
        first.close()
        eventually_sync(lambda: second.problem is None)
        second.append("t", 100, ramp(100, 200))
        second.close()
    [left] = left_in(tmp_path)
    assert (left.session_id, left.meta) == ("t", replace(META, next_sequence=2))
    assert runs_of(left) == [(100, 200)]
