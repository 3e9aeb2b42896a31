"""Results on disk before they are sent, so that they survive whatever becomes of their client and of this process.

A thread of its own writes (`writer.py`), so that a slow disk never holds up audio. The file is in SQLite's WAL mode
with `synchronous = NORMAL`:

- The process is killed: all that was committed, and so all that was ever sent, is there.
- The power is cut, or the system crashes: the file is whole, but the latest commits may be missing: those that the
  system had not written out by itself (usually within half a minute), as only a checkpoint, after about 4 MB of
  results or at `close`, waits for the disk. A wait at each commit would hold up every result by that of the disk.

A disk that is full, read-only or gone is no reason to keep results from clients: they are sent, and held in memory, up
to a limit, to be written once it works again.

How old something is, is told by a clock that one wrong date does not move (`retention`).
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
import structlog

from ipc import clock
from ipc.errors import WernickeError
from wernicke_daemon.records import retention, transcript_file
from wernicke_daemon.records.earlier import EarlierSession, Resume
from wernicke_daemon.records.retention import DAY_S, Now, RetentionClock, Shift
from wernicke_daemon.records.writer import Write, Writer
from wernicke_daemon.utterances.voices import Known
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import ServerMessage, SpeakerUpdate

_log = structlog.get_logger()

T = TypeVar("T")

PURGE_EVERY_S = 600.0
"""Also how far the retention clock on disk may be behind, and how late it is noticed that a date was put right."""


class StoreUnusable(WernickeError):
    """There is no place for the file."""

    code = "START_FAILED"


class ResultStore(Protocol):
    """Where results go before they are sent. All is called on the event loop's thread."""

    @property
    def problem(self) -> str | None:
        """What keeps results from being stored, as a sentence; None while all is well."""

    @property
    def postponed(self) -> str | None:
        """Why what seems to be over its retention is not deleted, as a sentence; None while that is not so."""

    @property
    def healthy(self) -> bool: ...

    def open(self) -> None:
        """Before anything else. Raises StoreUnusable."""

    def session_started(
        self, session_id: str, wall_start: float, language: str, peer: str, resume: Resume | None = None
    ) -> None:
        """wall_start: seconds since 1970. resume: None for one that nobody can come back to."""

    def remember(self, session_id: str, heard: Known) -> None:
        """What is known of its voices so far, for a session that goes on for it."""

    def earlier(self, session_id: str) -> EarlierSession | None:
        """A session that another may go on for; None where it is not known."""

    def session_ended(self, session_id: str, wall_end: float) -> None:
        """wall_end: seconds since 1970."""

    def keep(self, session_id: str, sequence: int, message: ServerMessage, delivered: Callable[[], None]) -> None:
        """A final, the error of an utterance, or what was suppressed. Of several with one sequence the first is kept,
        but for an error that says that the text comes late: what comes later takes its place.

        delivered: called once it is safe, or can't be made so; for several in the order in which they were given.
        """

    def revise(self, session_id: str, update: SpeakerUpdate, delivered: Callable[[], None]) -> None:
        """Names of a final that was given to `keep`, as they are known by now. delivered: as there."""

    async def close(self) -> None:
        """Everything given to `keep` is written and `delivered`; nothing may come after it."""


def _now() -> Now:
    return Now(time.time(), clock.monotonic())


class Store:
    """A `ResultStore` in a file. retention_days: 0 keeps results for ever; they are purged at `open` and from then on
    every PURGE_EVERY_S. now: reads the clocks."""

    def __init__(self, path: Path, retention_days: int, now: Callable[[], Now] = _now) -> None:
        self.postponed: str | None = None  # why deletion waits, as a sentence
        self._now = now  # reads the clocks
        self._clock = RetentionClock(now(), retention.tolerance_s(retention_days * DAY_S))  # tells how old results are
        self._path = path  # the file
        self._retention_s = retention_days * DAY_S  # seconds; 0: for ever
        self._purging: asyncio.TimerHandle  # the next look at what is over its retention, from `open` on
        self._writer = Writer(path)  # all that changes the file

    @property
    def problem(self) -> str | None:
        return self._writer.problem

    @property
    def healthy(self) -> bool:
        return self.problem is None

    def open(self) -> None:
        self._check_directory()
        self._writer.open()
        self._purge_regularly()

    def _check_directory(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
        except OSError as error:
            raise StoreUnusable(
                f"Transcripts can't be kept in {self._path.parent} ({error.strerror}); "
                "choose another runtime.data_dir, or set store.enabled = false."
            ) from None

    def _purge_regularly(self) -> None:
        self.purge()
        self._purging = asyncio.get_running_loop().call_later(PURGE_EVERY_S, self._purge_regularly)

    # --- what is to be written ---

    def session_started(
        self, session_id: str, wall_start: float, language: str, peer: str, resume: Resume | None = None
    ) -> None:
        self._put(
            "INSERT OR IGNORE INTO session (id, begun, started, language, peer, continues, resume_key) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            session_id,
            wall_start,
            self._retention_time_of(wall_start),
            language,
            peer,
            resume and resume.continues,
            resume and resume.key,
        )

    def remember(self, session_id: str, heard: Known) -> None:
        encoded = msgspec.json.encode(heard).decode()
        self._put("UPDATE session SET voices = ? WHERE id = ?", encoded, session_id, voices_of=session_id)

    def revise(self, session_id: str, update: SpeakerUpdate, delivered: Callable[[], None]) -> None:
        self._put(
            transcript_file.REVISE_RESULT,
            session_id,
            update.sequence,
            protocol.encode(update),
            update.revision,
            delivered=delivered,
        )

    def earlier(self, session_id: str) -> EarlierSession | None:
        return self._read(lambda database: transcript_file.earlier(database, session_id), None)

    def session_ended(self, session_id: str, wall_end: float) -> None:
        self._put("UPDATE session SET ended = ? WHERE id = ?", self._retention_time_of(wall_end), session_id)

    def keep(self, session_id: str, sequence: int, message: ServerMessage, delivered: Callable[[], None]) -> None:
        kept = self._retention_time()
        # Its own row may have been purged, or given up in an outage.
        begun = self._now().wall
        self._put("INSERT OR IGNORE INTO session (id, begun, started) VALUES (?, ?, ?)", session_id, begun, kept)
        self._put(
            transcript_file.KEEP_RESULT,
            session_id,
            sequence,
            kept,
            _kind(message),
            protocol.encode(message),
            delivered=delivered,
            result=True,
        )

    def purge(self) -> None:
        """Forget what is over its retention."""
        if not self._clock.loaded:
            self._load_clock()
        now = self._retention_time()
        if self._retention_s and self._clock.loaded:
            self._purge(now - self._retention_s)
            self._tell_postponed()

    def _purge(self, oldest: float) -> None:
        self._put("DELETE FROM result WHERE kept < ?", oldest, purges="result")
        self._put(
            "DELETE FROM session WHERE coalesce(ended, started) < ? AND id NOT IN (SELECT session FROM result)",
            oldest,
            purges="session",
        )

    def _tell_postponed(self) -> None:
        due = self._read(self._due, 0) if self._clock.state.ahead_s else 0
        if due and self.postponed is None:
            days = round(self._clock.state.ahead_s / DAY_S, 1)
            _log.warning("retention_postponed", results=due, clock_ahead_days=days)
        self.postponed = retention.postponed(due, self._clock.state) if due else None

    def _due(self, database: sqlite3.Connection) -> int:
        """Results that go if the machine's clock turns out to be right."""
        state = self._clock.state
        return transcript_file.kept_until(database, min(state.wall - self._retention_s, state.parted or state.time))

    # --- the retention clock ---

    def _load_clock(self) -> None:
        """Where the disk fails it is tried again, and nothing is deleted meanwhile."""
        saved = self._read(transcript_file.clock, None) if self.healthy else None
        if saved is not None:
            self._clock.load(saved[0] if saved else None)

    def _retention_time(self) -> float:
        """The retention clock, read now. It is on disk before anything that bears its time: after a kill, too, the next
        run goes on behind all of that."""
        if (shift := self._clock.read(self._now())) is not None:
            self._shift(shift)
        if self._clock.loaded:
            self._put(transcript_file.SET_CLOCK, *self._clock.state)
        return self._clock.state.time

    def _retention_time_of(self, wall: float) -> float:
        self._retention_time()
        return self._clock.time_of(wall)

    def _shift(self, shift: Shift) -> None:
        for table, column in (("result", "kept"), ("session", "started"), ("session", "ended")):
            self._put(f"UPDATE {table} SET {column} = {column} + ? WHERE {column} > ?", shift.by_s, shift.after)

    def _put(
        self,
        sql: str,
        *parameters: object,
        delivered: Callable[[], None] | None = None,
        purges: str | None = None,
        result: bool = False,
        voices_of: str | None = None,
    ) -> None:
        self._writer.put(Write(sql, parameters, delivered, purges, result, voices_of))

    async def close(self) -> None:
        self._purging.cancel()
        self._retention_time()
        await self._writer.close()

    def _read(self, query: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        try:
            with transcript_file.reading(self._path) as database:
                return query(database)
        except transcript_file.NoTranscript as error:
            _log.error("store_unreadable", reason=str(error))
            return nothing


def _kind(message: ServerMessage) -> str:
    late = isinstance(message, protocol.Error) and message.code == protocol.LATE
    return transcript_file.LATE if late else str(message.__struct_config__.tag)
