"""A disk that fails and works again."""

import contextlib
import os
import shutil
import sys
from pathlib import Path
from unittest import mock

import pytest
import structlog

from tests.unit.journal.recordings import (
    META,
    NOTHING,
    SMALL,
    failures,
    left_in,
    ramp,
    recoveries,
    runs_of,
    segments,
    tries,
)
from tests.waiting import eventually_sync
from wernicke_daemon.records.journal import Journal


@pytest.mark.usefixtures("quick_tries")
def test_a_failure_is_logged_once(tmp_path: Path) -> None:
    """However often the disk refuses what is tried again, the session's end included."""
    journal = Journal(tmp_path, 100)
    journal.begin("s", META)
    journal.append("s", 0, ramp(0, 100))
    eventually_sync(lambda: segments(tmp_path) == [0])
    refused = mock.patch.object(os, "fsync", side_effect=OSError(5, "Input/output error"))
    with structlog.testing.capture_logs() as lines, refused as tried:
        for number in (2, 3, 4):
            before = tried.call_count
            journal.release("s", 10 * number, number, NOTHING)
            eventually_sync(lambda before=before: tried.call_count > before)  # type: ignore[misc]
        assert journal.problem is not None and "Input/output error" in journal.problem
        with mock.patch.object(Path, "rename", side_effect=OSError(5, "Input/output error")):
            journal.end("s")
            journal.close()
    assert len(failures(lines)) == 1


@pytest.mark.usefixtures("quick_tries")
def test_a_directory_that_can_not_be(tmp_path: Path) -> None:
    """The daemon starts all the same, each session says so once, and all is well once the way is free."""
    in_the_way = tmp_path / "journal"
    in_the_way.write_text("a file")
    with structlog.testing.capture_logs() as lines:
        journal = Journal(in_the_way, 100)
        assert journal.problem is not None and str(tmp_path) not in journal.problem
        journal.begin("s", META)
        for at in range(0, 3000, 1000):
            journal.append("s", at, ramp(at, at + 1000))
            journal.release("s", at, 1, NOTHING)
        eventually_sync(lambda: len(failures(lines)) == 1)
        in_the_way.unlink()
        eventually_sync(lambda: journal.problem is None)
        journal.append("s", 3000, ramp(3000, 4000))
        journal.close()
    assert ([session for session, _ in failures(lines)], recoveries(lines)) == (["s"], 1)
    [left] = left_in(in_the_way)
    assert (left.session_id, left.meta, runs_of(left)) == ("s", META, [(3000, 4000)])


@pytest.mark.usefixtures("quick_tries")
def test_a_disk_that_works_again_ends_the_problem_without_any_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks at the daemon at night sees what is so now, not what was when the last client was there."""
    journal = Journal(tmp_path, 100)
    tried = tries(journal, monkeypatch)
    with structlog.testing.capture_logs() as lines:
        with mock.patch.object(os, "fsync", side_effect=OSError(28, "No space left on device")):
            journal.begin("s", META)
            eventually_sync(lambda: journal.problem is not None)
            journal.end("s")
            eventually_sync(lambda: not journal._news and not journal._failed)
            for _ in range(5):
                assert tried.acquire(timeout=20)
            assert journal.problem is not None
        eventually_sync(lambda: journal.problem is None)
        journal.close()
    assert (len(failures(lines)), recoveries(lines)) == (1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open can't be deleted")
@pytest.mark.usefixtures("small_segments", "quick_tries")
def test_a_directory_that_somebody_deletes(tmp_path: Path) -> None:
    """It is made anew, and is this daemon's alone as before."""
    directory = tmp_path / "journal"
    journal = Journal(directory, 100)
    journal.begin("s", META)
    journal.append("s", 0, ramp(0, 20))
    eventually_sync(lambda: segments(directory) == [0])
    shutil.rmtree(directory)
    journal.append("s", 20, ramp(20, 2 * SMALL))  # a segment is full: now it shows
    eventually_sync((directory / "lock").exists)
    eventually_sync(lambda: journal.problem is None)
    journal.append("s", 2 * SMALL, ramp(2 * SMALL, 3 * SMALL))
    second = Journal(directory, 100)
    assert second.problem is not None and "another daemon" in second.problem
    second.close()
    journal.close()
    assert [runs_of(left) for left in left_in(directory)] == [[(2 * SMALL, 3 * SMALL)]]


@pytest.mark.skipif(sys.platform != "linux", reason="counts what /proc shows")
def test_sessions_that_are_over_hold_no_file_open(tmp_path: Path) -> None:
    """While the store fails they are many, and libzmq ends a process that has no descriptor left."""
    journal = Journal(tmp_path, 100)
    for number in range(30):
        journal.begin(str(number), META)
        journal.append(str(number), 0, ramp(0, 100))
    eventually_sync(lambda: len(open_below(tmp_path)) == 31)
    for number in range(30):
        journal.leave(str(number))
    eventually_sync(lambda: open_below(tmp_path) == [tmp_path / "lock"])
    journal.close()
    assert len(left_in(tmp_path)) == 30


def open_below(directory: Path) -> list[Path]:
    """Files in it that this process has open."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(link.readlink())
    return sorted(path for path in found if path.is_relative_to(directory))
