"""A disk that takes no more, for one file or for all."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.journal.recordings import META, NOTHING, ROOT, SMALL, left_in, ramp, runs_of, samples_of
from tests.waiting import eventually_sync
from wernicke_daemon.records import journal as module
from wernicke_daemon.records import journal_files
from wernicke_daemon.records.journal import Journal

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")


class NearlyFull:
    """Stands in for `SessionFiles._begin_file` and `os.fsync`: a disk with room for so many bytes more.
    written: number of the sample up to which the writer has done all there is to do."""

    def __init__(self) -> None:
        self.room = sys.maxsize
        self.written = 0
        self._update = Journal._update
        self._begin = journal_files.SessionFiles._begin_file

    def update(self, journal: Journal, session: str, files: journal_files.SessionFiles, news: Any) -> None:
        self._update(journal, session, files, news)
        if news.audio:
            self.written = news.start + sum(map(len, news.audio)) // 4

    def begin_segment(self, files: journal_files.SessionFiles, start: int) -> Any:
        if not self.room:
            raise OSError(28, "No space left on device")
        file = self._begin(files, start)
        files._file = mock.MagicMock(wraps=file)
        files._file.__enter__.return_value = file
        files._file.__exit__ = lambda *_: file.close()
        files._file.write = lambda data: self._write(file, data)
        return files._file

    def _write(self, file: Any, data: memoryview) -> int:
        if not self.room:
            raise OSError(28, "No space left on device")
        written: int = file.write(data[: self.room])
        self.room -= written
        return written

    def fsync(self, descriptor: int) -> None:
        """A real one would take too long (see NO_FSYNC)."""
        if not self.room:
            raise OSError(28, "No space left on device")


@given(
    steps=st.lists(
        st.tuples(st.integers(1, 130), st.floats(0, 1), st.booleans(), st.none() | st.integers(0, 300)), max_size=10
    ),
)
@example(steps=[(70, 0.5, True, None), (60, 0.6, True, 101), (40, 0.5, True, None)])
@settings(max_examples=60, deadline=None)
def test_any_failures_leave_holes_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, float, bool, int | None]]
) -> None:
    """A disk that fills up after any number of bytes and works again: what came while it worked is there, each sample
    in its place, none that is final, and the next utterance has its number."""
    directory, disk = tmp_path_factory.mktemp("journal"), NearlyFull()
    end, floor, sequence, kept = 0, 0, 1, set[int]()
    with (
        mock.patch.object(journal_files, "FILE_SAMPLES", SMALL),
        mock.patch.object(module, "RETRY_EVERY_S", 0.001),
        mock.patch.object(journal_files.SessionFiles, "_begin_file", lambda *given: disk.begin_segment(*given)),
        mock.patch.object(os, "fsync", disk.fsync),
        mock.patch.object(Journal, "_update", lambda *given: disk.update(*given)),
    ):
        journal = Journal(directory, 100)
        journal.begin("s", META)
        for count, share, releases, room in steps:
            if room is not None:
                disk.room = room
                journal.append("s", end, ramp(end, end := end + 4 * SMALL + room))
                eventually_sync(lambda: journal.problem is not None)
            else:
                kept.update(range(end, end + count))
            journal.append("s", end, ramp(end, end := end + count))
            if releases:
                floor += int(share * (end - floor))
                sequence += 1
                journal.release("s", floor, sequence, NOTHING)
            if room is not None:
                disk.room = sys.maxsize
                eventually_sync(lambda: journal.problem is None)
            else:
                eventually_sync(lambda end=end: disk.written == end)  # type: ignore[misc]
        journal.close()
        found = left_in(directory)
    there = {sample for left in found for run in runs_of(left) for sample in range(*run)}
    assert {sample for sample in kept if sample >= floor} <= there
    assert all(sample >= floor for sample in there)
    assert [left.meta.next_sequence for left in found] in ([], [sequence])


FULL = """
import os, resource, sys
from pathlib import Path
import numpy as np
from tests.waiting import eventually_sync
from wernicke_daemon.records import journal as module
from wernicke_daemon.records.journal_files import SessionMeta
from wernicke_daemon.utterances.context import Remembered

module.RETRY_EVERY_S = 0.05
journal = module.Journal(Path(sys.argv[1]), 100)
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_002, unlimited))
journal.begin("s", SessionMeta(language="en"))
for at in range(0, 40_000, 400):
    journal.append("s", at, np.arange(at, at + 400, dtype=np.float32))
    journal.release("s", 1_000, 2, Remembered())
eventually_sync(lambda: journal.problem)
print("problem:", journal.problem)
resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
eventually_sync(lambda: journal.problem is None)
print("well again")
journal.append("s", 60_000, np.arange(60_000, 61_000, dtype=np.float32))
written = Path(sys.argv[1], "s", "000000000060000.f32")
eventually_sync(lambda: written.exists() and written.stat().st_size == 4000)
os.kill(os.getpid(), 9)
"""


@posix_only
def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    """Writes that fail in the middle: said, survived, and over when the disk takes data again. A kill after that costs
    what came meanwhile, and nothing else."""
    child = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    # Two threads print: lines may run into one another.
    assert "make room" in child.stdout.partition("problem:")[2]
    assert "well again" in child.stdout, child.stderr
    assert (child.stdout.count("journal_failed"), child.stdout.count("journal_recovered")) == (1, 1)
    [left] = left_in(tmp_path)
    assert left.meta.next_sequence == 2
    assert runs_of(left) == [(1000, 25_000), (60_000, 61_000)]


@posix_only
def test_what_a_full_disk_took_is_recovered(tmp_path: Path) -> None:
    """The audio up to there is whole; the sample that was cut in two is not taken for one."""
    code = FULL.replace('print("problem:", journal.problem)', "os.kill(os.getpid(), 9)")
    child = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True)
    assert child.returncode == -9
    [left] = left_in(tmp_path)
    assert left.end == 25_000
    np.testing.assert_array_equal(samples_of(left), ramp(left.start, 25_000))
