"""Summaries beside the transcripts, in the same file: kept and read.

A summary is of a whole transcript, with the sessions that go on one for another; it has a row for each of them, all
with the same content. When any result of any of them is deleted, on request or as too old, the summary goes with it (a
trigger of the file).
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ipc.summary import Kind
from wernicke_daemon.records import transcript_file
from wernicke_daemon.records.reading import Transcript, Turn
from wernicke_daemon.records.stored_speakers import LOCK_WAIT_S, changing
from wernicke_daemon.records.transcript_file import NoTranscript


class Source(msgspec.Struct, frozen=True):
    """A line of a transcript. session, sequence: of the result that it is in. start: seconds from the begin of the
    transcript."""

    session: str
    sequence: int
    start: float


class Statement(msgspec.Struct, frozen=True):
    """A sentence of a summary. lines: that it stands on, at least one. who, until: of a task; "" where that was not
    said."""

    kind: Kind
    text: str
    who: str
    until: str
    lines: list[Source]


class Summary(msgspec.Struct, frozen=True):
    """session: the first of the transcript. model: that made it. made: when, UTC, ISO 8601. of: fingerprint of the
    lines that it was made of. dropped: sentences that the model gave and that did not stand in their lines."""

    session: str
    model: str
    made: str
    of: str
    statements: list[Statement]
    dropped: int


def fingerprint(turns: Sequence[Turn]) -> str:
    """Another one where a line, or a speaker's name, has changed since, or more was said."""
    said = msgspec.json.encode([(turn.session, turn.sequence, turn.speaker, turn.text) for turn in turns])
    return hashlib.sha256(said).hexdigest()[:16]


def of(database: sqlite3.Connection, session: str) -> Summary | None:
    """session: any of those that it is of."""
    if not transcript_file.has_summaries(database):
        return None
    row = database.execute("SELECT content FROM summary WHERE session = ?", (session,)).fetchone()
    return row and msgspec.json.decode(row[0], type=Summary)


def keep(path: Path, transcript: Transcript, summary: Summary) -> None:
    """In place of an earlier one. path: of the file. transcript: that it was made of. Raises NoTranscript where one of
    its lines has been deleted since, or the file can't be written."""
    _bring_up_to_date(path)
    content = msgspec.json.encode(summary).decode()
    with changing(path) as database:
        for turn in transcript.turns:
            found = database.execute(
                "SELECT 1 FROM result WHERE session = ? AND sequence = ?", (turn.session, turn.sequence)
            )
            if found.fetchone() is None:
                raise NoTranscript("The transcript was deleted while its summary was made; there is none.")
        parts = [(session,) for session in transcript.sessions]
        database.executemany(_FORGET, parts)
        database.executemany(
            "INSERT INTO summary (session, meeting, content) VALUES (?, ?, ?)",
            [(session, transcript.session, content) for session in transcript.sessions],
        )


_FORGET = "DELETE FROM summary WHERE meeting = (SELECT meeting FROM summary WHERE session = ?)"


def _bring_up_to_date(path: Path) -> None:
    """Of a file that no daemon has opened since there are summaries."""
    try:
        address = f"{path.resolve().as_uri()}?mode=rw"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=LOCK_WAIT_S)) as database:
            transcript_file.migrate(database)
    except sqlite3.Error as error:
        raise NoTranscript(f"The transcripts can't be changed ({error}): {path}") from None
