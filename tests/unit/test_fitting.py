"""What goes along in a request to the LLM, so that it and its answer fit into the context."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipc.settings import LlmSettings
from stages.correction import prompt_files
from stages.correction.fitting import (
    answer_tokens,
    batches,
    fit,
    least_context,
    needed,
    prompt_tokens,
    tokens,
)
from stages.correction.prompt_files import CorrectionPrompt
from stages.correction.request import messages

PACKAGED = prompt_files.load("")
DEFAULT = LlmSettings().num_ctx
PLAIN = CorrectionPrompt("Mend.")
CONFIGURATION = Path(__file__).parents[2] / "docs" / "configuration.md"

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=150), max_size=20)
contexts = st.integers(min_value=100, max_value=3000)


@given(texts, texts, texts, contexts, st.sampled_from([PLAIN, *PACKAGED.values()]))
def test_what_is_asked_always_fits(
    spoken: list[str], glossary: list[str], context: list[str], num_ctx: int, prompt: CorrectionPrompt
) -> None:
    """Prompt and answer are within the context; texts are whole, terms the first ones, lines the last ones."""
    for batch in batches(prompt, spoken, 5, num_ctx):
        asked = [spoken[index] for index in batch]
        request = fit(prompt, asked, glossary, context, num_ctx)
        assert prompt_tokens(request.messages) + request.answer_tokens <= num_ctx
        assert request.messages[:-1] == messages(prompt, asked)[:-1]
        sent = json.loads(request.messages[-1]["content"])
        assert [segment["text"] for segment in sent["segments"]] == asked
        assert sent["glossary"] == glossary[: len(glossary) - request.terms_left_out]
        assert sent["context"] == context[request.lines_left_out :]


@given(texts, texts, contexts)
def test_nothing_is_left_out_without_need(glossary: list[str], context: list[str], num_ctx: int) -> None:
    """One term, or one line, more would not have fitted."""
    request = fit(PLAIN, ["one"], glossary, context, num_ctx)
    room = num_ctx - request.answer_tokens - 2  # for the comma that a last item does not have
    terms = len(glossary) - request.terms_left_out
    if request.terms_left_out:
        assert prompt_tokens(messages(PLAIN, ["one"], glossary[: terms + 1])) > room
    if request.lines_left_out:
        lines = context[request.lines_left_out - 1 :]
        assert prompt_tokens(messages(PLAIN, ["one"], glossary[:terms], lines)) > room - 2


@given(texts, st.integers(min_value=1, max_value=20), contexts)
def test_every_text_that_fits_is_asked_once(spoken: list[str], most: int, num_ctx: int) -> None:
    """In order, as many at once as may be; empty ones and those that do not fit alone are left out."""
    prompt = PACKAGED["other"]
    found = batches(prompt, spoken, most, num_ctx)
    alone = [index for index, text in enumerate(spoken) if text and needed(prompt, [text]) <= num_ctx]
    assert [index for batch in found for index in batch] == alone
    assert all(1 <= len(batch) <= most for batch in found)
    for batch, (following, *_) in pairwise(found):
        more = [spoken[index] for index in (*batch, following)]
        assert len(batch) == most or needed(prompt, more) > num_ctx


def test_context_gives_way_before_the_glossary() -> None:
    """Where there is room for one of them, it is the term; of the context the oldest lines go first."""
    line, term = "い" * 100, "う" * 100
    bare = needed(PLAIN, ["one"])
    with_one = fit(PLAIN, ["one"], [term], [line, line], bare + 160)
    assert (with_one.terms_left_out, with_one.lines_left_out) == (0, 2)
    with_two = json.loads(fit(PLAIN, ["one"], [term], [line, "last"], bare + 170).messages[-1]["content"])
    assert (with_two["glossary"], with_two["context"]) == ([term], ["last"])


@pytest.mark.parametrize(("text", "real"), [(" 根", 2), ('print("<|endoftext|>")', 8), ("2026", 4), ("𩸽", 4)])
def test_the_estimate_is_on_the_safe_side(text: str, real: int) -> None:
    """Against what Qwen's own notes on its tokenizer show, and its worst: a token for each digit and byte."""
    assert tokens(text) >= real


@pytest.mark.parametrize("language", sorted(PACKAGED))
def test_an_answer_has_room(language: str) -> None:
    """Answers as the model is shown them, by the same estimate."""
    for example in PACKAGED[language].examples:
        answer = messages(CorrectionPrompt("Mend.", (example,)), ["x"])[2]["content"]
        assert tokens(answer) <= answer_tokens(example.heard)


def test_a_long_utterance_fits_into_the_default_context() -> None:
    """Half a minute of Japanese by five speakers, in one request, with context and a glossary of usual terms."""
    spoken = ["あ" * 60] * 5
    assert batches(PACKAGED["ja"], spoken, 5, DEFAULT) == [[0, 1, 2, 3, 4]]
    request = fit(PACKAGED["ja"], spoken, ["専門用語"] * 30, ["あ" * 100] * 3, DEFAULT)
    assert (request.terms_left_out, request.lines_left_out) == (0, 0)


def test_the_documented_figures() -> None:
    """docs/configuration.md says how much context the packaged prompts take, and what is left of the default."""
    text = " ".join(CONFIGURATION.read_text(encoding="utf-8").split())
    japanese, other = (least_context(PACKAGED[language]) for language in ("ja", "other"))
    assert f"({japanese} tokens for Japanese, {other} for others)" in text
    assert "room for about 150 short terms" in text
    left_out = fit(PACKAGED["ja"], ["あ" * 300], ["専門用語"] * 200, (), DEFAULT).terms_left_out
    assert 200 - left_out == pytest.approx(150, abs=10)
