"""Who spoke in transcripts that are on disk already: put right, or forgotten."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from wernicke_daemon.records.transcript_file import NoTranscript

LOCK_WAIT_S = 5.0
"""For the daemon, which writes in moments."""

_Message = dict[str, Any]


def rename(path: Path, sessions: Sequence[str], speaker: str, name: str) -> int:
    """Call a speaker of these sessions by another name, in their segments and words, all or none. path: of the file.
    Returns in how many results. Raises NoTranscript where there is no such speaker, or the file can't be written."""
    with changing(path) as database:
        return _rename(database, sessions, speaker, name)


def forget(path: Path, name: str) -> int:
    """What a person sounded like in sessions that are over, and with it what is known of other voices there: who goes
    on for one begins anew with them. Texts stay. Returns in how many. Raises NoTranscript where the file can't be
    written."""
    if not path.exists():
        return 0
    with changing(path) as database:
        return database.execute(_FORGET, (name,)).rowcount


_FORGET = """
    UPDATE session SET voices = NULL WHERE ended IS NOT NULL AND voices IS NOT NULL AND ?1 IN (
        SELECT value FROM json_each(voices, '$.given') UNION SELECT value FROM json_each(voices, '$.recognised')
    )
"""


@contextlib.contextmanager
def changing(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction, of which nothing old is left on disk. Raises NoTranscript where the file can't be written."""
    try:
        address = f"{path.resolve().as_uri()}?mode=rw"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=LOCK_WAIT_S)) as database:
            database.execute("PRAGMA secure_delete = ON")
            with database:
                database.execute("BEGIN IMMEDIATE")
                yield database
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise NoTranscript(f"The transcripts can't be changed ({error}): {path}") from None


def _rename(database: sqlite3.Connection, sessions: Sequence[str], speaker: str, name: str) -> int:
    marks = ", ".join("?" * len(sessions))
    select = f"SELECT rowid, message FROM result WHERE kind = 'final' AND session IN ({marks}) ORDER BY rowid"
    finals = [(row, msgspec.json.decode(message, type=_Message)) for row, message in database.execute(select, sessions)]
    said = [(row, final) for row, final in finals if speaker in _speakers(final)]
    if not said:
        there = ", ".join(dict.fromkeys(known for _, final in finals for known in _speakers(final))) or "nobody"
        raise NoTranscript(f"There is no speaker {speaker!r} in it; there are: {there}.")
    database.executemany(
        "UPDATE result SET message = ? WHERE rowid = ?",
        [(msgspec.json.encode(_renamed(final, speaker, name)).decode(), row) for row, final in said],
    )
    return len(said)


def _speakers(final: _Message) -> list[str]:
    return [segment["speaker"] for segment in final["segments"] if segment.get("speaker")]


def _renamed(final: _Message, speaker: str, name: str) -> _Message:
    segments = [_with_name(segment, speaker, name) for segment in final["segments"]]
    for segment in segments:
        if "words" in segment:
            segment["words"] = [_with_name(word, speaker, name) for word in segment["words"]]
    return final | {"segments": segments}


def _with_name(said: _Message, speaker: str, name: str) -> _Message:
    return said | {"speaker": name} if said.get("speaker") == speaker else dict(said)
