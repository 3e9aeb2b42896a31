"""What is plainly a finished sentence."""

import pytest

from wernicke_daemon.utterances.sentences import finished, goes_on, is_punctuated, same_words


@pytest.mark.parametrize(
    "text",
    ["今日は晴れです。", "行きますか", "お願いします", "ありがとうございました。", "そうですよね？", "来てください"],
)
def test_sentences_of_japanese(text: str) -> None:
    """With their punctuation or without."""
    assert finished(text, "ja")


@pytest.mark.parametrize(
    "text", ["今日は晴れですが", "行きますので", "えっと、", "機械の", "明日。", "それで、", "", "。"]
)
def test_what_goes_on_in_japanese(text: str) -> None:
    """Connectives, fillers, and nouns, whatever punctuation a recogniser gives them."""
    assert not finished(text, "ja")


def test_other_languages_go_by_punctuation() -> None:
    assert finished("That sounds good.", "en") and finished("Does it?", "en")
    assert not finished("That sounds", "en") and not finished("and then,", "en") and not finished("...", "en")


def test_words_are_the_same_without_punctuation() -> None:
    assert same_words("はい、そうです。", "はいそうです") and same_words("Yes, it is.", "yes it is")
    assert not same_words("機械です", "機会です")


@pytest.mark.parametrize("text", ["新しい機械の導入は", "行きますけど", "えっと、", "雨なので", "本日の議題を "])
def test_japanese_that_plainly_goes_on(text: str) -> None:
    """Connectives, particles that end no sentence, fillers; without any punctuation, too."""
    assert goes_on(text, "ja", False)


@pytest.mark.parametrize("text", ["そうだね", "行きます", "明日。", "議題は。", "えっと？", ""])
def test_japanese_that_may_have_ended(text: str) -> None:
    """A mark is believed, and what is unclear stays as the recogniser parted it."""
    assert not goes_on(text, "ja", True)


def test_other_languages_go_on_without_a_mark() -> None:
    """But where there are no marks at all."""
    assert goes_on("so we went", "en", True) and goes_on("so we went,", "en", True)
    assert not goes_on("so we went", "en", False) and not goes_on("We went.", "en", True)
    assert not goes_on("(we went.)", "en", True)
    assert is_punctuated(["so", "we went. "]) and not is_punctuated(["so we", "went,"])
