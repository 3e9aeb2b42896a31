"""One client's speech: its audio on the way in, its results on the way out, in order. Survives its connection and
every stage.

Audio goes through the intake, is examined by the ingest stage, and is kept until its utterance needs it no more. A
result is kept in the transcript store before it is sent. Each part has a module: which part of its life a session is in
(`lifecycle.py`), audio in (`intake.py`), samples that are still needed (`leases.py`) or were lost (`gaps.py`), what its
client is sent (`delivery.py`), and sent again when it comes back (`history.py`).
"""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import structlog

from ipc.arena import RingWriter
from ipc.audio_handle import SAMPLE_RATE
from ipc.messages import Boundary, IngestOutcome, IngestTask, OpenSpeech, Trigger
from wernicke_daemon.sessions.clock import SYSTEM_CLOCK, Clock
from wernicke_daemon.sessions.delivery import Delivery, Send
from wernicke_daemon.sessions.gaps import UntoldGap
from wernicke_daemon.sessions.history import History
from wernicke_daemon.sessions.intake import Intake
from wernicke_daemon.sessions.leases import Leases
from wernicke_daemon.sessions.lifecycle import Lifecycle, SessionState
from wernicke_daemon.sessions.options import Options, StartingPoint
from wernicke_daemon.sessions.sample_account import SampleAccount
from wernicke_daemon.sessions.speculation import Speculation, Workbench
from wernicke_daemon.utterances import results
from wernicke_daemon.utterances.caption import Caption
from wernicke_daemon.utterances.context import Context, Remembered
from wernicke_daemon.utterances.ordering import InOrder
from wernicke_daemon.utterances.pieces import Piece
from wernicke_daemon.utterances.results import Outcome
from wernicke_daemon.utterances.utterance import SpokenLine, Utterance
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.audio import Audio
from wernicke_daemon.wire.protocol import PartialStage, ServerMessage

_log = structlog.get_logger()


class Records(Protocol):
    """Where a session's audio and results are kept besides memory, and what is written down about it."""

    def audio(self, session: "Session", start: int, samples: Audio) -> None:
        """Samples from number `start` on were received."""

    def final_before(self, session: "Session", sample: int, next_sequence: int) -> None:
        """All before `sample` is final; the first utterance that is not has that sequence."""

    def outcome(self, session: "Session", utterance: Utterance, message: Outcome) -> None:
        """What became of an utterance. Calls `session.kept` with it once it may be sent."""

    def dropped(self, seconds: float) -> None:
        """Speech too short to be an utterance."""


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
        records: Records,
        start: StartingPoint | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """bench: who works on its utterances. start: what it goes on from, None for a new session."""
        start = start or StartingPoint()
        self.id = session_id
        self.resume_token = secrets.token_urlsafe(16)  # who has it may come back to the session
        self.options = options
        self.ring = ring
        self.done = asyncio.Event()  # set when it is over
        self.audio_lock = asyncio.Lock()  # held while audio is taken in, which waits while the ring is full
        self._life = Lifecycle()
        self._clock = clock
        self._bench = bench
        self._records = records
        self._intake = Intake(session_id, ring, options.audio, start, partial(records.audio, self), clock)
        self._leases = Leases(start.sample)  # which samples are still needed
        self._account = SampleAccount(start.sample)  # what became of its samples
        self._gap = UntoldGap()  # lost audio that its client was not told of
        self._delivery = Delivery(options.events)  # what its client is sent
        self._history = History()  # what is sent again to a client that comes back
        self._next_sequence = start.sequence  # of its next utterance
        self._finals: InOrder[Utterance] = InOrder(start.sequence)  # settled ones that wait for those before them
        self._speculation = Speculation(bench, self, ring.handle, self._utterance)  # on what is being said
        self._captions: dict[int, Utterance] = {}  # by sequence: those that a client is shown and has no final of
        self._context = Context(start.remembered, start.sequence, context_lines)  # voices, and what was said before

    # --- its client ---

    def attach(self, send: Send, *, resumed: bool = False) -> None:
        """A client listens. resumed: one that came back over another connection, and will be told by `go_on` where."""
        self._delivery.attach(send, resumed)
        self._intake.hold()

    def replay(self, after: int) -> None:
        """Send again what came after the last result that a client had, in order."""
        for message in self._history.after(after):
            self._delivery.outcome(message)

    async def go_on(self) -> None:
        """Tell a client that came back where its audio goes on. What the connection before was still taking in is in
        by then, which waits while the ring is full."""
        async with self.audio_lock:
            self._intake.decoder.forget_partial_sample()
            self._delivery.go_on(self.received())

    def detach(self) -> None:
        """Nobody listens. Time does not count while a client may come back: its silence is the line's, not its."""
        self._delivery.detach()

    def abandon(self) -> None:
        """The daemon can't wait any longer: what is not final stays in the journal, what is not in yet is refused."""
        self._tell_gap()
        self._life.abandon()
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
    def state(self) -> SessionState:
        return self._life.state

    @property
    def ended_by(self) -> Trigger | None:
        """The trigger that it ends or ended by; None while it is open."""
        return self._life.ended_by

    @property
    def ended(self) -> Trigger | None:
        """The trigger that it ended by; None while audio is taken in."""
        return None if self._life.takes_audio else self._life.ended_by

    @property
    def remembered(self) -> Remembered:
        """What its next utterances depend on, as of the last result that was kept."""
        return self._context.remembered

    @property
    def abandoned(self) -> bool:
        """It is over although results are missing."""
        return self.state is SessionState.ABANDONED

    @property
    def may_be_resumed(self) -> bool:
        """Its client knows how to come back."""
        return "session" in self.options.events

    @property
    def attached(self) -> bool:
        return self._delivery.attached

    @property
    def paused(self) -> bool:
        """Reading waits for room in the ring."""
        return self._intake.paused

    def received(self) -> protocol.AudioReceived:
        """How far audio came in; a client that comes back goes on there."""
        decoder = self._intake.decoder
        return protocol.AudioReceived(decoder.bytes_received, decoder.samples_received)

    def summary(self) -> dict[str, Any]:
        """For /stats."""
        return {
            "session": self.id,
            "attached": self.attached,
            "received_s": round(self.ring.written / SAMPLE_RATE, 1),
            "results": self._history.results,
            "under_way": len(self._leases),
            "paused": self.paused,
        }

    @property
    def wall_end(self) -> float:
        """Seconds since 1970 of the last sample received; now, but for a session that is taken up again."""
        return self._intake.wall_now

    def account(self) -> dict[str, float]:
        """What became of the audio of a session that is over, in seconds."""
        return self._account.seconds(self.ring.written)

    # --- audio in ---

    async def feed(self, data: bytes) -> None:
        """One frame. Waits while the ring is full. Raises InvalidAudio; what was refused is out, the rest is in."""
        async with self.audio_lock:
            warning = await self._intake.feed(data)
        if warning is not None:
            self.tell("status", protocol.Warned("INVALID_AUDIO_FORMAT", warning))

    async def feed_recovered(self, samples: Audio) -> None:
        """16 kHz mono from a journal. Waits while the ring is full."""
        await self._intake.append(samples)

    async def end_utterance(self, trigger: Trigger) -> None:
        """End the open utterance after all that was received; but for `flush`, the session too."""
        if trigger != "flush":
            self._life.ask_to_end(trigger)
        async with self.audio_lock:
            await self._intake.end(trigger)
            if trigger != "flush":
                self._life.all_audio_is_in()
                if self._intake.nothing_came:  # nothing to examine: it needs its ring no more
                    self._finish()

    def configure(self, options: Options) -> None:
        """A `start` message. Raises InvalidMessage once audio has come."""
        if self._intake.decoder.bytes_received:
            raise protocol.InvalidMessage("A start message has to come before the first audio; open a new connection.")
        self.options = options
        self._delivery.events = options.events
        self._intake.configure(options.audio)

    def take_news(self, now: float) -> IngestTask | None:
        """An ingest task if there is anything to examine; the next is asked for after this one's `commit`.

        now: seconds of its clock, monotonic."""
        self._delivery.acknowledge(self.received(), now, last=not self._life.takes_audio)
        self._tell_gap_in_time(now)
        for utterance in self._captions.values():
            self._show(utterance)
        return self._intake.take_news(now, listening=self.attached)

    def commit(self, task: IngestTask, outcome: IngestOutcome | None) -> None:
        """What an ingest job found; None where it can't be had: that audio becomes a gap."""
        if outcome is None or outcome.stale:
            self._lose(task)
        else:
            self._tell_gap()
            for boundary in self._intake.found(outcome):
                self._begin(boundary)
            self._leases.retain_from = outcome.retain_from
            self._follow(outcome.open, outcome.examined_to)
            if outcome.dropped_samples:
                self._records.dropped(outcome.dropped_samples / SAMPLE_RATE)
        self._free()

    def _lose(self, task: IngestTask) -> None:
        start, end = self._leases.retain_from, task.audio.end
        self._account.gap(start, end)
        self._gap.extend(start, end)
        self._tell_gap_in_time(self._clock.monotonic())
        self._intake.lost(task)
        self._leases.retain_from = end
        self._follow(None, end)

    def _tell_gap_in_time(self, now: float) -> None:
        if self._gap.due(now):
            self._tell_gap()

    def _tell_gap(self) -> None:
        gap = self._gap.take(self._clock.monotonic())
        if gap is not None:
            _log.error("audio_lost", session=self.id, start_s=gap.start, end_s=gap.end)
            self._history.add(gap)
            self._delivery.outcome(gap)

    def _begin(self, boundary: Boundary) -> None:
        now = self._clock.monotonic()
        utterance, begun_early = self._speculation.end(boundary, now)
        self._account.utterance(boundary.start, boundary.end)
        self._leases.begin(utterance.sequence, boundary.start)
        self._captions[utterance.sequence] = utterance
        utterance.triggered = now
        (self._bench.confirm if begun_early else self._bench.submit)(utterance, self)

    def _utterance(self, boundary: Boundary, pieces: tuple[Piece, ...], like: Utterance | None) -> Utterance:
        """like: what it takes the place of, None for a new one."""
        sequence = like.sequence if like else self._take_sequence()
        said_s = (self.ring.written - boundary.start) / SAMPLE_RATE
        return Utterance(
            session=self.id,
            sequence=sequence,
            buffer_id=like.buffer_id if like else _buffer_id(sequence, self._clock.wall()),
            audio=self.ring.handle(boundary.start, boundary.end),
            boundary=boundary,
            language=self.options.language,
            glossary=self.options.glossary,
            wall_start=self._intake.time_of_day(boundary.start),
            began=like.began if like else self._clock.monotonic() - said_s,
            caption=like.caption if like else Caption(self.options.language),
            pieces=pieces,
            text_before=self._context.text_before(sequence),
        )

    def _take_sequence(self) -> int:
        self._next_sequence += 1
        return self._next_sequence - 1

    def _follow(self, speech: OpenSpeech | None, heard_to: int) -> None:
        """Work on what is being said, and take back what turned out to be no utterance."""
        shows = self.attached and "partial" in self.options.events
        now = self._clock.monotonic()
        dropped = self._speculation.follow(speech, heard_to, self.ring.written, shows, now)
        opened = self._speculation.opened
        if opened is not None:
            self._captions[opened.named.sequence] = opened.named
        if dropped is not None:
            self._leases.begin(dropped.sequence, self._leases.retain_from)
            self.audio_released(dropped)
            self.settled(dropped)

    def _free(self) -> None:
        """Give up what nobody needs any more; is the session over?"""
        if self.done.is_set():
            return
        self._intake.free(self._leases.ring_floor())
        opened = self._speculation.opened
        to_come = self._next_sequence if opened is None else opened.named.sequence
        next_sequence = self._leases.first_not_final(to_come)
        self._records.final_before(self, self._leases.final_before(), next_sequence)
        if self.state is SessionState.ENDED and self._intake.settled and not len(self._leases):
            self._tell_gap()
            self._finish()

    def _finish(self) -> None:
        self._life.every_result_is_kept()
        self.done.set()

    # --- results: the dispatcher's Owner ---

    def heard(self, piece: Piece) -> None:
        opened = self._speculation.heard(piece, self._clock.monotonic())
        if opened is not None:
            self._show(opened.named)

    def recognised(self, utterance: Utterance, shed: bool) -> None:
        if utterance.certain:
            self._context.recognised(utterance.sequence, results.recognised_text(utterance))
        utterance.context = self._context.texts_before(utterance.sequence)
        if not shed:
            self._caption(utterance, results.recognition_stage(utterance), results.recognised_lines(utterance), [])

    def improved(self, utterance: Utterance, shed: bool) -> None:
        if not shed:
            stage: PartialStage = "corrected" if utterance.correction is not None else "diarized"
            named = self._finals.next == utterance.sequence  # else voices before it have no names yet
            names = self._context.preview_names(utterance) if named else []
            self._caption(utterance, stage, utterance.lines, names)

    def _caption(
        self, utterance: Utterance, stage: PartialStage, lines: Sequence[SpokenLine], names: Sequence[str | None]
    ) -> None:
        assert utterance.asr is not None
        parts = results.segments(lines, results.corrected_texts(utterance, len(lines)), names, self.options.words)
        if utterance.caption.recognised(stage, parts, utterance.asr.language, utterance.start_s, utterance.end_s):
            self._speculation.shown_up_to(utterance)
        self._show(utterance)

    def _show(self, utterance: Utterance) -> None:
        """The newest state of its text, where there is one to show and somebody to see it."""
        if not (self.attached and "partial" in self.options.events):
            return
        shown = utterance.caption.take(self._clock.monotonic())
        if shown is not None:
            heard = self._intake.time_of_day(round(shown.end * SAMPLE_RATE))
            latency_ms = round((self._clock.wall() - heard) * 1000)
            self.send(results.partial(utterance, shown, max(0, latency_ms)))

    def audio_released(self, utterance: Utterance) -> None:
        self._leases.release_audio(utterance.sequence)
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
            names = self._context.names(utterance)
            message = results.outcome(utterance, names, self.options.words, self._clock.monotonic())
        except Exception:  # whatever it is: every sequence ends in something, and the next ones wait for it
            _log.exception("result_failed", session=self.id, sequence=utterance.sequence)
            message = results.failed(utterance)
        if isinstance(message, protocol.Suppressed):
            utterance.caption.withdraw()
            self._show(utterance)
        del self._captions[utterance.sequence]
        self._records.outcome(self, utterance, message)

    def kept(self, utterance: Utterance, message: Outcome) -> None:
        """The result is on disk (or nobody wants it there), so it may be sent."""
        self._history.add(message)
        self._delivery.outcome(message)
        self._leases.release_result(utterance.sequence)
        self._context.kept(utterance.sequence)
        self._free()


def _buffer_id(sequence: int, wall: float) -> str:
    """wall: seconds since 1970."""
    return f"buff_{datetime.fromtimestamp(wall, UTC):%Y%m%d_%H%M%S}_{sequence:03d}"
