"""Stages that get too little CPU are waited for and told of; those that turn for ever are not.

A process is starved by stopping it for most of the time, which is what a busy machine does to it.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from ipc.settings import Fault, StageSettings
from tests import wire
from tests.process.broken import broken, undisturbed
from tests.process.conftest import embedded
from tests.wine import UNDER_WINE
from wernicke_daemon.config.schema import stage_settings
from wernicke_daemon.daemon import running
from wernicke_daemon.processes import threads

stops_and_goes_on = pytest.mark.skipif(UNDER_WINE, reason="a process that is stopped and goes on ends soon under wine")
STOPPED_S, RUNS_S = 0.18, 0.02
JOB_CPU_S = 0.6
"""Of a job whose limit is 2 s; on a tenth of a CPU it takes 6 s."""


@asynccontextmanager
async def starved(pid: int | None) -> AsyncIterator[None]:
    """That process has a tenth of a CPU."""
    task = asyncio.create_task(_starve(psutil.Process(pid)))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _starve(process: psutil.Process) -> None:
    try:
        while True:
            process.suspend()
            await asyncio.sleep(STOPPED_S)
            process.resume()
            await asyncio.sleep(RUNS_S)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


def turns(seconds: float, times: int = 0) -> dict[str, tuple[Fault, ...]]:
    return {"asr": (Fault("turn", seconds=seconds, times=times),)}


@stops_and_goes_on
async def test_a_starved_job_is_waited_for_and_told(tmp_path: Path) -> None:
    """Three times as long under way as its limit, and done by the process that began it. Clients hear that recognition
    is slow; /health says so and stays at 200."""
    async with broken(tmp_path, turns(JOB_CPU_S)) as daemon:
        async with (
            starved(daemon.stage("asr").pid),
            wire.open_socket(daemon.daemon.port, f"{wire.MONO}&events=status") as socket,
        ):
            await socket.send(wire.turn(2).astype("<f4").tobytes())
            await socket.send('{"type": "flush"}')
            [*_, slow] = await wire.until(socket, "degraded")
            status, page = await daemon.health()
            [*_, final] = await wire.until(socket, "final")
        assert daemon.deaths("asr") == 0
        [told] = await daemon.log("stage_slow")
        lines = await daemon.log("stage_output")
    assert (slow["stage"], slow["reason"]) == ("asr", "slow")
    assert (status, page["status"], page["stages"]["asr"]["state"]) == (200, "degraded", "ready")
    assert "slow" in page["stages"]["asr"]["doing"]
    assert final["text"] and final["warnings"] == []
    assert told["stage"] == "asr" and told["waited_s"] > 2.0 > told["cpu_s"]
    assert sum(line["text"].startswith("Timeout") for line in lines) == 1, "where it was, as one record"


async def test_what_turns_for_ever_is_replaced_at_its_limit(tmp_path: Path) -> None:
    """With a CPU to itself it has no more time than it had; its stacks are one record."""
    async with broken(tmp_path, {}) as daemon:
        whole = await undisturbed(daemon)
        environment = psutil.Process(daemon.stage("diarization").pid).environ()
        await daemon.begin(turns(0.0, times=1))
        finals = wire.finals(await daemon.speak())
        assert daemon.deaths("asr") == 1
        [hung] = await daemon.log("stage_hung")
        [stacks] = [line for line in await daemon.log("stage_output") if line["text"].startswith("Timeout")]
        health = (await daemon.health())[1]
    assert [final["text"] for final in finals] == [final["text"] for final in whole]
    assert hung["reason"].startswith("worked on job")
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE" and int(environment["OMP_NUM_THREADS"]) <= threads.cores()
    assert "in _turn\n" in stacks["text"] and stacks["text"].count("Thread 0x") > 1
    assert health["stages"]["asr"]["why_down"] == f"its process {hung['reason']}"


@stops_and_goes_on
async def test_a_starved_start_is_waited_for_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting and loading take several times their limits, on a tenth of a CPU: told as slow, and no process
    ends."""
    from wernicke_daemon.processes import incarnation

    monkeypatch.setattr(incarnation, "SLOW_START_S", 0.5)
    config = embedded(tmp_path, runtime={"hello_timeout_s": 4.0, "load_timeout_s": 2.5})
    faults = {"asr": (Fault("turn_load", seconds=0.8),)}
    settings: StageSettings = replace(stage_settings(config), sleep_ms={"asr": 1.0, "correction": 1.0}, faults=faults)
    told: list[str] = []
    stop = asyncio.Event()
    starving = asyncio.create_task(_starve_children(stop))
    began = time.monotonic()
    async with running(config, told.append, settings) as daemon:
        took_s = time.monotonic() - began
        stop.set()
        await starving
        assert [port.status().deaths for port in daemon.pipeline.ports.values()] == [0, 0, 0, 0]
    assert took_s > 4.0 + 3.5, "more than a process had by the wall clock"
    assert any(line.startswith("asr: still starting, ") for line in told)


async def _starve_children(stop: asyncio.Event) -> None:
    """Every stage process from its start on."""
    async with contextlib.AsyncExitStack() as stack:
        known: set[int] = set()
        while not stop.is_set():
            for child in psutil.Process().children():
                if child.pid not in known:
                    known.add(child.pid)
                    await stack.enter_async_context(starved(child.pid))
            await asyncio.sleep(0.01)
