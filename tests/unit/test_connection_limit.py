"""Which connection gives way when there are too many."""

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from wernicke_daemon.gateway.connection_limit import MOST_WAITING, Visitors, gives_way
from wernicke_daemon.observability import log_throttle

FLOOD, GOOD = "192.0.2.1", "192.0.2.2"


def test_few_connections_all_stay() -> None:
    assert gives_way(dict.fromkeys(range(3), FLOOD), 3) is None


def test_a_flood_cuts_its_own_oldest() -> None:
    """Not the one that has waited longest of all: that one comes from elsewhere."""
    assert gives_way({1: GOOD, 2: FLOOD, 3: FLOOD, 4: GOOD, 5: FLOOD}, 4) == 2


def test_many_addresses_lose_the_oldest_of_all() -> None:
    assert gives_way({number: f"192.0.2.{number}" for number in range(5)}, 4) == 0


@given(st.lists(st.sampled_from("abcdef"), max_size=60), st.integers(1, 20))
def test_whoever_has_most_loses_one(addresses: list[str], most: int) -> None:
    """In any order of arrival: no more stay than may, the newest among them, and nobody has more than the loser had."""
    waiting: dict[int, str] = {}
    for number, address in enumerate(addresses):
        waiting[number] = address
        unlucky = gives_way(waiting, most)
        if unlucky is not None:
            crowds = Counter(waiting.values())
            assert crowds[waiting.pop(unlucky)] == max(crowds.values())
        assert len(waiting) <= most
        assert number in waiting


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
