"""Audio that is lost is told and accounted for."""

import pytest

from ipc.messages import IngestOutcome
from tests.unit.session.house import House, Open, sequences
from wernicke_daemon.sessions.gaps import GAP_EVERY_S
from wernicke_daemon.wire import protocol


@pytest.mark.parametrize("stale", [True, False])
async def test_audio_that_cannot_be_examined_is_a_gap(open_house: Open, stale: bool) -> None:
    """From what was still open on; the next audio is examined afresh, and the journal keeps nothing of it."""
    house = open_house("status")
    await house.speak(0.5)
    house.find(house.task(), retain_from=4800, speaking=True)
    await house.speak(0.5)
    task = house.task()
    house.session.commit(task, IngestOutcome("s", 0, 0, b"x", (), True, stale=True) if stale else None)
    assert house.got == [protocol.Gap(0.3, 1.0, "INTERNAL_ERROR")]
    assert house.records.floors[-1] == (16_000, 1)
    await house.speak(0.5)
    assert (house.task().audio.start, house.task().state) == (16_000, b"")


async def test_a_gap_waits_for_a_client_that_comes_back(open_house: Open) -> None:
    """Also where it was told to a line that was cut, which takes messages for a while: until the client is known to
    have a later result."""
    house = open_house("status")
    await house.speak(1.0)
    house.session.commit(house.task(), None)
    house.session.detach()
    house.now += GAP_EVERY_S
    await house.speak(1.0)
    house.session.commit(house.task(), None)
    await house.say(1)
    house.settle(1)
    gaps = [protocol.Gap(0.0, 1.0, "INTERNAL_ERROR"), protocol.Gap(1.0, 2.0, "INTERNAL_ERROR")]
    told = house.listen(0)
    assert (told[:2], sequences(told[2:]), house.listen(1)) == (gaps, [1], [])
    assert house.session.figures().results == 1


async def test_a_gap_is_told_in_time_though_nothing_follows(open_house: Open) -> None:
    """Soon after another it waits for those after it, but not for the client's next word."""
    house = open_house("status")
    for _ in range(2):
        await house.speak(1.0)
        house.session.commit(house.task(), None)
    house.now += GAP_EVERY_S
    assert house.news() is None
    assert house.got == [protocol.Gap(0.0, 1.0, "INTERNAL_ERROR"), protocol.Gap(1.0, 2.0, "INTERNAL_ERROR")]


async def test_every_sample_is_accounted_for(house: House) -> None:
    """In an utterance, lost, or silence; what two utterances share counts once."""
    await house.speak(2.0)
    house.find(house.task(), (1600, 16_000), (14_400, 24_000))
    await house.speak(1.0)
    house.session.commit(house.task(), None)
    await house.session.end_utterance("stop")
    house.find(house.task())
    assert house.session.account() == {"received_s": 3.0, "utterances_s": 1.4, "silence_s": 0.1, "lost_s": 1.5}


async def test_a_gap_is_an_error_to_those_who_asked_for_nothing(house: House) -> None:
    """Every client hears of audio that will not come back as text."""
    await house.speak(0.5)
    house.session.commit(house.task(), None)
    [error] = house.of(protocol.Error)
    assert (error.code, error.details) == ("INTERNAL_ERROR", {"from": 0.0, "to": 0.5})


async def test_a_session_ends_though_its_last_audio_is_lost(house: House) -> None:
    """The break that ended it counts as reached."""
    await house.speak(0.5)
    await house.session.end_utterance("stop")
    house.session.commit(house.task(), None)
    assert house.session.done.is_set()
