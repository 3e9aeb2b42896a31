"""How texts of one language are put together. Pure."""

import unicodedata
from collections.abc import Iterable
from itertools import groupby

NO_BLANKS = frozenset({"ja", "zh", "yue", "th", "lo", "my", "km", "bo"})
"""Languages written without blanks between words: their texts are joined with nothing after punctuation. Else a blank
is where one sentence or clause ends and the next begins, which nothing else would show."""


def joined(texts: Iterable[str], language: str) -> str:
    whole = ""
    for text in filter(None, texts):
        whole += text if not whole or (language in NO_BLANKS and _punctuated(whole)) else f" {text}"
    return whole


def in_lines(said: Iterable[tuple[str | None, str]], language: str) -> str:
    """said: speaker and text, in order. A new line begins where the speaker changes."""
    spoken = [(speaker, text) for speaker, text in said if text]
    runs = groupby(spoken, key=lambda one: one[0])
    return "\n".join(joined((text for _, text in run), language) for _, run in runs)


def _punctuated(text: str) -> bool:
    return unicodedata.category(text[-1])[0] in "PZ"
