"""Audio on its way in, and what is acknowledged of it."""

import asyncio

import numpy as np
import pytest

from ipc.audio_handle import VAD_WINDOW
from tests.unit.session.house import MONO, RATE, RING, House, Open, pcm, ramp
from tests.waiting import eventually
from wernicke_daemon.sessions import intake
from wernicke_daemon.sessions.delivery import ACK_EVERY_S
from wernicke_daemon.sessions.options import Options
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.audio import AudioFormat, InvalidAudio
from wernicke_daemon.wire.protocol import AudioReceived

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
