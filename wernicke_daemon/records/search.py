"""Full-text search in the kept transcripts, by the index of `search_index.py`. Reads only.

A search is one or more terms, all of which a result has to hold; "in quotes" blanks belong to the term. The index tells
which results those are, the transcripts what stands in them by now: what is deleted is not found, however far the index
has come. Trigrams can't find what is shorter than three letters: then all trigrams that begin so are asked for, or
where these are many, and so the term is frequent, texts are looked through, the latest first.
"""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from ipc.errors import WernickeError
from wernicke_daemon.records import search_index, transcript_file
from wernicke_daemon.records.folding import Span, fold, marks
from wernicke_daemon.records.readable import read
from wernicke_daemon.records.transcript_file import NoTranscript

MOST_LETTERS = 200
"""Of a search."""

MOST_HITS = 100
"""That one page may have."""

_MOST_TRIGRAMS = 64
"""That a short term is put as; with so many it is frequent enough to be found by looking."""

_TERM = re.compile(r'"([^"]*)"?|([^\s"]+)')


class BadSearch(WernickeError):
    """Nothing that can be searched for."""


class Line(msgspec.Struct, frozen=True):
    """One segment. start, end: seconds from the begin of its session. speaker: None where it is not known. marks: of
    each place of what was searched the first character of the text, and the one after the last."""

    start: float
    end: float
    speaker: str | None
    text: str
    marks: list[Span] = []


class Hit(msgspec.Struct, frozen=True):
    """One result that holds all that was searched. wall_start: UTC, ISO 8601. before, after: of the results beside
    it."""

    session: str
    sequence: int
    wall_start: str
    lines: list[Line]
    before: list[Line]
    after: list[Line]


class Found(msgspec.Struct, frozen=True):
    """hits: the latest first. next: what to give as `before` for those that follow; None where there are none.
    complete: whether the index has all there is, and does not still take over what was kept before it."""

    hits: list[Hit]
    next: int | None
    complete: bool


class _Said(msgspec.Struct):
    start: float
    end: float
    text: str
    speaker: str | None = None


class _Range(msgspec.Struct):
    start: float


class _Final(msgspec.Struct):
    segments: list[_Said]
    timestamp_range: _Range
    wall_start: str = ""


_final = msgspec.json.Decoder(_Final)


def terms(query: str) -> list[str]:
    """Folded. Raises BadSearch."""
    if len(query) > MOST_LETTERS:
        raise BadSearch(f"A search may have {MOST_LETTERS} characters at most; this one has {len(query)}.")
    found = [folded for quoted, word in _TERM.findall(query) if (folded := fold(quoted or word))]
    if not found:
        raise BadSearch("Say what to search for.")
    return list(dict.fromkeys(found))


def search(path: Path, query: str, limit: int = 20, before: int | None = None) -> Found:
    """path: of the transcripts. limit: hits at most, from 1 to MOST_HITS. before: of an earlier answer. Raises
    BadSearch, and NoTranscript where there are no transcripts or no index yet."""
    wanted = terms(query)
    with transcript_file.reading(path) as transcripts, _reading_index(path) as index:
        rows = _rows(index, wanted, limit + 1, before)
        hits = [_hit(transcripts, row, wanted) for row in rows[:limit]]
        complete = index.execute("SELECT below FROM progress").fetchone() == (0,)
    return Found([hit for hit in hits if hit], rows[limit - 1] if len(rows) > limit else None, complete)


def _reading_index(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    file = path.with_name(search_index.FILE_NAME)
    if not file.exists():
        raise NoTranscript("There is no search index yet: the daemon makes it when it runs.")
    return transcript_file.reading(file)


# --- which results ---


def _rows(index: sqlite3.Connection, wanted: Sequence[str], limit: int, before: int | None) -> list[int]:
    """Their rowids, the latest first."""
    matches, looked_for = [], []
    for term in wanted:
        trigrams = [term] if len(term) > 2 else _trigrams(index, term)
        if not trigrams:
            return []
        if len(trigrams) < _MOST_TRIGRAMS:
            matches.append(f"({' OR '.join(map(_quoted, trigrams))})")
        else:
            looked_for.append(term)
    conditions = ["passage MATCH ?"] * bool(matches) + ["instr(text, ?)"] * len(looked_for) + ["rowid < ?"]
    values = [" AND ".join(matches)] * bool(matches) + looked_for
    found = index.execute(
        f"SELECT rowid FROM passage WHERE {' AND '.join(conditions)} ORDER BY rowid DESC LIMIT ?",
        (*values, 1 << 62 if before is None else before, limit),
    )
    return [row for (row,) in found]


def _trigrams(index: sqlite3.Connection, term: str) -> list[str]:
    """That begin so, as many as matter. Each letter of a text begins one (`search_index.AFTER_LAST`)."""
    found = index.execute(
        "SELECT term FROM term WHERE term >= ? AND term < ? LIMIT ?", (term, term + "\U0010ffff", _MOST_TRIGRAMS)
    )
    return [trigram for (trigram,) in found]


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'


# --- what stands there ---


def _hit(transcripts: sqlite3.Connection, row: int, wanted: Sequence[str]) -> Hit | None:
    """None where it does not hold it any more, or is gone."""
    found = transcripts.execute(
        "SELECT session, sequence, message FROM result WHERE rowid = ? AND kind = 'final'", (row,)
    ).fetchone()
    if found is None:
        return None
    session, sequence, message = found
    if (final := read(_final, message)) is None:
        return None
    lines = _lines(final, wanted)
    text = "\n".join(fold(line.text) for line in lines)
    if not all(term in text for term in wanted):
        return None
    beside = [_beside(transcripts, session, sequence, *side) for side in (("<", "DESC"), (">", "ASC"))]
    return Hit(session, sequence, final.wall_start, lines, *beside)


def _beside(transcripts: sqlite3.Connection, session: str, sequence: int, side: str, order: str) -> list[Line]:
    found = transcripts.execute(
        f"SELECT message FROM result WHERE session = ? AND sequence {side} ? AND kind = 'final' "
        f"ORDER BY sequence {order} LIMIT 1",
        (session, sequence),
    ).fetchone()
    final = read(_final, found[0]) if found else None
    return _lines(final, ()) if final else []


def _lines(final: _Final, wanted: Sequence[str]) -> list[Line]:
    said = [each for each in final.segments if each.text.strip()]
    return [Line(*_times(final, each), each.speaker, each.text, marks(each.text, wanted)) for each in said]


def _times(final: _Final, said: _Said) -> tuple[float, float]:
    """Of its session, to the millisecond."""
    begin = final.timestamp_range.start
    return round(begin + said.start, 3), round(begin + said.end, 3)
