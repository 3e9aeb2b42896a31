"""The shared-memory arena: one ring of 16 kHz mono float32 per slot, written by the front, read by stages.

Layout: two int64 per replica of each stage (the job it is at, parts of jobs done), a header of two int64 per slot
(generation, floor), then the rings one after another. Sample number n of a connection lies at n modulo the ring's
length. *floor* is the first sample that is still kept; the writer raises it before it overwrites anything, and a reader
checks it (and the generation) after it has copied: what it then holds is either exactly the samples asked for, or a
StaleHandle error, never old or mixed audio.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ipc import shared_memory
from ipc.audio_handle import AudioHandle
from ipc.errors import StaleHandle
from ipc.messages import STAGES, StageName
from ipc.settings import MOST_REPLICAS

_HEADER = np.dtype([("generation", np.int64), ("floor", np.int64)])


_MARKS = np.dtype([("job", np.int64), ("progress", np.int64)])
_MARKS_COUNT = len(STAGES) * MOST_REPLICAS
_MARKS_BYTES = _MARKS.itemsize * _MARKS_COUNT
_SAMPLE = np.dtype(np.float32)
NO_JOB = 0


def size_bytes(slots: int, ring_samples: int) -> int:
    """Shared memory that an arena takes."""
    return _MARKS_BYTES + (_HEADER.itemsize + _SAMPLE.itemsize * ring_samples) * slots


class _Views(NamedTuple):
    marks: NDArray[np.void]
    header: NDArray[np.void]
    rings: NDArray[np.float32]


def _views(buffer: memoryview, slots: int, ring_samples: int) -> _Views:
    marks = np.frombuffer(buffer, _MARKS, _MARKS_COUNT)
    header = np.frombuffer(buffer, _HEADER, slots, offset=_MARKS_BYTES)
    rings = np.frombuffer(buffer, _SAMPLE, slots * ring_samples, offset=_MARKS_BYTES + _HEADER.itemsize * slots)
    return _Views(marks, header, rings.reshape(slots, ring_samples))


def _mark_of(stage: StageName, replica: int) -> int:
    return STAGES.index(stage) * MOST_REPLICAS + replica


def _place(ring: NDArray[np.float32], start: int, count: int) -> tuple[slice, slice, int]:
    """The two stretches of `ring` that hold [start, start + count), and the length of the first."""
    at = start % len(ring)
    first = min(count, len(ring) - at)
    return slice(at, at + first), slice(0, count - first), first


class Arena:
    """The front's side: owns the segment, hands out writers."""

    def __init__(self, slots: int, ring_samples: int) -> None:
        """Raises OSError where the machine's shared memory is too small."""
        self._segment = shared_memory.create(size_bytes(slots, ring_samples))  # what both sides map
        buffer = self._segment.buf
        assert buffer is not None
        # Views of the shared block: jobs at work by replica, counters by ring, samples by ring.
        self._marks, self._header, self._rings = _views(buffer, slots, ring_samples)
        self._free = list(range(slots))  # slots that no session has
        self._writers: dict[int, RingWriter] = {}  # by slot that a session has
        self.name = self._segment.name  # the segment's, for handles
        self.geometry = f"{self.name}:{slots}:{ring_samples}"  # all that a reader has to know
        """What a reader needs to attach."""

    def acquire(self) -> "RingWriter | None":
        """A writer for a free slot under a new generation; None if every slot is taken."""
        if not self._free:
            return None
        slot = self._free.pop(0)
        self._header["floor"][slot] = 0
        self._header["generation"][slot] += 1
        writer = RingWriter(self.name, slot, self._header[slot : slot + 1], self._rings[slot])
        self._writers[slot] = writer
        return writer

    def take_mark(self, stage: StageName, replica: int) -> int | None:
        """The job that a replica was at when it died, even where its report of that was lost. Asked once per death."""
        at = _mark_of(stage, replica)
        job_id = int(self._marks["job"][at])
        self._marks["job"][at] = NO_JOB
        return job_id if job_id != NO_JOB else None

    def progress(self, stage: StageName, replica: int) -> int:
        """Parts of jobs that the replica has done so far, of all its processes."""
        return int(self._marks["progress"][_mark_of(stage, replica)])

    def release(self, writer: "RingWriter") -> None:
        """The slot may be used again; handles to it turn stale at once."""
        self._header["generation"][writer.slot] += 1
        self._writers.pop(writer.slot).detach()
        self._free.append(writer.slot)

    def close(self) -> None:
        """Remove and unmap; writers are of no use any more."""
        for writer in self._writers.values():
            writer.detach()
        del self._marks, self._header, self._rings
        self._segment.unlink()
        self._segment.close()


class RingWriter:
    """One connection's ring."""

    def __init__(self, arena: str, slot: int, header: NDArray[np.void], ring: NDArray[np.float32]) -> None:
        self.slot = slot  # its number in the arena
        self.written = 0  # samples so far
        self.floor = 0  # first sample that is still kept
        self._arena = arena  # name of the segment, for handles
        self._header = header  # its counters, which readers see
        # How often the slot was taken: handles of earlier sessions are stale.
        self._generation = int(header["generation"][0])
        self._ring = ring  # its samples

    @property
    def room(self) -> int:
        """Samples that can be appended without touching what is kept."""
        return len(self._ring) - (self.written - self.floor)

    def begin_at(self, sample: int) -> None:
        """Number the samples from there on; before the first of them."""
        self.written = sample
        self.raise_floor(sample)

    def append(self, samples: NDArray[np.float32]) -> None:
        """samples: float32 [n], n <= room (ValueError otherwise: nothing that is kept is ever overwritten)."""
        if len(samples) > self.room:
            raise ValueError(f"{len(samples)} samples do not fit into {self.room}")
        first, second, cut = _place(self._ring, self.written, len(samples))
        self._ring[first] = samples[:cut]
        self._ring[second] = samples[cut:]
        self.written += len(samples)

    def raise_floor(self, sample: int) -> None:
        """Give up everything before `sample`; never goes back."""
        if sample > self.floor:
            self.floor = sample
            self._header["floor"][0] = sample

    def detach(self) -> None:
        """Let go of the shared memory: it can't be unmapped while anything points into it."""
        del self._header, self._ring

    def handle(self, start: int, end: int) -> AudioHandle:
        """A handle to samples [start, end)."""
        return AudioHandle(self._arena, self.slot, self._generation, start, end - start)


class ArenaReader:
    """A stage's side: copies ranges of samples; StaleHandle where they are gone."""

    def __init__(self, geometry: str) -> None:
        name, slots, ring_samples = geometry.split(":")
        self._segment = shared_memory.attach(name)
        buffer = self._segment.buf
        assert buffer is not None
        self._marks, self._header, self._rings = _views(buffer, int(slots), int(ring_samples))
        self._name = name

    def read(self, handle: AudioHandle) -> NDArray[np.float32]:
        """A copy of the handle's samples, float32 [count]. Raises StaleHandle."""
        if handle.arena != self._name or handle.count > self._rings.shape[1]:
            raise StaleHandle("the audio belongs to another arena")
        ring = self._rings[handle.slot]
        first, second, _ = _place(ring, handle.start, handle.count)
        copy = np.concatenate((ring[first], ring[second]))
        header = self._header[handle.slot]
        if header["generation"] != handle.generation or header["floor"] > handle.start:
            raise StaleHandle("the audio is no longer in shared memory")
        return copy

    def mark(self, stage: StageName, replica: int, job_id: int) -> None:
        """This replica is at that job now, or at NO_JOB. In shared memory, so that it is known after a kill."""
        self._marks["job"][_mark_of(stage, replica)] = job_id

    def progressed(self, stage: StageName, replica: int) -> None:
        """This replica has done a part of its job. In shared memory, as no message leaves while C code holds the
        GIL."""
        self._marks["progress"][_mark_of(stage, replica)] += 1

    def close(self) -> None:
        del self._marks, self._header, self._rings
        self._segment.close()
