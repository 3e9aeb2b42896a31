"""What the journal may forget."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.session.house import MONO, RATE, House
from wernicke_daemon.sessions.options import Options


async def test_the_journal_keeps_what_has_no_result(house: House) -> None:
    """Its floor stands before the first utterance that is not final, though the ring may be free of it."""
    house.records.on_disk = False
    await house.say(2, seconds=0.5)
    assert house.records.floors[-1] == (0, 1)
    house.settle(2)
    assert house.records.floors[-1] == (0, 1)
    house.settle(1)
    assert (house.records.floors[-1], house.session.ring.floor) == ((0, 1), RATE)
    house.records.keep()
    assert house.records.floors[-1] == (8000, 2)
    house.records.keep()
    assert house.records.floors[-1] == (16_000, 3)


async def test_the_journal_keeps_what_may_become_an_utterance(house: House) -> None:
    """Audio that ingest still needs is not final, either."""
    await house.speak(0.5)
    house.find(house.task(), retain_from=3200, speaking=True)
    assert house.records.floors[-1] == (3200, 1)


@settings(max_examples=40, deadline=None)
@given(order=st.permutations(range(1, 7)), data=st.data())
def test_no_floor_ever_passes_an_utterance_without_result(order: list[int], data: st.DataObject) -> None:
    """Whatever order results are ready and kept in; floors never go back, and reach the end in the end."""
    house = House(Options(MONO, "en"))
    house.records.on_disk = False
    unfinished: set[int] = set()
    kept = 0

    def keep() -> None:
        nonlocal kept
        kept += 1
        unfinished.remove(kept)
        house.records.keep()

    async def live() -> None:
        to_settle: list[int] = []
        while order or to_settle or house.records.waiting:
            steps = ["say"] * (len(house.submitted) < 6) + ["settle"] * bool(to_settle)
            step = data.draw(st.sampled_from(steps + ["keep"] * bool(house.records.waiting)))
            if step == "say":
                sequence = len(house.submitted) + 1
                unfinished.add(sequence)
                await house.say(1)
            elif step == "settle":
                house.settle(to_settle.pop(0))
            else:
                keep()
            while order and order[0] in house.submitted:
                to_settle.append(order.pop(0))
            check()

    def check() -> None:
        floor, next_sequence = house.records.floors[-1]
        assert house.records.floors == sorted(house.records.floors)
        assert all(house.submitted[sequence].audio.start >= floor for sequence in unfinished)
        assert next_sequence == min(unfinished, default=len(house.submitted) + 1)

    try:
        asyncio.run(live())
        assert house.records.floors[-1] == (house.session.ring.written, 7)
    finally:
        house.close()
