"""A recogniser's result held against the speech there is: what is left out, heard again, and said to be lacking."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from ipc.audio_handle import AudioHandle
from ipc.messages import AsrResult, AsrWork, Segment, Word
from ipc.settings import StageSettings
from stages.asr.checked import SPEECH_WITHOUT_TEXT, checked
from stages.asr.phantoms import Phantoms, phrases

PHANTOMS = Phantoms(phrases(""), StageSettings())
WORK = AsrWork(
    AudioHandle("a", 0, 1, 16_000, 160_000), "auto", ("Wernicke",), "before", "early", ((0.3, 3.0), (4.0, 9.5))
)


def said(text: str, start: float, end: float, log_prob: float = -0.3) -> Segment:
    return Segment(start, end, text, (Word(start, end, text, 0.9),), log_prob)


class Recogniser:
    """Hears `whole` in the work, and in parts of it what `again` says."""

    def __init__(self, *whole: Segment, again: Callable[[AsrWork], tuple[Segment, ...]] = lambda part: ()) -> None:
        self.parts: list[AsrWork] = []
        self._whole = whole
        self._again = again

    def __call__(self, work: AsrWork) -> AsrResult:
        if work.audio.count == WORK.audio.count:
            return AsrResult("ja", 0.9, self._whole, "whisper", ("X",))
        self.parts.append(work)
        return AsrResult("ja", 0.9, self._again(work), "whisper")


def texts(result: AsrResult) -> list[str]:
    return [segment.text for segment in result.segments]


def test_a_lost_end_is_heard_again() -> None:
    """Alone, in the language of the whole, told the same terms; its times are those of the whole."""
    hear = Recogniser(said("始めます", 0.0, 3.4), again=lambda part: (said("お願いします", 0.0, 5.0),))
    result = checked(WORK, hear, PHANTOMS)
    (part,) = hear.parts
    assert (part.audio.start, part.audio.count) == (16_000 + 59_200, 97_600)
    assert (part.language, part.glossary, part.context, part.kind) == ("ja", ("Wernicke",), "", "early")
    assert part.speech == (pytest.approx((0.3, 5.8)),)
    assert texts(result) == ["始めます", "お願いします"]
    assert [(one.start, one.end) for one in result.segments] == [(0.3, 3.0), pytest.approx((4.0, 8.7))]
    assert (result.warnings, result.without_text_s, result.left_out) == (("X",), 0.0, ())


def test_what_gives_no_text_again_is_said() -> None:
    result = checked(WORK, Recogniser(said("始めます", 0.0, 3.4)), PHANTOMS)
    assert result.warnings == ("X", SPEECH_WITHOUT_TEXT) and result.without_text_s == 5.5


def test_a_short_one_is_no_warning() -> None:
    work = replace(WORK, speech=((0.3, 3.0), (4.0, 4.4)))
    result = checked(work, Recogniser(said("始めます", 0.0, 3.4)), PHANTOMS)
    assert result.warnings == ("X",) and result.without_text_s == pytest.approx(0.4)


def test_words_that_are_there_already_are_not_said_twice() -> None:
    """A word was timed wrongly: heard again, it is itself. But はい is said twice, and so is all that has speech of its
    own."""
    one_span = replace(WORK, speech=((0.3, 9.5),))
    hear = Recogniser(said("お願いします", 0.0, 3.4), again=lambda part: (said("お願いします。", 0.5, 2.0),))
    result = checked(one_span, hear, PHANTOMS)
    assert texts(result) == ["お願いします"] and result.left_out == ("said_before",)
    assert texts(checked(WORK, hear, PHANTOMS)) == ["お願いします", "お願いします。"]
    hear = Recogniser(said("はい", 0.0, 3.4), again=lambda part: (said("はい。", 0.5, 2.0),))
    assert texts(checked(one_span, hear, PHANTOMS)) == ["はい", "はい。"]


def test_what_nobody_said_is_left_out_and_its_speech_heard_again() -> None:
    hear = Recogniser(
        said("始めます", 0.0, 3.4),
        said("ご視聴ありがとうございました", 4.0, 9.5, log_prob=-1.5),
        again=lambda part: (said("今日の議題です", 0.3, 2.0), said("おやすみなさい", 2.0, 3.0, log_prob=-1.5)),
    )
    result = checked(WORK, hear, PHANTOMS)
    assert texts(result) == ["始めます", "今日の議題です"] and result.left_out == ("phantom", "phantom")


def test_many_stretches_are_not_all_heard_again() -> None:
    """Only the longest; and in order, whichever they are."""
    spans = tuple((float(n), n + 0.3 + n / 100) for n in range(10))
    hear = Recogniser(*(said(f"w{n}", n + 0.4, n + 0.5) for n in range(10)), again=lambda part: (said("お", 0.3, 0.5),))
    result = checked(replace(WORK, speech=spans), hear, PHANTOMS)
    assert [round(part.audio.start / 16_000) - 1 for part in hear.parts] == [9, 8, 7, 6, 5]
    assert texts(result)[-4:] == ["お", "w8", "お", "w9"]


def test_nothing_is_heard_again_that_is_all_there_is() -> None:
    """It would be heard as before; so where the model finds nothing at all."""
    hear = Recogniser()
    assert checked(WORK, hear, PHANTOMS).without_text_s == pytest.approx(8.2) and hear.parts == []


def test_where_speech_is_not_known_only_the_text_counts() -> None:
    hear = Recogniser(said("始めます", 0.0, 3.4), said("Thank you.", 4.0, 5.0, log_prob=-1.5))
    result = checked(replace(WORK, speech=()), hear, PHANTOMS)
    assert result == AsrResult("ja", 0.9, (said("始めます", 0.0, 3.4),), "whisper", ("X",), ("phantom",))


def test_live_text_is_sifted_and_not_heard_again() -> None:
    segments = (Segment(0.0, 3.4, "始めます", (), -0.3), Segment(3.4, 4.0, "Bye.", (), -1.5))
    hear = Recogniser(*segments)
    result = checked(replace(WORK, kind="live"), hear, PHANTOMS)
    assert texts(result) == ["始めます"] and hear.parts == [] and result.without_text_s == 0.0
