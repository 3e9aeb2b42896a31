"""Which job goes to which stage, when; where ASR and diarization of an utterance meet again.

    boundary ──▶ asr ─────────┐
             └─▶ diarization ─┴▶ join ──▶ correction ──▶ settled

An utterance whose end is not certain yet goes the same way with early jobs, and rests before it would be settled; once it
is confirmed it goes on from where it is. What an early job could not do is left to firm ones.

A wait for an optional stage has a deadline on the service clock; when it passes, the utterance goes on without.
Every utterance that is submitted or confirmed is settled exactly once: with lines, with no text, or with a failure.
Pure but for what it calls; `now` is the front's monotonic clock in seconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from ipc.audio_handle import AudioHandle
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
    JobKind,
    StageName,
    Work,
)
from wernicke_daemon.dispatch.answer_check import fits
from wernicke_daemon.dispatch.availability import TOO_LATE, UNAVAILABLE, Availability
from wernicke_daemon.dispatch.ledger import Entry, Ledger
from wernicke_daemon.dispatch.pace import Pace
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.dispatch.service_clock import ServiceClock
from wernicke_daemon.dispatch.stage_port import OPTIONAL, REQUIRED, StagePort
from wernicke_daemon.utterances.pieces import Piece, StageTiming, joined, together
from wernicke_daemon.utterances.speaker_assignment import split_by_speaker
from wernicke_daemon.utterances.utterance import Utterance

_log = structlog.get_logger()

GAVE_UP = "This utterance could not be transcribed; the daemon's log says why. The next ones are not affected."

DOWN = "The recogniser has been down for too long; the daemon's log says why. The audio of this utterance is lost."


class Owner(Protocol):
    """Whose utterances they are: the session."""

    def heard(self, piece: Piece) -> None:
        """A live pass is over. Without a result, if it failed."""

    def recognised(self, utterance: Utterance, shed: bool) -> None:
        """The text is there; speakers and correction are not. shed: nobody need be told now."""

    def improved(self, utterance: Utterance, shed: bool) -> None:
        """It has its speakers, or its correction; there is more to come."""

    def audio_released(self, utterance: Utterance) -> None:
        """No stage will read its audio any more. Said once of each."""

    def settled(self, utterance: Utterance) -> None:
        """Nothing more will change."""


@dataclass(frozen=True)
class _Request:
    """What a job is for. owner: None for ingest. utterance: of diarization and correction. piece: of recognition."""

    owner: Owner | None = None
    utterance: Utterance | None = None
    piece: Piece | None = None


_Entry = Entry[_Request]


class Dispatcher:
    """A StageListener. late_answers: that nobody waited for any more. pace: what the recogniser is fast enough for."""

    def __init__(
        self,
        policy: Policy,
        on_job: Callable[[StageName, JobKind, StageTiming], None],
        on_status: Callable[[StageName, bool], None],
        now: float,
        on_shed: Callable[[int], None] = lambda level: None,
    ) -> None:
        """on_job: told of every answered job. on_status: told when a stage comes up (True) or goes down. on_shed: told
        the level of what is left out, when it changes (see Shedding)."""
        self.late_answers = 0
        self.pace = Pace(policy.final, policy.early_window_s)
        self._policy = policy
        self._on_job = on_job
        self._on_status = on_status
        self._on_shed = on_shed
        self._ports: Mapping[StageName, StagePort] = {}  # by stage; set once by whoever makes both
        self._ledger: Ledger[_Request] = Ledger(policy.credit, policy.max_attempts)
        self._under_way: dict[tuple[str, int], Utterance] = {}  # certain ones, oldest first: how far results are behind
        self._waiting: dict[Piece, tuple[Utterance, Owner]] = {}  # whose text a piece under way is part of
        self._takes_live = False  # the recogniser's engine does live jobs
        self._ingest_answer: Callable[[IngestResult | None], None] | None = None
        self._available = Availability(policy.shed_after_s, policy.asr_down_limit_s, now)
        self._clock = ServiceClock(policy.restart_grace_s, frozenset(REQUIRED), now)

    def connect(self, ports: Mapping[StageName, StagePort]) -> None:
        self._ports = ports

    # --- in ---

    def examine(self, work: IngestWork, answer: Callable[[IngestResult | None], None], now: float) -> None:
        """One ingest job; never more than one at a time. answer: gets the result, or None if it can't be had."""
        self._ingest_answer = answer
        if self._available.given_up("ingest", now):
            self._answer_ingest(None)
            return
        audio_s = sum(task.audio.seconds for task in work.tasks)
        self._add("ingest", "", work, audio_s, "firm", _Request(), now)

    def submit(self, utterance: Utterance, owner: Owner, now: float) -> None:
        """Recognise and diarize it side by side."""
        self._certain(utterance, now)
        if self._available.given_up("asr", now):
            self._fail(utterance, owner, DOWN, now)
        else:
            self._begin(utterance, owner, "firm", now)

    @property
    def takes_early_work(self) -> bool:
        return self._policy.early and self._available.is_up("asr") and not self._available.shedding.sheds_partials()

    @property
    def takes_live_work(self) -> bool:
        """None while a firm job waits."""
        able = self._policy.live and self._takes_live and self._available.is_up("asr") and self.pace.live_s > 0
        return able and not self._available.shedding.sheds_partials() and not self._ledger.firm_waits("asr")

    def begin_early(self, utterance: Utterance, owner: Owner, now: float) -> None:
        """As `submit`, for one whose end is not certain yet: `confirm` or `withdraw` it."""
        utterance.certain = False
        self._begin(utterance, owner, "early", now)

    def confirm(self, utterance: Utterance, owner: Owner, now: float) -> None:
        """Its end is certain, and it is as it was begun early: what it has is used, what it lacks is done."""
        self._certain(utterance, now)
        if self._available.given_up("asr", now) and utterance.asr is None:
            self._fail(utterance, owner, DOWN, now)
            return
        for job_id in utterance.open_jobs.values():
            self._ledger.make_firm(job_id)
        if utterance.has_text:
            owner.recognised(utterance, shed=True)  # what depends on it does so from now on
            if utterance.correction_work not in (None, self._correction_work(utterance)):
                self._drop_correction(utterance)
        self._begin(utterance, owner, "firm", now)

    def withdraw(self, utterance: Utterance, kept: Piece | None = None) -> None:
        """It was begun early and is no more. kept: goes on, to be part of another's text."""
        for job_id in utterance.open_jobs.values():
            self._withdraw(job_id)
        utterance.open_jobs.clear()
        for piece in utterance.pieces:
            if self._waiting.get(piece, (None, None))[0] is utterance:
                del self._waiting[piece]
                if piece is not kept:
                    self._withdraw_piece(piece)

    def listen(self, piece: Piece, utterance: Utterance, owner: Owner, now: float) -> None:
        """A live pass. utterance: says in which language."""
        self._recognise(piece, utterance, owner, now)

    def listen_to_more(self, piece: Piece, audio: AudioHandle) -> None:
        """A live pass that has not begun hears this instead."""
        work = piece.work
        if piece.job_id is None or work is None:
            return
        work = AsrWork(audio, work.language, work.glossary, work.context, work.kind)
        if self._ledger.replace(piece.job_id, work, self._limit_s(audio.seconds)):
            piece.audio, piece.work = audio, work

    def drop(self, piece: Piece) -> None:
        """A live pass that nobody wants to hear of any more."""
        self._withdraw_piece(piece)

    def is_firm(self, job_id: int) -> bool:
        """Whether that job, which is not answered, counts."""
        return self._ledger.kind(job_id) == "firm"

    def depth(self, stage: StageName) -> int:
        return self._ledger.depth(stage)

    @property
    def shed_level(self) -> int:
        """What is left out because results are behind: see Shedding."""
        return self._available.shedding.level

    # --- StageListener ---

    def stage_up(self, stage: StageName, engine: str, live: bool, now: float) -> None:
        self._take_back(stage, now)
        self._available.up(stage, engine)
        if stage == "asr":
            self._takes_live = live
            self.pace.forget()
        self._clock.up(stage, now)
        self._on_status(stage, True)
        self._pump(stage, now)

    def stage_down(self, stage: StageName, failed: bool, now: float) -> None:
        self._available.down(stage, failed, now)
        self._clock.down(stage, now)
        self._take_back(stage, now)
        if failed and stage in OPTIONAL:
            self._give_up(stage, GAVE_UP, now)
        self._on_status(stage, False)

    def _take_back(self, stage: StageName, now: float) -> None:
        """The process that had its jobs is gone, whether or not another has taken its place already."""
        for entry in self._ledger.stage_died(stage):
            row = entry.row
            if row.kind == "firm":
                _log.error("poison_job", stage=stage, job=row.job_id, session=row.session, attempts=row.attempts)
            self._without(entry, GAVE_UP, now)

    def _give_up(self, stage: StageName, why: str, now: float) -> None:
        for entry in self._ledger.give_up(stage):
            self._without(entry, why, now)

    def job_started(self, stage: StageName, job_id: int) -> None:
        self._ledger.started(stage, job_id)

    def job_answered(self, stage: StageName, answer: Done | Failed, now: float) -> None:
        entry = self._ledger.answered(stage, answer.job_id)
        if entry is None:
            self.late_answers += 1
            _log.debug("late_answer", stage=stage, job=answer.job_id, run_ms=round(answer.run_ms, 1))
        else:
            self._note(entry, answer, now)
            self._accept(entry, answer, now)
        self._pump(stage, now)

    # --- out ---

    def _begin(self, utterance: Utterance, owner: Owner, kind: JobKind, now: float) -> None:
        """Ask for what is lacking and not under way. A stage answers on a later turn of the event loop."""
        for piece in utterance.pieces:
            self._ask_for(piece, utterance, owner, kind, now)
        if utterance.lacks("diarization") and self._usable("diarization", utterance, now):
            self._add_for(utterance, owner, "diarization", DiarizationWork(utterance.audio), kind, now)
        self._advance(utterance, owner, now)

    def _ask_for(self, piece: Piece, utterance: Utterance, owner: Owner, kind: JobKind, now: float) -> None:
        if piece.result is not None:
            return
        self._waiting[piece] = (utterance, owner)
        if piece.job_id is None:
            piece.kind = kind
            self._recognise(piece, utterance, owner, now)
        elif kind == "firm":
            piece.kind = kind
            self._ledger.make_firm(piece.job_id)

    def _recognise(self, piece: Piece, utterance: Utterance, owner: Owner, now: float) -> None:
        chars = self._policy.asr_context_chars
        context = utterance.text_before[-chars:] if chars else ""
        piece.work = AsrWork(piece.audio, utterance.language, utterance.glossary, context, piece.kind)
        request = _Request(owner, None, piece)
        audio_s = piece.audio.seconds
        piece.job_id = self._add("asr", utterance.session, piece.work, audio_s, piece.kind, request, now)

    def _add_for(
        self, utterance: Utterance, owner: Owner, stage: StageName, work: Work, kind: JobKind, now: float
    ) -> None:
        request = _Request(owner, utterance)
        utterance.open_jobs[stage] = self._add(
            stage, utterance.session, work, utterance.audio.seconds, kind, request, now
        )

    def _add(
        self, stage: StageName, session: str, work: Work, audio_s: float, kind: JobKind, request: _Request, now: float
    ) -> int:
        job_id = self._ledger.add(stage, session, work, self._limit_s(audio_s), kind, request, now)
        self._pump(stage, now)
        return job_id

    def _limit_s(self, audio_s: float) -> float:
        return self._policy.job_s + self._policy.job_per_audio_s * audio_s

    def _pump(self, stage: StageName, now: float) -> None:
        if self._available.is_up(stage):
            for row in self._ledger.take(stage, now):
                self._ports[stage].send(Job(row.job_id, row.work, row.limit_s))

    def _usable(self, stage: StageName, utterance: Utterance, now: float) -> bool:
        """Whether to ask this stage. One that can't be asked now is left out; while the end is not certain, put off."""
        if not self._available.uses(stage):
            utterance.left_out.add(stage)
            return False
        reason = self._available.reason_to_skip(stage, now)
        if reason is not None and utterance.certain:
            utterance.leave_out(stage, reason)
        return reason is None

    # --- what an answer means ---

    def _note(self, entry: _Entry, answer: Done | Failed, now: float) -> None:
        """Queued: from asked-for to answered, less the time that the engine worked on it."""
        row, request = entry.row, entry.subject
        queued_ms = (now - row.created) * 1000 - answer.run_ms
        timing = StageTiming(max(0.0, queued_ms), answer.run_ms, max(1, row.attempts))
        _log.debug(
            "job",
            stage=entry.stage,
            job=row.job_id,
            session=row.session,
            kind=row.kind,
            audio_s=round(row.work.audio.seconds, 1) if isinstance(row.work, AsrWork | DiarizationWork) else None,
            run_ms=round(answer.run_ms, 1),
        )
        self._on_job(entry.stage, row.kind, timing)
        if request.piece is not None:
            request.piece.timing = timing
            self.pace.took(row.kind == "live", request.piece.audio.seconds, answer.run_ms / 1000)
        elif request.utterance is not None:
            request.utterance.timings[entry.stage] = timing

    def _accept(self, entry: _Entry, answer: Done | Failed, now: float) -> None:
        if isinstance(answer, Failed):
            self._failed(entry, answer, now)
        elif not fits(entry.row.work, answer.result):
            wrong = Failed(answer.job_id, "WRONG_ANSWER", "the answer is not one to its job", 0.0)
            self._failed(entry, wrong, now)
        else:
            self._ledger.close(entry)
            self._take(entry.subject, answer, now)

    def _take(self, request: _Request, answer: Done, now: float) -> None:
        utterance, owner = request.utterance, request.owner
        match answer.result:
            case IngestResult():
                self._answer_ingest(answer.result)
            case AsrResult():
                assert request.piece is not None and owner is not None
                self._recognised(request.piece, answer.result, owner, now)
            case DiarizationResult():
                assert utterance is not None and owner is not None
                del utterance.open_jobs["diarization"]
                utterance.diarization = answer.result
                self._advance(utterance, owner, now)
            case CorrectionResult():
                assert utterance is not None and owner is not None
                del utterance.open_jobs["correction"]
                self._corrected(utterance, owner, answer.result, now)

    def _failed(self, entry: _Entry, answer: Failed, now: float) -> None:
        """What an engine says that it can't do is not tried again; what went wrong otherwise may go right."""
        row = entry.row
        final = answer.code == EngineFailed.code
        again = not final and self._ledger.retry(entry)
        _log.warning(
            "job_failed",
            stage=entry.stage,
            job=row.job_id,
            session=row.session,
            code=answer.code,
            reason=answer.reason,
            retried=again,
        )
        if not again:
            self._blame(entry, answer)
            self._without(entry, answer.reason if final else GAVE_UP, now)

    def _blame(self, entry: _Entry, answer: Failed) -> None:
        """What a user can do something about has a code of its own."""
        utterance = entry.subject.utterance
        if entry.subject.piece is not None:
            utterance = self._waiting.get(entry.subject.piece, (None, None))[0]
        if answer.code == OutOfGpuMemory.code and utterance is not None and utterance.certain:
            utterance.warn(answer.code)
            if entry.stage == "asr":
                utterance.failure_code = answer.code

    def _answer_ingest(self, result: IngestResult | None) -> None:
        answer, self._ingest_answer = self._ingest_answer, None
        if answer is not None:
            answer(result)

    def _without(self, entry: _Entry, why: str, now: float) -> None:
        """The stage can't do this job: go on without its part. why: for the client, where there is no result then."""
        self._ledger.close(entry)
        utterance, owner, piece = entry.subject.utterance, entry.subject.owner, entry.subject.piece
        if owner is None:
            self._answer_ingest(None)
        elif piece is not None:
            self._without_piece(piece, owner, why, now)
        elif utterance is not None:
            del utterance.open_jobs[entry.stage]
            if utterance.certain:  # else it is tried again once it is
                utterance.leave_out(entry.stage, UNAVAILABLE[entry.stage])
                self._advance(utterance, owner, now)

    def _without_piece(self, piece: Piece, owner: Owner, why: str, now: float) -> None:
        piece.job_id = None
        utterance, _ = self._waiting.pop(piece, (None, owner))
        if piece.kind == "live":
            owner.heard(piece)
        elif utterance is not None and utterance.certain:
            self._fail(utterance, owner, why, now)

    def _recognised(self, piece: Piece, result: AsrResult, owner: Owner, now: float) -> None:
        piece.job_id, piece.result = None, result
        utterance, _ = self._waiting.pop(piece, (None, owner))
        if piece.kind == "live":
            owner.heard(piece)
        elif utterance is not None:
            self._advance(utterance, owner, now)

    def _corrected(self, utterance: Utterance, owner: Owner, result: CorrectionResult, now: float) -> None:
        late = TOO_LATE["correction"] in result.warnings
        self._available.breaker.too_late(now) if late else self._available.breaker.answered()
        if result.warnings and not utterance.certain:
            return  # it is tried again once it is certain that it is needed
        utterance.correction = result
        for warning in result.warnings:
            utterance.warn(warning)
        self._advance(utterance, owner, now)

    # --- from one step to the next ---

    def _advance(self, utterance: Utterance, owner: Owner, now: float) -> None:
        """Go on from where it is, as far as what is there allows."""
        if utterance.asr is None and not self._is_recognised(utterance, owner):
            return
        if not utterance.has_text:
            self._settle(utterance, owner, now)
        elif self._has_speakers(utterance, owner, now) and self._has_correction(utterance, owner, now):
            self._settle(utterance, owner, now)

    def _is_recognised(self, utterance: Utterance, owner: Owner) -> bool:
        if any(piece.result is None for piece in utterance.pieces):
            return False
        utterance.asr = joined(utterance.pieces)
        utterance.timings["asr"] = together(utterance.pieces)
        for warning in utterance.asr.warnings:
            utterance.warn(warning)
        if utterance.has_text:
            owner.recognised(utterance, shed=self._available.shedding.sheds_partials())
        return True

    def _has_speakers(self, utterance: Utterance, owner: Owner, now: float) -> bool:
        assert utterance.asr is not None
        if "diarization" in utterance.open_jobs:
            if utterance.certain:
                due = self._clock.read(now) + self._policy.diarization_s
                self._ledger.wait_until(utterance.open_jobs["diarization"], due)
            return False
        if utterance.lacks("diarization"):
            return False  # it could not be had early
        if not utterance.lines:
            turns = utterance.diarization.turns if utterance.diarization else ()
            utterance.lines = split_by_speaker(utterance.asr.segments, turns)
            if utterance.diarization is not None:
                owner.improved(utterance, shed=self._available.shedding.sheds_partials())
        self._release_audio(utterance, owner)
        return True

    def _has_correction(self, utterance: Utterance, owner: Owner, now: float) -> bool:
        """Its time is over once `correction_s` have passed since the trigger, also if by no fault of the LLM."""
        if "correction" in utterance.open_jobs:
            self._limit_correction(utterance)
            return False
        if not utterance.lacks("correction"):
            return True
        if not self._usable("correction", utterance, now):
            return not utterance.lacks("correction")
        if utterance.certain and self._clock.read(now) >= utterance.served_from + self._policy.correction_s:
            utterance.leave_out("correction", TOO_LATE["correction"])
            return True
        utterance.correction_work = self._correction_work(utterance)
        kind: JobKind = "firm" if utterance.certain else "early"
        self._add_for(utterance, owner, "correction", utterance.correction_work, kind, now)
        self._limit_correction(utterance)
        return False

    def _limit_correction(self, utterance: Utterance) -> None:
        if utterance.certain:
            due = utterance.served_from + self._policy.correction_s
            self._ledger.wait_until(utterance.open_jobs["correction"], due)

    @staticmethod
    def _correction_work(utterance: Utterance) -> CorrectionWork:
        assert utterance.asr is not None
        texts = tuple(line.segment.text for line in utterance.lines)
        return CorrectionWork(texts, utterance.asr.language, utterance.glossary, utterance.texts_before)

    def _drop_correction(self, utterance: Utterance) -> None:
        """It was made of other texts than it would be now: those before it are known by now."""
        utterance.correction = utterance.correction_work = None
        if (job_id := utterance.open_jobs.pop("correction", None)) is not None:
            self._withdraw(job_id)

    def _certain(self, utterance: Utterance, now: float) -> None:
        utterance.certain = True
        utterance.served_from = self._clock.read(now)
        self._under_way[utterance.session, utterance.sequence] = utterance

    def _fail(self, utterance: Utterance, owner: Owner, why: str, now: float) -> None:
        utterance.failure = why
        self._settle(utterance, owner, now)

    def _settle(self, utterance: Utterance, owner: Owner, now: float) -> None:
        """An early one has all that it needs now, and rests."""
        if not utterance.certain:
            if utterance.correction is not None:
                owner.improved(utterance, shed=self._available.shedding.sheds_partials())
            return
        self.withdraw(utterance)
        self._under_way.pop((utterance.session, utterance.sequence), None)
        utterance.settled = now
        self._release_audio(utterance, owner)
        owner.settled(utterance)

    def _release_audio(self, utterance: Utterance, owner: Owner) -> None:
        if utterance.certain and not utterance.audio_released:
            utterance.audio_released = True
            owner.audio_released(utterance)

    def _withdraw(self, job_id: int) -> None:
        stage = self._ledger.withdraw(job_id)
        if stage is not None and self._available.is_up(stage):
            self._ports[stage].cancel(job_id)

    def _withdraw_piece(self, piece: Piece) -> None:
        if piece.job_id is not None:
            self._withdraw(piece.job_id)
            piece.job_id = None

    # --- deadlines ---

    def check_deadlines(self, now: float) -> None:
        """Called every few ten milliseconds: close the joins whose time is up; what comes later is dropped."""
        served = self._clock.read(now)
        for entry in self._ledger.overdue(served):
            self._too_late(entry, now)
        self._shed(served)
        for stage in REQUIRED:
            if self._available.given_up(stage, now):
                self._give_up(stage, DOWN, now)

    def _shed(self, served: float) -> None:
        oldest = next(iter(self._under_way.values()), None)
        shedding = self._available.shedding
        if shedding.behind(served - oldest.served_from if oldest else 0.0):
            _log.warning("shedding", level=shedding.level)
            self._on_shed(shedding.level)

    def _too_late(self, entry: _Entry, now: float) -> None:
        utterance, owner, stage = entry.subject.utterance, entry.subject.owner, entry.stage
        assert utterance is not None and owner is not None
        _log.warning(
            "deadline_passed",
            stage=stage,
            job=entry.row.job_id,
            session=utterance.session,
            buffer=utterance.buffer_id,
        )
        self._withdraw(utterance.open_jobs.pop(stage))
        utterance.leave_out(stage, TOO_LATE[stage])
        if stage == "correction":
            self._available.breaker.too_late(now)
        self._advance(utterance, owner, now)
