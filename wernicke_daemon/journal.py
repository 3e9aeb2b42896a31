"""Received audio on disk until its results are safe, so that not even a killed daemon loses it.

    DIRECTORY/lock                            locked by the daemon that uses the journal; the system unlocks it when
                                              that process ends, however it ends
    DIRECTORY/SESSION/state.json              what recovery has to know of the session; replaced atomically
    DIRECTORY/SESSION/000000000160000.f32     its samples from number 160000 on: raw little-endian float32, 10 s at most
    DIRECTORY/SESSION.done/                   a session that is over and about to be deleted

One thread writes; whoever hands something over only copies it. What survives:

- The daemon is killed: all that reached `write()`. Between receiving and that lies one turn of the writer:
  milliseconds, or as long as the disk takes for an fsync.
- The power is cut: all closed segments and every state. A segment is synchronised when it is full, so up to the
  last 10 s of each session may be missing.
- The disk fails or is full, or can't keep up: the session is journalled up to there and no further, `problem` says so,
  and serving goes on. The next session is tried anew.

Pauses and flushes between samples are not journalled: utterances are found anew in the audio itself.
"""

import contextlib
import os
import shutil
import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
import structlog
from msgspec.structs import replace
from numpy.typing import NDArray

from ipc.audio_handle import SAMPLE_RATE

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        """Raises OSError where another holds it."""
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _sync_directory(directory: Path) -> None:
        """Windows can't; NTFS writes names to its own journal."""

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        """Raises OSError where another holds it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _sync_directory(directory: Path) -> None:
        """Its names, too, survive a power cut from now on."""
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_log = structlog.get_logger()

SEGMENT_SAMPLES = 10 * SAMPLE_RATE
"""Length of a full segment file; what a power cut can cost, and how coarsely final audio is deleted."""

SAMPLE_BYTES = 4
MOST_WAITING = 64 * 2**20
"""Bytes handed over and not yet taken by the writer: more than five rings of 180 s, filled in one go."""

_STATE = "state.json"
_SUFFIX = ".f32"
_DIGITS = 15
_DONE = ".done"


class SessionMeta(msgspec.Struct, frozen=True):
    """What recovery has to know of a session. language: None where the disk lost it. wall_start: seconds since 1970
    at which the session began. words: whether results have word times. next_sequence: of the first utterance that has
    no result yet."""

    language: str | None = None
    glossary: tuple[str, ...] = ()
    wall_start: float = 0.0
    words: bool = True
    next_sequence: int = 1


@dataclass(frozen=True)
class Segment:
    """A file with samples [start, start + count) of its session."""

    path: Path
    start: int
    count: int

    @property
    def end(self) -> int:
        return self.start + self.count


@dataclass(frozen=True)
class Leftover:
    """What a dead daemon left of a session: samples [start, end) have no result yet. segments: without holes.
    wall_start: seconds since 1970 of sample number `start`."""

    session_id: str
    meta: SessionMeta
    start: int
    wall_start: float
    segments: tuple[Segment, ...]

    @property
    def end(self) -> int:
        return self.segments[-1].end

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / SAMPLE_RATE

    def pieces(self) -> Iterator[NDArray[np.float32]]:
        """Samples from `start` on: 16 kHz mono float32, [n], n <= SEGMENT_SAMPLES. Each file is read when it is due;
        what was fed before may be released meanwhile. Raises OSError."""
        for segment in self.segments:
            samples = np.fromfile(segment.path, "<f4", segment.count).astype(np.float32, copy=False)
            yield samples[max(0, self.start - segment.start) :]


class _State(msgspec.Struct, frozen=True):
    """state.json. floor: samples before it have their results."""

    meta: SessionMeta
    floor: int = 0


class _NotKept(OSError):
    """Audio can't be journalled for a reason of our own; the message says which, and what to do."""


class _SessionFiles:
    """One session's directory. Every method blocks and raises OSError."""

    def __init__(self, directory: Path, state: _State, segments: tuple[Segment, ...] = ()) -> None:
        self._directory = directory
        self._state = state
        self._starts = deque(segment.start for segment in segments)
        self._filled = SAMPLE_BYTES * segments[-1].count if segments else 0
        self._file: IO[bytes] | None = None

    @property
    def size(self) -> int:
        """Bytes of samples on disk; all segments but the last are full."""
        return (len(self._starts) - 1) * SEGMENT_SAMPLES * SAMPLE_BYTES + self._filled if self._starts else 0

    def create(self) -> None:
        self._directory.mkdir()
        self._write_state(self._state)
        _sync_directory(self._directory.parent)

    def append(self, start: int, data: bytes) -> None:
        """`data`: whole samples from number `start` on, which is where the last call ended."""
        view = memoryview(data)
        at = 0
        while at < len(view):
            file = self._file or self._begin_segment(start + at // SAMPLE_BYTES)
            written = file.write(view[at : at + SEGMENT_SAMPLES * SAMPLE_BYTES - self._filled])
            at += written  # unbuffered: a disk that fills up takes less than it is given, and then raises
            self._filled += written
            if self._filled == SEGMENT_SAMPLES * SAMPLE_BYTES:
                self.close()

    def _begin_segment(self, start: int) -> IO[bytes]:
        self._file = _segment_path(self._directory, start).open("xb", buffering=0)
        self._starts.append(start)
        self._filled = 0
        return self._file

    def close(self) -> None:
        """What was appended survives a power cut, too."""
        if self._file is not None:
            with self._file as file:
                self._file = None
                os.fsync(file.fileno())
            _sync_directory(self._directory)

    def release(self, floor: int, next_sequence: int) -> None:
        """Samples before `floor` have results. A floor that only rose a little, in silence, is not worth a write."""
        state = self._state
        if next_sequence == state.meta.next_sequence and floor < state.floor + SEGMENT_SAMPLES:
            return
        # The state first, and safely: audio whose numbers nobody knows any more would become results twice.
        self._write_state(_State(replace(state.meta, next_sequence=next_sequence), floor))
        while self._starts and self._starts[0] + SEGMENT_SAMPLES <= floor:
            _segment_path(self._directory, self._starts[0]).unlink()
            self._starts.popleft()

    def _write_state(self, state: _State) -> None:
        temporary = self._directory / f"{_STATE}.new"
        with temporary.open("wb") as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._directory / _STATE)
        _sync_directory(self._directory)
        self._state = state

    def remove(self) -> None:
        """Renamed first: a directory that is half deleted must never be taken for one to recover."""
        if self._file is not None:
            self._file.close()
        done = self._directory.with_name(self._directory.name + _DONE)
        self._directory.rename(done)
        shutil.rmtree(done)


@dataclass
class _News:
    """What the writer has to do for a session next. audio: pieces from sample `start` on, without a gap."""

    meta: SessionMeta | None = None
    start: int = 0
    audio: list[bytes] = field(default_factory=list)
    released: tuple[int, int] | None = None
    ended: bool = False


class Journal:
    """problem: why audio is not journalled at present, in a sentence; None while all is well.

    `begin`, `append`, `release` and `end` never wait for the disk. For a session that was never begun, or is no longer
    journalled, they do nothing; so a journal that is switched off is one in which nothing is begun.
    """

    def __init__(self, directory: Path, max_mib: int) -> None:
        """Takes the journal over and finds what dead daemons left (a few file operations). Does not raise: `problem`
        says what is wrong. max_mib: of all sessions together, left ones included."""
        self.problem: str | None = None
        self._directory = directory
        self._max_mib = max_mib
        self._guard = threading.Condition()
        self._news: dict[str, _News] = {}
        self._waiting = 0
        self._due: dict[str, int | None] = {}
        self._failed: set[str] = set()
        self._closing = False
        # From here on the writer's own.
        self._held: IO[bytes] | None = None
        self._leftovers: list[Leftover] = []
        self._files: dict[str, _SessionFiles] = {}
        try:
            self._take_over()
        except OSError as error:
            self.problem = _sentence(error)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def _take_over(self) -> None:
        self._directory.mkdir(0o700, parents=True, exist_ok=True)
        file = (self._directory / "lock").open("ab")
        try:
            _lock(file)
        except OSError:
            file.close()
            raise _NotKept("another daemon uses this data directory; give each its own runtime.data_dir") from None
        self._held = file
        for left in _leftovers(self._directory):
            self._leftovers.append(left)
            state = _State(left.meta, left.start)
            self._files[left.session_id] = _SessionFiles(self._directory / left.session_id, state, left.segments)

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
            if session_id not in self._due:
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
        if not news.audio:
            news.start = start
        news.audio.append(data)
        self._waiting += len(data)
        self._due[session_id] = start + len(data) // SAMPLE_BYTES

    def release(self, session_id: str, floor: int, next_sequence: int) -> None:
        """Samples before number `floor` and utterances before number `next_sequence` have their results, and those are
        where they will be found. Meant to be called often: only the last call before each turn of the writer counts."""
        with self._guard:
            self._news_of(session_id).released = (floor, next_sequence)

    def end(self, session_id: str) -> None:
        """All of that session has its results: nothing of it is kept."""
        with self._guard:
            self._due.pop(session_id, None)
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
        while batch := self._next_batch():
            for session_id, news in batch.items():
                self._try_to_write(session_id, news)
        for files in self._files.values():
            with contextlib.suppress(OSError):  # a sync that fails: all the same written, and nobody is left to tell
                files.close()
        if self._held is not None:
            self._held.close()

    def _next_batch(self) -> dict[str, _News]:
        """All that was handed over since the last call, once there is something; empty at the end."""
        with self._guard:
            self._guard.wait_for(lambda: self._news or self._closing)
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
                files.remove()
            return
        if news.meta is not None:
            self._create(session_id, news.meta)
        files = self._files.get(session_id)
        if files is None:
            return
        if news.audio and session_id not in self._failed:
            self._append(files, news.start, b"".join(news.audio))
        if news.released:
            files.release(*news.released)

    def _create(self, session_id: str, meta: SessionMeta) -> None:
        if self._held is None:
            self._take_over()
        files = _SessionFiles(self._directory / session_id, _State(meta))
        files.create()
        self._files[session_id] = files

    def _append(self, files: _SessionFiles, start: int, data: bytes) -> None:
        if sum(each.size for each in self._files.values()) + len(data) > self._max_mib * 2**20:
            raise _NotKept(f"it would hold more than journal.max_mib = {self._max_mib}; raise that")
        files.append(start, data)
        with self._guard:
            if not self._failed:
                self.problem = None

    def _fail(self, session_id: str, error: OSError) -> None:
        """Journal no more of that session, and say so once. Both threads come here."""
        with self._guard:
            self._due.pop(session_id, None)
            known = session_id in self._failed
            self._failed.add(session_id)
            self.problem = _sentence(error)
        if not known:
            _log.error("journal_failed", session=session_id, reason=_reason(error))


def _reason(error: OSError) -> str:
    """Without any path: /health is public."""
    if isinstance(error, _NotKept):
        return str(error)
    return f"{error.strerror}; make room on the disk of runtime.data_dir, or allow the daemon to write there"


def _sentence(error: OSError) -> str:
    return f"Received audio is not journalled, and a crash would lose it: {_reason(error)}."


# --- reading ---


def _segment_path(directory: Path, start: int) -> Path:
    return directory / f"{start:0{_DIGITS}d}{_SUFFIX}"


def _leftovers(directory: Path) -> Iterator[Leftover]:
    """Sessions with something left to finish; the others are removed."""
    for path in sorted(each for each in directory.iterdir() if each.is_dir()):
        left = None if path.name.endswith(_DONE) else _left_in(path)
        if left is None:
            shutil.rmtree(path, ignore_errors=True)
        else:
            yield left


def _left_in(directory: Path) -> Leftover | None:
    state = _read_state(directory / _STATE)
    segments = tuple(_whole(directory, state.floor))
    if not segments:
        return None
    first = segments[0]
    start = max(state.floor, first.start)
    written = first.path.stat().st_mtime  # when its last sample came
    return Leftover(directory.name, state.meta, start, written - (first.end - start) / SAMPLE_RATE, segments)


def _read_state(path: Path) -> _State:
    """It is written before any audio; damage to the disk may have taken it all the same."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_State)
    except (FileNotFoundError, msgspec.DecodeError):
        return _State(SessionMeta())


def _whole(directory: Path, floor: int) -> Iterator[Segment]:
    """Segments with samples from `floor` on, up to the first hole: what follows that has no place. A sample that was
    being written when the daemon died is left out."""
    end: int | None = None
    for path in sorted(directory.glob(f"{'[0-9]' * _DIGITS}{_SUFFIX}")):
        segment = Segment(path, int(path.stem), path.stat().st_size // SAMPLE_BYTES)
        if segment.end <= floor:
            continue
        if end is not None and segment.start != end:
            return
        end = segment.end
        yield segment
