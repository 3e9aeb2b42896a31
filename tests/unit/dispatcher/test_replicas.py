"""A stage of several replicas."""

import pytest

from ipc.messages import CorrectionResult, StageName
from tests.unit.dispatcher.world import HELLO, POLICY, TURNS, World, utterance
from wernicke_daemon.dispatch.llm_breaker import PROBE_EVERY_S, TRIPS_AFTER


@pytest.fixture
def three() -> World:
    made = World(3)
    for stage in made.ports:
        made.up(stage)
    return made


def test_jobs_go_to_the_freest(three: World) -> None:
    """Each has one before any has two; more than credit allows wait."""
    for _ in range(3 * POLICY.credit + 1):
        three.submit()
    port = three.ports["asr"]
    assert [port.where[job.job_id] for job in port.sent] == [0, 1, 2] * POLICY.credit
    three.answer("asr", HELLO)
    assert port.where[port.sent[-1].job_id] == 0 and len(port.sent) == 3 * POLICY.credit + 1


def test_early_work_goes_to_an_idle_replica_only(three: World) -> None:
    """However much room others have."""
    for _ in range(2):
        three.submit()
    for session in "abc":
        three.begin_early(session=session)
    port = three.ports["asr"]
    assert [[job.work.kind for job in port.at(replica)] for replica in range(3)] == [["firm"], ["firm"], ["early"]]


@pytest.mark.parametrize("stage", ["asr", "diarization"])
def test_what_one_had_goes_to_the_others_at_once(three: World, stage: StageName) -> None:
    """What it had begun alone to one that is idle; nothing else is touched, and no deadline stands still or passes."""
    submitted = [three.submit() for _ in range(2)]
    port = three.ports[stage]
    mine, other = port.inside
    three.replica_down(stage, three.die_at_work(stage))
    assert (port.at(1), port.at(2)) == ([other], [mine])
    assert three.status[-4:] == [(name, True) for name in three.ports], "it was not down"
    three.do_all()
    assert [each.failure for each in submitted] == [None, None] and sorted(three.settled) == [1, 2]


def test_a_stage_is_down_only_when_all_are(three: World) -> None:
    """And up with the first that is. In between nobody is told anything, and the clock of deadlines goes on."""
    three.status.clear()
    submitted = three.submit()
    three.answer("asr", HELLO)
    for replica in (0, 1):
        three.replica_down("diarization", replica)
        three.dispatcher.replica_loading("diarization", replica, three.now)
    assert three.status == [] and len(three.work("diarization")) == 1
    three.wait(POLICY.diarization_s)
    assert submitted.warnings == ["DIARIZATION_TIMEOUT", "LLM_TIMEOUT"]
    three.replica_down("diarization", 2)
    assert three.status == [("diarization", False)]
    three.replica_up("diarization", 1)
    three.replica_up("diarization", 0)
    assert three.status == [("diarization", False), ("diarization", True)]


def test_nothing_is_given_up_while_one_of_them_loads(three: World) -> None:
    """As long as another can be expected; one that failed can't, also while a rare start of it is under way."""
    three.down("asr")
    three.dispatcher.replica_loading("asr", 1, three.now)
    submitted = three.submit()
    three.wait(2 * POLICY.asr_down_limit_s)
    assert submitted.failure is None
    three.replica_down("asr", 1, failed=True)
    three.dispatcher.replica_loading("asr", 1, three.now)
    three.wait(2 * POLICY.asr_down_limit_s)
    assert submitted.failure is not None and submitted.given_up


def test_an_optional_stage_has_failed_when_all_have(three: World) -> None:
    """Then it is left out; with one that is only down it is waited for."""
    first = three.submit()
    three.down("diarization")
    for replica in (0, 1):
        three.replica_down("diarization", replica, failed=True)
    three.answer("asr", HELLO)
    assert not first.warnings
    three.replica_down("diarization", 2, failed=True)
    assert first.warnings == ["DIARIZATION_UNAVAILABLE"]
    three.replica_up("diarization", 0)
    second = three.submit()
    three.answer("asr", HELLO)
    three.answer("diarization", TURNS)
    assert second.warnings == []


def test_a_stage_is_none_when_all_are(three: World) -> None:
    """Where `auto` found nothing for some of them the others go on, whoever came up last."""

    def is_asked() -> bool:
        return "diarization" in three.submit().open_jobs

    for replica in (1, 2):
        three.replica_up("diarization", replica, "none")
    assert is_asked()
    three.replica_down("diarization", 0)
    assert not is_asked()
    three.replica_up("diarization", 0)
    assert is_asked()


def test_a_load_that_fails_is_no_outage_while_another_loads(three: World) -> None:
    """Clients that were told that the stage starts are told that it is down once none of it starts any more."""
    three.unload("asr")
    three.load("asr")
    three.status.clear()
    for replica in (0, 1):
        three.replica_down("asr", replica)
    assert three.status == []
    three.replica_down("asr", 2)
    assert three.status == [("asr", False)]


def test_a_cancelled_job_is_called_off_where_it_is(three: World) -> None:
    """The port's own check sees that nobody else is told."""
    begun = [three.begin_early(session=session) for session in "abc"]
    three.dispatcher.withdraw(begun[1])
    [job_id] = three.ports["asr"].cancelled
    assert three.ports["asr"].where[job_id] == 1


def test_a_correction_waits_for_the_texts_before_it(three: World) -> None:
    """However much sooner another replica has recognised what was said later; other sessions wait for nothing."""
    first, second, other = three.submit(), three.submit(), three.submit("t")
    asr = three.ports["asr"]
    asr.inside.append(asr.inside.pop(0))  # the first is the last to be answered
    for _ in range(3):
        three.answer("diarization", TURNS)
    for _ in range(2):
        three.answer("asr", HELLO)
    assert three.work("correction") == [other.correction_work] and second.correction_work is None
    three.answer("asr", HELLO)
    assert three.work("correction")[1:] == [first.correction_work, second.correction_work]
    three.do_all()
    assert sorted(three.settled) == [1, 2, 3]


def test_a_correction_waits_for_no_text_that_never_comes(three: World) -> None:
    """The one before has failed, or its session was told that it is lost."""
    first, second = three.submit(), three.submit()
    for _ in range(2):
        three.answer("diarization", TURNS)
    asr = three.ports["asr"]
    asr.inside.append(asr.inside.pop(0))
    three.answer("asr", HELLO)
    assert three.work("correction") == []
    three.fail("asr")
    assert first.failure is not None and three.work("correction") == [second.correction_work]


def test_a_correction_waits_for_no_late_work(three: World) -> None:
    """What is done from the journal adds nothing to what is said before; nor is it waited for when it is called off."""
    late = utterance(three.served, "s")
    three.dispatcher.submit(late, three.client, three.now)
    submitted = three.submit()
    three.dispatcher.withdraw(late)
    asr = three.ports["asr"]
    asr.inside.pop(0)
    three.answer("asr", HELLO)
    for _ in range(2):
        three.answer("diarization", TURNS)
    assert three.work("correction") == [submitted.correction_work]


def test_the_one_try_of_an_llm_that_is_left_alone_is_taken_where_it_is_asked(three: World) -> None:
    """Not by a correction that has to wait for the text before."""
    for _ in range(TRIPS_AFTER):
        three.submit()
        three.answer("asr", HELLO)
        three.answer("diarization", TURNS)
        three.answer("correction", CorrectionResult((None,), (), ("LLM_TIMEOUT",)))
    three.wait(PROBE_EVERY_S)
    first, second = three.submit(), three.submit()
    for _ in range(2):
        three.answer("diarization", TURNS)
    asr = three.ports["asr"]
    asr.inside.append(asr.inside.pop(0))
    for _ in range(2):
        three.answer("asr", HELLO)
    assert three.work("correction") == [first.correction_work] and second.warnings == ["LLM_UNAVAILABLE"]


def test_an_answer_of_one_that_was_taken_back_from_it_is_nothing(three: World) -> None:
    """Another has the job by now, and its answer counts."""
    submitted = three.submit()
    port = three.ports["asr"]
    [job] = port.inside
    three.replica_down("asr", 0)
    assert port.where[job.job_id] == 1
    port.where[job.job_id] = 0
    done = three.answer("asr", HELLO)
    assert submitted.asr is None
    port.where[job.job_id] = 1
    three.say("asr", done)
    assert submitted.asr == HELLO


def test_slow_is_told_of_the_stage(three: World) -> None:
    """When the first of them is, and when none is any more."""
    told: list[tuple[StageName, bool]] = []
    three.dispatcher._on_slow = lambda stage, slow: told.append((stage, slow))
    for replica, slow in ((0, True), (1, True), (0, False), (1, False)):
        three.dispatcher.replica_slow("asr", replica, slow)
    assert told == [("asr", True), ("asr", False)]
