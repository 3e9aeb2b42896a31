"""Who spoke in transcripts that are on disk already: put right, or forgotten."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from wernicke_daemon.records.readable import read
from wernicke_daemon.records.transcript_file import NoTranscript
from wernicke_daemon.utterances.titles import BadName, Titles, label_of

LOCK_WAIT_S = 5.0
"""For the daemon, which writes in moments."""

_Message = dict[str, Any]

_message = msgspec.json.Decoder(_Message)


class _Voices(msgspec.Struct):
    """The part of `voices.Known` that says what they are called."""

    next_voice: int = 0
    given: dict[str, str] = {}
    recognised: dict[str, str] = {}


def rename(path: Path, sessions: Sequence[str], speaker: str, name: str) -> int:
    """Call a speaker of these sessions by another name, in their segments and words and for whoever goes on for them,
    all or none. path: of the file. Returns in how many results. Raises NoTranscript where there is no such speaker, or
    the file can't be written."""
    with changing(path) as database:
        if not (results := _rename(database, sessions, speaker, name)):
            there = ", ".join(_all_speakers(database, sessions)) or "nobody"
            raise NoTranscript(f"There is no speaker {speaker!r} in it; there are: {there}.")
        return results


def rename_where_heard(path: Path, sessions: Sequence[str], speaker: str, name: str) -> None:
    """The same where it is known from elsewhere that there is that speaker. Raises NoTranscript where the file can't be
    written."""
    with changing(path) as database:
        _rename(database, sessions, speaker, name)


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
    said = [(row, final) for row, final in _finals(database, sessions) if speaker in _speakers(final)]
    database.executemany(
        "UPDATE result SET message = ? WHERE rowid = ?",
        [(msgspec.json.encode(_renamed(final, speaker, name)).decode(), row) for row, final in said],
    )
    for session, voices in _voices(database, sessions):
        with contextlib.suppress(BadName):  # it was not heard yet
            given = msgspec.json.encode(_given(voices, speaker, name)).decode()
            database.execute(
                "UPDATE session SET voices = json_set(voices, '$.given', json(?)) WHERE id = ?", (given, session)
            )
    return len(said)


def _finals(database: sqlite3.Connection, sessions: Sequence[str]) -> list[tuple[int, _Message]]:
    """By rowid."""
    select = (
        f"SELECT rowid, message FROM result WHERE kind = 'final' AND session IN ({_marks(sessions)}) ORDER BY rowid"
    )
    found = ((row, read(_message, message)) for row, message in database.execute(select, sessions))
    return [(row, final) for row, final in found if final is not None]


def _all_speakers(database: sqlite3.Connection, sessions: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(known for _, final in _finals(database, sessions) for known in _speakers(final)))


def _voices(database: sqlite3.Connection, sessions: Sequence[str]) -> list[tuple[str, _Voices]]:
    select = f"SELECT id, voices FROM session WHERE voices IS NOT NULL AND id IN ({_marks(sessions)})"
    return [
        (session, msgspec.json.decode(voices, type=_Voices)) for session, voices in database.execute(select, sessions)
    ]


def _given(voices: _Voices, speaker: str, name: str) -> dict[str, str]:
    """Raises BadName where there is no such voice."""
    titles = Titles(voices.given, voices.recognised)
    titles.give(speaker, name, [label_of(voice) for voice in range(voices.next_voice)])
    return titles.given


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


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
