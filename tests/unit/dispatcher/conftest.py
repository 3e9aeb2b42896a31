"""Fixtures that several files here share."""

import pytest

from ipc.messages import (
    STAGES,
)
from tests.unit.dispatcher.world import World


@pytest.fixture
def world() -> World:
    made = World()
    for stage in STAGES:
        made.up(stage)
    return made
