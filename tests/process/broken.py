"""Daemons whose stages have faults, for tests: three utterances are spoken, of which none may be lost or changed.

Recognition and correction only take time, and the recognised text is where its utterance lay ("start-end" in samples);
voices and speakers are the real engines' work.
"""

import asyncio
import contextlib
import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from msgspec.structs import replace

from ipc.messages import STAGES, StageName
from ipc.settings import CorrectionSettings, Fault, StageSettings
from tests import wire
from tests.process.conftest import embedded
from tests.waiting import eventually
from wernicke_daemon.config.schema import Config, ReplicasSettings, stage_settings
from wernicke_daemon.daemon import Daemon, running
from wernicke_daemon.dispatch.stage_port import StageStatus

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
    "shed_after_s": 3600.0,  # a machine on which another process takes long to start leaves nothing out
}
Message = dict[str, Any]
Faults = dict[str, tuple[Fault, ...]]


class Broken:
    """A daemon with faults, and what has happened in it since the last time that they were changed."""

    def __init__(self, config: Config, settings: StageSettings, daemon: Daemon) -> None:
        self.config = config
        self.settings = settings
        self.daemon = daemon
        self._sessions = 0
        self._deaths: dict[StageName, int] = dict.fromkeys(STAGES, 0)
        self._log_from = 0
        self._stages = {name: daemon.pipeline.supervisor.replicas(name)[0] for name in STAGES}
        self._fresh = {name: copy.deepcopy(stage._policy) for name, stage in self._stages.items()}

    def stage(self, name: StageName) -> StageStatus:
        return self.daemon.pipeline.ports[name].status()

    def deaths(self, name: StageName) -> int:
        return self.stage(name).deaths - self._deaths[name]

    async def begin(self, faults: Faults) -> None:
        """As a daemon that was started with these: the stages that have other ones get new processes, and no stage has
        died before. `Fault.times` counts from here."""
        await eventually(lambda: len(self._lines("session_over", 0)) == self._sessions)
        pids = await asyncio.gather(*(self._renewed(name, faults.get(name, ())) for name in STAGES))
        await eventually(lambda: {*pids} <= {line["pid"] for line in self._lines("stage_ready", 0)})
        self._deaths = {name: self.stage(name).deaths for name in STAGES}
        self._log_from = self.config.log_path.stat().st_size

    async def _renewed(self, name: StageName, faults: tuple[Fault, ...]) -> int | None:
        """The process that has those faults, ready."""
        await eventually(lambda: self.stage(name).ready)
        old = self.stage(name)
        wanted = tuple(replace(fault, times=fault.times and fault.times + old.epoch) for fault in faults)
        if wanted != self.settings.faults.get(name, ()):
            self.settings.faults[name] = wanted
            self._stages[name]._policy = copy.deepcopy(self._fresh[name])  # or it may not be started again soon
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(old.pid).kill()
            await eventually(lambda: self.stage(name).epoch > old.epoch and self.stage(name).ready)
        self._stages[name]._policy = copy.deepcopy(self._fresh[name])
        return self.stage(name).pid

    async def speak(self, events: str = "") -> list[Message]:
        """The three utterances, each flushed; all messages up to the session's end."""
        self._sessions += 1
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

    async def log(self, event: str) -> list[Message]:
        """All of it that was written up to the end of the last session."""
        await eventually(lambda: len(self._lines("session_over", 0)) == self._sessions)
        return self._lines(event, self._log_from)

    def _lines(self, event: str, start: int) -> list[Message]:
        """start: in bytes. A line that is only half written does not count."""
        *whole, _ = self.config.log_path.read_bytes()[start:].split(b"\n")
        return [line for line in map(json.loads, whole) if line["event"] == event]

    async def stacks(self) -> str:
        return "\n".join(str(line.get("text")) for line in await self.log("stage_output"))


@asynccontextmanager
async def broken(directory: Path, faults: Faults, replicas: int = 1, **runtime: Any) -> AsyncIterator[Broken]:
    """replicas: of each stage but ingest."""
    config = embedded(directory, runtime={**QUICK, **runtime}, correction=CorrectionSettings(deadline_s=300.0))
    # A deadline that passes is another matter; a hang may be noticed by a work clock's window and more after its limit.
    config = replace(config, diarization=replace(config.diarization, deadline_s=300.0))
    several = ReplicasSettings(asr=replicas, diarization=replicas, correction=replicas)
    config = replace(config, replicas=several)
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


async def undisturbed(daemon: Broken) -> list[Message]:
    """The substance of the three finals while there are no faults."""
    finals = wire.finals(await daemon.speak())
    assert [final["sequence"] for final in finals] == [1, 2, 3]
    assert all(final["warnings"] == [] and final["segments"][0]["speaker"] for final in finals)
    return [substance(final) for final in finals]


def assert_unharmed(messages: list[Message], whole: list[Message], but: int | None = None) -> None:
    """Every utterance, but for that one, is as in the undisturbed run."""
    found = by_sequence(messages)
    assert set(found) == {1, 2, 3}
    assert [substance(found[n]) for n in (1, 2, 3) if n != but] == [whole[n - 1] for n in (1, 2, 3) if n != but]
