"""Which job goes to which stage, when; where ASR and diarization of an utterance meet again.

    boundary ──▶ asr ─────────┐
             └─▶ diarization ─┴▶ join ──▶ correction ──▶ settled

A wait for an optional stage has a deadline on the service clock; when it passes, the utterance goes on without.
Runs on the event loop's thread. Every utterance that is submitted is settled exactly once: with lines, with no
text, or with a failure.
"""

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import structlog

from ipc.errors import EngineFailed
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
    IngestResult,
    IngestWork,
    Job,
    StageName,
    Work,
)
from wernicke_daemon.job_queue import JobQueue, JobRow
from wernicke_daemon.service_clock import ServiceClock
from wernicke_daemon.speaker_assignment import split_by_speaker
from wernicke_daemon.stage_port import StagePort
from wernicke_daemon.utterance import StageTiming, Utterance

_log = structlog.get_logger()

GAVE_UP = "This utterance could not be transcribed; the daemon's log says why. The next ones are not affected."

UNAVAILABLE: dict[StageName, str] = {
    "diarization": "DIARIZATION_UNAVAILABLE",
    "correction": "LLM_UNAVAILABLE",
}
TOO_LATE: dict[StageName, str] = {"diarization": "DIARIZATION_TIMEOUT", "correction": "LLM_TIMEOUT"}


class Policy(msgspec.Struct, frozen=True):
    """Seconds: how long an utterance waits for its speakers after its text; when after its trigger it goes out
    uncorrected; how much of an outage of an optional stage counts against neither."""

    diarization_s: float
    correction_s: float
    restart_grace_s: float
    credit: int
    max_attempts: int


class Owner(Protocol):
    """Whose utterances they are: the session."""

    def recognised(self, utterance: Utterance) -> None:
        """The text is there; speakers and correction are not."""

    def audio_released(self, utterance: Utterance) -> None:
        """No stage will read its audio any more."""

    def context(self, utterance: Utterance) -> tuple[str, ...]:
        """What was said just before, oldest first."""

    def settled(self, utterance: Utterance) -> None:
        """Nothing more will change."""


class Dispatcher:
    """A StageListener. `ports` are set once by whoever makes both."""

    def __init__(
        self,
        policy: Policy,
        on_job: Callable[[StageName, StageTiming], None],
        on_status: Callable[[StageName, bool], None],
    ) -> None:
        """on_job: told of every answered job. on_status: told when a stage comes up (True) or goes down."""
        now = time.monotonic()
        self._policy = policy
        self._on_job = on_job
        self._on_status = on_status
        self._skipped: set[StageName] = set()
        self._ports: Mapping[StageName, StagePort] = {}
        self._up: set[StageName] = set()
        self._failed: set[StageName] = set()
        self._ids = itertools.count(1)
        self._queues = {stage: JobQueue(policy.credit, policy.max_attempts) for stage in STAGES}
        self._utterances: dict[int, tuple[Utterance, Owner]] = {}
        self._ingest_answer: Callable[[IngestResult | None], None] | None = None
        self._clock = ServiceClock(policy.restart_grace_s, frozenset({"asr", "ingest"}), now)
        self._deadlines: dict[int, float] = {}

    def connect(self, ports: Mapping[StageName, StagePort]) -> None:
        self._ports = ports

    # --- in ---

    def examine(self, work: IngestWork, answer: Callable[[IngestResult | None], None]) -> None:
        """One ingest job; never more than one at a time. answer: gets the result, or None if it can't be had."""
        self._ingest_answer = answer
        audio_s = sum(task.audio.seconds for task in work.tasks)
        self._queues["ingest"].add(JobRow(next(self._ids), "", work, audio_s, created=time.monotonic()))
        self._pump("ingest")

    def submit(self, utterance: Utterance, owner: Owner) -> None:
        """Recognise and diarize it side by side."""
        utterance.served_from = self._clock.read(time.monotonic())
        asr = AsrWork(utterance.audio, utterance.language, utterance.glossary)
        self._add_for(utterance, owner, "asr", asr)
        if self._usable("diarization", utterance):
            self._add_for(utterance, owner, "diarization", DiarizationWork(utterance.audio))

    def depth(self, stage: StageName) -> int:
        return len(self._queues[stage])

    # --- StageListener ---

    def stage_up(self, stage: StageName, engine: str) -> None:
        self._up.add(stage)
        if engine == "none":
            self._skipped.add(stage)
        else:
            self._skipped.discard(stage)
        self._failed.discard(stage)
        self._clock.up(stage, time.monotonic())
        self._on_status(stage, True)
        self._pump(stage)

    def stage_down(self, stage: StageName, failed: bool) -> None:
        self._up.discard(stage)
        self._clock.down(stage, time.monotonic())
        for row in self._queues[stage].stage_died():
            _log.error("poison_job", stage=stage, job=row.job_id, session=row.session, attempts=row.attempts)
            self._without(stage, row)
        if failed and stage in UNAVAILABLE:
            self._failed.add(stage)
            for row in self._queues[stage].drop_all():
                self._without(stage, row)
        self._on_status(stage, False)

    def job_started(self, stage: StageName, job_id: int) -> None:
        self._queues[stage].started(job_id)

    def job_answered(self, stage: StageName, answer: Done | Failed) -> None:
        row = self._queues[stage].answered(answer.job_id)
        if row is not None:
            self._note(stage, row, answer)
            self._accept(stage, row, answer)
        self._pump(stage)

    # --- out ---

    def _add_for(self, utterance: Utterance, owner: Owner, stage: StageName, work: Work) -> None:
        row = JobRow(next(self._ids), utterance.session, work, utterance.audio.seconds, created=time.monotonic())
        utterance.open_jobs[stage] = row.job_id
        self._utterances[row.job_id] = (utterance, owner)
        self._queues[stage].add(row)
        self._pump(stage)

    def _pump(self, stage: StageName) -> None:
        if stage in self._up:
            for row in self._queues[stage].take(time.monotonic()):
                self._ports[stage].send(Job(row.job_id, row.work), row.audio_s)

    def _usable(self, stage: StageName, utterance: Utterance) -> bool:
        if stage in self._failed:
            utterance.warn(UNAVAILABLE[stage])
        return stage not in self._skipped and stage not in self._failed

    # --- what an answer means ---

    def _note(self, stage: StageName, row: JobRow, answer: Done | Failed) -> None:
        """Queued: from asked-for to answered, less the time that the engine worked on it."""
        queued_ms = (time.monotonic() - row.created) * 1000 - answer.run_ms
        timing = StageTiming(max(0.0, queued_ms), answer.run_ms, max(1, row.attempts))
        _log.debug("job", stage=stage, job=row.job_id, session=row.session, run_ms=round(answer.run_ms, 1))
        self._on_job(stage, timing)
        if row.job_id in self._utterances:
            self._utterances[row.job_id][0].timings[stage] = timing

    def _accept(self, stage: StageName, row: JobRow, answer: Done | Failed) -> None:
        if isinstance(answer, Failed):
            _log.warning("job_failed", stage=stage, job=row.job_id, code=answer.code, reason=answer.reason)
            self._without(stage, row, answer.reason if answer.code == EngineFailed.code else GAVE_UP)
            return
        if isinstance(answer.result, IngestResult):
            self._answer_ingest(answer.result)
            return
        utterance, owner = self._close(stage, row.job_id)
        match answer.result:
            case AsrResult():
                self._recognised(utterance, owner, answer.result)
            case DiarizationResult():
                utterance.diarization = answer.result
                self._join(utterance, owner)
            case CorrectionResult():
                self._corrected(utterance, owner, answer.result)

    def _close(self, stage: StageName, job_id: int) -> tuple[Utterance, Owner]:
        utterance, owner = self._utterances.pop(job_id)
        utterance.open_jobs.pop(stage)
        self._deadlines.pop(job_id, None)
        return utterance, owner

    def _answer_ingest(self, result: IngestResult | None) -> None:
        answer, self._ingest_answer = self._ingest_answer, None
        if answer is not None:
            answer(result)

    def _without(self, stage: StageName, row: JobRow, why: str = GAVE_UP) -> None:
        """The stage can't do this job: go on without its part. why: for the client, where there is no result then."""
        if stage == "ingest":
            self._answer_ingest(None)
            return
        utterance, owner = self._close(stage, row.job_id)
        if stage == "asr":
            utterance.failure = why
            self._settle(utterance, owner)
            return
        utterance.warn(UNAVAILABLE[stage])
        self._go_on(stage, utterance, owner)

    def _go_on(self, stage: StageName, utterance: Utterance, owner: Owner) -> None:
        if stage == "diarization":
            self._join(utterance, owner)
        else:
            self._settle(utterance, owner)

    def _recognised(self, utterance: Utterance, owner: Owner, result: AsrResult) -> None:
        utterance.asr = result
        for warning in result.warnings:
            utterance.warn(warning)
        if not any(segment.text for segment in result.segments):
            self._settle(utterance, owner)
            return
        owner.recognised(utterance)
        if "diarization" in utterance.open_jobs:
            due = self._clock.read(time.monotonic()) + self._policy.diarization_s
            self._deadlines[utterance.open_jobs["diarization"]] = due
        self._join(utterance, owner)

    def _join(self, utterance: Utterance, owner: Owner) -> None:
        if utterance.asr is None or "diarization" in utterance.open_jobs:
            return
        turns = utterance.diarization.turns if utterance.diarization else ()
        utterance.lines = split_by_speaker(utterance.asr.segments, turns)
        owner.audio_released(utterance)
        if self._usable("correction", utterance):
            self._correct(utterance, owner)
        else:
            self._settle(utterance, owner)

    def _correct(self, utterance: Utterance, owner: Owner) -> None:
        assert utterance.asr is not None
        texts = tuple(line.segment.text for line in utterance.lines)
        context = owner.context(utterance)
        work = CorrectionWork(texts, utterance.asr.language, utterance.glossary, context)
        self._add_for(utterance, owner, "correction", work)
        self._deadlines[utterance.open_jobs["correction"]] = utterance.served_from + self._policy.correction_s

    def _corrected(self, utterance: Utterance, owner: Owner, result: CorrectionResult) -> None:
        utterance.correction = result
        for warning in result.warnings:
            utterance.warn(warning)
        self._settle(utterance, owner)

    def _settle(self, utterance: Utterance, owner: Owner) -> None:
        for stage, job_id in list(utterance.open_jobs.items()):
            self._drop(stage, job_id)
        utterance.open_jobs.clear()
        utterance.settled = time.monotonic()
        owner.audio_released(utterance)
        owner.settled(utterance)

    def _drop(self, stage: StageName, job_id: int) -> None:
        self._utterances.pop(job_id, None)
        self._deadlines.pop(job_id, None)
        if self._queues[stage].withdraw(job_id) and stage in self._up:
            self._ports[stage].cancel(job_id)

    # --- deadlines ---

    def check_deadlines(self, now: float) -> None:
        """Called every few ten milliseconds: close the joins whose time is up; what comes later is dropped."""
        served = self._clock.read(now)
        for job_id in [job_id for job_id, due in self._deadlines.items() if served >= due]:
            self._too_late(job_id)

    def _too_late(self, job_id: int) -> None:
        utterance, owner = self._utterances[job_id]
        stage = next(stage for stage, open_id in utterance.open_jobs.items() if open_id == job_id)
        _log.warning("deadline_passed", stage=stage, job=job_id, session=utterance.session, buffer=utterance.buffer_id)
        utterance.open_jobs.pop(stage)
        self._drop(stage, job_id)
        utterance.warn(TOO_LATE[stage])
        self._go_on(stage, utterance, owner)
