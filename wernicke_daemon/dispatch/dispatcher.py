"""What is asked of the stages, and what their answers mean.

How an utterance goes from one stage to the next is in `progress.py`, how jobs are sent and called off in `jobs.py`.

A wait for an optional stage has a deadline on the service clock; when it passes, the utterance goes on without.
Every utterance that is submitted or confirmed is settled exactly once: with lines, with no text, or with a failure.
Pure but for what it calls; `now` is the front's monotonic clock in seconds.
"""

from collections.abc import Callable, Mapping

import structlog

from ipc.audio_handle import AudioHandle
from ipc.errors import EngineFailed, OutOfGpuMemory
from ipc.messages import (
    AsrResult,
    AsrWork,
    CorrectionResult,
    DiarizationResult,
    DiarizationWork,
    Done,
    Failed,
    IngestResult,
    IngestWork,
    JobKind,
    Spans,
    StageName,
)
from wernicke_daemon.dispatch.answer_check import fits
from wernicke_daemon.dispatch.availability import TOO_LATE, UNAVAILABLE, Availability
from wernicke_daemon.dispatch.jobs import Jobs
from wernicke_daemon.dispatch.ledger import Entry
from wernicke_daemon.dispatch.pace import Pace
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.dispatch.progress import DOWN, Progress
from wernicke_daemon.dispatch.requests import Owner, Request
from wernicke_daemon.dispatch.service_clock import ServiceClock
from wernicke_daemon.dispatch.stage_port import OPTIONAL, REQUIRED, StagePort
from wernicke_daemon.dispatch.standing import Standing, Standings
from wernicke_daemon.utterances.pieces import Piece, StageTiming
from wernicke_daemon.utterances.replacing import replaced
from wernicke_daemon.utterances.utterance import Utterance

_log = structlog.get_logger()

GAVE_UP = "This utterance could not be transcribed; the daemon's log says why. The next ones are not affected."


_Entry = Entry[Request]


class Dispatcher:
    """A StageListener."""

    def __init__(
        self,
        policy: Policy,
        on_job: Callable[[StageName, JobKind, StageTiming], None],
        on_status: Callable[[StageName, bool], None],
        now: float,
        on_shed: Callable[[int], None] = lambda level: None,
        on_slow: Callable[[StageName, bool], None] = lambda stage, slow: None,
    ) -> None:
        """on_job: told of every answered job. on_status: told when a stage comes up (True) or goes down. on_shed: told
        the level of what is left out, when it changes (see Shedding). on_slow: told when a stage is slow (True), and
        when it is not any more."""
        self.late_answers = 0  # that nobody waited for any more
        self.behind_s = 0.0  # age of the oldest unfinished utterance, by the service clock
        self.pace = Pace(policy.final, policy.early_window_s)  # what the recogniser is fast enough for
        self._policy = policy  # limits of time and of attempts
        self._on_job = on_job  # told of every answered job
        self._on_status = on_status  # told when a stage comes up or goes down
        self._on_shed = on_shed  # told the level of what is left out
        self._on_slow = on_slow  # told when a stage is slow, and when it is not any more
        self._ingest_answer: Callable[[IngestResult | None], None] | None = None  # who asked for the job that is out
        self._available = Availability(policy.shed_after_s, policy.asr_down_limit_s, now)  # which stages to count on
        self._clock = ServiceClock(policy.restart_grace_s, frozenset(REQUIRED), now)  # of deadlines
        self._standings = Standings(self._available, self._clock)  # how stages stand, by how their replicas do
        self._jobs = Jobs(policy)  # on their way to stages
        self._progress = Progress(policy, self._jobs, self._available, self._clock)  # of utterances

    def connect(self, ports: Mapping[StageName, StagePort]) -> None:
        """Set once, by whoever makes both."""
        self._jobs.connect(ports)

    # --- in ---

    def examine(self, work: IngestWork, answer: Callable[[IngestResult | None], None], now: float) -> None:
        """One ingest job; never more than one at a time. answer: gets the result, or None if it can't be had."""
        self._ingest_answer = answer
        if self._available.given_up("ingest", now):
            self._answer_ingest(None)
            return
        audio_s = sum(task.audio.seconds for task in work.tasks)
        self._jobs.add("ingest", "", work, audio_s, "firm", Request(), now)

    def submit(self, utterance: Utterance, owner: Owner, now: float) -> None:
        """Recognise and diarize it side by side."""
        self._progress.make_certain(utterance, now)
        if self._available.given_up("asr", now):
            self._progress.fail(utterance, owner, DOWN, now)
        else:
            self._progress.begin(utterance, owner, "firm", now)

    @property
    def recognises(self) -> bool:
        """A recogniser takes jobs."""
        return self._available.is_up("asr")

    @property
    def takes_early_work(self) -> bool:
        return self._policy.early and self._available.is_up("asr") and not self._available.shedding.sheds_partials()

    @property
    def takes_live_work(self) -> bool:
        """None while a firm job waits."""
        able = self._policy.live and self._standings.takes_live("asr") and self.pace.live_s > 0
        return able and not self._available.shedding.sheds_partials() and not self._jobs.ledger.firm_waits("asr")

    def begin_early(self, utterance: Utterance, owner: Owner, now: float) -> None:
        """As `submit`, for one whose end is not certain yet: `confirm` or `withdraw` it."""
        utterance.certain = False
        self._progress.begin(utterance, owner, "early", now)

    def confirm(self, utterance: Utterance, owner: Owner, now: float) -> None:
        """Its end is certain, and it is as it was begun early: what it has is used, what it lacks is done."""
        self._progress.make_certain(utterance, now)
        if self._available.given_up("asr", now) and utterance.asr is None:
            self._progress.fail(utterance, owner, DOWN, now)
            return
        for job_id in utterance.open_jobs.values():
            self._jobs.ledger.make_firm(job_id)
        if utterance.has_text:
            owner.recognised(utterance, shed=True)  # what depends on it does so from now on
            if utterance.correction_work not in (None, self._progress.correction_work(utterance)):
                self._progress.drop_correction(utterance)
        utterance.early_ms = utterance.done_ms
        self._progress.begin(utterance, owner, "firm", now)

    def withdraw(self, utterance: Utterance, kept: Piece | None = None) -> None:
        """It was begun early and is no more. kept: goes on, to be part of another's text."""
        self._progress.withdraw(utterance, kept)

    def listen(self, piece: Piece, utterance: Utterance, owner: Owner, now: float) -> None:
        """A live pass. utterance: says in which language."""
        self._jobs.recognise(piece, utterance, owner, now)

    def listen_to_more(self, piece: Piece, audio: AudioHandle, speech: Spans) -> None:
        """A live pass that has not begun hears this instead."""
        self._jobs.listen_to_more(piece, audio, speech)

    def drop(self, piece: Piece) -> None:
        """A live pass that nobody wants to hear of any more."""
        self._jobs.withdraw_piece(piece)

    def is_firm(self, job_id: int) -> bool:
        """Whether that job, which is not answered, counts."""
        entry = self._jobs.ledger.entry(job_id)
        return entry is not None and entry.row.kind == "firm"

    def utterance_of(self, job_id: int) -> tuple[str, int] | None:
        """Session and sequence of the utterance that a firm job, which is not answered, is for."""
        entry = self._jobs.ledger.entry(job_id)
        if entry is None or entry.row.kind != "firm":
            return None
        request = entry.subject
        piece_of = self._jobs.waiting.get(request.piece, (None, None))[0] if request.piece else request.utterance
        return (piece_of.session, piece_of.sequence) if piece_of else None

    def depth(self, stage: StageName) -> int:
        return self._jobs.ledger.depth(stage)

    @property
    def shed_level(self) -> int:
        """What is left out because results are behind: see Shedding."""
        return self._available.shedding.level

    # --- StageListener ---

    def replica_up(self, stage: StageName, replica: int, engine: str, live: bool, now: float) -> None:
        self._take_back(stage, replica, now)
        goes_on = self._standings.others_up(stage, replica)
        if stage == "asr" and not goes_on:
            self.pace.forget()
        self._standings.up(stage, replica, engine, live, now)
        self._jobs.ledger.replica_up(stage, replica)
        if not goes_on:
            self._on_status(stage, True)
        self._jobs.pump(stage, now)

    def replica_down(self, stage: StageName, replica: int, failed: bool, now: float) -> None:
        self._fell(stage, replica, Standing.FAILED if failed else Standing.DOWN, now)

    def replica_unloaded(self, stage: StageName, replica: int, now: float) -> None:
        self._fell(stage, replica, Standing.UNLOADED, now)

    def replica_loading(self, stage: StageName, replica: int, now: float) -> None:
        self._standings.loading(stage, replica, now)

    def replica_slow(self, stage: StageName, replica: int, slow: bool) -> None:
        if (news := self._standings.slow(stage, replica, slow)) is not None:
            self._on_slow(stage, news)

    def _fell(self, stage: StageName, replica: int, standing: Standing, now: float) -> None:
        """A replica has lost its process."""
        is_down = self._standings.fell(stage, replica, standing, now)
        self._take_back(stage, replica, now)
        if self._standings.of(stage) is Standing.FAILED and stage in OPTIONAL:
            self._give_up(stage, GAVE_UP, now)
        if is_down:
            self._on_status(stage, False)
        self._jobs.pump(stage, now)  # others may do what it had

    def _take_back(self, stage: StageName, replica: int, now: float) -> None:
        """The process that had its jobs is gone, whether or not another has taken its place already."""
        for entry in self._jobs.ledger.replica_gone(stage, replica):
            row = entry.row
            if row.kind == "firm":
                _log.error("poison_job", stage=stage, job=row.job_id, session=row.session, attempts=row.attempts)
            self._without(entry, GAVE_UP, now)

    def _give_up(self, stage: StageName, why: str, now: float) -> None:
        for entry in self._jobs.ledger.give_up(stage):
            self._without(entry, why, now)

    def job_started(self, stage: StageName, replica: int, job_id: int) -> None:
        self._jobs.ledger.started(stage, replica, job_id)

    def job_answered(self, stage: StageName, replica: int, answer: Done | Failed, now: float) -> None:
        work = self._jobs.ledger.sent_work(stage, replica, answer.job_id)
        if isinstance(work, AsrWork) and isinstance(answer, Done):
            self.pace.took(work.kind == "live", work.audio.seconds, answer.run_ms / 1000)
        entry = self._jobs.ledger.answered(stage, replica, answer.job_id)
        if entry is None:
            self.late_answers += 1
            _log.debug("late_answer", stage=stage, job=answer.job_id, run_ms=round(answer.run_ms, 1))
            self._jobs.pump(stage, now)
            return
        timing = self._timed(entry, answer, now)
        self._accept(entry, answer, now)
        self._jobs.pump(stage, now)
        self._note(entry, timing)  # what somebody waits for goes first

    # --- what an answer means ---

    def _timed(self, entry: _Entry, answer: Done | Failed, now: float) -> StageTiming:
        """Queued: from asked-for to answered, less the time that the engine worked on it."""
        row, request = entry.row, entry.subject
        queued_ms = (now - row.created) * 1000 - answer.run_ms
        timing = StageTiming(max(0.0, queued_ms), answer.run_ms, max(1, row.attempts), now)
        if request.piece is not None:
            request.piece.timing = timing
        elif request.utterance is not None:
            request.utterance.timings[entry.stage] = timing
        return timing

    def _note(self, entry: _Entry, timing: StageTiming) -> None:
        row = entry.row
        _log.debug(
            "job",
            stage=entry.stage,
            job=row.job_id,
            session=row.session,
            kind=row.kind,
            audio_s=round(row.work.audio.seconds, 1) if isinstance(row.work, AsrWork | DiarizationWork) else None,
            run_ms=round(timing.run_ms, 1),
        )
        self._on_job(entry.stage, row.kind, timing)

    def _accept(self, entry: _Entry, answer: Done | Failed, now: float) -> None:
        if isinstance(answer, Failed):
            self._failed(entry, answer, now)
        elif not fits(entry.row.work, answer.result):
            wrong = Failed(answer.job_id, "WRONG_ANSWER", "the answer is not one to its job", 0.0)
            self._failed(entry, wrong, now)
        else:
            self._jobs.ledger.close(entry)
            self._take(entry.subject, answer, now)

    def _take(self, request: Request, answer: Done, now: float) -> None:
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
                self._progress.advance(utterance, owner, now)
            case CorrectionResult():
                assert utterance is not None and owner is not None
                del utterance.open_jobs["correction"]
                self._corrected(utterance, owner, answer.result, now)

    def _failed(self, entry: _Entry, answer: Failed, now: float) -> None:
        """What an engine says that it can't do is not tried again; what went wrong otherwise may go right."""
        row = entry.row
        final = answer.code == EngineFailed.code
        again = not final and self._jobs.ledger.retry(entry)
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
            utterance = self._jobs.waiting.get(entry.subject.piece, (None, None))[0]
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
        self._jobs.ledger.close(entry)
        utterance, owner, piece = entry.subject.utterance, entry.subject.owner, entry.subject.piece
        if owner is None:
            self._answer_ingest(None)
        elif piece is not None:
            self._without_piece(piece, owner, why, now)
        elif utterance is not None:
            del utterance.open_jobs[entry.stage]
            if utterance.certain:  # else it is tried again once it is
                utterance.leave_out(entry.stage, UNAVAILABLE[entry.stage])
                self._progress.advance(utterance, owner, now)

    def _without_piece(self, piece: Piece, owner: Owner, why: str, now: float) -> None:
        piece.job_id = None
        utterance, _ = self._jobs.waiting.pop(piece, (None, owner))
        if piece.kind == "live":
            owner.heard(piece)
        elif utterance is not None and utterance.certain:
            self._progress.fail(utterance, owner, why, now)

    def _recognised(self, piece: Piece, result: AsrResult, owner: Owner, now: float) -> None:
        piece.job_id, piece.result = None, replaced(result, self._policy.replacements)
        utterance, _ = self._jobs.waiting.pop(piece, (None, owner))
        if piece.kind == "live":
            owner.heard(piece)
        elif utterance is not None:
            self._progress.advance(utterance, owner, now)

    def _corrected(self, utterance: Utterance, owner: Owner, result: CorrectionResult, now: float) -> None:
        late = TOO_LATE["correction"] in result.warnings
        self._available.breaker.too_late(now) if late else self._available.breaker.answered()
        if result.warnings and not utterance.certain:
            return  # it is tried again once it is certain that it is needed
        utterance.correction = result
        for warning in result.warnings:
            utterance.warn(warning)
        self._progress.advance(utterance, owner, now)

    # --- deadlines ---

    def check_deadlines(self, now: float) -> None:
        """Called every few ten milliseconds: close the joins whose time is up; what comes later is dropped."""
        served = self._clock.read(now)
        for entry in self._jobs.ledger.overdue(served):
            self._too_late(entry, now)
        self._shed(served)
        for stage in REQUIRED:
            if self._available.given_up(stage, now):
                self._give_up(stage, DOWN, now)

    def _shed(self, served: float) -> None:
        oldest = next(iter(self._progress.under_way.values()), None)
        shedding = self._available.shedding
        self.behind_s = served - oldest.served_from if oldest else 0.0
        if shedding.behind(self.behind_s):
            _log.warning("shedding", leaves_out=shedding.level)  # `level` is the line's own
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
        self._jobs.withdraw(utterance.open_jobs.pop(stage))
        utterance.leave_out(stage, TOO_LATE[stage])
        if stage == "correction":
            self._available.breaker.too_late(now)
        self._progress.advance(utterance, owner, now)
