"""How texts of one language are put together. Pure."""

from collections.abc import Iterable

NO_BLANKS = frozenset({"ja", "zh", "yue", "th", "lo", "my", "km", "bo"})
"""Languages written without blanks between words: their texts are joined with nothing."""


def joined(texts: Iterable[str], language: str) -> str:
    return ("" if language in NO_BLANKS else " ").join(text for text in texts if text)
