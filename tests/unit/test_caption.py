"""The text that is shown while somebody speaks: stable text stays, nothing is said twice, nothing floods."""

from hypothesis import given
from hypothesis import strategies as st

from wernicke_daemon.utterances.caption import SHOWN_EVERY_S, Caption, Shown
from wernicke_daemon.wire.protocol import PartialStage, SegmentOut


def japanese() -> Caption:
    return Caption("ja")


def shown(caption: Caption, now: float) -> Shown:
    state = caption.take(now)
    assert state is not None
    return state


def segment(text: str, speaker: str | None = None) -> SegmentOut:
    return SegmentOut(0.0, 1.0, text, speaker, False, None)


def known(stage: PartialStage, said: SegmentOut, start: float, end: float) -> Shown:
    return Shown(stage, said.text, len(said.text), (said,), start, end)


def test_the_first_pass_is_shown_and_nothing_of_it_is_stable() -> None:
    caption = japanese()
    caption.heard("今日は", 0.0, 1.0)
    assert shown(caption, 1.0) == Shown("live", "今日は", 0, (), 0.0, 1.0)
    assert (caption.revision, caption.first_shown) == (1, 1.0)


def test_what_live_passes_agree_on_is_not_stable() -> None:
    """They are wrong in the same way too often."""
    caption = japanese()
    for end in (1.0, 1.5, 2.0):
        caption.heard("今日はいい", 0.0, end)
    assert shown(caption, 2.0).stable_chars == 0


def test_a_recognised_phrase_is_stable_and_stands_before_the_open_one() -> None:
    caption = japanese()
    caption.recognised(known("asr", segment("今日は晴れ。"), 0.0, 2.0), "ja")
    assert shown(caption, 2.0).stable_chars == 6
    caption.heard("明日", 2.3, 3.0)
    state = shown(caption, 3.0)
    assert (state.text, state.stable_chars, state.stage) == ("今日は晴れ。明日", 6, "live")


def test_blanks_where_the_language_has_them() -> None:
    caption = Caption("en")
    caption.recognised(known("asr", segment("It rains."), 0.0, 2.0), "en")
    caption.heard("to", 2.3, 3.0)
    caption.heard("tomorrow", 2.3, 3.0)
    state = shown(caption, 3.0)
    assert (state.text, state.text[: state.stable_chars]) == ("It rains. tomorrow", "It rains.")


def test_stable_text_is_not_taken_back_by_a_later_wording() -> None:
    caption = japanese()
    caption.recognised(known("asr", segment("機械があれば"), 0.0, 2.0), "ja")
    caption.recognised(known("asr", segment("機会があれば行きます"), 0.0, 4.0), "ja")
    state = shown(caption, 4.0)
    assert state.text == "機械があれば行きます"
    caption.recognised(known("asr", segment("機会がありましたら行きますよ"), 0.0, 5.0), "ja")
    assert shown(caption, 5.0).text.startswith("機械があれば行きます")


def test_it_does_not_say_the_same_again() -> None:
    """Unless it is known by now who said it."""
    caption = japanese()
    caption.heard("はい", 0.0, 1.0)
    assert caption.take(1.0) is not None
    caption.heard("はい", 0.0, 2.0)
    assert caption.take(2.0) is None
    caption.recognised(known("asr", segment("はい"), 0.0, 2.0), "ja")
    assert caption.take(3.0) is None
    caption.recognised(known("diarized", segment("はい", "Speaker_00"), 0.0, 2.0), "ja")
    assert shown(caption, 4.0).stage == "diarized"


def test_no_more_than_two_a_second_and_the_newest_wins() -> None:
    caption = japanese()
    caption.heard("あ", 0.0, 1.0)
    assert caption.take(1.0) is not None
    caption.heard("あい", 0.0, 1.1)
    assert caption.take(1.1) is None
    caption.heard("あいう", 0.0, 1.2)
    assert caption.take(1.2) is None
    assert shown(caption, 1.0 + SHOWN_EVERY_S).text == "あいう"


def test_nothing_is_shown_of_no_text() -> None:
    caption = japanese()
    caption.heard("", 0.0, 1.0)
    assert caption.take(1.0) is None


def test_what_was_shown_is_taken_back_at_once() -> None:
    caption = japanese()
    caption.heard("えっと", 0.0, 1.0)
    assert caption.take(1.0) is not None
    caption.withdraw()
    assert shown(caption, 1.0) == Shown("withdrawn", "", 0, (), 0.0, 1.0)


def test_what_nobody_saw_need_not_be_taken_back() -> None:
    caption = japanese()
    caption.heard("えっと", 0.0, 1.0)
    caption.withdraw()
    assert caption.take(1.0) is None


PASSES = st.lists(st.tuples(st.booleans(), st.text("あいう。", max_size=12)), max_size=20)


@given(PASSES)
def test_stable_text_only_grows(passes: list[tuple[bool, str]]) -> None:
    caption, stable = japanese(), ""
    for at, (recognised, text) in enumerate(passes):
        if recognised:
            caption.recognised(known("asr", segment(text), 0.0, 1.0), "ja")
        else:
            caption.heard(text, 0.0, 1.0)
        state = caption.take(float(at))
        if state is not None:
            assert state.text.startswith(stable) and state.stable_chars >= len(stable)
            stable = state.text[: state.stable_chars]
