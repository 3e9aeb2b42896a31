"""A corrected text as changes to the recognised one, each judged in its own place; no I/O."""

import re
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from ipc.messages import Refusal

MOST_TOKENS = 8
"""On either side of a change that is looked into for parts: longer ones are another wording."""

_KANJI, _KATAKANA, _HIRAGANA = "\u3400-\u9fff々〆ヶ", "\u30a0-\u30ff", "\u3040-\u309f"
_SCRIPTS = rf"[{_KANJI}]+|[{_KATAKANA}]+|[{_HIRAGANA}]"
_OTHERS = rf"[^\W{_KANJI}{_KATAKANA}{_HIRAGANA}]+"
_TOKEN = re.compile(rf"\d+(?:[.,]\d+)*|{_SCRIPTS}|{_OTHERS}|\s+|.", re.DOTALL)
"""A number, a run of kanji or katakana, one hiragana, a word of another script, blanks, a punctuation mark."""
_WITHIN_WORD = re.compile(rf"[{_HIRAGANA}]")
"""What follows may be the ending of the word before it: え of 増え is no filler."""


class Change(NamedTuple):
    """A stretch that differs. first: where it begins, in tokens of what was heard. before: those tokens, none where
    something came between. after: those that are to stand in their place."""

    first: int
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def is_short(self) -> bool:
        return max(len(self.before), len(self.after)) <= MOST_TOKENS


def mended(
    original: str, corrected: str, judge: Callable[[str, str, str], Refusal | None]
) -> tuple[str, tuple[Refusal, ...]]:
    """The original with those changes that stand, tried one after another, and why others do not. Of a change that does
    not, its beginning or its end may: a comma before a word that was not heard, a filler gone.

    judge: why a text may not stand, that has one change more than those that stand already; it is given the text, and
    of that change what was heard and what takes its place.
    """
    heard, changes = _compared(original, corrected)
    standing: list[Change] = []

    def refusal(change: Change) -> Refusal | None:
        return judge(_applied(heard, [*standing, change]), "".join(change.before), "".join(change.after))

    refused: list[Refusal] = []
    for change in changes:
        part: Change | None = change
        if (why := refusal(change)) is not None:
            refused.append(why)
            part = _standing_end(change, lambda end: refusal(end) is None)
        standing += [] if part is None else [part]
    return _applied(heard, standing), tuple(refused)


def _compared(original: str, corrected: str) -> tuple[list[str], list[Change]]:
    """The original's tokens, and what differs."""
    heard, written = _TOKEN.findall(original), _TOKEN.findall(corrected)
    codes = SequenceMatcher(None, heard, written, autojunk=False).get_opcodes()
    return heard, [Change(i, tuple(heard[i:j]), tuple(written[k:m])) for tag, i, j, k, m in codes if tag != "equal"]


def _standing_end(change: Change, stands: Callable[[Change], bool]) -> Change | None:
    """One of its ends, or nothing."""
    return next((end for end in _ends(change) if stands(end)), None) if change.is_short else None


def _ends(change: Change) -> Iterator[Change]:
    """Beginnings, then ends; of both the longest first. None only takes away what another part puts something else for:
    where えっと became はい, えっと stays."""
    cuts = sorted(((i, k) for i in _cuts(change.before) for k in _cuts(change.after)), key=sum)[1:-1]
    for i, k in reversed(cuts):
        if k or i < len(change.before):
            yield Change(change.first, change.before[:i], change.after[:k])
    for i, k in cuts:
        if i or k < len(change.after):
            yield Change(change.first + i, change.before[i:], change.after[k:])


def _cuts(tokens: tuple[str, ...]) -> list[int]:
    """Where they may be divided, their beginning and end included: not within a word."""
    inner = (at for at in range(1, len(tokens)) if not _WITHIN_WORD.match(tokens[at]))
    return sorted({0, *inner, len(tokens)})


def _applied(heard: list[str], changes: list[Change]) -> str:
    """changes: in order."""
    parts: list[str] = []
    at = 0
    for change in changes:
        parts += [*heard[at : change.first], *change.after]
        at = change.first + len(change.before)
    return "".join([*parts, *heard[at:]])
