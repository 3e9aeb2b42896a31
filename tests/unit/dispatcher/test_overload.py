"""What is left out when results fall behind, and an LLM that does not answer."""

from ipc.messages import (
    CorrectionResult,
    DiarizationWork,
)
from tests.unit.dispatcher.world import HELLO, POLICY, TURNS, World
from wernicke_daemon.dispatch.llm_breaker import PROBE_EVERY_S, TRIPS_AFTER
from wernicke_daemon.utterances.utterance import Utterance


def test_partials_are_left_out_first(world: World) -> None:
    """When results begin to be behind the text is not announced any more; speakers are all there."""
    first, second = world.submit(), world.submit()
    world.wait(POLICY.shed_after_s - 0.5)
    assert world.shed == []
    world.wait(0.5)
    assert (world.shed, world.dispatcher.shed_level) == ([1], 1)
    for _ in (first, second):
        world.answer("asr", HELLO)
        world.answer("diarization", TURNS)
    assert world.client.texts == []
    assert [line.piece for line in first.lines] == [line.piece for line in second.lines] == [3]
    assert "OVERLOADED" not in first.warnings + second.warnings


def test_correction_is_left_out_before_speakers(world: World) -> None:
    """At level 2 an utterance has speakers and no correction, at level 3 neither, and says so; it always has text."""
    for _ in range(3):
        world.submit()
    world.wait(POLICY.shed_after_s * 1.5)
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    first = world.client.results[0]
    assert (first.warnings, [line.piece for line in first.lines]) == (["OVERLOADED"], [3])
    world.wait(POLICY.shed_after_s / 2)
    assert world.shed == [1, 2, 3]
    last = world.submit()
    for _ in range(3):
        world.answer("asr", HELLO)
    assert (last.warnings, [line.piece for line in last.lines]) == (["OVERLOADED"], [None])
    assert DiarizationWork(last.audio) not in [job.work for job in world.ports["diarization"].sent]


def test_all_is_done_again_when_results_are_in_time(world: World) -> None:
    """Nothing is behind any more: the next utterance has everything."""
    world.submit()
    world.wait(POLICY.shed_after_s * 2)
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.wait(0.5)
    assert (world.shed, world.dispatcher.shed_level) == ([1, 2, 3, 0], 0)
    submitted = world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    assert world.client.texts == [2]
    assert submitted.warnings == []
    assert len(world.work("correction")) == 1


def test_a_restart_is_not_falling_behind(world: World) -> None:
    """While recognition is down nothing could be faster by being left out."""
    world.submit()
    world.down("asr")
    world.wait(POLICY.shed_after_s)
    assert world.shed == []


def time_out(world: World) -> Utterance:
    """An utterance whose correction is not there in time."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.wait(POLICY.correction_s)
    if world.work("correction"):
        world.fail("correction", "CANCELLED")
    return submitted


def test_an_llm_that_times_out_is_left_alone_for_a_while(world: World) -> None:
    """After three in a row utterances go out at once, with a warning; now and then one tries it."""
    for _ in range(TRIPS_AFTER):
        assert time_out(world).warnings == ["LLM_TIMEOUT"]
    left_out = time_out(world)
    assert left_out.warnings == ["LLM_UNAVAILABLE"]
    assert left_out.settled < world.now, "it did not wait"
    world.wait(PROBE_EVERY_S)
    probe = world.submit()
    world.answer("asr", HELLO)
    world.answer("diarization", TURNS)
    world.answer("correction", CorrectionResult(("Hello.",)))
    assert probe.warnings == []
    assert time_out(world).warnings == ["LLM_TIMEOUT"], "it is used again"


def test_an_llm_that_says_that_it_was_too_slow_has_timed_out(world: World) -> None:
    """The engine's own time-outs count like passed deadlines."""
    for _ in range(TRIPS_AFTER):
        world.submit()
        world.answer("asr", HELLO)
        world.answer("diarization", TURNS)
        world.answer("correction", CorrectionResult((None,), (), ("LLM_TIMEOUT",)))
    assert time_out(world).warnings == ["LLM_UNAVAILABLE"]
