"""Stages that die with jobs."""

import pytest

from ipc.messages import (
    CorrectionResult,
    Result,
    StageName,
)
from tests.unit.dispatcher.world import HELLO, POLICY, TURNS, World
from wernicke_daemon.dispatch.dispatcher import GAVE_UP


@pytest.mark.parametrize("stage", ["asr", "diarization", "correction"])
def test_a_killed_stage_does_its_job_again(world: World, stage: StageName) -> None:
    """The same job goes to the next incarnation; the result is that of an undisturbed run."""
    submitted = world.submit()
    answers: list[tuple[StageName, Result]] = [
        ("asr", HELLO),
        ("diarization", TURNS),
        ("correction", CorrectionResult(("Hello.",))),
    ]
    for name, result in answers:
        if name == stage:
            before = world.ports[name].inside[0]
            world.kill_at_work(name)
            assert world.ports[name].inside == [before]
        world.answer(name, result)
    assert world.settled == [1]
    assert (submitted.warnings, submitted.failure) == ([], None)


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_spare_that_takes_over_at_once_gets_the_jobs(world: World, attempts: int) -> None:
    """The stage is never down then, and nobody is told that it was. Poison is poison all the same."""
    first, second = world.submit(), world.submit()
    world.status.clear()
    for _ in range(attempts):
        world.replica_up("asr", world.die_at_work("asr"))
    assert all(up for _, up in world.status)
    assert (first.failure is None) == (attempts < POLICY.max_attempts)
    world.do_all()
    assert (second.failure, second.asr) == (None, HELLO)
    assert first.asr == (None if first.failure else HELLO)


def test_attempts_are_counted(world: World) -> None:
    """The figures show that a job was begun twice."""
    submitted = world.submit()
    world.kill_at_work("asr")
    world.start("asr")
    world.answer("asr", HELLO)
    assert submitted.timings["asr"].attempts == 2


def test_nothing_is_sent_to_a_stage_that_is_down(world: World) -> None:
    """Jobs wait for the next incarnation."""
    world.down("asr")
    world.submit()
    assert world.work("asr") == []
    world.up("asr")
    assert len(world.work("asr")) == 1


def test_a_second_answer_is_nothing(world: World) -> None:
    """A job is answered once; the same answer again changes nothing."""
    world.submit()
    done = world.answer("asr", HELLO)
    world.say("asr", done)
    assert world.client.texts == [1]


def test_poison_in_recognition_is_an_error(world: World) -> None:
    """An utterance that kills ASR twice fails; the one behind it is recognised."""
    first, second = world.submit(), world.submit()
    world.kill_at_work("asr")
    port = world.ports["asr"]
    [suspect] = [job for job in port.inside if job == port.sent[0]]
    assert port.at(port.where[suspect.job_id]) == [suspect], "it goes alone"
    world.kill_at_work("asr")
    assert world.client.results == [first]
    assert first.failure == GAVE_UP
    world.answer("asr", HELLO)
    assert second.asr == HELLO


@pytest.mark.parametrize(
    ("stage", "code"), [("diarization", "DIARIZATION_UNAVAILABLE"), ("correction", "LLM_UNAVAILABLE")]
)
def test_poison_in_an_optional_stage_is_done_without(world: World, stage: StageName, code: str) -> None:
    """An utterance that kills diarization or correction twice goes out without its part."""
    submitted = world.submit()
    world.answer("asr", HELLO)
    if stage == "correction":
        world.answer("diarization", TURNS)
    world.kill_at_work(stage)
    world.kill_at_work(stage)
    if stage == "diarization":
        world.answer("correction", CorrectionResult((None,)))
    assert world.settled == [1]
    assert submitted.warnings == [code]


def test_status_is_told(world: World) -> None:
    """Whoever shows the state of stages hears of every change."""
    world.status.clear()
    world.down("asr")
    world.up("asr")
    assert world.status == [("asr", False), ("asr", True)]
