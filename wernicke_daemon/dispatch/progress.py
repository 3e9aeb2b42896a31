"""An utterance's way from one stage to the next; where ASR and diarization of an utterance meet again.

    boundary ──▶ asr ─────────┐
             └─▶ diarization ─┴▶ join ──▶ correction ──▶ settled

One whose end is not certain yet goes the same way with early jobs, and rests before it would be settled; once it is
confirmed it goes on from where it is. What an early job could not do is left to firm ones.

A correction is given what was said before: it is asked for once that is recognised, which is the order in which one
replica does it, and no later than its result could leave.

Each call goes on from where the utterance is, as far as what is there allows. Pure but for what it calls.
"""

import structlog

from ipc.messages import CorrectionWork, DiarizationWork, JobKind, StageName
from wernicke_daemon.dispatch.availability import TOO_LATE, Availability
from wernicke_daemon.dispatch.jobs import Jobs
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.dispatch.requests import Owner
from wernicke_daemon.dispatch.service_clock import ServiceClock
from wernicke_daemon.utterances.pieces import Piece, joined, together
from wernicke_daemon.utterances.speaker_assignment import lines_by_speaker
from wernicke_daemon.utterances.utterance import Utterance

DOWN = "The recogniser has been down for too long; the daemon's log says why. The audio of this utterance is lost."

_log = structlog.get_logger()


class Progress:
    """under_way: utterances whose end is certain and that are not settled, oldest first: how far results are behind."""

    def __init__(self, policy: Policy, jobs: Jobs, available: Availability, clock: ServiceClock) -> None:
        self.under_way: dict[tuple[str, int], Utterance] = {}
        self._put_off: dict[tuple[str, int], tuple[Utterance, Owner]] = {}  # whose correction waits for earlier texts
        self._policy = policy
        self._jobs = jobs
        self._available = available
        self._clock = clock

    def begin(self, utterance: Utterance, owner: Owner, kind: JobKind, now: float) -> None:
        """Ask for what is lacking and not under way. A stage answers on a later turn of the event loop."""
        for piece in utterance.pieces:
            self._jobs.ask_for(piece, utterance, owner, kind, now)
        if utterance.lacks("diarization") and self._usable("diarization", utterance, now):
            self._jobs.add_for(utterance, owner, "diarization", DiarizationWork(utterance.audio), kind, now)
        self.advance(utterance, owner, now)

    def _usable(self, stage: StageName, utterance: Utterance, now: float) -> bool:
        """Whether to ask this stage. One that can't be asked now is left out; while the end is not certain, put off."""
        if not self._available.uses(stage):
            utterance.left_out.add(stage)
            return False
        reason = self._available.reason_to_skip(stage, now)
        if reason is not None and utterance.certain:
            utterance.leave_out(stage, reason)
        return reason is None

    def advance(self, utterance: Utterance, owner: Owner, now: float) -> None:
        """Go on from where it is, as far as what is there allows."""
        recognised = utterance.asr is not None
        if not recognised and not self._is_recognised(utterance, owner):
            return
        complete = not utterance.has_text or (
            self._has_speakers(utterance, owner, now) and self._has_correction(utterance, owner, now)
        )
        if utterance.lines:  # they are the last that needs its audio
            self._release_audio(utterance, owner)
        if complete:
            self._settle(utterance, owner, now)
        if not recognised:
            self._go_on_after(utterance, now)

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

    def _go_on_after(self, utterance: Utterance, now: float) -> None:
        """What it said is known, or never will be: those that were said later may be corrected now."""
        for key in [key for key in self._put_off if key[0] == utterance.session and key[1] > utterance.sequence]:
            if key in self._put_off:  # another of them may have gone on, and others with it
                self.advance(*self._put_off.pop(key), now)

    def _follows_unknown(self, utterance: Utterance) -> bool:
        """Something said before it in its session is still being recognised, by another replica. What was given up once
        and is done late does not count: it is no part of what was said, and may never be."""
        return any(
            earlier.said is utterance.said and earlier.sequence < utterance.sequence and earlier.asr is None
            for earlier in self.under_way.values()
        )

    def _has_speakers(self, utterance: Utterance, owner: Owner, now: float) -> bool:
        assert utterance.asr is not None
        if "diarization" in utterance.open_jobs:
            if utterance.certain:
                due = self._clock.read(now) + self._policy.diarization_s
                self._jobs.ledger.wait_until(utterance.open_jobs["diarization"], due)
            return False
        if utterance.lacks("diarization"):
            return False  # it could not be had early
        if not utterance.lines:
            found = utterance.diarization
            pieces = found.pieces if found is not None else ()
            utterance.lines = lines_by_speaker(utterance.asr, found, [piece.speaker for piece in pieces])
            if found is not None:
                owner.improved(utterance, shed=self._available.shedding.sheds_partials())
        return True

    def _has_correction(self, utterance: Utterance, owner: Owner, now: float) -> bool:
        """Its time is over once `correction_s` have passed since the trigger, also if by no fault of the LLM."""
        if "correction" in utterance.open_jobs:
            self._limit_correction(utterance)
            return False
        if not utterance.lacks("correction"):
            return True
        if self._available.uses("correction") and self._follows_unknown(utterance):
            if utterance.certain:
                self._put_off[utterance.session, utterance.sequence] = utterance, owner
            return False  # before the next question, whose answer may be the one try of an LLM that is left alone
        if not self._usable("correction", utterance, now):
            return not utterance.lacks("correction")
        if utterance.certain and self._clock.read(now) >= utterance.served_from + self._policy.correction_s:
            utterance.leave_out("correction", TOO_LATE["correction"])
            return True
        work = utterance.correction_work = self.correction_work(utterance)
        if utterance.corrected_early is not None and utterance.corrected_early[0] == work:
            utterance.correction = utterance.corrected_early[1]
            return True
        kind: JobKind = "firm" if utterance.certain else "early"
        self._jobs.add_for(utterance, owner, "correction", work, kind, now)
        self._limit_correction(utterance)
        return False

    def _limit_correction(self, utterance: Utterance) -> None:
        if utterance.certain:
            due = utterance.served_from + self._policy.correction_s
            self._jobs.ledger.wait_until(utterance.open_jobs["correction"], due)

    @staticmethod
    def correction_work(utterance: Utterance) -> CorrectionWork:
        assert utterance.asr is not None
        texts = tuple(line.segment.text for line in utterance.lines)
        return CorrectionWork(texts, utterance.asr.language, utterance.glossary, utterance.texts_before)

    def drop_correction(self, utterance: Utterance) -> None:
        """It was made of other texts than it would be now: those before it are known by now."""
        utterance.correction = utterance.correction_work = None
        if (job_id := utterance.open_jobs.pop("correction", None)) is not None:
            self._jobs.withdraw(job_id)

    def make_certain(self, utterance: Utterance, now: float) -> None:
        utterance.certain = True
        utterance.served_from = self._clock.read(now)
        self.under_way[utterance.session, utterance.sequence] = utterance

    def withdraw(self, utterance: Utterance, kept: Piece | None = None) -> None:
        """It was begun early and is no more. kept: goes on, to be part of another's text."""
        for job_id in utterance.open_jobs.values():
            self._jobs.withdraw(job_id)
        utterance.open_jobs.clear()
        for piece in utterance.pieces:
            if self._jobs.waiting.get(piece, (None, None))[0] is utterance:
                del self._jobs.waiting[piece]
                if piece is not kept:
                    self._jobs.withdraw_piece(piece)

    def fail(self, utterance: Utterance, owner: Owner, why: str, now: float) -> None:
        utterance.failure, utterance.given_up = why, why == DOWN
        self._settle(utterance, owner, now)
        self._go_on_after(utterance, now)

    def _settle(self, utterance: Utterance, owner: Owner, now: float) -> None:
        """An early one has all that it needs now, and rests."""
        if not utterance.certain:
            if utterance.correction is not None:
                owner.improved(utterance, shed=self._available.shedding.sheds_partials())
            return
        self.withdraw(utterance)
        self.under_way.pop((utterance.session, utterance.sequence), None)
        self._put_off.pop((utterance.session, utterance.sequence), None)
        utterance.settled = now
        self._release_audio(utterance, owner)
        owner.settled(utterance)

    def _release_audio(self, utterance: Utterance, owner: Owner) -> None:
        if utterance.certain and not utterance.audio_released:
            utterance.audio_released = True
            owner.audio_released(utterance)
