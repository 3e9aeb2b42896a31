"""Disks that are full, locked, damaged or not there."""

import contextlib
import sqlite3
import sys
from pathlib import Path

import pytest
import structlog

from tests.unit.store.kept import content, final, keep, opened, recovery, results, sequences
from wernicke_daemon.records import transcript_file, writer
from wernicke_daemon.records.store import Store, StoreUnusable


def spoil(file: Path, content: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)


async def test_a_full_disk_holds_up_nothing_and_heals(file: Path, soon: None) -> None:
    """Results are delivered, the failure is logged once and told; when there is room, all of them are written."""
    with structlog.testing.capture_logs() as lines:
        async with opened(file) as kept:
            await keep(kept, final(1))
            database = kept._writer._database
            assert database is not None
            database.execute("PRAGMA max_page_count = 1")
            await keep(kept, *(final(number, "long " * 2000) for number in range(2, 5)))
            await keep(kept, final(5, "long " * 2000))
            assert not kept.healthy
            assert kept.problem is not None and "full" in kept.problem and str(file.parent) not in kept.problem
            assert sequences(file) == [1]
            database.execute("PRAGMA max_page_count = 100000")
            await recovery(kept)
            assert sequences(file) == [1, 2, 3, 4, 5]
    assert [line["event"] for line in lines] == ["store_failed", "store_recovered"]


async def test_a_lock_of_another_program_is_waited_out(file: Path, soon: None) -> None:
    """Somebody who writes to the file for long is an outage like others, and nothing is lost over it."""
    async with opened(file) as kept:
        await keep(kept, final(1))
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await keep(kept, final(2))
            assert not kept.healthy
            other.execute("ROLLBACK")
        await recovery(kept)
    assert sequences(file) == [1, 2]


async def test_what_an_outage_without_end_loses_is_counted(
    file: Path, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded: the oldest are given up, and the log says how many when it ends."""
    monkeypatch.setattr(writer, "MOST_UNWRITTEN", 4)
    with structlog.testing.capture_logs() as lines:
        async with opened(file) as kept:
            database = kept._writer._database
            assert database is not None
            database.execute("PRAGMA max_page_count = 1")
            await keep(kept, *(final(number, "long " * 2000) for number in range(1, 6)))
    assert [(line["event"], line.get("results")) for line in lines] == [("store_failed", None), ("results_lost", 5)]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file can't be deleted there")
async def test_a_deleted_file_is_begun_anew(file: Path) -> None:
    """Whoever clears the data directory under a running daemon does not send later results into the void."""
    async with opened(file) as kept:
        await keep(kept, final(1))
        clear(file.parent)
        await keep(kept, final(2))
        assert kept.healthy
    assert sequences(file) == [2]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone says which files are open")
async def test_who_still_reads_a_deleted_file_lays_no_hand_on_the_new_one(file: Path) -> None:
    """Whoever had opened it and begins to read only now: SQLite finds the files beside it by their names, and begins
    one anew that nobody seems to use."""
    async with opened(file) as kept:
        await keep(kept, final(1))
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as reader:
            clear(file.parent)
            await keep(kept, final(2))
            with contextlib.suppress(sqlite3.Error):
                reader.execute("SELECT sequence FROM result").fetchall()
            assert times_open(Path(f"{file}-shm")) == 1
        await keep(kept, final(3))
    assert sequences(file) == [2, 3]


def clear(directory: Path) -> None:
    """The search index comes and goes with what it is of."""
    for remaining in directory.iterdir():
        remaining.unlink(missing_ok=True)


def times_open(file: Path) -> int:
    """In this process."""
    return sum(link.resolve() == file for link in Path("/proc/self/fd").iterdir())


async def test_a_file_that_is_no_database_is_set_aside(file: Path) -> None:
    """A new one is begun, the old one is there under another name, the log says which."""
    spoil(file, b"garbage, but precious " * 500)
    with structlog.testing.capture_logs() as lines:
        async with opened(file) as kept:
            assert kept.healthy
            await keep(kept, final(1))
    [line] = lines
    assert line["event"] == "transcripts_damaged"
    assert content(file.parent / line["moved_to"]).startswith(b"garbage, but precious")
    assert sequences(file) == [1]


async def test_damage_that_shows_later_is_set_aside_too(file: Path, soon: None) -> None:
    """Broken pages behind a sound beginning: what failed is written into the new file."""
    async with opened(file) as kept:
        await keep(kept, *(final(number, "long " * 2000) for number in range(1, 10)))
    sound = content(file)
    spoil(file, sound[:4096] + b"\xff" * (len(sound) - 4096))
    async with opened(file) as kept:
        await keep(kept, final(10))
        await recovery(kept)
    assert sequences(file) == [10]
    assert len(list(file.parent.glob("transcripts-damaged-*.db"))) == 1


async def test_a_file_of_a_newer_version_is_left_alone(file: Path) -> None:
    """After a downgrade serving goes on, the problem is told, and the file is as it was."""
    async with opened(file) as kept:
        await keep(kept, final(1))
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version = 99")
    async with opened(file) as kept:
        assert kept.problem is not None and "newer version" in kept.problem
        await keep(kept, final(2))
    assert sequences(file) == [1]


async def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """The daemon does not start without saying what to change."""
    (tmp_path / "data").write_text("in the way", encoding="utf-8")
    with pytest.raises(StoreUnusable, match=r"choose another runtime\.data_dir, or set store\.enabled = false\.$"):
        Store(tmp_path / "data" / "transcripts.db", 30).open()


async def test_a_file_that_cannot_be_read_is_one_sentence(file: Path) -> None:
    """Its readers are told which it is."""
    async with opened(file) as kept:
        await keep(kept, final(1))
    spoil(file, b"garbage" * 1000)
    with pytest.raises(transcript_file.NoTranscript, match="can't be read") as raised:
        results(file)
    assert str(file) in str(raised.value)
