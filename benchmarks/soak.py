"""Does the daemon grow? Clients that come and go and stages that die, for as long as one likes.

    python benchmarks/soak.py [--minutes 120] [--clients 4] [--asr-ms 20] [--seed 1] [--json FILE]

The whole daemon is this process, store, journal and log included, with Silero in the ingest stage; the later stages
only take a time. Clients in a process of their own connect again and again: each session is a few bursts of speech
from the bundled clip, some seconds in all, sent as fast as the daemon takes them. Some leave properly, some vanish in
mid-utterance, some come back to their session, some send what is no audio. Every few seconds a stage is killed, one
after the other. So a minute holds the sessions, results and restarts of hours. More clients than the five there are
places for, and a slower recogniser, make it a soak at the limit: some are refused, and work is left out.

A sample of memory, handles, threads and shared memory is taken every SAMPLE_EVERY_S seconds. What matters is the slope
(least squares) over the samples after the first quarter of the time, in units per hour, with its standard error: one
that is less than twice that can't be told from none. The shorter the run, the larger that error; and in
a run of minutes the front's memory still grows, while the database's cache and the statistics' windows fill.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from msgspec.structs import replace
from scipy.stats import linregress
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import report
from benchmarks.program import Program
from ipc import event_loop, shared_memory
from ipc.audio_handle import SAMPLE_RATE
from ipc.messages import STAGES
from wernicke_daemon.config.load import overrides
from wernicke_daemon.config.schema import Config, stage_settings
from wernicke_daemon.daemon import Daemon, running
from wernicke_daemon.demo import CLIP
from wernicke_daemon.formats import audio_files
from wernicke_daemon.gateway.http_request import SESSIONS
from wernicke_daemon.hardware.profiles import applied
from wernicke_daemon.observability.pages import Stats

SAMPLE_EVERY_S = 2.0
KILL_EVERY_S = 4.0
QUIET_S = 3.0
"""After everybody has gone, until the last sample: what is let go of a moment later is not kept."""

SETTLING = 0.25
"""Share of the time before what is measured: caches fill, and libraries take what they keep."""

TIMES = {"diarization": 10.0, "correction": 10.0}
"""Milliseconds that stages after recognition take for an utterance."""

RUNTIME: dict[str, Any] = {"restarts_max": 1000, "stable_after_s": 0.01, "resume_window_s": 2.0}
"""A stage that is killed is started again at once, and the places of clients that do not come back are soon free."""


@dataclass(frozen=True)
class Sample:
    """at_s: since the start. front_mb, stages_mb: memory that belongs to the front alone, and to the stage processes
    each alone, in megabytes. handles: file descriptors, or Windows' handles, and threads of the front. shm_mb: shared
    memory (Linux; 0 elsewhere). blocks: of memory that Python has in use, what waits for a collection included."""

    at_s: float
    front_mb: float
    stages_mb: float
    handles: float
    threads: float
    shm_mb: float
    blocks: float


# --- the daemon ------------------------------------------------------------------------------------


class Soak:
    """kills: of stages. Samples taken while it is busy are kept in a file, a line each: in memory they would be found
    as growth of the daemon's."""

    def __init__(self, daemon: Daemon, samples: Path) -> None:
        self.kills = 0
        self._samples = samples
        self._ports = daemon.pipeline.ports
        self._process = psutil.Process()
        self._began = time.monotonic()

    def sample(self) -> Sample:
        return Sample(
            at_s=round(time.monotonic() - self._began, 3),
            front_mb=_own_mb(self._process),
            stages_mb=sum(_own_mb(child) for child in self._process.children() if child.pid in self._pids()),
            handles=_handles(self._process),
            threads=self._process.num_threads(),
            shm_mb=_shm_mb(),
            blocks=sys.getallocatedblocks(),
        )

    def _pids(self) -> set[int | None]:
        return {port.status().pid for port in self._ports.values()}

    def _all_up(self) -> bool:
        return all(port.status().ready for port in self._ports.values())

    async def watch(self) -> None:
        """Until cancelled. A moment in which a stage is down would show as less memory: it is left out."""
        while True:
            await asyncio.sleep(SAMPLE_EVERY_S)
            if self._all_up():
                with self._samples.open("a") as file:
                    file.write(json.dumps(asdict(self.sample())) + "\n")

    async def kill(self) -> None:
        """One stage after the other, until cancelled; on a slow machine less often, or there would be no samples."""
        for name in itertools.cycle(STAGES):
            await asyncio.sleep(KILL_EVERY_S)
            if self._all_up():
                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(self._ports[name].status().pid).kill()
                    self.kills += 1


def _own_mb(process: psutil.Process) -> float:
    """Without what it may share: rings that are used for the first time would look like growth. Where the system tells
    that only page by page (all but Linux), pages that happen to be in one process alone count. 0 for the dead."""
    try:
        if sys.platform == "linux":
            memory = process.memory_info()
            return (memory.rss - memory.shared) / 1e6
        return float(process.memory_full_info().uss) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


def _handles(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return process.num_handles()
    return process.num_fds()


def _shm_mb() -> float:
    ours = Path("/dev/shm").glob(f"{shared_memory.PREFIX}{os.getpid()}_*")
    return sum(path.stat().st_size for path in ours) / 1e6


async def soak(args: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """The figures, by the keys of the JSON file."""
    samples = directory / "samples.jsonl"
    async with running(_config(directory), _tell, _settings(directory, args.asr_ms)) as daemon:
        run = Soak(daemon, samples)
        clients = _start_clients(f"ws://127.0.0.1:{daemon.port}{SESSIONS}", args)
        tasks = [asyncio.create_task(run.watch()), asyncio.create_task(run.kill())]
        said = await clients.rest()
        for task in tasks:
            task.cancel()
        await _until_quiet(daemon)
        at_end = run.sample()
        stats = daemon.status.stats()
    if clients.failed:
        sys.exit("error: the clients failed; what they said is above")
    return _figures(_read(samples), run.kills, at_end, stats, json.loads(said))


def _config(directory: Path) -> Config:
    config = applied(overrides(Config(), host="127.0.0.1", port=0), "embedded")
    return replace(
        config,
        logging=replace(config.logging, console=False),
        runtime=replace(config.runtime, data_dir=str(directory), **RUNTIME),
    )


def _settings(directory: Path, asr_ms: float) -> Any:
    return replace(stage_settings(_config(directory)), sleep_ms={"asr": asr_ms, **TIMES})


def _start_clients(url: str, args: argparse.Namespace) -> Program:
    options = ["--minutes", str(args.minutes), "--clients", str(args.clients), "--seed", str(args.seed)]
    return Program(__file__, "--clients-of", url, *options)


async def _until_quiet(daemon: Daemon) -> None:
    async with asyncio.timeout(60):
        for session in daemon.sessions:
            await session.done.wait()
        await asyncio.sleep(QUIET_S)


def _read(samples: Path) -> list[Sample]:
    return [Sample(**json.loads(line)) for line in samples.read_text().splitlines()]


def _figures(
    samples: list[Sample], kills: int, at_end: Sample, stats: Stats, clients: dict[str, Any]
) -> dict[str, Any]:
    since_s = samples[-1].at_s * SETTLING
    settled = [sample for sample in samples if sample.at_s >= since_s]
    measured = [latency for latency in clients.pop("latencies") if latency[0] >= since_s]
    names = [field.name for field in fields(Sample) if field.name != "at_s"]
    times = [sample.at_s for sample in settled]
    values = {name: [float(getattr(sample, name)) for sample in settled] for name in names}
    return {
        "slopes_per_hour": {name: slope(times, values[name]) for name in names}
        | {"latency_ms": slope(*map(list, zip(*measured, strict=True)))},
        "first_settled": asdict(settled[0]),
        "last": asdict(settled[-1]),
        "quiet_at_end": asdict(at_end),
        "minutes": round(samples[-1].at_s / 60, 2),
        "kills": kills,
        "restarts": {name: stage.restarts for name, stage in stats.stages.items()},
        "errors": stats.errors,
        "left_out": stats.warnings.get("OVERLOADED", 0),
        **clients,
    }


def slope(times_s: list[float], values: list[float]) -> dict[str, float]:
    """Least squares: units per hour and the standard error of that; the median and the largest value beside it."""
    fit = linregress([at / 3600 for at in times_s], values)
    error = 0.0 if math.isnan(fit.stderr) else fit.stderr  # of values that are all the same
    p50, most = float(np.median(values)), max(values)
    return {"slope": round(fit.slope, 3), "error": round(error, 3), "p50": round(p50, 2), "max": round(most, 2)}


# --- the clients, in a process of their own --------------------------------------------------------


class Clients:
    """did: sessions by how they ended. latencies: seconds since the start, and milliseconds from `stop` to the last
    final, of sessions that ended properly."""

    def __init__(self, url: str, seed: int) -> None:
        self.did: Counter[str] = Counter()
        self.finals = 0
        self.latencies: list[tuple[float, float]] = []
        self._url = url
        self._random = random.Random(seed)
        self._began = time.monotonic()
        samples = audio_files.samples(CLIP, SAMPLE_RATE)
        self._speech = (samples * 32767).astype("<i2").tobytes()

    async def come_and_go(self, minutes: float) -> None:
        kinds = {"stops": self._stops, "vanishes": self._vanishes, "returns": self._returns, "babbles": self._babbles}
        while time.monotonic() - self._began < minutes * 60:
            [kind] = self._random.choices(list(kinds), weights=(60, 20, 10, 10))
            try:
                await kinds[kind]()
                self.did[kind] += 1
            except ConnectionClosed as closed:
                self.did["refused" if closed.code == CloseCode.TRY_AGAIN_LATER else "cut"] += 1
            await asyncio.sleep(self._random.uniform(0, 0.1))

    def _open(self, query: str = "") -> connect:
        format_ = "sample_rate=16000&channels=1&encoding=s16le"
        return connect(f"{self._url}?{format_}&{query}", compression=None, proxy=None)

    async def _speak(self, socket: ClientConnection) -> None:
        """Bursts from anywhere in the clip."""
        for _ in range(self._random.randint(1, 3)):
            length = 2 * round(self._random.uniform(0.5, 3.0) * SAMPLE_RATE)
            begin = 2 * self._random.randrange((len(self._speech) - length) // 2)
            await socket.send(self._speech[begin : begin + length])
            await socket.send('{"type": "flush"}')

    async def _stops(self) -> None:
        async with self._open() as socket:
            await self._speak(socket)
            await socket.send('{"type": "stop"}')
            asked = final_at = time.monotonic()
            async for message in _messages(socket):
                if message["type"] == "final":
                    final_at = time.monotonic()
                    self.finals += 1
                if message["type"] == "session_ended":
                    break
        if final_at > asked:
            self.latencies.append((round(asked - self._began, 3), round((final_at - asked) * 1000, 2)))

    async def _vanishes(self) -> None:
        async with self._open("events=session") as socket:
            await self._speak(socket)
            socket.transport.abort()

    async def _returns(self) -> None:
        async with self._open("events=session") as socket:
            hello = json.loads(await socket.recv())
            await self._speak(socket)
            socket.transport.abort()
        if hello["type"] != "connection_established":
            return
        resume = f"events=session&session={hello['session_id']}&resume_token={hello['resume_token']}&last_sequence=0"
        async with self._open(resume) as socket:
            await socket.send('{"type": "stop"}')
            async for message in _messages(socket):
                self.finals += message["type"] == "final"

    async def _babbles(self) -> None:
        async with self._open() as socket:
            await socket.send("no message")
            await socket.recv()
            await socket.send(self._random.randbytes(4001))


async def _messages(socket: ClientConnection) -> AsyncIterator[dict[str, Any]]:
    async for frame in socket:
        yield json.loads(frame)


async def run_clients(args: argparse.Namespace) -> None:
    """Prints one line of JSON at the end."""
    clients = Clients(args.clients_of, args.seed)
    await asyncio.gather(*(clients.come_and_go(args.minutes) for _ in range(args.clients)))
    print(json.dumps({"sessions": clients.did, "finals": clients.finals, "latencies": clients.latencies}))


# --- both ------------------------------------------------------------------------------------------


UNITS = {
    "front_mb": "MB",
    "stages_mb": "MB",
    "handles": "",
    "threads": "",
    "shm_mb": "MB",
    "blocks": "",
    "latency_ms": "ms",
}


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            name,
            f"{line['p50']:g} {UNITS[name]}".rstrip(),
            f"{line['max']:g} {UNITS[name]}".rstrip(),
            f"{line['slope']:+.3g} ± {2 * line['error']:.2g} {UNITS[name]}".rstrip(),
            "flat" if abs(line["slope"]) <= 2 * line["error"] else "grows" if line["slope"] > 0 else "falls",
        )
        for name, line in found["slopes_per_hour"].items()
    ]


def main() -> None:
    args = _options().parse_args()
    if args.clients_of:
        event_loop.run(run_clients(args))
        return
    _tell(f"{args.clients} clients for {args.minutes:g} minutes ...")
    with report.workplace() as directory:
        found = event_loop.run(soak(args, directory))
    ended = ", ".join(f"{count} {how}" for how, count in sorted(found["sessions"].items()))
    done = f"{found['finals']} finals ({found['left_out']} with work left out), {found['kills']} kills"
    report.show(
        f"Soak: sessions {ended}; {done}", ("", "median", "largest", "per hour (± 2 standard errors)", ""), rows(found)
    )
    report.save(args.json, found)


def _options() -> argparse.ArgumentParser:
    options = report.parser("Memory, handles, threads and latency while clients come and go and stages die.")
    options.add_argument("--minutes", type=float, default=120.0, help="how long (default: %(default)g)")
    options.add_argument("--clients", type=int, default=4, help="at a time (default: %(default)s)")
    options.add_argument("--asr-ms", type=float, default=20.0, help="of recognition (default: %(default)g)")
    options.add_argument("--seed", type=int, default=1, help="of what the clients do")
    options.add_argument("--clients-of", metavar="URL", help=argparse.SUPPRESS)
    return options


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
