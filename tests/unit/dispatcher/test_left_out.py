"""Engines that are none, stages that failed, recognition that stays down."""

import pytest

from ipc.messages import (
    CorrectionResult,
    Result,
    StageName,
)
from tests.unit.dispatcher.world import HELLO, POLICY, TURNS, World
from wernicke_daemon.dispatch.dispatcher import DOWN


@pytest.mark.parametrize("skipped", ["diarization", "correction"])
def test_an_engine_that_is_none_gets_no_jobs(world: World, skipped: StageName) -> None:
    """What the operator left out is skipped without a warning."""
    world.up(skipped, "none")
    submitted = world.submit()
    world.answer("asr", HELLO)
    answers: list[tuple[StageName, Result]] = [("diarization", TURNS), ("correction", CorrectionResult((None,)))]
    for stage, result in answers:
        if stage != skipped:
            world.answer(stage, result)
    assert world.settled == [1]
    assert submitted.warnings == []
    assert world.ports[skipped].sent == []


def test_an_engine_that_is_found_at_a_restart_is_used(world: World) -> None:
    """`auto` may choose `none` once and something better the next time."""
    world.up("diarization", "none")
    world.down("diarization")
    world.up("diarization", "onnx")
    world.submit()
    assert len(world.work("diarization")) == 1


@pytest.mark.parametrize(
    ("stage", "code"), [("diarization", "DIARIZATION_UNAVAILABLE"), ("correction", "LLM_UNAVAILABLE")]
)
def test_a_failed_optional_stage_is_left_out(world: World, stage: StageName, code: str) -> None:
    """While it is not expected back, results say that its part is missing; when it is back, they have it."""
    world.down(stage, failed=True)
    submitted = world.submit()
    world.answer("asr", HELLO)
    if stage == "correction":
        world.answer("diarization", TURNS)
    else:
        world.answer("correction", CorrectionResult((None,)))
    assert world.settled == [1]
    assert submitted.warnings == [code]
    world.up(stage)
    world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.answer("correction", CorrectionResult((None,)))
    assert world.client.results[1].warnings == []


def test_failing_for_good_frees_those_who_wait(world: World) -> None:
    """Utterances that are at diarization or wait for it go on the moment it is given up."""
    for _ in range(4):
        world.submit()
    world.answer("asr", HELLO)
    assert world.work("correction") == []
    world.down("diarization", failed=True)
    assert len(world.work("correction")) == 1
    assert world.dispatcher.depth("diarization") == 0
    for _ in range(3):
        world.answer("asr", HELLO)
    for _ in range(4):
        world.answer("correction", CorrectionResult((None,)))
    assert world.settled == [1, 2, 3, 4]
    assert all(result.warnings == ["DIARIZATION_UNAVAILABLE"] for result in world.client.results)


def test_recognition_is_waited_for(world: World) -> None:
    """A failed ASR keeps its jobs for as long as it may be down: they are done when it is back."""
    world.submit()
    world.down("asr", failed=True)
    world.wait(POLICY.asr_down_limit_s)
    assert world.settled == []
    world.up("asr")
    assert len(world.work("asr")) == 1


def test_recognition_that_stays_down_is_given_up(world: World) -> None:
    """What waits, and what comes, is an error that says so; nobody's audio is held for ever."""
    world.submit()
    world.down("asr")
    world.wait(POLICY.asr_down_limit_s + 0.5)
    assert [result.failure for result in world.client.results] == [DOWN]
    world.submit()
    assert [result.failure for result in world.client.results] == [DOWN, DOWN]
    assert world.client.released == [1, 2]
    assert all(world.dispatcher.depth(stage) == 0 for stage in ("asr", "correction"))


def test_recognition_that_is_back_serves_what_comes(world: World) -> None:
    """An outage, however long, is over when it is over; the next has its whole time again."""
    world.down("asr", failed=True)
    world.wait(POLICY.asr_down_limit_s + 10.0)
    world.up("asr")
    world.submit()
    assert len(world.work("asr")) == 1
    world.down("asr")
    world.wait(POLICY.asr_down_limit_s)
    assert world.settled == []
