"""What the recogniser's speed allows before an utterance has ended."""

import pytest

from wernicke_daemon.dispatch.pace import LIVE_LENGTHS_S, Pace

WINDOW_S = 1.5


def paced(fixed_s: float, per_audio_s: float, final: str = "auto") -> Pace:
    """Of a recogniser that takes so long."""
    pace = Pace(final, WINDOW_S)  # type: ignore[arg-type]
    for audio_s in (1.0, 3.0, 6.0, 12.0) * 3:
        pace.took(False, audio_s, fixed_s + per_audio_s * audio_s)
        pace.took(True, audio_s, 0.6 * (fixed_s + per_audio_s * audio_s))
    return pace


def test_a_graphics_card_hears_the_whole_again_as_long_as_it_is_in_time() -> None:
    """0.6 s and 0.04 s a second: up to some 20 s."""
    pace = paced(0.6, 0.04)
    assert not pace.keeps(15.0) and pace.in_time(15.0)
    assert pace.keeps(25.0) and pace.in_time(25.0)
    assert pace.live_s == LIVE_LENGTHS_S[0]


def test_a_slower_one_keeps_phrases() -> None:
    pace = paced(0.3, 0.3)
    assert pace.keeps(6.0) and not pace.keeps(1.0)
    assert 0 < pace.live_s < LIVE_LENGTHS_S[0]


def test_one_that_can_not_keep_up_with_phrases_begins_nothing_early() -> None:
    """What is not done in time would only hold up what comes next."""
    pace = paced(1.0, 1.2)
    assert not pace.keeps(6.0) and not pace.in_time(6.0)
    assert pace.live_s == 0.0


@pytest.mark.parametrize(("final", "keeps"), [("whole", False), ("phrases", True)])
def test_the_setting_decides_where_it_is_not_auto(final: str, keeps: bool) -> None:
    assert paced(0.1, 0.01, final).keeps(1.0) is keeps and paced(1.0, 1.0, final).keeps(20.0) is keeps


def test_another_process_is_another_recogniser() -> None:
    """Nothing is known of it: both are tried."""
    pace = paced(1.0, 1.2)
    pace.forget()
    assert pace.live_s == LIVE_LENGTHS_S[0]
    assert pace.in_time(10.0) and not pace.keeps(10.0)


def test_a_live_pass_that_was_held_up_is_not_held_against_a_fast_recogniser() -> None:
    pace = paced(0.1, 0.01)
    for _ in range(30):
        pace.took(True, 2.0, 20.0)
    assert pace.live_s == LIVE_LENGTHS_S[0]
