"""What is told one by one, and what is counted, of what strangers can cause at will."""

import asyncio

import pytest
from structlog.testing import capture_logs

from tests.waiting import eventually
from wernicke_daemon.observability import log_throttle
from wernicke_daemon.observability.figures import Figures
from wernicke_daemon.observability.log_throttle import MOST_KINDS, OTHER, Repeats
from wernicke_daemon.records.no_store import NoStore
from wernicke_daemon.sessions.recorder import IN_FULL, Recorder
from wernicke_daemon.wire import protocol


class Reports:
    """Collects them; `next` waits for one."""

    def __init__(self) -> None:
        self._reports: asyncio.Queue[dict[str, int]] = asyncio.Queue()

    def __call__(self, more: dict[str, int]) -> None:
        self._reports.put_nowait(more)

    async def next(self) -> dict[str, int]:
        async with asyncio.timeout(30):
            return await self._reports.get()

    @property
    def none(self) -> bool:
        return self._reports.empty()


@pytest.fixture(autouse=True)
def short_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_throttle, "SPAN_S", 0.02)


async def test_the_first_of_a_kind_are_told_and_the_others_counted() -> None:
    """A kind that comes while another floods is told all the same; the next span begins anew."""
    reports = Reports()
    counted = Repeats(2, reports)
    assert [counted.add("a") for _ in range(1000)] == [True, True] + [False] * 998
    assert counted.add("b")
    assert await reports.next() == {"a": 998}
    assert counted.add("a")


async def test_a_span_in_which_all_was_told_needs_no_report() -> None:
    reports = Reports()
    counted = Repeats(1, reports)
    for _ in range(3):
        assert counted.add("a")
        await asyncio.sleep(2 * log_throttle.SPAN_S)  # the loop's timers fire in order: the span is over
    assert reports.none


async def test_kinds_that_strangers_make_up_are_counted_together() -> None:
    """Neither lines nor memory grow with them."""
    reports = Reports()
    counted = Repeats(1, reports)
    told = [counted.add(f"kind {number}") for number in range(1000)]
    assert sum(told) == MOST_KINDS + 1
    assert await reports.next() == {OTHER: 1000 - MOST_KINDS - 1}


async def test_refusals_have_few_lines_and_all_count() -> None:
    """By code and reason, in the log and in /stats."""
    stats = Figures()
    recorder = Recorder(stats, NoStore(), None, log_text=False)
    with capture_logs() as log:
        for _ in range(1000):
            recorder.refused(protocol.error("UNAUTHORIZED", "No token."))
        recorder.refused(protocol.error("SERVER_OVERLOADED", "No place."))
        await eventually(lambda: log[-1]["event"] == "repeated")
    refused = [line["code"] for line in log[:-1]]
    assert refused == ["UNAUTHORIZED"] * IN_FULL + ["SERVER_OVERLOADED"]
    assert log[-1]["more"] == {"UNAUTHORIZED: No token.": 1000 - IN_FULL}
    assert stats.errors == {"UNAUTHORIZED": 1000, "SERVER_OVERLOADED": 1}
