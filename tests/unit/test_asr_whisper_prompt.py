"""What Whisper is told before an utterance, within the half of its positions that is there for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.asr.whisper_prompt import PROMPT_TOKENS, WhisperPrompt, make_prompt


def encode(text: str) -> list[int]:
    """A token for each character."""
    return [ord(letter) for letter in text]


def test_nothing_to_tell() -> None:
    """Neither terms nor context: the model is given nothing, not an empty text."""
    assert make_prompt((), "", encode) == WhisperPrompt(None, None)
    assert make_prompt(("", "  "), "", encode) == WhisperPrompt(None, None)


def test_terms_and_context_together() -> None:
    """Terms are joined by blanks; the context follows as tokens, after a blank of its own."""
    assert make_prompt((" 音響 ", "位相"), "おはよう", encode) == WhisperPrompt("音響 位相", encode(" おはよう"))


def test_terms_beyond_the_room_are_left_out_whole() -> None:
    """The first ones stay, in the client's order; none is cut in two, none comes after one that was left out."""
    terms = ("a" * 99, "b" * 99, "c" * 99, "d")
    assert make_prompt(terms, "", encode).hotwords == "a" * 99 + " " + "b" * 99


@pytest.mark.parametrize(("term", "said"), [("t" * 110, 112), ("t" * 10, 212)])
def test_context_has_what_the_terms_leave(term: str, said: int) -> None:
    """Terms take half at most where there is context; of the context, the end is what counts."""
    context = "".join(chr(0x3041 + number % 80) for number in range(400))
    prompt = make_prompt((term, "t" * 60), context, encode)
    assert prompt.hotwords == (term if len(term) == 110 else f"{term} {'t' * 60}")
    assert prompt.initial_prompt == encode(context)[-(said if len(term) == 110 else said - 61) :]


@given(st.lists(st.text(max_size=100), max_size=200), st.text(max_size=200))
def test_together_they_never_exceed_the_room(glossary: list[str], context: str) -> None:
    """Whatever a client sends, the other half of the positions is the text's."""
    prompt = make_prompt(glossary, context, lambda text: list(text.encode()))
    hotwords = f" {prompt.hotwords.strip()}".encode() if prompt.hotwords else b""
    assert len(hotwords) + len(prompt.initial_prompt or ()) <= PROMPT_TOKENS
