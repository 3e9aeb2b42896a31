"""Jobs that fail, and answers that are wrong."""

import pytest

from ipc.messages import (
    STAGES,
    CorrectionResult,
    DiarizationResult,
    IngestResult,
    Piece,
    Result,
    StageName,
    Turn,
)
from tests.unit.dispatcher.world import HELLO, INGEST, POLICY, TURNS, World
from wernicke_daemon.dispatch.dispatcher import GAVE_UP


def test_a_failed_recognition_is_an_error(world: World) -> None:
    """The utterance settles with the engine's reason; its diarization is called off, the next is not affected."""
    first = world.submit()
    second = world.submit()
    diarization = world.ports["diarization"].sent[0].job_id
    world.fail("asr")
    assert world.client.results == [first]
    assert (first.failure, first.lines) == ("it did not work", ())
    assert world.ports["diarization"].cancelled == [diarization]
    world.answer("asr", HELLO)
    assert second.asr == HELLO


@pytest.mark.parametrize("code", ["INTERNAL_ERROR", "STALE_HANDLE"])
def test_what_an_engine_did_not_foresee_is_tried_again(world: World, code: str) -> None:
    """An unexpected exception may not come again: the same job goes out once more, and the result is whole."""
    submitted = world.submit()
    before = world.ports["asr"].inside[0]
    world.start("asr")
    world.fail("asr", code)
    assert world.ports["asr"].inside == [before]
    world.start("asr")
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.answer("correction", CorrectionResult((None,)))
    assert (submitted.failure, submitted.warnings, submitted.timings["asr"].attempts) == (None, [], 2)


@pytest.mark.parametrize("code", ["INTERNAL_ERROR", "STALE_HANDLE"])
def test_only_reasons_meant_for_people_reach_the_client(world: World, code: str) -> None:
    """What an unexpected exception says may hold a path: the client is referred to the log."""
    submitted = world.submit()
    for _ in range(POLICY.max_attempts):
        assert submitted.failure is None
        world.start("asr")
        world.fail("asr", code)
    assert submitted.failure == GAVE_UP


@pytest.mark.parametrize("stage", STAGES)
def test_a_wrong_answer_is_a_failure(world: World, stage: StageName) -> None:
    """A result that can't be one to its job is not taken for one; the job is tried again, and then given up."""
    got: list[IngestResult | None] = []
    submitted = world.submit()
    world.dispatcher.examine(INGEST, got.append, world.now)
    if stage == "correction":
        world.answer("asr", HELLO)
        world.answer("diarization", TURNS)
    wrong: dict[StageName, Result] = {
        "ingest": IngestResult(()),
        "asr": TURNS,
        "diarization": DiarizationResult((Turn(0.0, 1.0, 1),), (Piece(0.0, 1.0, 0, 1.0, (1.0,)),), 0.7),
        "correction": CorrectionResult(("Hello.", "and more")),
    }
    for _ in range(POLICY.max_attempts):
        assert (got, submitted.warnings, submitted.failure) == ([], [], None)
        world.start(stage)
        world.answer(stage, wrong[stage])
    assert got == ([None] if stage == "ingest" else [])
    assert submitted.failure == (GAVE_UP if stage == "asr" else None)
    warnings = {"diarization": ["DIARIZATION_UNAVAILABLE"], "correction": ["LLM_UNAVAILABLE"]}
    assert submitted.warnings == warnings.get(stage, [])


@pytest.mark.parametrize(
    ("stage", "code"), [("diarization", "DIARIZATION_UNAVAILABLE"), ("correction", "LLM_UNAVAILABLE")]
)
def test_an_optional_stage_that_fails_on_a_job_is_done_without(world: World, stage: StageName, code: str) -> None:
    """The result goes out with what there is, and says what is missing."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    if stage == "diarization":
        world.fail("diarization")
        world.answer("correction", CorrectionResult(("Hello.",)))
    else:
        world.answer("diarization", TURNS)
        world.fail("correction")
    assert world.settled == [1]
    assert submitted.warnings == [code]
    assert len(submitted.lines) == 1


def test_diarization_that_fails_first_does_not_end_the_wait_for_text(world: World) -> None:
    """Without diarization the text is still awaited."""
    world.submit()
    world.fail("diarization")
    assert world.settled == []
    world.answer("asr", HELLO)
    assert len(world.work("correction")) == 1
