"""Which recognised segments nobody said."""

from pathlib import Path

import pytest

from ipc.errors import EngineUnavailable
from ipc.messages import LeftOut, Segment
from ipc.settings import StageSettings, VadSettings
from stages.asr.phantoms import Phantoms, phrases, repeats
from stages.asr.speech import Speech

PACKAGED = Phantoms(phrases(""), StageSettings())
BY_LEVEL = Phantoms(phrases(""), StageSettings(vad=VadSettings(engine="energy")))
SPOKEN: Speech = ((0.3, 2.1),)
A_COUGH: Speech = ((0.3, 0.6),)


def segment(text: str, start: float = 0.3, end: float = 2.1, log_prob: float = -0.3, no_speech: float = 0.1) -> Segment:
    return Segment(start, end, text, (), log_prob, no_speech)


def why_not(phantoms: Phantoms, one: Segment, speech: Speech) -> LeftOut | None:
    """Of an utterance that holds only that."""
    [why] = phantoms.verdicts([one], speech)
    return why


@pytest.mark.parametrize(
    "text",
    [
        "ありがとうございました。",
        "ご視聴ありがとうございました",
        "お疲れ様でした。",
        "Thank you.",
        "Thank you. Bye!",
        "はい",
    ],
)
def test_what_was_really_said_is_kept(text: str) -> None:
    assert why_not(PACKAGED, segment(text), SPOKEN) is None
    assert why_not(PACKAGED, segment(text), ()) is None


@pytest.mark.parametrize("text", ["ご視聴ありがとうございました。", "Thanks for watching!", "Thank you. Thank you."])
def test_a_typical_phrase_that_hardly_anything_speaks_for_is_none(text: str) -> None:
    assert why_not(PACKAGED, segment(text, log_prob=-1.2), SPOKEN) == "phantom"
    assert why_not(PACKAGED, segment(text, log_prob=-1.2), ()) == "phantom"


def test_whether_whisper_takes_a_typical_phrase_for_silence_counts_where_speech_is_what_is_loud() -> None:
    """Of real words it says so too, and Silero knows better."""
    silent = segment("お疲れさまでした。", no_speech=0.8)
    assert why_not(PACKAGED, silent, SPOKEN) is None
    assert why_not(BY_LEVEL, silent, SPOKEN) == "phantom"


def test_a_typical_phrase_over_a_cough_is_none() -> None:
    assert why_not(PACKAGED, segment("Thank you."), A_COUGH) is not None
    assert why_not(PACKAGED, segment("おやすみなさい"), A_COUGH) == "phantom"


def test_other_text_counts_however_unsure_it_is() -> None:
    """An improbable text over speech is what a microphone far away gives."""
    assert why_not(PACKAGED, segment("会議を始めます", log_prob=-1.4), SPOKEN) is None
    assert why_not(PACKAGED, segment("ありがとうございました 会議を始めます", log_prob=-1.4), SPOKEN) is None
    assert why_not(PACKAGED, segment("会議を始めます", log_prob=-1.4, no_speech=0.9), SPOKEN) == "improbable"


def test_an_improbable_text_is_none_where_only_loudness_speaks_for_it() -> None:
    """And most of what is loud has no text: a speaker far away is as improbable, and says more."""
    assert why_not(BY_LEVEL, segment("スーパー", log_prob=-1.4), SPOKEN) == "improbable"
    assert why_not(BY_LEVEL, segment("スーパー"), SPOKEN) is None
    far = segment("the buses to go in there", log_prob=-2.0)
    assert BY_LEVEL.verdicts([far], SPOKEN) == [None]
    assert BY_LEVEL.verdicts([far], ((0.0, 30.0),)) == ["improbable"]
    assert BY_LEVEL.verdicts([far] * 7, ((0.0, 30.0),)) == [None] * 7


def test_words_where_nobody_speaks_are_none() -> None:
    """Times may be a little wrong."""
    assert why_not(PACKAGED, segment("会議を始めます", 3.2, 6.0), SPOKEN) == "no_speech"
    assert why_not(PACKAGED, segment("会議を始めます", 3.0, 6.0), SPOKEN) is None
    assert why_not(PACKAGED, segment("ありがとうございます", 3.0, 4.0), SPOKEN) == "phantom"


def test_nobody_speaks_so_fast() -> None:
    long = "本日はお忙しいところお集まりいただきまして誠にありがとうございます"
    assert why_not(PACKAGED, segment(long), A_COUGH) == "too_fast"
    assert why_not(PACKAGED, segment(long), SPOKEN) is None
    assert why_not(PACKAGED, segment("はいそうですね"), ((0.3, 0.4),)) is None


def test_one_word_over_and_over_is_none_where_little_speaks_for_it() -> None:
    text = "ああ" * 20
    assert why_not(PACKAGED, segment(text, 0.0, 9.0, log_prob=-1.1), ((0.0, 9.0),)) == "repetition"
    assert why_not(PACKAGED, segment("はいはいはい", log_prob=-1.1), SPOKEN) is None
    assert repeats("dududududu") and not repeats("nononono") and not repeats("ハハハハハそれは面白いですね")


def test_a_users_own_phrases_take_the_place_of_the_packages(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("\ufeff# mine\n\nまた来週。\n", encoding="utf-8")
    assert phrases(str(mine)) == ["また来週。"]
    own = Phantoms(phrases(str(mine)), StageSettings())
    assert why_not(own, segment("また来週", log_prob=-2.0), SPOKEN) == "phantom"
    assert why_not(own, segment("Thank you", log_prob=-2.0), SPOKEN) is None
    assert why_not(Phantoms((), StageSettings()), segment("", log_prob=-2.0), SPOKEN) is None


def test_a_file_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="correct asr"):
        phrases(str(tmp_path / "none.txt"))
    (tmp_path / "latin").write_bytes(b"\xe9\xe8\xff")
    with pytest.raises(EngineUnavailable, match="correct asr"):
        phrases(str(tmp_path / "latin"))
