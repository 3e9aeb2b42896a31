"""Fixtures that several files here share."""

import pytest

from ipc.messages import (
    STAGES,
)
from tests.unit.dispatcher.world import World


@pytest.fixture(params=[1, 3], ids=["1 replica", "3 replicas"])
def world(request: pytest.FixtureRequest) -> World:
    return _whole(request.param)


@pytest.fixture
def alone() -> World:
    """Each stage has one replica, which soon has all that it may have."""
    return _whole(1)


def _whole(replicas: int) -> World:
    made = World(replicas)
    for stage in STAGES:
        made.up(stage)
    return made
