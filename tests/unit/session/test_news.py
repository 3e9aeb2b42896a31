"""What the ingest stage is given to examine: audio and pauses."""

import pytest

from ipc.audio_handle import VAD_WINDOW
from ipc.messages import IngestOutcome, IngestTask, Trigger
from tests.unit.session.house import RATE, RING, House, Open, pcm
from wernicke_daemon.sessions import intake
from wernicke_daemon.sessions.intake import LONGEST_TAIL
from wernicke_daemon.wire.audio import AudioFormat

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
