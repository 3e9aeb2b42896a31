"""Terms of config.toml and of files, with readings, and rules that are applied to what was recognised."""

from pathlib import Path

import pytest

from ipc.messages import AsrResult, Segment, Word
from stages.correction.guard.verdict import accept
from stages.phonetics.readings import Reader
from wernicke_daemon.config.glossary import lines, parsed, together
from wernicke_daemon.config.load import load, parse
from wernicke_daemon.config.schema import Config, stage_settings
from wernicke_daemon.config.typed_toml import ConfigError
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.utterances.replacing import Rules, replaced


def test_the_file_is_read_beside_what_config_toml_says(tmp_path: Path) -> None:
    """Relative to config.toml, behind its terms; stages get the readings, the dispatcher the rules."""
    (tmp_path / "terms.txt").write_text(
        "\ufeff# names\n高梨 = たかなし\n\nウェルニケ -> ウェルニッケ\n", encoding="utf-8"
    )
    text = 'glossary = ["Wernicke"]\nreplacements = ["GTP -> GPT"]\nglossary_file = "terms.txt"\n'
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    config = load(tmp_path / "config.toml")
    assert config.known_terms.terms == ("Wernicke", "高梨")
    assert stage_settings(config).readings == {"高梨": "たかなし"}
    assert Policy.of(config).replacements == (("GTP", "GPT"), ("ウェルニケ", "ウェルニッケ"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('glossary = ["高梨="]', 'config.toml: glossary: "高梨=" is no term'),
        ('glossary = ["高梨=高い"]', "the reading of a term is written in kana"),
        ('replacements = ["GTP"]', 'config.toml: replacements: "GTP" is no rule'),
        ('replacements = [" -> GPT"]', "is no rule"),
    ],
)
def test_what_is_no_term_and_no_rule_is_refused(text: str, message: str) -> None:
    """With how to write it."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert message in str(caught.value)


def test_a_glossary_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    """Or not there."""
    (tmp_path / "config.toml").write_text('glossary_file = "terms.txt"\n')
    with pytest.raises(ConfigError, match=r"terms\.txt: there is no such file"):
        load(tmp_path / "config.toml")
    (tmp_path / "terms.txt").write_text("ok\n= x\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r'terms\.txt: "= x" is no term'):
        load(tmp_path / "config.toml")


def test_a_clients_terms_come_first() -> None:
    """Each once: what has no room in a model is what comes last."""
    assert together(("b", "a"), ("c", "a")) == ("b", "a", "c")
    assert lines("a\n# c\n b -> c \n") == (["a"], ["b -> c"])
    assert parsed([], []).terms == () and Config().known_terms.rules == ()


def test_a_reading_of_ones_own_is_what_a_term_sounds_like() -> None:
    """The dictionary does not know how people read their names."""
    heard, written = "こうりさんに聞きます", "桑利さんに聞きます。"
    assert accept(heard, written, ("桑利",), Reader({"桑利": "こうり"}))
    assert not accept("たかはしさんに聞きます", written, ("桑利",), Reader({"桑利": "こうり"}))


# --- rules -----------------------------------------------------------------------------------------


def result(*words: str) -> AsrResult:
    timed = tuple(Word(float(i), float(i + 1), word, 0.5 + i / 10) for i, word in enumerate(words))
    return AsrResult("ja", 1.0, (Segment(0.0, float(len(words)), "".join(words).strip(), timed),), "whisper")


def said(found: AsrResult) -> tuple[str, list[str]]:
    [segment] = found.segments
    return segment.text, [word.text for word in segment.words]


@pytest.mark.parametrize(
    ("words", "rules", "text", "parts"),
    [
        (["ウェル", "ニケ", "です"], [("ウェルニケ", "Wernicke")], "Wernickeです", ["Wernicke", "です"]),
        (["のウェル", "ニケを"], [("ウェルニケ", "W")], "のWを", ["のWを"]),
        (["東京", "、", "東京"], [("東京", "京都")], "京都、京都", ["京都", "、", "京都"]),
        (["東京東京", "と東", "京"], [("東京", "京都")], "京都京都と京都", ["京都京都", "と京都"]),
        ([" use", " gtp", " now"], [("GTP", "GPT")], "use GPT now", [" use", " GPT", " now"]),
        ([" gtps"], [("GTP", "GPT")], "gtps", [" gtps"]),
        (["東京都"], [("東京", "A"), ("東京都", "B")], "B", ["B"]),
        (["a.b"], [("a.b", "c"), ("x", "y")], "c", ["c"]),
        (["上手"], [("下手", "x")], "上手", ["上手"]),
    ],
)
def test_rules_are_for_texts_and_words_alike(words: list[str], rules: Rules, text: str, parts: list[str]) -> None:
    """Words that a heard stretch lies in become one; the rest keeps its times."""
    found = replaced(result(*words), tuple(rules))
    assert said(found) == (text, parts)
    assert "".join(word.text for word in found.segments[0].words).strip() == text
    assert (found.segments[0].words[0].start, found.segments[0].words[-1].end) == (0.0, float(len(words)))


def test_live_text_has_no_words() -> None:
    """It is replaced all the same; without rules nothing is touched."""
    live = AsrResult("ja", 1.0, (Segment(0.0, 1.0, "ウェルニケ", ()),), "none")
    assert said(replaced(live, (("ウェルニケ", "Wernicke"),))) == ("Wernicke", [])
    assert replaced(live, ()) is live
