"""Is anything lost, doubled or changed while stages are killed (-9) at random moments? How soon are they back?

    python benchmarks/chaos.py [--kills 200] [--clients 5] [--replicas 1] [--seed 1] [--standby] [--json FILE]

Clients stream speech to the whole daemon over WebSockets: the utterances of the bundled clip, and excerpts of recorded
meetings where ../shared/audio is there, each followed by a `flush`. Voice activity detection (Silero), diarization
(onnx) and correction (Ollama's API, spoken by a local server) are the daemon's own; recognition takes a fixed
time, and its text is where in the session the utterance lay, so that a wrong range shows.

A *round* is one session per client, always with the same audio and the same flushes. The first is undisturbed; then
rounds go on until all kills are done, and every result of theirs is compared with the first round's. A process is
killed only after it has finished a job. Half of the kills wait until it is at work. With --replicas every stage but
ingest has so many, of which one is killed at a time.
Ends with 1 if anything was lost, duplicated or changed, or a connection dropped.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import report
from benchmarks.chaos_check import Found, check, tell
from benchmarks.chaos_killer import Killer
from benchmarks.chaos_speech import Session, one_round, speech
from benchmarks.report import Figure
from ipc import event_loop
from ipc.errors import WernickeError
from ipc.messages import STAGES
from tests.ollama_server import OllamaServer
from wernicke_daemon.config.load import overrides
from wernicke_daemon.config.schema import Config, ReplicasSettings, stage_settings
from wernicke_daemon.daemon import Daemon, running
from wernicke_daemon.hardware.profiles import applied

ASR_MS = 50.0

RESTARTS: dict[str, Any] = {"restarts_max": 1000, "stable_after_s": 0.01}
"""A stage that has done a job since its start counts as stable here: it is started again at once, without backoff."""

NO_DEADLINE_S = 3600.0
"""Results that go out without speakers or correction because time was up would differ, and rightly so."""


def configured(clients: int, replicas: int, standby: bool, directory: Path, llm: str) -> Config:
    """As by default with the embedded engines, but for RESTARTS, the deadlines and the LLM."""
    config = applied(overrides(Config(), host="127.0.0.1", port=0), "embedded")
    runtime = replace(
        config.runtime,
        data_dir=str(directory),
        shed_after_s=NO_DEADLINE_S,
        standby=STAGES if standby else (),
        **RESTARTS,
    )
    return replace(
        config,
        max_connections=clients,
        runtime=runtime,
        replicas=ReplicasSettings(asr=replicas, diarization=replicas, correction=replicas),
        diarization=replace(config.diarization, deadline_s=NO_DEADLINE_S),
        correction=replace(config.correction, engine="ollama", deadline_s=NO_DEADLINE_S),
        llm=replace(config.llm, host=llm),
        logging=replace(config.logging, console=False),
    )


async def measure(kills: int, clients: int, replicas: int, seed: int, standby: bool, directory: Path) -> dict[str, Any]:
    """The figures, by the keys of the JSON file. Raises WernickeError."""
    said = speech(clients, seed)
    with OllamaServer() as server:
        config = configured(clients, replicas, standby, directory, server.url)
        settings = replace(stage_settings(config), sleep_ms={"asr": ASR_MS})
        async with running(config, tell, settings) as daemon:
            killer, found = Killer(daemon, seed), Found()
            began = time.monotonic()
            with killer.listening():
                rounds = await _rounds(daemon, said, killer, kills, found)
    return {
        **figures(killer, found),
        "rounds": rounds,
        "seconds": round(time.monotonic() - began, 1),
        "clients": clients,
        "replicas": replicas,
        "seed": seed,
        "standby": standby,
        "restart_settings": restart_settings(config),
    }


async def _rounds(daemon: Daemon, said: list[Session], killer: Killer, kills: int, found: Found) -> int:
    """How many, the undisturbed one not counted. Raises Stuck."""
    tell("an undisturbed round ...")
    undisturbed = await one_round(daemon, said)
    check(undisturbed)
    tell(f"rounds under {kills} kills ...")
    killing = asyncio.create_task(killer.kill_all(kills))
    rounds = 0
    try:
        while not killing.done():
            for heard, wanted in zip(await one_round(daemon, said), undisturbed, strict=True):
                found.compare(heard, wanted, but=killer.hit_twice)
            rounds += 1
        await killing
    finally:
        killing.cancel()
    return rounds


def restart_settings(config: Config) -> dict[str, float]:
    names = ("restarts_max", "restarts_window_s", "stable_after_s", "backoff_first_s", "backoff_max_s")
    return {name: getattr(config.runtime, name) for name in names}


def figures(killer: Killer, found: Found) -> dict[str, Any]:
    recovery_ms = {name: [ms for one in killer.of(name) for ms in one.recovery_ms] for name in STAGES}
    load_ms = {name: [ms for one in killer.of(name) for ms in one.load_ms] for name in STAGES}
    answer_ms = {name: [ms for one in killer.of(name) for ms in one.first_answer_ms] for name in STAGES}
    return {
        "kills": sum(watched.kills for watched in killer.replicas.values()),
        "kills_at_work": killer.hits.total(),
        "utterances": found.utterances,
        "lost": found.lost,
        "duplicated": found.duplicated,
        "changed": found.changed,
        "gaps": found.gaps,
        "dropped_connections": found.dropped_connections,
        "done_again": len(killer.done_again),
        "hit_twice": len(killer.hit_twice),
        "other_deaths": killer.other_deaths,
        "recovery_ms": {name: percentiles(values) for name, values in recovery_ms.items() if values},
        "beyond_load_ms": {
            name: percentiles([a - b for a, b in zip(values, load_ms[name], strict=True)])
            for name, values in recovery_ms.items()
            if values
        },
        "first_answer_ms": {name: percentiles(values) for name, values in answer_ms.items() if values},
    }


def percentiles(values: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(values, (50, 99))
    return {"p50": round(float(p50)), "p99": round(float(p99)), "count": len(values)}


COUNTS = {
    "kills": "kills (-9)",
    "kills_at_work": "of them while the stage was at work",
    "utterances": "utterances compared",
    "done_again": "utterances whose stage was killed under them",
    "hit_twice": "of them twice in one stage (counted apart)",
    "other_deaths": "stages that died otherwise",
}
ZEROS = {
    "lost": "utterances lost",
    "duplicated": "utterances duplicated",
    "changed": "utterances changed",
    "gaps": "gaps",
    "dropped_connections": "connections dropped",
}


def rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, name in COUNTS.items():
        yield (name, *Figure(found[key]).cells)
    for key, name in ZEROS.items():
        yield (name, *Figure(found[key], at_most=0).cells)
    for stage, times in found["recovery_ms"].items():
        beyond = found["beyond_load_ms"][stage]
        yield (f"{stage}: kill to READY, p50", *Figure(times["p50"] / 1000, "s").cells)
        yield (f"{stage}: kill to READY, p99", *Figure(times["p99"] / 1000, "s").cells)
        yield (f"{stage}: the same less loading, p99", *Figure(beyond["p99"] / 1000, "s", at_most=1).cells)
    for stage, times in found["first_answer_ms"].items():
        yield (f"{stage}: kill to first answer, p50", *Figure(times["p50"] / 1000, "s").cells)
        yield (f"{stage}: kill to first answer, p99", *Figure(times["p99"] / 1000, "s").cells)


def main() -> None:
    options = report.parser("Results and recovery while stages are killed at random moments.")
    options.add_argument("--kills", type=int, default=200, help="over all four stages")
    options.add_argument("--clients", type=int, default=5)
    options.add_argument("--replicas", type=int, default=1, help="of each stage but ingest")
    options.add_argument("--seed", type=int, default=1, help="of what is said, who is killed, and when")
    options.add_argument("--standby", action="store_true", help="keep a loaded spare of every stage")
    args = options.parse_args()
    psutil.cpu_percent()  # from here on, until the figures are saved
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows removes no open log file
        try:
            found = event_loop.run(
                measure(args.kills, args.clients, args.replicas, args.seed, args.standby, Path(folder))
            )
        except WernickeError as error:
            sys.exit(f"error: {error}")
    settings = ", ".join(f"{name} = {value:g}" for name, value in found["restart_settings"].items())
    report.show(f"Chaos ({settings})", ("figure", "measured", "wanted", ""), rows(found))
    report.save(args.json, found)
    sys.exit(any(found[key] for key in ZEROS))


if __name__ == "__main__":
    main()
