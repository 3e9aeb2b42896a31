"""Jobs of the ingest stage."""

from ipc.messages import (
    IngestResult,
)
from tests.unit.dispatcher.world import FOUND, INGEST, POLICY, World


def test_an_ingest_job_is_answered(world: World) -> None:
    """Its result goes to whoever asked."""
    got: list[IngestResult | None] = []
    world.dispatcher.examine(INGEST, got.append, world.now)
    assert world.work("ingest") == [INGEST]
    world.answer("ingest", FOUND)
    assert got == [FOUND]


def test_an_ingest_job_is_done_again_after_a_death(world: World) -> None:
    """The same job goes out again, and is answered once."""
    got: list[IngestResult | None] = []
    world.dispatcher.examine(INGEST, got.append, world.now)
    world.kill_at_work("ingest")
    assert world.work("ingest") == [INGEST]
    world.answer("ingest", FOUND)
    assert got == [FOUND]


def test_ingest_poison_and_failure_say_that_there_is_no_result(world: World) -> None:
    """A job that can't be done is answered with None, so that the next one can be made."""
    got: list[IngestResult | None] = []
    world.dispatcher.examine(INGEST, got.append, world.now)
    world.kill_at_work("ingest")
    world.kill_at_work("ingest")
    assert got == [None]
    world.dispatcher.examine(INGEST, got.append, world.now)
    world.fail("ingest")
    assert got == [None, None]


def test_ingest_that_stays_down_says_that_there_is_no_result(world: World) -> None:
    """Audio that can't be examined becomes a gap in the end, at once where ingest is given up already."""
    got: list[IngestResult | None] = []
    world.down("ingest")
    world.dispatcher.examine(INGEST, got.append, world.now)
    world.wait(POLICY.asr_down_limit_s)
    assert got == []
    world.wait(0.5)
    assert got == [None]
    world.dispatcher.examine(INGEST, got.append, world.now)
    assert got == [None, None]
    world.up("ingest")
    assert world.work("ingest") == []
