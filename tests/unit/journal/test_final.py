"""What is final is deleted, and nothing else."""

import os
from pathlib import Path
from unittest import mock

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.journal.recordings import (
    META,
    NO_FSYNC,
    NOTHING,
    SMALL,
    StalledDisk,
    left_in,
    ramp,
    samples_of,
    segments,
)
from tests.waiting import eventually_sync
from wernicke_daemon.records import journal_files
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.journal_files import FILE_SAMPLES
from wernicke_daemon.utterances.context import Remembered
from wernicke_daemon.utterances.voices import Known
from wernicke_daemon.utterances.voices_rows import SavedRow


@pytest.mark.usefixtures("small_segments")
def test_final_audio_is_deleted(tmp_path: Path) -> None:
    """Segment by segment; what is kept begins at the floor, with the number of the next utterance and what it needs."""
    journal = Journal(tmp_path, 100)
    remembered = Remembered(Known(1, "small", (SavedRow(0, 2.5, 6.25, b"\x00\x3c\x00\x00"),)), ("次の議題です。",))
    with journal._guard:  # also where all of it is one turn of the writer
        journal.begin("s", META)
        journal.append("s", 0, ramp(0, 220))
        journal.release("s", 130, 4, remembered)
    eventually_sync(lambda: segments(tmp_path) == [100, 150, 200])
    journal.append("s", 220, ramp(220, 260))
    journal.close()
    [left] = left_in(tmp_path)
    assert (left.start, left.meta) == (130, replace(META, next_sequence=4, remembered=remembered))
    np.testing.assert_array_equal(samples_of(left), ramp(130, 260))


@pytest.mark.usefixtures("small_segments")
def test_audio_goes_on_after_all_was_final(tmp_path: Path) -> None:
    """With every segment deleted the next one has its right number."""
    journal = Journal(tmp_path, 100)
    journal.begin("s", META)
    journal.append("s", 0, ramp(0, 100))
    journal.release("s", 100, 2, NOTHING)
    eventually_sync(lambda: segments(tmp_path) == [])
    journal.append("s", 100, ramp(100, 130))
    journal.close()
    np.testing.assert_array_equal(samples_of(left_in(tmp_path)[0]), ramp(100, 130))


def test_a_session_that_is_over_leaves_nothing(tmp_path: Path) -> None:
    """Neither while the daemon runs nor for the next start; nor does one that began and sent nothing."""
    journal = Journal(tmp_path, 100)
    for session in ("s", "t"):
        journal.begin(session, META)
    journal.append("s", 0, ramp(0, 100))
    eventually_sync(lambda: segments(tmp_path) == [0])
    journal.end("s")
    eventually_sync(lambda: [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["t"])
    journal.close()
    assert left_in(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_half_deleted_sessions_are_not_recovered(tmp_path: Path) -> None:
    """A daemon that was killed while it deleted a session had finished it."""
    journal = Journal(tmp_path, 100)
    journal.begin("s", META)
    journal.append("s", 0, ramp(0, 100))
    journal.close()
    (tmp_path / "s").rename(tmp_path / "s.done")
    assert left_in(tmp_path) == []
    assert not (tmp_path / "s.done").exists()


def test_releases_in_silence_are_not_written(tmp_path: Path) -> None:
    """A floor that rises twenty times a second costs a write only once there is a segment to delete."""
    journal = Journal(tmp_path, 100)
    journal.begin("s", META)
    state = tmp_path / "s" / "state.json"
    eventually_sync(state.exists)
    with mock.patch.object(journal_files, "replace", wraps=msgspec.structs.replace) as written:
        for at in range(0, FILE_SAMPLES + 800, 800):
            journal.append("s", at, ramp(at, at + 800))
            journal.release("s", at, 1, NOTHING)
            eventually_sync(lambda: not journal._news)
        eventually_sync(lambda: segments(tmp_path) == [FILE_SAMPLES])
    assert written.call_count == 1
    assert b'"floor":160000' in state.read_bytes()
    journal.close()


def test_a_slow_disk_holds_up_nobody(tmp_path: Path) -> None:
    """While a write takes its time everything is handed over at once; of a hundred releases one is written, besides the
    state that the session began with."""
    disk = StalledDisk()
    journal = Journal(tmp_path, 100)
    counted = mock.patch.object(journal_files, "replace", wraps=msgspec.structs.replace)
    with mock.patch.object(os, "fsync", disk), counted as written:
        journal.begin("s", META)
        assert disk.reached.wait(20)
        for number in range(100):
            journal.append("s", number * 800, ramp(number * 800, number * 800 + 800))
            journal.release("s", number * 800, number + 2, NOTHING)
        assert segments(tmp_path) == []
        disk.go.set()
        journal.close()
    assert written.call_count == 2
    [left] = left_in(tmp_path)
    assert (left.start, left.end, left.meta.next_sequence) == (79_200, 80_000, 101)


@given(
    steps=st.lists(st.tuples(st.integers(0, 130), st.floats(0, 1), st.booleans(), st.booleans()), max_size=12),
)
@example(steps=[(70, 1.0, True, True)])
@settings(max_examples=60, deadline=None)
def test_any_interleaving_leaves_what_is_not_final(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, float, bool, bool]]
) -> None:
    """Appends of any size, releases of any share with and without a result, daemons that stop in between: exactly the
    samples from the floor on are readable, where a floor without a result may lag by less than a segment."""
    directory = tmp_path_factory.mktemp("journal")
    end, floor, sequence, known = 0, 0, 1, True
    with mock.patch.object(journal_files, "FILE_SAMPLES", SMALL), NO_FSYNC:
        journal = Journal(directory, 100)
        journal.begin("s", META)
        for count, share, releases, result in steps:
            journal.append("s", end, ramp(end, end + count))
            end += count
            if releases:
                floor += int(share * (end - floor))
                sequence += result
                known = result
                journal.release("s", floor, sequence, NOTHING)
        journal.close()
        found = left_in(directory)
        again = left_in(directory)
    assert again == found
    if not found:
        assert floor == end
        return
    [left] = found
    assert left.start < left.end == end
    assert floor - SMALL < left.start <= floor
    assert left.start == floor or not known
    np.testing.assert_array_equal(samples_of(left), ramp(left.start, end))
