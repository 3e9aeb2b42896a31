"""Which sessions are in the file of transcripts, and what is to be known of each. Reads only."""

import sqlite3
from collections import Counter

import msgspec

from wernicke_daemon.records.readable import readable
from wernicke_daemon.records.transcript_file import continues_column, started_column

FIRST_WORDS = 60
"""Characters of what a session begins with."""


class SessionSummary(msgspec.Struct, frozen=True):
    """One session of those on disk."""

    id: str  # its name
    begun: float  # seconds since 1970
    length_s: float  # until it ended (where nobody saw it, until its last result); of a file, until its last text
    results: int  # finals
    language: str | None  # of its finals, comma-separated; of the session where it has none
    speakers: list[str]  # by what they are called, who says most first
    first_words: str  # what it begins with
    continues: str | None = None  # the session whose client it goes on for, as that session had been given up


class _Said(msgspec.Struct):
    text: str
    speaker: str | None = None


class _Range(msgspec.Struct):
    end: float


class _Final(msgspec.Struct):
    timestamp_range: _Range
    segments: list[_Said]
    language: str | None = None


_final = msgspec.json.Decoder(_Final)


def sessions(database: sqlite3.Connection, limit: int = -1, before: str | None = None) -> list[SessionSummary]:
    """The latest first, whatever the machine's clock said. limit: of how many; negative for all. before: id of a
    session, for those that began earlier."""
    started = started_column(database)
    rows = database.execute(
        f"""
        SELECT id, begun, {started}, ended, language, {continues_column(database)} FROM session
        WHERE ?1 IS NULL OR ({started}, rowid) < (SELECT {started}, rowid FROM session WHERE id = ?1)
        ORDER BY {started} DESC, rowid DESC LIMIT ?2
        """,
        (before, limit),
    ).fetchall()
    return [_summary(database, *row) for row in rows]


def _summary(
    database: sqlite3.Connection,
    session: str,
    begun: float,
    started: float,
    ended: float | None,
    language: str | None,
    continues: str | None,
) -> SessionSummary:
    rows = database.execute(
        "SELECT kept, iif(kind = 'final', message, NULL) FROM result WHERE session = ? ORDER BY sequence", (session,)
    ).fetchall()
    finals = readable(_final, (message for _, message in rows if message is not None))
    languages = dict.fromkeys(final.language for final in finals if final.language)
    said = [said for final in finals for said in final.segments]
    until = ended if ended is not None else max((kept for kept, _ in rows), default=started)
    spoken_s = max((final.timestamp_range.end for final in finals), default=0.0)  # a file comes faster than it was said
    return SessionSummary(
        session,
        begun,
        max(until - started, spoken_s),
        len(finals),
        ",".join(languages) or language,
        _speakers(said),
        next((one.text.strip()[:FIRST_WORDS] for one in said if one.text.strip()), ""),
        continues,
    )


def _speakers(said: list[_Said]) -> list[str]:
    letters: Counter[str] = Counter()
    for one in said:
        if one.speaker:
            letters[one.speaker] += len(one.text)
    return [speaker for speaker, _ in letters.most_common()]
