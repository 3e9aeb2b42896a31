"""Which connection gives way when there are too many."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from wernicke_daemon.gateway.connection_limit import MOST_WAITING, Visitors
from wernicke_daemon.observability import log_throttle

FLOOD = "192.0.2.1"


async def test_all_that_were_cut_within_a_span_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """With their number, and where the first of them came from."""
    monkeypatch.setattr(log_throttle, "SPAN_S", 0.02)
    transport = SimpleNamespace(get_extra_info=lambda name: (FLOOD, 1), abort=lambda: None)
    visitors = Visitors(placed=lambda: ())
    with capture_logs() as log:
        for visitor in range(MOST_WAITING + 50):
            visitors.came(cast(Any, visitor), cast(Any, transport))
        assert log == []
        async with asyncio.timeout(30):
            while not log:
                await asyncio.sleep(0.005)
    assert log == [{"event": "connections_cut", "connections": 50, "peer": FLOOD, "log_level": "warning"}]
