"""What is kept, in which order, and how it is read."""

import asyncio
import sqlite3
import threading
import time
from pathlib import Path

import msgspec
import pytest

from tests.unit.store.kept import Deliveries, final, keep, opened, results, sequences, summaries
from wernicke_daemon.records import session_list, transcript_file
from wernicke_daemon.records.search_index import SearchIndex
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import Suppressed


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
    assert summary == session_list.SessionSummary(
        "s", 1000.0, summary.length_s, 3, "en", ["Speaker_00", "Speaker_01"], "text"
    )


async def test_a_session_that_nobody_saw_end_is_as_long_as_its_results(file: Path) -> None:
    """After a kill there is no end; the last result stands for it."""
    begun = time.time() - 60
    async with opened(file) as kept:
        kept.session_started("s", begun, "ja", "peer")
        await keep(kept, final(1))
        [summary] = summaries(file)
    assert 60 <= summary.length_s < 90


async def test_a_file_is_as_long_as_what_is_said_in_it(file: Path) -> None:
    """However fast it came."""
    async with opened(file) as kept:
        kept.session_started("s", 1000.0, "ja", "peer")
        await keep(kept, final(7199))
        kept.session_ended("s", 1090.5)
    [summary] = summaries(file)
    assert summary.length_s == 7200.0


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


async def test_what_is_closed_is_in_the_file_itself(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in SQLite's log, though the index is at a step then."""
    step, at_it = SearchIndex.step, threading.Event()

    def slow(index: SearchIndex, transcripts: sqlite3.Connection) -> float | None:
        wait_s = step(index, transcripts)
        at_it.set()
        time.sleep(0.3)
        return wait_s

    monkeypatch.setattr(SearchIndex, "step", slow)
    async with opened(file) as kept:
        await keep(kept, final(1))
        await asyncio.to_thread(at_it.wait)
        at_it.clear()
        await keep(kept, final(2))
        await asyncio.to_thread(at_it.wait)
    assert not file.with_name(f"{file.name}-wal").exists()
    assert sequences(file) == [1, 2]
