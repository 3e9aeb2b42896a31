"""A transcript store on a real SQLite file, and what is in it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from tests.waiting import eventually
from wernicke_daemon.records import transcript_file
from wernicke_daemon.records.retention import Now
from wernicke_daemon.records.session_list import SessionSummary, sessions
from wernicke_daemon.records.store import ResultStore, Store
from wernicke_daemon.wire.protocol import Final, SegmentOut, TimestampRange


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


def summaries(file: Path) -> list[SessionSummary]:
    """The earliest first."""
    with transcript_file.reading(file) as database:
        return sessions(database)[::-1]


async def recovery(kept: Store) -> None:
    """Without anything new to write."""
    await eventually(lambda: kept.healthy)


def content(file: Path) -> bytes:
    return file.read_bytes()
