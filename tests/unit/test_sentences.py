"""What is plainly a finished sentence."""

import pytest

from wernicke_daemon.utterances.sentences import finished, same_words


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
