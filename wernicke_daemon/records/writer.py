"""The thread that writes transcripts: what has come together meanwhile goes into one transaction.

What a failing disk does not take is held in memory, up to a limit, and written once it works again. Nobody waits for
that: who gave it is told in any case. The search index is told of what was written.
"""

import asyncio
import contextlib
import queue
import sqlite3
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from wernicke_daemon.hardware import descriptors
from wernicke_daemon.records import transcript_file
from wernicke_daemon.records.search_index import Indexing
from wernicke_daemon.wire import protocol

_log = structlog.get_logger()

RETRY_EVERY_S = 5.0

CLOSE_TIMEOUT_S = 5.0
"""For a disk that does not answer at all when the daemon stops."""

MOST_UNWRITTEN = 15_000
"""Statements held while the disk fails, three a result: hours of speech, and some ten megabytes."""


@dataclass(frozen=True)
class Write:
    """One statement. delivered: None where nobody waits for it. purges: the table of which it deletes what is too old;
    None where it does not. result: whether a result is lost without it. voices_of: session whose voices it writes, of
    which only the latest count."""

    sql: str
    parameters: tuple[object, ...]
    delivered: Callable[[], None] | None = None
    purges: str | None = None
    result: bool = False
    voices_of: str | None = None


class Writer:
    """Of one file. All but `put` is called on the event loop's thread."""

    def __init__(self, path: Path) -> None:
        self.problem: str | None = None  # why results can not be stored at present, as a sentence
        self._path = path  # the file
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()  # None: write what is there, and end
        self._unwritten: deque[Write] = deque()  # what the thread took and the disk did not; oldest first
        self._given_up = 0  # results that were too many to hold in this outage
        self._database: sqlite3.Connection | None = None  # None where it can't be opened
        self._left: sqlite3.Connection | None = None  # of the file that was there before, see `_leave`
        self._indexing = Indexing(path, self._forget_changes)  # follows what is written
        self._loop: asyncio.AbstractEventLoop  # where deliveries are called, from `open` on
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)  # the only one that writes

    def open(self) -> None:
        """Before anything else but `put`."""
        self._loop = asyncio.get_running_loop()
        self._attempt()
        self._thread.start()
        self._indexing.start()

    def put(self, write: Write) -> None:
        """In the order in which they are given."""
        self._queue.put(write)

    async def close(self) -> None:
        """Everything that was put is written and delivered; nothing may come after it."""
        # First: only who closes the file last, and may write, has SQLite put its log into it, and wait for the disk.
        await asyncio.to_thread(self._indexing.close, CLOSE_TIMEOUT_S)
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)
        if lost := self._given_up + sum(write.result for write in self._unwritten):
            _log.error("results_lost", results=lost)

    def _forget_changes(self, up_to: int) -> None:
        self.put(Write("DELETE FROM change WHERE number <= ?", (up_to,)))

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
            self._indexing.wake()
        self._disconnect()

    def _take(self) -> list[Write | None]:
        """All that waits, once there is something; in an outage after a while nothing, so that it is tried again."""
        taken: list[Write | None] = []
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
            self._leave()  # somebody deleted the file: what is written to it would be lost
        if self._database is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._database = transcript_file.open_for_writing(self._path)
        return self._database

    def _leave(self) -> None:
        """What is written goes to a new file of that name. The old one stays open, which keeps SQLite's files beside it
        in use: a reader of this process that has opened it, and looks for them only now, would take those of the new
        file for its own, as locks of POSIX don't hold within a process, and begin them anew under the writer (SIGBUS).
        On Windows they do, and an open file can't be moved."""
        if self._left is not None:
            self._left.close()
        self._left, self._database = self._database, None
        if sys.platform == "win32" and self._left is not None:
            self._left.close()

    def _disconnect(self) -> None:
        for database in (self._left, self._database):
            if database is not None:
                database.close()

    def _failed(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error)
        if self.problem is None:
            _log.error("store_failed", reason=reason)
        self.problem = f"Transcripts can't be stored ({reason}); results are sent all the same. {_advice(error)}"
        if transcript_file.is_damage(error):
            self._leave()
            with contextlib.suppress(OSError):
                transcript_file.set_aside(self._path)
        while len(self._unwritten) > MOST_UNWRITTEN:
            self._given_up += self._unwritten.popleft().result

    def _succeeded(self) -> None:
        if self.problem is not None:
            self.problem = None
            _log.info("store_recovered", lost=self._given_up)
            self._given_up = 0


def _advice(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in descriptors.USED_UP:
        return protocol.sentence(descriptors.ADVICE)
    return "Free some space on the disk of runtime.data_dir, or make it writable."


def _latest_voices(writes: Sequence[Write]) -> deque[Write]:
    """Without those of voices that later ones write, too."""
    last = {write.voices_of: at for at, write in enumerate(writes)}
    return deque(write for at, write in enumerate(writes) if write.voices_of is None or last[write.voices_of] == at)
