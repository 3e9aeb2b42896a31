"""A dispatcher with stages and clients that note what they are told; the time is passed in."""

from ipc import messages
from ipc.audio_handle import AudioHandle
from ipc.messages import (
    STAGES,
    AsrResult,
    Boundary,
    CorrectionResult,
    DiarizationResult,
    Done,
    Failed,
    IngestOutcome,
    IngestResult,
    IngestTask,
    IngestWork,
    Job,
    JobKind,
    Result,
    Segment,
    StageName,
    Turn,
    Work,
)
from wernicke_daemon.dispatch.dispatcher import Dispatcher
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.dispatch.stage_port import StageStatus
from wernicke_daemon.utterances.caption import Caption
from wernicke_daemon.utterances.pieces import Piece, StageTiming
from wernicke_daemon.utterances.said import Said
from wernicke_daemon.utterances.utterance import Utterance

POLICY = Policy(
    diarization_s=10.0,
    correction_s=5.0,
    restart_grace_s=15.0,
    asr_down_limit_s=120.0,
    shed_after_s=100.0,
    job_s=120.0,
    job_per_audio_s=20.0,
    credit=2,
    max_attempts=2,
)
HELLO = AsrResult("en", 1.0, (Segment(0.0, 1.0, "hello", ()),), "whisper")
SILENCE = AsrResult("en", 1.0, (), "whisper")
TURNS = DiarizationResult((Turn(0.0, 1.0, 3),), (messages.Piece(0.0, 1.0, 0, 1.0, (1.0,)),) * 4, 0.7)
INGEST = IngestWork((IngestTask("s", AudioHandle("arena", 0, 1, 0, 512), b"", None, 0.0),))
FOUND = IngestResult((IngestOutcome("s", 512, 0, b"", (), False),))


def utterance(sequence: int, session: str = "s", pieces: tuple[Piece, ...] = (), said: Said | None = None) -> Utterance:
    audio = AudioHandle("arena", 0, 1, sequence * 32_000, 16_000)
    return Utterance(
        session=session,
        sequence=sequence,
        buffer_id=f"buff_{sequence}",
        audio=audio,
        boundary=Boundary(sequence * 32_000, sequence * 32_000 + 16_000, "silence", 16_000, 16_000),
        language="en",
        glossary=("Broca",),
        triggered=0.0,
        wall_start=0.0,
        caption=Caption("en"),
        began=0.0,
        pieces=pieces or (Piece(audio, "firm"),),
        said=said or Said((f"before {sequence}",), sequence, 3),
    )


class Port:
    """A stage without processes. inside: jobs that it was given and has not answered; where: the replica that has each.
    up: those that are."""

    def __init__(self) -> None:
        self.up: set[int] = set()
        self.sent: list[Job] = []
        self.inside: list[Job] = []
        self.where: dict[int, int] = {}
        self.cancelled: list[int] = []

    def send(self, job: Job, replica: int) -> None:
        assert replica in self.up, "jobs go in between replica_up and replica_down only"
        self.sent.append(job)
        self.inside.append(job)
        self.where[job.job_id] = replica

    def cancel(self, job_id: int, replica: int) -> None:
        assert replica in self.up and self.where[job_id] == replica
        self.cancelled.append(job_id)

    def status(self) -> StageStatus:
        raise AssertionError("what the dispatcher knows of a stage, it was told")

    def at(self, replica: int) -> list[Job]:
        """Of `inside`, what that replica has."""
        return [job for job in self.inside if self.where[job.job_id] == replica]

    def lose(self, replica: int) -> None:
        self.up.discard(replica)
        self.inside = [job for job in self.inside if self.where[job.job_id] != replica]


class Client:
    """The Owner of all utterances here: writes down what it is told."""

    def __init__(self) -> None:
        self.texts: list[int] = []
        self.improved_: list[int] = []
        self.live: list[Piece] = []
        self.released: list[int] = []
        self.results: list[Utterance] = []

    def recognised(self, utterance: Utterance, shed: bool) -> None:
        assert utterance.asr is not None
        if not shed:
            self.texts.append(utterance.sequence)

    def heard(self, piece: Piece) -> None:
        self.live.append(piece)

    def improved(self, utterance: Utterance, shed: bool) -> None:
        self.improved_.append(utterance.sequence)

    def audio_released(self, utterance: Utterance) -> None:
        assert utterance.certain and utterance.sequence not in self.released
        self.released.append(utterance.sequence)

    def settled(self, utterance: Utterance) -> None:
        assert not utterance.open_jobs
        assert utterance.certain and utterance.sequence in self.released
        self.results.append(utterance)


class World:
    """A dispatcher with four stages, an owner, and a clock that stands unless it is moved. replicas: of each stage but
    ingest."""

    def __init__(self, replicas: int = 1) -> None:
        self.now = 1000.0
        self._replicas = replicas
        self.ports: dict[StageName, Port] = {stage: Port() for stage in STAGES}
        self.client = Client()
        self.jobs: list[tuple[StageName, JobKind, StageTiming]] = []
        self.status: list[tuple[StageName, bool]] = []
        self.shed: list[int] = []
        self.dispatcher = Dispatcher(
            POLICY,
            on_job=lambda stage, kind, timing: self.jobs.append((stage, kind, timing)),
            on_status=lambda stage, up: self.status.append((stage, up)),
            now=self.now,
            on_shed=self.shed.append,
        )
        self.dispatcher.connect(self.ports)
        self.served = 0
        self._said: dict[str, Said] = {}  # by session

    def replicas(self, stage: StageName) -> range:
        return range(1 if stage == "ingest" else self._replicas)

    def up(self, stage: StageName, engine: str = "real") -> None:
        """All of it."""
        for replica in self.replicas(stage):
            self.replica_up(stage, replica, engine)

    def replica_up(self, stage: StageName, replica: int, engine: str = "real") -> None:
        self.ports[stage].lose(replica)
        self.ports[stage].up.add(replica)
        self.dispatcher.replica_up(stage, replica, engine, stage == "asr", self.now)

    def down(self, stage: StageName, failed: bool = False) -> None:
        """All of it."""
        for replica in self.replicas(stage):
            self.replica_down(stage, replica, failed)

    def replica_down(self, stage: StageName, replica: int, failed: bool = False) -> None:
        self.ports[stage].lose(replica)
        self.dispatcher.replica_down(stage, replica, failed, self.now)

    def unload(self, stage: StageName) -> None:
        for replica in self.replicas(stage):
            self.ports[stage].lose(replica)
            self.dispatcher.replica_unloaded(stage, replica, self.now)

    def load(self, stage: StageName) -> None:
        """It is loading."""
        for replica in self.replicas(stage):
            self.dispatcher.replica_loading(stage, replica, self.now)

    def submit(self, session: str = "s") -> Utterance:
        submitted = self._next(session)
        self.dispatcher.submit(submitted, self.client, self.now)
        return submitted

    def begin_early(self, *pieces: Piece, session: str = "s") -> Utterance:
        """Work on one whose end is not certain yet."""
        begun = self._next(session, pieces)
        self.dispatcher.begin_early(begun, self.client, self.now)
        return begun

    def _next(self, session: str, pieces: tuple[Piece, ...] = ()) -> Utterance:
        self.served += 1
        said = self._said.setdefault(session, Said((f"before {self.served}",), self.served, 3))
        return utterance(self.served, session, pieces, said)

    def confirm(self, begun: Utterance) -> None:
        self.dispatcher.confirm(begun, self.client, self.now)

    def do_all(self) -> None:
        """Every stage answers everything."""
        results: dict[StageName, Result] = {"asr": HELLO, "diarization": TURNS}
        while any(self.ports[stage].inside for stage in ("asr", "diarization", "correction")):
            for stage, port in self.ports.items():
                if port.inside:
                    self.answer(stage, results.get(stage, CorrectionResult(("Hello.",))))

    def work(self, stage: StageName) -> list[Work]:
        return [job.work for job in self.ports[stage].inside]

    def start(self, stage: StageName) -> None:
        """The stage begins its oldest job."""
        port = self.ports[stage]
        job_id = port.inside[0].job_id
        self.dispatcher.job_started(stage, port.where[job_id], job_id)

    def answer(self, stage: StageName, result: Result, run_ms: float = 1.0) -> Done:
        """The stage's oldest job is done."""
        done = Done(self.ports[stage].inside.pop(0).job_id, result, run_ms)
        self.say(stage, done)
        return done

    def say(self, stage: StageName, answer: Done | Failed) -> None:
        """Whoever had that job says so."""
        self.dispatcher.job_answered(stage, self.ports[stage].where[answer.job_id], answer, self.now)

    def fail(self, stage: StageName, code: str = "ENGINE_FAILED") -> None:
        job = self.ports[stage].inside.pop(0)
        self.say(stage, Failed(job.job_id, code, "it did not work", 1.0))

    def kill_at_work(self, stage: StageName) -> None:
        """The replica that has the oldest job dies under it, and is back at once."""
        replica = self.die_at_work(stage)
        self.replica_down(stage, replica)
        self.replica_up(stage, replica)

    def die_at_work(self, stage: StageName) -> int:
        """The replica that has the oldest job begins it and dies, which nobody has been told yet."""
        port = self.ports[stage]
        job_id = min(job.job_id for job in port.inside)
        replica = port.where[job_id]
        self.dispatcher.job_started(stage, replica, job_id)
        port.lose(replica)
        return replica

    def wait(self, seconds: float) -> None:
        """Time passes, in the daemon's small steps."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 0.5, end)
            self.dispatcher.check_deadlines(self.now)

    @property
    def settled(self) -> list[int]:
        return [result.sequence for result in self.client.results]
