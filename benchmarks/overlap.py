"""Do the stages overlap, and what does the way between them cost?

    python benchmarks/overlap.py [--json FILE] [--quick]

Real stage processes, sockets and shared memory, transcript store, audio journal and log; the engines only take time
(`stages.testing.sleep`). What is measured begins where a session commits the boundary of an utterance and ends where
its final, its turn in `sequence` order having come and it being in the store, is handed to the client's writer.

(a) Throughput: utterances that wait all at once. *Ideal* is the slowest stage (correction) at work without a
    break from the moment at which it can first have work: max(asr, diarization) + utterances x correction. The
    *serial chain* is ASR, then diarization, then correction of one utterance before the next is begun, by the same
    engines in one process, without a socket between them.
(b) Added time: utterances that arrive on a fixed schedule, 10 % slower than the slowest stage can take them.
    From trigger to final, less the critical path: max(asr, diarization) + correction as the stages themselves report
    their run times, so that a sleep which oversleeps is not taken for ours. A wait behind an utterance that
    overslept is ours. Against the nominal times it is told too.
"""

import asyncio
import contextlib
import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import report
from benchmarks.report import Figure
from ipc import event_loop
from ipc.audio_handle import SAMPLE_RATE, AudioHandle
from ipc.messages import AsrWork, Boundary, CorrectionWork, DiarizationWork, IngestOutcome, IngestTask, StageName, Work
from ipc.settings import CorrectionSettings, DiarizationSettings, StageSettings
from stages.testing.sleep import Sleep
from tests.bench import OnlyFirmWork
from wernicke_daemon.backend import Pipeline
from wernicke_daemon.client import MONO_16K
from wernicke_daemon.config.schema import Config, JournalSettings, LoggingSettings, RuntimeSettings
from wernicke_daemon.dispatch.requests import Owner
from wernicke_daemon.observability import logs
from wernicke_daemon.observability.figures import Figures
from wernicke_daemon.processes import process_tree
from wernicke_daemon.records import transcript_file
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.store import Store
from wernicke_daemon.sessions.options import Options
from wernicke_daemon.sessions.recorder import Recorder
from wernicke_daemon.sessions.session import Session
from wernicke_daemon.utterances.utterance import Utterance
from wernicke_daemon.wire.protocol import Error, Final, ServerMessage, Suppressed

NAMES: tuple[StageName, ...] = ("asr", "diarization", "correction")
Times = dict[str, float]
"""Milliseconds that each stage's engine takes for an utterance; correction must be the slowest."""

LONG: Times = {"asr": 300, "diarization": 200, "correction": 400}
SHORT: Times = {"asr": 30, "diarization": 20, "correction": 40}

SLOWER = 1.1
"""Time between two arrivals re the slowest stage's."""

SPEECH = np.zeros(4 * SAMPLE_RATE, np.float32)
"""Of one utterance; 40 of them are less than what a ring holds."""

NO_DEADLINE_S = 3600.0
"""40 utterances at once take longer than a client would be kept waiting for all that belongs to them."""


@dataclass(frozen=True)
class Plan:
    waiting: int
    waiting_times: Times
    arriving: int
    arriving_times: Times


FULL = Plan(40, LONG, 400, SHORT)
QUICK = Plan(8, SHORT, 25, SHORT)


@dataclass(frozen=True)
class Settled:
    """at: seconds of the monotonic clock at which `message`, what became of `utterance`, left the session."""

    utterance: Utterance
    message: ServerMessage
    at: float

    @property
    def latency_ms(self) -> float:
        return (self.at - self.utterance.triggered) * 1000

    @property
    def run_ms(self) -> Times:
        return {stage: timing.run_ms for stage, timing in self.utterance.timings.items()}


class Source:
    """A session without VAD, and its client: an utterance begins when `say` is called."""

    def __init__(self, pipeline: Pipeline, recorder: Recorder, expected: int) -> None:
        ring = pipeline.arena.acquire()
        assert ring is not None
        self._pipeline = pipeline
        self._expected = expected
        self._complete = asyncio.Event()
        self._submitted: dict[int, Utterance] = {}
        self._settled: list[Settled] = []
        lines = CorrectionSettings().context_lines
        self._session = Session(
            secrets.token_hex(8), ring, Options(MONO_16K, "en"), lines, OnlyFirmWork(self._submit), recorder
        )
        self._session.attach(self._sent)
        recorder.began(self._session, "benchmark")

    async def say(self) -> None:
        """One utterance's audio is in the ring, and its boundary is committed."""
        ring = self._session.ring
        start = ring.written
        await self._session.feed(SPEECH.tobytes())
        end = ring.written
        boundary = Boundary(start, end, "silence", speech_samples=end - start, last_speech_end=end)
        task = IngestTask(self._session.id, ring.handle(start, end), b"", end=None, idle_s=0.0)
        found = IngestOutcome(self._session.id, end, retain_from=end, state=b"", boundaries=(boundary,), speaking=False)
        self._session.commit(task, found)

    async def results(self) -> list[Settled]:
        """All that were expected. Ends the program if one went without a stage: a figure of less work is none."""
        await self._complete.wait()
        for settled in self._settled:
            _check(settled)
        return self._settled

    def _submit(self, utterance: Utterance, session: Owner) -> None:
        self._submitted[utterance.sequence] = utterance
        self._pipeline.bench.submit(utterance, session)

    def _sent(self, message: ServerMessage) -> None:
        now = time.monotonic()
        if isinstance(message, Final | Error | Suppressed) and message.sequence is not None:
            self._settled.append(Settled(self._submitted[message.sequence], message, now))
        if len(self._settled) == self._expected:
            self._complete.set()


def _check(settled: Settled) -> None:
    whole = isinstance(settled.message, Final) and set(settled.run_ms) == set(NAMES)
    if not whole or settled.utterance.warnings:
        sys.exit(f"error: utterance {settled.utterance.sequence} was not fully served: {settled.message}")


# --- (a) throughput --------------------------------------------------------------------------------


async def all_at_once(times: Times, count: int, directory: Path) -> float:
    """Seconds from the first trigger to the last final of `count` utterances that wait at once."""
    async with _source(times, count, directory) as source:
        began = time.monotonic()
        for _ in range(count):
            await source.say()
        results = await source.results()
        return max(settled.at for settled in results) - began


def one_after_another(times: Times, count: int) -> float:
    """Seconds that the serial chain takes for `count` utterances."""
    settings = StageSettings(sleep_ms=times)
    engines = [Sleep(stage, settings) for stage in NAMES]
    began = time.monotonic()
    for _ in range(count):
        for engine, work in zip(engines, _chain(), strict=True):
            engine.process(work, lambda audio: SPEECH[: audio.count].copy())
    return time.monotonic() - began


def _chain() -> Iterator[Work]:
    audio = AudioHandle("", 0, 0, 0, len(SPEECH))
    yield AsrWork(audio, "en")
    yield DiarizationWork(audio)
    yield CorrectionWork(("text",), "en")


def ideal_s(times: Times, count: int) -> float:
    return (critical_ms(times) + (count - 1) * times["correction"]) / 1000


# --- (b) added time --------------------------------------------------------------------------------


async def one_by_one(times: Times, count: int, directory: Path) -> list[Settled]:
    """`count` utterances on a schedule that does not wait for anybody."""
    async with _source(times, count, directory) as source:
        began = time.monotonic()
        for number in range(1, count + 1):
            due = began + number * SLOWER * max(times.values()) / 1000
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await source.say()
        return await source.results()


def critical_ms(times: Times) -> float:
    return max(times["asr"], times["diarization"]) + times["correction"]


def percentiles(values: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(values, (50, 99))
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(max(values), 3)}


# --- both ------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _source(times: Times, count: int, directory: Path) -> AsyncIterator[Source]:
    """Three stage processes, ready; deadlines that no utterance reaches, all else as by default."""
    config = Config(
        diarization=DiarizationSettings(deadline_s=NO_DEADLINE_S),
        correction=CorrectionSettings(deadline_s=NO_DEADLINE_S),
        runtime=RuntimeSettings(shed_after_s=NO_DEADLINE_S),
    )
    pipeline = Pipeline(config, StageSettings(sleep_ms=times), logs.StageLines(), names=NAMES)
    try:
        await pipeline.start()
        async with recorded(directory) as recorder:
            yield Source(pipeline, recorder, count)
    finally:
        await pipeline.stop()


@contextlib.asynccontextmanager
async def recorded(directory: Path) -> AsyncIterator[Recorder]:
    """Results and audio are kept on disk as the daemon keeps them."""
    store = Store(directory / transcript_file.FILE_NAME, retention_days=0)
    store.open()
    journal = Journal(directory / "journal", JournalSettings().max_mib)
    try:
        yield Recorder(Figures(), store, journal, log_text=False)
    finally:
        await store.close()
        await asyncio.to_thread(journal.close)


@contextlib.contextmanager
def logged(directory: Path) -> Iterator[None]:
    """The log is written as the daemon writes it, and no stage outlives this process."""
    process_tree.adopt_current_process()
    listener = logs.start(LoggingSettings(console=False), directory / "log.jsonl")
    try:
        yield
    finally:
        listener.stop()


def measure(plan: Plan, directory: Path) -> dict[str, Any]:
    """The figures, by the keys of the JSON file."""
    report.tell(f"(a) {plan.waiting} utterances at once, about {ideal_s(plan.waiting_times, plan.waiting):.0f} s ...")
    overlapped_s = event_loop.run(all_at_once(plan.waiting_times, plan.waiting, directory))
    report.tell(f"    one after another, about {plan.waiting * sum(plan.waiting_times.values()) / 1000:.0f} s ...")
    serial_s = one_after_another(plan.waiting_times, plan.waiting)
    report.tell(f"(b) {plan.arriving} utterances one by one ...")
    settled = event_loop.run(one_by_one(plan.arriving_times, plan.arriving, directory))
    nominal_ms = critical_ms(plan.arriving_times)
    return {
        "ideal_share": round(ideal_s(plan.waiting_times, plan.waiting) / overlapped_s, 4),
        "slowest_stage_share": round(plan.waiting * plan.waiting_times["correction"] / 1000 / overlapped_s, 4),
        "versus_serial": round(serial_s / overlapped_s, 3),
        "added_ms": percentiles([one.latency_ms - critical_ms(one.run_ms) for one in settled]),
        "added_to_nominal_ms": percentiles([one.latency_ms - nominal_ms for one in settled]),
        "overlapped_s": round(overlapped_s, 3),
        "serial_s": round(serial_s, 3),
        "utterances": {"at_once": plan.waiting, "one_by_one": plan.arriving},
    }


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    added, nominal = found["added_ms"], found["added_to_nominal_ms"]
    figures = {
        "(a) share of the ideal": Figure(found["ideal_share"], at_least=0.95),
        "(a) share of the slowest stage's work alone": Figure(found["slowest_stage_share"]),
        "(a) times as fast as the serial chain": Figure(found["versus_serial"], at_least=2.0),
        "(b) added time, p50": Figure(added["p50"], "ms", at_most=5),
        "(b) added time, p99": Figure(added["p99"], "ms", at_most=20),
        "(b) added to the nominal times, p50": Figure(nominal["p50"], "ms"),
        "(b) added to the nominal times, p99": Figure(nominal["p99"], "ms"),
    }
    return [(name, *figure.cells) for name, figure in figures.items()]


def main() -> None:
    options = report.parser("Overlap of the stages, and what the way between them costs.")
    options.add_argument("--quick", action="store_true", help="few utterances: whether it works, not how fast")
    args = options.parse_args()
    with report.workplace() as directory, logged(directory):
        found = measure(QUICK if args.quick else FULL, directory)
    title = "Overlap (a quick run shows whether it works, not how fast)" if args.quick else "Overlap"
    report.show(title, ("figure", "measured", "wanted", ""), rows(found))
    report.save(args.json, found)


if __name__ == "__main__":
    main()
