"""Names of results that were told, as more is heard of everybody."""

import math

import numpy as np

from ipc.messages import Trigger
from tests.unit.session.house import RATE, House, Open
from wernicke_daemon.sessions.options import StartingPoint
from wernicke_daemon.wire.protocol import Final, SegmentSpeaker, SpeakerUpdate

Vector = tuple[float, ...]


def at(degrees: float) -> Vector:
    return (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))


UNSURE = (at(0), at(40), at(70), at(70), at(70))
"""The second is more like the first of these voices until more of the other is heard."""


async def hear(house: House, *voices: Vector) -> None:
    """One utterance of each, of a quarter of a second in the session's audio."""
    first = max(house.submitted, default=0) + 1
    await house.say(len(voices))
    for sequence, voice in enumerate(voices, first):
        house.settle(sequence, embedding=voice)


def names(house: House) -> list[str | None]:
    return [final.segments[0].speaker for final in house.of(Final)]


async def end(house: House, trigger: Trigger = "stop") -> None:
    await house.session.end_utterance(trigger)
    house.find(house.task())


async def test_an_earlier_result_gets_its_new_name(open_house: Open) -> None:
    """To those who asked for it: which one, which segment, and as which revision."""
    house = open_house("speaker")
    await hear(house, *UNSURE)
    assert names(house)[:2] == ["Speaker_00", "Speaker_00"]
    told = house.of(SpeakerUpdate)
    final = house.of(Final)[1]
    assert told == [SpeakerUpdate("s", final.buffer_id, 2, final.revision + 1, [SegmentSpeaker(0, "Speaker_01")])]
    assert house.got.index(told[0]) > house.got.index(final)


async def test_who_did_not_ask_is_told_nothing_new(house: House) -> None:
    """Clients of before see what they saw."""
    await hear(house, *UNSURE)
    assert house.of(SpeakerUpdate) == []


async def test_what_was_said_long_ago_keeps_its_name(open_house: Open) -> None:
    """Until the end of the session; then all of it is looked at once more, before it is over."""
    house = open_house("speaker")
    await hear(house, *UNSURE[:2])
    await house.speak(4.0)
    house.find(house.task())
    await hear(house, *UNSURE[2:])
    assert house.of(SpeakerUpdate) == []
    house.records.on_disk = False
    await end(house)
    assert not house.session.done.is_set()
    house.records.keep()
    assert [update.sequence for update in house.of(SpeakerUpdate)] == [2]
    assert house.session.done.is_set()


async def test_a_result_is_told_before_its_new_name(open_house: Open) -> None:
    """Though it is still on its way to the disk when that is found."""
    house = open_house("speaker")
    house.records.on_disk = False
    await hear(house, *UNSURE)
    while house.records.waiting:
        house.records.keep()
    kinds = [type(message) for message in house.got]
    assert kinds.count(SpeakerUpdate) == 1 and kinds.index(SpeakerUpdate) > 1


async def test_who_comes_back_gets_the_names_of_now(open_house: Open) -> None:
    """Of the results that it had, what changed; of the others, the result as it is now."""
    house = open_house("speaker")
    await hear(house, *UNSURE[:2])
    house.session.detach()
    await hear(house, *UNSURE[2:])
    back = house.listen(2)
    assert [type(message) for message in back] == [SpeakerUpdate, Final, Final, Final]
    assert back[0].segments == [SegmentSpeaker(0, "Speaker_01")]
    new = [message for message in house.listen(0) if isinstance(message, Final)]
    assert [final.segments[0].speaker for final in new] == ["Speaker_00", *["Speaker_01"] * 4]
    assert new[1].revision == back[0].revision


async def test_what_is_remembered_is_all_that_was_heard(open_house: Open) -> None:
    """A session that is taken up goes on with it, not just with the names."""
    house = open_house()
    await hear(house, at(0), at(70))
    assert house.session.context.remembered.heard == house.session.context.voices.known()
    again = open_house(start=StartingPoint(sample=RATE, sequence=3, remembered=house.session.context.remembered))
    await again.session.feed_recovered(np.zeros(RATE, np.float32))
    again.find(again.task(), (RATE, 2 * RATE))
    again.settle(3, embedding=at(69))
    assert names(again) == ["Speaker_01"]


async def test_the_model_is_that_of_the_answer(open_house: Open) -> None:
    """Not the one that ran when the utterance was submitted: the stage may have died since and come back with another.
    What another model heard is compared with nothing."""
    house = open_house()
    await house.say(2)
    for sequence, model in ((1, "ge2e"), (2, "wespeaker")):
        house.submitted[sequence].models = {"diarization": "ge2e"}
        house.settle(sequence, embedding=at(0), model=model)
    assert names(house) == ["Speaker_00", "Speaker_01"]
    assert house.of(Final)[1].models_used["diarization"] == "wespeaker"
