"""Without a store."""

from tests.unit.store.kept import Deliveries, final
from wernicke_daemon.records.no_store import NoStore
from wernicke_daemon.records.store import ResultStore


async def test_no_store_keeps_no_trace() -> None:
    """Results are delivered at once, and nothing is known of them."""
    kept: ResultStore = NoStore()
    deliveries = Deliveries()
    kept.open()
    kept.session_started("s", 0.0, "en", "peer")
    kept.keep("s", 1, final(1), deliveries.of(1))
    assert deliveries.numbers == [1]
    kept.session_ended("s", 1.0)
    assert kept.healthy and kept.problem is None and kept.postponed is None
    await kept.close()
