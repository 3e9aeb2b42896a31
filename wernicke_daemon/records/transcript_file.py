"""The file that results are kept in (SQLite): how it is laid out, opened, set aside when damaged, and read.

One row a session and one a result, which holds the message as its client got it. Only the daemon's `Store` (`store.py`)
writes it, in a thread. `wernicke sessions` and `wernicke export` (`commands/transcripts.py`) read it through a
connection of their own, while a daemon writes and when none runs.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from ipc.errors import WernickeError
from ipc.files import patiently
from wernicke_daemon.records.earlier import EarlierSession
from wernicke_daemon.records.readable import read, readable
from wernicke_daemon.records.retention import ClockState
from wernicke_daemon.utterances import results as outcomes
from wernicke_daemon.utterances.voices import NOTHING, Known
from wernicke_daemon.wire.protocol import Final, SpeakerUpdate, encode

_log = structlog.get_logger()

FILE_NAME = "transcripts.db"
"""In the data directory."""

LOCK_WAIT_S = 1.0
"""For another program that writes to the file, before that counts as a failure; readers hold up nobody."""

_SCHEMAS = (
    """
    CREATE TABLE session (id TEXT PRIMARY KEY, begun REAL NOT NULL, ended REAL, language TEXT, peer TEXT);
    CREATE TABLE result (
        session TEXT NOT NULL, sequence INTEGER NOT NULL, kept REAL NOT NULL, kind TEXT NOT NULL, message TEXT NOT NULL,
        PRIMARY KEY (session, sequence)
    );
    CREATE INDEX result_by_age ON result (kept);
    """,
    # The last rows tell until when there was a daemon. The latest times may be those of a clock that was wrong.
    """
    ALTER TABLE session ADD COLUMN started REAL NOT NULL DEFAULT 0;
    UPDATE session SET started = begun;
    CREATE TABLE clock (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        time REAL NOT NULL, wall REAL NOT NULL, parted REAL, held_s REAL NOT NULL
    );
    INSERT INTO clock SELECT 1, last, last, NULL, 0 FROM (
        SELECT max(
            coalesce(ended, begun), coalesce((SELECT kept FROM result ORDER BY result.rowid DESC LIMIT 1), begun)
        ) AS last FROM session ORDER BY session.rowid DESC LIMIT 1
    );
    """,
    """
    ALTER TABLE session ADD COLUMN continues TEXT;
    ALTER TABLE session ADD COLUMN resume_key TEXT;
    ALTER TABLE session ADD COLUMN voices TEXT;
    """,
    # What was kept of voices says nothing to how they are told apart now; the names of so many are taken.
    """
    ALTER TABLE result ADD COLUMN revised INTEGER NOT NULL DEFAULT 0;
    UPDATE session SET voices = json_object('next_voice', json_array_length(voices)) WHERE voices IS NOT NULL;
    """,
    """
    CREATE TABLE origin (id TEXT NOT NULL);
    INSERT INTO origin VALUES (lower(hex(randomblob(8))));
    CREATE TABLE change (number INTEGER PRIMARY KEY AUTOINCREMENT, result INTEGER NOT NULL);
    CREATE TRIGGER result_added AFTER INSERT ON result BEGIN INSERT INTO change (result) VALUES (new.rowid); END;
    CREATE TRIGGER result_changed AFTER UPDATE OF message ON result
        BEGIN INSERT INTO change (result) VALUES (new.rowid); END;
    CREATE TRIGGER result_deleted AFTER DELETE ON result BEGIN INSERT INTO change (result) VALUES (old.rowid); END;
    """,
    # Nothing of a summary outlives the least of what it may stand on.
    """
    CREATE TABLE summary (session TEXT PRIMARY KEY, meeting TEXT NOT NULL, content TEXT NOT NULL);
    CREATE INDEX summary_by_meeting ON summary (meeting);
    CREATE TRIGGER summarized_deleted AFTER DELETE ON result BEGIN
        DELETE FROM summary WHERE meeting = (SELECT meeting FROM summary WHERE session = old.session);
    END;
    """,
)
"""What makes version n + 1 of the file out of version n. Times are seconds since 1970; of the retention clock all but
`session.begun`, which is shown. session.continues: the id of the session whose client it goes on for. resume_key,
voices: see `earlier.EarlierSession`. result.revised: the revision of the message, where it is not that of the result as
it came. origin: tells this file from others. change: for the search index (`search_index.py`), which results are new,
different or gone, by rowid. summary: see `stored_summaries.py`."""

SET_CLOCK = "REPLACE INTO clock (id, time, wall, parted, held_s) VALUES (1, ?, ?, ?, ?)"
"""Parameters: a ClockState."""

LATE = "late"
"""The kind of a result whose text is still to come; of others it is the message's type."""

KEEP_RESULT = f"""
    INSERT INTO result (session, sequence, kept, kind, message) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (session, sequence) DO UPDATE SET kept = excluded.kept, kind = excluded.kind, message = excluded.message
    WHERE result.kind = '{LATE}'
"""

REVISE_RESULT = """
    UPDATE result SET message = revised(message, ?3), revised = ?4
    WHERE session = ?1 AND sequence = ?2 AND kind = 'final' AND revised < ?4
"""
"""Parameters: session, sequence, a `SpeakerUpdate` in JSON, its revision."""

_any, _final = msgspec.json.Decoder(dict[str, Any]), msgspec.json.Decoder(Final)

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class NoTranscript(WernickeError):
    """What was asked for is not there, or can't be read."""


# --- writing ---------------------------------------------------------------------------------------


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Made or brought up to date where necessary, to be used from any one thread; a damaged file is set aside first.

    Raises sqlite3.Error or OSError.
    """
    try:
        return _opened(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
    set_aside(path)
    return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)  # what was said is for its owner alone; SQLite's side files get the same mode
    database = sqlite3.connect(path, timeout=LOCK_WAIT_S, check_same_thread=False)
    try:
        database.executescript(
            # secure_delete: what is over its retention is overwritten, not just unlinked.
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;"
        )
        database.create_function("revised", 2, _revised, deterministic=True)
        migrate(database)
    except sqlite3.Error:
        database.close()
        raise
    return database


def migrate(database: sqlite3.Connection) -> None:
    """Bring the file up to date, outside of a transaction. Raises sqlite3.Error."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > len(_SCHEMAS):
        raise sqlite3.DatabaseError("the file was written by a newer version of this program")
    for number, schema in enumerate(_SCHEMAS[version:], start=version + 1):
        database.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {number}; COMMIT;")


def _revised(message: str, update: str) -> str:
    """A final and a `SpeakerUpdate` of it, both JSON, put together. One that is damaged stays as it is."""
    final, told = read(_final, message), msgspec.json.decode(update, type=SpeakerUpdate)
    return message if final is None else encode(outcomes.revised(final, told))


def is_damage(error: Exception) -> bool:
    """Whether the file itself is broken: trying again will not help."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def set_aside(path: Path) -> None:
    """Give a damaged file, which nobody has open, a new name: SQLite's `.recover` may save much of it.

    Raises OSError.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    damaged = f"{path.stem}-damaged-{stamp}{path.suffix}"
    for ending in ("", "-wal", "-shm"):
        file = path.with_name(path.name + ending)
        if file.exists():
            patiently(partial(file.replace, path.with_name(damaged + ending)))
    _log.error("transcripts_damaged", moved_to=damaged)


# --- reading ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """For the queries below. Raises NoTranscript where there is no file, or (in the block, too) it can't be read."""
    if not path.exists():
        raise NoTranscript(
            f"There are no transcripts at {path}; a daemon puts them there while store.enabled is true. "
            "Name its settings with --config."
        )
    address = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=LOCK_WAIT_S)) as database:
            yield database
    except sqlite3.Error as error:
        raise NoTranscript(f"The transcripts can't be read ({error}): {path}") from None


def find(database: sqlite3.Connection, wanted: str) -> str:
    """The id that `wanted` stands for: itself, the only one that begins so, or "last". Raises NoTranscript."""
    if wanted == "last":
        latest = f"SELECT id FROM session ORDER BY {started_column(database)} DESC, rowid DESC LIMIT 1"
        rows = database.execute(latest).fetchall()
    else:
        rows = database.execute(
            # Two are enough to know that it is ambiguous; the exact one comes first.
            "SELECT id FROM session WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT 2",
            (wanted,),
        ).fetchall()
    if not rows:
        raise NoTranscript(f"There is no session {wanted}; `wernicke sessions` lists them.")
    if len(rows) > 1 and rows[0][0] != wanted:
        raise NoTranscript(f"More than one session begins with {wanted}; give more of its id.")
    return str(rows[0][0])


def results(database: sqlite3.Connection, session: str, after: int = 0) -> list[dict[str, Any]]:
    """The messages with a sequence above `after`, in order: each a `final`, `error` or `suppressed`."""
    rows = database.execute(
        "SELECT message FROM result WHERE session = ? AND sequence > ? ORDER BY sequence", (session, after)
    )
    return readable(_any, (message for (message,) in rows))


def meeting(database: sqlite3.Connection, session: str) -> list[tuple[str, float]]:
    """The sessions that go on one for another and have `session` among them, in the order in which they began, with the
    seconds from the begin of the first to its own by the retention clock."""
    continues, started = continues_column(database), started_column(database)
    rows = database.execute(
        f"""
        WITH RECURSIVE link (id, other) AS (
            SELECT id, {continues} FROM session UNION SELECT {continues}, id FROM session
        ), part (id) AS (
            VALUES (?) UNION SELECT link.other FROM link JOIN part ON link.id = part.id WHERE link.other IS NOT NULL
        )
        SELECT session.id, {started} FROM session JOIN part ON session.id = part.id ORDER BY {started}, session.rowid
        """,
        (session,),
    ).fetchall()
    return [(part, started - rows[0][1]) for part, started in rows]


def earlier(database: sqlite3.Connection, session: str) -> EarlierSession | None:
    """None where there is no such session."""
    row = database.execute("SELECT resume_key, voices FROM session WHERE id = ?", (session,)).fetchone()
    return row and EarlierSession(session, row[0], msgspec.json.decode(row[1], type=Known) if row[1] else NOTHING)


def clock(database: sqlite3.Connection) -> list[ClockState]:
    """The retention clock as it was written last; none in a file that no daemon has used yet."""
    return [ClockState(*row) for row in database.execute("SELECT time, wall, parted, held_s FROM clock")]


def kept_until(database: sqlite3.Connection, latest: float) -> int:
    """How many results are that old. latest: by the retention clock, seconds since 1970."""
    (count,) = database.execute("SELECT count(*) FROM result WHERE kept <= ?", (latest,)).fetchone()
    return int(count)


def started_column(database: sqlite3.Connection) -> str:
    """The column with the begin of a session by the retention clock. A file that no daemon has opened since there is
    one has only the begin by the machine's."""
    return "session.started" if _version(database) > 1 else "session.begun"


def continues_column(database: sqlite3.Connection) -> str:
    """The column, of a file that has it."""
    return "session.continues" if _version(database) > 2 else "NULL"


def has_summaries(database: sqlite3.Connection) -> bool:
    return _version(database) > 5


def _version(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)
