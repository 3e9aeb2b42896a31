"""One client's speech: its audio on the way in, its results on the way out, in order. Survives its connection and
every stage.

Audio goes through the intake, is examined by the ingest stage, and is kept until its utterance needs it no more. A
result is kept in the transcript store before it is sent. Each part has a module: which part of its life a session is in
(`lifecycle.py`), audio in (`intake.py`), utterances and the samples that are still needed for them (`cutting.py`), what
they depend on (`utterances/context.py`), what its client is sent (`delivery.py`) and shown before (`captions.py`), what
is kept of it (`records.py`).
"""

import asyncio
import math
import secrets
from collections.abc import Callable, Collection, Iterable
from functools import partial

import structlog

from ipc.arena import RingWriter
from ipc.audio_handle import SAMPLE_RATE
from ipc.messages import Boundary, IngestOutcome, IngestTask, OpenSpeech, Trigger
from wernicke_daemon.observability.pages import SessionFigures
from wernicke_daemon.sessions.captions import Captions
from wernicke_daemon.sessions.clock import SYSTEM_CLOCK, Clock
from wernicke_daemon.sessions.cutting import Cutting
from wernicke_daemon.sessions.delivery import Delivery, Send
from wernicke_daemon.sessions.giving_way import GivingWay
from wernicke_daemon.sessions.intake import Intake
from wernicke_daemon.sessions.lifecycle import Lifecycle, SessionState
from wernicke_daemon.sessions.naming import Naming
from wernicke_daemon.sessions.options import Options, StartingPoint
from wernicke_daemon.sessions.records import Records
from wernicke_daemon.sessions.speculation import Speculation, Workbench
from wernicke_daemon.sessions.watching import Watched, Watchers
from wernicke_daemon.utterances import results
from wernicke_daemon.utterances.caption import Shown
from wernicke_daemon.utterances.context import Context
from wernicke_daemon.utterances.late import Late
from wernicke_daemon.utterances.ordering import InOrder
from wernicke_daemon.utterances.pieces import Piece
from wernicke_daemon.utterances.results import Outcome
from wernicke_daemon.utterances.utterance import Utterance
from wernicke_daemon.utterances.voiceprints import Voiceprint
from wernicke_daemon.utterances.voices import Voices
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.audio import Audio
from wernicke_daemon.wire.protocol import Final, ServerMessage, SpeakerUpdate

_log = structlog.get_logger()


class Session:
    """One that is taken up again after the daemon died goes on with its own numbers, of samples and utterances, and
    with what it knew."""

    def __init__(
        self,
        session_id: str,
        ring: RingWriter,
        options: Options,
        context_lines: int,
        bench: Workbench,
        records: "Records[Session]",
        start: StartingPoint | None = None,
        clock: Clock = SYSTEM_CLOCK,
        min_silence_s: float = 0.0,
        hurry: Callable[[], None] = lambda: None,
        voices: Voices | None = None,
        known: Callable[[], Iterable[Voiceprint]] = tuple,
        continues: str | None = None,
        revise_s: float = math.inf,
        watchers: Watchers | None = None,
    ) -> None:
        """bench: who works on its utterances. start: what it goes on from, None for a new session. min_silence_s: see
        `vad.min_silence_s`. hurry: has its news taken at once. voices: shared with other sessions, None for
        those of `start`. known: of people from before. continues: id of the session whose client it goes on for.
        revise_s: see `diarization.revise_s`. watchers: see what it says; None for nobody."""
        start = start or StartingPoint()
        self.id = session_id  # told to its client; names it in the store and the log
        self.resume_token = secrets.token_urlsafe(16)  # who has it may come back to the session
        self.continues = continues  # id of the session whose client it goes on for
        self.whole = start.sequence == 1  # all its results are in memory: none came before the daemon died
        self.options = options  # what its client asked for
        self.ring = ring  # its audio
        self.done = asyncio.Event()  # set when it is over
        self.audio_lock = asyncio.Lock()  # held while audio is taken in, which waits while the ring is full
        self.life = Lifecycle()  # which part of it the session is in
        self._clock = clock  # monotonic and wall time
        self._hurry = hurry  # has its news taken at once
        self._giving_way = GivingWay()  # to others, where it is in the background
        self._decided_at: int | None = None  # the sample with which silence will be long enough; None once it is there
        self._bench = bench  # who works on its utterances
        self._records = records  # what is kept of it
        self._min_silence_s = min_silence_s  # see `vad.min_silence_s`
        # Audio on its way in.
        self._intake = Intake(
            session_id,
            ring,
            options.audio,
            start,
            partial(records.audio, self),
            self._warn,
            clock,
            options.background,
        )
        # what its next utterances depend on: voices, and what was said before; as of the last result that was kept
        self.context = Context(start.remembered, start.sequence, context_lines, voices, known)
        self.context.voices.count = options.speakers
        self._cutting = Cutting(session_id, ring, start, self.context.said, clock)  # utterances, samples still needed
        self._speculation = Speculation(bench, self, ring.handle, self._utterance)  # on what is being said
        self._delivery = Delivery(options.events)  # what its client is sent
        # what those are shown who watch all sessions
        self._watched = Watched(session_id, watchers or Watchers(), clock.wall())
        # of what is not final yet
        self._captions = Captions(self._delivery, self._watched, self._intake.time_of_day, clock)
        self._finals: InOrder[Utterance] = InOrder(start.sequence)  # settled ones that wait for those before them
        revised, named = partial(records.revised, self), partial(records.named, self)
        self._naming = Naming(self.context, revised, named, revise_s)  # who its voices are

    # --- its client ---

    def slept(self, seconds: float) -> None:
        """The machine was asleep for so long: the open utterance ends, as it does in any other silence."""
        self._intake.slept(seconds)

    def attach(self, send: Send, *, resumed: bool = False) -> None:
        """A client listens. resumed: one that came back over another connection, and will be told by `go_on` where."""
        self._delivery.attach(send, resumed)
        self._watched.attached(True)
        self._intake.hold()

    def replay(self, after: int) -> None:
        """Send again what came after the last result that a client had, in order."""
        self._delivery.replay(after)

    async def go_on(self) -> None:
        """Tell a client that came back where its audio goes on. What the connection before was still taking in is in
        by then, which waits while the ring is full."""
        async with self.audio_lock:
            self._intake.decoder.forget_partial_sample()
            self._delivery.go_on(self.received())

    def detach(self) -> None:
        """Nobody listens. Time does not count while a client may come back: its silence is the line's, not its."""
        self._delivery.detach()
        self._watched.attached(False)

    def abandon(self) -> None:
        """The daemon can't wait any longer: what is not final stays in the journal, what is not in yet is refused."""
        self._tell_gap(self._cutting.gap.take(self._clock.monotonic()))
        self.life.abandon()
        self.done.set()
        self._intake.close()

    def send(self, message: ServerMessage) -> None:
        """To the client, if there is one."""
        self._delivery.send(message)

    def tell(self, event: str, message: ServerMessage) -> None:
        """Only to a client that asked for it."""
        self._delivery.tell(event, message)

    # --- what is known of it ---

    @property
    def ended(self) -> Trigger | None:
        """The trigger that it ended by; None while audio is taken in."""
        return self.life.ended

    @property
    def abandoned(self) -> bool:
        """It is over although results are missing."""
        return self.life.state is SessionState.ABANDONED

    @property
    def may_be_resumed(self) -> bool:
        """Its client knows how to come back."""
        return "session" in self.options.events

    @property
    def attached(self) -> bool:
        return self._delivery.attached

    @property
    def paused(self) -> bool:
        """What its client sent waits for room, in the ring or among the ends of utterances."""
        return self._intake.paused

    def received(self) -> protocol.AudioReceived:
        """How far audio came in; a client that comes back goes on there."""
        return self._intake.received

    def figures(self) -> SessionFigures:
        """For /stats."""
        return SessionFigures(
            session=self.id,
            attached=self.attached,
            received_s=round(self.ring.written / SAMPLE_RATE, 1),
            results=self._delivery.history.results,
            under_way=len(self._cutting.leases),
            paused=self.paused,
        )

    def shown(self) -> protocol.SessionShown:
        """To those who watch."""
        return self._watched.shown(self.options.language, self._delivery.history.after(0))

    def over(self) -> None:
        """Those who watch are told so."""
        self._watched.over()

    @property
    def wall_end(self) -> float:
        """Seconds since 1970 of the last sample received; now, but for a session that is taken up again."""
        return self._intake.wall_now

    def account(self) -> dict[str, float]:
        """What became of the audio of a session that is over, in seconds."""
        return self._cutting.account.seconds(self.ring.written)

    # --- audio in ---

    async def feed(self, data: bytes) -> None:
        """One frame. Waits while the ring is full. Raises InvalidAudio; what was refused is out, the rest is in."""
        async with self.audio_lock:
            await self._intake.feed(data)
        if self._decided_at is not None and self.ring.written >= self._decided_at:
            self._decided_at = None
            self._hurry()

    def _warn(self, code: str, message: str) -> None:
        warning = protocol.Warned(code, message)
        self.tell("status", warning)
        self._watched.tell(warning)

    async def feed_recovered(self, samples: Audio) -> None:
        """16 kHz mono from a journal. Waits while the ring is full."""
        await self._intake.append(samples)

    async def end_utterance(self, trigger: Trigger) -> None:
        """End the open utterance after all that was received; but for `flush`, the session too."""
        if trigger != "flush":
            self.life.ask_to_end(trigger)
        async with self.audio_lock:
            await self._intake.end(trigger)
            if trigger != "flush":
                self.life.all_audio_is_in()
                if self._intake.nothing_came:  # nothing to examine: it needs its ring no more
                    self._finish()

    def configure(self, options: Options) -> None:
        """A `start` message. Raises InvalidMessage once audio has come."""
        if self._intake.decoder.bytes_received:
            raise protocol.InvalidMessage("A start message has to come before the first audio; open a new connection.")
        self.options = options
        self.context.voices.count = options.speakers
        self._delivery.events = options.events
        self._intake.configure(options.audio, options.background)

    def renamed(self, before: Collection[str]) -> None:
        """Somebody has said who a voice is, of earlier results, too. before: all who had been named until then."""
        self._naming.renamed(before)
        self._free()  # into the journal with it

    @property
    def speaks(self) -> bool:
        """Its client is speaking, or has spoken and waits for the result."""
        return (self._intake.speaking and self.attached) or len(self._cutting.leases) > 0

    def take_news(self, now: float, others_speak: bool = False) -> IngestTask | None:
        """An ingest task if there is anything to examine; the next is asked for after this one's `commit`.

        now: seconds of its clock, monotonic. others_speak: somebody does in a session that is not in the background."""
        self._delivery.acknowledge(self.received(), now, last=not self.life.takes_audio)
        self._tell_gap(self._cutting.gap.take_due(now))
        self._captions.show_due()
        if self.options.background and self._giving_way.waits(self._cutting.leases, others_speak, now):
            return None
        return self._intake.take_news(now, listening=self.attached)

    def commit(self, task: IngestTask, outcome: IngestOutcome | None) -> None:
        """What an ingest job found; None where it can't be had: that audio becomes a gap."""
        now = self._clock.monotonic()
        if outcome is None or outcome.stale:
            self._intake.lost(task)
            self._cutting.lose(task.audio.end)
            self._follow(None, task.audio.end, now)
            self._tell_gap(self._cutting.gap.take_due(now))
        else:
            self._tell_gap(self._cutting.gap.take(now))
            for boundary in self._intake.found(outcome):
                self._begin(boundary, now)
            self._cutting.leases.retain_from = outcome.retain_from
            self._follow(outcome.open, outcome.examined_to, now)
            if outcome.dropped_samples:
                self._records.dropped(outcome.dropped_samples / SAMPLE_RATE)
        if task.end == "flush":
            self.tell("flush", protocol.Flushed(self._cutting.next_sequence - 1))
        self._free()

    def _begin(self, boundary: Boundary, now: float) -> None:
        """Where it has been worked on in just this range, that counts now."""
        self._giving_way.begun()
        utterance, begun_early = self._speculation.end(boundary, now)
        self._captions.add(utterance)
        self._cutting.begin(utterance)
        (self._bench.confirm if begun_early else self._bench.submit)(utterance, self)

    def _utterance(self, boundary: Boundary, pieces: tuple[Piece, ...], named: Utterance | None) -> Utterance:
        """named: what it takes the place of, None for a new one."""
        if named is not None:
            return self._cutting.in_place_of(named, boundary, pieces)
        return self._cutting.utterance(boundary, pieces, self.options, self._intake.time_of_day(boundary.start))

    def _follow(self, speech: OpenSpeech | None, heard_to: int, now: float) -> None:
        """Work on what is being said, and take back what turned out to be no utterance."""
        self._decided_at = speech.ends_at if speech is not None and speech.paused else None
        dropped = self._speculation.follow(speech, heard_to, self.ring.written, self._captions.wanted, now)
        if (named := self._speculation.named) is not None:
            self._captions.add(named)
        if dropped is not None:
            self._cutting.take_back(dropped)
            self.settled(dropped)
        self._end_finished_sentence(speech)

    def _end_finished_sentence(self, speech: OpenSpeech | None) -> None:
        if not self._min_silence_s or speech is None or not self._intake.settled:
            return
        if (silence_s := speech.silence / SAMPLE_RATE) >= self._min_silence_s and self._speculation.is_finished(speech):
            _log.info("ended_by_sentence", session=self.id, silence_s=round(silence_s, 2))
            self._intake.end_where_examined()

    def _tell_gap(self, gap: protocol.Gap | None) -> None:
        if gap is not None:
            _log.error("audio_lost", session=self.id, start_s=gap.start, end_s=gap.end)
            self._delivery.outcome(gap)
            self._watched.tell(gap)

    def _free(self) -> None:
        """Give up what nobody needs any more; is the session over?"""
        if self.done.is_set():
            return
        self._intake.free(self._cutting.leases.ring_floor())
        self._records.final_before(self, *self._cutting.first_not_final(self._speculation.named))
        all_final = self.life.state is SessionState.ENDED and self._intake.settled and not len(self._cutting.leases)
        if all_final and self._naming.is_over():
            self._tell_gap(self._cutting.gap.take(self._clock.monotonic()))
            self._finish()

    def _finish(self) -> None:
        self.life.every_result_is_kept()
        self.done.set()

    # --- results: the dispatcher's Owner ---

    def heard(self, piece: Piece) -> None:
        utterance = self._speculation.heard(piece, self._clock.monotonic())
        if utterance is not None:
            self._captions.show(utterance)

    def recognised(self, utterance: Utterance, shed: bool) -> None:
        if utterance.certain:
            assert utterance.asr is not None
            self.context.said.add(utterance.sequence, results.recognised_text(utterance), utterance.asr.language)
        if not shed:
            self._caption(utterance, results.recognised(utterance, self.options.words))

    def improved(self, utterance: Utterance, shed: bool) -> None:
        if not shed:
            in_turn = self._finals.next == utterance.sequence  # else voices before it have no names yet
            names = self.context.preview_names(utterance) if in_turn else []
            self._caption(utterance, results.improved(utterance, names, self.options.words))

    def _caption(self, utterance: Utterance, known: Shown) -> None:
        assert utterance.asr is not None
        if utterance.caption.recognised(known, utterance.asr.language):
            self._speculation.shown_up_to(utterance)
        self._captions.show(utterance)

    def audio_released(self, utterance: Utterance) -> None:
        self._cutting.leases.release_audio(utterance.sequence)
        self._free()

    def settled(self, utterance: Utterance) -> None:
        if self.done.is_set():
            return
        for ready in self._finals.put(utterance.sequence, utterance):
            self._release(ready)
        self._free()

    def _release(self, utterance: Utterance) -> None:
        """Voices are named here, in the order of speech."""
        try:
            names = self.context.names(utterance)
            message = results.outcome(utterance, names, self.options.words, self._clock.monotonic())
        except Exception:  # whatever it is: every sequence ends in something, and the next ones wait for it
            _log.exception("result_failed", session=self.id, sequence=utterance.sequence)
            message = results.failed(utterance)
        if utterance.given_up and self._records.postpone(self, Late.of(utterance), self.context):
            message = results.late(utterance)
        if isinstance(message, protocol.Suppressed):
            self._captions.withdraw(utterance)
        self._captions.remove(utterance)
        self._records.outcome(self, utterance, message)
        if isinstance(message, Final):
            self.context.told(utterance, message)
            self._naming.look_back(utterance)

    def told(self, update: SpeakerUpdate) -> None:
        """The revised result is on disk (or nobody wants it there), so it may be sent."""
        self._delivery.revised(update)
        self._watched.tell(update)
        self._naming.is_kept()
        self._free()

    def kept(self, utterance: Utterance, message: Outcome) -> None:
        """The result is on disk (or nobody wants it there), so it may be sent."""
        self._delivery.outcome(message)
        self._watched.tell(message)
        self._cutting.leases.release_result(utterance.sequence)
        self.context.kept(utterance.sequence)
        self._free()
