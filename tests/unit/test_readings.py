"""How Japanese text is read."""

import pytest

from stages.phonetics.readings import Reader, in_kanji, normalised

READER = Reader()


def likeliest(text: str) -> str:
    return "".join(word.readings[0] for word in READER(text))


@pytest.mark.parametrize(
    ("number", "kanji"),
    [
        ("0", "〇"),
        ("7", "七"),
        ("10", "十"),
        ("15", "十五"),
        ("110", "百十"),
        ("2024", "二千二十四"),
        ("10000", "一万"),
        ("12345678", "千二百三十四万五千六百七十八"),
        ("1000000000000", "一兆"),
        ("3.5", "三点五"),
        ("0.25", "〇点二五"),
        ("007", "〇〇七"),
        ("12345678901234567", "一二三四五六七八九〇一二三四五六七"),
    ],
)
def test_numbers_in_kanji(number: str, kanji: str) -> None:
    """As they are spoken; what is too long for that, or begins with 0, digit by digit."""
    assert in_kanji(number) == kanji


@pytest.mark.parametrize(
    ("one", "other"),
    [("せんせい", "センセー"), ("コーヒー", "コウヒイ"), ("つづく", "ツズク"), ("しゅー", "シュウ"), ("を", "オ")],
)
def test_like_sounds_are_spelled_alike(one: str, other: str) -> None:
    """Hiragana and katakana, drawn-out vowels, and kana that are no longer told apart."""
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("今日は、機械学習です。", "キョウハキカイガクシュウデス"),
        ("15日の3時", "ジュウゴニチノサンジ"),
        ("1,500円", "センゴヒャクエン"),
        ("3%", "サンパアセント"),
        ("api", "エイピイアイ"),
        ("じーぴーゆー", "ジイピイユウ"),
    ],
)
def test_the_likeliest_reading(text: str, reading: str) -> None:
    """Punctuation is silent, numbers are read whole, a vowel may be drawn out over several words."""
    assert likeliest(text) == reading


def test_unknown_abbreviations_may_be_spelled() -> None:
    """By the names of their letters."""
    (word,) = READER("llm")
    assert "エルエルエム" in word.readings


def test_other_readings_of_a_spelling_are_known() -> None:
    """What is written 私 or 明日 may have been said in several ways."""
    (me,), (tomorrow,) = READER("私"), READER("明日")
    assert {"ワタクシ", "ワタシ"} <= set(me.readings)
    assert {"アス", "アシタ"} <= set(tomorrow.readings)


def test_digits_and_kanji_are_one_number() -> None:
    """A number is known by its value."""
    assert [word.number for word in READER("1,500と千五百と3.5")] == ["1500", "", "1500", "", "3.5"]
