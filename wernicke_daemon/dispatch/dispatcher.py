"""Which job goes to which stage, when, and what an answer means; where ASR and diarization of an utterance meet again.

    boundary ──▶ asr ─────────┐
             └─▶ diarization ─┴▶ join ──▶ correction ──▶ settled

A wait for an optional stage has a deadline on the service clock; when it passes, the utterance goes on without.
Runs on the event loop's thread. Every utterance that is submitted is settled exactly once: with lines, with no
text, or with a failure. What is out and due when is in the ledger.
"""

from collections.abc import Callable, Mapping

import structlog

from ipc.errors import EngineFailed, OutOfGpuMemory
from ipc.messages import (
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
from wernicke_daemon.dispatch.entries import Entry, JobRow, Owner
from wernicke_daemon.dispatch.ledger import Ledger
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.dispatch.stage_port import OPTIONAL, REQUIRED, StagePort
from wernicke_daemon.utterances.speaker_assignment import split_by_speaker
from wernicke_daemon.utterances.utterance import StageTiming, Utterance

_log = structlog.get_logger()

GAVE_UP = "This utterance could not be transcribed; the daemon's log says why. The next ones are not affected."

DOWN = "The recogniser has been down for too long; the daemon's log says why. The audio of this utterance is lost."


class Dispatcher:
    """A StageListener. Each public method that is an event (something was submitted, a stage said something, time has
    passed) reads the clock once; within it, it is that time."""

    def __init__(
        self,
        policy: Policy,
        clock: Callable[[], float],
        on_job: Callable[[StageName, StageTiming], None],
        on_status: Callable[[StageName, bool], None],
        on_shed: Callable[[int], None],
    ) -> None:
        """clock: seconds, monotonic. on_job: told of every answered job. on_status: told when a stage comes up (True)
        or goes down. on_shed: told the level of what is left out, when it changes (see `overload.py`)."""
        now = clock()
        self.ledger = Ledger(policy, now)
        self.late_answers = 0  # that nobody waited for any more
        self._policy = policy  # how long each wait may take
        self._clock = clock
        self._on_job = on_job
        self._on_status = on_status
        self._on_shed = on_shed
        self._ports: Mapping[StageName, StagePort] = {}  # where jobs are sent
        self._available = Availability(policy.shed_after_s, policy.asr_down_limit_s, now)  # what is left out
        self._ingest_answer: Callable[[IngestResult | None], None] | None = None  # who waits for the ingest job

    def connect(self, ports: Mapping[StageName, StagePort]) -> None:
        """To be called once, by whoever makes both: a port is made with its listener."""
        self._ports = ports

    # --- in ---

    def examine(self, work: IngestWork, answer: Callable[[IngestResult | None], None]) -> None:
        """One ingest job; never more than one at a time. answer: gets the result, or None if it can't be had."""
        now = self._clock()
        self._ingest_answer = answer
        if self._available.given_up("ingest", now):
            self._answer_ingest(None)
            return
        self.ledger.add("ingest", work, sum(task.audio.seconds for task in work.tasks), now)
        self._pump("ingest")

    def submit(self, utterance: Utterance, owner: Owner) -> None:
        """Recognise and diarize it side by side."""
        now = self._clock()
        entry = self.ledger.begin(utterance, owner, now)
        if self._available.given_up("asr", now):
            self._fail(entry, DOWN, now)
            return
        self._ask(entry, "asr", self._asr_work(utterance), now)
        if self._usable("diarization", utterance, now):
            self._ask(entry, "diarization", DiarizationWork(utterance.audio), now)

    def _asr_work(self, utterance: Utterance) -> AsrWork:
        chars = self._policy.asr_context_chars
        context = utterance.text_before[-chars:] if chars else ""
        return AsrWork(utterance.audio, utterance.language, utterance.glossary, context)

    def depth(self, stage: StageName) -> int:
        return self.ledger.depth(stage)

    @property
    def shed_level(self) -> int:
        """What is left out because results are behind: see `overload.py`."""
        return self._available.shedding.level

    # --- StageListener ---

    def stage_up(self, stage: StageName, engine: str) -> None:
        now = self._clock()
        self._poison(self.ledger.stage_up(stage, now), now)
        self._available.up(stage, engine)
        self._on_status(stage, True)
        self._pump(stage)

    def stage_down(self, stage: StageName, failed: bool) -> None:
        now = self._clock()
        self._available.down(stage, failed, now)
        self._poison(self.ledger.stage_down(stage, now), now)
        if failed and stage in OPTIONAL:
            self._give_up(stage, GAVE_UP, now)
        self._on_status(stage, False)

    def _poison(self, rows: list[JobRow], now: float) -> None:
        for row in rows:
            _log.error("poison_job", stage=row.stage, job=row.job_id, session=row.session, attempts=row.attempts)
            self._without(row, GAVE_UP, now)

    def _give_up(self, stage: StageName, why: str, now: float) -> None:
        for row in self.ledger.give_up(stage):
            self._without(row, why, now)

    def job_started(self, stage: StageName, job_id: int) -> None:
        self.ledger.started(stage, job_id)

    def job_answered(self, stage: StageName, answer: Done | Failed) -> None:
        now = self._clock()
        row = self.ledger.answered(stage, answer.job_id)
        if row is None:
            self.late_answers += 1
        else:
            self._note(row, answer, now)
            self._accept(row, answer, now)
        self._pump(stage)

    # --- out ---

    def _ask(self, entry: Entry, stage: StageName, work: Work, now: float) -> JobRow:
        row = self.ledger.add(stage, work, entry.utterance.audio.seconds, now, entry)
        self._pump(stage)
        return row

    def _pump(self, stage: StageName) -> None:
        """A stage answers on a later turn of the event loop."""
        if self._available.is_up(stage):
            for row in self.ledger.take(stage):
                self._ports[stage].send(Job(row.job_id, row.work, row.limit_s))

    def _cancel(self, row: JobRow) -> None:
        self._ports[row.stage].cancel(row.job_id)

    def _usable(self, stage: StageName, utterance: Utterance, now: float) -> bool:
        if not self._available.uses(stage):
            return False
        reason = self._available.reason_to_skip(stage, now)
        if reason is not None:
            utterance.warn(reason)
        return reason is None

    # --- what an answer means ---

    def _note(self, row: JobRow, answer: Done | Failed, now: float) -> None:
        """Queued: from asked-for to answered, less the time that the engine worked on it."""
        queued_ms = (now - row.created) * 1000 - answer.run_ms
        timing = StageTiming(max(0.0, queued_ms), answer.run_ms, row.attempts)
        _log.debug("job", stage=row.stage, job=row.job_id, session=row.session, run_ms=round(answer.run_ms, 1))
        self._on_job(row.stage, timing)
        if row.entry is not None:
            row.entry.utterance.timings[row.stage] = timing

    def _accept(self, row: JobRow, answer: Done | Failed, now: float) -> None:
        if isinstance(answer, Failed):
            self._failed(row, answer, now)
        elif not fits(row.work, answer.result):
            self._failed(row, Failed(row.job_id, "WRONG_ANSWER", "the answer is not one to its job", 0.0), now)
        elif isinstance(answer.result, IngestResult):
            self._answer_ingest(answer.result)
        elif row.entry is not None:
            self.ledger.close(row)
            self._found(row.entry, answer.result, now)

    def _found(self, entry: Entry, result: AsrResult | DiarizationResult | CorrectionResult, now: float) -> None:
        match result:
            case AsrResult():
                self._recognised(entry, result, now)
            case DiarizationResult():
                entry.utterance.diarization = result
                self._join(entry, now)
            case CorrectionResult():
                self._corrected(entry, result, now)

    def _failed(self, row: JobRow, answer: Failed, now: float) -> None:
        """What an engine says that it can't do is not tried again; what went wrong otherwise may go right."""
        final = answer.code == EngineFailed.code
        again = not final and self.ledger.retry(row)
        _log.warning(
            "job_failed",
            stage=row.stage,
            job=row.job_id,
            session=row.session,
            code=answer.code,
            reason=answer.reason,
            retried=again,
        )
        if not again:
            self._blame(row, answer)
            self._without(row, answer.reason if final else GAVE_UP, now)

    def _blame(self, row: JobRow, answer: Failed) -> None:
        """What a user can do something about has a code of its own."""
        if answer.code == OutOfGpuMemory.code and row.entry is not None:
            row.entry.utterance.warn(answer.code)
            if row.stage == "asr":
                row.entry.utterance.failure_code = answer.code

    def _answer_ingest(self, result: IngestResult | None) -> None:
        answer, self._ingest_answer = self._ingest_answer, None
        if answer is not None:
            answer(result)

    def _without(self, row: JobRow, why: str, now: float) -> None:
        """The stage can't do this job: go on without its part. why: for the client, where there is no result then."""
        self.ledger.close(row)
        if row.entry is None:
            self._answer_ingest(None)
        elif row.stage == "asr":
            self._fail(row.entry, why, now)
        else:
            row.entry.utterance.warn(UNAVAILABLE[row.stage])
            self._go_on(row.stage, row.entry, now)

    def _go_on(self, stage: StageName, entry: Entry, now: float) -> None:
        if stage == "diarization":
            self._join(entry, now)
        else:
            self._settle(entry, now)

    def _recognised(self, entry: Entry, result: AsrResult, now: float) -> None:
        utterance = entry.utterance
        utterance.asr = result
        for warning in result.warnings:
            utterance.warn(warning)
        if not any(segment.text for segment in result.segments):
            self._settle_without_text(entry, now)
            return
        entry.owner.recognised(utterance, shed=self._available.shedding.sheds_partials())
        if "diarization" in entry.open_jobs:
            entry.open_jobs["diarization"].due = self.ledger.served(now) + self._policy.diarization_s
        self._join(entry, now)

    def _join(self, entry: Entry, now: float) -> None:
        utterance = entry.utterance
        if utterance.asr is None or "diarization" in entry.open_jobs:
            return
        turns = utterance.diarization.turns if utterance.diarization else ()
        utterance.lines = split_by_speaker(utterance.asr.segments, turns)
        entry.owner.audio_released(utterance)
        if self._usable("correction", utterance, now):
            self._correct(entry, utterance.asr.language, now)
        else:
            self._settle(entry, now)

    def _correct(self, entry: Entry, language: str, now: float) -> None:
        utterance = entry.utterance
        due = entry.served_from + self._policy.correction_s
        if self.ledger.served(now) >= due:  # too late already, by no fault of the LLM
            utterance.warn(TOO_LATE["correction"])
            self._settle(entry, now)
            return
        texts = tuple(line.segment.text for line in utterance.lines)
        work = CorrectionWork(texts, language, utterance.glossary, utterance.texts_before)
        self._ask(entry, "correction", work, now).due = due

    def _corrected(self, entry: Entry, result: CorrectionResult, now: float) -> None:
        entry.utterance.correction = result
        for warning in result.warnings:
            entry.utterance.warn(warning)
        if TOO_LATE["correction"] in result.warnings:
            self._available.breaker.too_late(now)
        else:
            self._available.breaker.answered()
        self._settle(entry, now)

    def _fail(self, entry: Entry, why: str, now: float) -> None:
        entry.utterance.failure = why
        self._settle_without_text(entry, now)

    def _settle_without_text(self, entry: Entry, now: float) -> None:
        """Before the join: nobody needs its audio, or to know who spoke, any more."""
        self._end(entry, now)
        entry.owner.audio_released(entry.utterance)
        entry.owner.settled(entry.utterance)

    def _settle(self, entry: Entry, now: float) -> None:
        """After the join."""
        self._end(entry, now)
        entry.owner.settled(entry.utterance)

    def _end(self, entry: Entry, now: float) -> None:
        for row in self.ledger.end(entry):
            self._cancel(row)
        entry.utterance.settled = now

    # --- time passes ---

    def check_deadlines(self) -> None:
        """To be called every few ten milliseconds: close the joins whose time is up; what comes later is dropped."""
        now = self._clock()
        for row in self.ledger.late(now):
            self._too_late(row, now)
        self._shed(self.ledger.behind_s(now))
        for stage in REQUIRED:
            if self._available.given_up(stage, now):
                self._give_up(stage, DOWN, now)

    def _too_late(self, row: JobRow, now: float) -> None:
        entry = row.entry
        assert entry is not None  # nothing else has a deadline
        utterance = entry.utterance
        _log.warning(
            "deadline_passed", stage=row.stage, job=row.job_id, session=row.session, buffer=utterance.buffer_id
        )
        if self.ledger.withdraw(row):
            self._cancel(row)
        utterance.warn(TOO_LATE[row.stage])
        if row.stage == "correction":
            self._available.breaker.too_late(now)
        self._go_on(row.stage, entry, now)

    def _shed(self, behind_s: float) -> None:
        shedding = self._available.shedding
        if shedding.behind(behind_s):
            _log.warning("shedding", level=shedding.level)
            self._on_shed(shedding.level)
