"""Stages that hang, stop, crash on one utterance, fail at it or answer wrongly: the others never suffer.

All share a daemon, in which each test gets new processes with its faults.
"""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import psutil
import pytest
import pytest_asyncio

from ipc.messages import StageName
from ipc.settings import Fault
from tests import wire
from tests.process.broken import (
    QUICK,
    TURNS,
    Broken,
    Faults,
    Message,
    assert_unharmed,
    broken,
    by_sequence,
    start_of,
    undisturbed,
)
from tests.waiting import eventually
from tests.wine import needs_cpu_times

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broken]:
    """Each test says first with which faults it is to `begin`."""
    async with broken(tmp_path_factory.mktemp("data"), {}) as daemon:
        yield daemon


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(shared: Broken) -> list[Message]:
    return await undisturbed(shared)


def fault_at(second: Message, stage: StageName, kind: Any, times: int = 0) -> Faults:
    """At the second utterance; ingest and correction know no utterance by its start: at their first job."""
    starts: dict[StageName, tuple[int, ...]] = {
        "ingest": (0,),
        "asr": (start_of(second),),
        "diarization": (start_of(second),),
        "correction": (),
    }
    return {stage: (Fault(kind, starts=starts[stage], times=times),)}


# --- hangs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        ("ingest", "hang"),
        ("asr", "hang"),
        ("asr", "hang_gil"),
        ("diarization", "hang"),
        ("diarization", "hang_gil"),
        ("correction", "hang"),
    ],
)
async def test_a_stage_that_hangs_is_replaced_and_its_job_done_again(
    shared: Broken, whole: list[Message], stage: StageName, kind: str
) -> None:
    """Noticed at the job's limit, with the GIL held or not; where it hung is in the log; no result is different."""
    await shared.begin(fault_at(whole[1], stage, kind, times=1))
    messages = await shared.speak()
    assert shared.deaths(stage) == 1
    assert_unharmed(messages, whole)
    [hung] = await shared.log("stage_hung")
    assert (hung["stage"], "worked on job" in hung["reason"]) == (stage, True)
    stacks = await shared.stacks()
    assert "Thread 0x" in stacks
    assert {"hang": "in _hang\n", "hang_gil": "in _hang_with_gil\n"}[kind] in stacks


async def test_an_utterance_that_hangs_its_stage_every_time_is_given_up(shared: Broken, whole: list[Message]) -> None:
    """Two attempts; then an error with its number, and the others as if nothing had been."""
    await shared.begin(fault_at(whole[1], "asr", "hang"))
    messages = await shared.speak()
    assert shared.deaths("asr") == 2
    assert by_sequence(messages)[2]["code"] == "TRANSCRIPTION_FAILED"
    assert_unharmed(messages, whole, but=2)


async def test_a_process_stopped_at_work_is_replaced(
    shared: Broken, whole: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP: it can't write its stacks, and it can't answer either; its job is done again by the next."""
    await shared.begin({})
    stopped: list[int] = []
    dispatcher = shared.daemon.pipeline.dispatcher
    job_started = dispatcher.job_started

    def started_and_stopped(stage: StageName, replica: int, job_id: int) -> None:
        job_started(stage, replica, job_id)
        if stage == "asr" and not stopped:
            stopped.append(job_id)
            psutil.Process(shared.stage("asr").pid).suspend()

    monkeypatch.setattr(dispatcher, "job_started", started_and_stopped)
    messages = await shared.speak()
    assert shared.deaths("asr") == 1
    assert_unharmed(messages, whole)
    assert [line["stage"] for line in await shared.log("stage_hung")] == ["asr"]
    assert "File" not in await shared.stacks()


async def test_an_idle_process_that_is_stopped_is_missed(shared: Broken, whole: list[Message]) -> None:
    """No heartbeat: it is replaced before anybody needs it."""
    await shared.begin({})
    psutil.Process(shared.stage("asr").pid).suspend()
    await eventually(lambda: shared.deaths("asr") == 1 and shared.stage("asr").ready)
    assert_unharmed(await shared.speak(), whole)
    [hung] = await shared.log("stage_hung")
    assert "heartbeat" in hung["reason"]


# --- poison ----------------------------------------------------------------------------------------


async def test_a_poison_utterance_fails_alone(shared: Broken, whole: list[Message]) -> None:
    """It takes the recogniser down twice, not more; the one before and the one queued behind it are unharmed."""
    await shared.begin(fault_at(whole[1], "asr", "crash"))
    messages = await shared.speak()
    assert shared.deaths("asr") == 2
    failed = by_sequence(messages)[2]
    assert (failed["type"], failed["code"]) == ("error", "TRANSCRIPTION_FAILED")
    assert_unharmed(messages, whole, but=2)
    [poison] = await shared.log("poison_job")
    assert (poison["stage"], poison["attempts"]) == ("asr", 2)


def timeline(daemon: Broken, name: StageName, patch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """What happens to that stage from now on, and when: jobs that it begins, its deaths, starts and returns."""
    happened: list[tuple[str, float]] = []

    def noted(what: str, real: Callable[..., None]) -> Callable[..., None]:
        def both(*args: Any) -> None:
            said = f"{what} {args[2]}" if what == "job_started" else what
            if args[:1] in ((), (name,)) and [said] != [last for last, _ in happened[-1:]]:
                happened.append((said, time.monotonic()))  # that a job was begun is said again at the death
            real(*args)

        return both

    dispatcher, [stage] = daemon.daemon.pipeline.dispatcher, daemon.daemon.pipeline.supervisor.replicas(name)
    for teller, what in (
        (dispatcher, "job_started"),
        (dispatcher, "replica_down"),
        (stage, "start"),
        (dispatcher, "replica_up"),
    ):
        patch.setattr(teller, what, noted(what, getattr(teller, what)))
    return happened


@pytest.mark.parametrize(
    ("kind", "attempt_s"),
    [("crash", 0.0), pytest.param("hang", QUICK["job_timeout_s"] + 1.0, marks=needs_cpu_times)],
)
async def test_what_is_queued_behind_poison_waits_for_its_attempts_alone(
    shared: Broken, whole: list[Message], monkeypatch: pytest.MonkeyPatch, kind: str, attempt_s: float
) -> None:
    """Two attempts, each with a restart, then its own turn. What it waits is what those take by themselves: the job's
    limit and a second if it hangs, the backoff, and loading, measured in the same run (thrice that, as a bound)."""
    await shared.begin(fault_at(whole[1], "asr", kind))
    happened = timeline(shared, "asr", monkeypatch)
    await shared.speak()
    first, poison, next_ = dict.fromkeys(event for event, _ in happened if event.startswith("job_started"))
    # Its answer to the first may be lost with the process that dies at the next; then that is done again.
    events, at = zip(happened[0], *(each for each in happened[1:] if each[0] != first), strict=True)
    attempt = (poison, "replica_down", "start", "replica_up")
    assert events == (first, *attempt, *attempt, next_)
    loading_s = at[4] - at[3] + at[8] - at[7]
    stated_s = 2 * attempt_s + 1.2 * QUICK["backoff_first_s"] + loading_s
    assert at[9] - at[1] < 3 * stated_s


@pytest.mark.parametrize(
    ("stage", "times", "poisoned", "warning"),
    [("diarization", 0, 2, "DIARIZATION_UNAVAILABLE"), ("correction", 2, 1, "LLM_UNAVAILABLE")],
)
async def test_an_utterance_that_is_poison_to_an_optional_stage_goes_out_without_it(
    shared: Broken, whole: list[Message], stage: StageName, times: int, poisoned: int, warning: str
) -> None:
    """Its text is there, with a warning; nobody else's speakers or corrections are missing."""
    await shared.begin(fault_at(whole[1], stage, "crash", times))
    messages = await shared.speak()
    assert shared.deaths(stage) == 2
    final = by_sequence(messages)[poisoned]
    assert final["warnings"] == [warning]
    assert final["text"] == whole[poisoned - 1]["text"]
    assert final["models_used"]["diarization" if stage == "diarization" else "llm"] is None
    assert_unharmed(messages, whole, but=poisoned)


async def test_audio_that_is_poison_to_ingest_becomes_a_gap(shared: Broken, whole: list[Message]) -> None:
    """The client is told which; speech before and after it is found where it would have been."""
    first, second = (len(wire.turn(number)) for number in TURNS[:2])
    fault = Fault("crash", starts=(first,))
    await shared.begin({"ingest": (fault,)})
    messages = await shared.speak("status")
    assert shared.deaths("ingest") == 2
    [gap] = [message for message in messages if message["type"] == "gap"]
    assert gap["from"] == pytest.approx(whole[0]["timestamp_range"]["end"], abs=0.001)
    assert gap["to"] == pytest.approx((first + second) / 16_000, abs=0.032)  # a window of voice activity detection
    assert [final["text"] for final in wire.finals(messages)] == [whole[0]["text"], whole[2]["text"]]


# --- failures of a stage that lives on ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["raise", "wrong"])
async def test_a_job_that_fails_is_tried_once_more(shared: Broken, whole: list[Message], kind: str) -> None:
    """An exception or an answer to another question costs neither the process nor the next utterance anything."""
    await shared.begin(fault_at(whole[1], "asr", kind))
    messages = await shared.speak()
    assert shared.deaths("asr") == 0
    assert by_sequence(messages)[2]["code"] == "TRANSCRIPTION_FAILED"
    assert_unharmed(messages, whole, but=2)
    assert [line["retried"] for line in await shared.log("job_failed")] == [True, False]


async def test_a_job_too_large_for_the_graphics_card_is_told_from_others(shared: Broken, whole: list[Message]) -> None:
    """Tried twice in each of two processes, then the client knows why; the next utterance has a fresh process."""
    await shared.begin(fault_at(whole[1], "asr", "out_of_memory"))
    messages = await shared.speak()
    await eventually(lambda: shared.deaths("asr") == 2)
    assert by_sequence(messages)[2]["code"] == "CUDA_OUT_OF_MEMORY"
    assert_unharmed(messages, whole, but=2)
    assert [line["again"] for line in await shared.log("out_of_gpu_memory")] == [True, False] * 2


async def test_a_fresh_process_may_have_the_memory(shared: Broken, whole: list[Message]) -> None:
    """What another process's end gave back is enough: nobody hears of it."""
    await shared.begin(fault_at(whole[1], "asr", "out_of_memory", times=1))
    assert_unharmed(await shared.speak(), whole)
    assert shared.deaths("asr") == 1
    assert shared.stage("asr").why_down == "The graphics card's memory did not suffice for this job."


async def test_speakers_that_need_too_much_memory_are_left_out(shared: Broken, whole: list[Message]) -> None:
    """The text comes all the same, and says why it has no speakers."""
    await shared.begin(fault_at(whole[1], "diarization", "out_of_memory"))
    messages = await shared.speak()
    assert by_sequence(messages)[2]["warnings"] == ["CUDA_OUT_OF_MEMORY", "DIARIZATION_UNAVAILABLE"]
    assert_unharmed(messages, whole, but=2)


async def test_a_slow_job_within_its_limit_is_waited_for(shared: Broken, whole: list[Message]) -> None:
    """Slow is not hung."""
    await shared.begin({"asr": (Fault("slow", seconds=1.0, starts=(start_of(whole[1]),)),)})
    assert_unharmed(await shared.speak(), whole)
    assert shared.deaths("asr") == 0
