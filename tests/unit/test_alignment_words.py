"""Pieces become words: their texts by the language's rule, their times from the pieces."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipc.messages import Word
from stages.asr.alignment import characters
from stages.asr.alignment.words import into_words

LETTERS = "今日はアイ話します。「」、 （）aZ9%é\u3000ーㇰｶﾞ㍿½𠮷"


def pieces(*texts: str) -> list[Word]:
    """One second each."""
    return [Word(float(at), at + 1.0, text, 0.5) for at, text in enumerate(texts)]


def texts(text: str, language: str) -> list[str]:
    return [word.text for word in into_words(pieces(*text), language)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("今日は機械学習について話します。", ["今日", "は", "機械", "学習", "に", "ついて", "話します。"]),
        (
            "田中さんは「行きました」と言っていた。",
            ["田中さん", "は", "「行きました」", "と", "言って", "いた。"],
        ),
        ("2024年、100%です。", ["2024", "年、", "100%です。"]),
        ("OK ですか？", ["OK", " です", "か？"]),
        ("…はい", ["…はい"]),
        ("。", ["。"]),
        ("㍿の½", ["㍿", "の", "½"]),
        ("", []),
    ],
)
def test_japanese(text: str, words: list[str]) -> None:
    """Endings, suffixes and punctuation are with the word before; opening brackets and blanks with the word after."""
    assert texts(text, "ja") == words


def test_blanks_part_words() -> None:
    """Each word but the first has the blank before it; punctuation that stands alone is with the word before."""
    assert texts("well, it's forty-two. “Oh”?", "en") == ["well,", " it's", " forty-two.", " “Oh”?"]
    assert texts("vraiment ? oui", "fr") == ["vraiment ?", " oui"]


def test_characters_where_there_is_no_dictionary() -> None:
    """Chinese stays in characters, with punctuation and the marks on letters; a Latin name is one word."""
    assert texts("我用iPhone。对", "zh") == ["我", "用", "iPhone。", "对"]
    assert texts("ที่นี่", "th") == ["ที่", "นี่"]


def test_times_and_score_are_those_of_the_spoken_characters() -> None:
    """A word lasts from its first to its last spoken character; its score is the mean of theirs."""
    found = [
        Word(1, 2, "話", 1.0),
        Word(2, 3, "し", 0.4),
        Word(3, 4, "ま", 0.4),
        Word(4, 5, "す", 0.2),
        Word(5, 9, "。", 0),
    ]
    [word] = into_words(found, "ja")
    assert (word.start, word.end, word.text) == (1, 5, "話します。")
    assert word.score == pytest.approx(0.5)


def test_a_piece_that_two_words_share_is_shared_out() -> None:
    """Equal times for each of its characters that are spoken."""
    found = [Word(0, 2, "今", 0.9), Word(2, 5, "日は話", 0.6), Word(5, 6, "す。", 0.3)]
    assert [(word.text, word.start, word.end) for word in into_words(found, "ja")] == [
        ("今日", 0, 3),
        ("は", pytest.approx(3), pytest.approx(4)),
        ("話す。", pytest.approx(4), 6),
    ]


def test_words_that_are_words_stay_as_they_are() -> None:
    """To the last bit, a leading blank included."""
    words = (Word(0.1, 0.7, "Hello,", 0.9), Word(0.7, 0.8, " my", 0.3), Word(0.9, 1.3, " friends.", 0.7))
    assert [(w.start, w.end, w.text) for w in into_words(words, "en")] == [(w.start, w.end, w.text) for w in words]


@given(st.lists(st.text(LETTERS, min_size=1, max_size=5), max_size=12), st.sampled_from(["ja", "en", "zh"]))
@settings(max_examples=200, deadline=None)
def test_nothing_is_lost_and_time_goes_on(texts: list[str], language: str) -> None:
    """Whatever the pieces: the words joined are the pieces joined, and no word begins before the one before ends."""
    words = into_words(pieces(*texts), language)
    assert "".join(word.text for word in words) == "".join(texts)
    times = [moment for word in words for moment in (word.start, word.end)]
    assert all(one <= two for one, two in pairwise([0.0, *times, float(len(texts))]))


def timing(start: float, end: float, score: float = 0.5) -> characters.Timing:
    return {"char": "?", "start": start, "end": end, "score": score}


def test_characters_without_a_time_share_the_gap() -> None:
    """Between neighbours, and between the segment's ends and its first and last time."""
    timings = {1: timing(2, 3), 2: {"char": "う"}, 4: timing(5, 6)}
    found = characters.timed("あいうえおか", timings, 1.0, 8.0)
    assert [(c.start, c.end, c.score) for c in found] == [
        (1, 2, 0),
        (2, 3, 0.5),
        (3, 4, 0),
        (4, 5, 0),
        (5, 6, 0.5),
        (6, 8, 0),
    ]


def test_times_are_put_in_order_and_within_the_segment() -> None:
    """Times before the segment, after it, or before the character before; scores beyond 1."""
    found = characters.timed("あいう", dict(enumerate([timing(0, 2), timing(1, 3, 1.2), timing(4, 9)])), 1.0, 5.0)
    assert [(c.start, c.end, c.score) for c in found] == [(1, 2, 0.5), (2, 3, 1.0), (4, 5, 0.5)]


def test_punctuation_is_not_looked_for_in_the_audio() -> None:
    """But for what the model knows; digits and letters are, known or not, and blanks as marks between words."""
    text = "今日は、2 It's。"
    assert "".join(text[index] for index in characters.audible(text, {"今"})) == "今日は2 Its"
    assert "".join(text[index] for index in characters.audible(text, {"'"})) == "今日は2 It's"
