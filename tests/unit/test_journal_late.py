"""Late utterances in the journal: their audio stays when all around it is final, over restarts too, and can be read."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ipc.messages import Boundary
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.journal_files import FILE_SAMPLES, SessionMeta
from wernicke_daemon.utterances.context import Remembered
from wernicke_daemon.utterances.late import Late

NOTHING = Remembered()
META = SessionMeta(language="en")
LENGTH = 6 * FILE_SAMPLES


def ramp(start: int, end: int) -> NDArray[np.float32]:
    return np.arange(start, end, dtype=np.float32)


def late(sequence: int, start: int, end: int) -> Late:
    return Late(sequence, f"buff_{sequence}", Boundary(start, end, "flush", 10, end), 1e9 + start)


SECOND = late(2, FILE_SAMPLES + 5, 2 * FILE_SAMPLES + 7)
"""In the second and third file."""


def journalled(directory: Path) -> Journal:
    """One session whose second utterance is late, and all else of it final but the end."""
    journal = Journal(directory, 100)
    journal.begin("s", META)
    journal.append("s", 0, ramp(0, LENGTH))
    assert journal.holds("s", 0)
    journal.postpone("s", SECOND)
    journal.release("s", LENGTH - 10, 9, NOTHING)
    return journal


def files(directory: Path) -> list[int]:
    return sorted(int(path.stem) // FILE_SAMPLES for path in directory.glob("s/*.f32"))


def test_its_audio_stays_and_can_be_read(tmp_path: Path) -> None:
    """Though everything before and after it is final; not more of it than whole files."""
    journal = journalled(tmp_path)
    journal.close()
    assert files(tmp_path) == [1, 2, 5]
    start, end = SECOND.boundary.start, SECOND.boundary.end
    np.testing.assert_array_equal(journal.read("s", start, end), ramp(start, end))


def test_it_is_found_after_a_restart_with_what_else_is_left(tmp_path: Path) -> None:
    journalled(tmp_path).close()
    journal = Journal(tmp_path, 100)
    [left] = journal.leftover()
    journal.close()
    assert left.late == (SECOND,)
    assert (left.start, left.end, left.meta.next_sequence) == (LENGTH - 10, LENGTH, 9)
    assert sum(len(samples) for _, samples in left.pieces()) == 10
    assert left.missing_s == 0.0


def test_it_alone_is_something_left(tmp_path: Path) -> None:
    """All else of the session is final, and it is over."""
    journal = journalled(tmp_path)
    journal.release("s", LENGTH, 9, NOTHING)
    journal.leave("s")
    journal.close()
    journal = Journal(tmp_path, 100)
    [left] = journal.leftover()
    assert (left.late, left.files, left.seconds, left.missing_s) == ((SECOND,), (), 0.0, 0.0)
    journal.end("s")
    journal.close()
    assert list(tmp_path.glob("s*")) == []


def test_once_it_is_done_its_audio_goes(tmp_path: Path) -> None:
    """In the run in which it was given up, and a note of it for the next."""
    journal = journalled(tmp_path)
    journal.done_late("s", 2)
    journal.close()
    assert files(tmp_path) == [5]
    journal = Journal(tmp_path, 100)
    [left] = journal.leftover()
    journal.close()
    assert left.late == ()


def test_what_is_not_there_can_not_be_read(tmp_path: Path) -> None:
    journal = journalled(tmp_path)
    journal.close()
    with pytest.raises(OSError, match="not in the journal"):
        journal.read("s", 2 * FILE_SAMPLES, 4 * FILE_SAMPLES)
    with pytest.raises(OSError):
        journal.read("other", 0, 10)


def test_audio_before_a_failure_is_not_held(tmp_path: Path) -> None:
    """A journal that is full takes no more: what came since may be missing, so nothing is promised of it."""
    journal = Journal(tmp_path, 1)
    journal.begin("s", META)
    journal.append("s", 100, ramp(0, 1000))
    assert journal.holds("s", 100) and not journal.holds("s", 99)
    journal.append("s", 1100, ramp(0, 2**19))
    journal.leave("s")
    journal.close()
    assert not journal.holds("s", 100)
    assert not journal.holds("other", 0)
