"""How long recognition will take is told from what it took."""

from hypothesis import given
from hypothesis import strategies as st

from wernicke_daemon.dispatch.speed import UNKNOWN_S, Speed


def test_nothing_is_known_at_first() -> None:
    assert Speed().seconds(10.0) == 10.0 * UNKNOWN_S


def test_a_graphics_card_takes_its_time_whatever_the_length() -> None:
    speed = Speed()
    for audio_s in (2.0, 5.0, 12.0, 3.0):
        speed.took(audio_s, 0.6 + 0.04 * audio_s)
    assert abs(speed.seconds(30.0) - 1.8) < 0.01


def test_jobs_of_one_length_tell_the_rate() -> None:
    speed = Speed()
    for _ in range(5):
        speed.took(4.0, 2.0)
    assert abs(speed.seconds(8.0) - 4.0) < 0.01


def test_what_was_long_ago_counts_no_more() -> None:
    speed = Speed()
    for audio_s in (1.0, 5.0) * 20:
        speed.took(audio_s, 10.0 * audio_s)
    for audio_s in (1.0, 5.0) * 60:
        speed.took(audio_s, 0.1 * audio_s)
    assert speed.seconds(10.0) < 2.0


@given(st.lists(st.tuples(st.floats(0.1, 30.0), st.floats(0.0, 60.0)), max_size=30), st.floats(0.0, 30.0))
def test_it_is_never_negative_and_grows_with_the_audio(jobs: list[tuple[float, float]], audio_s: float) -> None:
    speed = Speed()
    for job in jobs:
        speed.took(*job)
    assert 0.0 <= speed.seconds(audio_s) <= speed.seconds(audio_s + 1.0) + 1e-9
