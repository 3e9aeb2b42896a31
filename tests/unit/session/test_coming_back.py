"""A client that comes back, and a session that is taken up."""

import numpy as np
import pytest

from tests.unit.session.house import House, Open, one_voice, ramp, sequences
from wernicke_daemon.sessions.options import StartingPoint
from wernicke_daemon.wire.protocol import Final


async def test_one_that_comes_back_gets_what_it_missed(house: House) -> None:
    """In order, and only that: what it had, what was sent into the void, and what was ready meanwhile."""
    await house.say(4)
    house.settle(1)
    house.settle(2, text=None)
    house.session.detach()
    house.settle(3)
    back = house.listen(1)
    assert sequences(back) == [2, 3]
    house.settle(4)
    assert sequences(back) == [2, 3, 4]
    assert sequences(house.got) == [1, 2]


async def test_one_that_had_nothing_gets_everything(house: House) -> None:
    """Again and again, if it has to."""
    await house.say(2)
    house.settle(1)
    house.settle(2)
    assert sequences(house.listen(0)) == sequences(house.listen(0)) == [1, 2]
    assert sequences(house.listen(2)) == []


async def test_a_new_client_is_told_nothing_old(house: House) -> None:
    """Only a client that says how far it was can have missed anything."""
    await house.say(1)
    house.settle(1)
    assert house.listen() == []


async def test_what_was_suppressed_is_sent_again_to_those_who_asked(open_house: Open) -> None:
    """As it was the first time."""
    for events, told in (((), [2]), (("suppressed",), [1, 2])):
        house = open_house(*events)
        await house.say(2)
        house.keep_silent(1)
        house.settle(2)
        assert sequences(house.listen(0)) == told


async def test_a_voice_keeps_its_name(house: House) -> None:
    """The session knows its voices; a line that was cut changes nothing."""
    await house.say(2)
    house.settle(1, embedding=(1.0, 0.0))
    house.session.detach()
    house.settle(2, embedding=(1.0, 0.0))
    assert [final.segments[0].speaker for final in house.listen(1) if isinstance(final, Final)] == ["Speaker_00"]


async def test_who_is_in_no_final_founds_no_voice(house: House) -> None:
    """Nobody was told of the name: the next one who is heard gets it."""
    await house.say(3)
    house.submitted[1].diarization = one_voice((1.0, 0.0))
    house.settle(1, text=None)
    house.submitted[2].diarization = one_voice((1.0, 0.0))
    house.keep_silent(2)
    house.settle(3, embedding=(0.0, 1.0))
    assert [final.segments[0].speaker for final in house.of(Final)] == ["Speaker_00"]


async def test_a_session_that_is_taken_up_goes_on_with_its_numbers(open_house: Open) -> None:
    """Samples, utterances and time of day, as if the daemon had not died; it has no client, so no time passes."""
    house = open_house(start=StartingPoint(sample=1_000_000, sequence=7, wall=5e8), client=False)
    await house.session.feed_recovered(ramp(0, 16_000))
    house.now += 60.0
    task = house.task()
    assert (task.audio.start, task.audio.end, task.idle_s) == (1_000_000, 1_016_000, 0.0)
    np.testing.assert_array_equal(house.reader.read(task.audio), ramp(0, 16_000))
    house.find(task, (1_000_800, 1_008_800))
    assert house.submitted[7].wall_start == pytest.approx(5e8 + 0.05)
    assert house.session.wall_end == pytest.approx(5e8 + 1.0)
    house.settle(7)
    assert house.records.outcomes == [7]
    assert house.records.floors[-1] == (1_008_800, 8)


async def test_a_session_that_is_taken_up_knows_who_spoke_and_what_was_said(open_house: Open) -> None:
    """As of the last result that was kept: the next one may be done again, but by the same name."""
    house = open_house()
    await house.say(3)
    for sequence, text, embedding in ((1, "first", (1.0, 0.0)), (2, "second", (0.0, 1.0)), (3, "third", (0.0, 1.0))):
        house.records.on_disk = sequence < 3
        house.recognise(sequence, text)
        house.settle(sequence, text, embedding)
    start = StartingPoint(sample=12_000, sequence=3, wall=5e8, remembered=house.session.context.remembered)
    house = open_house(start=start, client=False)
    await house.session.feed_recovered(ramp(0, 16_000))
    house.find(house.task(), (12_000, 20_000), (20_000, 28_000))
    assert house.submitted[3].text_before == "second"
    assert house.submitted[4].texts_before == ("first", "second")
    house.settle(3, embedding=(0.0, 1.0))
    assert [final.segments[0].speaker for final in house.listen(2) if isinstance(final, Final)] == ["Speaker_01"]
