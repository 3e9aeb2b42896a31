"""Fixtures that several files here share."""

from collections.abc import Iterator

import pytest

from tests.unit.session.house import MONO, House, Open
from wernicke_daemon.sessions.options import Options, StartingPoint
from wernicke_daemon.wire.audio import AudioFormat


@pytest.fixture
def open_house() -> Iterator[Open]:
    """Makes houses, with a client that asks for those events unless it is told not to come."""
    houses: list[House] = []

    def opened(
        *events: str, audio: AudioFormat = MONO, start: StartingPoint | None = None, client: bool = True
    ) -> House:
        house = House(Options(audio, "en", events=frozenset(events)), start)
        houses.append(house)
        if client:
            house.session.attach(house.got.append)
        return house

    yield opened
    for house in houses:
        house.close()


@pytest.fixture
def house(open_house: Open) -> House:
    return open_house()
