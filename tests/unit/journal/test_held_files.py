"""Files of the journal that another program holds, as virus scanners and indexers on Windows do: no audio is lost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ipc import files
from tests.unit.journal.recordings import META, NOTHING, left_in, ramp, samples_of, segments
from tests.waiting import eventually_sync
from wernicke_daemon.records.journal import HELD_ADVICE, Journal


class Holder:
    """Makes an operation of Path fail as Windows does, on what has that suffix, while `holds`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, operation: str, suffix: str) -> None:
        self.holds = True
        self.refused = 0
        real: Callable[..., Any] = getattr(Path, operation)

        def act(path: Path, *args: Any, **options: Any) -> Any:
            if not self.holds or path.suffix != suffix:
                return real(path, *args, **options)
            self.refused += 1
            error = PermissionError(13, "The process cannot access the file")
            error.winerror = 32  # type: ignore[attr-defined,unused-ignore]
            raise error

        monkeypatch.setattr(Path, operation, act)


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PATIENCE_S", 0.1)


def journal_of(directory: Path, samples: int) -> Journal:
    """With a session that has so many."""
    journal = Journal(directory, 100)
    journal.begin("s", META)
    journal.append("s", 0, ramp(0, samples))
    return journal


@pytest.mark.usefixtures("small_segments")
def test_final_audio_that_can_not_be_deleted_yet_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes later; what comes meanwhile is journalled."""
    holder = Holder(monkeypatch, "unlink", ".f32")
    journal = journal_of(tmp_path, 120)
    journal.release("s", 110, 2, NOTHING)
    eventually_sync(lambda: holder.refused and segments(tmp_path) == [0, 50, 100])
    holder.holds = False
    journal.append("s", 120, ramp(120, 130))
    eventually_sync(lambda: segments(tmp_path) == [100])
    journal.close()
    assert journal.problem is None
    np.testing.assert_array_equal(samples_of(left_in(tmp_path)[0]), ramp(110, 130))


@pytest.mark.usefixtures("quick_tries")
def test_a_session_that_is_over_is_removed_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else has to happen for that."""
    holder = Holder(monkeypatch, "rename", "")
    journal = journal_of(tmp_path, 50)
    eventually_sync(lambda: segments(tmp_path) == [0])
    journal.end("s")
    eventually_sync(lambda: holder.refused > 20)  # more than one patience
    assert journal.problem is None
    holder.holds = False
    eventually_sync(lambda: not (tmp_path / "s").exists())
    journal.close()
    assert left_in(tmp_path) == []


def test_a_file_that_stays_held_is_told_for_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told to make room."""
    Holder(monkeypatch, "replace", ".new")
    journal = Journal(tmp_path, 100)
    journal.begin("s", META)
    eventually_sync(lambda: journal.problem)
    journal.close()
    assert HELD_ADVICE in str(journal.problem) and "room" not in str(journal.problem)


def test_a_moment_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for where the file must be replaced."""
    monkeypatch.setattr(files, "PATIENCE_S", 60.0)
    holder = Holder(monkeypatch, "replace", ".new")
    journal = journal_of(tmp_path, 50)
    eventually_sync(lambda: holder.refused > 2)
    holder.holds = False
    journal.close()
    assert journal.problem is None
    np.testing.assert_array_equal(samples_of(left_in(tmp_path)[0]), ramp(0, 50))
