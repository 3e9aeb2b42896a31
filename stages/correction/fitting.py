"""What goes along in a request, so that it and its answer fit into the model's context; no I/O.

Ollama says nothing of a prompt that is too long. It drops what comes first, instructions and examples; newer versions
keep no more than half a context of the end; and it answers what is left. An answer beyond the context pushes out the
beginning in the same way. So tokens are counted before anything is sent, by an estimate on the safe side: the tokenizer
is in the server, which does not lend it.
"""

import json
import math
from collections.abc import Sequence
from itertools import accumulate, takewhile
from typing import NamedTuple

from stages.correction.prompt_files import CorrectionPrompt
from stages.correction.request import ChatMessage, Texts, messages

TOKENS_PER_MESSAGE = 8
"""Role and marks around it: five in qwen2.5's chat template, and three at the end, where the answer begins."""
TOKENS_PER_SEGMENT = 50
"""For the JSON around an answered text, with room for punctuation."""

USUAL_TEXT = "あ" * 100
"""A context that has no room for so much is of no use."""
HALF_WIDTH = 0xFF61
"""First of the half-width kana, which are rare enough to have no tokens of their own."""


class Request(NamedTuple):
    """answer_tokens: what the answer may have. terms_left_out, lines_left_out: of glossary and context, how many."""

    messages: list[ChatMessage]
    answer_tokens: int
    terms_left_out: int
    lines_left_out: int


def fit(prompt: CorrectionPrompt, texts: Texts, glossary: Texts, context: Texts, num_ctx: int) -> Request:
    """The request for all of `texts`, with the first terms of the glossary and, in what these leave, the last lines of
    the context: as many as there is room for. That the texts fit has been seen to by `batches`.

    context: oldest first. num_ctx: tokens.
    """
    room = num_ctx - needed(prompt, texts)
    terms = _first(glossary, room)
    lines = _first(context[::-1], room - sum(map(_tokens_in_list, terms)))[::-1]
    left_out = len(glossary) - len(terms), len(context) - len(lines)
    return Request(messages(prompt, texts, terms, lines), answer_tokens(texts), *left_out)


def batches(prompt: CorrectionPrompt, texts: Texts, most: int, num_ctx: int) -> list[list[int]]:
    """Which of `texts`, by index, go together: at most `most`, and fewer where they would not fit. Those that don't fit
    alone are in none, nor are empty ones. num_ctx: tokens.
    """

    def fits(batch: list[int]) -> bool:
        return needed(prompt, [texts[index] for index in batch]) <= num_ctx

    found: list[list[int]] = []
    for index in (index for index, text in enumerate(texts) if text and fits([index])):
        if found and len(found[-1]) < most and fits([*found[-1], index]):
            found[-1].append(index)
        else:
            found.append([index])
    return found


def needed(prompt: CorrectionPrompt, texts: Texts) -> int:
    """Tokens of context for a request without glossary and context, and for its answer."""
    return prompt_tokens(messages(prompt, texts)) + answer_tokens(texts)


def least_context(prompt: CorrectionPrompt) -> int:
    """Tokens of context without which the prompt leaves no room for a text of usual length."""
    return needed(prompt, (USUAL_TEXT,))


def prompt_tokens(chat: Sequence[ChatMessage]) -> int:
    return math.ceil(sum(TOKENS_PER_MESSAGE + tokens(message["content"]) for message in chat))


def answer_tokens(texts: Texts) -> int:
    """Tokens that an answer may have: what the texts are counted for, which is about half as much again as they have,
    and the JSON. The guard refuses what is longer than its text by more than that (and ten characters)."""
    return TOKENS_PER_SEGMENT * len(texts) + math.ceil(sum(map(tokens, texts)))


def tokens(text: str) -> float:
    """At most so many, in text that people write. A sum over the characters, so that parts can be added up.

    Byte-level vocabularies, such as qwen2.5's, have a token for each byte and longer ones for what is frequent: at
    worst a character takes as many tokens as it has bytes in UTF-8. Two kinds are counted for less, with room to spare.
    English has 3.6 to 4.4 characters per token in most (huggingface.co/spaces/eson/tokenizer-arena); here 2. Japanese
    has 0.96 in GPT-4's (zenn.dev/akifqc/articles/8f5b65040ff57b) and should have no fewer in qwen2.5's, which is half
    as large again and made for Chinese too; here 0.67. Rare ones among these have two or three tokens each, but a text
    is not made of them.
    """
    return sum(map(_tokens, text))


def _tokens(character: str) -> float:
    code = ord(character)
    if code < 0x80:
        return 0.5 if character.isalpha() or character == " " else 1.0  # qwen2.5 takes digits one by one
    if 0x3000 <= code < HALF_WIDTH:
        return 1.5  # kana, Chinese characters, Hangul, their punctuation
    return 2.0 if code < 0x800 else 3.0 if code < 0x10000 else 4.0  # bytes in UTF-8


def _first(items: Texts, room: float) -> list[str]:
    """The first ones, whole, that together fit into so many tokens."""
    totals = accumulate(map(_tokens_in_list, items))
    return [item for item, _ in takewhile(lambda pair: pair[1] <= room, zip(items, totals, strict=True))]


def _tokens_in_list(item: str) -> float:
    return tokens(json.dumps(item, ensure_ascii=False) + ", ")
