"""How many conversations at a time, in real time, until finals come late: `latency.py --load`.

Streams of 48 kHz stereo, as microphones give it, of generated conversations, to one whole daemon, for each number of
them; CPU time of its front and of voice detection is taken while they stream. That is by energy; with `--vad silero` by
Silero, and phrases are speech of the bundled clip instead of noise. Twice: with engines that take no time, so that
front and ingest alone are what limits, and with those of `latency.py`, of which there is one each.

Lateness is counted from when the frame (of CHUNK_S) is complete with which the silence is long enough.
Finals that have not come WAIT_S after the last audio count as late as they are by then. The knee is the largest number
up to which the 95th percentile is neither above KNEE times that of the fewest streams nor above MOST_LAG_S.
"""

import argparse
import asyncio
import math
import sys
from pathlib import Path
from typing import Any

from benchmarks import engine_times, report, served
from benchmarks.conversation import Listener, Talk, generated
from benchmarks.engine_times import Times
from benchmarks.report import Figure
from benchmarks.served import Served
from benchmarks.timeliness import percentiles, phrases, timed
from ipc import event_loop
from ipc.audio_handle import SAMPLE_RATE, VAD_WINDOW, Audio
from ipc.settings import VadSettings
from stages.ingest.endpointing import rules_from
from stages.level import windows_db
from wernicke_daemon.config.schema import AudioSettings, Config, ReplicasSettings, RuntimeSettings
from wernicke_daemon.demo import CLIP
from wernicke_daemon.formats import audio_files
from wernicke_daemon.wire.audio import AudioFormat

MAC = AudioFormat(48_000, channels=2, encoding="f32le")
CHUNK_S = 0.1
NO_WORK = Times(1, 0, 1, 1)
RING_S = 72.0
"""Just above the least that the settings allow: rings for a hundred sessions."""

SECONDS = 30.0
SPOKEN_DB = -40.0
"""dBFS of a window from which it is speech: that of the clip is at -16, the noise between at -70."""

MARGIN_S = 2.0
"""Streaming before and after the window in which CPU time is taken."""

WAIT_S = 5.0
ONE_EACH = ReplicasSettings()
KNEE = 1.5
MOST_LAG_S = 0.1


def add_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--load", action="store_true", help="numbers of real-time streams, until finals come late")
    options.add_argument("--streams", type=int, nargs="+", default=[1, 5, 20, 50, 100], help="how many at a time")
    options.add_argument("--vad", choices=("energy", "silero"), default="energy", help="what detects speech")


def run(args: argparse.Namespace, vad: VadSettings, directory: Path) -> dict[str, Any]:
    """Shows the tables; returns the figures by the keys of the JSON file."""
    seconds = args.seconds or SECONDS
    vad = VadSettings() if args.vad == "silero" else vad
    kinds = {"no_work": NO_WORK, "engines": engine_times.chosen(args)}
    found = {
        name: {str(count): event_loop.run(measured(count, seconds, times, vad, directory)) for count in args.streams}
        for name, times in kinds.items()
    }
    for name, by_count in found.items():
        title = f"Load, {name.replace('_', ' ')}: knee at {knee(by_count)} streams"
        report.show(title, COLUMNS, (_row(*each, wants=name == "no_work") for each in by_count.items()))
    knees = {f"{name}_knee": knee(by_count) for name, by_count in found.items()}
    return {"load": found, **knees, "seconds": seconds, "chunk_ms": CHUNK_S * 1000}


async def measured(
    count: int,
    seconds: float,
    times: Times,
    vad: VadSettings,
    directory: Path,
    replicas: ReplicasSettings = ONE_EACH,
) -> dict[str, float]:
    """So many streams at a time. replicas: of the stages."""
    print(f"{count} streams, {seconds:g} s ...", file=sys.stderr, flush=True)
    config = Config(
        max_connections=count,
        vad=vad,
        audio=AudioSettings(ring_seconds=RING_S),
        runtime=RuntimeSettings(drain_timeout_s=0.1),
        replicas=replicas,
    )
    voice = speech() if vad.engine == VadSettings().engine else None
    talks = [generated(number, seconds, (vad.phrase_pause_s, vad.silence_s), voice) for number in range(count)]
    async with served.serving([engine_times.plan_of(config, times)], directory) as [daemon]:
        listeners = [Listener(talk, MAC, CHUNK_S) for talk in talks]
        cores = asyncio.create_task(_cores(daemon, seconds - 2 * MARGIN_S))
        streams = [asyncio.create_task(listener.run(daemon.url)) for listener in listeners]
        longest_s = max(talk.seconds for talk in talks)
        done, waiting = await asyncio.wait(streams, timeout=longest_s + WAIT_S)
        for stream in waiting:
            stream.cancel()
        await asyncio.gather(*done)
        front, ingest = await cores
    late = [each for listener in listeners for each in lateness(listener, vad, longest_s + WAIT_S)]
    return {
        "front": round(front, 3),
        "ingest": round(ingest, 3),
        **{f"final_after_frame_{share}_ms": value for share, value in percentiles(late, 1000).items()},
        "finals": sum(heard.message["type"] == "final" for listener in listeners for heard in listener.heard),
        "expected": len(late),
        "late_ms": round(max(listener.late_s for listener in listeners) * 1000, 1),
    }


def speech() -> Audio:
    """The bundled clip without its pauses."""
    clip = audio_files.samples(CLIP, SAMPLE_RATE)
    windows = clip[: len(clip) // VAD_WINDOW * VAD_WINDOW].reshape(-1, VAD_WINDOW)
    voiced: Audio = windows[windows_db(clip)[: len(windows)] > SPOKEN_DB].reshape(-1)
    return voiced


async def _cores(daemon: Served, seconds: float) -> list[float]:
    """CPU seconds per second of front and ingest, over so many seconds."""
    await asyncio.sleep(MARGIN_S)
    before = [daemon.cpu_s_of(None), daemon.cpu_s_of("ingest")]
    await asyncio.sleep(seconds)
    after = [daemon.cpu_s_of(None), daemon.cpu_s_of("ingest")]
    return [(b - a) / seconds for a, b in zip(before, after, strict=True)]


def lateness(listener: Listener, vad: VadSettings, until: float) -> list[float]:
    """Seconds from the frame with the trigger to the final; of those that have not come by `until`, to that."""
    came = [
        each.final_at - _decided_at(each.spoken_end, rules_from(vad).silence)
        for each in timed(listener.talk, listener.heard, vad)
    ]
    triggers = _triggers(listener.talk, vad)
    return [*came, *(until - at for at in triggers[len(came) :])]


def _decided_at(spoken_end: float, silence: int) -> float:
    """When the frame is complete that has the end of the window in it with which the silence is long enough."""
    frames = (spoken_end + silence / SAMPLE_RATE) / CHUNK_S
    return math.ceil(round(frames, 6)) * CHUNK_S


def _triggers(talk: Talk, vad: VadSettings) -> list[float]:
    """Of utterances that end by silence, as if none were cut for its length."""
    return [end + vad.silence_s for _, end in phrases(talk.phrases, vad.silence_s)]


def knee(by_count: dict[str, dict[str, float]]) -> int:
    counts = sorted(map(int, by_count))
    p95 = {count: by_count[str(count)]["final_after_frame_p95_ms"] for count in counts}
    most = max(KNEE * p95[counts[0]], 1000 * MOST_LAG_S)
    first = min((count for count in counts if p95[count] > most), default=math.inf)
    return max(count for count in counts if count < first)


# front, ingest: CPU seconds per second; client: how far the worst one fell behind real time
COLUMNS = ("", "front", "ingest", "p50", "p95", "wanted", "", "finals", "client")


def _row(count: str, found: dict[str, float], wants: bool) -> tuple[str, ...]:
    p50 = Figure(found["final_after_frame_p50_ms"] / 1000, "s").cells[0]
    p95 = Figure(found["final_after_frame_p95_ms"] / 1000, "s", at_most=MOST_LAG_S if wants else None).cells
    finals = f"{found['finals']:g}/{found['expected']:g}"
    client = f"{found['late_ms'] / 1000:.3g} s"
    return count, f"{found['front']:.3g}", f"{found['ingest']:.3g}", p50, *p95, finals, client
