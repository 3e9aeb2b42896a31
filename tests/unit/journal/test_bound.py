"""Journalling up to the bound, and behind a writer that is too slow."""

import os
import threading
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import structlog

from tests.unit.journal.recordings import (
    META,
    NOTHING,
    StalledDisk,
    failures,
    left_in,
    ramp,
    recoveries,
    runs_of,
    samples_of,
    segments,
    tries,
)
from tests.waiting import eventually_sync
from wernicke_daemon.records import journal as module
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.journal_files import FILE_SAMPLES


@pytest.mark.usefixtures("quick_tries")
def test_the_bound_holds_and_serving_goes_on(tmp_path: Path) -> None:
    """What does not fit is not journalled, said once; a session after it is, when there is room again."""
    journal = Journal(tmp_path, max_mib=1)
    fits, too_much = 2**18 - 100, 200
    with structlog.testing.capture_logs() as lines:
        for session in ("s", "t"):
            journal.begin(session, META)
        journal.append("s", 0, ramp(0, fits))
        eventually_sync(lambda: segments(tmp_path) == [0, FILE_SAMPLES])
        for at in range(0, 3 * too_much, too_much):
            journal.append("t", at, ramp(at, at + too_much))
            eventually_sync(lambda: journal.problem is not None)
        assert journal.problem is not None and "journal.max_mib = 1;" in journal.problem
        journal.end("s")
        journal.end("t")
        journal.begin("u", META)
        journal.append("u", 0, ramp(0, 1000))
        eventually_sync(lambda: journal.problem is None)
        journal.close()
    assert [session for session, _ in failures(lines)] == ["t"]
    assert [(left.session_id, left.end) for left in left_in(tmp_path)] == [("u", 1000)]


@pytest.mark.usefixtures("quick_tries")
def test_results_make_room_below_the_bound(tmp_path: Path) -> None:
    """Also those of the very session that reached it: it goes on with its next audio."""
    journal = Journal(tmp_path, max_mib=1)
    journal.begin("s", META)
    fits = 2**18 - 100
    journal.append("s", 0, ramp(0, fits))
    eventually_sync(lambda: segments(tmp_path) == [0, FILE_SAMPLES])
    journal.append("s", fits, ramp(fits, fits + 200))
    eventually_sync(lambda: journal.problem is not None)
    journal.release("s", FILE_SAMPLES, 2, NOTHING)
    eventually_sync(lambda: journal.problem is None)
    journal.append("s", fits + 300, ramp(fits + 300, fits + 500))
    journal.close()
    [left] = left_in(tmp_path)
    assert left.meta.next_sequence == 2
    assert runs_of(left) == [(FILE_SAMPLES, fits), (fits + 300, fits + 500)]


@pytest.mark.usefixtures("quick_tries")
def test_a_problem_lasts_until_there_is_room_for_a_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That another session still finds a little room does not make it go away."""
    journal = Journal(tmp_path, max_mib=1)
    for session in ("s", "t"):
        journal.begin(session, META)
    journal.append("s", 0, ramp(0, 2**18 - 1000))
    eventually_sync(lambda: segments(tmp_path) == [0, FILE_SAMPLES])
    tried = tries(journal, monkeypatch)
    journal.append("s", 2**18 - 1000, ramp(0, 1001))
    assert tried.acquire(timeout=20)
    journal.append("t", 0, ramp(0, 100))
    eventually_sync(lambda: segments(tmp_path, "t") == [0])
    assert tried.acquire(timeout=20) and tried.acquire(timeout=20)
    assert journal.problem is not None
    journal.end("s")
    eventually_sync(lambda: journal.problem is None)
    journal.close()


def test_what_dead_daemons_left_counts(tmp_path: Path) -> None:
    """The bound is of all sessions together."""
    dead = Journal(tmp_path, 1)
    dead.begin("s", META)
    dead.append("s", 0, ramp(0, 2**18 - 100))
    dead.close()
    journal = Journal(tmp_path, 1)
    journal.begin("t", META)
    journal.append("t", 0, ramp(0, 200))
    eventually_sync(lambda: journal.problem is not None)
    journal.close()


@pytest.mark.usefixtures("quick_tries")
def test_a_writer_that_falls_behind_leaves_a_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, too; the session goes on once the disk does, and other sessions are journalled."""
    monkeypatch.setattr(module, "MOST_WAITING", 4000)
    disk = StalledDisk()
    journal = Journal(tmp_path, 100)
    with structlog.testing.capture_logs() as lines, mock.patch.object(os, "fsync", disk):
        journal.begin("s", META)
        assert disk.reached.wait(20)
        for at in range(0, 5000, 500):
            journal.append("s", at, ramp(at, at + 500))
        assert journal.problem is not None and "too slow" in journal.problem
        disk.go.set()
        eventually_sync(lambda: journal.problem is None)
        journal.append("s", 5000, ramp(5000, 5500))
        journal.begin("t", META)
        journal.append("t", 0, ramp(0, 500))
        journal.close()
    assert ([session for session, _ in failures(lines)], recoveries(lines)) == (["s"], 1)
    assert [runs_of(left) for left in left_in(tmp_path)] == [[(5000, 5500)], [(0, 500)]]


def test_what_came_before_the_failure_was_known_is_not_shifted(tmp_path: Path) -> None:
    """Audio handed over while the writer fails would follow on a hole: it is left out."""
    journal = Journal(tmp_path, max_mib=1)
    journal.begin("s", META)
    journal.append("s", 0, ramp(0, 100))
    eventually_sync(lambda: segments(tmp_path) == [0])
    disk = StalledDisk()
    too_much = 100 + 2**18
    with mock.patch.object(os, "fsync", disk):
        with journal._guard:  # one turn of the writer, which stalls before it comes to what does not fit
            journal.begin("t", META)
            journal.append("s", 100, ramp(100, too_much))
        assert disk.reached.wait(20)
        journal.append("s", too_much, ramp(too_much, too_much + 50))
        disk.go.set()
        journal.close()
    np.testing.assert_array_equal(samples_of(left_in(tmp_path)[0]), ramp(0, 100))


def test_what_waited_at_a_failure_is_not_joined_to_what_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk works again in the very same turn of the writer, there is a hole all the same."""
    monkeypatch.setattr(module, "RETRY_EVERY_S", 0.0)
    journal, disk, too_much = Journal(tmp_path, max_mib=1), StalledDisk(), 2**18 + 1
    recovered = threading.Event()

    def at_once(event: str) -> None:
        journal.append("s", too_much + 150, ramp(too_much + 150, too_much + 200))
        recovered.set()

    monkeypatch.setattr(module, "_log", mock.Mock(info=at_once))
    monkeypatch.setattr(module, "probe", lambda _: journal.append("s", too_much + 50, ramp(0, 100)))
    with mock.patch.object(os, "fsync", disk):
        with journal._guard:
            journal.begin("s", META)
            journal.append("s", 0, ramp(0, too_much))
        assert disk.reached.wait(20)
        journal.append("s", too_much, ramp(too_much, too_much + 50))
        disk.go.set()
        assert recovered.wait(20)
        journal.close()
    assert [runs_of(left) for left in left_in(tmp_path)] == [[(too_much + 150, too_much + 200)]]
