"""Summaries in the file of transcripts: of which sessions they are, and when they go."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.web_transcripts.kept import BEGUN, add, message
from wernicke_daemon.records import reading, stored_sessions, stored_speakers, stored_summaries, transcript_file
from wernicke_daemon.records.retention import DAY_S, Now
from wernicke_daemon.records.store import Store
from wernicke_daemon.records.stored_summaries import Source, Statement, Summary
from wernicke_daemon.records.transcript_file import NoTranscript

SECRET = "予算は480万円に決まった。"


@pytest.fixture
def kept(file: Path) -> Iterator[Path]:
    """Two sessions of one transcript, each with two results, and a session apart."""
    file.parent.mkdir()
    with contextlib.closing(transcript_file.open_for_writing(file)) as database, database:
        _fill(database)
    yield file


def _fill(database: sqlite3.Connection) -> None:
    for number, (session, continues) in enumerate((("aa01", None), ("bb02", "aa01"), ("cc03", None))):
        begun = BEGUN + 60 * number
        row = (session, begun, begun, begun + 30, continues)
        database.execute("INSERT INTO session (id, begun, started, ended, continues) VALUES (?, ?, ?, ?, ?)", row)
        for sequence in (1, 2):
            add(database, session, sequence, message(sequence, "予算です。", "田中", 5.0 * sequence))


def transcript(file: Path, session: str = "aa01") -> reading.Transcript:
    with transcript_file.reading(file) as database:
        return reading.transcript(database, session)


def summarize(file: Path, session: str = "aa01", text: str = SECRET) -> Summary:
    found = transcript(file, session)
    statement = Statement("decision", text, "", "", [Source(found.session, 1, 5.0)])
    summary = Summary(
        found.session, "model", "2026-01-01T00:00:00Z", stored_summaries.fingerprint(found.turns), [statement], 0
    )
    stored_summaries.keep(file, found, summary)
    return summary


def summary(file: Path, session: str) -> Summary | None:
    with transcript_file.reading(file) as database:
        return stored_summaries.of(database, session)


def test_a_summary_is_of_all_sessions_of_a_transcript(kept: Path) -> None:
    made = summarize(kept)
    assert summary(kept, "aa01") == summary(kept, "bb02") == made and summary(kept, "cc03") is None
    again = summarize(kept, text="別の文。")
    assert summary(kept, "bb02") == again


@pytest.mark.parametrize("session", ["aa01", "bb02"])
def test_it_goes_with_any_session_that_is_deleted(kept: Path, session: str) -> None:
    """For good: nothing of it is left on disk. Others stay."""
    summarize(kept)
    other = summarize(kept, "cc03", "ほかの文。")
    stored_sessions.delete(kept, session)
    assert summary(kept, "aa01") is summary(kept, "bb02") is None
    assert summary(kept, "cc03") == other
    for file in kept.parent.iterdir():
        assert SECRET.encode() not in file.read_bytes(), file


async def test_it_goes_with_the_first_result_that_is_too_old(kept: Path) -> None:
    """It may stand on that, and says no longer where."""
    summarize(kept)
    with contextlib.closing(transcript_file.open_for_writing(kept)) as database, database:
        database.execute("UPDATE result SET kept = kept + ? WHERE session != 'aa01' OR sequence > 1", (2 * DAY_S,))
    assert summary(kept, "aa01") is not None
    now = Now(BEGUN + 2 * DAY_S, 0.0)
    store = Store(kept, retention_days=1, now=lambda: now)
    store.open()
    await store.close()
    assert [turn.sequence for turn in transcript(kept).turns] == [2, 1, 2]
    assert summary(kept, "aa01") is None


def test_another_name_is_another_transcript(kept: Path) -> None:
    """The summary stays, and can be told to be older than that."""
    made = summarize(kept)
    assert stored_speakers.rename(kept, ["aa01", "bb02"], "田中", "中田") == 4
    assert summary(kept, "aa01") == made
    assert made.of != stored_summaries.fingerprint(transcript(kept).turns)


def test_what_was_deleted_meanwhile_gets_none(kept: Path) -> None:
    found = transcript(kept)
    stored_sessions.delete(kept, "bb02")
    with pytest.raises(NoTranscript, match="deleted while"):
        stored_summaries.keep(kept, found, Summary("aa01", "model", "", "", [], 0))
    assert summary(kept, "aa01") is None


def test_a_file_of_an_older_version_has_none_and_gets_one(file: Path) -> None:
    """As `wernicke summary` finds it where no daemon has run since the update."""
    file.parent.mkdir()
    with contextlib.closing(sqlite3.connect(file)) as database:
        for schema in transcript_file._SCHEMAS[:5]:
            database.executescript(schema)
        with database:
            database.execute("PRAGMA user_version = 5")
            _fill(database)
    assert summary(file, "aa01") is None
    assert summarize(file) == summary(file, "aa01")
