"""Stages that fail at everything, or can't start again: what that costs, and what it does not.

All share a daemon, in which each test gets new processes with its faults.
"""

from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest
import pytest_asyncio

from ipc.settings import Fault
from tests.process.broken import QUICK, TURNS, Broken, Message, assert_unharmed, broken, by_sequence, undisturbed
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broken]:
    """Each test says first with which faults it is to `begin`."""
    async with broken(tmp_path_factory.mktemp("data"), {}, backoff_max_s=0.5) as daemon:
        yield daemon


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(shared: Broken) -> list[Message]:
    await shared.begin({})
    return await undisturbed(shared)


async def test_jobs_too_large_do_not_wear_a_stage_out(shared: Broken) -> None:
    """However many there are: a process that is replaced did not crash, and its restarts are not limited."""
    await shared.begin({"asr": (Fault("out_of_memory"),)})
    messages = await shared.speak()
    assert 2 * len(TURNS) > QUICK["restarts_max"]
    await eventually(lambda: shared.deaths("asr") == 2 * len(TURNS))
    assert not shared.stage("asr").failed
    assert {message["code"] for message in by_sequence(messages).values()} == {"CUDA_OUT_OF_MEMORY"}


@pytest.mark.parametrize("kind", ["fail_load", "crash_load"])
async def test_a_stage_that_cannot_start_again_degrades_the_service_truthfully(
    shared: Broken, whole: list[Message], kind: Any
) -> None:
    """Results without speakers, with a warning; /health says so; when it can start, speakers are back."""
    await shared.begin({})
    shared.settings.faults["diarization"] = (Fault(kind),)
    psutil.Process(shared.stage("diarization").pid).kill()
    await eventually(lambda: shared.stage("diarization").failed)
    found = by_sequence(await shared.speak())
    status, page = await shared.health()
    assert (status, page["status"]) == (200, "degraded")
    assert page["stages"]["diarization"]["state"] != "ready"
    assert page["stages"]["diarization"]["why_down"]

    shared.settings.faults["diarization"] = ()
    await eventually(lambda: shared.stage("diarization").ready)
    assert_unharmed(await shared.speak(), whole)
    await eventually(lambda: all_is_well(shared), within=90.0)
    assert [found[n]["text"] for n in (1, 2, 3)] == [final["text"] for final in whole]
    assert all(found[n]["warnings"] == ["DIARIZATION_UNAVAILABLE"] for n in (1, 2, 3))
    assert not any(segment["speaker"] for n in (1, 2, 3) for segment in found[n]["segments"])


async def all_is_well(shared: Broken) -> bool:
    """At once, but where a stage was slow just before, as the machine was busy."""
    return bool((await shared.health())[1]["status"] == "ok")
