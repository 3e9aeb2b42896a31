"""A transcript as it is read: who said what and when, without the words' own times. Reads only."""

import sqlite3
from collections import Counter
from collections.abc import Iterator

import msgspec

from wernicke_daemon.records.readable import read
from wernicke_daemon.records.transcript_file import find, meeting


class Turn(msgspec.Struct, frozen=True):
    """A segment. session, sequence: of its result. start, end: seconds from the begin of the transcript. original: as
    it was recognised, where the language model changed it."""

    session: str
    sequence: int
    start: float
    end: float
    speaker: str | None
    text: str
    original: str | None


class Transcript(msgspec.Struct, frozen=True):
    """session: the first of those that go on one for another. begun: seconds since 1970. failed: utterances without a
    text. language: of most results, ISO 639-1; "" where none says."""

    session: str
    sessions: list[str]
    begun: float
    turns: list[Turn]
    failed: int
    language: str = ""


class _Said(msgspec.Struct):
    start: float
    end: float
    text: str
    speaker: str | None = None
    original_text: str | None = None


class _Range(msgspec.Struct):
    start: float
    end: float


class _Final(msgspec.Struct):
    segments: list[_Said]
    timestamp_range: _Range
    language: str | None = None


_final = msgspec.json.Decoder(_Final)


def transcript(database: sqlite3.Connection, wanted: str) -> Transcript:
    """Of the session that `wanted` stands for (see `transcript_file.find`), with those that it goes on for and that go
    on for it, on the clock of the first. Raises NoTranscript."""
    parts = meeting(database, find(database, wanted))
    first = parts[0][0]
    (begun,) = database.execute("SELECT begun FROM session WHERE id = ?", (first,)).fetchone()
    turns: list[Turn] = []
    languages: Counter[str] = Counter()
    failed = 0
    end = 0.0
    for session, offset_s in parts:
        start = max(offset_s, end)  # as `one_clock` has it: nothing overlaps
        rows = database.execute(
            "SELECT sequence, kind, message FROM result WHERE session = ? ORDER BY sequence", (session,)
        )
        for sequence, kind, message in rows:
            final = read(_final, message) if kind == "final" else None
            if final is not None:
                end = max(end, start + final.timestamp_range.end)
                turns += _turns(session, sequence, final, start)
                languages[final.language or ""] += 1
            failed += kind == "error" or (kind == "final" and final is None)
    turns.sort(key=lambda turn: turn.start)
    language = max(languages, key=languages.__getitem__, default="")
    return Transcript(first, [session for session, _ in parts], begun, turns, failed, language)


def _turns(session: str, sequence: int, final: _Final, start: float) -> Iterator[Turn]:
    offset = start + final.timestamp_range.start
    for said in final.segments:
        if text := said.text.strip():
            original = said.original_text if said.original_text != text else None
            yield Turn(session, sequence, offset + said.start, offset + said.end, said.speaker, text, original)
