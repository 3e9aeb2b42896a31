"""Whether two texts are much the same by their letters; no I/O. For languages of which no readings are known.

Without punctuation, blanks and fillers, the texts may not differ by many letters more, many less or mostly others;
digits that were heard stay, and of English the number of negations stays. A term of the glossary may replace what is
about as long and has much the same consonants (`consonants`; in Chinese and other scripts whose sound is not known,
anything about as long). This can't see one short word replaced by another.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import groupby

from ipc.messages import Refusal
from stages.phonetics.consonants import alike, consonants

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


def other_letters(before: str, after: str, terms: Collection[str]) -> Refusal | None:
    """What is wrong with `after`; None where nothing is. All in NFKC and case-folded."""
    if len(_NEGATIONS.findall(before)) != len(_NEGATIONS.findall(after)):
        return "negation"
    known = sorted({_letters(term) for term in terms} - {""}, key=lambda term: (-len(term), term))
    before, after = _bare(before, known), _bare(after, known)
    if not _is_subsequence(_digits(before), _digits(after)):
        return "number"
    changes = _changes(before, after)
    same = after and _as_long(before, changes) and _few_new(after, changes) and _terms_heard(changes, known)
    return None if same else "letters"


def _bare(text: str, terms: Sequence[str]) -> str:
    """The characters that are compared, each occurrence of a glossary term as one private character, repeated."""
    bare = _letters(text)
    for number, term in enumerate(terms):
        bare = bare.replace(term, chr(_FIRST_TERM + number) * len(term))
    return bare


def _terms_heard(changes: Iterable[tuple[str, str]], terms: Sequence[str]) -> bool:
    """Whether each change that puts a term in replaces what sounds like it, as far as that is known."""
    spelled = {chr(_FIRST_TERM + number): term for number, term in enumerate(terms)}
    return all(
        _sounds_like(_spelled(old, spelled), _spelled(new, spelled))
        for old, new in changes
        if not spelled.keys().isdisjoint(new)
    )


def _sounds_like(heard: str, written: str) -> bool:
    old, new = consonants(heard), consonants(written)
    return bool(heard) and (old is None or new is None or alike(old, new))


def _spelled(bare: str, terms: Mapping[str, str]) -> str:
    """With the terms in place of the private characters that stand for them."""
    return "".join(terms.get(character, character) for character, _ in groupby(bare))


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
