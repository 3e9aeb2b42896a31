"""The journal on real files: what was handed over is there after any end, and what is final is not."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import numpy as np
import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from tests.waiting import eventually_sync
from wernicke_daemon.records import journal as module
from wernicke_daemon.records import journal_files
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.journal_files import FILE_SAMPLES, Leftover, SessionMeta
from wernicke_daemon.utterances.context import Remembered
from wernicke_daemon.utterances.voices import Voice

ROOT = Path(__file__).parents[2]
NOTHING = Remembered()
META = SessionMeta(language="ja", glossary=("議事録",), wall_start=1_700_000_000.0, words=False, next_sequence=1)
SMALL = 50
"""Samples in a segment where a test needs many of them."""

NO_FSYNC = mock.patch.object(os, "fsync")
"""For tests that would make hundreds: where one takes 0.1 s, they would take minutes."""

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")


def ramp(start: int, end: int) -> NDArray[np.float32]:
    """Samples whose values are their own numbers (exact in float32 up to 2**24)."""
    return np.arange(start, end, dtype=np.float32)


def left_in(directory: Path) -> list[Leftover]:
    """What the next start finds; the journal is let go of again at once."""
    journal = Journal(directory, 100)
    journal.close()
    assert journal.problem is None
    return journal.leftover()


def samples_of(leftover: Leftover) -> NDArray[np.float32]:
    """Of one without holes."""
    assert leftover.missing_s == 0.0
    samples = np.concatenate([samples for _, samples in leftover.pieces()])
    assert samples.dtype == np.float32
    return samples


def runs_of(leftover: Leftover) -> list[tuple[int, int]]:
    """The ranges between its holes; every sample is in its place."""
    runs: list[tuple[int, int]] = []
    for start, samples in leftover.pieces():
        np.testing.assert_array_equal(samples, ramp(start, start + len(samples)))
        begun = runs.pop()[0] if runs and runs[-1][1] == start else start
        runs.append((begun, start + len(samples)))
    assert sum(end - start for start, end in runs) == round(leftover.seconds * 16_000)
    return runs


def segments(directory: Path, session: str = "s") -> list[int]:
    """First samples of the segments on disk."""
    return sorted(int(path.stem) for path in (directory / session).glob("*.f32"))


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_files, "FILE_SAMPLES", SMALL)


@pytest.fixture
def quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_EVERY_S", 0.01)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path, 100)
    yield made
    made.close()


# --- what survives ---


def test_unfinished_audio_is_found_at_the_next_start(tmp_path: Path) -> None:
    """Bit for bit, over several segments, with all that is known of the session."""
    journal = Journal(tmp_path, 100)
    noise = np.random.default_rng(1).standard_normal(2 * FILE_SAMPLES + 77).astype(np.float32)
    journal.begin("s", META)
    for at in range(0, len(noise), 7_001):
        journal.append("s", at, noise[at : at + 7_001])
    journal.close()
    [left] = left_in(tmp_path)
    assert (left.session_id, left.meta, left.start, left.end) == ("s", META, 0, len(noise))
    assert left.seconds == len(noise) / 16_000
    assert segments(tmp_path) == [0, FILE_SAMPLES, 2 * FILE_SAMPLES]
    np.testing.assert_array_equal(samples_of(left), noise)


def test_what_is_handed_over_is_copied(tmp_path: Path) -> None:
    """The caller may use its buffer again at once."""
    journal = Journal(tmp_path, 100)
    journal.begin("s", META)
    buffer = ramp(0, 100)
    journal.append("s", 0, buffer)
    buffer[:] = -1.0
    journal.close()
    np.testing.assert_array_equal(samples_of(left_in(tmp_path)[0]), ramp(0, 100))


KILLED = """
import sys
from itertools import count
from pathlib import Path
import numpy as np
from tests.waiting import eventually_sync
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.journal_files import SessionMeta
from wernicke_daemon.utterances.context import Remembered

def on_disk():
    path = max(Path(sys.argv[1], "s").glob("*.f32"), default=None)
    return int(path.stem) + path.stat().st_size // 4 if path else 0

journal = Journal(Path(sys.argv[1]), 100)
journal.begin("s", SessionMeta(language="en"))
for at in count(0, 4000):
    journal.append("s", at, np.arange(at, at + 4000, dtype=np.float32))
    journal.release("s", at // 2, 1 + at // 100_000, Remembered())
    eventually_sync(lambda: on_disk() >= at + 4000)
    print(at + 4000, flush=True)
"""


def test_a_killed_daemon_loses_nothing_that_was_written(tmp_path: Path) -> None:
    """kill -9 in the middle of it: what it knew to be on disk is found, whole and in its place."""
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    written = 0
    try:
        while written < 2.2 * FILE_SAMPLES:
            written = int(child.stdout.readline())
    finally:
        child.kill()  # it never ends by itself
    written = max(written, *(int(line) for line in child.stdout.read().splitlines()), 0)
    child.wait()
    [left] = left_in(tmp_path)
    assert written <= left.end <= written + 4000
    assert left.start <= written // 2
    np.testing.assert_array_equal(samples_of(left), ramp(left.start, left.end))


def test_a_sample_cut_in_two_is_left_out(tmp_path: Path) -> None:
    """A write that was torn ends in bytes that are no sample."""
    journal = Journal(tmp_path, 100)
    journal.begin("s", META)
    journal.append("s", 0, ramp(0, 100))
    journal.close()
    file = tmp_path / "s" / f"{0:015d}.f32"
    os.truncate(file, 399)
    [left] = left_in(tmp_path)
    assert left.end == 99
    np.testing.assert_array_equal(samples_of(left), ramp(0, 99))


@pytest.mark.parametrize(
    "damage",
    [None, b"", b'{"meta":{"langu', b'{"meta":{"language":"\xff"}}'],
    ids=["missing", "empty", "torn", "no text"],
)
def test_a_damaged_state_means_all_of_the_audio(tmp_path: Path, damage: bytes | None) -> None:
    """Floor 0 and nothing known: rather done twice than lost."""
    journal = Journal(tmp_path, 100)
    journal.begin("s", META)
    journal.append("s", 0, ramp(0, 100))
    journal.release("s", 60, 2, NOTHING)
    journal.close()
    state = tmp_path / "s" / "state.json"
    state.unlink() if damage is None else state.write_bytes(damage)
    [left] = left_in(tmp_path)
    assert (left.meta, left.start, left.end) == (SessionMeta(), 0, 100)


def test_a_session_that_can_not_be_read_stays_and_holds_up_no_other(tmp_path: Path) -> None:
    """It may be readable at the next start."""
    journal = Journal(tmp_path, 100)
    for session in ("a", "b"):
        journal.begin(session, META)
        journal.append(session, 0, ramp(0, 100))
    journal.close()
    state = tmp_path / "a" / "state.json"
    state.rename(tmp_path / "kept")
    state.mkdir()
    assert [left.session_id for left in left_in(tmp_path)] == ["b"]
    state.rmdir()
    (tmp_path / "kept").rename(state)
    assert [left.session_id for left in left_in(tmp_path)] == ["a", "b"]


def test_what_is_not_the_journals_stays(tmp_path: Path) -> None:
    """Where runtime.data_dir is somebody's home, there may be a `journal` of another kind."""
    diary = tmp_path / "2026" / "may.md"
    done = tmp_path / "2025.done" / "may.md"
    for file in (diary, done):
        file.parent.mkdir()
        file.write_text("Dear diary")
    assert left_in(tmp_path) == []
    assert diary.exists() and done.exists()


@pytest.mark.usefixtures("small_segments")
def test_audio_after_a_hole_keeps_its_place(tmp_path: Path) -> None:
    """A segment that the disk lost costs its own samples; nothing is shifted."""
    journal = Journal(tmp_path, 100)
    journal.begin("s", META)
    journal.append("s", 0, ramp(0, 200))
    journal.close()
    (tmp_path / "s" / f"{100:015d}.f32").unlink()
    [left] = left_in(tmp_path)
    assert runs_of(left) == [(0, 100), (150, 200)]
    assert (left.seconds, left.missing_s) == (150 / 16_000, pytest.approx(50 / 16_000))


def test_the_time_of_day_of_what_is_left(tmp_path: Path) -> None:
    """It is that of the audio's arrival, however long the client had been silent before."""
    journal = Journal(tmp_path, 100)
    journal.begin("s", META)
    journal.append("s", 0, ramp(0, 32_000))
    journal.release("s", 16_000, 2, NOTHING)
    journal.close()
    os.utime(tmp_path / "s" / f"{0:015d}.f32", (1_700_009_000.0, 1_700_009_000.0))
    [left] = left_in(tmp_path)
    assert left.wall_start == pytest.approx(1_700_009_000.0 - 1.0, abs=0.001)


# --- what is final ---


@pytest.mark.usefixtures("small_segments")
def test_final_audio_is_deleted(tmp_path: Path) -> None:
    """Segment by segment; what is kept begins at the floor, with the number of the next utterance and what it needs."""
    journal = Journal(tmp_path, 100)
    remembered = Remembered((Voice("Speaker_00", (0.6, 0.8), 2.5),), ("次の議題です。",))
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


class StalledDisk:
    """Stands in for os.fsync: waits until it is let go."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()

    def __call__(self, descriptor: int) -> None:
        self.reached.set()
        self.go.wait(20)


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


# --- leftovers in use ---


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


# --- when it can't be ---


def failures(lines: list[Any]) -> list[tuple[str, str]]:
    return [(line["session"], line["reason"]) for line in lines if line["event"] == "journal_failed"]


def tries(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Counts how often the journal has tried again."""
    tried = threading.Semaphore(0)
    try_again = journal._try_again

    def counted() -> None:
        try_again()
        tried.release()

    monkeypatch.setattr(journal, "_try_again", counted)
    return tried


def recoveries(lines: list[Any]) -> int:
    return sum(line["event"] == "journal_recovered" for line in lines)


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


# --- its use ---


def test_sessions_that_were_not_begun_are_nobodys_business(tmp_path: Path) -> None:
    """They leave nothing."""
    journal = Journal(tmp_path, 100)
    journal.append("s", 0, ramp(0, 100))
    journal.release("s", 50, 2, NOTHING)
    journal.end("s")
    journal.close()
    assert journal.problem is None
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_samples_have_to_follow_on_each_other(journal: Journal) -> None:
    """A hole would shift all that comes after it."""
    journal.begin("s", META)
    journal.append("s", 500, ramp(0, 100))
    with pytest.raises(ValueError, match="sample 601 of s does not follow on 600"):
        journal.append("s", 601, ramp(0, 100))
    journal.append("s", 600, ramp(0, 100))


def test_after_the_end_nothing_is_taken(tmp_path: Path) -> None:
    """Audio that comes after `end` does not bring the session back."""
    journal = Journal(tmp_path, 100)
    journal.begin("s", META)
    journal.append("s", 0, ramp(0, 100))
    journal.end("s")
    journal.append("s", 100, ramp(100, 200))
    journal.close()
    assert left_in(tmp_path) == []


def test_what_has_its_result_is_noted_before_audio_that_comes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where that audio can't be kept: recovery must not give a number again."""
    journal = Journal(tmp_path, 100)
    journal.begin("s", META)
    journal.append("s", 0, ramp(0, 100))
    eventually_sync(lambda: segments(tmp_path) == [0])
    monkeypatch.setattr(journal_files.SessionFiles, "append", mock.Mock(side_effect=OSError(28, "full")))
    with journal._guard:
        journal.append("s", 100, ramp(100, 200))
        journal.release("s", 60, 2, NOTHING)
    eventually_sync(lambda: journal.problem is not None)
    journal.close()
    [left] = left_in(tmp_path)
    assert (left.start, left.meta.next_sequence) == (60, 2)
