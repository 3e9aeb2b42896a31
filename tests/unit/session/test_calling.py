"""A client says who a voice is."""

import pytest

from tests.unit.session.house import REVISE_S, Open
from tests.unit.session.test_names import at, hear, names
from wernicke_daemon.utterances.titles import BadName
from wernicke_daemon.wire.protocol import Final, SegmentSpeaker, SpeakerUpdate

SHE, HE = at(0), at(90)


async def test_results_are_called_by_it(open_house: Open) -> None:
    """Those to come; and those that were told, however long ago."""
    house = open_house("speaker")
    await hear(house, SHE, HE)
    for _ in range(round(REVISE_S) + 1):
        await house.speak(1.0)
        house.find(house.task())
    house.call("Speaker_00", "田中")
    final = house.of(Final)[0]
    assert house.of(SpeakerUpdate) == [
        SpeakerUpdate("s", final.buffer_id, 1, final.revision + 1, [SegmentSpeaker(0, "田中")])
    ]
    await hear(house, SHE, HE)
    assert names(house) == ["Speaker_00", "Speaker_01", "田中", "Speaker_01"]


async def test_one_who_comes_back_gets_the_names(open_house: Open) -> None:
    house = open_house("speaker")
    await hear(house, SHE, HE)
    house.call("Speaker_00", "田中")
    again = [message.segments[0].speaker for message in house.listen(0) if isinstance(message, Final)]
    assert again == ["田中", "Speaker_01"]


async def test_it_is_written_down_at_once(open_house: Open) -> None:
    """For the session after a kill, before anything else is said; and for those who remember people."""
    house = open_house()
    await hear(house, SHE, HE)
    floors = len(house.records.floors)
    house.call("Speaker_00", "田中")
    assert (
        house.session.context.remembered.heard.given
        == house.session.context.voices.known().given
        == {"Speaker_00": "田中"}
    )
    assert len(house.records.floors) > floors
    house.call("田中", "佐藤")
    assert house.records.named_before == [set(), {"田中"}]
    assert [person.name for person in house.session.context.voices.prints()] == ["佐藤"]


async def test_a_name_that_can_not_be_changes_nothing(open_house: Open) -> None:
    house = open_house("speaker")
    await hear(house, SHE)
    for speaker, name in (("Speaker_01", "田中"), ("Speaker_00", ""), ("Speaker_00", "Speaker_01")):
        with pytest.raises(BadName):
            house.call(speaker, name)
    assert house.of(SpeakerUpdate) == [] and house.records.named_before == []
