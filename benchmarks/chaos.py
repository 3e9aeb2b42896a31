"""Is anything lost, doubled or changed while stages are killed (-9) at random moments? How soon are they back?

    python benchmarks/chaos.py [--kills 200] [--clients 5] [--seed 1] [--standby] [--json FILE]

Clients stream speech to the whole daemon over WebSockets: the utterances of the bundled clip, and excerpts of recorded
meetings where ../shared/audio is there, each followed by a `flush`. Voice activity detection (Silero), diarization
(spectral) and correction (Ollama's API, spoken by a local server) are the daemon's own; recognition takes a fixed
time, and its text is where in the session the utterance lay, so that a wrong range shows.

A *round* is one session per client, always with the same audio and the same flushes. The first is undisturbed; then
rounds go on until all kills are done, and every result of theirs is compared with the first round's. A stage is killed
again only after it has finished a job since its last READY. Half of the kills wait until the stage is at work.
Ends with 1 if anything was lost, duplicated or changed, or a connection dropped.
"""

import asyncio
import contextlib
import json
import math
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import psutil
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


from benchmarks import report
from benchmarks.report import Figure
from ipc.audio_handle import SAMPLE_RATE
from ipc.errors import WernickeError
from ipc.messages import STAGES, Done, Failed, StageName
from tests.ollama_server import OllamaServer
from tests.wire import Samples
from wernicke_daemon.client import Client, ClientError, ParsedMessage, exchange
from wernicke_daemon.config.load import overrides
from wernicke_daemon.config.schema import Config, stage_settings
from wernicke_daemon.daemon import Daemon, running
from wernicke_daemon.demo import CLIP
from wernicke_daemon.formats import audio_files
from wernicke_daemon.gateway.http_request import SESSIONS
from wernicke_daemon.hardware.profiles import applied

MEETINGS = Path(__file__).resolve().parents[2] / "shared" / "audio"
EXCERPT_S = 5.0
EXCERPTS = 6
"""Of each recorded meeting, evenly spread; some hold no speech, and belong in no result."""

ROLL_S = 0.3
"""Quiet that is sent with each utterance of the clip, before and after it."""

UTTERANCES = 12
"""Of each client in a round."""

PAUSE_S = 0.8
"""Between two utterances of a client: faster than people speak, slower than two CPU cores can work."""

ASR_MS = 50.0
LATEST_KILL_S = 0.5
"""After a stage may be killed it is, within so many seconds ..."""
WORK_WAIT_S = 3.0
WITHIN_WORK_S = 0.05
"""... or at most so many later, and then so many into a job."""

ROUND_LIMIT_S = 300.0
IDLE_LIMIT_S = 60.0
"""A round, or a stage's first job after a kill, that takes longer never comes to its end."""

RESTARTS: dict[str, Any] = {"restarts_max": 1000, "stable_after_s": 0.01}
"""A stage that has done a job since its start counts as stable here: it is started again at once, without backoff."""

NO_DEADLINE_S = 3600.0
"""Results that go out without speakers or correction because time was up would differ, and rightly so."""

Session = list[bytes]
Spoken = tuple[str, int]
"""Session id and sequence."""


class Stuck(WernickeError):
    """What should have happened long ago did not."""


# --- the speech ------------------------------------------------------------------------------------


def speech(clients: int, seed: int) -> list[Session]:
    """What each client says in a round: one frame an utterance, 16 kHz mono float32, so that no pause divides it."""
    pieces = [piece.astype("<f4").tobytes() for piece in (*_clip(), *_meetings())]
    return [random.Random(f"{seed}-{client}").choices(pieces, k=UTTERANCES) for client in range(clients)]


def _clip() -> Iterator[Samples]:
    samples = _decoded(CLIP)
    for turn in json.loads(CLIP.with_name("reference.json").read_text(encoding="utf-8"))["turns"]:
        yield _part(samples, turn["start"] - ROLL_S, turn["end"] + ROLL_S)


def _meetings() -> Iterator[Samples]:
    for file in sorted(MEETINGS.glob("*.wav")):
        samples = _decoded(file)
        starts = np.linspace(0, len(samples) / SAMPLE_RATE - EXCERPT_S, EXCERPTS)
        yield from (_part(samples, start, start + EXCERPT_S) for start in starts)


def _decoded(file: Path) -> Samples:
    return np.concatenate([chunk[:, 0] for chunk in audio_files.decode(file, SAMPLE_RATE, 1)])


def _part(samples: Samples, start_s: float, end_s: float) -> Samples:
    return samples[max(0, round(start_s * SAMPLE_RATE)) : round(end_s * SAMPLE_RATE)]


# --- the clients -----------------------------------------------------------------------------------


@dataclass
class Heard:
    """What one client got. results: finals, errors and suppressed utterances, by sequence. dropped: cut off."""

    session: str = ""
    results: dict[int, list[ParsedMessage]] = field(default_factory=dict)
    gaps: int = 0
    dropped: bool = False

    def take(self, message: ParsedMessage) -> None:
        if message["type"] == "connection_established":
            self.session = message["session_id"]
        self.gaps += message["type"] == "gap"
        if message.get("sequence") is not None:
            self.results.setdefault(message["sequence"], []).append(message)


async def speak(url: str, said: Session) -> Heard:
    heard = Heard()
    try:
        async with Client(url, events=("session", "suppressed", "status")) as client:
            await exchange(client, _frames(client, said), heard.take)
    except ClientError:
        heard.dropped = True
    return heard


async def _frames(client: Client, said: Session) -> AsyncIterator[bytes]:
    for frame in said:
        yield frame
        await client.flush()
        await asyncio.sleep(PAUSE_S)


async def one_round(daemon: Daemon, said: list[Session]) -> list[Heard]:
    """Raises Stuck."""
    url = f"ws://127.0.0.1:{daemon.port}{SESSIONS}"
    try:
        async with asyncio.timeout(ROUND_LIMIT_S):
            return await asyncio.gather(*(speak(url, session) for session in said))
    except TimeoutError:
        raise Stuck(f"The clients did not get all results within {ROUND_LIMIT_S:.0f} s.") from None


# --- the killing -----------------------------------------------------------------------------------


@dataclass
class Watched:
    """One stage. may_die: it has finished a job since it was READY. job: at work on it, as far as the front knows.
    hit: the job that it was killed at. killed: when, until its next READY; unanswered: until its next answer. Times:
    seconds, or ms where it says so."""

    up: bool = False
    may_die: asyncio.Event = field(default_factory=asyncio.Event)
    at_work: asyncio.Event = field(default_factory=asyncio.Event)
    job: int | None = None
    hit: int | None = None
    killed: float | None = None
    unanswered: float | None = None
    kills: int = 0
    recovery_ms: list[float] = field(default_factory=list)
    first_answer_ms: list[float] = field(default_factory=list)
    load_ms: list[float] = field(default_factory=list)

    def is_gone(self) -> None:
        self.up = False
        self.job = None
        self.may_die.clear()
        self.at_work.clear()


class Killer:
    """Kills stages, and listens to what the dispatcher is told of them. hits: kills by stage and job at work.
    done_again, hit_twice: utterances whose stage was killed under them, and those twice under the same job."""

    def __init__(self, daemon: Daemon, seed: int) -> None:
        self.stages = {name: Watched(up=True) for name in STAGES}
        self.hits: Counter[tuple[StageName, int]] = Counter()
        self.done_again: set[Spoken] = set()
        self.hit_twice: set[Spoken] = set()
        self.other_deaths = 0
        self._ports = daemon.pipeline.ports
        self._dispatcher = daemon.pipeline.dispatcher
        self._random = random.Random(seed)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for name in ("job_started", "job_answered", "stage_up", "stage_down"):
                heard = _and_then(getattr(self._dispatcher, name), getattr(self, f"_{name}"))
                stack.enter_context(patch.object(self._dispatcher, name, heard))
            yield

    async def kill_all(self, kills: int) -> None:
        """As many of each stage, in random order. Raises Stuck."""
        order = [*STAGES] * math.ceil(kills / len(STAGES))
        self._random.shuffle(order)
        for number, stage in enumerate(order[:kills], 1):
            await self._kill_some_time(stage)
            if number % 10 == 0:
                _tell(f"    {number} of {kills} kills")

    async def _kill_some_time(self, stage: StageName) -> None:
        watched = self.stages[stage]
        await self._until_it_may_die(stage)
        await asyncio.sleep(self._random.uniform(0, LATEST_KILL_S))
        if self._random.random() < 0.5:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(watched.at_work.wait(), WORK_WAIT_S)
            await asyncio.sleep(self._random.uniform(0, WITHIN_WORK_S))
        await self._until_it_may_die(stage)
        self._kill(stage, watched)

    async def _until_it_may_die(self, stage: StageName) -> None:
        try:
            await asyncio.wait_for(self.stages[stage].may_die.wait(), IDLE_LIMIT_S)
        except TimeoutError:
            raise Stuck(f"The {stage} stage finished no job in {IDLE_LIMIT_S:.0f} s after its last start.") from None

    def _kill(self, stage: StageName, watched: Watched) -> None:
        watched.hit = watched.job
        with contextlib.suppress(psutil.NoSuchProcess):  # then it is dead all the same
            psutil.Process(self._ports[stage].status().pid).kill()
        watched.is_gone()
        watched.kills += 1
        watched.killed = watched.unanswered = time.monotonic()
        if watched.hit is not None:
            self._note_hit(stage, watched.hit)

    def _note_hit(self, stage: StageName, job: int) -> None:
        self.hits[stage, job] += 1
        hit = {utterance for utterance in [self._dispatcher.utterance_of(job)] if utterance is not None}
        self.done_again |= hit
        if self.hits[stage, job] > 1:
            self.hit_twice |= hit

    # --- what the dispatcher is told ---

    def _job_started(self, stage: StageName, job_id: int) -> None:
        watched = self.stages[stage]
        if watched.up:
            watched.job = job_id
            watched.at_work.set()
        elif job_id != watched.hit:  # it had just begun, which was not known when it was killed
            watched.hit = job_id
            self._note_hit(stage, job_id)

    def _job_answered(self, stage: StageName, answer: Done | Failed, now: float) -> None:
        watched = self.stages[stage]
        if not watched.up:
            return  # the last words of the dead
        watched.job = None
        watched.at_work.clear()
        watched.may_die.set()
        if watched.unanswered is not None:
            watched.first_answer_ms.append((time.monotonic() - watched.unanswered) * 1000)
            watched.unanswered = None

    def _stage_up(self, stage: StageName, engine: str, live: bool, now: float) -> None:
        watched, load_ms = self.stages[stage], self._ports[stage].status().load_ms
        self.other_deaths += watched.up  # a spare took over
        watched.up = True
        if watched.killed is not None and load_ms is not None:
            watched.recovery_ms.append((time.monotonic() - watched.killed) * 1000)
            watched.load_ms.append(load_ms)
            watched.killed = None

    def _stage_down(self, stage: StageName, failed: bool, now: float) -> None:
        self.other_deaths += self.stages[stage].up
        self.stages[stage].is_gone()


def _and_then(first: Callable[..., None], second: Callable[..., None]) -> Callable[..., None]:
    def both(*args: Any) -> None:
        first(*args)
        second(*args)

    return both


# --- the comparison --------------------------------------------------------------------------------


@dataclass
class Found:
    """utterances: compared; lost, duplicated, changed: of them."""

    utterances: int = 0
    lost: int = 0
    duplicated: int = 0
    changed: int = 0
    dropped_connections: int = 0
    gaps: int = 0

    def compare(self, heard: Heard, undisturbed: Heard, but: set[Spoken]) -> None:
        """but: utterances that are counted apart."""
        self.dropped_connections += heard.dropped
        self.gaps += heard.gaps
        for sequence in undisturbed.results.keys() | heard.results.keys():
            if (heard.session, sequence) not in but:
                self._compare(heard.results.get(sequence, []), undisturbed.results.get(sequence, []))

    def _compare(self, got: list[ParsedMessage], wanted: list[ParsedMessage]) -> None:
        self.utterances += 1
        self.lost += len(got) < len(wanted)
        self.duplicated += len(got) > len(wanted)
        if got and wanted and (differences := _differences(substance(got[0]), substance(wanted[0]))):
            self.changed += 1
            _tell(f"changed: {differences}")


SUBSTANCE = (
    *("type", "sequence", "code", "text", "segments", "timestamp_range", "duration", "language"),
    *("trigger", "revision", "models_used", "warnings"),
)


def substance(result: ParsedMessage) -> ParsedMessage:
    """What must not depend on when and how often stages ran: all but times of day, delays and names of the session."""
    return {name: result.get(name) for name in SUBSTANCE}


def _differences(got: ParsedMessage, wanted: ParsedMessage) -> dict[str, tuple[Any, Any]]:
    """By name: what came and what was wanted."""
    return {name: (got[name], wanted[name]) for name in SUBSTANCE if got[name] != wanted[name]}


def check(undisturbed: list[Heard]) -> None:
    """Raises Stuck where the first round is nothing to compare with."""
    for heard in undisturbed:
        results = [result for results in heard.results.values() for result in results]
        finals = [result for result in results if result["type"] == "final"]
        if heard.dropped or not finals or any(r["type"] == "error" or r.get("warnings") for r in results):
            raise Stuck("Not even the undisturbed round was fully served.")


# --- all of it -------------------------------------------------------------------------------------


def configured(clients: int, standby: bool, directory: Path, llm: str) -> Config:
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
        diarization=replace(config.diarization, deadline_s=NO_DEADLINE_S),
        correction=replace(config.correction, engine="ollama", deadline_s=NO_DEADLINE_S),
        llm=replace(config.llm, host=llm),
        logging=replace(config.logging, console=False),
    )


async def measure(kills: int, clients: int, seed: int, standby: bool, directory: Path) -> dict[str, Any]:
    """The figures, by the keys of the JSON file. Raises WernickeError."""
    said = speech(clients, seed)
    with OllamaServer() as server:
        config = configured(clients, standby, directory, server.url)
        settings = replace(stage_settings(config), sleep_ms={"asr": ASR_MS})
        async with running(config, _tell, settings) as daemon:
            killer, found = Killer(daemon, seed), Found()
            began = time.monotonic()
            with killer.listening():
                rounds = await _rounds(daemon, said, killer, kills, found)
    return {
        **figures(killer, found),
        "rounds": rounds,
        "seconds": round(time.monotonic() - began, 1),
        "clients": clients,
        "seed": seed,
        "standby": standby,
        "restart_settings": restart_settings(config),
    }


async def _rounds(daemon: Daemon, said: list[Session], killer: Killer, kills: int, found: Found) -> int:
    """How many, the undisturbed one not counted. Raises Stuck."""
    _tell("an undisturbed round ...")
    undisturbed = await one_round(daemon, said)
    check(undisturbed)
    _tell(f"rounds under {kills} kills ...")
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
    stages = {name: watched for name, watched in killer.stages.items() if watched.recovery_ms}
    return {
        "kills": sum(watched.kills for watched in killer.stages.values()),
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
        "recovery_ms": {name: percentiles(watched.recovery_ms) for name, watched in stages.items()},
        "beyond_load_ms": {
            name: percentiles([a - b for a, b in zip(watched.recovery_ms, watched.load_ms, strict=True)])
            for name, watched in stages.items()
        },
        "first_answer_ms": {name: percentiles(w.first_answer_ms) for name, w in stages.items() if w.first_answer_ms},
    }


def percentiles(values: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(values, (50, 99))
    return {"p50": round(float(p50)), "p99": round(float(p99)), "count": len(values)}


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


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
    options.add_argument("--seed", type=int, default=1, help="of what is said, who is killed, and when")
    options.add_argument("--standby", action="store_true", help="keep a loaded spare of every stage")
    args = options.parse_args()
    psutil.cpu_percent()  # from here on, until the figures are saved
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows removes no open log file
        try:
            found = asyncio.run(measure(args.kills, args.clients, args.seed, args.standby, Path(folder)))
        except WernickeError as error:
            sys.exit(f"error: {error}")
    settings = ", ".join(f"{name} = {value:g}" for name, value in found["restart_settings"].items())
    report.show(f"Chaos ({settings})", ("figure", "measured", "wanted", ""), rows(found))
    report.save(args.json, found)
    sys.exit(any(found[key] for key in ZEROS))


if __name__ == "__main__":
    main()
