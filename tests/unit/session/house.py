"""A session on a real ring, with a client, an ingest stage and a dispatcher that only note what they get."""

from collections.abc import Callable, Collection
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ipc.arena import Arena, ArenaReader
from ipc.messages import AsrResult, Boundary, DiarizationResult, IngestOutcome, IngestTask, Piece, Segment, Turn
from tests.bench import OnlyFirmWork
from wernicke_daemon.dispatch.requests import Owner
from wernicke_daemon.sessions.clock import Clock
from wernicke_daemon.sessions.options import Options, StartingPoint
from wernicke_daemon.sessions.session import Session
from wernicke_daemon.utterances.results import Outcome
from wernicke_daemon.utterances.utterance import SpokenLine, Utterance
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.audio import AudioFormat
from wernicke_daemon.wire.protocol import Final, ServerMessage, SpeakerUpdate, Suppressed

RATE = 16_000
RING = 4 * RATE
MONO = AudioFormat(RATE, 1, "f32le")
CONTEXT_LINES = 2
REVISE_S = 3.0


class Notebook:
    """A session's Records. on_disk: whether a result is safe as soon as it is handed over."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, NDArray[np.float32]]] = []
        self.floors: list[tuple[int, int]] = []
        self.outcomes: list[int] = []
        self.dropped_s = 0.0
        self.named_before: list[set[str]] = []
        self.on_disk = True
        self.waiting: list[tuple[Session, Utterance | None, Outcome | SpeakerUpdate]] = []

    def audio(self, session: Session, start: int, samples: NDArray[np.float32]) -> None:
        self.heard.append((start, samples.copy()))

    def final_before(self, session: Session, sample: int, next_sequence: int) -> None:
        self.floors.append((sample, next_sequence))

    def outcome(self, session: Session, utterance: Utterance, message: Outcome) -> None:
        self.outcomes.append(utterance.sequence)
        self.waiting.append((session, utterance, message))
        if self.on_disk:
            self.keep()

    def revised(self, session: Session, update: SpeakerUpdate) -> None:
        self.waiting.append((session, None, update))
        if self.on_disk:
            self.keep()

    def keep(self) -> None:
        """What waits longest is on disk now."""
        session, utterance, message = self.waiting.pop(0)
        if isinstance(message, SpeakerUpdate):
            session.told(message)
        else:
            assert utterance is not None
            session.kept(utterance, message)

    def named(self, session: Session, before: Collection[str]) -> None:
        self.named_before.append(set(before))

    def dropped(self, seconds: float) -> None:
        self.dropped_s += seconds


class House:
    """A session and everything around it. now: the clock, which stands unless it is moved. got: by its client."""

    def __init__(
        self,
        options: Options,
        start: StartingPoint | None = None,
        hurry: Callable[[], None] = lambda: None,
        session_id: str = "s",
    ) -> None:
        self.now = 1000.0
        self.arena = Arena(1, RING)
        self.reader = ArenaReader(self.arena.geometry)
        self.records = Notebook()
        self.submitted: dict[int, Utterance] = {}
        self.got: list[ServerMessage] = []
        ring = self.arena.acquire()
        assert ring is not None
        clock = Clock(monotonic=lambda: self.now, wall=lambda: 1e9 + self.now)
        self.session = Session(
            session_id,
            ring,
            options,
            CONTEXT_LINES,
            OnlyFirmWork(self._submit),
            self.records,
            start,
            clock,
            hurry=hurry,
            revise_s=REVISE_S,
        )

    def _submit(self, utterance: Utterance, owner: Owner) -> None:
        assert owner is self.session
        self.submitted[utterance.sequence] = utterance

    def close(self) -> None:
        self.reader.close()
        self.arena.close()

    def call(self, speaker: str, name: str) -> None:
        """Somebody says who a voice is."""
        voices = self.session.context.voices
        before = voices.titles.named
        voices.call(speaker, name)
        self.session.renamed(before)

    async def speak(self, seconds: float, value: float = 0.5) -> None:
        """That much 16 kHz mono audio comes, in the time that it takes to say it."""
        self.now += seconds
        await self.session.feed(pcm(round(seconds * RATE), value))

    def news(self) -> IngestTask | None:
        """Of this tick or the next: to leave out a pause between utterances takes one."""
        return self.session.take_news(self.now) or self.session.take_news(self.now)

    def task(self) -> IngestTask:
        """The news that there must be."""
        task = self.news()
        assert task is not None
        return task

    def find(self, task: IngestTask, *utterances: tuple[int, int], **fields: Any) -> None:
        """The ingest stage found those boundaries, and needs nothing but what follows them."""
        boundaries = tuple(Boundary(start, end, "silence", end - start, end) for start, end in utterances)
        retain = fields.pop("retain_from", utterances[-1][1] if utterances else task.audio.end)
        outcome = IngestOutcome(
            task.session, task.audio.end, retain, b"state", boundaries, fields.pop("speaking", False)
        )
        self.session.commit(task, msgspec.structs.replace(outcome, **fields))

    async def say(self, count: int, seconds: float = 0.25) -> None:
        """So many utterances, one after another."""
        for _ in range(count):
            start = self.session.ring.written
            await self.speak(seconds)
            self.find(self.task(), (start, self.session.ring.written))

    def recognise(self, sequence: int, text: str) -> None:
        self.submitted[sequence].asr = AsrResult("en", 1.0, (Segment(0.0, 0.2, text, ()),), "whisper")
        self.session.recognised(self.submitted[sequence], shed=False)

    def settle(
        self, sequence: int, text: str | None = "", embedding: tuple[float, ...] | None = None, model: str = ""
    ) -> None:
        """The dispatcher is done with it. text: None where it failed, "" for one that tells its number. model: whose
        embedding it is."""
        utterance = self.submitted[sequence]
        if text is None:
            utterance.failure = "it did not work"
        else:
            segment = Segment(0.0, 0.2, text or f"number {sequence}", ())
            voice = None if embedding is None else 0
            utterance.asr = AsrResult("en", 1.0, (segment,), "whisper")
            utterance.lines = (SpokenLine(segment, (), voice),)
            if embedding is not None:
                utterance.diarization = one_voice(embedding, model)
        self.session.audio_released(utterance)
        self.session.settled(utterance)

    def keep_silent(self, sequence: int) -> None:
        """Nothing was recognised in it."""
        self.session.audio_released(self.submitted[sequence])
        self.session.settled(self.submitted[sequence])

    def listen(self, last_sequence: int | None = None) -> list[ServerMessage]:
        """A client comes, or comes back and says what it had last; what it gets."""
        got: list[ServerMessage] = []
        self.session.attach(got.append, resumed=last_sequence is not None)
        if last_sequence is not None:
            self.session.replay(last_sequence)
        return got

    def of(self, *kinds: type[ServerMessage]) -> list[Any]:
        return [message for message in self.got if isinstance(message, kinds)]


Open = Callable[..., House]


def one_voice(embedding: tuple[float, ...], model: str = "") -> DiarizationResult:
    """Five seconds of it."""
    return DiarizationResult((Turn(0.0, 5.0, 0),), (Piece(0.0, 5.0, 0, 5.0, embedding),), 0.7, model)


def pcm(count: int, value: float = 0.5, channels: int = 1) -> bytes:
    return np.full(count * channels, value, "<f4").tobytes()


def ramp(start: int, end: int) -> NDArray[np.float32]:
    return (np.arange(start, end) / 1e6).astype("<f4")


def sequences(messages: list[ServerMessage]) -> list[int | None]:
    return [message.sequence for message in messages if isinstance(message, Final | protocol.Error | Suppressed)]
