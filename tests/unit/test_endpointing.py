"""The endpointing state machine: boundaries from probabilities, samples and idle time alone."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipc.audio_handle import SAMPLE_RATE, VAD_WINDOW
from ipc.messages import Boundary
from ipc.settings import VadSettings
from stages.ingest.endpointing import (
    WHISPER_SAMPLES,
    Endpointing,
    Rules,
    begin,
    enough_speech,
    finish,
    hear,
    retain_from,
    rules_from,
    so_far,
    wait,
)

DEFAULT = rules_from(VadSettings())
SHORT = rules_from(VadSettings(max_utterance_s=5.0, cut_search_s=2.0, silence_s=0.5))
PRE_ROLL = POST_ROLL = 4800
SECOND = 31
"""Windows of nearly a second."""


def listen(
    probabilities: list[float], rules: Rules = DEFAULT, state: Endpointing | None = None
) -> tuple[Endpointing, list[Boundary]]:
    return hear(state or begin(0), rules, len(probabilities) * VAD_WINDOW, probabilities)


def test_utterance_opens_with_pre_roll_before_the_first_speech() -> None:
    """Speech opens an utterance that begins pre_roll_s earlier."""
    state, boundaries = listen([0.0] * 20 + [0.9])
    assert boundaries == []
    assert state.utterance is not None
    assert state.utterance.start == 20 * VAD_WINDOW - PRE_ROLL
    assert retain_from(state, DEFAULT) == state.utterance.start


def test_no_utterance_begins_before_the_first_sample() -> None:
    """Pre-roll reaches no further back than the session does."""
    state, _ = listen([0.0] * 3 + [0.9])
    assert state.utterance is not None
    assert state.utterance.start == 0


def test_speech_goes_on_below_the_threshold_but_does_not_begin_there() -> None:
    """0.4 is speech after speech and no speech after a pause (threshold 0.5, hysteresis 0.15)."""
    state, _ = listen([0.4, 0.6, 0.4, 0.3, 0.4])
    assert state.utterance is not None
    assert state.utterance.speech_samples == 2 * VAD_WINDOW
    assert state.utterance.last_speech_end == 3 * VAD_WINDOW


def test_received_silence_ends_an_utterance_after_the_post_roll() -> None:
    """2.0 s of received silence, to the nearest window, close the utterance at the last speech and the post-roll."""
    state, boundaries = listen([0.0] * 20 + [0.9] * 10 + [0.0] * 61)
    assert boundaries == []
    state, boundaries = listen([0.0], state=state)
    last = 30 * VAD_WINDOW
    heard = ((20 * VAD_WINDOW, last),)
    assert boundaries == [
        Boundary(20 * VAD_WINDOW - PRE_ROLL, last + POST_ROLL, "silence", 10 * VAD_WINDOW, last, heard)
    ]
    assert state.utterance is None


def test_where_there_is_speech_is_known_but_for_short_pauses() -> None:
    """0.2 s divide no speech; what is open is known so far."""
    state, _ = listen([0.0] * 20 + [0.9] * 10 + [0.0] * 6 + [0.9] * 4 + [0.0] * 7 + [0.9] * 2 + [0.0] * 3)
    heard = ((20 * VAD_WINDOW, 40 * VAD_WINDOW), (47 * VAD_WINDOW, 49 * VAD_WINDOW))
    open_ = so_far(state, DEFAULT)
    assert open_ is not None and open_.speech == heard
    _, boundaries = finish(state, DEFAULT, "flush")
    assert [boundary.speech for boundary in boundaries] == [heard]


def test_time_without_audio_is_silence() -> None:
    """Received silence and idle time add up, over several calls."""
    state, _ = listen([0.9] * 10 + [0.0] * 31)
    state, boundaries = wait(state, DEFAULT, 0.5)
    assert boundaries == []
    state, boundaries = wait(state, DEFAULT, 0.51)
    assert [boundary.trigger for boundary in boundaries] == ["silence"]


def test_speech_makes_idle_time_begin_anew() -> None:
    """Idle time before a word does not count against the pause after it."""
    state, _ = wait(listen([0.9] * 10)[0], DEFAULT, 1.9)
    state, _ = listen([0.9], state=state)
    state, boundaries = wait(state, DEFAULT, 1.9)
    assert boundaries == []
    assert wait(state, DEFAULT, 0.1)[1] != []


def test_post_roll_is_capped_by_what_was_received() -> None:
    """Nothing received after the last speech: the utterance ends there."""
    _, boundaries = wait(listen([0.9] * 10)[0], DEFAULT, 2.0)
    assert boundaries[0].end == 10 * VAD_WINDOW


def test_idle_time_without_an_utterance_changes_nothing() -> None:
    """Nothing open: nothing to end."""
    state, _ = listen([0.0] * 10)
    assert wait(state, DEFAULT, 60.0) == (state, [])


def test_finish_ends_the_open_utterance_with_its_trigger() -> None:
    """A flush ends what is open now; a second one finds nothing."""
    state, boundaries = finish(listen([0.9] * 10 + [0.0] * 3)[0], DEFAULT, "flush")
    assert boundaries == [
        Boundary(0, 13 * VAD_WINDOW, "flush", 10 * VAD_WINDOW, 10 * VAD_WINDOW, ((0, 10 * VAD_WINDOW),))
    ]
    assert finish(state, DEFAULT, "flush") == (state, [])


def test_pre_roll_stops_at_the_end_of_the_last_utterance() -> None:
    """Speech right after a flush does not bring audio of the flushed utterance along."""
    state, _ = finish(listen([0.9] * 10)[0], DEFAULT, "flush")
    state, _ = listen([0.0] * 2 + [0.9], state=state)
    assert state.utterance is not None
    assert state.utterance.start == 10 * VAD_WINDOW


def test_idle_session_keeps_the_pre_roll() -> None:
    """What a coming utterance may begin with is retained, and no more."""
    state, _ = listen([0.0] * 100)
    assert retain_from(state, DEFAULT) == 100 * VAD_WINDOW - PRE_ROLL


def test_full_utterance_is_cut_in_its_least_speech_like_place() -> None:
    """A dip four seconds before the limit is where a 30 s utterance is cut; the rest stays open from there."""
    dip = 26 * SECOND
    state, boundaries = listen([0.95] * dip + [0.6] * 6 + [0.95] * (937 - dip - 6))
    cut = (dip + 3) * VAD_WINDOW
    assert boundaries == [Boundary(0, cut, "max_duration", cut, cut, ((0, cut),))]
    assert state.utterance is not None and state.utterance.speech == ((cut, state.position),)
    assert state.utterance is not None
    assert state.utterance.start == cut
    assert state.utterance.speech_samples == 937 * VAD_WINDOW - cut


def test_a_dip_before_the_search_begins_is_no_place_to_cut() -> None:
    """Only the last cut_search_s are searched; among equals the latest place is taken."""
    _, boundaries = listen([0.95] * 100 + [0.0] * 10 + [0.95] * 900)
    assert boundaries[0].end == 934 * VAD_WINDOW


def test_a_full_utterance_is_cut_in_the_silence_after_the_last_speech() -> None:
    """Silence at the limit is the place to cut, and silence alone opens nothing."""
    state, boundaries = listen([0.95] * 900 + [0.0] * 37)
    assert [b.trigger for b in boundaries] == ["max_duration"]
    assert 900 * VAD_WINDOW < boundaries[0].end <= 937 * VAD_WINDOW
    assert boundaries[0].last_speech_end == 900 * VAD_WINDOW
    assert state.utterance is None
    assert retain_from(state, DEFAULT) >= boundaries[0].end


def test_endless_speech_is_cut_again_and_again_without_loss() -> None:
    """Utterances of three minutes of speech touch, and none is over 30 s."""
    state, boundaries = listen([0.95] * (180 * SECOND))
    boundaries += finish(state, DEFAULT, "stop")[1]
    assert [a.end for a in boundaries[:-1]] == [b.start for b in boundaries[1:]]
    assert max(b.end - b.start for b in boundaries) <= WHISPER_SAMPLES
    assert sum(b.speech_samples for b in boundaries) == 180 * SECOND * VAD_WINDOW


def test_a_blip_is_not_enough_speech() -> None:
    """min_speech_s decides what is an utterance at all."""
    blip = finish(listen([0.9] * 3)[0], DEFAULT, "flush")[1][0]
    word = finish(listen([0.9] * 4)[0], DEFAULT, "flush")[1][0]
    assert not enough_speech(blip, DEFAULT)
    assert enough_speech(word, DEFAULT)


def test_a_threshold_of_zero_does_not_make_gated_windows_speech() -> None:
    """Windows under the gate (probability 0) are silence at every threshold."""
    state, _ = listen([0.0] * 10, rules_from(VadSettings(speech_probability=0.0)))
    assert state.utterance is None


runs = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.95, 1.0]), st.integers(1, 120)), min_size=1, max_size=12
).map(lambda parts: [probability for probability, length in parts for _ in range(length)])
rule_sets = st.sampled_from(
    [DEFAULT, SHORT, rules_from(VadSettings(max_utterance_s=5.0, cut_search_s=10.0, silence_s=10.0))]
)


@given(runs, rule_sets, st.lists(st.integers(0, 1500), max_size=8))
def test_any_split_gives_the_same_boundaries(probabilities: list[float], rules: Rules, cuts: list[int]) -> None:
    """Calls are only a way to carry audio: where they are split changes nothing."""
    places = sorted({0, len(probabilities), *(cut % (len(probabilities) + 1) for cut in cuts)})
    state, found = begin(0), list[Boundary]()
    for first, last in pairwise(places):
        state, closed = listen(probabilities[first:last], rules, state)
        found += closed
    assert (state, found) == listen(probabilities, rules)


news = st.lists(
    st.tuples(runs, st.integers(1, VAD_WINDOW), st.floats(0, 3), st.sampled_from([None, None, "flush"])),
    min_size=1,
    max_size=5,
)


@given(news, rule_sets)
def test_boundaries_hold_all_speech_once_and_fit(
    news: list[tuple[list[float], int, float, str | None]], rules: Rules
) -> None:
    """Utterances come in order, never overlap, never exceed the limit, and hold each speech window exactly once,
    with incomplete windows, pauses without audio and flushes in between."""
    state, found, speech = begin(0), list[Boundary](), list[tuple[int, int]]()
    for probabilities, tail, idle, end in news:
        position = state.position
        count = (len(probabilities) - 1) * VAD_WINDOW + tail
        kept = retain_from(state, rules)
        state, closed = hear(state, rules, count, probabilities)
        assert state.position == position + count
        assert all(boundary.start >= kept for boundary in closed)
        found += closed
        for index, probability in enumerate(probabilities):
            start = position + index * VAD_WINDOW
            if probability >= rules.onset:
                speech.append((start, min(start + VAD_WINDOW, position + count)))
        state, closed = wait(state, rules, idle)
        found += closed
        if end is not None:
            state, closed = finish(state, rules, "flush")
            found += closed
    found += finish(state, rules, "stop")[1]
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert all(0 < b.end - b.start <= min(rules.longest, WHISPER_SAMPLES) for b in found)
    assert all(b.start < b.last_speech_end <= b.end <= state.position for b in found)
    assert all(0 < b.speech_samples <= b.end - b.start for b in found)
    for start, end_of_window in speech:
        assert sum(b.start <= start and end_of_window <= b.end for b in found) == 1


@given(runs, rule_sets)
def test_what_is_retained_only_grows(probabilities: list[float], rules: Rules) -> None:
    """The ring may let go of what retain_from has passed: it never comes back."""
    state, kept = begin(0), 0
    for probability in probabilities:
        state, _ = listen([probability], rules, state)
        assert retain_from(state, rules) >= kept
        kept = retain_from(state, rules)


@pytest.mark.parametrize(("silence_s", "windows"), [(2.0, 62), (2.001, 63), (0.8, 25), (0.2, 6)])
def test_silence_is_counted_in_the_nearest_windows(silence_s: float, windows: int) -> None:
    """2 s are 62.5 windows of 32 ms."""
    assert rules_from(VadSettings(silence_s=silence_s)).silence == windows * VAD_WINDOW


def test_limits_follow_the_settings() -> None:
    """Settings are seconds, rules are samples; the search is half an utterance at most."""
    rules = rules_from(VadSettings(max_utterance_s=5.0, cut_search_s=10.0))
    assert (rules.longest, rules.cut_search) == (5 * SAMPLE_RATE, 5 * SAMPLE_RATE // 2)
