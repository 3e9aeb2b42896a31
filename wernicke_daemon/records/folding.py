"""Text as it is searched: what a person takes for the same letters is the same. Pure.

Full width or half, capital or small, composed or not: Unicode's NFKC and case folding, with one blank for each stretch
of white space. What is shown is always the text itself; `marks` finds in it what was searched.
"""

import unicodedata
from collections.abc import Iterable, Sequence

Span = tuple[int, int]
"""First character, and the one after the last."""

_HALF_WIDTH_MARKS = "\uff9e\uff9f"
"""Voicing marks of half-width katakana: they become part of the letter before them."""


def fold(text: str) -> str:
    """Without blanks at the ends."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("\0", " ").split())


def marks(text: str, terms: Sequence[str]) -> list[Span]:
    """Where the terms, which are folded, stand in the text: in order, without overlap."""
    at_once = fold(text)  # much faster, and most texts hold none
    if not any(term in at_once for term in terms):
        return []
    folded, places = _with_places(text)
    found = sorted(span for term in terms for span in _all_of(folded, term))
    return _joined([(places[start][0], places[end - 1][1]) for start, end in found])


def _with_places(text: str) -> tuple[str, list[Span]]:
    """The folded text, and for each of its characters the stretch of `text` that it comes from."""
    letters: list[str] = []
    places: list[Span] = []
    for start, end in _clusters(text):
        folded = fold(text[start:end]) or " "
        if folded != " " or (letters and letters[-1] != " "):
            letters += folded
            places += [(start, end)] * len(folded)
    return "".join(letters), places


def _clusters(text: str) -> Iterable[Span]:
    """Letters with the marks that belong to them."""
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or not (unicodedata.combining(text[at]) or text[at] in _HALF_WIDTH_MARKS):
            yield start, at
            start = at


def _all_of(text: str, term: str) -> Iterable[Span]:
    at = text.find(term)
    while at >= 0:
        yield at, at + len(term)
        at = text.find(term, at + len(term))


def _joined(spans: Sequence[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined
