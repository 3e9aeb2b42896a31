"""What becomes of results when other programs take the CPU? The bundled clip, in real time, with the embedded engines.

    python benchmarks/starved.py [--quick] [--json FILE]

Three runs, each with a daemon of its own that is started while the competitors are at work: quiet (nobody else), niced
(one program that turns for each CPU, of the lowest priority) and equal (the same, of the daemon's own priority).
`--quick` takes the first turns of the clip, quiet and equal.

Wanted: every turn has its text with its speaker, no stage is replaced, /health answers 200 throughout. The exit status
is 1 where one of these is not so. How late results are, and when clients are told that something is slow, is told
beside it."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import competitors, report, served
from benchmarks.report import Figure
from benchmarks.served import Served
from ipc import event_loop
from wernicke_daemon.client import Client, ParsedMessage, exchange
from wernicke_daemon.config.schema import Config
from wernicke_daemon.demo import CLIP, REFERENCE
from wernicke_daemon.demo.run import Reference, ReferenceTurn
from wernicke_daemon.evaluation.scoring import Spoken, score
from wernicke_daemon.formats import audio_files
from wernicke_daemon.formats.subtitles import cues
from wernicke_daemon.hardware.profiles import applied

RATE, CHUNK_S = 16_000, 0.1
QUICK_TURNS = 2
HEALTH_EVERY_S = 0.5

CONDITIONS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "quiet": contextlib.nullcontext,
    "niced": lambda: competitors.at_work(low_priority=True),
    "equal": competitors.at_work,
}


@dataclass
class Heard:
    """What a client got, and when; clock readings in seconds. began: when the first sample was sent."""

    began: float = 0.0
    messages: list[tuple[float, ParsedMessage]] = field(default_factory=list)

    def of(self, kind: str) -> list[tuple[float, ParsedMessage]]:
        return [(at, message) for at, message in self.messages if message["type"] == kind]


@dataclass
class Health:
    """What /health answered: HTTP statuses, states in a word, seconds that the answers took."""

    codes: list[int] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)


def turns(quick: bool) -> list[ReferenceTurn]:
    spoken = msgspec.json.decode(REFERENCE.read_bytes(), type=Reference).turns
    return list(spoken[:QUICK_TURNS] if quick else spoken)


async def speech(said: list[ReferenceTurn], silence_s: float) -> AsyncIterator[audio_files.Chunk]:
    """The clip up to the end of the last of those turns, and silence that ends it."""
    whole = audio_files.samples(CLIP, RATE)[:, None]
    until = round((said[-1].end + 0.2) * RATE)
    padded = np.concatenate((whole[:until], np.zeros((round((silence_s + 0.5) * RATE), 1), np.float32)))
    size = round(CHUNK_S * RATE)
    for at in range(0, len(padded), size):
        yield padded[at : at + size]


async def play(url: str, said: list[ReferenceTurn], config: Config) -> Heard:
    heard = Heard()

    async def sent() -> AsyncIterator[bytes]:
        heard.began = time.monotonic()
        async for chunk in audio_files.stream(speech(said, config.vad.silence_s), RATE, realtime=True):
            yield chunk

    async with Client(url, language="en", events=("status",)) as client:
        await exchange(client, sent(), lambda message: heard.messages.append((time.monotonic(), message)))
    return heard


async def watch_health(url: str, health: Health) -> None:
    """Until cancelled."""
    page = f"http://{urlsplit(url).netloc}/health"
    async with httpx.AsyncClient(trust_env=False, timeout=60.0) as http:
        while True:
            began = time.monotonic()
            answer = await http.get(page)
            health.took_s.append(time.monotonic() - began)
            health.codes.append(answer.status_code)
            health.states.append(answer.json()["status"])
            await asyncio.sleep(HEALTH_EVERY_S)


async def run(said: list[ReferenceTurn], directory: Path) -> dict[str, Any]:
    """One condition's figures."""
    config = applied(Config(), "embedded")
    began = time.monotonic()
    async with served.serving([served.plan(config, {}, {})], directory) as [daemon]:
        started_s = time.monotonic() - began
        health = Health()
        watch = asyncio.create_task(watch_health(daemon.url, health))
        heard = await play(daemon.url, said, config)
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        return figures(said, heard, health, daemon, started_s)


def figures(
    said: list[ReferenceTurn], heard: Heard, health: Health, daemon: Served, started_s: float
) -> dict[str, Any]:
    finals = [message for _, message in heard.of("final")]
    late_s = [at - heard.began - spoken_end(said, message) for at, message in heard.of("final")]
    return {
        "started_s": round(started_s, 1),
        "turns": len(said),
        "without_text": sum(not has_text(turn, finals) for turn in said),
        "without_speaker": sum(cue.speaker is None for cue in cues(finals)),
        "warnings": sorted({code for final in finals for code in final["warnings"]}),
        "errors": [message["code"] for _, message in heard.of("error")],
        "replaced": len(daemon.events("stage_died", "stage_hung")),
        "word_error_rate": word_error_rate(said, finals),
        "final_s": {"p50": round(median(late_s), 2), "max": round(max(late_s), 2)} if late_s else None,
        "degraded": [f"{m['stage']}: {m['reason']}" for _, m in heard.of("degraded")],
        "restored": [f"{m['stage']}: {m['reason']}" for _, m in heard.of("restored")],
        "health_codes": sorted(set(health.codes)),
        "health_states": sorted(set(health.states)),
        "health_s": round(max(health.took_s, default=0.0), 3),
        "run_ms": run_times(daemon),
    }


def word_error_rate(said: list[ReferenceTurn], finals: list[ParsedMessage]) -> float:
    reference = [Spoken(turn.speaker, turn.text) for turn in said]
    return round(score(reference, [Spoken(cue.speaker, cue.text) for cue in cues(finals)]).error_rate, 3)


def spoken_end(said: list[ReferenceTurn], final: ParsedMessage) -> float:
    """Seconds from the first sample to the end of the last speech in it."""
    end = float(final["timestamp_range"]["end"])
    return max((min(turn.end, end) for turn in said if turn.start < end), default=end)


def has_text(turn: ReferenceTurn, finals: list[ParsedMessage]) -> bool:
    ranges = [final["timestamp_range"] for final in finals if final["text"]]
    return any(each["start"] < turn.end and turn.start < each["end"] for each in ranges)


def run_times(daemon: Served) -> dict[str, float]:
    """Milliseconds of the median firm job, by stage."""
    jobs = [event for event in daemon.events("job") if event["kind"] == "firm"]
    stages = sorted({job["stage"] for job in jobs})
    return {stage: round(median(job["run_ms"] for job in jobs if job["stage"] == stage), 1) for stage in stages}


def whole(found: dict[str, Any]) -> bool:
    lost = found["without_text"] or found["without_speaker"] or found["errors"] or found["replaced"]
    return not lost and found["health_codes"] == [200]


def rows(condition: str, found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    wanted = {
        "turns without text": Figure(found["without_text"], at_most=0),
        "results without speaker": Figure(found["without_speaker"], at_most=0),
        "stages replaced": Figure(found["replaced"], at_most=0),
        "word error rate": Figure(found["word_error_rate"]),
        "final after the end of speech, p50": Figure(found["final_s"]["p50"] if found["final_s"] else 0.0, "s"),
        "the same, latest": Figure(found["final_s"]["max"] if found["final_s"] else 0.0, "s"),
        "start of the daemon": Figure(found["started_s"], "s"),
        "slowest answer of /health": Figure(found["health_s"], "s"),
    }
    if condition == "equal":
        slow = sum(each.endswith(": slow") for each in found["degraded"])
        wanted["stages told to be slow"] = Figure(slow, at_least=1)
    for name, figure in wanted.items():
        yield (condition, name, *figure.cells)
    yield (condition, "told to be degraded", ", ".join(found["degraded"]) or "nothing", "", "")


def main() -> None:
    options = report.parser(__doc__ or "")
    options.add_argument("--quick", action="store_true", help="two turns, quiet and equal: shows that it works")
    args = options.parse_args()
    said, found = turns(args.quick), dict[str, dict[str, Any]]()
    with report.workplace() as directory:
        for condition in ("quiet", "equal") if args.quick else tuple(CONDITIONS):
            print(f"{condition} ...", file=sys.stderr, flush=True)
            with CONDITIONS[condition]():
                found[condition] = event_loop.run(run(said, directory))
        columns = ("machine", "figure", "measured", "wanted", "")
        report.show("starved", columns, (row for name, each in found.items() for row in rows(name, each)))
        report.save(args.json, found)
    if not all(map(whole, found.values())):
        sys.exit("error: something was lost; see the table")


if __name__ == "__main__":
    main()
