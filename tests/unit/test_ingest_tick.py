"""When news of sessions are examined: at each tick, and at once where they decide something."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from ipc.messages import IngestOutcome, IngestResult, IngestTask, IngestWork, OpenSpeech
from tests.unit.session.house import RATE, House, pcm
from wernicke_daemon.sessions.clock import Clock
from wernicke_daemon.sessions.ingest_tick import IngestTick
from wernicke_daemon.sessions.options import Options
from wernicke_daemon.wire.audio import AudioFormat

MONO = Options(AudioFormat(RATE, 1, "f32le"), "en")
ENDS_AT = 3 * RATE


def outcome(task: IngestTask, paused: bool) -> IngestOutcome:
    """An open utterance that silence ends at ENDS_AT."""
    end = task.audio.end
    speech = OpenSpeech(0, 0, RATE, RATE + 4800, end - RATE, paused, 30 * RATE, ENDS_AT)
    return IngestOutcome("s", end, 0, b"state", (), speaking=True, open=speech)


def speaking(house: House, paused: bool = True) -> None:
    task = house.task()
    house.session.commit(task, outcome(task, paused))


async def test_a_session_hurries_with_the_audio_that_makes_silence_long_enough() -> None:
    """Once, with just that sample."""
    hurried: list[int] = []
    house = House(MONO, hurry=lambda: hurried.append(house.session.ring.written))
    try:
        await house.speak(2.0)
        speaking(house)
        await house.session.feed(pcm(RATE - 1, 0.0))
        assert hurried == []
        await house.session.feed(pcm(1, 0.0))
        await house.session.feed(pcm(100, 0.0))
        assert hurried == [ENDS_AT]
    finally:
        house.close()


async def test_nothing_hurries_as_long_as_somebody_speaks() -> None:
    hurried: list[None] = []
    house = House(MONO, hurry=lambda: hurried.append(None))
    try:
        await house.speak(2.0)
        speaking(house, paused=False)
        await house.speak(2.0)
        assert hurried == []
    finally:
        house.close()


async def test_hurried_news_do_not_wait_for_the_tick() -> None:
    """A tick that never comes by itself; what asks for the next one meanwhile is not forgotten."""
    house = House(MONO)
    asked: asyncio.Queue[IngestWork] = asyncio.Queue()
    try:
        async with ticking(asked.put_nowait, house) as tick:
            for seconds in (1, 2, 3):
                await house.session.feed(pcm(RATE))
                tick.hurry()
                async with asyncio.timeout(10):
                    work = await asked.get()
                assert work.tasks[0].audio.end == seconds * RATE
    finally:
        house.close()


async def test_how_long_audio_waited_is_told() -> None:
    """From the look that it just missed."""
    now = 0.0
    house = House(MONO)
    lags: asyncio.Queue[float] = asyncio.Queue()

    def examine(work: IngestWork, answer: Callable[[IngestResult | None], None]) -> None:
        nonlocal now
        now += 0.01
        answer(IngestResult(tuple(outcome(task, True) for task in work.tasks)))

    tick = IngestTick(examine, 3600.0, lags.put_nowait, Clock(lambda: now, lambda: now))
    tick.add(house.session)
    running = asyncio.create_task(tick.run())
    try:
        for looked, lag_ms in ((0.03, 40.0), (0.09, 70.0)):
            now = looked
            await house.session.feed(pcm(RATE))
            tick.hurry()
            async with asyncio.timeout(10):
                assert await lags.get() == pytest.approx(lag_ms)
    finally:
        running.cancel()
        house.close()


@asynccontextmanager
async def ticking(asked: Callable[[IngestWork], None], house: House) -> AsyncIterator[IngestTick]:
    """asked: told of each ingest job, which is answered on a later turn."""

    def examine(work: IngestWork, answer: Callable[[IngestResult | None], None]) -> None:
        asked(work)
        result = IngestResult(tuple(outcome(task, True) for task in work.tasks))
        asyncio.get_running_loop().call_later(0.01, answer, result)

    tick = IngestTick(examine, 3600.0)
    tick.add(house.session)
    running = asyncio.create_task(tick.run())
    try:
        yield tick
    finally:
        running.cancel()
