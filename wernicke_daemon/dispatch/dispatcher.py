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

import structlog

from ipc.errors import EngineFailed, OutOfGpuMemory
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
from wernicke_daemon.dispatch.answer_check import fits
from wernicke_daemon.dispatch.availability import TOO_LATE, UNAVAILABLE, Availability
from wernicke_daemon.dispatch.job_queue import JobQueue, JobRow
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.dispatch.service_clock import ServiceClock
from wernicke_daemon.dispatch.stage_port import OPTIONAL, REQUIRED, StagePort
from wernicke_daemon.utterances.speaker_assignment import split_by_speaker
from wernicke_daemon.utterances.utterance import StageTiming, Utterance

_log = structlog.get_logger()

GAVE_UP = "This utterance could not be transcribed; the daemon's log says why. The next ones are not affected."

DOWN = "The recogniser has been down for too long; the daemon's log says why. The audio of this utterance is lost."


class Owner(Protocol):
    """Whose utterances they are: the session."""

    def recognised(self, utterance: Utterance, shed: bool) -> None:
        """The text is there; speakers and correction are not. shed: nobody need be told now."""

    def audio_released(self, utterance: Utterance) -> None:
        """No stage will read its audio any more."""

    def context(self, utterance: Utterance) -> tuple[str, ...]:
        """What was said just before, oldest first."""

    def text_before(self, utterance: Utterance) -> str:
        """The last thing said before that is recognised by now, "" for none."""

    def settled(self, utterance: Utterance) -> None:
        """Nothing more will change."""


class Dispatcher:
    """A StageListener. `ports` are set once by whoever makes both."""

    def __init__(
        self,
        policy: Policy,
        on_job: Callable[[StageName, StageTiming], None],
        on_status: Callable[[StageName, bool], None],
        on_shed: Callable[[int], None] = lambda level: None,
    ) -> None:
        """on_job: told of every answered job. on_status: told when a stage comes up (True) or goes down. on_shed: told
        the level of what is left out, when it changes (see Shedding)."""
        now = time.monotonic()
        self.late_answers = 0
        self._policy = policy
        self._on_job = on_job
        self._on_status = on_status
        self._on_shed = on_shed
        self._ports: Mapping[StageName, StagePort] = {}
        self._ids = itertools.count(1)
        self._queues = {stage: JobQueue(policy.credit, policy.max_attempts) for stage in STAGES}
        self._utterances: dict[int, tuple[Utterance, Owner]] = {}
        self._under_way: dict[tuple[str, int], Utterance] = {}
        self._ingest_answer: Callable[[IngestResult | None], None] | None = None
        self._available = Availability(policy.shed_after_s, policy.asr_down_limit_s, now)
        self._clock = ServiceClock(policy.restart_grace_s, frozenset(REQUIRED), now)
        self._deadlines: dict[int, float] = {}

    def connect(self, ports: Mapping[StageName, StagePort]) -> None:
        self._ports = ports

    # --- in ---

    def examine(self, work: IngestWork, answer: Callable[[IngestResult | None], None]) -> None:
        """One ingest job; never more than one at a time. answer: gets the result, or None if it can't be had."""
        self._ingest_answer = answer
        if self._available.given_up("ingest", time.monotonic()):
            self._answer_ingest(None)
            return
        self._add("ingest", "", work, sum(task.audio.seconds for task in work.tasks))

    def submit(self, utterance: Utterance, owner: Owner) -> None:
        """Recognise and diarize it side by side."""
        now = time.monotonic()
        utterance.served_from = self._clock.read(now)
        self._under_way[utterance.session, utterance.sequence] = utterance
        if self._available.given_up("asr", now):
            self._fail(utterance, owner, DOWN)
            return
        self._add_for(utterance, owner, "asr", self._asr_work(utterance, owner))
        if self._usable("diarization", utterance):
            self._add_for(utterance, owner, "diarization", DiarizationWork(utterance.audio))

    def _asr_work(self, utterance: Utterance, owner: Owner) -> AsrWork:
        chars = self._policy.asr_context_chars
        context = owner.text_before(utterance)[-chars:] if chars else ""
        return AsrWork(utterance.audio, utterance.language, utterance.glossary, context)

    def depth(self, stage: StageName) -> int:
        return len(self._queues[stage])

    @property
    def shed_level(self) -> int:
        """What is left out because results are behind: see Shedding."""
        return self._available.shedding.level

    # --- StageListener ---

    def stage_up(self, stage: StageName, engine: str) -> None:
        self._take_back(stage)
        self._available.up(stage, engine)
        self._clock.up(stage, time.monotonic())
        self._on_status(stage, True)
        self._pump(stage)

    def stage_down(self, stage: StageName, failed: bool) -> None:
        now = time.monotonic()
        self._available.down(stage, failed, now)
        self._clock.down(stage, now)
        self._take_back(stage)
        if failed and stage in OPTIONAL:
            self._give_up(stage)
        self._on_status(stage, False)

    def _take_back(self, stage: StageName) -> None:
        """The process that had its jobs is gone, whether or not another has taken its place already."""
        for row in self._queues[stage].stage_died():
            _log.error("poison_job", stage=stage, job=row.job_id, session=row.session, attempts=row.attempts)
            self._without(stage, row)

    def _give_up(self, stage: StageName, why: str = GAVE_UP) -> None:
        for row in self._queues[stage].drop_all():
            self._without(stage, row, why)

    def job_started(self, stage: StageName, job_id: int) -> None:
        self._queues[stage].started(job_id)

    def job_answered(self, stage: StageName, answer: Done | Failed) -> None:
        row = self._queues[stage].answered(answer.job_id)
        if row is None:
            self.late_answers += 1
        else:
            self._note(stage, row, answer)
            self._accept(stage, row, answer)
        self._pump(stage)

    # --- out ---

    def _add(self, stage: StageName, session: str, work: Work, audio_s: float) -> int:
        limit_s = self._policy.job_s + self._policy.job_per_audio_s * audio_s
        row = JobRow(next(self._ids), session, work, limit_s, created=time.monotonic())
        self._queues[stage].add(row)
        self._pump(stage)
        return row.job_id

    def _add_for(self, utterance: Utterance, owner: Owner, stage: StageName, work: Work) -> None:
        """A stage answers on a later turn of the event loop, so the job is known here before its answer."""
        job_id = self._add(stage, utterance.session, work, utterance.audio.seconds)
        utterance.open_jobs[stage] = job_id
        self._utterances[job_id] = (utterance, owner)

    def _pump(self, stage: StageName) -> None:
        if self._available.is_up(stage):
            for row in self._queues[stage].take(time.monotonic()):
                self._ports[stage].send(Job(row.job_id, row.work, row.limit_s))

    def _usable(self, stage: StageName, utterance: Utterance) -> bool:
        if not self._available.uses(stage):
            return False
        reason = self._available.reason_to_skip(stage, time.monotonic())
        if reason is not None:
            utterance.warn(reason)
        return reason is None

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
            self._failed(stage, row, answer)
            return
        if not fits(row.work, answer.result):
            self._failed(stage, row, Failed(row.job_id, "WRONG_ANSWER", "the answer is not one to its job", 0.0))
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

    def _failed(self, stage: StageName, row: JobRow, answer: Failed) -> None:
        """What an engine says that it can't do is not tried again; what went wrong otherwise may go right."""
        final = answer.code == EngineFailed.code
        again = not final and self._queues[stage].retry(row)
        _log.warning(
            "job_failed",
            stage=stage,
            job=row.job_id,
            session=row.session,
            code=answer.code,
            reason=answer.reason,
            retried=again,
        )
        if not again:
            self._blame(stage, row, answer)
            self._without(stage, row, answer.reason if final else GAVE_UP)

    def _blame(self, stage: StageName, row: JobRow, answer: Failed) -> None:
        """What a user can do something about has a code of its own."""
        if answer.code == OutOfGpuMemory.code and row.job_id in self._utterances:
            utterance, _ = self._utterances[row.job_id]
            utterance.warn(answer.code)
            if stage == "asr":
                utterance.failure_code = answer.code

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
            self._fail(utterance, owner, why)
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
        owner.recognised(utterance, shed=self._available.shedding.sheds_partials())
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
        due = utterance.served_from + self._policy.correction_s
        if self._clock.read(time.monotonic()) >= due:  # too late already, by no fault of the LLM
            utterance.warn(TOO_LATE["correction"])
            self._settle(utterance, owner)
            return
        texts = tuple(line.segment.text for line in utterance.lines)
        context = owner.context(utterance)
        work = CorrectionWork(texts, utterance.asr.language, utterance.glossary, context)
        self._add_for(utterance, owner, "correction", work)
        self._deadlines[utterance.open_jobs["correction"]] = due

    def _corrected(self, utterance: Utterance, owner: Owner, result: CorrectionResult) -> None:
        utterance.correction = result
        for warning in result.warnings:
            utterance.warn(warning)
        if TOO_LATE["correction"] in result.warnings:
            self._available.breaker.too_late(time.monotonic())
        else:
            self._available.breaker.answered()
        self._settle(utterance, owner)

    def _fail(self, utterance: Utterance, owner: Owner, why: str) -> None:
        utterance.failure = why
        self._settle(utterance, owner)

    def _settle(self, utterance: Utterance, owner: Owner) -> None:
        for stage, job_id in list(utterance.open_jobs.items()):
            self._drop(stage, job_id)
        utterance.open_jobs.clear()
        self._under_way.pop((utterance.session, utterance.sequence), None)
        utterance.settled = time.monotonic()
        owner.audio_released(utterance)
        owner.settled(utterance)

    def _drop(self, stage: StageName, job_id: int) -> None:
        self._utterances.pop(job_id, None)
        self._deadlines.pop(job_id, None)
        if self._queues[stage].withdraw(job_id) and self._available.is_up(stage):
            self._ports[stage].cancel(job_id)

    # --- deadlines ---

    def check_deadlines(self, now: float) -> None:
        """Called every few ten milliseconds: close the joins whose time is up; what comes later is dropped."""
        served = self._clock.read(now)
        for job_id in [job_id for job_id, due in self._deadlines.items() if served >= due]:
            self._too_late(job_id, now)
        self._shed(served)
        for stage in REQUIRED:
            if self._available.given_up(stage, now):
                self._give_up(stage, DOWN)

    def _shed(self, served: float) -> None:
        oldest = next(iter(self._under_way.values()), None)
        shedding = self._available.shedding
        if shedding.behind(served - oldest.served_from if oldest else 0.0):
            _log.warning("shedding", level=shedding.level)
            self._on_shed(shedding.level)

    def _too_late(self, job_id: int, now: float) -> None:
        utterance, owner = self._utterances[job_id]
        stage = next(stage for stage, open_id in utterance.open_jobs.items() if open_id == job_id)
        _log.warning("deadline_passed", stage=stage, job=job_id, session=utterance.session, buffer=utterance.buffer_id)
        utterance.open_jobs.pop(stage)
        self._drop(stage, job_id)
        utterance.warn(TOO_LATE[stage])
        if stage == "correction":
            self._available.breaker.too_late(now)
        self._go_on(stage, utterance, owner)
