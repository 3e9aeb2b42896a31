"""What a Whisper model is told before it listens: the terms to expect, and the end of what was said before. Pure."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

PROMPT_TOKENS = 223
"""Half of the decoder's 448 positions less one, as in OpenAI's own code; the other half is for the text.
faster-whisper allows so many for the hot words and as many again for the prompt: with both full it fails."""

Encode = Callable[[str], list[int]]
"""Text to token ids, without special tokens around them."""


class WhisperPrompt(NamedTuple):
    """What faster-whisper puts before an utterance, in this order. initial_prompt: token ids. None for nothing."""

    hotwords: str | None
    initial_prompt: list[int] | None


NOTHING_TOLD = WhisperPrompt(None, None)


def make_prompt(glossary: Sequence[str], context: str, encode: Encode) -> WhisperPrompt:
    """Both within PROMPT_TOKENS: terms first, but where there is context they have only half; of that, its end."""
    room = PROMPT_TOKENS // 2 if context else PROMPT_TOKENS
    hotwords = " ".join(fitting(glossary, room, encode))
    left = PROMPT_TOKENS - (len(encode(f" {hotwords}")) if hotwords else 0)
    before = encode(f" {context.strip()}")[-left:] if context else []
    return WhisperPrompt(hotwords or None, before or None)


def fitting(glossary: Sequence[str], room: int, encode: Encode) -> list[str]:
    """Whole terms, the first ones, of together at most `room` tokens."""
    terms = [term.strip() for term in glossary if term.strip()]
    totals = accumulate(len(encode(f" {term}")) for term in terms)
    return [term for term, total in zip(terms, totals, strict=True) if total <= room]
