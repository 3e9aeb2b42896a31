"""What holds for all tests."""

import asyncio
from collections.abc import Callable

from hypothesis import HealthCheck, settings

from ipc import event_loop

# How long it takes to make an example says something about the machine, and about nothing that is tested.
settings.register_profile("wernicke", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wernicke")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the loop that all else does."""
    return {"selector": event_loop.new}
