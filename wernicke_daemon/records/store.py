"""Results on disk before they are sent, so that they survive whatever becomes of their client and of this process.

A thread of its own writes, so that a slow disk never holds up audio; what has come together meanwhile goes into one
transaction. The file is in SQLite's WAL mode with `synchronous = NORMAL`:

- The process is killed: all that was committed, and so all that was ever sent, is there.
- The power is cut, or the system crashes: the file is whole, but the latest commits may be missing: those that the
  system had not written out by itself (usually within half a minute), as only a checkpoint, after about 4 MB of
  results or at `close`, waits for the disk. A wait at each commit would hold up every result by that of the disk.

A disk that is full, read-only or gone is no reason to keep results from clients: they are sent, and held in memory, up
to a limit, to be written once it works again.

How old something is, is told by a clock that one wrong date does not move (`retention`).
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
import structlog

from ipc import clock
from ipc.errors import WernickeError
from wernicke_daemon.hardware import descriptors
from wernicke_daemon.records import retention, transcript_file
from wernicke_daemon.records.earlier import EarlierSession, Resume
from wernicke_daemon.records.retention import DAY_S, Now, RetentionClock, Shift
from wernicke_daemon.utterances.voices import Known
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import ServerMessage, SpeakerUpdate

_log = structlog.get_logger()

T = TypeVar("T")

RETRY_EVERY_S = 5.0
PURGE_EVERY_S = 600.0
"""Also how far the retention clock on disk may be behind, and how late it is noticed that a date was put right."""

CLOSE_TIMEOUT_S = 5.0
"""For a disk that does not answer at all when the daemon stops."""

MOST_UNWRITTEN = 15_000
"""Statements held while the disk fails, three a result: hours of speech, and some ten megabytes."""


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


@dataclass(frozen=True)
class _Write:
    """One statement. delivered: None where nobody waits for it. purges: the table of which it deletes what is too old;
    None where it does not. result: whether a result is lost without it. voices_of: session whose voices it writes, of
    which only the latest count."""

    sql: str
    parameters: tuple[object, ...]
    delivered: Callable[[], None] | None = None
    purges: str | None = None
    result: bool = False
    voices_of: str | None = None


def _now() -> Now:
    return Now(time.time(), clock.monotonic())


class Store:
    """A `ResultStore` in a file. retention_days: 0 keeps results for ever; they are purged at `open` and from then on
    every PURGE_EVERY_S. now: reads the clocks."""

    def __init__(self, path: Path, retention_days: int, now: Callable[[], Now] = _now) -> None:
        self.problem: str | None = None  # why results can not be stored at present, as a sentence
        self.postponed: str | None = None  # why deletion waits, as a sentence
        self._now = now  # reads the clocks
        self._clock = RetentionClock(now(), retention.tolerance_s(retention_days * DAY_S))  # tells how old results are
        self._path = path  # the file
        self._retention_s = retention_days * DAY_S  # seconds; 0: for ever
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()  # for the writer; None: write that, and end
        self._unwritten: deque[_Write] = deque()  # what the writer took and the disk did not; oldest first
        self._given_up = 0  # results that were too many to hold in this outage
        self._database: sqlite3.Connection | None = None  # the writer's; None where it can't be opened
        self._loop: asyncio.AbstractEventLoop  # where deliveries are called, from `open` on
        self._purging: asyncio.TimerHandle  # the next look at what is over its retention, from `open` on
        self._writer = threading.Thread(target=self._run, name="store", daemon=True)  # the only thread that writes

    @property
    def healthy(self) -> bool:
        return self.problem is None

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._check_directory()
        self._attempt()
        self._writer.start()
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
        self._purging = self._loop.call_later(PURGE_EVERY_S, self._purge_regularly)

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
        self._queue.put(_Write(sql, parameters, delivered, purges, result, voices_of))

    async def close(self) -> None:
        self._purging.cancel()
        self._retention_time()
        self._queue.put(None)
        await asyncio.to_thread(self._writer.join, CLOSE_TIMEOUT_S)
        if lost := self._given_up + _results(self._unwritten):
            _log.error("results_lost", results=lost)

    def _read(self, query: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        try:
            with transcript_file.reading(self._path) as database:
                return query(database)
        except transcript_file.NoTranscript as error:
            _log.error("store_unreadable", reason=str(error))
            return nothing

    # --- the writer's thread ---

    def _run(self) -> None:
        closing = False
        while not closing:
            taken = self._take()
            closing = None in taken
            writes = [write for write in taken if write is not None]
            self._unwritten = _latest_voices((*self._unwritten, *writes))
            self._attempt()
            for write in writes:
                if write.delivered is not None:
                    self._loop.call_soon_threadsafe(write.delivered)
        if self._database is not None:
            self._database.close()

    def _take(self) -> list[_Write | None]:
        """All that waits, once there is something; in an outage after a while nothing, so that it is tried again."""
        taken: list[_Write | None] = []
        with contextlib.suppress(queue.Empty):
            taken.append(self._queue.get(timeout=RETRY_EVERY_S if self.problem else None))
            while True:
                taken.append(self._queue.get_nowait())
        return taken

    def _attempt(self) -> None:
        """Write what is not written yet."""
        try:
            self._commit()
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
        except Exception as error:  # this thread must live: no result leaves without it
            _log.exception("store_writer_failed")
            self._failed(error)
        else:
            self._succeeded()

    def _commit(self) -> None:
        database = self._connected()
        purged: Counter[str] = Counter()
        with database:
            for write in self._unwritten:
                changed = database.execute(write.sql, write.parameters).rowcount
                if write.purges is not None:
                    purged[write.purges] += changed
        self._unwritten.clear()
        if purged.total():
            _log.info("retention", results=purged["result"], sessions=purged["session"])

    def _connected(self) -> sqlite3.Connection:
        if self._database is not None and not self._path.exists():
            self._disconnect()  # somebody deleted the file: what is written to it would be lost
        if self._database is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._database = transcript_file.open_for_writing(self._path)
        return self._database

    def _disconnect(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _failed(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error)
        if self.problem is None:
            _log.error("store_failed", reason=reason)
        self.problem = f"Transcripts can't be stored ({reason}); results are sent all the same. {_advice(error)}"
        if transcript_file.is_damage(error):
            self._disconnect()
            with contextlib.suppress(OSError):
                transcript_file.set_aside(self._path)
        while len(self._unwritten) > MOST_UNWRITTEN:
            self._given_up += self._unwritten.popleft().result

    def _succeeded(self) -> None:
        if self.problem is not None:
            self.problem = None
            _log.info("store_recovered", lost=self._given_up)
            self._given_up = 0


def _kind(message: ServerMessage) -> str:
    late = isinstance(message, protocol.Error) and message.code == protocol.LATE
    return transcript_file.LATE if late else str(message.__struct_config__.tag)


def _advice(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in descriptors.USED_UP:
        return protocol.sentence(descriptors.ADVICE)
    return "Free some space on the disk of runtime.data_dir, or make it writable."


def _latest_voices(writes: Sequence[_Write]) -> deque[_Write]:
    """Without those of voices that later ones write, too."""
    last = {write.voices_of: at for at, write in enumerate(writes)}
    return deque(write for at, write in enumerate(writes) if write.voices_of is None or last[write.voices_of] == at)


def _results(writes: deque[_Write]) -> int:
    return sum(write.result for write in writes)
