"""What is waited for, and how long."""

import pytest

from ipc.messages import (
    CorrectionResult,
    StageName,
)
from tests.unit.dispatcher.world import HELLO, POLICY, TURNS, World


def test_diarization_has_its_time_after_the_text(world: World) -> None:
    """The wait for speakers begins when the text is there; when it is over, the text goes on without them."""
    submitted = world.submit()
    world.wait(60.0)
    world.answer("asr", HELLO)
    world.wait(POLICY.diarization_s - 0.5)
    assert world.client.released == []
    world.wait(0.5)
    assert submitted.warnings == ["DIARIZATION_TIMEOUT", "LLM_TIMEOUT"]
    assert [line.piece for line in submitted.lines] == [None]


def test_an_llm_is_not_asked_and_not_blamed_when_it_is_too_late_already(world: World) -> None:
    """Recognition that takes longer than correction may: the LLM never trips its breaker for that."""
    for _ in range(4):
        submitted = world.submit()
        world.wait(POLICY.correction_s)
        world.answer("asr", HELLO)
        world.answer("diarization", TURNS)
        assert submitted.warnings == ["LLM_TIMEOUT"]
    assert world.ports["correction"].sent == []
    world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    assert len(world.ports["correction"].sent) == 1


def test_correction_is_due_after_the_trigger(world: World) -> None:
    """Time that recognition took counts; the recognised text goes out in time."""
    submitted = world.submit()
    world.wait(2.0)
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.wait(POLICY.correction_s - 2.5)
    assert world.settled == []
    world.wait(0.5)
    assert world.settled == [1]
    assert (submitted.warnings, submitted.correction) == (["LLM_TIMEOUT"], None)
    assert [line.segment.text for line in submitted.lines] == ["hello"]


@pytest.mark.parametrize("stage", ["diarization", "correction"])
def test_what_comes_too_late_is_dropped(world: World, stage: StageName) -> None:
    """A join is closed for good: the stage is told to stop, and its late answer changes nothing."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    if stage == "correction":
        world.answer("diarization", TURNS)
    late = world.ports[stage].inside[0].job_id
    world.wait(POLICY.diarization_s)
    assert world.ports[stage].cancelled == [late]
    world.wait(POLICY.correction_s)
    assert world.settled == [1]
    warnings = list(submitted.warnings)
    world.answer(stage, TURNS if stage == "diarization" else CorrectionResult(("late",)))
    assert world.settled == [1]
    assert submitted.warnings == warnings
    assert submitted.correction is None
    assert stage != "diarization" or submitted.diarization is None


def test_a_late_job_is_not_done_again_after_a_death(world: World) -> None:
    """A job whose time was up does not go to the next incarnation."""
    world.submit()
    world.answer("asr", HELLO)
    world.wait(POLICY.diarization_s)
    world.down("diarization")
    world.up("diarization")
    assert world.work("diarization") == []
    assert world.dispatcher.depth("diarization") == 0


def test_an_answer_in_time_ends_the_deadline(world: World) -> None:
    """No warning comes after the answer."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.answer("correction", CorrectionResult((None,)))
    world.wait(60.0)
    assert world.settled == [1]
    assert submitted.warnings == []


def test_a_restart_does_not_count(world: World) -> None:
    """While the stage is down its deadline waits, and goes on where it was."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    world.wait(6.0)
    world.down("diarization")
    world.wait(POLICY.restart_grace_s - 1.0)
    world.up("diarization")
    world.wait(POLICY.diarization_s - 6.5)
    assert submitted.warnings == []
    world.wait(0.5)
    assert submitted.warnings == ["DIARIZATION_TIMEOUT", "LLM_TIMEOUT"]


def test_an_outage_holds_results_back_for_the_grace_only(world: World) -> None:
    """An optional stage that does not come back is waited for no longer than grace and deadline."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    world.down("diarization")
    world.wait(POLICY.restart_grace_s + POLICY.diarization_s - 0.5)
    assert submitted.warnings == []
    world.wait(0.5)
    assert submitted.warnings == ["DIARIZATION_TIMEOUT", "LLM_TIMEOUT"]


def test_time_without_recognition_does_not_count(world: World) -> None:
    """An utterance that had to wait for ASR's restart still gets its correction."""
    world.submit()
    world.down("asr")
    world.wait(100.0)
    world.up("asr")
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.wait(POLICY.correction_s - 0.5)
    assert len(world.work("correction")) == 1
    assert world.settled == []


def test_unloaded_stages_are_waited_for_as_long_as_they_load(world: World) -> None:
    """Nothing is given up or left out for it, however long ago they were unloaded; once they are up, time counts."""
    for stage in ("asr", "diarization", "correction"):
        world.unload(stage)
    world.wait(1000.0)
    submitted = world.submit()
    for stage in ("asr", "diarization", "correction"):
        world.load(stage)
    world.wait(500.0)
    world.up("asr")
    world.answer("asr", HELLO)
    world.wait(100.0)
    assert (world.settled, world.shed) == ([], [])
    world.up("diarization")
    world.answer("diarization", TURNS)
    world.wait(100.0)
    world.up("correction")
    world.answer("correction", CorrectionResult(("Hello.",)))
    assert (world.settled, submitted.warnings) == ([1], [])
    assert world.status[-3:] == [("asr", True), ("diarization", True), ("correction", True)]


def test_a_load_that_fails_ends_the_patience(world: World) -> None:
    """Then it is down like any other, with the grace of an outage from then on."""
    world.unload("diarization")
    submitted = world.submit()
    world.answer("asr", HELLO)
    world.wait(1000.0)
    assert world.settled == []
    world.down("diarization")
    world.wait(POLICY.restart_grace_s + POLICY.diarization_s + 1.0)
    assert (world.settled, submitted.warnings) == ([1], ["DIARIZATION_TIMEOUT", "LLM_TIMEOUT"])
