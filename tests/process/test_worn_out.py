"""Stages that fail at everything, or can't start again: what that costs, and what it does not."""

from pathlib import Path
from typing import Any

import psutil
import pytest

from ipc.settings import Fault
from tests.process.broken import QUICK, TURNS, assert_unharmed, broken, by_sequence, undisturbed
from tests.waiting import eventually


async def test_jobs_too_large_do_not_wear_a_stage_out(tmp_path: Path) -> None:
    """However many there are: a process that is replaced did not crash, and its restarts are not limited."""
    async with broken(tmp_path, {"asr": (Fault("out_of_memory"),)}) as daemon:
        messages = await daemon.speak()
        assert 2 * len(TURNS) > QUICK["restarts_max"]
        await eventually(lambda: daemon.deaths("asr") == 2 * len(TURNS))
        assert not daemon.stage("asr").failed
    assert {message["code"] for message in by_sequence(messages).values()} == {"CUDA_OUT_OF_MEMORY"}


@pytest.mark.parametrize("kind", ["fail_load", "crash_load"])
async def test_a_stage_that_cannot_start_again_degrades_the_service_truthfully(tmp_path: Path, kind: Any) -> None:
    """Results without speakers, with a warning; /health says so; when it can start, speakers are back."""
    async with broken(tmp_path, {}, backoff_max_s=0.5) as daemon:
        whole = await undisturbed(daemon)
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
