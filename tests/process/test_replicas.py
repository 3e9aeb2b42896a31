"""Stages of three replicas: what holds for one process holds for each, and the others stand in. Real processes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from msgspec.structs import replace

from ipc.messages import StageName
from ipc.settings import Fault
from tests.process.broken import Broken, Message, assert_unharmed, broken, by_sequence, start_of, undisturbed
from tests.process.conftest import embedded
from tests.waiting import eventually
from wernicke_daemon.config.schema import ReplicasSettings, stage_settings
from wernicke_daemon.daemon import running
from wernicke_daemon.dispatch.stage_port import State
from wernicke_daemon.processes.pool import StartFailed
from wernicke_daemon.processes.supervised_stage import SupervisedStage

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPLICAS = 3
SHARED: tuple[StageName, ...] = ("asr", "diarization", "correction")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def three(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broken]:
    async with broken(tmp_path_factory.mktemp("data"), {}, replicas=REPLICAS, restarts_max=50) as daemon:
        yield daemon


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(three: Broken) -> list[Message]:
    return await undisturbed(three)


def replicas(daemon: Broken, stage: StageName) -> list[SupervisedStage]:
    return [*daemon.daemon.pipeline.supervisor.replicas(stage)]


def deaths(daemon: Broken, stage: StageName) -> list[int]:
    return [replica.status().deaths for replica in replicas(daemon, stage)]


async def whole_again(daemon: Broken) -> None:
    await eventually(lambda: daemon.daemon.status.health().status == "ok")


async def spoil(replica: SupervisedStage, *faults: Fault) -> None:
    """Its next processes have these, and the first of them works."""
    await eventually(lambda: replica.status().ready)
    setup = replica._launcher._setup
    replica._launcher._setup = replace(setup, settings=replace(setup.settings, faults={replica.stage: faults}))
    old = replica.status()
    psutil.Process(old.pid).kill()
    await eventually(lambda: replica.status().epoch > old.epoch and replica.status().ready)


@pytest.mark.parametrize("stage", SHARED)
async def test_a_replica_killed_at_work_holds_up_nobody(
    three: Broken, whole: list[Message], stage: StageName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another does its job at once; the stage was never down, and no client was told anything."""
    await whole_again(three)
    before, killed = deaths(three, stage), list[int]()
    dispatcher = three.daemon.pipeline.dispatcher
    job_started = dispatcher.job_started

    def started_and_killed(name: StageName, replica: int, job_id: int) -> None:
        job_started(name, replica, job_id)
        if name == stage and not killed:
            killed.append(replica)
            psutil.Process(three.stage(stage).replicas[replica].pid).kill()

    with monkeypatch.context() as patch:
        patch.setattr(dispatcher, "job_started", started_and_killed)
        messages = await three.speak("status")
    assert_unharmed(messages, whole)
    assert [message for message in messages if message["type"] == "degraded"] == []
    await whole_again(three)
    assert deaths(three, stage) == [count + (number in killed) for number, count in enumerate(before)]


async def test_all_of_them_killed_at_once_are_an_outage_like_any_other(three: Broken, whole: list[Message]) -> None:
    """The client is told once, and nothing is lost."""
    await whole_again(three)
    speaking = asyncio.create_task(three.speak("status"))
    at_work = three.daemon.pipeline.dispatcher.depth
    await eventually(lambda: at_work("asr") > 0)
    for replica in replicas(three, "asr"):
        psutil.Process(replica.status().pid).kill()
    messages = await speaking
    assert_unharmed(messages, whole)
    told = [(each["type"], each["reason"]) for each in messages if each.get("stage") == "asr"]
    assert told == [("degraded", "down"), ("restored", "down")]


async def test_one_that_hangs_is_replaced_and_the_others_go_on(three: Broken, whole: list[Message]) -> None:
    """At the job's limit, with its stacks in the log, which says which replica it was."""
    await whole_again(three)
    first = replicas(three, "asr")[0]
    before = deaths(three, "asr")
    await spoil(first, Fault("hang_gil"))
    assert_unharmed(await three.speak(), whole)
    await eventually(lambda: deaths(three, "asr") == [before[0] + 2, *before[1:]])
    hung = (await three.log("stage_hung"))[-1]
    assert (hung["stage"], hung["replica"]) == ("asr", 0)
    assert any(line["replica"] == 0 and "in _hang_with_gil" in line["text"] for line in await three.log("stage_output"))
    await spoil(first)


async def test_poison_takes_two_down_and_is_given_up(three: Broken, whole: list[Message]) -> None:
    """Each alone: neither the other utterances nor the third replica are touched."""
    await whole_again(three)
    for replica in replicas(three, "asr"):
        await spoil(replica, Fault("crash", starts=(start_of(whole[1]),)))
    before = deaths(three, "asr")
    messages = await three.speak()
    assert by_sequence(messages)[2]["code"] == "TRANSCRIPTION_FAILED"
    assert_unharmed(messages, whole, but=2)
    assert sorted(now - then for now, then in zip(deaths(three, "asr"), before, strict=True)) == [0, 1, 1]
    for replica in replicas(three, "asr"):
        await spoil(replica)


async def test_they_leave_the_memory_together_and_come_back(three: Broken, whole: list[Message]) -> None:
    """That is no death; what is said meanwhile waits, and is done by all of them."""
    await whole_again(three)
    supervisor, before = three.daemon.pipeline.supervisor, deaths(three, "asr")
    await supervisor.unload(["asr"])
    assert {replica.status().state for replica in replicas(three, "asr")} == {State.UNLOADED}
    speaking = asyncio.create_task(three.speak())
    await eventually(lambda: three.daemon.pipeline.dispatcher.depth("asr") > 0)
    await supervisor.load(["asr"], one_by_one=True)
    assert_unharmed(await speaking, whole)
    await eventually(lambda: all(replica.status().ready for replica in replicas(three, "asr")))
    assert deaths(three, "asr") == before


async def test_log_lines_say_which_replica_they_are_of(three: Broken) -> None:
    """Those of the front and those of the processes themselves."""
    ready = {(line["stage"], line["replica"]) for line in three._lines("stage_ready", 0)}
    assert ready == {("ingest", 0), *((stage, number) for stage in SHARED for number in range(REPLICAS))}


async def test_one_that_can_not_be_used_is_left_out_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its card is missing, say: the others serve, and that it is missing is told. Without any the daemon does not
    start."""
    config = replace(embedded(tmp_path, runtime={"restarts_max": 1}), replicas=ReplicasSettings(asr=2))
    settings = replace(stage_settings(config), sleep_ms={"asr": 5.0})
    init, unusable = SupervisedStage.__init__, {0}

    def spoiled(self: SupervisedStage, stage: StageName, replica: int, place: Any, *others: Any) -> None:
        if stage == "asr" and replica in unusable:
            faulty = replace(place.setup.settings, faults={"asr": (Fault("fail_load"),)})
            place = place._replace(setup=replace(place.setup, settings=faulty, device="cuda:7"))
        init(self, stage, replica, place, *others)

    monkeypatch.setattr(SupervisedStage, "__init__", spoiled)
    async with running(config, lambda line: None, settings) as daemon:
        assert daemon.pipeline.ports["asr"].status().ready and daemon.status.useful
        await eventually(lambda: daemon.pipeline.ports["asr"].status().replicas[0].failed)
        health = daemon.status.health()
        assert health.status == "degraded" and health.problems[0].startswith("Replica 0 of asr on cuda:7 has failed: ")
    assert '"started_without"' in config.log_path.read_text("utf-8")
    unusable.add(1)
    with pytest.raises(StartFailed):
        async with running(config, lambda line: None, settings):
            pass
