"""When a session is over, and when it is abandoned."""

import asyncio

import pytest

from ipc.messages import Trigger
from tests.unit.session.house import RING, House, Open, pcm
from tests.waiting import eventually
from wernicke_daemon.wire import protocol


@pytest.mark.parametrize("trigger", ["stop", "disconnect"])
async def test_a_session_is_over_when_its_last_result_is_kept(house: House, trigger: Trigger) -> None:
    """Not when its audio ends, nor when that is examined."""
    await house.speak(0.5)
    await house.session.end_utterance(trigger)
    assert house.session.ended == trigger
    house.find(house.task(), (0, 8000))
    assert not house.session.done.is_set()
    house.settle(1)
    assert house.session.done.is_set()
    assert not house.session.abandoned


async def test_a_session_is_not_over_while_its_last_audio_is_not_examined(house: House) -> None:
    """A result that comes after stop is not the last: another utterance may be found in what was received before."""
    await house.say(1)
    await house.speak(0.5)
    await house.session.end_utterance("stop")
    house.settle(1)
    assert not house.session.done.is_set()
    house.find(house.task(), (4000, 12_000))
    house.settle(2)
    assert house.session.done.is_set()


async def test_a_flush_does_not_end_a_session(house: House) -> None:
    """It goes on, also where nothing is under way."""
    await house.session.end_utterance("flush")
    house.find(house.task())
    assert (house.session.ended, house.session.done.is_set()) == (None, False)


async def test_a_flush_is_answered_with_the_last_utterance_before_it(open_house: Open) -> None:
    """Once all before it is examined, also where nobody speaks; its result comes after. Nobody else is told."""
    house, other = open_house("flush"), open_house()
    for each in (house, other):
        await each.session.end_utterance("flush")
        each.find(each.task())
        await each.speak(0.5)
        await each.session.end_utterance("flush")
        each.find(each.task(), (0, 8000))
        each.settle(1)
    assert house.got[:2] == [protocol.Flushed(0), protocol.Flushed(1)] and len(house.got) == 3
    assert not other.of(protocol.Flushed)


async def test_a_flush_is_answered_also_where_its_audio_could_not_be_examined(open_house: Open) -> None:
    house = open_house("flush")
    await house.speak(0.5)
    await house.session.end_utterance("flush")
    house.session.commit(house.task(), None)
    assert house.of(protocol.Flushed) == [protocol.Flushed(0)]


async def test_an_abandoned_session_says_and_forgets_nothing_more(house: House) -> None:
    """What is not final then stays in the journal, and is done by the next daemon: sent now, it would come twice."""
    house.records.on_disk = False
    await house.say(2)
    house.settle(1)
    house.session.abandon()
    assert house.session.done.is_set() and house.session.abandoned
    floors = list(house.records.floors)
    house.settle(2)
    assert house.records.outcomes == [1]
    house.records.keep()
    assert house.records.floors == floors


async def test_an_abandoned_session_tells_of_what_was_lost(open_house: Open) -> None:
    """A gap that waits to be told with those after it: the journal does not have that audio any more."""
    house = open_house("status")
    for _ in range(2):
        await house.speak(1.0)
        house.session.commit(house.task(), None)
    house.session.abandon()
    assert house.got == [protocol.Gap(0.0, 1.0, "INTERNAL_ERROR"), protocol.Gap(1.0, 2.0, "INTERNAL_ERROR")]


async def test_abandoning_what_is_over_changes_nothing(house: House) -> None:
    """Its journal may go."""
    await house.session.end_utterance("stop")
    house.find(house.task())
    house.session.abandon()
    assert not house.session.abandoned


async def test_an_abandoned_session_lets_go_of_whoever_feeds_it(house: House) -> None:
    """A client that waits for room in the ring must not keep the daemon from stopping. What was acknowledged of its
    audio is in the journal, and no more than that."""
    frame = pcm(3 * RING)
    feeding = asyncio.create_task(house.session.feed(frame))
    await eventually(lambda: house.session.paused)
    ending = asyncio.create_task(house.session.end_utterance("stop"))
    house.session.abandon()
    house.arena.release(house.session.ring)
    await feeding
    await ending
    await house.session.feed(frame)
    assert house.session.ring.written == RING
    assert sum(len(samples) for _, samples in house.records.heard) == house.session.received().samples_received
