"""How texts of one language are put together. Pure."""

from collections.abc import Iterable

NO_BLANKS = frozenset({"ja", "zh", "yue", "th", "lo", "my", "km", "bo"})
"""Languages written without blanks between words: their texts are joined with nothing."""


def has_blanks(language: str) -> bool:
    """Whether words of that language are told apart by blanks."""
    return language not in NO_BLANKS


def joined(texts: Iterable[str], language: str) -> str:
    return (" " if has_blanks(language) else "").join(text for text in texts if text)
