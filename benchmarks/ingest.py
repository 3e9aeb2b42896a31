"""What does it cost to listen? CPU time of the gateway and of voice activity detection, by number of streams.

    python benchmarks/ingest.py [--streams 1 5 20 50 100] [--seconds 15] [--chunk-ms 100] [--quick] [--json FILE]

Real-time 48 kHz stereo float32 streams of the bundled clip over real WebSockets, from another process, whose CPU time
is told but not counted. The whole daemon serves them: its front (gateway, decoding, resampling, ring, audio journal,
dispatcher, transcript store, log) is this process; the ingest stage runs Silero; the later stages only take a
millisecond, and are not counted. CPU time is taken over a window within the streaming: connecting and the last
results are not in it. How long audio waited to be examined is what the daemon itself says (`vad_lag_ms` of /stats). The
streams are at different places of the clip and do not send at the same moment.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import report
from benchmarks.program import Program
from benchmarks.report import Figure
from ipc import event_loop
from ipc.settings import StageSettings
from wernicke_daemon.client import Client, ParsedMessage, exchange
from wernicke_daemon.config.schema import AudioSettings, Config, LoggingSettings, RuntimeSettings
from wernicke_daemon.daemon import running
from wernicke_daemon.demo import CLIP
from wernicke_daemon.formats import audio_files
from wernicke_daemon.formats.audio_files import Chunk
from wernicke_daemon.gateway.http_request import SESSIONS
from wernicke_daemon.wire.audio import AudioFormat

MAC = AudioFormat(48_000, channels=2, encoding="f32le")

MARGIN_S = 1.0
"""Streaming before and after the window in which CPU time is taken."""

RING_S = 72.0
"""Just above the least that the settings allow: a hundred rings of the default length would take 1.2 GB."""

QUICK = [1, 5], 4.0
"""Numbers of streams, and seconds for each."""

MANY_STREAMS = 50
MOST_CORES = 1.0
"""Wanted of front and ingest together at MANY_STREAMS."""

MOST_STREAMS = 100
MOST_LAG_MS = 100.0
"""Wanted of the 99th percentile of what audio waits to be examined, at MOST_STREAMS."""


@dataclass(frozen=True)
class Cost:
    """front, ingest, total, clients: CPU seconds per second; the clients are not in the total, and share its cores.
    cpu_s_per_audio_s: total by seconds of audio streamed. vad_lag_p50_ms, vad_lag_p99_ms: what audio waited to be
    examined. late_ms: how far the worst client fell behind real time. finals: utterances that came back."""

    front: float
    ingest: float
    total: float
    clients: float
    cpu_s_per_audio_s: float
    vad_lag_p50_ms: float
    vad_lag_p99_ms: float
    late_ms: float
    finals: int


@dataclass(frozen=True)
class Streaming:
    """What the clients do. seconds: of the window in which CPU time is taken."""

    streams: int
    seconds: float
    chunk_ms: int

    @property
    def audio_s(self) -> float:
        return self.seconds + 2 * MARGIN_S


# --- the server ------------------------------------------------------------------------------------


def configured(streams: int, directory: Path) -> Config:
    """As by default, with room for `streams` clients; what is kept goes into `directory`."""
    return Config(
        host="127.0.0.1",
        port=0,
        max_connections=streams,
        audio=AudioSettings(ring_seconds=RING_S),
        logging=LoggingSettings(console=False),
        runtime=RuntimeSettings(data_dir=str(directory)),
    )


async def measure(streaming: Streaming, directory: Path) -> Cost:
    config = configured(streaming.streams, directory)
    settings = StageSettings(vad=config.vad, sleep_ms={"asr": 1, "diarization": 1, "correction": 1})
    async with running(config, lambda line: None, settings) as daemon:
        clients = await _start_clients(f"ws://127.0.0.1:{daemon.port}{SESSIONS}", streaming)
        await asyncio.sleep(MARGIN_S)
        ingest = psutil.Process(daemon.pipeline.ports["ingest"].status().pid)
        *cores, clients_own = await _cores([psutil.Process(), ingest, psutil.Process(clients.pid)], streaming.seconds)
        said = await clients.rest()
        lag = daemon.status.stats().vad_lag_ms
    assert lag.p50 is not None and lag.p99 is not None
    if clients.failed:
        sys.exit("error: the clients failed; what they said is above")
    total = sum(cores)
    front, stage = (round(share, 3) for share in cores)
    per_audio_s = round(total / streaming.streams, 4)
    own = round(clients_own, 3)
    return Cost(front, stage, round(total, 3), own, per_audio_s, lag.p50, lag.p99, **json.loads(said))


async def _start_clients(url: str, streaming: Streaming) -> Program:
    """They are all connected when this returns."""
    arguments = [__file__, "--clients-of", url, "--streams", str(streaming.streams)]
    arguments += ["--seconds", str(streaming.seconds), "--chunk-ms", str(streaming.chunk_ms)]
    clients = Program(*arguments)
    await clients.line()
    return clients


async def _cores(processes: list[psutil.Process], seconds: float) -> list[float]:
    """CPU seconds per second of each of `processes` over the next `seconds`."""
    before, began = [_cpu_s(process) for process in processes], time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    return [(_cpu_s(process) - spent) / took for process, spent in zip(processes, before, strict=True)]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


# --- the clients, in a process of their own --------------------------------------------------------


async def stream_to(url: str, streaming: Streaming) -> None:
    """Print a line when all are connected, and one of JSON (fields of Cost) when all have got their results."""
    clip = audio_files.samples(CLIP, MAC.sample_rate)
    twice = np.stack([np.tile(clip, 2)] * MAC.channels, axis=1)
    speeches = [Speech(twice, number, streaming) for number in range(streaming.streams)]
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(url, audio=MAC)) for _ in speeches]
        print("connected", flush=True)
        pairs = zip(clients, speeches, strict=True)
        await asyncio.gather(*(exchange(client, speech.chunks(), speech.receive) for client, speech in pairs))
    late_ms = max(speech.late_s for speech in speeches) * 1000
    print(json.dumps({"late_ms": round(late_ms, 1), "finals": sum(speech.finals for speech in speeches)}))


class Speech:
    """One stream. late_s: how far it fell behind real time at worst; finals: its results."""

    def __init__(self, twice: Chunk, number: int, streaming: Streaming) -> None:
        """twice: the clip two times over, so that a stream can begin anywhere in it."""
        self.late_s = 0.0
        self.finals = 0
        self._twice = twice
        self._length = len(twice) // 2
        self._count = round(streaming.audio_s * MAC.sample_rate)
        self._chunk = streaming.chunk_ms * MAC.sample_rate // 1000
        self._share = number / streaming.streams

    async def chunks(self) -> AsyncIterator[bytes]:
        await asyncio.sleep(self._share * self._chunk / MAC.sample_rate)
        began, frames = time.monotonic(), 0
        async for data in audio_files.stream(self._pieces(), MAC.sample_rate, realtime=True):
            frames += len(data) // MAC.frame_bytes
            self.late_s = max(self.late_s, time.monotonic() - began - frames / MAC.sample_rate)
            yield data

    async def _pieces(self) -> AsyncIterator[Chunk]:
        begin = round(self._share * self._length)
        for offset in range(0, self._count, self._chunk):
            at = (begin + offset) % self._length
            yield self._twice[at : at + self._chunk]

    def receive(self, message: ParsedMessage) -> None:
        self.finals += message.get("type") == "final"


# --- both ------------------------------------------------------------------------------------------


def main() -> None:
    args = _options().parse_args()
    numbers, seconds = QUICK if args.quick else (args.streams, args.seconds)
    plans = [Streaming(streams, seconds, args.chunk_ms) for streams in numbers]
    if args.clients_of:
        event_loop.run(stream_to(args.clients_of, plans[0]))
        return
    with report.workplace() as directory:
        costs = {plan.streams: event_loop.run(_measured(plan, directory)) for plan in plans}
    report.show(
        f"Ingest: CPU seconds per second, {args.chunk_ms} ms chunks", COLUMNS, (row(*cost) for cost in costs.items())
    )
    streams = {str(count): asdict(cost) for count, cost in costs.items()}
    report.save(args.json, {"streams": streams, "seconds": seconds, "chunk_ms": args.chunk_ms})


def _options() -> argparse.ArgumentParser:
    options = report.parser("CPU time of gateway and voice activity detection, by number of streams.")
    numbers = [1, 5, 20, MANY_STREAMS, MOST_STREAMS]
    options.add_argument("--streams", type=int, nargs="+", default=numbers, help="how many at a time")
    options.add_argument("--seconds", type=float, default=15.0, help="in which CPU time is taken, for each number")
    options.add_argument("--chunk-ms", type=int, default=100, help="audio in a WebSocket frame")
    options.add_argument("--quick", action="store_true", help="few streams, not long: whether it works, not its cost")
    options.add_argument("--clients-of", metavar="URL", help=argparse.SUPPRESS)
    return options


async def _measured(plan: Streaming, directory: Path) -> Cost:
    print(f"{plan.streams} streams, {plan.seconds:g} s ...", file=sys.stderr, flush=True)
    return await measure(plan, directory)


# lag: what audio waited to be examined; late: how far the worst client fell behind real time
COLUMNS = ("", "front", "ingest", "both", "wanted", "", "clients", "lag p50", "lag p99", "wanted", "", "late ms")


def row(streams: int, cost: Cost) -> tuple[str, ...]:
    both = Figure(cost.total, at_most=MOST_CORES if streams == MANY_STREAMS else None)
    lag = Figure(cost.vad_lag_p99_ms, "ms", at_most=MOST_LAG_MS if streams == MOST_STREAMS else None)
    lags = f"{cost.vad_lag_p50_ms:.3g} ms", *lag.cells
    cores = f"{cost.front:.3g}", f"{cost.ingest:.3g}", *both.cells, f"{cost.clients:.3g}"
    return str(streams), *cores, *lags, f"{cost.late_ms:.3g}"


if __name__ == "__main__":
    main()
