"""Received audio on disk until its results are safe, so that not even a killed daemon loses it.

    DIRECTORY/lock                            locked by the daemon that uses the journal; the system unlocks it when
                                              that process ends, however it ends
    DIRECTORY/SESSION/                        one session's audio (see `journal_files`)

One thread writes; whoever hands something over only copies it. What survives:

- The daemon is killed: all that reached `write()`. Between receiving and that lies one turn of the writer:
  milliseconds, or as long as the disk takes for an fsync.
- The power is cut: all closed files and every state. A file is synchronised when it is full, so up to the
  last 10 s of each session may be missing.
- The disk fails or is full, or can't keep up: the session is journalled up to there, `problem` says so, and serving
  goes on. Every RETRY_EVERY_S the disk is tried; once it takes a whole file, the session is journalled again from its
  next audio on. Between the two is a hole. Audio keeps its numbers on both sides; recovery joins nothing across it.

Pauses and flushes between samples are not journalled: utterances are found anew in the audio itself.
"""

import contextlib
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import structlog
from numpy.typing import NDArray

from ipc import clock
from ipc.files import is_held, make_private
from wernicke_daemon.hardware import descriptors
from wernicke_daemon.records.journal_files import (
    FILE_SAMPLES,
    SAMPLE_BYTES,
    Leftover,
    Released,
    SavedState,
    SessionFiles,
    SessionMeta,
    leftovers,
    lock,
    probe,
    read,
)
from wernicke_daemon.utterances.context import Remembered
from wernicke_daemon.utterances.late import Late

_log = structlog.get_logger()

MOST_WAITING = 64 * 2**20
"""Bytes handed over and not yet taken by the writer: more than five rings of 180 s, filled in one go."""

RETRY_EVERY_S = 5.0
"""Seconds from a failure to the next try."""


HELD_ADVICE = "another program holds the file; let virus scanners leave the folder of runtime.data_dir out"


class _NotKept(OSError):
    """Audio can't be journalled for a reason of our own; the message says which, and what to do."""


@dataclass
class _News:
    """What the writer has to do for a session next."""

    meta: SessionMeta | None = None  # of one that began
    start: int = 0  # first sample of the audio
    audio: list[bytes] = field(default_factory=list)  # pieces from there on, without a gap
    released: Released | None = None  # what is final by now
    # by sequence, utterances that are to be done later; None where that is done
    late: dict[int, Late | None] = field(default_factory=dict)
    left: bool = False  # no more audio of it comes; what is there stays until its end
    ended: bool = False  # all of it has its results: nothing is kept


class Journal:
    """What is handed over never waits for the disk. For a session that was never begun it does nothing."""

    def __init__(self, directory: Path, max_mib: int) -> None:
        """Takes the journal over and finds what dead daemons left (a few file operations). Does not raise: `problem`
        says what is wrong. max_mib: of all sessions together, left ones included."""
        self.problem: str | None = None  # why audio is not journalled at present, as a sentence
        self._directory = directory  # with a folder for each session
        self._lock_file = directory / "lock"  # held by the daemon whose directory this is
        self._max_mib = max_mib  # of all sessions together, left ones included
        self._guard = threading.Condition()  # of all that both threads use: `_news` to `_closing`
        self._news: dict[str, _News] = {}  # by session: handed over, and not yet taken by the writer
        self._waiting = 0  # bytes of audio in it
        self._due: dict[str, int | None] = {}  # by session that is journalled: its next sample; None for any
        self._since: dict[str, int] = {}  # by session: all its audio from that sample on was taken
        self._failed: set[str] = set()  # sessions whose audio the disk does not take at present
        self._retry_at = clock.monotonic() + RETRY_EVERY_S  # when the disk is tried again
        self._closing = False  # no more is taken
        # From here on the writer's own.
        self._held: IO[bytes] | None = None  # the lock file while this journal has it
        self._leftovers: list[Leftover] = []  # of dead daemons, as found at the start
        self._files: dict[str, SessionFiles] = {}  # by session that has a directory here, left ones included
        self._over: list[tuple[str, SessionFiles]] = []  # sessions that are over, to be removed
        self._kept: set[str] = set()  # those of them that could not be
        try:
            self._take_over()
        except OSError as error:
            self.problem = _sentence(error)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)  # the writer
        self._thread.start()

    def _take_over(self) -> None:
        self._hold()
        for left in leftovers(self._directory):
            self._leftovers.append(left)
            self._since[left.session_id] = left.start
            state = SavedState(left.meta, left.start, left.late)
            self._files[left.session_id] = SessionFiles(self._directory / left.session_id, state, left.files)

    def _hold(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None
        make_private(self._directory)
        file = self._lock_file.open("ab")
        try:
            lock(file)
        except OSError:
            file.close()
            raise _NotKept("another daemon uses this data directory; give each its own runtime.data_dir") from None
        self._held = file

    def leftover(self) -> list[Leftover]:
        """Sessions of dead daemons that have audio without results, as found at the start. `release` and `end` apply
        to them as to any other; what is not ended is found again at the next start."""
        return list(self._leftovers)

    # --- handing over ---

    def begin(self, session_id: str, meta: SessionMeta) -> None:
        """Journal that session from now on."""
        with self._guard:
            self._due[session_id] = None
            self._news_of(session_id).meta = meta

    def append(self, session_id: str, start: int, samples: NDArray[np.float32]) -> None:
        """samples: 16 kHz mono float32 [n] from sample number `start` on; they are copied. Raises ValueError where
        they do not follow on those before."""
        with self._guard:
            if session_id not in self._due or session_id in self._failed:
                return
            if self._due[session_id] not in (None, start):
                raise ValueError(f"sample {start} of {session_id} does not follow on {self._due[session_id]}")
            data = np.ascontiguousarray(samples, "<f4").tobytes()
            if fits := self._waiting + len(data) <= MOST_WAITING:
                self._add(session_id, start, data)
        if not fits:
            self._fail(session_id, _NotKept("the disk is too slow; journal.enabled = false does without"))

    def _add(self, session_id: str, start: int, data: bytes) -> None:
        news = self._news_of(session_id)
        self._since.setdefault(session_id, start)
        if not news.audio:
            news.start = start
        news.audio.append(data)
        self._waiting += len(data)
        self._due[session_id] = start + len(data) // SAMPLE_BYTES

    def release(self, session_id: str, floor: int, next_sequence: int, remembered: Remembered) -> None:
        """Samples before number `floor` and utterances before number `next_sequence` have their results, and those are
        where they will be found; the next utterances need what is remembered. Meant to be called often: only the last
        call before each turn of the writer counts."""
        with self._guard:
            self._news_of(session_id).released = (floor, next_sequence, remembered)

    def holds(self, session_id: str, start: int) -> bool:
        """Whether all of the session's audio from that sample on was taken, and will be on disk unless that fails."""
        with self._guard:
            return session_id not in self._failed and self._since.get(session_id, start + 1) <= start

    def keeps(self, session_id: str) -> bool:
        """Whether there is audio of that session that has no results yet, left by a dead daemon or not."""
        with self._guard:
            return session_id in self._since

    def postpone(self, session_id: str, late: Late) -> None:
        """That utterance is to be done later: its audio stays until `done_late`, whatever is released."""
        with self._guard:
            self._news_of(session_id).late[late.sequence] = late

    def done_late(self, session_id: str, sequence: int) -> None:
        """It has its result now."""
        with self._guard:
            self._news_of(session_id).late[sequence] = None

    def read(self, session_id: str, start: int, end: int) -> NDArray[np.float32]:
        """Samples [start, end): 16 kHz mono float32 [n]. Blocks. Raises OSError where not all of them are on disk."""
        return read(self._directory / session_id, start, end)

    def leave(self, session_id: str) -> None:
        """No more audio of it comes; what is there stays until its `end`, by this daemon or the next."""
        with self._guard:
            self._due.pop(session_id, None)
            self._news_of(session_id).left = True

    def end(self, session_id: str) -> None:
        """All of that session has its results: nothing of it is kept."""
        with self._guard:
            self._due.pop(session_id, None)
            self._since.pop(session_id, None)
            self._news_of(session_id).ended = True

    def close(self) -> None:
        """Write what was handed over, then let go of the journal. Sessions that were not ended stay on disk. Blocks."""
        with self._guard:
            self._closing = True
            self._due.clear()
            self._guard.notify()
        self._thread.join()

    def _news_of(self, session_id: str) -> _News:
        self._guard.notify()
        return self._news.setdefault(session_id, _News())

    # --- the writer ---

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            for session_id, news in batch.items():
                self._try_to_write(session_id, news)
            self._remove_over()
            if self.problem is not None and clock.monotonic() >= self._retry_at:
                self._try_again()
        for files in self._files.values():
            with contextlib.suppress(OSError):  # a sync that fails: all the same written, and nobody is left to tell
                files.close()
        if self._held is not None:
            self._held.close()

    def _next_batch(self) -> dict[str, _News] | None:
        """All that was handed over since the last call, once there is something; nothing where it is time to try
        again; None at the end."""
        with self._guard:
            wait_s = None if self.problem is None else max(0.0, self._retry_at - clock.monotonic())
            if wait_s is None and self._over:
                wait_s = RETRY_EVERY_S
            self._guard.wait_for(lambda: self._news or self._closing, wait_s)
            if self._closing and not self._news:
                return None
            batch, self._news = self._news, {}
            self._waiting = 0
            return batch

    def _try_to_write(self, session_id: str, news: _News) -> None:
        try:
            self._write(session_id, news)
        except OSError as error:
            self._fail(session_id, error)
        if news.ended:
            with self._guard:
                self._failed.discard(session_id)

    def _write(self, session_id: str, news: _News) -> None:
        if news.ended:
            if files := self._files.pop(session_id, None):
                self._over.append((session_id, files))
            return
        if news.meta is not None:
            self._files[session_id] = SessionFiles(self._directory / session_id, SavedState(news.meta))
        if files := self._files.get(session_id):
            self._update(session_id, files, news)
            if news.left:
                files.close()

    def _update(self, session_id: str, files: SessionFiles, news: _News) -> None:
        """For a session that failed, what was released is only noted. `_try_again` writes it before any audio after the
        hole is: or that would be recovered with sequences that other results have."""
        if news.released:
            files.note(news.released)
        files.note_late(news.late)
        if session_id in self._failed:
            return
        if news.meta is not None:
            self._create(files)
        files.settle()  # before the audio, for the same reason
        if news.audio:
            data = b"".join(news.audio)
            self._check_bound(len(data))
            files.append(news.start, data)
        files.settle()  # again: what is final now can be deleted

    def _remove_over(self) -> None:
        """What can't be removed yet, as another program reads it, is no harm: it is tried again."""
        due, self._over = self._over, []
        for session_id, files in due:
            try:
                files.remove()
            except OSError as error:
                self._over.append((session_id, files))
                if session_id not in self._kept:
                    _log.warning("journal_not_removed", session=session_id, reason=_reason(error))
        self._kept = {session_id for session_id, _ in self._over}

    def _create(self, files: SessionFiles) -> None:
        if self._held is None:
            self._take_over()
        files.create()

    def _check_bound(self, more: int) -> None:
        if sum(each.size for each in self._files.values()) + more > self._max_mib * 2**20:
            raise _NotKept(f"it would hold more than journal.max_mib = {self._max_mib}; raise that")

    def _fail(self, session_id: str, error: OSError) -> None:
        """Journal no more of that session for now, and say so once. Both threads come here."""
        with self._guard:
            news = self._news_of(session_id)  # wakes the writer, so that it tries again in time
            self._waiting -= sum(map(len, news.audio))
            news.audio.clear()  # it would follow on a hole
            known = session_id in self._failed
            self._failed.add(session_id)
            self._since.pop(session_id, None)
            self._note(error)
        if not known:
            _log.error("journal_failed", session=session_id, reason=_reason(error))

    def _note(self, error: OSError) -> None:
        if self.problem is None:
            self._retry_at = clock.monotonic() + RETRY_EVERY_S
        self.problem = _sentence(error)

    def _try_again(self) -> None:
        """All sessions that failed go on with their next audio, once the disk takes data again."""
        self._retry_at = clock.monotonic() + RETRY_EVERY_S
        try:
            self._try_disk()
        except OSError as error:
            self.problem = _sentence(error)
            return
        with self._guard:
            self._due.update((session_id, None) for session_id in self._failed if session_id in self._due)
            self._failed.clear()
            self.problem = None
        _log.info("journal_recovered")

    def _try_disk(self) -> None:
        """Raises OSError where the disk does not take audio yet. It is tried with a whole file, also while no session
        brings audio: a disk that is nearly full goes on taking small files."""
        if self._held is None:
            self._take_over()
        elif not self._lock_file.exists():  # somebody deleted the directory
            self._hold()
        for session_id in self._failed & self._files.keys():
            self._files[session_id].create()
        self._check_bound(FILE_SAMPLES * SAMPLE_BYTES)
        probe(self._directory)


def _reason(error: OSError) -> str:
    """Without any path: /health is public."""
    if isinstance(error, _NotKept):
        return str(error)
    if error.errno in descriptors.USED_UP:
        return f"{error.strerror}; {descriptors.ADVICE}"
    if is_held(error):
        return f"{error.strerror}; {HELD_ADVICE}"
    return f"{error.strerror}; make room on the disk of runtime.data_dir, or allow the daemon to write there"


def _sentence(error: OSError) -> str:
    return f"Received audio is not journalled, and a crash would lose it: {_reason(error)}."
