"""Shared memory: what is kept is never overwritten, what is gone is never read, and nobody else removes it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ipc import shared_memory
from ipc.arena import Arena, ArenaReader, RingWriter
from ipc.audio_handle import AudioHandle
from ipc.errors import StaleHandle

RING = 100
ROOT = Path(__file__).resolve().parents[2]

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="left-over segments can be listed on Linux only")


def ramp(start: int, end: int) -> NDArray[np.float32]:
    """Samples whose values are their own numbers."""
    return np.arange(start, end, dtype=np.float32)


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena(slots=2, ring_samples=RING)
    yield made
    made.close()


@pytest.fixture
def reader(arena: Arena) -> Iterator[ArenaReader]:
    made = ArenaReader(arena.geometry)
    yield made
    made.close()


def acquired(arena: Arena) -> RingWriter:
    writer = arena.acquire()
    assert writer is not None
    return writer


def child(code: str, *arguments: str) -> "subprocess.Popen[str]":
    """A Python process of its own that speaks through its stdout."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_what_was_written_is_read(arena: Arena, reader: ArenaReader) -> None:
    """A handle gives exactly its samples, as a copy."""
    writer = acquired(arena)
    writer.append(ramp(0, 60))
    got = reader.read(writer.handle(10, 50))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, ramp(10, 50))
    got[:] = -1.0
    np.testing.assert_array_equal(reader.read(writer.handle(10, 50)), ramp(10, 50))


def test_a_range_over_the_end_of_the_ring(arena: Arena, reader: ArenaReader) -> None:
    """Samples keep their numbers when the ring wraps around."""
    writer = acquired(arena)
    writer.append(ramp(0, 80))
    writer.raise_floor(70)
    writer.append(ramp(80, 150))
    np.testing.assert_array_equal(reader.read(writer.handle(70, 150)), ramp(70, 150))


def test_a_full_ring_and_an_empty_range(arena: Arena, reader: ArenaReader) -> None:
    """The ring can be filled to its last sample; a range without samples is one, too."""
    writer = acquired(arena)
    writer.append(ramp(0, RING))
    assert writer.room == 0
    np.testing.assert_array_equal(reader.read(writer.handle(0, RING)), ramp(0, RING))
    assert reader.read(writer.handle(RING, RING)).shape == (0,)


def test_what_is_kept_is_never_overwritten(arena: Arena, reader: ArenaReader) -> None:
    """More than there is room for is refused whole."""
    writer = acquired(arena)
    writer.append(ramp(0, 90))
    writer.raise_floor(30)
    assert writer.room == 40
    with pytest.raises(ValueError, match="41 samples do not fit into 40"):
        writer.append(ramp(90, 131))
    assert writer.written == 90
    np.testing.assert_array_equal(reader.read(writer.handle(30, 90)), ramp(30, 90))


def test_the_floor_never_goes_back(arena: Arena, reader: ArenaReader) -> None:
    """What was given up stays given up."""
    writer = acquired(arena)
    writer.append(ramp(0, 90))
    writer.raise_floor(50)
    writer.raise_floor(20)
    assert writer.floor == 50
    with pytest.raises(StaleHandle):
        reader.read(writer.handle(20, 60))


def test_below_the_floor_is_stale(arena: Arena, reader: ArenaReader) -> None:
    """A range that begins one sample below the floor is refused, one that begins on it is not."""
    writer = acquired(arena)
    writer.append(ramp(0, 90))
    writer.raise_floor(50)
    with pytest.raises(StaleHandle):
        reader.read(writer.handle(49, 60))
    assert reader.read(writer.handle(50, 60))[0] == 50


def test_overwritten_audio_is_stale_not_mixed(arena: Arena, reader: ArenaReader) -> None:
    """A handle from before the ring went round is an error, never other audio."""
    writer = acquired(arena)
    writer.append(ramp(0, RING))
    handle = writer.handle(0, 50)
    writer.raise_floor(RING)
    writer.append(ramp(RING, 2 * RING))
    with pytest.raises(StaleHandle):
        reader.read(handle)


def test_handles_of_a_released_slot_are_stale(arena: Arena, reader: ArenaReader) -> None:
    """They turn stale at the release, not only when the next connection writes."""
    writer = acquired(arena)
    writer.append(ramp(0, 50))
    handle = writer.handle(0, 50)
    arena.release(writer)
    with pytest.raises(StaleHandle):
        reader.read(handle)


def test_the_next_connection_has_a_generation_of_its_own(arena: Arena, reader: ArenaReader) -> None:
    """Handles of the former connection stay stale when its slot is used again, also for the same samples."""
    first = acquired(arena)
    first.append(ramp(0, 50))
    first.raise_floor(20)
    old = first.handle(20, 50)
    arena.release(first)
    writers = [acquired(arena), acquired(arena)]
    again = next(writer for writer in writers if writer.slot == old.slot)
    again.append(ramp(1000, 1050))
    with pytest.raises(StaleHandle):
        reader.read(old)
    np.testing.assert_array_equal(reader.read(again.handle(0, 50)), ramp(1000, 1050))


def test_slots_run_out_and_come_back(arena: Arena) -> None:
    """No slot, no writer; a released one is given out again, empty."""
    writers = [acquired(arena), acquired(arena)]
    assert writers[0].slot != writers[1].slot
    assert arena.acquire() is None
    writers[1].append(ramp(0, 50))
    arena.release(writers[1])
    again = acquired(arena)
    assert (again.slot, again.written, again.floor, again.room) == (writers[1].slot, 0, 0, RING)


def test_slots_do_not_touch_each_other(arena: Arena, reader: ArenaReader) -> None:
    """Two connections write side by side without mixing."""
    one, two = acquired(arena), acquired(arena)
    one.append(ramp(0, RING))
    two.append(ramp(500, 500 + RING))
    np.testing.assert_array_equal(reader.read(one.handle(0, RING)), ramp(0, RING))
    np.testing.assert_array_equal(reader.read(two.handle(0, RING)), ramp(500, 500 + RING))


def test_a_handle_to_another_arena_is_stale(arena: Arena, reader: ArenaReader) -> None:
    """A handle from a former run, or longer than any ring, is refused."""
    writer = acquired(arena)
    writer.append(ramp(0, 10))
    with pytest.raises(StaleHandle):
        reader.read(AudioHandle("wernicke_1_0", writer.slot, 1, 0, 10))
    with pytest.raises(StaleHandle):
        reader.read(writer.handle(0, RING + 1))


STEPS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_any_writing_keeps_all_above_the_floor(steps: list[tuple[int, int]]) -> None:
    """Whatever is appended and given up, everything from the floor on reads back unharmed."""
    arena = Arena(1, RING)
    reader = ArenaReader(arena.geometry)
    try:
        writer = acquired(arena)
        for count, given_up in steps:
            count = min(count, writer.room)
            writer.append(ramp(writer.written, writer.written + count))
            writer.raise_floor(min(writer.floor + given_up, writer.written))
            kept = reader.read(writer.handle(writer.floor, writer.written))
            np.testing.assert_array_equal(kept, ramp(writer.floor, writer.written))
    finally:
        reader.close()
        arena.close()


def test_closing_with_a_connection_still_there() -> None:
    """A connection that would not end does not keep the memory from being given back."""
    arena = Arena(1, RING)
    writer = acquired(arena)
    arena.close()
    with pytest.raises(FileNotFoundError):
        shared_memory.attach(arena.name)
    assert writer.slot == 0


ATTACH_AND_READ = """
import sys
import msgspec
from ipc.arena import ArenaReader
from ipc.audio_handle import AudioHandle
reader = ArenaReader(sys.argv[1])
print(float(reader.read(msgspec.json.decode(sys.argv[2], type=AudioHandle)).sum()))
if sys.argv[3] == "tidy":
    reader.close()
"""


@pytest.mark.parametrize("manners", ["tidy", "untidy"])
def test_a_process_that_attaches_and_exits_leaves_it_in_place(arena: Arena, manners: str) -> None:
    """Another process reads the same samples; its end, closed or not, does not remove the segment."""
    writer = acquired(arena)
    writer.append(ramp(0, 50))
    handle = msgspec.json.encode(writer.handle(0, 50)).decode()
    with child(ATTACH_AND_READ, arena.geometry, handle, manners) as process:
        said, _ = process.communicate(timeout=30)
    assert (process.returncode, float(said)) == (0, float(ramp(0, 50).sum()))
    again = ArenaReader(arena.geometry)
    np.testing.assert_array_equal(again.read(writer.handle(0, 50)), ramp(0, 50))
    again.close()


OWN_UNTRACKED = """
import sys
from multiprocessing import resource_tracker
resource_tracker.register = lambda *_: None
from ipc.arena import Arena
arena = Arena(1, 100)
print(arena.name, flush=True)
sys.stdin.read()
"""


@linux_only
def test_sweep_removes_what_a_killed_owner_left(arena: Arena) -> None:
    """After kill -9 of the owner (its resource tracker, too) the next start finds and removes the segment."""
    with child(OWN_UNTRACKED) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert name not in shared_memory.sweep(), "its owner is alive"
        shared_memory.attach(name).close()
        process.kill()
    assert name in shared_memory.sweep()
    with pytest.raises(FileNotFoundError):
        shared_memory.attach(name)
    shared_memory.attach(arena.name).close()


@linux_only
def test_sweep_knows_its_own_segments_from_a_predecessors(arena: Arena) -> None:
    """A container gives every start the same process id: what that id left before this process began is swept."""
    left = Path("/dev/shm") / f"{shared_memory.PREFIX}{psutil.Process().pid}_left"
    left.write_bytes(b"\0")
    try:
        swept = shared_memory.sweep()
    finally:
        left.unlink(missing_ok=True)
    assert left.name in swept
    assert arena.name not in swept


@linux_only
def test_sweep_passes_over_what_it_may_not_remove(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's left-over does not keep the daemon from starting."""
    left = Path("/dev/shm") / f"{shared_memory.PREFIX}{psutil.Process().pid}_foreign"
    left.write_bytes(b"\0")

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    try:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", refuse)
            assert left.name not in shared_memory.sweep()
    finally:
        left.unlink()


def test_names_are_short_enough_for_macos() -> None:
    """At most 31 characters with the largest process ids, the slash that macOS adds included."""
    assert len(f"/{shared_memory.PREFIX}{2**22}_{10**6}") <= 31


def test_attaching_to_nothing() -> None:
    """A segment that is not there is said so."""
    with pytest.raises(FileNotFoundError):
        shared_memory.attach(f"{shared_memory.PREFIX}0_none")
