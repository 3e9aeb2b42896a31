"""Stages that hang, stop, crash on one utterance, fail at it, answer wrongly or can't start: the others never suffer.

The same three utterances are spoken in every test. Recognition and correction only take time, and the recognised text
is where its utterance lay ("start-end" in samples); voices and speakers are the real engines' work.
"""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import pytest_asyncio
from msgspec.structs import replace

from ipc.messages import StageName
from ipc.settings import CorrectionSettings, Fault, StageSettings
from tests import wire
from tests.process.conftest import embedded
from tests.waiting import eventually
from wernicke_daemon.config.schema import Config, stage_settings
from wernicke_daemon.daemon import Daemon, running
from wernicke_daemon.dispatch.stage_port import StageStatus

pytestmark = pytest.mark.asyncio(loop_scope="module")

TURNS = (2, 4, 5)
ASR_MS = 200.0
"""Long enough for all three to be waiting while the first is recognised: one queued behind the second."""

QUICK = {
    "heartbeat_s": 0.2,
    "heartbeat_timeout_s": 2.0,
    "job_timeout_s": 2.0,
    "job_timeout_per_audio_s": 0.0,
    "backoff_first_s": 0.1,
    "restarts_max": 2,
}
Message = dict[str, Any]
Faults = dict[str, tuple[Fault, ...]]


class Broken:
    """A daemon with faults. `log` is whole once it has stopped."""

    def __init__(self, config: Config, settings: StageSettings, daemon: Daemon) -> None:
        self.config = config
        self.settings = settings
        self.daemon = daemon

    def stage(self, name: StageName) -> StageStatus:
        return self.daemon.pipeline.ports[name].status()

    async def speak(self, events: str = "") -> list[Message]:
        """The three utterances, each flushed; all messages up to the session's end."""
        async with wire.open_socket(self.daemon.port, f"{wire.MONO}&events={events}") as socket:
            for number in TURNS:
                await socket.send(wire.turn(number).astype("<f4").tobytes())
                await socket.send('{"type": "flush"}')
            await socket.send('{"type": "stop"}')
            return await wire.until(socket, "session_ended")

    async def health(self) -> tuple[int, Message]:
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"http://127.0.0.1:{self.daemon.port}/health")
        return answer.status_code, answer.json()

    def log(self, event: str) -> list[Message]:
        lines = map(json.loads, self.config.log_path.read_text(encoding="utf-8").splitlines())
        return [line for line in lines if line["event"] == event]

    def stacks(self) -> str:
        return "\n".join(str(line.get("text")) for line in self.log("stage_output"))


@asynccontextmanager
async def broken(directory: Path, faults: Faults, **runtime: Any) -> AsyncIterator[Broken]:
    patient = CorrectionSettings(deadline_s=60.0)  # a deadline that passes is another matter
    config = embedded(directory, runtime={**QUICK, **runtime}, correction=patient)
    settings = replace(stage_settings(config), sleep_ms={"asr": ASR_MS, "correction": 5.0}, faults=faults)
    async with running(config, lambda line: None, settings) as daemon:
        yield Broken(config, settings, daemon)


def substance(message: Message) -> Message:
    """What a fault elsewhere must not change."""
    names = ("sequence", "text", "segments", "timestamp_range", "duration", "trigger", "warnings")
    return {name: message[name] for name in names}


def by_sequence(messages: list[Message]) -> dict[int, Message]:
    """Finals and errors; each utterance has exactly one."""
    found = [message for message in messages if message.get("sequence") is not None]
    assert [message["sequence"] for message in found] == list(range(1, len(found) + 1))
    return {message["sequence"]: message for message in found}


def start_of(final: Message) -> int:
    """Number of the utterance's first sample."""
    return int(final["text"].split("-")[0])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Message]:
    """The three finals of a daemon without faults."""
    async with broken(tmp_path_factory.mktemp("data"), {}) as undisturbed:
        finals = wire.finals(await undisturbed.speak())
    assert [final["sequence"] for final in finals] == [1, 2, 3]
    assert all(final["warnings"] == [] and final["segments"][0]["speaker"] for final in finals)
    return [substance(final) for final in finals]


def assert_unharmed(messages: list[Message], whole: list[Message], but: int | None = None) -> None:
    """Every utterance, but for that one, is as in the undisturbed run."""
    found = by_sequence(messages)
    assert set(found) == {1, 2, 3}
    assert [substance(found[n]) for n in (1, 2, 3) if n != but] == [whole[n - 1] for n in (1, 2, 3) if n != but]


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
    tmp_path: Path, whole: list[Message], stage: StageName, kind: str
) -> None:
    """Noticed at the job's limit, with the GIL held or not; where it hung is in the log; no result is different."""
    async with broken(tmp_path, fault_at(whole[1], stage, kind, times=1)) as daemon:
        messages = await daemon.speak()
        assert daemon.stage(stage).deaths == 1
    assert_unharmed(messages, whole)
    [hung] = daemon.log("stage_hung")
    assert (hung["stage"], "worked on job" in hung["reason"]) == (stage, True)
    stacks = daemon.stacks()
    assert "Thread 0x" in stacks
    assert {"hang": "in _hang\n", "hang_gil": "in _hang_with_gil\n"}[kind] in stacks


async def test_an_utterance_that_hangs_its_stage_every_time_is_given_up(tmp_path: Path, whole: list[Message]) -> None:
    """Two attempts; then an error with its number, and the others as if nothing had been."""
    async with broken(tmp_path, fault_at(whole[1], "asr", "hang")) as daemon:
        messages = await daemon.speak()
        assert daemon.stage("asr").deaths == 2
    assert by_sequence(messages)[2]["code"] == "TRANSCRIPTION_FAILED"
    assert_unharmed(messages, whole, but=2)


async def test_a_process_stopped_at_work_is_replaced(
    tmp_path: Path, whole: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP: it can't write its stacks, and it can't answer either; its job is done again by the next."""
    async with broken(tmp_path, {}) as daemon:
        stopped: list[int] = []
        dispatcher = daemon.daemon.pipeline.dispatcher
        job_started = dispatcher.job_started

        def started_and_stopped(stage: StageName, job_id: int) -> None:
            job_started(stage, job_id)
            if stage == "asr" and not stopped:
                stopped.append(job_id)
                psutil.Process(daemon.stage("asr").pid).suspend()

        monkeypatch.setattr(dispatcher, "job_started", started_and_stopped)
        messages = await daemon.speak()
        assert daemon.stage("asr").deaths == 1
    assert_unharmed(messages, whole)
    assert [line["stage"] for line in daemon.log("stage_hung")] == ["asr"]
    assert "File" not in daemon.stacks()


async def test_an_idle_process_that_is_stopped_is_missed(tmp_path: Path, whole: list[Message]) -> None:
    """No heartbeat: it is replaced before anybody needs it."""
    async with broken(tmp_path, {}) as daemon:
        psutil.Process(daemon.stage("asr").pid).suspend()
        await eventually(lambda: daemon.stage("asr").deaths == 1 and daemon.stage("asr").ready)
        assert_unharmed(await daemon.speak(), whole)
    [hung] = daemon.log("stage_hung")
    assert "heartbeat" in hung["reason"]


# --- poison ----------------------------------------------------------------------------------------


async def test_a_poison_utterance_fails_alone(tmp_path: Path, whole: list[Message]) -> None:
    """It takes the recogniser down twice, not more; the one before and the one queued behind it are unharmed."""
    async with broken(tmp_path, fault_at(whole[1], "asr", "crash")) as daemon:
        messages = await daemon.speak()
        assert daemon.stage("asr").deaths == 2
    failed = by_sequence(messages)[2]
    assert (failed["type"], failed["code"]) == ("error", "TRANSCRIPTION_FAILED")
    assert_unharmed(messages, whole, but=2)
    [poison] = daemon.log("poison_job")
    assert (poison["stage"], poison["attempts"]) == ("asr", 2)


def timeline(daemon: Broken, name: StageName, patch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """What happens to that stage from now on, and when: jobs that it begins, its deaths, starts and returns."""
    happened: list[tuple[str, float]] = []

    def noted(what: str, real: Callable[..., None]) -> Callable[..., None]:
        def both(*args: Any) -> None:
            said = f"{what} {args[1]}" if what == "job_started" else what
            if args[:1] in ((), (name,)) and [said] != [last for last, _ in happened[-1:]]:
                happened.append((said, time.monotonic()))  # that a job was begun is said again at the death
            real(*args)

        return both

    dispatcher, stage = daemon.daemon.pipeline.dispatcher, daemon.stage(name)
    for teller, what in (
        (dispatcher, "job_started"),
        (dispatcher, "stage_down"),
        (stage, "start"),
        (dispatcher, "stage_up"),
    ):
        patch.setattr(teller, what, noted(what, getattr(teller, what)))
    return happened


@pytest.mark.parametrize(("kind", "attempt_s"), [("crash", 0.0), ("hang", QUICK["job_timeout_s"] + 1.0)])
async def test_what_is_queued_behind_poison_waits_for_its_attempts_alone(
    tmp_path: Path, whole: list[Message], monkeypatch: pytest.MonkeyPatch, kind: str, attempt_s: float
) -> None:
    """Two attempts, each with a restart, then its own turn. What it waits is what those take by themselves: the job's
    limit and a second if it hangs, the backoff, and loading, measured in the same run (thrice that, as a bound)."""
    async with broken(tmp_path, fault_at(whole[1], "asr", kind)) as daemon:
        happened = timeline(daemon, "asr", monkeypatch)
        await daemon.speak()
    events, at = zip(*happened, strict=True)
    first, poison, next_ = dict.fromkeys(event for event in events if event.startswith("job_started"))
    attempt = (poison, "stage_down", "start", "stage_up")
    assert events == (first, *attempt, *attempt, next_)
    loading_s = at[4] - at[3] + at[8] - at[7]
    stated_s = 2 * attempt_s + 1.2 * QUICK["backoff_first_s"] + loading_s
    assert at[9] - at[1] < 3 * stated_s


@pytest.mark.parametrize(
    ("stage", "times", "poisoned", "warning"),
    [("diarization", 0, 2, "DIARIZATION_UNAVAILABLE"), ("correction", 2, 1, "LLM_UNAVAILABLE")],
)
async def test_an_utterance_that_is_poison_to_an_optional_stage_goes_out_without_it(
    tmp_path: Path, whole: list[Message], stage: StageName, times: int, poisoned: int, warning: str
) -> None:
    """Its text is there, with a warning; nobody else's speakers or corrections are missing."""
    async with broken(tmp_path, fault_at(whole[1], stage, "crash", times)) as daemon:
        messages = await daemon.speak()
        assert daemon.stage(stage).deaths == 2
    final = by_sequence(messages)[poisoned]
    assert final["warnings"] == [warning]
    assert final["text"] == whole[poisoned - 1]["text"]
    assert final["models_used"]["diarization" if stage == "diarization" else "llm"] is None
    assert_unharmed(messages, whole, but=poisoned)


async def test_audio_that_is_poison_to_ingest_becomes_a_gap(tmp_path: Path, whole: list[Message]) -> None:
    """The client is told which; speech before and after it is found where it would have been."""
    first, second = (len(wire.turn(number)) for number in TURNS[:2])
    fault = Fault("crash", starts=(first,))
    async with broken(tmp_path, {"ingest": (fault,)}) as daemon:
        messages = await daemon.speak("status")
        assert daemon.stage("ingest").deaths == 2
    [gap] = [message for message in messages if message["type"] == "gap"]
    assert gap["from"] == pytest.approx(whole[0]["timestamp_range"]["end"], abs=0.001)
    assert gap["to"] == pytest.approx((first + second) / 16_000, abs=0.032)  # a window of voice activity detection
    assert [final["text"] for final in wire.finals(messages)] == [whole[0]["text"], whole[2]["text"]]


# --- failures of a stage that lives on ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["raise", "wrong"])
async def test_a_job_that_fails_is_tried_once_more(tmp_path: Path, whole: list[Message], kind: str) -> None:
    """An exception or an answer to another question costs neither the process nor the next utterance anything."""
    async with broken(tmp_path, fault_at(whole[1], "asr", kind)) as daemon:
        messages = await daemon.speak()
        assert daemon.stage("asr").deaths == 0
    assert by_sequence(messages)[2]["code"] == "TRANSCRIPTION_FAILED"
    assert_unharmed(messages, whole, but=2)
    assert [line["retried"] for line in daemon.log("job_failed")] == [True, False]


async def test_a_job_too_large_for_the_graphics_card_is_told_from_others(tmp_path: Path, whole: list[Message]) -> None:
    """Tried twice in each of two processes, then the client knows why; the next utterance has a fresh process."""
    async with broken(tmp_path, fault_at(whole[1], "asr", "out_of_memory")) as daemon:
        messages = await daemon.speak()
        await eventually(lambda: daemon.stage("asr").deaths == 2)
    assert by_sequence(messages)[2]["code"] == "CUDA_OUT_OF_MEMORY"
    assert_unharmed(messages, whole, but=2)
    assert [line["again"] for line in daemon.log("out_of_gpu_memory")] == [True, False] * 2


async def test_jobs_too_large_do_not_wear_a_stage_out(tmp_path: Path, whole: list[Message]) -> None:
    """However many there are: a process that is replaced did not crash, and its restarts are not limited."""
    async with broken(tmp_path, {"asr": (Fault("out_of_memory"),)}) as daemon:
        messages = await daemon.speak()
        assert 2 * len(whole) > QUICK["restarts_max"]
        await eventually(lambda: daemon.stage("asr").deaths == 2 * len(whole))
        assert not daemon.stage("asr").failed
    assert {message["code"] for message in by_sequence(messages).values()} == {"CUDA_OUT_OF_MEMORY"}


async def test_a_fresh_process_may_have_the_memory(tmp_path: Path, whole: list[Message]) -> None:
    """What another process's end gave back is enough: nobody hears of it."""
    async with broken(tmp_path, fault_at(whole[1], "asr", "out_of_memory", times=1)) as daemon:
        assert_unharmed(await daemon.speak(), whole)
        assert daemon.stage("asr").deaths == 1
        assert daemon.stage("asr").why_down == "The graphics card's memory did not suffice for this job."


async def test_speakers_that_need_too_much_memory_are_left_out(tmp_path: Path, whole: list[Message]) -> None:
    """The text comes all the same, and says why it has no speakers."""
    async with broken(tmp_path, fault_at(whole[1], "diarization", "out_of_memory")) as daemon:
        messages = await daemon.speak()
    assert by_sequence(messages)[2]["warnings"] == ["CUDA_OUT_OF_MEMORY", "DIARIZATION_UNAVAILABLE"]
    assert_unharmed(messages, whole, but=2)


async def test_a_slow_job_within_its_limit_is_waited_for(tmp_path: Path, whole: list[Message]) -> None:
    """Slow is not hung."""
    faults = {"asr": (Fault("slow", seconds=1.0, starts=(start_of(whole[1]),)),)}
    async with broken(tmp_path, faults) as daemon:
        assert_unharmed(await daemon.speak(), whole)
        assert daemon.stage("asr").deaths == 0


# --- a stage that can't start ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["fail_load", "crash_load"])
async def test_a_stage_that_cannot_start_again_degrades_the_service_truthfully(
    tmp_path: Path, whole: list[Message], kind: Any
) -> None:
    """Results without speakers, with a warning; /health says so; when it can start, speakers are back."""
    faults: Faults = {}
    async with broken(tmp_path, faults, backoff_max_s=0.5) as daemon:
        daemon.settings.faults["diarization"] = (Fault(kind),)
        psutil.Process(daemon.stage("diarization").pid).kill()
        await eventually(lambda: daemon.stage("diarization").failed)
        found = by_sequence(await daemon.speak())
        status, page = await daemon.health()
        assert (status, page["status"]) == (200, "degraded")
        assert page["stages"]["diarization"]["state"] != "ready"
        assert page["stages"]["diarization"]["why_down"]

        daemon.settings.faults["diarization"] = ()
        await eventually(lambda: daemon.stage("diarization").ready)
        assert_unharmed(await daemon.speak(), whole)
        assert (await daemon.health())[1]["status"] == "ok"
    assert [found[n]["text"] for n in (1, 2, 3)] == [final["text"] for final in whole]
    assert all(found[n]["warnings"] == ["DIARIZATION_UNAVAILABLE"] for n in (1, 2, 3))
    assert not any(segment["speaker"] for n in (1, 2, 3) for segment in found[n]["segments"])
