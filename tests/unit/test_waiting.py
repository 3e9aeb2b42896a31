"""What tests wait for: they go on once it is so, and say what was not."""

import asyncio
import threading

import pytest

from tests.waiting import eventually, eventually_sync


async def test_the_value_comes_once_it_is_true() -> None:
    """Whatever other tasks need for it; also of a condition that has to be awaited itself."""
    seen: list[int] = []

    async def looked() -> list[int]:
        await asyncio.sleep(0)
        return seen

    asyncio.get_running_loop().call_later(0.05, seen.append, 7)
    assert await eventually(lambda: seen) == [7]
    assert await eventually(looked) == [7]


def test_another_thread_may_bring_it_about() -> None:
    """The value, again."""
    seen: list[int] = []
    threading.Timer(0.05, seen.append, (7,)).start()
    assert eventually_sync(lambda: seen) == [7]


async def test_what_did_not_come_to_pass_is_said() -> None:
    """The condition as it is written, and how long it was waited for."""
    bells = 0
    with pytest.raises(AssertionError, match=r"^not so within 0\.05 s: .*lambda: bells == 8"):
        await eventually(lambda: bells == 8, within=0.05)
    with pytest.raises(AssertionError, match=r"^not so within 0\.05 s: .*lambda: bells == 8"):
        eventually_sync(lambda: bells == 8, within=0.05)


def test_what_is_no_lambda_is_said_by_name() -> None:
    """With the object that it is a method of."""
    with pytest.raises(AssertionError, match=r"0 s: <bound method Event\.is_set of <threading\.Event"):
        eventually_sync(threading.Event().is_set, within=0)


async def test_it_is_looked_once_more_when_the_time_is_over() -> None:
    """A test that was held up itself has not waited in vain."""
    looks: list[None] = []
    with pytest.raises(AssertionError):
        await eventually(lambda: looks.append(None), within=0)
    assert looks
