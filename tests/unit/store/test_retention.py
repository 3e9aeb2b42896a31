"""What is old is forgotten, whatever the clocks say."""

import contextlib
import sqlite3
import time
from pathlib import Path

import pytest
import structlog

from tests.unit.store.kept import Clocks, content, final, keep, opened, recovery, sequences, summaries
from wernicke_daemon.records import transcript_file
from wernicke_daemon.records.retention import DAY_S
from wernicke_daemon.records.store import Store
from wernicke_daemon.wire import protocol


async def test_what_is_over_its_retention_is_forgotten(file: Path) -> None:
    """Results and sessions of that age go, with their counts in the log, younger ones stay, and the words are not left
    in the file."""
    clocks = Clocks()
    with structlog.testing.capture_logs() as lines:
        async with opened(file, 30, clocks) as kept:
            kept.session_started("s", clocks.wall - DAY_S, "en", "peer")
            kept.session_ended("s", clocks.wall)
            await keep(kept, final(1, "unmistakable " * 2000))
            clocks.run(29 * DAY_S)
            kept.purge()
            kept.session_started("young", clocks.wall, "en", "peer")
            await keep(kept, final(2))
            assert sequences(file) == [1, 2]
            clocks.run(2 * DAY_S)
            kept.purge()
            await keep(kept, final(1), session="young")
            assert sequences(file) == [2]
            clocks.run(29 * DAY_S)
            kept.purge()
            await keep(kept, final(2), session="young")
            assert [summary.id for summary in summaries(file)] == ["young"]
    assert lines == [
        {"event": "retention", "log_level": "info", "results": 1, "sessions": 0},
        {"event": "retention", "log_level": "info", "results": 1, "sessions": 1},
    ]
    assert b"unmistakable" not in content(file)


async def test_a_retention_of_0_is_for_ever(file: Path) -> None:
    """Nothing is ever purged."""
    clocks = Clocks()
    async with opened(file, 0, clocks) as kept:
        await keep(kept, final(1))
        clocks.run(10_000 * DAY_S)
        kept.purge()
        await keep(kept, final(2))
    assert sequences(file) == [1, 2]


async def test_a_start_purges(file: Path) -> None:
    """What became too old while no daemon ran, for an ordinary time, is gone after the next start."""
    clocks = Clocks()
    async with opened(file, 30, clocks) as kept:
        await keep(kept, final(1))
        clocks.run(25 * DAY_S)
        await keep(kept, final(2))
    clocks.wall += 6 * DAY_S
    async with opened(file, 30, clocks):
        pass
    assert sequences(file) == [2]


async def test_one_start_with_a_wrong_date_deletes_nothing(file: Path) -> None:
    """60 days ahead: it is told, once in the log, until the clock is right again, in that run or in the next."""
    clocks = Clocks()
    async with opened(file, 30, clocks) as kept:
        await keep(kept, final(1))
    for put_right_at_run in (True, False):
        clocks.wall += 60 * DAY_S
        with structlog.testing.capture_logs() as lines:
            async with opened(file, 30, clocks) as kept:
                kept.purge()
                assert kept.healthy and kept.postponed is not None
                assert "(1 results) is postponed: this machine's clock is 60 days ahead" in kept.postponed
                if put_right_at_run:
                    clocks.wall -= 60 * DAY_S
                    kept.purge()
                    assert kept.postponed is None
        postponement = {"event": "retention_postponed", "log_level": "warning", "results": 1, "clock_ahead_days": 60.0}
        assert lines == [postponement]
    clocks.wall -= 60 * DAY_S
    async with opened(file, 30, clocks) as kept:
        assert kept.postponed is None
    assert sequences(file) == [1]


async def test_what_was_kept_after_an_absence_is_not_as_old_as_it(file: Path) -> None:
    """The machine really was off for 60 days: once a day of running has shown that, what was there before goes, and
    what came since stays for its time."""
    clocks = Clocks()
    async with opened(file, 30, clocks) as kept:
        await keep(kept, final(1))
    clocks.wall += 60 * DAY_S
    async with opened(file, 30, clocks) as kept:
        await keep(kept, final(2))
        kept.purge()
        assert sequences(file) == [1, 2] and kept.postponed is not None and "(1 results)" in kept.postponed
    async with opened(file, 30, clocks) as kept:
        clocks.run(DAY_S)
        kept.purge()
        await keep(kept, final(3))
        assert sequences(file) == [2, 3] and kept.postponed is None
        clocks.run(28 * DAY_S)
        kept.purge()
    assert sequences(file) == [2, 3]


async def test_what_is_kept_with_a_date_long_past_is_not_old(file: Path) -> None:
    """A dead battery: the clock begins in 2009 and is right some minutes later."""
    clocks = Clocks()
    async with opened(file, 30, clocks) as kept:
        await keep(kept, final(1))
    right, clocks.wall = clocks.wall, 1_230_768_000.0
    async with opened(file, 30, clocks) as kept:
        await keep(kept, final(2))
        clocks.run(300.0)
        clocks.wall = right + 300.0
        kept.purge()
        await keep(kept, final(3))
    assert sequences(file) == [1, 2, 3]


async def test_a_clock_that_went_back_changes_no_order_and_no_length(file: Path) -> None:
    """`wernicke sessions` and "last" go by what came after what, whether the clock goes back between sessions or runs,
    or in a session, and after a kill, too (nobody wrote down when the run ended)."""
    clocks = Clocks()
    kept = Store(file, 30, clocks)
    kept.open()
    for session in ("first", "second"):
        kept.session_started(session, clocks.wall, "en", "peer")
        clocks.run(60.0)
        clocks.wall -= 100 * DAY_S
        await keep(kept, final(1), session=session)
    async with opened(file, 30, clocks) as after:
        after.session_started("third", clocks.wall, "en", "peer")
        clocks.run(60.0)
        clocks.wall -= 100 * DAY_S
        after.session_ended("third", clocks.wall)
        await keep(after, final(1), session="third")
    await kept.close()
    assert [one.id for one in summaries(file)] == ["first", "second", "third"]
    assert [one.length_s for one in summaries(file)] == [pytest.approx(60, abs=1)] * 3
    with transcript_file.reading(file) as database:
        assert transcript_file.find(database, "last") == "third"


async def test_nothing_is_deleted_while_it_is_unknown_how_old_it_is(file: Path, soon: None) -> None:
    """A file that can't be opened at the start: its clock is read once it can."""
    clocks = Clocks()
    async with opened(file, 30, clocks) as kept:
        await keep(kept, final(1))
    clocks.wall += 60 * DAY_S
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        async with opened(file, 30, clocks) as kept:
            assert not kept.healthy
            kept.purge()
            other.close()
            await recovery(kept)
            kept.purge()
            assert kept.postponed is not None
    assert sequences(file) == [1]


async def test_nothing_is_deleted_by_a_clock_that_cannot_be_read(file: Path) -> None:
    """Somebody took the clock out of the file: results are kept, the log says why, and it is tried again."""
    clocks = Clocks()
    async with opened(file, 30, clocks) as kept:
        await keep(kept, final(1))
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("DROP TABLE clock")
    clocks.run(31 * DAY_S)
    with structlog.testing.capture_logs() as lines:
        async with opened(file, 30, clocks) as kept:
            kept.purge()
            await keep(kept, final(2))
    assert [line["event"] for line in lines] == ["store_unreadable", "store_unreadable"]
    assert sequences(file) == [1, 2]


async def test_a_file_of_version_1_goes_on(file: Path) -> None:
    """It is listed before any daemon has opened it; its last result tells until when there was a daemon."""
    now = time.time()
    file.parent.mkdir()
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.executescript(f"{transcript_file._SCHEMAS[0]} PRAGMA user_version = 1;")
        with database:
            for number, begun in enumerate((now - 100 * DAY_S, now - 80 * DAY_S), 1):
                row = (f"s{number}", begun, begun + 60, "en", "")
                database.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?)", row)
                text = protocol.encode(final(number))
                database.execute("INSERT INTO result VALUES (?, ?, ?, 'final', ?)", (row[0], number, begun, text))
    listed = summaries(file)
    assert [one.id for one in listed] == ["s1", "s2"]
    clocks = Clocks()
    async with opened(file, 30, clocks) as kept:
        assert summaries(file) == listed
        assert kept.postponed is not None and "(2 results)" in kept.postponed
        await keep(kept, final(3), session="s3")
        clocks.run(DAY_S)
        kept.purge()
        await keep(kept, final(4), session="s3")
        assert [one.id for one in summaries(file)] == ["s3"]
