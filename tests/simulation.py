"""A whole session in simulated time: real endpointing, session and dispatcher; stages that only take time, and may die.

What a stage recognises says which audio it was given, so that results can be compared. Nothing sleeps.
"""

import heapq
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, product

import numpy as np

from ipc.arena import Arena, ArenaReader
from ipc.audio_handle import SAMPLE_RATE, AudioHandle
from ipc.errors import StaleHandle
from ipc.messages import (
    STAGES,
    AsrResult,
    AsrWork,
    CorrectionResult,
    CorrectionWork,
    DiarizationResult,
    DiarizationWork,
    Done,
    Failed,
    IngestWork,
    Job,
    JobKind,
    Piece,
    Result,
    Segment,
    StageName,
    Turn,
)
from ipc.settings import StageSettings, VadSettings
from stages.ingest.engine import EnergyIngest
from wernicke_daemon.dispatch.bench import Bench
from wernicke_daemon.dispatch.dispatcher import Dispatcher
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.dispatch.stage_port import StageStatus
from wernicke_daemon.sessions.clock import Clock
from wernicke_daemon.sessions.options import Options
from wernicke_daemon.sessions.session import Session
from wernicke_daemon.utterances.context import Context
from wernicke_daemon.utterances.late import Late
from wernicke_daemon.utterances.utterance import Utterance
from wernicke_daemon.wire.audio import AudioFormat
from wernicke_daemon.wire.protocol import Error, Final, Partial, ServerMessage, SpeakerUpdate, Suppressed

TICK_S = 0.05
WORD = SAMPLE_RATE // 4
"""Samples of speech that are one word to the recogniser of the simulation."""

LIVE_SHARE = 0.6
AFTER_DEATH_S = 0.3


@dataclass(frozen=True)
class Times:
    """Seconds that stages take: recognition so much, and so much for each second of audio."""

    asr: float = 0.6
    asr_per_audio: float = 0.04
    diarization: float = 0.5
    correction: float = 1.0

    def of(self, job: Job) -> float:
        match job.work:
            case AsrWork(audio=audio, kind=kind):
                return (self.asr + self.asr_per_audio * audio.seconds) * (LIVE_SHARE if kind == "live" else 1.0)
            case DiarizationWork():
                return self.diarization
            case CorrectionWork():
                return self.correction
        return 0.0


@dataclass(order=True)
class _Event:
    at: float
    number: int
    act: Callable[[], None] = field(compare=False)


class SimulatedReplica:
    """One job after another. A correction that is cancelled ends at once, recognition does not."""

    def __init__(self, stage: StageName, replica: int, world: "Simulation") -> None:
        self.stage = stage
        self.replica = replica
        self.alive = True
        self.working: Job | None = None
        self._world = world
        self._waiting: list[Job] = []
        self._cancelled: set[int] = set()

    def send(self, job: Job) -> None:
        assert self.alive
        self._waiting.append(job)
        self._next()

    def cancel(self, job_id: int) -> None:
        self._cancelled.add(job_id)
        if self.stage == "correction" and self.working is not None and self.working.job_id == job_id:
            job, self.working = self.working, None
            self._answer(Failed(job.job_id, "CANCELLED", "no longer wanted", 0.0))

    def kill(self) -> None:
        """The process dies; another is there AFTER_DEATH_S later."""
        if not self.alive:
            return
        self.alive, self.working = False, None
        self._waiting.clear()
        world = self._world
        world.dispatcher.replica_down(self.stage, self.replica, False, world.now)
        world.after(AFTER_DEATH_S, self._start)

    def _start(self) -> None:
        self.alive = True
        self._world.dispatcher.replica_up(self.stage, self.replica, "simulated", True, self._world.now)

    def _next(self) -> None:
        if self.working is not None or not self._waiting:
            return
        job = self._waiting.pop(0)
        if job.job_id in self._cancelled:
            self._answer(Failed(job.job_id, "CANCELLED", "no longer wanted", 0.0))
            return
        self.working = job
        self._world.dispatcher.job_started(self.stage, self.replica, job.job_id)
        takes = self._world.times.of(job)
        self._world.worked(job, takes)
        self._world.after(takes, lambda: self._finish(job, takes))

    def _finish(self, job: Job, took: float) -> None:
        if self.working is job:
            self.working = None
            try:
                self._answer(Done(job.job_id, self._world.result(job), took * 1000))
            except StaleHandle as error:  # of a job that nobody wants any more
                self._answer(Failed(job.job_id, error.code, str(error), took * 1000))

    def _answer(self, answer: Done | Failed) -> None:
        self._world.after(
            0.0, lambda: self._world.dispatcher.job_answered(self.stage, self.replica, answer, self._world.now)
        )
        self._world.after(0.0, self._next)


class SimulatedStage:
    """A StagePort."""

    def __init__(self, stage: StageName, replicas: int, world: "Simulation") -> None:
        self.replicas = [SimulatedReplica(stage, number, world) for number in range(replicas)]

    def send(self, job: Job, replica: int) -> None:
        self.replicas[replica].send(job)

    def cancel(self, job_id: int, replica: int) -> None:
        self.replicas[replica].cancel(job_id)

    def status(self) -> StageStatus:
        raise AssertionError("what the dispatcher knows of a stage, it was told")

    @property
    def _victim(self) -> SimulatedReplica:
        """One that is at work, if one is."""
        return next((one for one in self.replicas if one.working is not None), self.replicas[0])

    @property
    def working(self) -> Job | None:
        """What the next to die is at."""
        return self._victim.working

    def kill(self) -> None:
        self._victim.kill()


@dataclass
class Heard:
    """What the client got. at: seconds since the beginning."""

    at: float
    message: ServerMessage


class Simulation:
    """One session. work_s: seconds of recognition by kind."""

    def __init__(
        self,
        policy: Policy,
        vad: VadSettings,
        times: Times,
        min_silence_s: float = 0.0,
        says: str | None = None,
        replicas: int = 1,
    ) -> None:
        """min_silence_s: as in config.toml. says: what is recognised, in Japanese, whatever was said. replicas: of each
        stage."""
        self.now = 0.0
        self._says = says
        self.times = times
        self.heard: list[Heard] = []
        self.work_s: dict[JobKind, float] = {"firm": 0.0, "early": 0.0, "live": 0.0}
        self.dispatcher = Dispatcher(policy, lambda *_: None, lambda *_: None, self.now)
        self.stages = {stage: SimulatedStage(stage, replicas, self) for stage in STAGES}
        self.dispatcher.connect(self.stages)
        for stage, number in product(STAGES, range(replicas)):
            self.dispatcher.replica_up(stage, number, "simulated", stage == "asr", self.now)
        self._events: list[_Event] = []
        self._numbers = count()
        self._ingest = EnergyIngest("ingest", StageSettings(vad=vad))
        self._arena = Arena(1, 120 * SAMPLE_RATE)
        self._reader = ArenaReader(self._arena.geometry)
        ring = self._arena.acquire()
        assert ring is not None
        options = Options(AudioFormat(SAMPLE_RATE, 1, "f32le"), "en", events=frozenset({"partial", "suppressed"}))
        clock = Clock(lambda: self.now, lambda: 1e9 + self.now)
        bench = Bench(self.dispatcher, lambda: self.now, lambda: {})
        self.session = Session("s", ring, options, 3, bench, self, clock=clock, min_silence_s=min_silence_s)
        self.session.attach(lambda message: self.heard.append(Heard(self.now, message)))

    def close(self) -> None:
        self._reader.close()
        self._arena.close()

    # --- time ---

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, _Event(self.now + seconds, next(self._numbers), act))

    def _until(self, at: float) -> None:
        while self._events and self._events[0].at <= at:
            event = heapq.heappop(self._events)
            self.now = event.at
            event.act()
        self.now = at

    async def play(
        self,
        speech: Sequence[tuple[float, float]],
        total_s: float,
        withholds: bool = False,
        lose_at: float | None = None,
    ) -> None:
        """speech: seconds [start, end) in which somebody speaks. withholds: silence is not sent. lose_at: then a look
        at new audio fails for good. Then all results."""
        for tick in range(round(total_s / TICK_S)):
            at = tick * TICK_S
            loud = any(start <= at < end for start, end in speech)
            if loud or not withholds:
                await self.session.feed(np.full(round(TICK_S * SAMPLE_RATE), 0.3 * loud, "<f4").tobytes())
            self._tick(at + TICK_S, loses=lose_at is not None and at <= lose_at < at + TICK_S)
        await self.session.end_utterance("stop")
        while not self.session.done.is_set():
            self._tick(self.now + TICK_S)

    def _tick(self, at: float, loses: bool = False) -> None:
        self._until(at)
        task = self.session.take_news(self.now)
        if task is not None and loses:
            self.session.commit(task, None)
        elif task is not None:
            [outcome] = self._ingest.process(IngestWork((task,)), self._reader.read).outcomes
            self.session.commit(task, outcome)
        self.dispatcher.check_deadlines(self.now)

    def kill_counting_firm(self, stage: StageName) -> int:
        """Kill it. 1 if it was at a job that counts."""
        job = self.stages[stage].working
        firm = job is not None and self.dispatcher.is_firm(job.job_id)
        self.stages[stage].kill()
        return int(firm)

    # --- what stages find ---

    def worked(self, job: Job, seconds: float) -> None:
        if isinstance(job.work, AsrWork):
            self.work_s[job.work.kind] += seconds

    def result(self, job: Job) -> Result:
        match job.work:
            case AsrWork(audio=audio):
                if self._says is not None:
                    return AsrResult("ja", 1.0, (Segment(0.0, audio.seconds, self._says, ()),), "whisper")
                return AsrResult("en", 1.0, tuple(self._segments(audio)), "whisper")
            case DiarizationWork():
                return DiarizationResult((Turn(0.0, 60.0, 0),), (Piece(0.0, 60.0, 0, 60.0, (1.0, 0.0)),), 0.7)
            case CorrectionWork(texts=texts):
                return CorrectionResult(tuple(text + "." for text in texts))
        raise AssertionError(job)

    def _segments(self, audio: AudioHandle) -> Iterator[Segment]:
        """A word for each stretch of WORD samples of the session whose middle is speech."""
        samples = self._reader.read(audio)
        first = -(-(audio.start - WORD // 2) // WORD)
        middles = range(first * WORD + WORD // 2, audio.end, WORD)
        words = [f"w{middle // WORD}" for middle in middles if samples[middle - audio.start] > 0.1]
        if words:
            yield Segment(0.0, audio.seconds, " ".join(words), ())

    # --- its Records: everything is kept at once ---

    def audio(self, session: Session, start: int, samples: object) -> None: ...

    def final_before(self, session: Session, sample: int, next_sequence: int) -> None: ...

    def dropped(self, seconds: float) -> None: ...

    def outcome(self, session: Session, utterance: Utterance, message: Final | Error | Suppressed) -> None:
        session.kept(utterance, message)

    def revised(self, session: Session, update: SpeakerUpdate) -> None:
        session.told(update)

    def named(self, session: Session, before: Collection[str]) -> None: ...

    def postpone(self, session: Session, late: Late, context: Context) -> bool:
        return False

    # --- what came of it ---

    def outcomes(self) -> list[tuple[float, Final | Error | Suppressed]]:
        """In the order in which they came, with when."""
        return [(each.at, each.message) for each in self.heard if isinstance(each.message, Final | Error | Suppressed)]

    def partials(self, sequence: int) -> list[Partial]:
        return [h.message for h in self.heard if isinstance(h.message, Partial) and h.message.sequence == sequence]


def policy(early: bool = True, live: bool = True, final: str = "auto") -> Policy:
    return Policy(
        diarization_s=10.0,
        correction_s=5.0,
        restart_grace_s=15.0,
        asr_down_limit_s=120.0,
        shed_after_s=1000.0,
        job_s=75.0,
        job_per_audio_s=4.0,
        credit=2,
        max_attempts=2,
        early=early,
        live=live,
        final=final,  # type: ignore[arg-type]
    )
