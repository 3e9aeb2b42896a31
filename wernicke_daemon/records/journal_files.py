"""The journal's files: how a session's audio lies on disk, is written, and is found again.

DIRECTORY/SESSION/state.json              what recovery has to know of the session; replaced atomically
DIRECTORY/SESSION/000000000160000.f32     its samples from number 160000 on: raw little-endian float32, 10 s at most
DIRECTORY/SESSION.done/                   a session that is over and about to be deleted

Files are named by their first sample, so that a hole between two of them, where the disk took nothing, stays one.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
import structlog
from msgspec.structs import replace
from numpy.typing import NDArray

from ipc.audio_handle import SAMPLE_RATE
from ipc.files import is_held, patiently
from wernicke_daemon.utterances.context import Remembered
from wernicke_daemon.utterances.late import Late
from wernicke_daemon.utterances.voices import ANY
from wernicke_daemon.utterances.voices_clustering import Count

_log = structlog.get_logger()

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


FILE_SAMPLES = 10 * SAMPLE_RATE
"""Length of a full file; what a power cut can cost, and how coarsely final audio is deleted."""

SAMPLE_BYTES = 4

Released = tuple[int, int, Remembered]
"""Samples before that number and utterances before that sequence have their results; what the next ones need."""

_STATE = "state.json"
_SUFFIX = ".f32"
_DIGITS = 15
_DONE = ".done"


class SessionMeta(msgspec.Struct, frozen=True):
    """What recovery has to know of a session."""

    language: str | None = None  # None where the disk lost it
    glossary: tuple[str, ...] = ()  # words that it may contain
    wall_start: float = 0.0  # seconds since 1970 at which it began
    words: bool = True  # whether results have word times
    next_sequence: int = 1  # of the first utterance that has no result yet
    remembered: Remembered = Remembered()  # from those that have one
    speakers: Count = ANY  # how many people speak
    background: bool = False  # whether it gives way to others


@dataclass(frozen=True)
class SampleFile:
    """A file with samples [start, start + count) of its session."""

    path: Path
    start: int
    count: int

    @property
    def end(self) -> int:
        return self.start + self.count


@dataclass(frozen=True)
class Leftover:
    """What a dead daemon left of a session: samples [start, end) have no result yet."""

    session_id: str  # whose it is
    meta: SessionMeta  # what recovery has to know of it
    start: int  # first sample without a result
    wall_start: float  # seconds since 1970 of that sample
    files: tuple[SampleFile, ...]  # in order; between two there is a hole where the disk took nothing
    late: tuple[Late, ...] = ()  # utterances before `start` without a result, with their audio in other files

    @property
    def end(self) -> int:
        return self.files[-1].end if self.files else self.start

    @property
    def seconds(self) -> float:
        """Of audio, without the holes."""
        return sum(file.end - max(self.start, file.start) for file in self.files) / SAMPLE_RATE

    @property
    def missing_s(self) -> float:
        """Seconds of holes."""
        return (self.end - self.start) / SAMPLE_RATE - self.seconds

    def pieces(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Samples from `start` on with the number of the first: 16 kHz mono float32, [n], n <= FILE_SAMPLES. Each
        file is read when it is due; what was fed before may be released meanwhile. Raises OSError."""
        for file in self.files:
            samples = np.fromfile(file.path, "<f4", file.count).astype(np.float32, copy=False)
            start = max(self.start, file.start)
            yield start, samples[start - file.start :]


class SavedState(msgspec.Struct, frozen=True):
    """state.json. floor: samples before it have their results, but for those of late utterances."""

    meta: SessionMeta
    floor: int = 0
    late: tuple[Late, ...] = ()


class SessionFiles:
    """One session's directory. Every method but `note` blocks and raises OSError; where one did, `create` is called
    before the next `append`."""

    def __init__(self, directory: Path, state: SavedState, files: tuple[SampleFile, ...] = ()) -> None:
        self._directory = directory  # the session's own
        self._state = state  # as it is to be on disk
        # what is final, as noted last
        self._released: Released = (state.floor, state.meta.next_sequence, state.meta.remembered)
        self._late = {late.sequence: late for late in state.late}  # utterances that are to be done later, by sequence
        # bytes of each file of samples, by its first sample
        self._sizes = {file.start: file.count * SAMPLE_BYTES for file in files}
        self._file: IO[bytes] | None = None  # the one that is written to

    @property
    def size(self) -> int:
        """Bytes of samples on disk."""
        return sum(self._sizes.values())

    def create(self) -> None:
        """Also for one that is there: its state is brought up to what was noted."""
        self._directory.mkdir(exist_ok=True)
        self._save()
        _sync_directory(self._directory.parent)
        self._delete_final()

    def append(self, start: int, data: bytes) -> None:
        """`data`: whole samples from number `start` on. Where they do not follow on those before, a file is begun."""
        if self._file is not None and start != self._end():
            self.close()
        view = memoryview(data)
        at = 0
        while at < len(view):
            file = self._file or self._begin_file(start + at // SAMPLE_BYTES)
            begun = next(reversed(self._sizes))
            written = file.write(view[at : at + FILE_SAMPLES * SAMPLE_BYTES - self._sizes[begun]])
            at += written  # unbuffered: a disk that fills up takes less than it is given, and then raises
            self._sizes[begun] += written
            if self._sizes[begun] == FILE_SAMPLES * SAMPLE_BYTES:
                self.close()

    def _end(self) -> int:
        start, size = next(reversed(self._sizes.items()))
        return start + size // SAMPLE_BYTES

    def _begin_file(self, start: int) -> IO[bytes]:
        self._file = _file_path(self._directory, start).open("xb", buffering=0)
        self._sizes[start] = 0
        return self._file

    def close(self) -> None:
        """What was appended survives a power cut, too."""
        if self._file is not None:
            with self._file as file:
                self._file = None
                os.fsync(file.fileno())
            _sync_directory(self._directory)

    def note(self, released: Released) -> None:
        """To be kept by the next `settle` or `create`; only the last counts."""
        self._released = released

    def note_late(self, late: dict[int, Late | None]) -> None:
        """By sequence: utterances that are to be done later; None where that is done. Kept as what else is noted."""
        for sequence, each in late.items():
            if each is not None:
                self._late[sequence] = each
            else:
                self._late.pop(sequence, None)

    def settle(self) -> None:
        """Keep what was noted. A floor that only rose a little, in silence, is not worth a write."""
        floor, next_sequence, remembered = self._released
        known = self._state.meta
        other = next_sequence != known.next_sequence or tuple(self._late.values()) != self._state.late
        other = other or remembered.heard.given != known.remembered.heard.given
        if other or floor >= self._state.floor + FILE_SAMPLES:
            self._save()
        self._delete_final()

    def _save(self) -> None:
        floor, next_sequence, remembered = self._released
        meta = replace(self._state.meta, next_sequence=next_sequence, remembered=remembered)
        self._write_state(SavedState(meta, floor, tuple(self._late.values())))

    def _delete_final(self) -> None:
        """Files that are final by the state on disk. By what is only noted it would be too early: after a crash that
        state has an old sequence, and what is recovered would get those that other results have."""
        for start in [start for start in self._sizes if self._is_final(start)]:
            if start == next(reversed(self._sizes)):
                self.close()  # open still, where what came after it was not kept
            if _deleted(_file_path(self._directory, start)):
                del self._sizes[start]

    def _is_final(self, start: int) -> bool:
        """The file that begins there."""
        end = start + FILE_SAMPLES
        return end <= self._state.floor and not any(late.needs(start, end) for late in self._state.late)

    def _write_state(self, state: SavedState) -> None:
        temporary = self._directory / f"{_STATE}.new"
        with temporary.open("wb") as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.fsync(file.fileno())
        patiently(partial(temporary.replace, self._directory / _STATE))
        _sync_directory(self._directory)
        self._state = state

    def remove(self) -> None:
        """Renamed before it is deleted: a directory that is half deleted must not be taken for one to recover. May be
        called again where it raised."""
        if self._file is not None:
            self._file.close()
        done = self._directory.with_name(self._directory.name + _DONE)
        if self._directory.exists():  # or it could never be created
            patiently(partial(self._directory.rename, done))
        if done.exists():
            patiently(partial(shutil.rmtree, done))


def _deleted(path: Path) -> bool:
    """False where another program holds it: it is tried again with the next audio, and nothing waits for it."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        if not is_held(error):
            raise
        return False
    return True


def _file_path(directory: Path, start: int) -> Path:
    return directory / f"{start:0{_DIGITS}d}{_SUFFIX}"


def probe(directory: Path) -> None:
    """Whether the disk takes a whole file of samples. Leaves nothing. Raises OSError."""
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(bytes(FILE_SAMPLES * SAMPLE_BYTES))
        file.flush()
        os.fsync(file.fileno())


def leftovers(directory: Path) -> Iterator[Leftover]:
    """Sessions with something left to finish; the others are removed. One that can't be read stays for the next
    start."""
    for path in sorted(each for each in directory.iterdir() if each.is_dir()):
        try:
            left = None if path.name.endswith(_DONE) else _left_in(path)
            if left is not None:
                yield left
            elif _is_ours(path):
                shutil.rmtree(path, ignore_errors=True)
        except OSError as error:
            _log.error("leftover_unreadable", session=path.name, reason=str(error))


def _is_ours(directory: Path) -> bool:
    """Whether a journal may have written all of it. A `journal` in the data directory may also be somebody's own."""
    return all(file.suffix == _SUFFIX or file.name.startswith(_STATE) for file in directory.iterdir())


def _left_in(directory: Path) -> Leftover | None:
    state = _read_state(directory / _STATE)
    files = tuple(_sample_files(directory, state.floor))
    if not files:
        return Leftover(directory.name, state.meta, state.floor, 0.0, (), state.late) if state.late else None
    first = files[0]
    start = max(state.floor, first.start)
    written = first.path.stat().st_mtime  # when its last sample came
    return Leftover(directory.name, state.meta, start, written - (first.end - start) / SAMPLE_RATE, files, state.late)


def read(directory: Path, start: int, end: int) -> NDArray[np.float32]:
    """Samples [start, end) of a session's directory, 16 kHz mono float32 [n]. Raises OSError where not all are
    there."""
    pieces, due = [], start
    for file in _sample_files(directory, start):
        if file.start <= due < min(file.end, end):
            samples = np.fromfile(file.path, "<f4", file.count).astype(np.float32, copy=False)
            pieces.append(samples[due - file.start : end - file.start])
            due += len(pieces[-1])
    if due < end:
        raise FileNotFoundError(f"samples {due} to {end} of session {directory.name} are not in the journal")
    return np.concatenate(pieces)


def _read_state(path: Path) -> SavedState:
    """It is written before any audio; damage to the disk may have taken it all the same."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=SavedState)
    except (FileNotFoundError, ValueError):  # bytes that are no text are no DecodeError
        return SavedState(SessionMeta())


def _sample_files(directory: Path, floor: int) -> Iterator[SampleFile]:
    """Those with samples from `floor` on. A sample that was being written when the daemon died is left out."""
    for path in sorted(directory.glob(f"{'[0-9]' * _DIGITS}{_SUFFIX}")):
        file = SampleFile(path, int(path.stem), path.stat().st_size // SAMPLE_BYTES)
        if file.end > floor and file.count:
            yield file
