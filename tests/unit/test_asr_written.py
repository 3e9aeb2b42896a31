"""How recognised Japanese is written: punctuation where the recogniser left it out, and numbers one way."""

import pytest

from ipc.messages import Segment, Word
from ipc.settings import AsrSettings
from stages.asr.alignment.words import into_words
from stages.asr.written import in_digits, punctuated, value, written


def words(text: str) -> tuple[Word, ...]:
    """Without pauses."""
    return into_words((Word(0.0, len(text) / 5, text, 0.9),), "ja")


def paused(*parts: str | float) -> list[Word]:
    """Words of half a second; a number is a pause."""
    made, at = list[Word](), 0.0
    for part in parts:
        if isinstance(part, str):
            made.append(Word(at, at + 0.5, part, 0.9))
        at += 0.5 if isinstance(part, str) else part
    return made


def text(said: tuple[Word, ...]) -> str:
    return "".join(word.text for word in said)


@pytest.mark.parametrize(
    ("heard", "punctuation"),
    [
        (
            "では始めますおはようございますよろしくお願いします",
            "では始めます。おはようございます。よろしくお願いします。",
        ),
        ("はい分かりましたそうですね来週までに決めます", "はい分かりました。そうですね。来週までに決めます。"),
        ("いいですか はい行きましょう", "いいですか。はい行きましょう。"),
        ("見てください今日は雨です", "見てください。今日は雨です。"),
        ("それは高いですが買います", "それは高いですが買います。"),
        ("まだ解決していませんので", "まだ解決していませんので"),
        ("行くと思う", "行くと思う"),
        ("始めます。はい、そうです！", "始めます。はい、そうです！"),
        ("議題は3つあります 新しい機械", "議題は3つあります。新しい機械"),
    ],
)
def test_a_sentence_ends_with_a_polite_predicate_that_no_particle_follows(heard: str, punctuation: str) -> None:
    assert text(punctuated(words(heard))) == punctuation


def test_where_somebody_pauses_there_is_a_comma() -> None:
    """Not before a particle, and not where there is punctuation."""
    assert text(punctuated(paused("えーと", 0.3, "本日", 0.5, "の", "議題", 0.2, "を"))) == "えーと、本日の議題を"
    assert text(punctuated(paused("ついて", "お", 0.3, "客様", "は", "0", " 8", "%"))) == "ついてお客様は0 8%"
    assert text(punctuated(paused("はい。", 0.5, "機械", " 導入", "『", 0.5, "本", "』"))) == "はい。機械、導入『本』"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (paused("来週", "は", " Google", " Meet", "で"), "来週は Google Meetで"),
        (paused("Visual", " Studio", 0.5, " Code", "を", 0.5, "使う"), "Visual Studio Codeを、使う"),
        (paused("AWS", " の", " EC2", " インスタンス"), "AWS の EC2 インスタンス"),
        (paused("OK", " well", 0.5, " I", " think"), "OK well I think"),
        (paused("Zoom", 0.5, " 会議", 0.5, " KPI"), "Zoom、会議、KPI"),
        (paused("データ", " 人々", " 会議"), "データ、人々、会議"),
    ],
)
def test_a_blank_beside_other_letters_is_no_pause(said: list[Word], expected: str) -> None:
    """Names of products have blanks."""
    assert text(punctuated(said)) == expected


def test_times_and_scores_are_those_of_the_words() -> None:
    said = paused("始めます", 0.5, " 本日", "です")
    marked = punctuated(said)
    assert [word.text for word in marked] == ["始めます。", "本日", "です。"]
    assert [(word.start, word.end, word.score) for word in marked] == [(w.start, w.end, w.score) for w in said]


@pytest.mark.parametrize(
    ("heard", "in_digits_"),
    [
        ("二百五十円です", "250円です"),
        ("三十日の正午が期限", "30日の正午が期限"),
        ("千三百四十台で一つ", "1340台で1つ"),
        ("二千四百万円と一億二千万", "2400万円と1億2000万"),
        ("１２月１５日に150万", "12月15日に150万"),
        ("第三回は五百名", "第3回は500名"),
        ("確率は0、8%で0、2ポイント", "確率は0.8%で0.2ポイント"),
        ("0、1、2と数えて10、20、30", "0、1、2と数えて10、20、30"),
        ("3対0、5分後に件数は0、2024年は8", "3対0、5分後に件数は0、2024年は8"),
        ("数十人と十数人と何百", "数十人と十数人と何百"),
        ("一緒に一度だけ十分に一番", "一緒に一度だけ十分に一番"),
        ("千葉の三菱と四国", "千葉の三菱と四国"),
    ],
)
def test_numbers_in_digits(heard: str, in_digits_: str) -> None:
    """And nothing else that is written with numerals."""
    assert text(in_digits(words(heard))) == in_digits_


def test_a_number_over_several_words_is_one() -> None:
    """As long as all of them, as sure as the least sure."""
    said = (Word(0, 1, "で 千三", 0.9), Word(1, 2, "百", 0.5), Word(2, 3, "四十", 0.8), Word(3, 4, "台", 1.0))
    assert in_digits(said) == (Word(0, 3, "で 1340", 0.5), Word(3, 4, "台", 1.0))


def test_terms_of_the_glossary_stay() -> None:
    assert text(in_digits(words("第二営業部は二百名"), ("第二営業部",))) == "第二営業部は200名"


@pytest.mark.parametrize(("number", "digits"), [("二〇二四", "2024"), ("千", "1000"), ("三十百", "三十百")])
def test_what_a_number_in_kanji_says(number: str, digits: str) -> None:
    """What is no well-formed number stays."""
    assert value(number) == digits


def test_each_can_be_switched_off_and_other_languages_stay() -> None:
    said = Segment(0.0, 1.0, "二百円です", words("二百円です"))
    for settings, expected in (
        (AsrSettings(), "200円です。"),
        (AsrSettings(numbers="keep"), "二百円です。"),
        (AsrSettings(punctuation=False), "200円です"),
    ):
        made = written(said, "ja", (), settings)
        assert made.text == text(made.words) == expected
    assert written(said, "zh", (), AsrSettings()) is said
    live = Segment(0.0, 1.0, "二百円です", ())
    assert written(live, "ja", (), AsrSettings()) is live
