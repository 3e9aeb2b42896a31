"""Several channels become one without losing what is in them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wernicke_daemon.wire.downmix import Downmix

Frames = NDArray[np.float32]

RATE = 16_000
SETTLED = RATE // 50  # two blocks: one that shows it, one in which the change is made


def words(seconds: float, seed: int = 0, level: float = 0.1) -> Frames:
    """Noise in syllables of 0.2 s with pauses of the same length, 40 dB quieter."""
    count = round(seconds * RATE)
    sound = np.random.default_rng(seed).normal(0, level, count)
    return (sound * np.where(np.arange(count) // (RATE // 5) % 2, 0.01, 1)).astype(np.float32)


def stereo(*channels: Frames) -> Frames:
    return np.stack(channels, axis=1)


def mixed(frames: Frames) -> Frames:
    return Downmix(frames.shape[1], RATE).mix(frames)


def db(samples: Frames, against: Frames) -> float:
    return float(10 * np.log10(np.mean(samples.astype(float) ** 2) / np.mean(against.astype(float) ** 2)))


def test_one_channel_is_taken_as_it_is() -> None:
    """And the result is no view of what was passed in."""
    sound = words(0.5)
    mono = mixed(sound[:, None])
    np.testing.assert_array_equal(mono, sound)
    assert not np.shares_memory(mono, sound)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.0, -0.04])
def test_the_mean_is_taken_where_it_cancels_nothing(share: float) -> None:
    """Also where one side is silent, or has a little of the other: it may have a voice of its own later."""
    sound = words(2.0)
    frames = stereo(sound, np.float32(share) * sound)
    np.testing.assert_array_equal(mixed(frames), (frames[:, 0] + frames[:, 1]) / np.float32(2))


@pytest.mark.parametrize("share", [-1.0, -0.8, -1.25, -0.3])
def test_inverted_sides_do_not_cancel(share: float) -> None:
    """The louder one is taken, after the block that shows it and one that fades to it."""
    sound = words(2.0)
    frames = stereo(sound, np.float32(share) * sound)
    louder = frames[:, int(abs(share) > 1)]
    np.testing.assert_allclose(mixed(frames)[SETTLED:], louder[SETTLED:], rtol=1e-6)


def test_a_pause_does_not_undo_the_choice() -> None:
    """After 10 s of the noise that each side has of its own, the first syllable is whole."""
    speech, silence = words(2.0), np.zeros(10 * RATE, np.float32)
    said = np.concatenate([speech, silence, speech])
    hiss = np.random.default_rng(1).normal(0, 1e-4, (len(said), 2)).astype(np.float32)
    mono = mixed(stereo(said, -said) + hiss)  # either side
    np.testing.assert_allclose(np.abs(mono[-len(speech) :]), np.abs(speech), atol=1e-3)


def test_a_wire_that_is_mended_is_mixed_again() -> None:
    """What both sides have in common is louder than what they have not: the mean has less noise."""
    sound = words(20.0)
    inverted = np.where(np.arange(len(sound)) < 2 * RATE, -sound, sound)
    mono = mixed(stereo(sound, np.float32(0.5) * inverted))
    np.testing.assert_allclose(mono[-RATE:], 0.75 * sound[-RATE:], rtol=1e-6)


def test_the_side_that_goes_on_is_followed_at_once() -> None:
    """The chosen side is pulled out: nothing of the other is lost but two blocks."""
    sound = words(4.0)
    left = np.where(np.arange(len(sound)) < 2 * RATE, np.float32(1.2) * sound, 0)
    mono = mixed(stereo(left.astype(np.float32), -sound))
    after = 2 * RATE + SETTLED
    np.testing.assert_allclose(mono[after:], -sound[after:], rtol=1e-6)


def test_one_microphone_of_eight_inputs_is_not_an_eighth() -> None:
    """The inputs with nothing plugged in do not make it quieter."""
    frames = np.random.default_rng(1).normal(0, 1e-5, (2 * RATE, 8)).astype(np.float32)
    frames[:, 1] = words(2.0)
    np.testing.assert_array_equal(mixed(frames)[SETTLED:], frames[SETTLED:, 1])


def test_an_offset_is_no_sound() -> None:
    """A dead input with direct current on it is not chosen before the one with the speech."""
    frames = np.zeros((2 * RATE, 4), np.float32)
    frames[:, 0], frames[:, 2] = 0.5, words(2.0)
    assert db(mixed(frames)[SETTLED:], frames[SETTLED:, 2]) == pytest.approx(0, abs=1e-3)


def test_no_change_is_heard_as_a_click() -> None:
    """Neither going to one side nor coming back makes a step that a smooth tone has not."""
    seconds = np.arange(30 * RATE) / RATE
    tone = (0.3 * np.sin(2 * np.pi * 233 * seconds)).astype(np.float32)
    sign = np.where(seconds < 2, -1, 1)
    mono = mixed(stereo(tone, (np.float32(0.7) * sign * tone).astype(np.float32)))
    outside = np.abs(seconds[1:] - 2) > 1e-3  # the input itself steps at 2 s
    assert np.abs(np.diff(mono))[outside].max() < 1.2 * np.abs(np.diff(tone)).max()


@pytest.mark.parametrize("seed", range(3))
def test_unlike_sides_do_not_make_it_flutter(seed: int) -> None:
    """Two microphones apart: in some blocks they cancel, on the whole they do not. The choice is made once."""
    left, room = words(20.0, seed), words(20.0, seed + 10)
    right = np.roll(left, 40) * np.float32(0.7) + np.float32(0.3) * room
    mono = mixed(stereo(left, right))
    np.testing.assert_array_equal(mono, (left + right) / np.float32(2))


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 4), st.lists(st.integers(0, 3 * RATE), max_size=8), st.integers(0, 5))
def test_any_split_gives_the_same(channels: int, cuts: list[int], seed: int) -> None:
    """Blocks are counted in the stream, whatever comes in one call."""
    random = np.random.default_rng(seed)
    weights = random.uniform(-1, 1, (3, channels)).repeat(RATE, axis=0)
    frames = (words(3.0, seed)[:, None] * weights).astype(np.float32)
    downmix, edges = Downmix(channels, RATE), sorted({0, *cuts, len(frames)})
    split = np.concatenate([downmix.mix(frames[a:b]) for a, b in pairwise(edges)])
    np.testing.assert_array_equal(split, mixed(frames))


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 8), st.integers(0, 1000))
def test_no_steady_mixture_loses_more_than_it_may(channels: int, seed: int) -> None:
    """However the channels hang together, the result is at most 6.5 dB quieter than the loudest."""
    random = np.random.default_rng(seed)
    frames = (random.normal(0, 0.1, (RATE, 3)) @ random.uniform(-1, 1, (3, channels))).astype(np.float32)
    loudest = frames[SETTLED:, np.argmax(np.square(frames).mean(axis=0))]
    assert db(mixed(frames)[SETTLED:], loudest) > -6.7
