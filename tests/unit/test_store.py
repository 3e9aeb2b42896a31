"""The transcript store on real SQLite files: what is kept, in which order, and what a failing disk changes."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from tests.waiting import eventually
from wernicke_daemon.records import store, transcript_file
from wernicke_daemon.records.retention import DAY_S, Now
from wernicke_daemon.records.store import NoStore, ResultStore, Store, StoreUnusable
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import Final, SegmentOut, Suppressed, TimestampRange

ROOT = Path(__file__).parents[2]


def final(sequence: int, text: str = "text", speaker: str | None = None) -> Final:
    return Final(
        session_id="s",
        buffer_id=f"buff_{sequence}",
        sequence=sequence,
        revision=1,
        text=text,
        segments=[SegmentOut(0.0, 1.0, text, speaker, False, None)],
        timestamp_range=TimestampRange(sequence, sequence + 1),
        wall_start="2026-01-01T03:00:12.480Z",
        language="en",
        duration=1.0,
        processing_time=0.1,
        latency_ms=10,
        trigger="silence",
        models_used={},
        warnings=[],
    )


class Deliveries:
    """Numbers in the order in which they were delivered."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._news = asyncio.Event()

    def of(self, number: int) -> Callable[[], None]:
        def delivered() -> None:
            self.numbers.append(number)
            self._news.set()

        return delivered

    async def all_of(self, count: int) -> None:
        while len(self.numbers) < count:
            self._news.clear()
            await self._news.wait()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "transcripts.db"


class Clocks:
    """The machine's clock and a monotonic one, as the store is to read them. Both go on with each reading."""

    def __init__(self) -> None:
        self.wall, self.monotonic = time.time(), 5000.0

    def __call__(self) -> Now:
        self.run(0.001)
        return Now(self.wall, self.monotonic)

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@contextlib.asynccontextmanager
async def opened(file: Path, retention_days: int = 0, clocks: Clocks | None = None) -> AsyncIterator[Store]:
    kept = Store(file, retention_days, clocks or Clocks())
    kept.open()
    try:
        yield kept
    finally:
        await kept.close()


async def keep(kept: ResultStore, *messages: Final, session: str = "s") -> None:
    """All are delivered when it returns."""
    deliveries = Deliveries()
    for message in messages:
        kept.keep(session, message.sequence, message, deliveries.of(message.sequence))
    await deliveries.all_of(len(messages))
    assert deliveries.numbers == [message.sequence for message in messages]


def results(file: Path, session: str = "s", after: int = 0) -> list[dict[str, Any]]:
    with transcript_file.reading(file) as database:
        return transcript_file.results(database, session, after)


def sequences(file: Path, session: str = "s", after: int = 0) -> list[int]:
    return [result["sequence"] for result in results(file, session, after)]


def summaries(file: Path) -> list[transcript_file.SessionSummary]:
    with transcript_file.reading(file) as database:
        return transcript_file.sessions(database)


# --- keeping ---------------------------------------------------------------------------------------


async def test_a_result_is_on_disk_before_it_is_delivered(file: Path) -> None:
    """At the moment of `delivered`, on the event loop's thread, another reader finds it."""
    async with opened(file) as kept:
        seen: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        kept.keep("s", 7, final(7), lambda: seen.set_result(sequences(file)))
        assert await seen == [7]


async def test_order_and_content_are_kept(file: Path) -> None:
    """Hundreds at once are delivered in their order, and come back as they were sent."""
    messages = [final(number, f"文 {number}", "Speaker_00") for number in range(1, 501)]
    async with opened(file) as kept:
        await keep(kept, *messages)
        found = results(file)
    assert found == [msgspec.json.decode(protocol.encode(message)) for message in messages]


async def test_results_after_a_sequence(file: Path) -> None:
    """Of its own session alone."""
    async with opened(file) as kept:
        await keep(kept, final(1), final(2), final(3))
        await keep(kept, final(9), session="other")
        assert sequences(file, after=1) == [2, 3]
        assert (sequences(file), sequences(file, "other"), sequences(file, "nobody")) == ([1, 2, 3], [9], [])


async def test_all_kinds_of_outcome_are_kept(file: Path) -> None:
    """Errors and what was suppressed have a sequence too, and count as done."""
    deliveries = Deliveries()
    async with opened(file) as kept:
        kept.keep("s", 1, protocol.error("TRANSCRIPTION_FAILED", "No.", sequence=1), deliveries.of(1))
        kept.keep("s", 2, Suppressed(2, "b", "no speech was recognised"), deliveries.of(2))
        await deliveries.all_of(2)
        assert [result["type"] for result in results(file)] == ["error", "suppressed"]
        assert sequences(file) == [1, 2]


async def test_the_first_of_two_wins(file: Path) -> None:
    """A result that is made again after a restart changes nothing, and is delivered all the same."""
    async with opened(file) as kept:
        await keep(kept, final(1, "first"))
        await keep(kept, final(1, "second"))
        assert [result["text"] for result in results(file)] == ["first"]


async def test_close_writes_what_is_waiting(file: Path) -> None:
    """Everything given before is on disk and delivered when it returns."""
    deliveries = Deliveries()
    async with opened(file) as kept:
        for number in range(1, 201):
            kept.keep("s", number, final(number), deliveries.of(number))
    assert deliveries.numbers == list(range(1, 201)) == sequences(file)


async def test_results_outlive_the_store(file: Path) -> None:
    """The next start finds the file as it was and goes on with it."""
    async with opened(file) as kept:
        await keep(kept, final(1))
    async with opened(file) as kept:
        await keep(kept, final(2))
        assert sequences(file) == [1, 2]


async def test_a_session_is_described(file: Path) -> None:
    """When it began, how long it was, how many texts, in which language, by how many voices."""
    async with opened(file) as kept:
        kept.session_started("s", 1000.0, "auto", "peer")
        await keep(kept, final(1, speaker="Speaker_00"), final(2, speaker="Speaker_01"), final(3, speaker="Speaker_00"))
        kept.keep("s", 4, Suppressed(4, "b", "nothing"), lambda: None)
        kept.session_ended("s", 1090.5)
    [summary] = summaries(file)
    assert summary.length_s == pytest.approx(90.5, abs=0.1)
    assert summary == transcript_file.SessionSummary("s", 1000.0, summary.length_s, 3, "en", 2)


async def test_a_session_that_nobody_saw_end_is_as_long_as_its_results(file: Path) -> None:
    """After a kill there is no end; the last result stands for it."""
    begun = time.time() - 60
    async with opened(file) as kept:
        kept.session_started("s", begun, "ja", "peer")
        await keep(kept, final(1))
        [summary] = summaries(file)
    assert 60 <= summary.length_s < 90


async def test_a_reader_and_the_writer_do_not_wait_for_each_other(file: Path) -> None:
    """A reader in the middle of its work sees its own moment, while results go on being kept."""
    async with opened(file) as kept:
        await keep(kept, final(1))
        with transcript_file.reading(file) as database:
            database.execute("BEGIN")
            assert [result["sequence"] for result in transcript_file.results(database, "s")] == [1]
            await keep(kept, final(2))
            assert kept.healthy
            assert [result["sequence"] for result in transcript_file.results(database, "s")] == [1]
        assert sequences(file) == [1, 2]


# --- retention -------------------------------------------------------------------------------------


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


# --- kill ------------------------------------------------------------------------------------------

WRITER = """
import asyncio, functools, itertools, sys
from pathlib import Path
from tests.unit.test_store import final
from wernicke_daemon.records.store import Store

async def main():
    kept = Store(Path(sys.argv[1]), 0)
    kept.open()
    under_way = asyncio.Semaphore(20)

    def delivered(number):
        under_way.release()
        print(number, flush=True)

    for number in itertools.count(1):
        await under_way.acquire()
        kept.keep("s", number, final(number), functools.partial(delivered, number))

asyncio.run(main())
"""


def test_everything_delivered_survives_a_kill(file: Path) -> None:
    """kill -9 in mid-stream: what the writer said was delivered is in the file, without a gap, for a reader alone."""
    arguments = [sys.executable, "-c", WRITER, str(file)]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        try:
            delivered = [int(writer.stdout.readline()) for _ in range(300)]
        finally:
            writer.kill()  # it never ends by itself
        delivered += [int(line) for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    found = sequences(file)
    assert delivered == list(range(1, len(delivered) + 1))
    assert found == list(range(1, len(found) + 1)) and len(found) >= len(delivered)


# --- disks that fail -------------------------------------------------------------------------------


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a human's patience."""
    monkeypatch.setattr(store, "RETRY_EVERY_S", 0.02)
    monkeypatch.setattr(transcript_file, "LOCK_WAIT_S", 0.02)


async def recovery(kept: Store) -> None:
    """Without anything new to write."""
    await eventually(lambda: kept.healthy)


def content(file: Path) -> bytes:
    return file.read_bytes()


def spoil(file: Path, content: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)


async def test_a_full_disk_holds_up_nothing_and_heals(file: Path, soon: None) -> None:
    """Results are delivered, the failure is logged once and told; when there is room, all of them are written."""
    with structlog.testing.capture_logs() as lines:
        async with opened(file) as kept:
            await keep(kept, final(1))
            database = kept._database
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
    monkeypatch.setattr(store, "MOST_UNWRITTEN", 4)
    with structlog.testing.capture_logs() as lines:
        async with opened(file) as kept:
            database = kept._database
            assert database is not None
            database.execute("PRAGMA max_page_count = 1")
            await keep(kept, *(final(number, "long " * 2000) for number in range(1, 6)))
    assert [(line["event"], line.get("results")) for line in lines] == [("store_failed", None), ("results_lost", 5)]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file can't be deleted there")
async def test_a_deleted_file_is_begun_anew(file: Path) -> None:
    """Whoever clears the data directory under a running daemon does not send later results into the void."""
    async with opened(file) as kept:
        await keep(kept, final(1))
        for remaining in file.parent.iterdir():
            remaining.unlink()
        await keep(kept, final(2))
        assert kept.healthy
    assert sequences(file) == [2]


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


# --- no store --------------------------------------------------------------------------------------


async def test_no_store_keeps_no_trace() -> None:
    """Results are delivered at once, and nothing is known of them."""
    kept: ResultStore = NoStore()
    deliveries = Deliveries()
    kept.open()
    kept.session_started("s", 0.0, "en", "peer")
    kept.keep("s", 1, final(1), deliveries.of(1))
    assert deliveries.numbers == [1]
    kept.session_ended("s", 1.0)
    assert kept.healthy and kept.problem is None and kept.postponed is None
    await kept.close()
