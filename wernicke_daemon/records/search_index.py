"""The index that transcripts are searched by (SQLite FTS5, trigrams), in a file of its own beside them.

It can be made again from the transcripts at any time, and so nothing about it endangers them: a damaged one is deleted
and made anew. A thread of its own brings it up to date in small steps after what the store's thread has written, and
only reads the transcripts: no result waits for it.

Triggers write down in the transcripts which results have changed (`change`), whoever changed them. How far the index
has come is kept in the index itself, in the transaction of what it has taken over: no kill and no power cut parts the
two. What was there before the index is taken over from the latest result backwards, beside what comes in.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import structlog

from ipc import clock
from ipc.files import patiently
from wernicke_daemon.records.folding import fold
from wernicke_daemon.records.transcript_file import LOCK_WAIT_S

_log = structlog.get_logger()

FILE_NAME = "transcripts-search.db"
"""Beside the transcripts."""

RESULTS_A_STEP = 25
"""Some milliseconds (benchmarks/search.py)."""

REST_S = 0.01
"""Between two steps: about as long as one takes, so that half a core is the most that it costs."""

KEPT_CHANGES = 10_000
"""That are taken over and still written down: more than a power cut takes back of either file."""

_PASSING = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
)

RETRY_EVERY_S = 30.0
"""After a failure."""

AFTER_LAST = "  "
"""What follows each text: two characters more, so that each of its letters begins a trigram (`search.py`)."""

_VERSION = 2
"""An index of another one is made anew: those of 1 may lack what came while they were begun."""

_SCHEMA = f"""
    PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;
    BEGIN IMMEDIATE;
    CREATE VIRTUAL TABLE passage USING fts5(text, tokenize = 'trigram');
    CREATE VIRTUAL TABLE term USING fts5vocab(passage, row);
    CREATE TABLE progress (origin TEXT NOT NULL, taken INTEGER NOT NULL, below INTEGER NOT NULL);
    PRAGMA user_version = {_VERSION};
    COMMIT;
"""
"""passage: the text of one result, folded, its rowid that of the result. progress, one row: of the transcripts
called `origin` it has all changes up to number `taken`, and all results but those whose rowid is less than `below`."""

SECURE_DELETE_SINCE = (3, 42)
"""The version of SQLite from which on what is deleted is overwritten in the index, too."""


class _Said(msgspec.Struct):
    text: str


class _Final(msgspec.Struct):
    """The part of a final that is searched."""

    segments: list[_Said]


_final = msgspec.json.Decoder(_Final)


class Indexing:
    """The thread."""

    def __init__(self, transcripts: Path, forget: Callable[[int], None]) -> None:
        """transcripts: the file. forget: see `SearchIndex`."""
        self._transcripts = transcripts  # the file that it follows
        self._index = SearchIndex(transcripts.with_name(FILE_NAME), forget)  # beside it
        self._news = threading.Event()  # there may be something to do
        self._closing = False  # nothing more is to be done
        self._thread = threading.Thread(target=self._run, name="search-index", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something was written. From any thread."""
        self._news.set()

    def close(self, within_s: float) -> None:
        """After the step that it is at."""
        self._closing = True
        self._news.set()
        self._thread.join(within_s)

    def _run(self) -> None:
        while True:
            self._news.clear()  # before the look at what there is: nothing that comes later is missed
            if self._closing:
                break
            self._news.wait(self._step())
        self._index.close()

    def _step(self) -> float | None:
        """Returns the seconds after which it goes on by itself. A connection for each step holds up nobody who wants to
        move the file."""
        try:
            address = f"{self._transcripts.resolve().as_uri()}?mode=ro"
            with contextlib.closing(sqlite3.connect(address, uri=True, timeout=LOCK_WAIT_S)) as transcripts:
                return self._index.step(transcripts)
        except (sqlite3.Error, OSError):  # the store tells what is wrong with it
            return RETRY_EVERY_S


class SearchIndex:
    """Used by one thread."""

    def __init__(self, path: Path, forget: Callable[[int], None] = lambda number: None) -> None:
        """forget: told which changes need not be written down any more: all up to that number."""
        self._path = path  # the file
        self._forget = forget  # see above
        self._database: sqlite3.Connection | None = None  # None until it is needed, and after a failure
        self._far_behind = False  # so that it is worth a line in the log
        self._deleted = True  # SQLite's log may hold text that is deleted: also what an earlier run left
        self._retry_at = 0.0  # after a failure: when it is tried again
        self._reason: str | None = None  # of the last failure

    def step(self, transcripts: sqlite3.Connection) -> float | None:
        """Take over a little of what is not in it. Returns the seconds after which it wants to go on, None where there
        is nothing more. transcripts: is read only. Raises nothing: what goes wrong is logged, and tried again later."""
        if (wait_s := self._retry_at - clock.monotonic()) > 0:
            return wait_s
        try:
            database = self._opened(transcripts)
            if self._step(database, transcripts):
                return REST_S
            self._overwrite(database)
            return None
        except Exception as error:  # the store goes on without it
            self._failed(error)
            self._retry_at = clock.monotonic() + RETRY_EVERY_S
            return RETRY_EVERY_S

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _failed(self, error: Exception) -> None:
        self.close()
        anew = not _will_pass(error)
        if str(error) != self._reason:
            self._reason = str(error)
            _log.warning("search_index_failed", reason=self._reason, begun_anew=anew)
        if anew:
            with contextlib.suppress(OSError):
                self._delete()

    def _delete(self) -> None:
        for ending in ("-wal", "-shm", ""):
            patiently(partial(self._path.with_name(self._path.name + ending).unlink, missing_ok=True))

    # --- the file ---

    def _opened(self, transcripts: sqlite3.Connection) -> sqlite3.Connection:
        if self._database is not None and not self._path.exists():
            self.close()  # somebody deleted it
        if self._database is None or not _fits(self._database, transcripts):
            self.close()
            self._database = self._of(transcripts)
            taken, below = self._database.execute("SELECT taken, below FROM progress").fetchone()
            self._forget(taken - KEPT_CHANGES)
            self._far_behind = below > RESULTS_A_STEP
            if self._far_behind:
                _log.info("search_index_behind", results=below - 1)
        return self._database

    def _of(self, transcripts: sqlite3.Connection) -> sqlite3.Connection:
        """The one that is there if it belongs to these transcripts, else a new one."""
        database = self._connected()
        if _fits(database, transcripts):
            return database
        database.close()
        self._delete()
        database = self._connected()
        _make(database, transcripts)
        return database

    def _connected(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)  # what was said is for its owner alone
        database = sqlite3.connect(self._path, check_same_thread=False)
        try:
            database.executescript("PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;")
        except sqlite3.Error:
            database.close()
            raise
        return database

    # --- one step ---

    def _step(self, database: sqlite3.Connection, transcripts: sqlite3.Connection) -> bool:
        taken, below = database.execute("SELECT taken, below FROM progress").fetchone()
        changes = transcripts.execute(
            "SELECT number, result FROM change WHERE number > ? ORDER BY number LIMIT ?", (taken, RESULTS_A_STEP)
        ).fetchall()
        if changes:
            rows = {row for _, row in changes}
            last = changes[-1][0]
            self._deleted |= _write(database, rows, _texts(transcripts, rows), (last, below))
            if last // KEPT_CHANGES > taken // KEPT_CHANGES:
                self._forget(last - KEPT_CHANGES)
            return True
        return self._earlier(database, transcripts, taken, below)

    def _earlier(self, database: sqlite3.Connection, transcripts: sqlite3.Connection, taken: int, below: int) -> bool:
        """Of what was there before."""
        if not below:
            return False
        found = transcripts.execute(
            "SELECT rowid FROM result WHERE rowid < ? ORDER BY rowid DESC LIMIT ?", (below, RESULTS_A_STEP)
        )
        rows = [row for (row,) in found]
        self._deleted |= _write(database, rows, _texts(transcripts, rows), (taken, min(rows, default=0)))
        if not rows:
            self._reason = None
            if self._far_behind:
                _log.info("search_index_complete")
        return bool(rows)

    def _overwrite(self, database: sqlite3.Connection) -> None:
        """What was deleted goes from the file and from SQLite's log; while somebody reads it is tried again with the
        next thing that is written."""
        if self._deleted:
            (busy, *_) = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._deleted = bool(busy)


def _will_pass(error: Exception) -> bool:
    """As a full disk does; else the file is no good."""
    return isinstance(error, OSError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING


def _fits(database: sqlite3.Connection, transcripts: sqlite3.Connection) -> bool:
    """Not where one of the two files was replaced by another, or lost changes that the other one has."""
    if database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
        return False
    origin, taken = database.execute("SELECT origin, taken FROM progress").fetchone() or (None, 0)
    first, last = _changes(transcripts)
    return bool(origin == _origin(transcripts) and first - 1 <= taken <= last)


def _changes(transcripts: sqlite3.Connection) -> tuple[int, int]:
    """Numbers of the first that is written down or will be, and of the last that ever was."""
    last = transcripts.execute("SELECT seq FROM sqlite_sequence WHERE name = 'change'").fetchone() or (0,)
    first = transcripts.execute("SELECT min(number) FROM change").fetchone()
    return first[0] or last[0] + 1, last[0]


def _origin(transcripts: sqlite3.Connection) -> str:
    return str(transcripts.execute("SELECT id FROM origin").fetchone()[0])


def _make(database: sqlite3.Connection, transcripts: sqlite3.Connection) -> None:
    database.executescript(_SCHEMA)
    origin, taken = _origin(transcripts), _changes(transcripts)[1]  # first: what comes meanwhile is looked at twice
    last = int(transcripts.execute("SELECT coalesce(max(rowid), 0) FROM result").fetchone()[0])
    with database:
        if sqlite3.sqlite_version_info >= SECURE_DELETE_SINCE:
            database.execute("INSERT INTO passage (passage, rank) VALUES ('secure-delete', 1)")
        database.execute("INSERT INTO progress VALUES (?, ?, ?)", (origin, taken, last and last + 1))


def _texts(transcripts: sqlite3.Connection, rows: Iterable[int]) -> dict[int, str]:
    """By row, of those that are finals with text."""
    wanted = list(rows)
    found = transcripts.execute(
        f"SELECT rowid, message FROM result WHERE kind = 'final' AND rowid IN ({_marks(wanted)})", wanted
    )
    texts = ((row, _text(row, message)) for row, message in found)
    return {row: text + AFTER_LAST for row, text in texts if text.strip()}


def _text(row: int, message: str) -> str:
    """Folded; empty where the message is none: one that is damaged must not keep the others from being found."""
    try:
        return "\n".join(fold(said.text) for said in _final.decode(message).segments)
    except msgspec.DecodeError as error:
        _log.warning("result_unreadable", row=row, reason=str(error))
        return ""


def _write(database: sqlite3.Connection, rows: Iterable[int], texts: dict[int, str], progress: tuple[int, int]) -> bool:
    """In one transaction. rows: that are to be as in `texts`, those without a text not there at all. Returns whether
    there was text that is deleted now."""
    wanted = list(rows)
    there = dict(database.execute(f"SELECT rowid, text FROM passage WHERE rowid IN ({_marks(wanted)})", wanted))
    with database:
        gone = [(row,) for row, text in there.items() if texts.get(row) != text]
        database.executemany("DELETE FROM passage WHERE rowid = ?", gone)
        new = [(row, text) for row, text in texts.items() if there.get(row) != text]
        database.executemany("INSERT INTO passage (rowid, text) VALUES (?, ?)", new)
        database.execute("UPDATE progress SET taken = ?, below = ?", progress)
    return bool(gone)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
