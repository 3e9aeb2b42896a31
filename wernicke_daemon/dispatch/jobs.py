"""Jobs on their way: asked for, sent to their stage, called off. Pure but for the ports that it calls."""

from collections.abc import Mapping

from msgspec.structs import replace

from ipc.audio_handle import AudioHandle
from ipc.messages import AsrWork, Job, JobKind, Spans, StageName, Work
from wernicke_daemon.dispatch.ledger import Ledger
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.dispatch.requests import Owner, Request
from wernicke_daemon.dispatch.stage_port import StagePort
from wernicke_daemon.utterances.pieces import Piece, speech_in
from wernicke_daemon.utterances.utterance import Utterance


class Jobs:
    """ledger: what is out. waiting: whose text a piece under way is part of."""

    def __init__(self, policy: Policy) -> None:
        self.ledger: Ledger[Request] = Ledger(policy.credit, policy.max_attempts)
        self.waiting: dict[Piece, tuple[Utterance, Owner]] = {}
        self._policy = policy
        self._ports: Mapping[StageName, StagePort] = {}

    def connect(self, ports: Mapping[StageName, StagePort]) -> None:
        self._ports = ports

    def add(
        self, stage: StageName, session: str, work: Work, audio_s: float, kind: JobKind, request: Request, now: float
    ) -> int:
        """Its job id. audio_s: seconds of audio that it is about."""
        job_id = self.ledger.add(stage, session, work, self._limit_s(audio_s), kind, request, now)
        self.pump(stage, now)
        return job_id

    def add_for(
        self, utterance: Utterance, owner: Owner, stage: StageName, work: Work, kind: JobKind, now: float
    ) -> None:
        """What diarization or correction is to do for an utterance."""
        request = Request(owner, utterance)
        utterance.open_jobs[stage] = self.add(
            stage, utterance.session, work, utterance.audio.seconds, kind, request, now
        )

    def ask_for(self, piece: Piece, utterance: Utterance, owner: Owner, kind: JobKind, now: float) -> None:
        """A piece's text is to be part of that utterance's: recognise it, if that is not done or under way."""
        if piece.result is not None:
            return
        self.waiting[piece] = (utterance, owner)
        if piece.job_id is None:
            piece.kind = kind
            self.recognise(piece, utterance, owner, now)
        elif kind == "firm":
            piece.kind = kind
            self.ledger.make_firm(piece.job_id)

    def recognise(self, piece: Piece, utterance: Utterance, owner: Owner, now: float) -> None:
        """utterance: says in which language, and what was said before."""
        chars = self._policy.asr_context_chars
        context = utterance.text_before[-chars:] if chars else ""
        speech = speech_in(piece.audio, piece.speech)
        spoken = utterance.language_before if utterance.language == "auto" else ""
        piece.work = AsrWork(piece.audio, utterance.language, utterance.glossary, context, piece.kind, speech, spoken)
        request = Request(owner, None, piece)
        audio_s = piece.audio.seconds
        piece.job_id = self.add("asr", utterance.session, piece.work, audio_s, piece.kind, request, now)

    def listen_to_more(self, piece: Piece, audio: AudioHandle, speech: Spans) -> None:
        """A live pass that has not begun hears this instead. speech: as in Piece."""
        if piece.job_id is None or piece.work is None:
            return
        work = replace(piece.work, audio=audio, speech=speech_in(audio, speech))
        if self.ledger.replace(piece.job_id, work, self._limit_s(audio.seconds)):
            piece.audio, piece.work = audio, work

    def pump(self, stage: StageName, now: float) -> None:
        for replica, row in self.ledger.take(stage, now):
            self._ports[stage].send(Job(row.job_id, row.work, row.limit_s), replica)

    def withdraw(self, job_id: int) -> None:
        if (where := self.ledger.withdraw(job_id)) is not None:
            stage, replica = where
            self._ports[stage].cancel(job_id, replica)

    def withdraw_piece(self, piece: Piece) -> None:
        if piece.job_id is not None:
            self.withdraw(piece.job_id)
            piece.job_id = None

    def _limit_s(self, audio_s: float) -> float:
        return self._policy.job_s + self._policy.job_per_audio_s * audio_s
