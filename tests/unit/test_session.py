"""One session on a real ring, between a client, an ingest stage and a dispatcher that only do what a test says."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ipc.arena import Arena, ArenaReader
from ipc.audio_handle import VAD_WINDOW
from ipc.messages import AsrResult, Boundary, DiarizationResult, IngestOutcome, IngestTask, Segment, Trigger, Turn
from tests.bench import OnlyFirmWork
from tests.waiting import eventually
from wernicke_daemon.dispatch.requests import Owner
from wernicke_daemon.sessions import intake
from wernicke_daemon.sessions.clock import Clock
from wernicke_daemon.sessions.delivery import ACK_EVERY_S
from wernicke_daemon.sessions.gaps import GAP_EVERY_S
from wernicke_daemon.sessions.intake import LONGEST_TAIL
from wernicke_daemon.sessions.options import Options, StartingPoint
from wernicke_daemon.sessions.session import Session
from wernicke_daemon.utterances.results import Outcome
from wernicke_daemon.utterances.utterance import SpokenLine, Utterance
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.audio import AudioFormat, InvalidAudio
from wernicke_daemon.wire.protocol import AudioReceived, Final, Partial, ServerMessage, Suppressed

RATE = 16_000
RING = 4 * RATE
MONO = AudioFormat(RATE, 1, "f32le")
CONTEXT_LINES = 2


class Notebook:
    """A session's Records. on_disk: whether a result is safe as soon as it is handed over."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, NDArray[np.float32]]] = []
        self.floors: list[tuple[int, int]] = []
        self.outcomes: list[int] = []
        self.dropped_s = 0.0
        self.on_disk = True
        self.waiting: list[tuple[Session, Utterance, Outcome]] = []

    def audio(self, session: Session, start: int, samples: NDArray[np.float32]) -> None:
        self.heard.append((start, samples.copy()))

    def final_before(self, session: Session, sample: int, next_sequence: int) -> None:
        self.floors.append((sample, next_sequence))

    def outcome(self, session: Session, utterance: Utterance, message: Outcome) -> None:
        self.outcomes.append(utterance.sequence)
        self.waiting.append((session, utterance, message))
        if self.on_disk:
            self.keep()

    def keep(self) -> None:
        """The result that waits longest is on disk now."""
        session, utterance, message = self.waiting.pop(0)
        session.kept(utterance, message)

    def dropped(self, seconds: float) -> None:
        self.dropped_s += seconds


class House:
    """A session and everything around it. now: the clock, which stands unless it is moved. got: by its client."""

    def __init__(
        self, options: Options, start: StartingPoint | None = None, hurry: Callable[[], None] = lambda: None
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
            "s", ring, options, CONTEXT_LINES, OnlyFirmWork(self._submit), self.records, start, clock, hurry=hurry
        )

    def _submit(self, utterance: Utterance, owner: Owner) -> None:
        assert owner is self.session
        self.submitted[utterance.sequence] = utterance

    def close(self) -> None:
        self.reader.close()
        self.arena.close()

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
        outcome = IngestOutcome("s", task.audio.end, retain, b"state", boundaries, fields.pop("speaking", False))
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

    def settle(self, sequence: int, text: str | None = "", embedding: tuple[float, ...] | None = None) -> None:
        """The dispatcher is done with it. text: None where it failed, "" for one that tells its number."""
        utterance = self.submitted[sequence]
        if text is None:
            utterance.failure = "it did not work"
        else:
            segment = Segment(0.0, 0.2, text or f"number {sequence}", ())
            voice = None if embedding is None else 0
            utterance.asr = AsrResult("en", 1.0, (segment,), "whisper")
            utterance.lines = (SpokenLine(segment, (), voice),)
            if embedding is not None:
                utterance.diarization = DiarizationResult((Turn(0.0, 5.0, 0),), (embedding,), 0.7)
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


@pytest.fixture
def open_house() -> Iterator[Open]:
    """Makes houses, with a client that asks for those events unless it is told not to come."""
    houses: list[House] = []

    def opened(
        *events: str, audio: AudioFormat = MONO, start: StartingPoint | None = None, client: bool = True
    ) -> House:
        house = House(Options(audio, "en", events=frozenset(events)), start)
        houses.append(house)
        if client:
            house.session.attach(house.got.append)
        return house

    yield opened
    for house in houses:
        house.close()


@pytest.fixture
def house(open_house: Open) -> House:
    return open_house()


def pcm(count: int, value: float = 0.5, channels: int = 1) -> bytes:
    return np.full(count * channels, value, "<f4").tobytes()


def ramp(start: int, end: int) -> NDArray[np.float32]:
    return (np.arange(start, end) / 1e6).astype("<f4")


def sequences(messages: list[ServerMessage]) -> list[int | None]:
    return [message.sequence for message in messages if isinstance(message, Final | protocol.Error | Suppressed)]


# --- news ------------------------------------------------------------------------------------------


async def test_fewer_samples_than_a_window_are_no_news(house: House) -> None:
    """There is nothing to examine in them yet."""
    await house.session.feed(pcm(VAD_WINDOW - 1))
    assert house.news() is None
    await house.session.feed(pcm(1))
    assert house.task().audio.count == VAD_WINDOW


async def test_what_was_examined_is_not_examined_again(house: House) -> None:
    """The next task begins where the last outcome ended, and has the state that it gave."""
    await house.speak(0.5)
    first = house.task()
    assert (first.session, first.audio.start, first.audio.end, first.state) == ("s", 0, 8000, b"")
    house.find(first, examined_to=7680)
    await house.speak(0.5)
    second = house.task()
    assert (second.audio.start, second.audio.end, second.state) == (7680, 16_000, b"state")


async def test_the_same_news_until_they_are_committed(house: House) -> None:
    """A job that is lost is made again, with everything that came meanwhile."""
    await house.speak(0.5)
    first = house.task()
    assert house.task() == first


async def test_much_audio_is_examined_in_portions(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a file that is sent at once does not hold up others; its end comes with the last portion."""
    monkeypatch.setattr(intake, "MOST_PER_TASK", RATE)
    await house.speak(2.5)
    await house.session.end_utterance("flush")
    ends: list[tuple[int, Trigger | None]] = []
    for _ in range(3):
        task = house.task()
        ends.append((task.audio.end, task.end))
        house.find(task)
    assert ends == [(RATE, None), (2 * RATE, None), (40_000, "flush")]
    assert house.news() is None


async def test_a_flush_ends_what_was_received_before_it(house: House) -> None:
    """What comes after it is in the next task, whatever is in already."""
    await house.speak(0.5)
    await house.session.end_utterance("flush")
    await house.speak(0.25)
    first = house.task()
    assert (first.audio.end, first.end) == (8000, "flush")
    house.find(first)
    second = house.task()
    assert (second.audio.start, second.audio.end, second.end) == (8000, 12_000, None)


async def test_a_flush_without_audio_is_news(house: House) -> None:
    """It may end an utterance that was examined before."""
    await house.session.end_utterance("flush")
    task = house.task()
    assert (task.audio.count, task.end) == (0, "flush")
    house.find(task)
    assert house.news() is None


# --- pauses ----------------------------------------------------------------------------------------


async def test_a_pause_while_somebody_speaks_is_news(house: House) -> None:
    """The client withholds silence: time in which nothing came is told, all of it, and once."""
    await house.speak(0.5)
    house.find(house.task(), speaking=True)
    house.now += 2.0
    task = house.task()
    assert (task.audio.count, task.end) == (0, None)
    assert task.idle_s == pytest.approx(2.0)
    house.find(task, speaking=True)
    house.now += 0.5
    assert house.task().idle_s == pytest.approx(0.5)


async def test_a_pause_between_utterances_is_no_news(house: House) -> None:
    """Nobody waits for its end; the audio after it is examined as if it had not been."""
    await house.speak(0.5)
    house.find(house.task())
    house.now += 60.0
    assert house.news() is None
    await house.speak(0.5)
    task = house.task()
    assert (task.audio.start, task.idle_s) == (8000, 0.0)


async def test_a_pause_before_a_frame_lies_before_its_audio(house: House) -> None:
    """It is noted when the frame comes, and told with the audio before it."""
    await house.speak(0.5)
    house.now += 3.0
    await house.speak(0.5)
    first = house.task()
    assert first.audio.end == 8000
    assert first.idle_s == pytest.approx(3.5)
    house.find(first, speaking=True)
    second = house.task()
    assert (second.audio.start, second.audio.end, second.idle_s) == (8000, 16_000, 0.0)


async def test_a_pause_lets_the_last_phoneme_out(open_house: Open) -> None:
    """The resampler's tail is in the ring before the pause is."""
    house = open_house(audio=AudioFormat(48_000, 2, "f32le"))
    house.now += 0.5
    await house.session.feed(pcm(24_000, channels=2))
    assert house.session.ring.written < 8000
    house.now += 2.0
    assert house.task().audio.end == 8000


async def test_no_time_passes_without_a_client(house: House) -> None:
    """One that lost its line may come back: the line's silence is not its own, neither then nor afterwards."""
    await house.speak(0.5)
    house.find(house.task(), speaking=True)
    house.session.detach()
    assert not house.session.attached
    house.now += 30.0
    assert house.news() is None
    house.now += 30.0
    house.listen()
    assert house.news() is None
    house.now += 1.0
    assert house.task().idle_s == pytest.approx(1.0)


async def test_no_time_passes_while_the_ring_is_full(house: House) -> None:
    """The client is made to wait: that is not its silence."""
    await house.speak((RING - LONGEST_TAIL) / RATE + 0.1)
    house.find(house.task(), retain_from=0, speaking=True)
    house.now += 30.0
    assert house.news() is None
    house.session.commit(
        IngestTask("s", house.session.ring.handle(0, 0), b"", None, 0.0),
        IngestOutcome("s", house.session.ring.written, RATE, b"", (), True),
    )
    house.now += 1.0
    assert house.task().idle_s == pytest.approx(1.0)


# --- audio in --------------------------------------------------------------------------------------


async def test_audio_is_where_its_handle_says(house: House) -> None:
    """In shared memory and in the journal alike, whatever frames it came in."""
    data = ramp(0, 9000).tobytes()
    for at in range(0, len(data), 1001):
        await house.session.feed(data[at : at + 1001])
    np.testing.assert_array_equal(house.reader.read(house.task().audio), ramp(0, 9000))
    assert [start for start, _ in house.records.heard] == list(
        np.cumsum([0] + [len(samples) for _, samples in house.records.heard])[:-1]
    )
    np.testing.assert_array_equal(np.concatenate([samples for _, samples in house.records.heard]), ramp(0, 9000))


async def test_a_full_ring_makes_its_client_wait(house: House) -> None:
    """Nothing is overwritten that is still needed, and all of it is in when there was room for it."""
    audio = ramp(0, 2 * RING + 100)
    feeding = asyncio.create_task(house.session.feed(audio.tobytes()))
    heard = []
    while not feeding.done() or house.news() is not None:
        await eventually(lambda: house.session.paused or feeding.done())
        task = house.task()
        heard.append(house.reader.read(task.audio))
        house.find(task)
        await eventually(lambda: not house.session.paused or house.session.ring.room == 0)
    assert not house.session.paused
    rest = house.session.ring.written - sum(map(len, heard))
    assert rest < VAD_WINDOW
    np.testing.assert_array_equal(np.concatenate(heard), audio[: len(audio) - rest])


async def test_what_waits_for_room_is_in_the_journal(house: House) -> None:
    """It is acknowledged: a daemon that is killed before there is room must not lose it."""
    feeding = asyncio.create_task(house.session.feed(ramp(0, 2 * RING).tobytes()))
    await eventually(lambda: house.session.paused)
    assert house.session.received().samples_received == 2 * RING
    np.testing.assert_array_equal(np.concatenate([samples for _, samples in house.records.heard]), ramp(0, 2 * RING))
    house.find(house.task())
    await feeding
    house.find(house.task())
    await house.speak(1.0)
    assert house.records.heard[-1][0] == 2 * RING


async def test_an_utterance_that_is_not_read_yet_keeps_the_ring_full(house: House) -> None:
    """Its audio is given up when it is released, not when its boundary is known."""
    await house.speak(RING / RATE)
    house.find(house.task(), (0, RING))
    feeding = asyncio.create_task(house.session.feed(pcm(100)))
    await eventually(lambda: house.session.paused)
    assert (house.session.ring.floor, house.session.figures().paused) == (0, True)
    house.session.audio_released(house.submitted[1])
    await feeding
    assert (house.session.ring.floor, house.session.ring.written) == (RING, RING + 100)


async def test_bad_samples_cost_their_piece_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is told; what was before and after them in the same frame is in, and the next frame too."""
    monkeypatch.setattr(intake, "PIECE_BYTES", 4000)
    samples = ramp(0, 3000)
    samples[1500] = np.nan
    with pytest.raises(InvalidAudio):
        await house.session.feed(samples.tobytes())
    await house.session.feed(ramp(3000, 4000).tobytes())
    expected = np.concatenate([ramp(0, 1000), ramp(2000, 4000)])
    np.testing.assert_array_equal(house.reader.read(house.task().audio), expected)
    assert house.session.received() == AudioReceived(16_000, 3000)


async def test_a_frame_that_is_refused_counts_as_a_sign_of_life(house: House) -> None:
    """Time in which bad audio came is no silence."""
    await house.speak(0.5)
    house.find(house.task(), speaking=True)
    house.now += 0.5
    with pytest.raises(InvalidAudio):
        await house.session.feed(pcm(8000, float("nan")))
    house.now += 0.5
    assert house.news() is None


async def test_a_line_that_was_cut_within_a_sample(house: House) -> None:
    """The part of it is forgotten, and not counted as received: the client sends that sample again."""
    audio = ramp(0, 2000).tobytes()
    await house.session.feed(audio[:4002])
    house.session.detach()
    got = house.listen(0)
    await house.session.go_on()
    received = house.session.received()
    assert got == [received] == [AudioReceived(4000, 1000)]
    await house.session.feed(audio[received.bytes_received :])
    np.testing.assert_array_equal(house.reader.read(house.task().audio), ramp(0, 2000))


async def test_options_are_fixed_once_audio_has_come(house: House) -> None:
    """Before, a start message may say what is to come; afterwards it is refused."""
    house.session.configure(Options(AudioFormat(8000, 1, "s16le"), "ja"))
    await house.session.feed(b"\0\0" * 8000)
    await house.session.end_utterance("flush")
    assert house.session.ring.written == RATE
    with pytest.raises(protocol.InvalidMessage):
        house.session.configure(Options(MONO, "en"))


# --- acknowledgements ------------------------------------------------------------------------------


async def test_received_audio_is_acknowledged_once_a_second(open_house: Open) -> None:
    """Cumulative; nothing is said where nothing came."""
    house = open_house("ack")
    for _ in range(5):
        await house.speak(0.4)
        house.session.take_news(house.now)
    assert house.of(AudioReceived) == [AudioReceived(25_600, 6400), AudioReceived(4 * 25_600, 4 * 6400)]
    house.now += ACK_EVERY_S
    house.session.take_news(house.now)
    house.now += 60.0
    house.session.take_news(house.now)
    assert house.of(AudioReceived)[2:] == [AudioReceived(5 * 25_600, 5 * 6400)]


async def test_the_last_acknowledgement_does_not_wait(open_house: Open) -> None:
    """After stop nothing more comes: all is acknowledged at once."""
    house = open_house("ack")
    await house.speak(0.1)
    house.session.take_news(house.now)
    await house.speak(0.1)
    await house.session.end_utterance("stop")
    house.session.take_news(house.now)
    assert house.of(AudioReceived)[-1] == AudioReceived(12_800, 3200)


async def test_one_that_comes_back_is_told_first_where_its_audio_goes_on(open_house: Open) -> None:
    """An acknowledgement before that may leave out what the connection before is still taking in."""
    house = open_house("ack")
    await house.speak(0.5)
    house.session.detach()
    got = house.listen(0)
    house.now += ACK_EVERY_S
    house.session.take_news(house.now)
    assert got == []
    await house.session.go_on()
    assert got == [AudioReceived(32_000, 8000)]


async def test_acknowledgements_are_for_those_who_asked(house: House) -> None:
    """The original clients know nothing of them."""
    await house.speak(0.5)
    house.session.take_news(house.now)
    assert house.got == []


# --- results ---------------------------------------------------------------------------------------


async def test_utterances_are_numbered_as_they_are_found(house: House) -> None:
    """With the audio, options and time of day that they were said at."""
    await house.speak(1.0)
    house.find(house.task(), (1600, 4800), (8000, 12_800))
    first, second = house.submitted.values()
    assert (first.sequence, second.sequence) == (1, 2)
    assert (second.audio.start, second.audio.end, second.language) == (8000, 12_800, "en")
    assert second.wall_start == pytest.approx(1e9 + house.now - 0.5)
    assert first.buffer_id != second.buffer_id


async def test_results_leave_in_the_order_of_speech(house: House) -> None:
    """A result that is ready too early waits; an utterance that failed has its turn like the others."""
    await house.say(4)
    house.settle(3)
    house.settle(2, text=None)
    assert (house.got, house.records.outcomes) == ([], [])
    house.settle(1)
    assert sequences(house.got) == [1, 2, 3]
    assert [type(message) for message in house.got] == [Final, protocol.Error, Final]
    assert house.of(protocol.Error)[0].code == "TRANSCRIPTION_FAILED"
    house.settle(4)
    assert sequences(house.got) == house.records.outcomes == [1, 2, 3, 4]


async def test_voices_are_named_in_the_order_of_speech(house: House) -> None:
    """Whose result is ready first has nothing to do with it."""
    await house.say(3)
    house.settle(3, embedding=(1.0, 0.0))
    house.settle(2, embedding=(0.0, 1.0))
    house.settle(1, embedding=(1.0, 0.0))
    speakers = [final.segments[0].speaker for final in house.of(Final)]
    assert speakers == ["Speaker_00", "Speaker_01", "Speaker_00"]


async def test_a_result_is_kept_before_it_is_sent(house: House) -> None:
    """And the session is not over before: its client would believe that it has everything."""
    house.records.on_disk = False
    await house.say(1)
    await house.session.end_utterance("stop")
    house.find(house.task())
    house.settle(1)
    assert (house.got, house.session.done.is_set()) == ([], False)
    house.records.keep()
    assert sequences(house.got) == [1]
    assert house.session.done.is_set()


async def test_silence_is_told_to_those_who_asked(open_house: Open) -> None:
    """An utterance in which nothing was recognised has no final."""
    for events, told in (((), []), (("suppressed",), [1])):
        house = open_house(*events)
        await house.say(1)
        house.keep_silent(1)
        assert sequences(house.got) == told
        assert house.records.outcomes == [1]


async def test_the_recognised_text_is_told_to_those_who_asked(open_house: Open) -> None:
    """Before anybody is named and anything is corrected."""
    for events, told in (((), []), (("partial",), ["hello"])):
        house = open_house(*events)
        await house.say(1)
        house.recognise(1, "hello")
        assert [partial.text for partial in house.of(Partial)] == told


async def test_context_is_what_was_said_just_before(house: House) -> None:
    """The last few texts, oldest first, never a later one."""
    await house.say(4)
    for sequence in (2, 1, 3):  # a retry may change the order in which texts are there
        house.recognise(sequence, f"{sequence}")
    assert house.submitted[4].texts_before == ("2", "3")
    assert house.submitted[3].texts_before == ("1", "2")


async def test_speech_too_short_is_counted(house: House) -> None:
    """It is no utterance, and not forgotten either."""
    await house.speak(0.5)
    house.find(house.task(), dropped_samples=800)
    assert house.records.dropped_s == pytest.approx(0.05)


# --- a client that comes back ----------------------------------------------------------------------


async def test_one_that_comes_back_gets_what_it_missed(house: House) -> None:
    """In order, and only that: what it had, what was sent into the void, and what was ready meanwhile."""
    await house.say(4)
    house.settle(1)
    house.settle(2, text=None)
    house.session.detach()
    house.settle(3)
    back = house.listen(1)
    assert sequences(back) == [2, 3]
    house.settle(4)
    assert sequences(back) == [2, 3, 4]
    assert sequences(house.got) == [1, 2]


async def test_one_that_had_nothing_gets_everything(house: House) -> None:
    """Again and again, if it has to."""
    await house.say(2)
    house.settle(1)
    house.settle(2)
    assert sequences(house.listen(0)) == sequences(house.listen(0)) == [1, 2]
    assert sequences(house.listen(2)) == []


async def test_a_new_client_is_told_nothing_old(house: House) -> None:
    """Only a client that says how far it was can have missed anything."""
    await house.say(1)
    house.settle(1)
    assert house.listen() == []


async def test_what_was_suppressed_is_sent_again_to_those_who_asked(open_house: Open) -> None:
    """As it was the first time."""
    for events, told in (((), [2]), (("suppressed",), [1, 2])):
        house = open_house(*events)
        await house.say(2)
        house.keep_silent(1)
        house.settle(2)
        assert sequences(house.listen(0)) == told


async def test_a_voice_keeps_its_name(house: House) -> None:
    """The session knows its voices; a line that was cut changes nothing."""
    await house.say(2)
    house.settle(1, embedding=(1.0, 0.0))
    house.session.detach()
    house.settle(2, embedding=(1.0, 0.0))
    assert [final.segments[0].speaker for final in house.listen(1) if isinstance(final, Final)] == ["Speaker_00"]


async def test_who_is_in_no_final_founds_no_voice(house: House) -> None:
    """Nobody was told of the name: the next one who is heard gets it."""
    await house.say(3)
    house.submitted[1].diarization = DiarizationResult((Turn(0.0, 5.0, 0),), ((1.0, 0.0),), 0.7)
    house.settle(1, text=None)
    house.submitted[2].diarization = DiarizationResult((Turn(0.0, 5.0, 0),), ((1.0, 0.0),), 0.7)
    house.keep_silent(2)
    house.settle(3, embedding=(0.0, 1.0))
    assert [final.segments[0].speaker for final in house.of(Final)] == ["Speaker_00"]


async def test_a_session_that_is_taken_up_goes_on_with_its_numbers(open_house: Open) -> None:
    """Samples, utterances and time of day, as if the daemon had not died; it has no client, so no time passes."""
    house = open_house(start=StartingPoint(sample=1_000_000, sequence=7, wall=5e8), client=False)
    await house.session.feed_recovered(ramp(0, 16_000))
    house.now += 60.0
    task = house.task()
    assert (task.audio.start, task.audio.end, task.idle_s) == (1_000_000, 1_016_000, 0.0)
    np.testing.assert_array_equal(house.reader.read(task.audio), ramp(0, 16_000))
    house.find(task, (1_000_800, 1_008_800))
    assert house.submitted[7].wall_start == pytest.approx(5e8 + 0.05)
    assert house.session.wall_end == pytest.approx(5e8 + 1.0)
    house.settle(7)
    assert house.records.outcomes == [7]
    assert house.records.floors[-1] == (1_008_800, 8)


async def test_a_session_that_is_taken_up_knows_who_spoke_and_what_was_said(open_house: Open) -> None:
    """As of the last result that was kept: the next one may be done again, but by the same name."""
    house = open_house()
    await house.say(3)
    for sequence, text, embedding in ((1, "first", (1.0, 0.0)), (2, "second", (0.0, 1.0)), (3, "third", (0.0, 1.0))):
        house.records.on_disk = sequence < 3
        house.recognise(sequence, text)
        house.settle(sequence, text, embedding)
    start = StartingPoint(sample=12_000, sequence=3, wall=5e8, remembered=house.session.remembered)
    house = open_house(start=start, client=False)
    await house.session.feed_recovered(ramp(0, 16_000))
    house.find(house.task(), (12_000, 20_000), (20_000, 28_000))
    assert house.submitted[3].text_before == "second"
    assert house.submitted[4].texts_before == ("first", "second")
    house.settle(3, embedding=(0.0, 1.0))
    assert [final.segments[0].speaker for final in house.listen(2) if isinstance(final, Final)] == ["Speaker_01"]


# --- what the journal may forget -------------------------------------------------------------------


async def test_the_journal_keeps_what_has_no_result(house: House) -> None:
    """Its floor stands before the first utterance that is not final, though the ring may be free of it."""
    house.records.on_disk = False
    await house.say(2, seconds=0.5)
    assert house.records.floors[-1] == (0, 1)
    house.settle(2)
    assert house.records.floors[-1] == (0, 1)
    house.settle(1)
    assert (house.records.floors[-1], house.session.ring.floor) == ((0, 1), RATE)
    house.records.keep()
    assert house.records.floors[-1] == (8000, 2)
    house.records.keep()
    assert house.records.floors[-1] == (16_000, 3)


async def test_the_journal_keeps_what_may_become_an_utterance(house: House) -> None:
    """Audio that ingest still needs is not final, either."""
    await house.speak(0.5)
    house.find(house.task(), retain_from=3200, speaking=True)
    assert house.records.floors[-1] == (3200, 1)


@settings(max_examples=40, deadline=None)
@given(order=st.permutations(range(1, 7)), data=st.data())
def test_no_floor_ever_passes_an_utterance_without_result(order: list[int], data: st.DataObject) -> None:
    """Whatever order results are ready and kept in; floors never go back, and reach the end in the end."""
    house = House(Options(MONO, "en"))
    house.records.on_disk = False
    unfinished: set[int] = set()
    kept = 0

    def keep() -> None:
        nonlocal kept
        kept += 1
        unfinished.remove(kept)
        house.records.keep()

    async def live() -> None:
        to_settle: list[int] = []
        while order or to_settle or house.records.waiting:
            steps = ["say"] * (len(house.submitted) < 6) + ["settle"] * bool(to_settle)
            step = data.draw(st.sampled_from(steps + ["keep"] * bool(house.records.waiting)))
            if step == "say":
                sequence = len(house.submitted) + 1
                unfinished.add(sequence)
                await house.say(1)
            elif step == "settle":
                house.settle(to_settle.pop(0))
            else:
                keep()
            while order and order[0] in house.submitted:
                to_settle.append(order.pop(0))
            check()

    def check() -> None:
        floor, next_sequence = house.records.floors[-1]
        assert house.records.floors == sorted(house.records.floors)
        assert all(house.submitted[sequence].audio.start >= floor for sequence in unfinished)
        assert next_sequence == min(unfinished, default=len(house.submitted) + 1)

    try:
        asyncio.run(live())
        assert house.records.floors[-1] == (house.session.ring.written, 7)
    finally:
        house.close()


# --- audio that is lost ----------------------------------------------------------------------------


@pytest.mark.parametrize("stale", [True, False])
async def test_audio_that_cannot_be_examined_is_a_gap(open_house: Open, stale: bool) -> None:
    """From what was still open on; the next audio is examined afresh, and the journal keeps nothing of it."""
    house = open_house("status")
    await house.speak(0.5)
    house.find(house.task(), retain_from=4800, speaking=True)
    await house.speak(0.5)
    task = house.task()
    house.session.commit(task, IngestOutcome("s", 0, 0, b"x", (), True, stale=True) if stale else None)
    assert house.got == [protocol.Gap(0.3, 1.0, "INTERNAL_ERROR")]
    assert house.records.floors[-1] == (16_000, 1)
    await house.speak(0.5)
    assert (house.task().audio.start, house.task().state) == (16_000, b"")


async def test_a_gap_waits_for_a_client_that_comes_back(open_house: Open) -> None:
    """Also where it was told to a line that was cut, which takes messages for a while: until the client is known to
    have a later result."""
    house = open_house("status")
    await house.speak(1.0)
    house.session.commit(house.task(), None)
    house.session.detach()
    house.now += GAP_EVERY_S
    await house.speak(1.0)
    house.session.commit(house.task(), None)
    await house.say(1)
    house.settle(1)
    gaps = [protocol.Gap(0.0, 1.0, "INTERNAL_ERROR"), protocol.Gap(1.0, 2.0, "INTERNAL_ERROR")]
    told = house.listen(0)
    assert (told[:2], sequences(told[2:]), house.listen(1)) == (gaps, [1], [])
    assert house.session.figures().results == 1


async def test_a_gap_is_told_in_time_though_nothing_follows(open_house: Open) -> None:
    """Soon after another it waits for those after it, but not for the client's next word."""
    house = open_house("status")
    for _ in range(2):
        await house.speak(1.0)
        house.session.commit(house.task(), None)
    house.now += GAP_EVERY_S
    assert house.news() is None
    assert house.got == [protocol.Gap(0.0, 1.0, "INTERNAL_ERROR"), protocol.Gap(1.0, 2.0, "INTERNAL_ERROR")]


async def test_every_sample_is_accounted_for(house: House) -> None:
    """In an utterance, lost, or silence; what two utterances share counts once."""
    await house.speak(2.0)
    house.find(house.task(), (1600, 16_000), (14_400, 24_000))
    await house.speak(1.0)
    house.session.commit(house.task(), None)
    await house.session.end_utterance("stop")
    house.find(house.task())
    assert house.session.account() == {"received_s": 3.0, "utterances_s": 1.4, "silence_s": 0.1, "lost_s": 1.5}


async def test_a_gap_is_an_error_to_those_who_asked_for_nothing(house: House) -> None:
    """Every client hears of audio that will not come back as text."""
    await house.speak(0.5)
    house.session.commit(house.task(), None)
    [error] = house.of(protocol.Error)
    assert (error.code, error.details) == ("INTERNAL_ERROR", {"from": 0.0, "to": 0.5})


async def test_a_session_ends_though_its_last_audio_is_lost(house: House) -> None:
    """The break that ended it counts as reached."""
    await house.speak(0.5)
    await house.session.end_utterance("stop")
    house.session.commit(house.task(), None)
    assert house.session.done.is_set()


# --- the end ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["stop", "disconnect"])
async def test_a_session_is_over_when_its_last_result_is_kept(house: House, trigger: Trigger) -> None:
    """Not when its audio ends, nor when that is examined."""
    await house.speak(0.5)
    await house.session.end_utterance(trigger)
    assert house.session.ended == trigger
    house.find(house.task(), (0, 8000))
    assert not house.session.done.is_set()
    house.settle(1)
    assert house.session.done.is_set()
    assert not house.session.abandoned


async def test_a_session_is_not_over_while_its_last_audio_is_not_examined(house: House) -> None:
    """A result that comes after stop is not the last: another utterance may be found in what was received before."""
    await house.say(1)
    await house.speak(0.5)
    await house.session.end_utterance("stop")
    house.settle(1)
    assert not house.session.done.is_set()
    house.find(house.task(), (4000, 12_000))
    house.settle(2)
    assert house.session.done.is_set()


async def test_a_flush_does_not_end_a_session(house: House) -> None:
    """It goes on, also where nothing is under way."""
    await house.session.end_utterance("flush")
    house.find(house.task())
    assert (house.session.ended, house.session.done.is_set()) == (None, False)


async def test_an_abandoned_session_says_and_forgets_nothing_more(house: House) -> None:
    """What is not final then stays in the journal, and is done by the next daemon: sent now, it would come twice."""
    house.records.on_disk = False
    await house.say(2)
    house.settle(1)
    house.session.abandon()
    assert house.session.done.is_set() and house.session.abandoned
    floors = list(house.records.floors)
    house.settle(2)
    assert house.records.outcomes == [1]
    house.records.keep()
    assert house.records.floors == floors


async def test_an_abandoned_session_tells_of_what_was_lost(open_house: Open) -> None:
    """A gap that waits to be told with those after it: the journal does not have that audio any more."""
    house = open_house("status")
    for _ in range(2):
        await house.speak(1.0)
        house.session.commit(house.task(), None)
    house.session.abandon()
    assert house.got == [protocol.Gap(0.0, 1.0, "INTERNAL_ERROR"), protocol.Gap(1.0, 2.0, "INTERNAL_ERROR")]


async def test_abandoning_what_is_over_changes_nothing(house: House) -> None:
    """Its journal may go."""
    await house.session.end_utterance("stop")
    house.find(house.task())
    house.session.abandon()
    assert not house.session.abandoned


async def test_an_abandoned_session_lets_go_of_whoever_feeds_it(house: House) -> None:
    """A client that waits for room in the ring must not keep the daemon from stopping. What was acknowledged of its
    audio is in the journal, and no more than that."""
    frame = pcm(3 * RING)
    feeding = asyncio.create_task(house.session.feed(frame))
    await eventually(lambda: house.session.paused)
    ending = asyncio.create_task(house.session.end_utterance("stop"))
    house.session.abandon()
    house.arena.release(house.session.ring)
    await feeding
    await ending
    await house.session.feed(frame)
    assert house.session.ring.written == RING
    assert sum(len(samples) for _, samples in house.records.heard) == house.session.received().samples_received
