"""One client's speech: its audio on the way in, its results on the way out, in order. Survives its connection and
every stage.

Life: OPEN (audio comes in; a client is attached, or may come back) → ENDING (no more audio; utterances are still under
way) → over (`done` is set). Audio goes through the intake, is cut into utterances, and is kept until its utterance
needs it no more. A result is kept in the transcript store before it is sent.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import msgspec
import structlog

from ipc.arena import RingWriter
from ipc.audio_handle import SAMPLE_RATE
from ipc.messages import Boundary, IngestOutcome, IngestTask, Trigger
from wernicke_daemon.observability.pages import SessionFigures
from wernicke_daemon.sessions.intake import Intake, Left
from wernicke_daemon.sessions.sample_account import SampleAccount
from wernicke_daemon.utterances import results
from wernicke_daemon.utterances.context import Remembered
from wernicke_daemon.utterances.ordering import InOrder
from wernicke_daemon.utterances.speaker_assignment import seconds_by_speaker
from wernicke_daemon.utterances.utterance import Utterance
from wernicke_daemon.utterances.voices import Voices
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.audio import Audio, AudioFormat
from wernicke_daemon.wire.protocol import ServerMessage

_log = structlog.get_logger()

ACK_EVERY_S = 1.0
GAP_EVERY_S = 5.0
"""Gaps that follow on one another are told as one, but not later than that."""

HISTORY = 1000
"""Results kept in memory for a client that comes back; a resume window is minutes, so this is days of speech."""

UNSPEAKABLE = "This utterance could not be put into words; the daemon's log says why. The next ones are not affected."

Send = Callable[[ServerMessage], None]
Outcome = protocol.Final | protocol.Error | protocol.Suppressed


class Options(msgspec.Struct, frozen=True):
    """What a client asked for."""

    audio: AudioFormat
    language: str
    glossary: tuple[str, ...] = ()
    events: frozenset[str] = frozenset()
    words: bool = True


class Records(Protocol):
    """Where a session's audio and results are kept besides memory, and what is written down about it."""

    def audio(self, session: "Session", start: int, samples: Audio) -> None:
        """Samples from number `start` on were received."""

    def final_before(self, session: "Session", sample: int, next_sequence: int) -> None:
        """All before `sample` is final; the first utterance that is not has that sequence."""

    def outcome(self, session: "Session", utterance: Utterance, message: Outcome, kept: Callable[[], None]) -> None:
        """What became of an utterance. Calls `kept` once it may be sent."""

    def dropped(self, seconds: float) -> None:
        """Speech too short to be an utterance."""


class Session:
    """One that is taken up again after the daemon died goes on with its own numbers, of samples and utterances, and
    with what it knew.

    remembered: as of the last result that was kept. delivered: its client is known to have everything. ending: what it
    will have `ended` by, once there was room for the last of its audio."""

    def __init__(
        self,
        session_id: str,
        ring: RingWriter,
        options: Options,
        context_lines: int,
        submit: Callable[[Utterance, "Session"], None],
        records: Records,
        left: Left | None = None,
    ) -> None:
        """submit: gives an utterance to the dispatcher. left: what it goes on from, None for a new session."""
        left = left or Left()
        self.id = session_id
        self.remembered = left.remembered
        self.resume_token = secrets.token_urlsafe(16)
        self.options = options
        self.abandoned = False
        self.delivered = False
        self.ending: Trigger | None = None
        self.ended: Trigger | None = None
        self.done = asyncio.Event()
        self.ring = ring
        self.audio_lock = asyncio.Lock()
        self._intake = Intake(session_id, ring, options.audio, left, partial(records.audio, self))
        self._send: Send | None = None
        self._submit = submit
        self._records = records
        self._voices = Voices(left.remembered.voices)
        self._finals: InOrder[Utterance] = InOrder(left.sequence)
        self._history: deque[Outcome | protocol.Gap] = deque(maxlen=HISTORY)
        self._said = dict(enumerate(left.remembered.said, left.sequence - len(left.remembered.said)))
        self._context_lines = context_lines
        self._sequence = left.sequence - 1
        self._not_final: dict[int, int] = {}
        self._leases: dict[int, int] = {}
        self._account = SampleAccount(left.sample)
        self._acked = protocol.AudioReceived(0, 0)
        self._acked_at = 0.0
        self._acks = True
        self._gap: tuple[int, int] | None = None
        self._gap_told = 0.0

    # --- its client ---

    def attach(self, send: Send, *, resumed: bool = False) -> None:
        """A client listens. resumed: one that came back over another connection, and will be told by `go_on` where."""
        self._send = send
        self._intake.hold()
        self._acks = not resumed

    def replay(self, after: int) -> None:
        """Send again what came after the last result that a client had, in order. It may have heard of the latest gaps
        already; whether it has, nobody can tell: a line takes messages for a while after it was cut."""
        had = [at for at, message in enumerate(self._history, 1) if _sequence(message) in range(1, after + 1)]
        for message in list(self._history)[had[-1] if had else 0 :]:
            self._deliver(message)

    async def go_on(self) -> None:
        """Tell a client that came back where its audio goes on. What the connection before was still taking in is in
        by then, which waits while the ring is full."""
        async with self.audio_lock:
            self._intake.decoder.forget_partial_sample()
            self._acks = True
            self.send(self.received())

    def detach(self) -> None:
        """Nobody listens. Time does not count while a client may come back: its silence is the line's, not its."""
        self._send = None

    def abandon(self) -> None:
        """The daemon can't wait any longer: what is not final stays in the journal, what is not in yet is refused."""
        self._tell_gap()
        self.abandoned = self.abandoned or not self.done.is_set()
        self.ended = self.ended or "disconnect"
        self.done.set()
        self._intake.close()

    @property
    def may_be_resumed(self) -> bool:
        """Its client knows how to come back."""
        return "session" in self.options.events

    @property
    def attached(self) -> bool:
        return self._send is not None

    @property
    def paused(self) -> bool:
        """Reading waits for room in the ring."""
        return self._intake.paused

    def send(self, message: ServerMessage) -> None:
        """To the client, if there is one."""
        if self._send is not None:
            self._send(message)

    def tell(self, event: str, message: ServerMessage) -> None:
        """Only to a client that asked for it."""
        if event in self.options.events:
            self.send(message)

    def received(self) -> protocol.AudioReceived:
        """How far audio came in; a client that comes back goes on there."""
        decoder = self._intake.decoder
        return protocol.AudioReceived(decoder.bytes_received, decoder.samples_received)

    def figures(self) -> SessionFigures:
        """For /stats."""
        return SessionFigures(
            session=self.id,
            attached=self.attached,
            received_s=round(self.ring.written / SAMPLE_RATE, 1),
            results=sum(_sequence(message) > 0 for message in self._history),
            under_way=len(self._not_final),
            paused=self.paused,
        )

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
            self.ending = trigger
        async with self.audio_lock:
            await self._intake.end(trigger)
            if trigger != "flush":
                self.ended = trigger
                if self._intake.nothing_came:  # nothing to examine: it needs its ring no more
                    self.done.set()

    def configure(self, options: Options) -> None:
        """A `start` message. Raises InvalidMessage once audio has come."""
        if self._intake.decoder.bytes_received:
            raise protocol.InvalidMessage("A start message has to come before the first audio; open a new connection.")
        self.options = options
        self._intake.configure(options.audio)

    def take_news(self, now: float) -> IngestTask | None:
        """An ingest task if there is anything to examine; the next is asked for after this one's `commit`."""
        self._acknowledge(now)
        self._tell_gap_in_time(now)
        return self._intake.take_news(now, listening=self.attached)

    def commit(self, task: IngestTask, outcome: IngestOutcome | None) -> None:
        """What an ingest job found; None where it can't be had: that audio becomes a gap."""
        if outcome is None or outcome.stale:
            self._lose(task)
        else:
            self._tell_gap()
            for boundary in self._intake.found(outcome):
                self._begin(boundary)
            self._intake.retained = outcome.retain_from
            if outcome.dropped_samples:
                self._records.dropped(outcome.dropped_samples / SAMPLE_RATE)
        self._free()

    def _lose(self, task: IngestTask) -> None:
        self._gap = (self._gap[0] if self._gap else self._intake.retained, task.audio.end)
        self._tell_gap_in_time(time.monotonic())
        self._intake.lost(task)

    def _tell_gap_in_time(self, now: float) -> None:
        if now - self._gap_told >= GAP_EVERY_S:
            self._tell_gap()

    def _tell_gap(self) -> None:
        if self._gap is None:
            return
        self._account.gap(*self._gap)
        start_s, end_s = (sample / SAMPLE_RATE for sample in self._gap)
        self._gap = None
        self._gap_told = time.monotonic()
        _log.error("audio_lost", session=self.id, start_s=start_s, end_s=end_s)
        gap = protocol.Gap(start_s, end_s, "INTERNAL_ERROR")
        self._history.append(gap)
        self._deliver(gap)

    def _begin(self, boundary: Boundary) -> None:
        self._sequence += 1
        self._account.utterance(boundary.start, boundary.end)
        self._leases[self._sequence] = self._not_final[self._sequence] = boundary.start
        stamp = datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
        utterance = Utterance(
            session=self.id,
            sequence=self._sequence,
            buffer_id=f"buff_{stamp}_{self._sequence:03d}",
            audio=self.ring.handle(boundary.start, boundary.end),
            boundary=boundary,
            language=self.options.language,
            glossary=self.options.glossary,
            triggered=time.monotonic(),
            wall_start=self._intake.time_of_day(boundary.start),
        )
        self._submit(utterance, self)

    def _acknowledge(self, now: float) -> None:
        received = self.received()
        if self._acks and received != self._acked and (now - self._acked_at >= ACK_EVERY_S or self.ended):
            self._acked, self._acked_at = received, now
            self.tell("ack", received)

    def _free(self) -> None:
        """Give up what nobody needs any more; is the session over?"""
        if self.done.is_set():
            return
        retained = self._intake.retained
        self._intake.free(min(retained, *self._leases.values()) if self._leases else retained)
        final = min(retained, *self._not_final.values()) if self._not_final else retained
        self._records.final_before(self, final, min(self._not_final, default=self._sequence + 1))
        if self.ended and self._intake.settled and not self._not_final:
            self._tell_gap()
            self.done.set()

    # --- results: the dispatcher's Owner ---

    def recognised(self, utterance: Utterance, shed: bool) -> None:
        self._said[utterance.sequence] = results.recognised_text(utterance)
        if not shed:
            self.tell("partial", results.recognised(utterance, self.options.words, time.monotonic()))

    def audio_released(self, utterance: Utterance) -> None:
        self._leases.pop(utterance.sequence, None)
        self._free()

    def context(self, utterance: Utterance) -> tuple[str, ...]:
        return self._said_before(utterance.sequence, self._context_lines)

    def text_before(self, utterance: Utterance) -> str:
        return "".join(self._said_before(utterance.sequence, 1))

    def _said_before(self, sequence: int, most: int) -> tuple[str, ...]:
        before = sorted(said for said in self._said if said < sequence)
        return tuple(self._said[said] for said in before[-most:] if most)

    def settled(self, utterance: Utterance) -> None:
        if self.done.is_set():
            return
        for ready in self._finals.put(utterance.sequence, utterance):
            self._release(ready)
        self._free()

    def _release(self, utterance: Utterance) -> None:
        """Voices are named here, in the order of speech."""
        try:
            message = self._outcome(utterance)
        except Exception:  # whatever it is: every sequence ends in something, and the next ones wait for it
            _log.exception("result_failed", session=self.id, sequence=utterance.sequence)
            message = _failure("INTERNAL_ERROR", UNSPEAKABLE, utterance)
        self._records.outcome(self, utterance, message, lambda: self._kept(utterance, message))

    def _kept(self, utterance: Utterance, message: Outcome) -> None:
        """It is on disk (or nobody wants it there): out with it."""
        self._history.append(message)
        self._deliver(message)
        del self._not_final[utterance.sequence]
        lines = max(1, self._context_lines)
        self._said.pop(utterance.sequence - lines, None)
        self.remembered = Remembered(self._voices.known(), self._said_before(utterance.sequence + 1, lines))
        self._free()

    def _deliver(self, message: Outcome | protocol.Gap) -> None:
        if isinstance(message, protocol.Suppressed):
            self.tell("suppressed", message)
        elif isinstance(message, protocol.Gap):
            self.send(message if "status" in self.options.events else _gap_as_error(message))
        else:
            self.send(message)

    def _outcome(self, utterance: Utterance) -> Outcome:
        if utterance.failure is not None:
            return _failure(utterance.failure_code, protocol.sentence(utterance.failure), utterance)
        if not utterance.lines:
            return protocol.Suppressed(utterance.sequence, utterance.buffer_id, "no speech was recognised")
        return results.final(utterance, self._names(utterance), self.options.words, time.monotonic())

    def _names(self, utterance: Utterance) -> list[str | None]:
        found = utterance.diarization
        if found is None:
            return []
        seconds = seconds_by_speaker(found.turns, len(found.embeddings))
        return self._voices.assign(found.embeddings, seconds, found.same_voice)


def _sequence(message: Outcome | protocol.Gap) -> int:
    """0 for a gap."""
    return 0 if isinstance(message, protocol.Gap) else message.sequence or 0


def _gap_as_error(gap: protocol.Gap) -> protocol.Error:
    text = f"The audio from {gap.start:.1f} s to {gap.end:.1f} s could not be examined and is lost to a fault."
    return protocol.error(gap.reason, text, details={"from": gap.start, "to": gap.end})


def _failure(code: str, text: str, utterance: Utterance) -> protocol.Error:
    return protocol.error(code, text, buffer_id=utterance.buffer_id, sequence=utterance.sequence)
