"""What is open after which messages."""

from typing import Any

from wernicke_daemon.formats.open_texts import OpenText, OpenTexts, joined_line


def partial(sequence: int, text: str, stable: int = 0, start: float = 0.0, stage: str = "live") -> dict[str, Any]:
    times = {"start": start, "end": start + 1}
    return {
        "type": "partial",
        "sequence": sequence,
        "stage": stage,
        "text": text,
        "stable_chars": stable,
        "timestamp_range": times,
    }


def after(*messages: dict[str, Any]) -> OpenTexts:
    texts = OpenTexts()
    for message in messages:
        texts.take(message)
    return texts


def open_after(*messages: dict[str, Any]) -> list[str]:
    return [text.line for text in after(*messages).oldest_first]


def test_each_partial_takes_the_place_of_the_one_before() -> None:
    """What stays is told from what may change, in characters, not bytes."""
    assert after(partial(1, "今日"), partial(1, "今日は晴れ", 3)).oldest_first == [OpenText(0.0, "今日は", "晴れ")]


def test_the_time_is_that_of_the_beginning() -> None:
    """Later partials tell where their newest text was heard."""
    assert open_after(partial(1, "one", start=61.0), partial(1, "one two", start=65.0)) == ["[01:01] one two"]


def test_the_oldest_comes_first_whatever_overtook_it() -> None:
    """A new utterance is shown before the one before it has its final."""
    assert open_after(partial(2, "second"), partial(1, "first")) == ["[00:00] first", "[00:00] second"]


def test_a_result_ends_its_utterance_and_those_before() -> None:
    """Results come in order; a failed utterance, or one without words, ends as well."""
    for kind in ("final", "error", "suppressed"):
        result = {"type": kind, "sequence": 2}
        assert open_after(partial(1, "a"), partial(2, "b"), partial(3, "c"), result) == ["[00:00] c"]


def test_a_withdrawn_partial_disappears() -> None:
    """The others stay, those before it too; what was never shown can be withdrawn."""
    assert open_after(partial(1, "a"), partial(2, "b"), partial(2, "", stage="withdrawn")) == ["[00:00] a"]
    assert open_after(partial(1, "", stage="withdrawn")) == []


def test_messages_of_no_utterance_change_nothing() -> None:
    """An error of the session, and types that are not known yet."""
    others = {"type": "error", "sequence": None}, {"type": "new"}, {"type": "new", "sequence": 1}
    assert open_after(partial(1, "a"), *others) == ["[00:00] a"]


def test_line_breaks_become_blanks_wherever_the_firm_text_ends() -> None:
    """One line, and no blank lost or doubled between firm and loose text."""
    text = "good \n morning  all"
    for stable in range(len(text) + 1):
        [found] = after(partial(1, text, stable)).oldest_first
        assert found.line == "[00:00] good morning all"
        assert found.firm == " ".join(text[:stable].split())


def test_several_open_texts_make_one_line() -> None:
    """And none make none."""
    assert joined_line(after(partial(1, "a"), partial(2, "b", start=2.0)).oldest_first) == "[00:00] a [00:02] b"
    assert joined_line([]) == ""
