"""A session's audio on its way in: bytes of a client → samples in the ring → ingest tasks, and what they found.

Samples are appended by `feed`, which waits while the ring is full. A *break* stands between samples where something
happened that is no sound: an utterance is to end, or nothing came for a while. `take_news` makes an ingest task of what
is not examined yet, up to the next break; `found` or `lost` closes it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

import msgspec
import structlog

from ipc.arena import RingWriter
from ipc.audio_handle import SAMPLE_RATE, VAD_WINDOW
from ipc.messages import Boundary, IngestOutcome, IngestTask, Trigger
from wernicke_daemon.sessions.arrival_clocks import IdleClock, WallClock
from wernicke_daemon.sessions.clock import Clock
from wernicke_daemon.sessions.options import StartingPoint
from wernicke_daemon.sessions.rate_watch import RateWatch
from wernicke_daemon.sessions.sound_watch import SoundWatch
from wernicke_daemon.wire.audio import Audio, AudioFormat, InvalidAudio
from wernicke_daemon.wire.pcm_decoder import PcmDecoder
from wernicke_daemon.wire.protocol import AudioReceived

_log = structlog.get_logger()

PIECE_BYTES = 1 << 20
"""A larger frame is decoded in pieces, between which other connections get their turn."""

MOST_PER_TASK = 5 * SAMPLE_RATE
"""Samples in one ingest task, so that a client that sends a whole file does not hold up the others."""

MOST_BREAKS = 100
"""Breaks that wait to be examined; a client that goes on ending utterances is made to wait then."""

LONGEST_TAIL = SAMPLE_RATE // 4
"""Samples; more than the resampler ever holds back (33 ms at 48 kHz)."""


class Break(msgspec.Struct, frozen=True):
    """What happened after sample number `sample`: the utterance is to end (trigger), or nothing came for idle_s."""

    sample: int
    trigger: Trigger | None
    idle_s: float


class Intake:
    """keep: is given all samples, with the number of the first, before they are examined. warn: is told what is odd
    about the audio, once each: a code of the protocol, and sentences. recorded: it does not come as it is said, so that
    it is no silence when nothing comes."""

    def __init__(
        self,
        session: str,
        ring: RingWriter,
        audio: AudioFormat,
        start: StartingPoint,
        keep: Callable[[int, Audio], None],
        warn: Callable[[str, str], None],
        clock: Clock,
        recorded: bool = False,
    ) -> None:
        ring.begin_at(start.sample)
        self.ring = ring  # where the samples go; `written` is how many came
        self.decoder = PcmDecoder(audio)  # from the client's bytes; its counters say how far audio came in
        self.paused = False  # `feed` or `end` waits for room, in the ring or among the breaks
        self.speaking = False  # an utterance was open after the last task, so a pause is of interest
        self._session = session  # its id, for tasks and the log
        self._start = start  # number and time of day of the first sample
        self._keep = keep  # to the journal
        self._warn = warn  # the client
        self._clock = clock  # monotonic and wall time
        self._rate_watch = RateWatch(audio)  # notices audio of another format than was declared
        self._sound_watch = SoundWatch(audio)  # notices sound without speech
        self._idle = IdleClock(clock.monotonic())  # for how long nothing came
        self._wall = WallClock()  # time of day of the samples in the ring
        self._breaks: deque[Break] = deque()  # that the examined audio has not reached, in order
        self._reached: Break | None = None  # the one that the task under way ends at, if it does
        self._room = asyncio.Event()  # there may be room again, in the ring or among the breaks
        self._recorded = recorded  # time in which nothing comes is no silence
        self._closed = False  # nothing more is taken in
        self._feeding = False  # a frame is being taken in, so that it is no pause though nothing else comes
        self._state = b""  # the ingest stage's, as of the last task; b"" for a stream that begins
        self._examined = start.sample  # the next sample to examine

    def configure(self, audio: AudioFormat, recorded: bool) -> None:
        """Before the first audio."""
        self._recorded = recorded
        self.decoder = PcmDecoder(audio)
        self._rate_watch = RateWatch(audio)
        self._sound_watch = SoundWatch(audio)

    # --- in ---

    async def feed(self, data: bytes) -> None:
        """One frame. Waits while the ring is full. Raises InvalidAudio; what was refused is out, the rest is in."""
        if self._closed:
            return
        self._note_pause(self._clock.monotonic())
        self._feeding = True
        try:
            refused = await self._feed_pieces(data)
        finally:
            self._feeding = False
        self._arrived(data)
        if refused is not None:
            raise refused

    async def _feed_pieces(self, data: bytes) -> InvalidAudio | None:
        refused: InvalidAudio | None = None
        for piece in _pieces(data):
            try:
                samples = self.decoder.decode(piece)
                self._sound_watch.heard(samples)
                await self.append(samples)
            except InvalidAudio as error:
                refused = error
            if len(data) > PIECE_BYTES:
                await asyncio.sleep(0)
        return refused

    def _arrived(self, data: bytes) -> None:
        now = self._clock.monotonic()
        self._idle.arrived(len(data) / self.decoder.format.bytes_per_second, now)
        if (warning := self._rate_watch.arrived(len(data), now)) is not None:
            _log.warning("wrong_rate", session=self._session, reason=warning)
            self._warn("INVALID_AUDIO_FORMAT", warning)
        self._tell_no_speech(self._sound_watch.arrived(data, now))

    def _tell_no_speech(self, warning: str | None) -> None:
        if warning is not None:
            _log.warning("no_speech", session=self._session, reason=warning)
            self._warn("NO_SPEECH", warning)

    async def append(self, samples: Audio) -> None:
        """16 kHz mono. Waits while the ring is full, which must not keep it from the journal: it counts as received."""
        self._keep_all(samples)
        while not self._closed and len(samples) > self.ring.room:
            fits = samples[: self.ring.room]
            samples = samples[len(fits) :]
            self._write(fits)
            await self._wait_while(lambda: not self.ring.room)
        if not self._closed:
            self._write(samples)

    def _keep_all(self, samples: Audio) -> None:
        """All before has been written."""
        if len(samples) and not self._closed:
            self._keep(self.ring.written, samples)

    def _write(self, samples: Audio) -> None:
        if len(samples):
            self.ring.append(samples)
            self._wall.arrived(self.ring.written, self.wall_now)

    @property
    def wall_now(self) -> float:
        """Seconds since 1970 of the last sample received."""
        if self._start.wall is None:
            return self._clock.wall()
        return self._start.wall + (self.ring.written - self._start.sample) / SAMPLE_RATE

    @property
    def received(self) -> AudioReceived:
        """How far audio came in, of what the client sent."""
        return AudioReceived(self.decoder.bytes_received, self.decoder.samples_received)

    async def _wait_while(self, full: Callable[[], bool]) -> None:
        self.paused = True
        try:
            while not self._closed and full():
                self._room.clear()
                await self._room.wait()
        finally:
            self.paused = False

    async def end(self, trigger: Trigger) -> None:
        """The open utterance ends after all that was received, the resampler's tail included.

        A client that flushes without end waits, as one that sends too much audio does; twice at once is once.
        """
        await self.append(self.decoder.drain())
        await self._wait_while(lambda: len(self._breaks) >= MOST_BREAKS)
        end = Break(self.ring.written, trigger, 0.0)
        if trigger != "flush" or not self._breaks or self._breaks[-1] != end:
            self._breaks.append(end)

    def end_where_examined(self) -> None:
        """The open utterance ends after all that was examined, as if the silence had been long enough."""
        self._breaks.appendleft(Break(self._examined, "silence", 0.0))

    def hold(self) -> None:
        """Time up to now is no silence of the client's."""
        self._idle.hold(self._clock.monotonic())

    def slept(self, seconds: float) -> None:
        """The machine was asleep for so long: what is said after it is no more of what was said before."""
        self._idle.slept(seconds)

    def close(self) -> None:
        """Nothing more is taken in; whoever waits for room waits no longer."""
        self._closed = True
        self._room.set()

    # --- to be examined ---

    @property
    def nothing_came(self) -> bool:
        """No sample so far."""
        return self.ring.written == self._start.sample

    @property
    def settled(self) -> bool:
        """No break waits for the examined audio to reach it."""
        return not self._breaks

    def take_news(self, now: float, listening: bool) -> IngestTask | None:
        """An ingest task if there is anything to examine; the next is asked for after this one's `found` or `lost`.

        listening: a client is there, so that it is its silence when nothing comes.
        """
        if not self._breaks:
            if listening:
                self._note_pause(now)
            else:
                self._idle.hold(now)
        next_break = self._breaks[0] if self._breaks else None
        end = next_break.sample if next_break else self.ring.written
        upto = min(end, self._examined + MOST_PER_TASK)
        self._reached = next_break if upto == end else None
        if not self._is_news(upto - self._examined):
            return None
        audio = self.ring.handle(self._examined, upto)
        trigger, idle_s = (self._reached.trigger, self._reached.idle_s) if self._reached else (None, 0.0)
        return IngestTask(self._session, audio, self._state, trigger, idle_s)

    def _is_news(self, unexamined: int) -> bool:
        if self._reached is None:
            return unexamined >= VAD_WINDOW
        if unexamined or self.speaking or self._reached.trigger:
            return True
        self._breaks.popleft()  # a pause between utterances
        self._room.set()
        return False

    def _note_pause(self, now: float) -> None:
        """A break for time in which nothing came, after the resampler's tail: or the last phoneme stays inside."""
        if self._recorded or self._feeding or self.ring.room < LONGEST_TAIL:
            self._idle.hold(now)
        elif idle_s := self._idle.take(now):
            tail = self.decoder.drain()
            self._keep_all(tail)
            self._write(tail)
            self._breaks.append(Break(self.ring.written, None, idle_s))

    def found(self, outcome: IngestOutcome) -> tuple[Boundary, ...]:
        """Commit what an ingest task found."""
        self._state = outcome.state
        self._examined = outcome.examined_to
        self.speaking = outcome.speaking
        self._pass_break()
        self._look_for_speech(outcome)
        return outcome.boundaries

    def _look_for_speech(self, outcome: IngestOutcome) -> None:
        speech = bool(outcome.boundaries) or outcome.open is not None
        if speech or not outcome.speaking:  # else it is not decided yet
            seconds = (outcome.examined_to - self._start.sample) / SAMPLE_RATE
            self._tell_no_speech(self._sound_watch.examined(seconds, speech, self.decoder.powers))

    def lost(self, task: IngestTask) -> None:
        """Cut the audio at the task's end: what was open can't be trusted to be whole any more."""
        self._state = b""
        self._examined = task.audio.end
        self.speaking = False
        self._pass_break()

    def _pass_break(self) -> None:
        if self._reached is not None:
            self._breaks.popleft()
            self._reached = None

    def free(self, before: int) -> None:
        """Samples before that one are needed by nobody."""
        self.ring.raise_floor(before)
        self._wall.forget(before)
        self._room.set()

    def time_of_day(self, sample: int) -> float:
        """Seconds since 1970 at which that sample was heard."""
        return self._wall.at(sample)


def _pieces(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    return (view[at : at + PIECE_BYTES] for at in range(0, len(view), PIECE_BYTES))
