"""What do more replicas of each stage bring, and how many sessions does the front carry?

    python benchmarks/scaling.py [--replicas 1 2 4 8] [--streams 40] [--json FILE] [--quick]

Real processes, sockets and shared memory, transcript store, audio journal and log; the engines only take time, that of
a graphics card (*card* of `latency.py`), so that eight of each fit on any machine.

(a) Throughput: as many utterances for each replica wait at once, of SESSIONS sessions for each; finals a second, beside
    as many times those of one replica.
(b) Latency: utterances of 4 s come at random moments, as many in a second for each replica as keep its slowest stage at
    work for LOAD of the time. From trigger to final, with the wait for earlier utterances of the session.
(c) The front: real clients stream conversations in real time over WebSockets, to a daemon with the most replicas; cores
    that the front and voice detection take.
"""

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import latency_load, report
from benchmarks.engine_times import Times
from benchmarks.latency import CARD
from benchmarks.overlap import NAMES, NO_DEADLINE_S, SPEECH, Settled, Source, logged, recorded
from benchmarks.report import Figure
from ipc import event_loop
from ipc.audio_handle import SAMPLE_RATE
from ipc.settings import CorrectionSettings, DiarizationSettings, StageSettings, VadSettings
from wernicke_daemon.backend import Pipeline
from wernicke_daemon.config.schema import Config, ReplicasSettings, RuntimeSettings
from wernicke_daemon.observability import logs

SESSIONS = 5
"""For each replica: what the daemon is sized for with one."""

LOAD = 0.6
"""Beyond three quarters waits grow fast, whatever the number of replicas."""

AT_LEAST = 0.9
"""Of so many times the throughput of one."""

FLAT = 1.1
"""Times the 95th percentile of one replica."""

Replicas = int


def of_each(replicas: Replicas) -> ReplicasSettings:
    return ReplicasSettings(asr=replicas, diarization=replicas, correction=replicas)


@contextlib.asynccontextmanager
async def _sources(replicas: Replicas, times: Times, counts: list[int], directory: Path) -> AsyncIterator[list[Source]]:
    """A session for each of `counts`, which expects so many results; every process ready."""
    config = Config(
        max_connections=len(counts),
        diarization=DiarizationSettings(deadline_s=NO_DEADLINE_S),
        correction=CorrectionSettings(deadline_s=NO_DEADLINE_S),
        runtime=RuntimeSettings(shed_after_s=NO_DEADLINE_S),
        replicas=of_each(replicas),
    )
    settings = StageSettings(
        sleep_ms={"asr": times.asr, "diarization": times.diarization, "correction": times.correction},
        sleep_ms_per_audio_s={"asr": times.asr_per_audio_s},
    )
    pipeline = Pipeline(config, settings, logs.StageLines(), names=NAMES)
    try:
        await pipeline.start()
        async with recorded(directory) as recorder:
            yield [Source(pipeline, recorder, count) for count in counts]
    finally:
        await pipeline.stop()


async def throughput(replicas: Replicas, times: Times, utterances: int, directory: Path) -> float:
    """Finals a second. utterances: for each replica, all at once."""
    counts = [utterances // SESSIONS] * (SESSIONS * replicas)
    async with _sources(replicas, times, counts, directory / f"throughput-{replicas}") as sources:
        began = time.monotonic()
        for _ in range(counts[0]):
            for source in sources:
                await source.say()
        settled = [one for source in sources for one in await source.results()]
        return len(settled) / (max(one.at for one in settled) - began)


def arrivals(replicas: Replicas, times: Times, seconds: float) -> list[tuple[float, int]]:
    """When an utterance ends, in seconds, and of which session: at random, the same in every run. No session says two
    within the length of one."""
    audio_s = len(SPEECH) / SAMPLE_RATE
    slowest_s = max(times.recognition_s(audio_s), times.diarization / 1000, times.correction / 1000)
    mean_s = SESSIONS * slowest_s / LOAD
    chance, found = random.Random(1), list[tuple[float, int]]()
    for session in range(SESSIONS * replicas):
        at = chance.uniform(0, mean_s)
        while at < seconds:
            found.append((at, session))
            at += audio_s + chance.expovariate(1 / (mean_s - audio_s))
    return sorted(found)


async def latency(replicas: Replicas, times: Times, seconds: float, directory: Path) -> list[Settled]:
    due = arrivals(replicas, times, seconds)
    counts = [sum(session == number for _, session in due) for number in range(SESSIONS * replicas)]
    speaking = [number for number, count in enumerate(counts) if count]
    async with _sources(
        replicas, times, [counts[number] for number in speaking], directory / f"latency-{replicas}"
    ) as sources:
        of = dict(zip(speaking, sources, strict=True))
        began = time.monotonic()
        for at, session in due:
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            await of[session].say()
        return [one for source in sources for one in await source.results()]


def measure(args: Any, directory: Path) -> dict[str, Any]:
    """The figures, by the keys of the JSON file."""
    utterances, seconds, stream_s = (SESSIONS, 5.0, 6.0) if args.quick else (20, 90.0, 30.0)
    found: dict[str, Any] = {}
    for replicas in args.replicas:
        report.tell(f"{replicas} of each: all at once ...")
        finals_s = event_loop.run(throughput(replicas, CARD, utterances, directory))
        report.tell(f"{replicas} of each: at random, {seconds:g} s ...")
        settled = event_loop.run(latency(replicas, CARD, seconds, directory))
        p50, p95 = np.percentile([one.latency_ms for one in settled], (50, 95))
        found[str(replicas)] = {
            "finals_per_s": round(finals_s, 3),
            "latency_p50_ms": round(float(p50)),
            "latency_p95_ms": round(float(p95)),
            "utterances": len(settled),
        }
    most = max(args.replicas)
    vad = VadSettings()
    front = event_loop.run(latency_load.measured(args.streams, stream_s, CARD, vad, directory, of_each(most)))
    return {"replicas": found, "front": {"streams": args.streams, "replicas": most, **front}, "times": CARD.as_dict()}


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    by_count = {int(count): figures for count, figures in found["replicas"].items()}
    fewest = min(by_count)
    shown = []
    for count, figures in by_count.items():
        share = figures["finals_per_s"] / by_count[fewest]["finals_per_s"] * fewest / count
        grown = figures["latency_p95_ms"] / by_count[fewest]["latency_p95_ms"]
        shown += [
            (f"{count} of each: finals a second", *Figure(figures["finals_per_s"]).cells),
            (f"{count} of each: re {count} times that of one", *Figure(share, at_least=AT_LEAST).cells),
            (f"{count} of each: trigger to final, p50", *Figure(figures["latency_p50_ms"] / 1000, "s").cells),
            (f"{count} of each: trigger to final, p95", *Figure(figures["latency_p95_ms"] / 1000, "s").cells),
            (f"{count} of each: p95 re that of one", *Figure(grown, at_most=FLAT).cells),
        ]
    front = found["front"]
    streams = f"{front['streams']} streams"
    return [
        *shown,
        (f"{streams}: front, cores", *Figure(front["front"]).cells),
        (f"{streams}: sessions for a core of the front", *Figure(front["streams"] / front["front"]).cells),
        (f"{streams}: voice detection, cores", *Figure(front["ingest"]).cells),
        (f"{streams}: deciding frame to final, p95", *Figure(front["final_after_frame_p95_ms"] / 1000, "s").cells),
    ]


def main() -> None:
    options = report.parser("Throughput and latency by the number of replicas, and what the front carries.")
    options.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4, 8], help="of each stage")
    options.add_argument("--streams", type=int, default=40, help="for the front")
    options.add_argument("--quick", action="store_true", help="a few seconds: whether it works, not how fast")
    args = options.parse_args()
    with report.workplace() as directory, logged(directory):
        found = measure(args, directory)
    report.show("Scaling", ("figure", "measured", "wanted", ""), rows(found))
    report.save(args.json, found)


if __name__ == "__main__":
    main()
