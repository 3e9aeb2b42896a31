"""What the endpointer says of the open utterance: its phrases, and where it would end."""

from hypothesis import given
from hypothesis import strategies as st

from ipc.audio_handle import SAMPLE_RATE, VAD_WINDOW
from ipc.messages import Boundary, OpenSpeech
from ipc.settings import VadSettings
from stages.ingest.endpointing import WHISPER_SAMPLES, Endpointing, begin, finish, hear, rules_from, so_far, wait

RULES = rules_from(VadSettings())
SHORT = rules_from(VadSettings(max_utterance_s=5.0, cut_search_s=2.0))
ROLL = 4800
PAUSE = [0.0] * 16
"""Windows of just over phrase_pause_s."""


def listen(probabilities: list[float], state: Endpointing | None = None) -> Endpointing:
    return hear(state or begin(0), RULES, len(probabilities) * VAD_WINDOW, probabilities)[0]


def heard(probabilities: list[float], state: Endpointing | None = None) -> OpenSpeech:
    speech = so_far(listen(probabilities, state), RULES)
    assert speech is not None
    return speech


def test_nothing_is_open_without_enough_speech() -> None:
    assert so_far(begin(0), RULES) is None
    assert so_far(listen([0.9] * 3), RULES) is None
    assert so_far(listen([0.9] * 4), RULES) is not None


def test_a_phrase_goes_on_through_a_short_pause() -> None:
    speech = heard([0.9] * 10 + [0.0] * 15 + [0.9] * 5)
    assert (speech.start, speech.phrase_start, speech.paused) == (0, 0, False)


def test_a_pause_ends_a_phrase_where_the_utterance_would_end() -> None:
    speech = heard([0.9] * 10 + PAUSE)
    assert speech == OpenSpeech(
        start=0,
        phrase_start=0,
        last_speech_end=10 * VAD_WINDOW,
        end=10 * VAD_WINDOW + ROLL,
        silence=16 * VAD_WINDOW,
        paused=True,
        full_at=WHISPER_SAMPLES,
        ends_at=(10 + 62) * VAD_WINDOW,
        speech=((0, 10 * VAD_WINDOW),),
    )


@given(st.lists(st.sampled_from([0.0, 0.9]), min_size=4, max_size=100), st.integers(0, 40))
def test_silence_ends_an_utterance_at_the_sample_that_is_told(probabilities: list[float], idle_windows: int) -> None:
    """Not a window sooner, whether or not nothing was received for a while."""
    state, _ = wait(listen(probabilities), RULES, idle_windows * VAD_WINDOW / SAMPLE_RATE)
    speech = so_far(state, RULES)
    if speech is None:
        return
    windows = (speech.ends_at - state.position) // VAD_WINDOW
    assert hear(state, RULES, (windows - 1) * VAD_WINDOW, [0.0] * (windows - 1))[1] == []
    assert hear(state, RULES, windows * VAD_WINDOW, [0.0] * windows)[1] != []


def test_the_next_phrase_begins_with_its_pre_roll() -> None:
    speech = heard([0.9] * 10 + [0.0] * 40 + [0.9])
    assert speech.phrase_start == 50 * VAD_WINDOW - ROLL


def test_rolls_of_two_phrases_do_not_overlap() -> None:
    speech = heard([0.9] * 10 + PAUSE + [0.9])
    assert speech.phrase_start == 10 * VAD_WINDOW + ROLL


def test_a_pause_without_audio_ends_a_phrase_too() -> None:
    state, _ = wait(listen([0.9] * 10), RULES, 0.6)
    paused = so_far(state, RULES)
    assert paused is not None and paused.paused and paused.end == 10 * VAD_WINDOW
    assert heard([0.9], state).phrase_start == 10 * VAD_WINDOW


def test_a_phrase_ends_no_sooner_than_its_post_roll() -> None:
    """Its end does not move while the pause goes on, or what was recognised of it could not be used."""
    rules = rules_from(VadSettings(phrase_pause_s=0.2, post_roll_s=0.4))
    assert rules.phrase_pause == 0.4 * SAMPLE_RATE


@given(st.lists(st.sampled_from([0.0, 0.0, 0.4, 0.9]), max_size=400), st.booleans())
def test_what_is_said_of_a_pause_is_what_the_boundary_says_then(probabilities: list[float], to_silence: bool) -> None:
    """The range of early work is that of the utterance, if nothing more is said: however the silence ends it."""
    state = hear(begin(0), SHORT, len(probabilities) * VAD_WINDOW, probabilities)[0]
    speech = so_far(state, SHORT)
    if speech is None or not speech.paused:
        return
    boundary: Boundary
    if to_silence:
        state, [boundary] = hear(state, SHORT, 62 * VAD_WINDOW, [0.0] * 62)
        if boundary.trigger == "max_duration":
            return
    else:
        state, [boundary] = finish(state, SHORT, "stop")
    assert (boundary.start, boundary.end, boundary.last_speech_end) == (
        speech.start,
        speech.end,
        speech.last_speech_end,
    )


@given(st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.9]), max_size=300))
def test_phrases_follow_on_one_another_within_the_utterance(probabilities: list[float]) -> None:
    """A phrase begins in its utterance, after the end of the one before; with the cut of a full utterance, too."""
    state, before = begin(0), None
    for probability in probabilities:
        state = hear(state, SHORT, VAD_WINDOW, [probability])[0]
        speech = so_far(state, SHORT)
        if speech is not None:
            assert speech.start <= speech.phrase_start < speech.last_speech_end <= speech.end <= state.position
            if before is not None and before.start == speech.start and before.phrase_start != speech.phrase_start:
                assert before.paused and speech.phrase_start >= before.end
        before = speech
