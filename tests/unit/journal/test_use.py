"""Calls in an order that makes no sense, or just enough."""

from pathlib import Path
from unittest import mock

import pytest

from tests.unit.journal.recordings import META, NOTHING, left_in, ramp, segments
from tests.waiting import eventually_sync
from wernicke_daemon.records import journal_files
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.utterances.context import Remembered
from wernicke_daemon.utterances.voices import Known


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


def test_a_name_is_noted_without_any_result(tmp_path: Path) -> None:
    """A client has said who somebody is, and nothing has become final since."""
    journal = Journal(tmp_path, 100)
    journal.begin("s", META)
    journal.append("s", 0, ramp(0, 100))
    journal.release("s", 0, 1, NOTHING)
    journal.release("s", 0, 1, Remembered(Known(given={"Speaker_00": "田中"})))
    journal.close()
    [left] = left_in(tmp_path)
    assert left.meta.remembered.heard.given == {"Speaker_00": "田中"}
