"""A daemon in a process of its own, for benchmarks that measure from the client's side; several may run side by side.

Run as a program it is such a daemon: a Plan comes as one line of JSON on stdin, the port goes out as one on stdout, and
the end of stdin is the end.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import msgspec
import psutil
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.program import Program
from ipc import event_loop
from ipc.messages import StageName
from ipc.settings import StageSettings
from wernicke_daemon.config.schema import Config, LoggingSettings, stage_settings
from wernicke_daemon.daemon import running
from wernicke_daemon.gateway.http_request import SESSIONS

STARTS_S = 300.0
"""For a daemon that loads a model while others do the same."""


class Plan(msgspec.Struct, frozen=True):
    """settings: for the stages. Neither the port nor the data directory of `config` is used. pages: whether there are
    those for browsers, where config has them."""

    config: Config
    settings: StageSettings
    pages: bool = False


def plan(config: Config, sleep_ms: dict[str, float], per_audio_s: dict[str, float]) -> Plan:
    """sleep_ms, per_audio_s: as in StageSettings; empty for the engines of `config`."""
    settings = replace(stage_settings(config), sleep_ms=sleep_ms, sleep_ms_per_audio_s=per_audio_s)
    return Plan(config, settings)


class Served:
    """`url`: of its sessions. `stats`: of its figures."""

    def __init__(self, process: Program, port: int, directory: Path) -> None:
        self.url = f"ws://127.0.0.1:{port}{SESSIONS}"
        self.stats = f"http://127.0.0.1:{port}/stats"
        self._process = process
        self._directory = directory

    @property
    def front(self) -> psutil.Process:
        return psutil.Process(self._process.pid)

    @property
    def web(self) -> psutil.Process:
        """That there is, of a plan with pages."""
        return next(each for each in self.front.children() if "wernicke_daemon.web" in each.cmdline())

    def cpu_s(self) -> float:
        """CPU time of all its processes so far; none of them may have died."""
        return sum(_cpu_s(each) for each in (self.front, *self.front.children(recursive=True)))

    def cpu_s_of(self, stage: StageName | None) -> float:
        """CPU time of one stage's process so far, of the front for None."""
        return _cpu_s(self.front if stage is None else psutil.Process(self._stage_pid(stage)))

    def _stage_pid(self, stage: StageName) -> int:
        return next(int(event["pid"]) for event in self.events("stage_ready") if event["stage"] == stage)

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Those lines of its log, so far."""
        text = (self._directory / "log.jsonl").read_text(encoding="utf-8")
        events = (json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n"))
        return [event for event in events if event["event"] in names]

    async def stop(self) -> None:
        await self._process.rest()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextlib.asynccontextmanager
async def serving(plans: Iterable[Plan], directory: Path) -> AsyncIterator[list[Served]]:
    """A daemon for each plan, all ready. Ends the program if one does not come up."""
    async with contextlib.AsyncExitStack() as stack:
        starts = [_start(plan, Path(tempfile.mkdtemp(dir=directory))) for plan in plans]
        daemons = await asyncio.gather(*starts)
        for daemon in daemons:
            stack.push_async_callback(daemon.stop)
        yield list(daemons)


async def _start(plan: Plan, directory: Path) -> Served:
    process = Program(__file__)
    process.tell(msgspec.json.encode(replace(plan, config=_placed(plan.config, directory))))
    port = await process.line(STARTS_S)
    if not port:
        sys.exit("error: a daemon did not start; what it said is above")
    return Served(process, int(port), directory)


def _placed(config: Config, directory: Path) -> Config:
    return replace(
        config,
        host="127.0.0.1",
        port=0,
        logging=LoggingSettings(level="debug", file="log.jsonl", console=False, max_mib=1000),
        runtime=replace(config.runtime, data_dir=str(directory)),
    )


async def _serve(plan: Plan) -> None:
    async with running(plan.config, lambda line: None, plan.settings, pages=plan.pages) as daemon:
        print(daemon.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    event_loop.run(_serve(msgspec.json.decode(sys.stdin.readline(), type=Plan)))
