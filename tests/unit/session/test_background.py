"""A session that gives way to those in which somebody speaks."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from ipc.messages import IngestResult, IngestWork
from tests.unit.session.house import MONO, RATE, House, pcm
from wernicke_daemon.sessions.clock import Clock
from wernicke_daemon.sessions.giving_way import MOST_HELD_S
from wernicke_daemon.sessions.ingest_tick import IngestTick
from wernicke_daemon.sessions.options import Options

IN_BACKGROUND = Options(MONO, "en", background=True)


@pytest.fixture
def file() -> Iterator[House]:
    house = House(IN_BACKGROUND)
    house.session.attach(house.got.append)
    yield house
    house.close()


async def test_what_waits_for_others_is_no_silence(file: House) -> None:
    """Nothing of it is examined while they speak, and then all of it, without a pause in between."""
    await file.speak(1.0)
    for _ in range(round(MOST_HELD_S)):
        file.now += 1.0
        assert file.session.take_news(file.now, others_speak=True) is None
    await file.speak(1.0)
    task = file.task()
    assert (task.audio.count, task.idle_s) == (2 * RATE, 0.0)


async def test_where_somebody_always_speaks_an_utterance_is_begun_now_and_then(file: House) -> None:
    """After so long it is examined up to the next utterance, and then waits as long again."""

    def held_s() -> float:
        since = file.now
        while (task := file.session.take_news(file.now, others_speak=True)) is None:
            assert file.now < since + 100.0, "for ever"
            file.now += 1.0
        held = file.now - since
        file.find(task, (task.audio.start, task.audio.start + RATE))
        file.keep_silent(len(file.submitted))
        return held

    for _ in range(2):
        await file.speak(1.0)
        assert held_s() == MOST_HELD_S
    await file.speak(1.0)
    assert file.session.take_news(file.now) is not None, "nobody speaks"
    assert held_s() == MOST_HELD_S


async def test_one_utterance_at_a_time_is_recognised(file: House) -> None:
    """The next is begun while the one before is corrected, so that two are under way at most."""
    await file.speak(1.0)
    file.find(file.task(), (0, RATE))
    await file.speak(1.0)
    assert file.news() is None
    file.session.audio_released(file.submitted[1])
    file.find(file.task(), (RATE, 2 * RATE))
    file.session.audio_released(file.submitted[2])
    await file.speak(1.0)
    assert file.news() is None
    file.session.settled(file.submitted[1])
    assert file.news() is not None


async def test_a_session_with_a_client_that_speaks_is_examined_alone() -> None:
    """As long as its utterance is open or has no result; a file waits in the other."""
    loud, file = House(Options(MONO, "en"), session_id="loud"), House(IN_BACKGROUND, session_id="file")
    try:
        loud.session.attach(loud.got.append)
        assert await _examined(loud, file) == {"loud", "file"}, "nobody has spoken yet"
        loud.find(loud.task(), speaking=True)
        assert await _examined(loud, file) == {"loud"}
        loud.session.detach()
        assert await _examined(loud, file) == {"loud", "file"}, "its client has lost its line"
        loud.session.attach(loud.got.append)
        loud.find(loud.task(), (0, RATE))
        assert await _examined(loud, file) == {"loud"}, "it has ended, and has no result"
        loud.keep_silent(1)
        assert await _examined(loud, file) == {"loud", "file"}
    finally:
        loud.close()
        file.close()


async def _examined(*houses: House) -> set[str]:
    """Those of which a tick brings something, when something has come of all; they are left as they were."""
    asked: asyncio.Future[IngestWork] = asyncio.get_running_loop().create_future()

    def examine(work: IngestWork, answer: Callable[[IngestResult | None], None]) -> None:
        asked.set_result(work)

    tick = IngestTick(examine, 3600.0, clock=Clock(lambda: houses[0].now, lambda: houses[0].now))
    for house in houses:
        await house.session.feed(pcm(RATE // 2, 0.5))
        tick.add(house.session)
    running = asyncio.create_task(tick.run())
    tick.hurry()
    async with asyncio.timeout(10):
        work = await asked
    running.cancel()
    return {task.session for task in work.tasks}
