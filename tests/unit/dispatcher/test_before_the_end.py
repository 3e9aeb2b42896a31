"""Early and live work: before it is certain that an utterance has ended."""

import pytest

from ipc.audio_handle import AudioHandle
from ipc.messages import (
    AsrWork,
    CorrectionResult,
    CorrectionWork,
    StageName,
)
from tests.unit.dispatcher.world import HELLO, POLICY, TURNS, World, utterance
from wernicke_daemon.utterances.pieces import Piece


def test_early_work_goes_as_far_as_it_can_and_rests(world: World) -> None:
    """All stages do their part at the pause; nothing is settled, and its audio is kept."""
    begun = world.begin_early()
    world.do_all()
    assert (begun.asr, begun.correction) == (HELLO, CorrectionResult(("Hello.",)))
    assert [job.work.kind for job in world.ports["asr"].sent if isinstance(job.work, AsrWork)] == ["early"]
    assert world.client.texts == [1] and world.client.improved_ == [1, 1]
    assert (world.settled, world.client.released) == ([], [])


def test_what_is_complete_is_settled_the_moment_it_is_certain(world: World) -> None:
    """Nothing is done again."""
    begun = world.begin_early()
    world.do_all()
    sent = {stage: len(port.sent) for stage, port in world.ports.items()}
    world.confirm(begun)
    assert (world.settled, world.client.released, begun.warnings) == ([1], [1], [])
    assert {stage: len(port.sent) for stage, port in world.ports.items()} == sent


def test_what_is_under_way_goes_on_as_firm(world: World) -> None:
    """It is done again if its stage dies from now on."""
    begun = world.begin_early()
    world.confirm(begun)
    world.down("asr")
    assert world.dispatcher.depth("asr") == 1
    world.up("asr")
    world.do_all()
    assert (world.settled, begun.asr) == ([1], HELLO)


@pytest.mark.parametrize("stage", ["asr", "diarization", "correction"])
def test_a_stage_that_dies_at_early_work_costs_the_utterance_nothing(world: World, stage: StageName) -> None:
    """The early job is not done again; the firm one has all its attempts."""
    begun = world.begin_early()
    if stage == "correction":
        world.answer("asr", HELLO)
        world.answer("diarization", TURNS)
    world.kill_at_work(stage)
    assert world.work(stage) == []
    world.confirm(begun)
    world.kill_at_work(stage)
    assert (begun.failure, begun.warnings) == (None, [])
    world.do_all()
    assert (world.settled, begun.failure, begun.warnings) == ([1], None, [])


@pytest.mark.parametrize("code", ["ENGINE_FAILED", "INTERNAL_ERROR"])
@pytest.mark.parametrize("stage", ["asr", "diarization", "correction"])
def test_what_fails_early_is_tried_again_when_it_counts(world: World, stage: StageName, code: str) -> None:
    begun = world.begin_early()
    if stage == "correction":
        world.answer("asr", HELLO)
        world.answer("diarization", TURNS)
    world.fail(stage, code)
    world.confirm(begun)
    world.do_all()
    assert (world.settled, begun.failure, begun.warnings) == ([1], None, [])
    assert begun.correction is not None and begun.diarization is not None


def test_an_llm_that_could_not_answer_early_is_asked_again(world: World) -> None:
    begun = world.begin_early()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.answer("correction", CorrectionResult((None,), 0, ("LLM_UNAVAILABLE",)))
    world.confirm(begun)
    world.answer("correction", CorrectionResult(("Hello.",)))
    assert (begun.correction, begun.warnings) == (CorrectionResult(("Hello.",)), [])


def test_an_answer_to_other_words_is_not_used(world: World) -> None:
    """What was said before is known only now: the LLM is asked again, as it would be without early work."""
    begun = world.begin_early()
    world.do_all()
    begun.correction_work = CorrectionWork(("hello",), "en", ("Broca",), ())
    world.confirm(begun)
    assert world.work("correction") == [CorrectionWork(("hello",), "en", ("Broca",), ("before 1",))]


def test_an_answer_to_the_same_words_is_used_again(world: World) -> None:
    """Of an utterance that was begun early in another range: the LLM is not asked once more."""
    begun = world.begin_early()
    world.do_all()
    world.dispatcher.withdraw(begun)
    longer = utterance(1)
    longer.corrected_early = begun.known_correction
    world.dispatcher.submit(longer, world.client, world.now)
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    assert (world.settled, longer.correction) == ([1], CorrectionResult(("Hello.",)))
    assert len(world.ports["correction"].sent) == 1


def test_withdrawn_work_is_called_off_and_never_heard_of_again(world: World) -> None:
    begun = world.begin_early()
    jobs = {stage: port.sent[0].job_id for stage, port in world.ports.items() if port.sent}
    world.dispatcher.withdraw(begun)
    assert {stage: port.cancelled[0] for stage, port in world.ports.items() if port.cancelled} == jobs
    world.do_all()
    assert (world.client.texts, world.settled, begun.asr) == ([], [], None)


def test_a_phrase_that_is_kept_becomes_part_of_the_final(world: World) -> None:
    """Recognised once, though the work that it was begun for is no more; times are the utterance's."""
    first = Piece(AudioHandle("arena", 0, 1, 32_000, 16_000), "early")
    begun = world.begin_early(first)
    world.dispatcher.withdraw(begun, kept=first)
    second = Piece(AudioHandle("arena", 0, 1, 64_000, 16_000), "firm")
    whole = utterance(2, pieces=(first, second))
    world.dispatcher.submit(whole, world.client, world.now)
    world.do_all()
    assert whole.asr is not None
    assert [segment.start for segment in whole.asr.segments] == [0.0, 2.0]
    assert len(world.ports["asr"].sent) == 2


def test_early_work_waits_for_a_free_stage(alone: World) -> None:
    """A firm job that comes finds at most one before it."""
    alone.submit()
    alone.begin_early()
    alone.begin_early(session="t")
    assert len(alone.work("asr")) == 1
    alone.answer("asr", HELLO)
    assert len(alone.work("asr")) == 1
    firm = alone.submit()
    assert len(alone.work("asr")) == 2
    alone.answer("asr", HELLO)
    alone.answer("asr", HELLO)
    assert firm.asr == HELLO


def test_no_deadline_runs_before_it_is_certain(world: World) -> None:
    begun = world.begin_early()
    world.answer("asr", HELLO)
    world.wait(POLICY.diarization_s * 3)
    assert begun.warnings == [] and world.shed == []
    world.confirm(begun)
    world.wait(POLICY.diarization_s)
    assert begun.warnings == ["DIARIZATION_TIMEOUT", "LLM_TIMEOUT"]


def test_a_live_pass_is_heard_and_is_part_of_nothing(world: World) -> None:
    piece = Piece(AudioHandle("arena", 0, 1, 0, 16_000), "live")
    world.dispatcher.listen(piece, utterance(1), world.client, world.now)
    world.answer("asr", HELLO)
    assert (world.client.live, piece.result, world.client.texts) == ([piece], HELLO, [])


@pytest.mark.parametrize("fault", ["fails", "dies"])
def test_a_live_pass_that_goes_wrong_is_over(world: World, fault: str) -> None:
    """It is not tried again: the next pass hears more."""
    piece = Piece(AudioHandle("arena", 0, 1, 0, 16_000), "live")
    world.dispatcher.listen(piece, utterance(1), world.client, world.now)
    world.fail("asr", "INTERNAL_ERROR") if fault == "fails" else world.kill_at_work("asr")
    assert (world.client.live, piece.result, world.work("asr")) == ([piece], None, [])


def test_a_live_pass_that_waits_hears_the_newest_audio(alone: World) -> None:
    alone.submit()
    piece = Piece(AudioHandle("arena", 0, 1, 0, 16_000), "live")
    alone.dispatcher.listen(piece, utterance(2), alone.client, alone.now)
    longer = AudioHandle("arena", 0, 1, 0, 24_000)
    alone.dispatcher.listen_to_more(piece, longer, ((8_000, 48_000),))
    alone.answer("asr", HELLO)
    assert alone.work("asr") == [AsrWork(longer, "en", ("Broca",), "", "live", ((0.5, 1.5),))]
    alone.dispatcher.listen_to_more(piece, AudioHandle("arena", 0, 1, 0, 32_000), ())
    assert piece.audio == longer


def test_live_and_early_work_are_the_first_to_go(alone: World) -> None:
    """No live pass while a firm job waits; neither while results are behind, or the recogniser is down."""
    assert alone.dispatcher.takes_live_work and alone.dispatcher.takes_early_work
    for _ in range(POLICY.credit + 1):
        alone.submit()
    assert not alone.dispatcher.takes_live_work and alone.dispatcher.takes_early_work
    alone.wait(POLICY.shed_after_s)
    assert not alone.dispatcher.takes_early_work
    alone.do_all()
    alone.wait(0.5)
    alone.down("asr")
    assert not alone.dispatcher.takes_live_work and not alone.dispatcher.takes_early_work
