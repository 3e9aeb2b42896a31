"""What was handed over is there after any end."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.unit.journal.recordings import META, NOTHING, ROOT, left_in, ramp, runs_of, samples_of, segments
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.journal_files import FILE_SAMPLES, SessionMeta


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
