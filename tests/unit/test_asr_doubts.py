"""A second look at numbers and negations: what differs is told, and nothing is chosen."""

import pytest
from msgspec.structs import replace

from ipc.audio_handle import AudioHandle
from ipc.messages import AsrResult, AsrWork, Doubt, Segment
from stages.asr.doubts import LOOKS_AT_MOST, UNSURE, differ, with_doubts

WORK = AsrWork(AudioHandle("a", 0, 1, 16_000, 320_000), "auto", speech=((0.0, 20.0),))


@pytest.mark.parametrize(
    ("one", "two", "language", "about"),
    [
        ("定員は120名です", "定員は100日です", "ja", "number"),
        ("3点ご相談", "3.5相談", "ja", "number"),
        ("まだ解決していません", "まだ解決しています", "ja", "negation"),
        ("大に工場の5台", "第二工場の5台", "ja", "number"),
        ("二百五十円", "250円です。", "ja", None),
        ("合計で2,400万円", "合計で2400万円", "ja", None),
        ("機械を見ない", "機会をみない", "ja", None),
        ("we did not agree", "we did agree", "en", "negation"),
        ("we didn't agree", "we didn’t agree.", "en", None),
        ("about 15 people", "about 50 people", "en", "number"),
    ],
)
def test_what_differs(one: str, two: str, language: str, about: str | None) -> None:
    assert differ(one, two, language) == about


def result(*texts: str, log_prob: float = -0.3) -> AsrResult:
    segments = (Segment(2.0 * n, 2.0 * n + 1.5, text, (), log_prob) for n, text in enumerate(texts))
    return AsrResult("ja", 1.0, tuple(segments), "whisper")


class Recogniser:
    def __init__(self, *says: str) -> None:
        self.heard: list[AsrWork] = []
        self._says = iter(says)

    def __call__(self, part: AsrWork) -> AsrResult:
        self.heard.append(part)
        return result(*filter(None, [next(self._says, "")]))


def test_both_are_told_and_the_first_stays() -> None:
    """Only what has a number or a negation is heard again, with a little around it, in the language of the whole."""
    found = result("始めます", "定員は120名", "まだ解決していません")
    hear = Recogniser("定員は100名", "まだ解決してません")
    looked = with_doubts(WORK, found, hear)
    assert looked.doubtful == (Doubt(2.0, 3.5, "number", "定員は120名", "定員は100名"),)
    assert replace(looked, doubtful=()) == found
    assert [(part.audio.start, part.audio.count, part.language) for part in hear.heard] == [
        (16_000 + 27_200, 33_600, "ja"),
        (16_000 + 59_200, 33_600, "ja"),
    ]


def test_an_unsure_text_is_looked_at_whatever_it_says() -> None:
    hear = Recogniser("一円", "")
    assert with_doubts(WORK, result("始めます", "終わります", log_prob=UNSURE - 0.1), hear).doubtful[0].other == "一円"
    assert len(hear.heard) == 2


def test_what_is_all_there_is_would_be_heard_as_before() -> None:
    hear = Recogniser()
    assert with_doubts(WORK, result("定員は120名"), hear).doubtful == () and hear.heard == []


def test_looks_are_bounded() -> None:
    hear = Recogniser()
    assert with_doubts(WORK, result(*["5台"] * (LOOKS_AT_MOST + 3)), hear).doubtful == ()
    assert len(hear.heard) == LOOKS_AT_MOST
