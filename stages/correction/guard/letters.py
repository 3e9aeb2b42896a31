"""Whether two texts are much the same by their letters; no I/O. For languages of which no readings are known.

Without punctuation, blanks and fillers, the texts may not differ by many letters more, many less or mostly others;
digits that were heard stay, and of English the number of negations stays. Terms of the glossary may replace anything
of about their length. This can't see one short word replaced by another.
"""

import re
import unicodedata
from collections.abc import Collection
from difflib import SequenceMatcher

SLACK = 2
"""Letters that may come or go in any text: an ending, the rest of a doubled word."""
SLACK_SHARE = 0.1
NEW_SHARE = 0.3
"""Share of letters that may be new: above what corrections need, below what other sentences on a like subject have.
Chosen on the examples of tests/unit/test_guard.py, not on a corpus."""

_FILLERS = re.compile(r"\b(?:um+|uh+|uhm|erm?|hmm+)\b")
_AUXILIARIES = "do|does|did|is|are|was|were|have|has|had|ca|wo|could|would|should|must|need"
_NEGATIONS = re.compile(rf"\b(?:not|never|cannot|(?:{_AUXILIARIES})n['’]?t)\b")
_FIRST_TERM = 0xF0000
"""A private-use code point stands for each glossary term while texts are compared."""


def same_letters(before: str, after: str, terms: Collection[str]) -> bool:
    """All in NFKC and case-folded."""
    if len(_NEGATIONS.findall(before)) != len(_NEGATIONS.findall(after)):
        return False
    before, after = _bare(before, terms), _bare(after, terms)
    if not after or not _is_subsequence(_digits(before), _digits(after)):
        return False
    changes = _changes(before, after)
    return _as_long(before, changes) and _few_new(after, changes)


def _bare(text: str, terms: Collection[str]) -> str:
    """The characters that are compared, each occurrence of a glossary term as one private character, repeated."""
    bare = _letters(text)
    wanted = {_letters(term) for term in terms} - {""}
    for number, term in enumerate(sorted(wanted, key=lambda term: (-len(term), term))):
        bare = bare.replace(term, chr(_FIRST_TERM + number) * len(term))
    return bare


def _letters(text: str) -> str:
    kept = _FILLERS.sub("", text)
    return "".join(character for character in kept if unicodedata.category(character)[0] in "LMN")


def _changes(before: str, after: str) -> list[tuple[str, str]]:
    """What was replaced by what, either side possibly empty."""
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    return [(before[i:j], after[k:m]) for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal"]


def _as_long(before: str, changes: list[tuple[str, str]]) -> bool:
    added = sum(max(0.0, _fewest(new) - _most(old)) for old, new in changes)
    dropped = sum(max(0.0, _fewest(old) - _most(new)) for old, new in changes)
    return max(added, dropped) <= SLACK + SLACK_SHARE * len(before)


def _few_new(after: str, changes: list[tuple[str, str]]) -> bool:
    new = sum(character.isalpha() for _, inserted in changes for character in inserted)
    return new <= max(1, NEW_SHARE * sum(map(str.isalpha, after)))


def _fewest(text: str) -> float:
    return sum(1 if character.isalpha() else 0.5 for character in text)


def _most(text: str) -> float:
    """Digits and glossary terms may be spelled out: 7 is "seven", API is "ay pee eye"."""
    return sum(1 if character.isalpha() else 5 for character in text)


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


def _is_subsequence(wanted: str, text: str) -> bool:
    remaining = iter(text)
    return all(character in remaining for character in wanted)
