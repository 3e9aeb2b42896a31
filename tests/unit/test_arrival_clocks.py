"""How long nothing was received, and what time of day a sample was heard."""

import pytest

from ipc.audio_handle import SAMPLE_RATE
from wernicke_daemon.sessions.arrival_clocks import (
    ANCHOR_TOLERANCE_S,
    ARRIVAL_SLACK_S,
    LONGEST_CHUNK_S,
    IdleClock,
    WallClock,
)

WALL = 1_700_000_000.0


def samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def stream(clock: IdleClock, chunk_s: float, chunks: int, start: float = 0.0) -> float:
    """A live client: each chunk comes when it has been spoken. The time of the last one."""
    now = start
    for _ in range(chunks):
        now += chunk_s
        clock.arrived(chunk_s, now)
    return now


@pytest.mark.parametrize("chunk_s", [0.02, 0.1, 0.256, 1.0, LONGEST_CHUNK_S])
def test_a_live_client_is_never_idle(chunk_s: float) -> None:
    """Between the frames of a live client no silence is found, whatever their length."""
    clock = IdleClock(0.0)
    now = stream(clock, chunk_s, 1)
    for _ in range(10):
        for step in range(1, 6):
            assert clock.take(now + chunk_s * step / 5) == 0.0
        now += chunk_s
        clock.arrived(chunk_s, now)


def test_jitter_is_not_silence() -> None:
    """A frame that is late by less than the slack makes no pause."""
    clock = IdleClock(0.0)
    now = stream(clock, 0.1, 5)
    assert clock.take(now + 0.1 + ARRIVAL_SLACK_S - 0.01) == 0.0


def test_once_late_all_of_the_wait_was_silence() -> None:
    """When a frame is overdue, the pause began where the last one ended."""
    clock = IdleClock(0.0)
    now = stream(clock, 0.1, 5)
    assert clock.take(now + 0.5) == pytest.approx(0.5)


def test_a_sleep_is_silence_that_no_clock_counted() -> None:
    """Its length is told once, and the next frame is in time again."""
    clock = IdleClock(0.0)
    now = stream(clock, 0.1, 5)
    clock.slept(3600.0)
    assert clock.take(now + 0.05) == pytest.approx(3600.05)
    clock.arrived(0.1, now + 0.1)
    assert clock.take(now + 0.2) == 0.0


def test_silence_is_taken_once() -> None:
    """What was reported is not reported again; the pause as a whole adds up."""
    clock = IdleClock(0.0)
    now = stream(clock, 0.1, 5)
    taken = [clock.take(now + 0.05 * tick) for tick in range(1, 41)]
    assert sum(taken) == pytest.approx(2.0)


def test_audio_ends_the_pause() -> None:
    """After the next frame the count starts anew."""
    clock = IdleClock(0.0)
    now = stream(clock, 0.1, 5)
    assert clock.take(now + 3.0) == pytest.approx(3.0)
    clock.arrived(0.1, now + 3.1)
    assert clock.take(now + 3.1 + 0.3) == 0.0
    assert clock.take(now + 3.1 + 0.4) == pytest.approx(0.4)


@pytest.mark.parametrize("audio_s", [0.0, 1 / SAMPLE_RATE])
def test_frames_with_next_to_nothing_are_silence(audio_s: float) -> None:
    """However often they come: the pause as a whole adds up, but for the samples that came."""
    clock = IdleClock(0.0)
    now = stream(clock, 0.1, 5)
    taken = 0.0
    for _ in range(100):
        now += 0.02
        taken += clock.take(now)
        clock.arrived(audio_s, now)
    assert 2.0 - ARRIVAL_SLACK_S - 0.1 < taken <= 2.0


@pytest.mark.parametrize("chunk_s", [0.1, 1.0, LONGEST_CHUNK_S])
def test_empty_frames_between_those_of_a_live_client_are_no_pause(chunk_s: float) -> None:
    """They say nothing about when the next audio is due."""
    clock = IdleClock(0.0)
    now = stream(clock, chunk_s, 1)
    for _ in range(10):
        for step in range(1, 20):
            assert clock.take(now + chunk_s * step / 20) == 0.0
            clock.arrived(0.0, now + chunk_s * step / 20)
        now += chunk_s
        assert clock.take(now) == 0.0
        clock.arrived(chunk_s, now)


@pytest.mark.parametrize("speed", [0.96, 1.04])
def test_a_clients_clock_may_go_wrong(speed: float) -> None:
    """An hour of audio that comes a little slower or faster than it is said holds no silence."""
    clock, now = IdleClock(0.0), 0.0
    for _ in range(36_000):
        now += 0.1 / speed
        assert clock.take(now) == 0.0 or now < 1
        clock.arrived(0.1, now)


def test_audio_at_half_its_rate_leaves_silence() -> None:
    """Of a client that withholds every other chunk: seconds of audio count, and not that some came."""
    clock, now, taken = IdleClock(0.0), 0.0, 0.0
    for _ in range(100):
        now += 0.2
        taken += clock.take(now)
        clock.arrived(0.1, now)
    assert 9 < taken < 15


def test_a_file_sent_at_once_is_over_when_nothing_follows() -> None:
    """A minute that came in one frame does not earn a minute of patience."""
    clock = IdleClock(0.0)
    clock.arrived(1.0, 10.0)
    clock.arrived(60.0, 10.01)
    assert clock.take(10.01 + 0.01 + ARRIVAL_SLACK_S - 0.005) == 0.0
    assert clock.take(10.51) == pytest.approx(0.5)


def test_the_longest_patience_is_bounded() -> None:
    """Also after a long wait before a long frame the next one is due within the longest chunk."""
    clock = IdleClock(0.0)
    clock.arrived(60.0, 100.0)
    assert clock.take(100.0 + LONGEST_CHUNK_S) == 0.0
    assert clock.take(100.0 + LONGEST_CHUNK_S + ARRIVAL_SLACK_S) > LONGEST_CHUNK_S


def test_hold_forgets_the_wait() -> None:
    """Time in which reading was paused is no silence; the time after it is."""
    clock = IdleClock(0.0)
    now = stream(clock, 0.1, 5)
    clock.hold(now + 20.0)
    assert clock.take(now + 20.0) == 0.0
    assert clock.take(now + 21.0) == pytest.approx(1.0)


def test_wall_clock_of_live_audio() -> None:
    """Audio that arrives at t ends at t; samples before lie before."""
    wall = WallClock()
    wall.arrived(samples(1.0), WALL + 1.0)
    wall.arrived(samples(2.0), WALL + 2.0)
    for second in (0.0, 0.5, 1.0, 1.5, 2.0):
        assert wall.at(samples(second)) == pytest.approx(WALL + second)


def test_small_jitter_does_not_bend_the_clock() -> None:
    """Arrivals a little early or late do not move the time of a sample, whenever it is asked for."""
    wall = WallClock()
    told = []
    for tick in range(1, 101):
        late = 0.8 * ANCHOR_TOLERANCE_S * (tick % 2)
        wall.arrived(samples(tick * 0.1), WALL + tick * 0.1 + late)
        told.append(wall.at(0))
    assert told == [pytest.approx(told[0], abs=1e-3)] * 100


def test_a_withheld_pause_shifts_what_comes_after_it_only() -> None:
    """The Mac sends nothing in a pause: audio before keeps its time, audio after has the later one."""
    wall = WallClock()
    wall.arrived(samples(5.0), WALL + 5.0)
    wall.arrived(samples(5.1), WALL + 15.1)
    assert wall.at(samples(4.9)) == pytest.approx(WALL + 4.9)
    assert wall.at(samples(5.0)) == pytest.approx(WALL + 15.0)


def test_drift_is_followed() -> None:
    """A sound card that runs slow against the wall clock does not gather an error over hours."""
    wall = WallClock()
    for minute in range(1, 600):
        wall.arrived(samples(minute * 60.0), WALL + minute * 60.0 * 1.0001)
    last = 599 * 60.0
    assert wall.at(samples(last)) == pytest.approx(WALL + last * 1.0001, abs=2 * ANCHOR_TOLERANCE_S)


def test_forgetting_keeps_what_may_still_be_asked() -> None:
    """Samples from the forgotten one on keep their time, over several pauses."""
    wall = WallClock()
    for part in range(1, 6):
        wall.arrived(samples(part * 1.0), WALL + part * 10.0)
    asked = [samples(second) for second in (2.0, 2.5, 3.0, 4.5)]
    before = [wall.at(sample) for sample in asked]
    wall.forget(samples(2.0))
    assert [wall.at(sample) for sample in asked] == before


def test_the_end_of_all_audio_has_a_time_after_forgetting() -> None:
    """An utterance may start exactly where the audio so far ends."""
    wall = WallClock()
    wall.arrived(samples(1.0), WALL + 1.0)
    wall.forget(samples(1.0))
    assert wall.at(samples(1.0)) == pytest.approx(WALL + 1.0)
