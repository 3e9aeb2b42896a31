"""The journal's files: how a session's audio lies on disk, is written, and is found again.

DIRECTORY/SESSION/state.json              what recovery has to know of the session; replaced atomically
DIRECTORY/SESSION/000000000160000.f32     its samples from number 160000 on: raw little-endian float32, 10 s at most
DIRECTORY/SESSION.done/                   a session that is over and about to be deleted
"""

import os
import shutil
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from ipc.audio_handle import SAMPLE_RATE

if sys.platform == "win32":
    import msvcrt

    def lock(file: IO[bytes]) -> None:
        """Raises OSError where another holds it."""
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _sync_directory(directory: Path) -> None:
        """Windows can't; NTFS writes names to its own journal."""

else:
    import fcntl

    def lock(file: IO[bytes]) -> None:
        """Raises OSError where another holds it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _sync_directory(directory: Path) -> None:
        """Its names, too, survive a power cut from now on."""
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


SEGMENT_SAMPLES = 10 * SAMPLE_RATE
"""Length of a full segment file; what a power cut can cost, and how coarsely final audio is deleted."""

SAMPLE_BYTES = 4

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


class State(msgspec.Struct, frozen=True):
    """state.json. floor: samples before it have their results."""

    meta: SessionMeta
    floor: int = 0


class SessionFiles:
    """One session's directory. Every method blocks and raises OSError."""

    def __init__(self, directory: Path, state: State, segments: tuple[Segment, ...] = ()) -> None:
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
        self._write_state(State(replace(state.meta, next_sequence=next_sequence), floor))
        while self._starts and self._starts[0] + SEGMENT_SAMPLES <= floor:
            _segment_path(self._directory, self._starts[0]).unlink()
            self._starts.popleft()

    def _write_state(self, state: State) -> None:
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


def _segment_path(directory: Path, start: int) -> Path:
    return directory / f"{start:0{_DIGITS}d}{_SUFFIX}"


def leftovers(directory: Path) -> Iterator[Leftover]:
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


def _read_state(path: Path) -> State:
    """It is written before any audio; damage to the disk may have taken it all the same."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except (FileNotFoundError, msgspec.DecodeError):
        return State(SessionMeta())


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
