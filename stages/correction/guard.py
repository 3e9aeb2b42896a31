"""Whether a correction may stand in for the recognised text; no I/O.

A corrected text has to be explainable as another spelling of what was heard. Both texts are stripped of
punctuation, blanks and fillers, katakana is read as hiragana, and the two are aligned character by character.
Then each must hold:

1. Form: not empty, one line, no markup that was not there, not much longer than the original.
2. Sounds: where the two differ, what stands there now could be spoken in as many sounds as what stood there
   before. A kana or a letter is one sound, a kanji 1–4 kana (今 *ima*, 志 *kokorozashi* is the rare fifth). This
   finds added clauses, summaries and refusals to help, and lets きかいがくしゅう become 機械学習.
3. Spelled-out characters (kana, letters) of the correction come from the original, in its order, for the most
   part: particles and endings survive a right conversion, and another sentence has others.
4. At least half of the original's kanji stay (a few may always change: one homophone).
5. Digits that were heard stay.

Terms of the glossary may replace anything of about their length.

What this can't see: a kanji word replaced by another that is read differently but as long, a change of one or two
kana that turns the meaning (a particle, a negation), a number written out in kanji. That takes the texts' readings.
"""

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

SLACK = 2
"""Sounds that may come or go in any text: a particle, a doubled word's rest, an alignment that is off by one."""
SLACK_SHARE = 0.1
NEW_SHARE = 0.3
"""Share of spelled-out characters that may be new: above what corrections need, below what other sentences on a
like subject have. Chosen on the examples of tests/unit/test_guard.py, not on a corpus."""
ALWAYS_REPLACEABLE_KANJI = 4
MARKUP = "<>{}[]`*#|\\"

_FILLERS = re.compile(r"えーっと|えーと|ええと|えっと|えー|あのー|あの|うーん|んー|まあ|\b(?:um+|uh+|uhm|erm?|hmm+)\b")
_KATAKANA_TO_HIRAGANA = {code: code - 0x60 for code in range(ord("ァ"), ord("ヶ") + 1)}
_FIRST_TERM = 0xF0000
"""A private-use code point stands for each glossary term while texts are compared."""


def accept(original: str, corrected: str, glossary: Sequence[str] = ()) -> bool:
    """True where `corrected` is a spelling of what `original` says, as far as characters can tell."""
    if not _well_formed(original, corrected):
        return False
    before, after = _bare(original, glossary), _bare(corrected, glossary)
    if not after or not _is_subsequence(_digits(before), _digits(after)):
        return False
    changes = _changes(before, after)
    return _same_sounds(before, changes) and _few_new(after, changes) and _kanji_kept(before, changes)


def _well_formed(original: str, corrected: str) -> bool:
    if len(corrected) > 1.5 * len(original) + 10:
        return False
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in corrected):
        return False
    return not any(mark in corrected and mark not in original for mark in MARKUP)


def _bare(text: str, glossary: Sequence[str]) -> str:
    """The characters that are compared, each occurrence of a glossary term as one private character, repeated."""
    bare = _letters(text)
    terms = {_letters(term) for term in glossary} - {""}
    for number, term in enumerate(sorted(terms, key=lambda term: (-len(term), term))):
        bare = bare.replace(term, chr(_FIRST_TERM + number) * len(term))
    return bare


def _letters(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_KATAKANA_TO_HIRAGANA)
    kept = _FILLERS.sub("", folded)
    return "".join(character for character in kept if unicodedata.category(character)[0] in "LMN")


def _changes(before: str, after: str) -> list[tuple[str, str]]:
    """What was replaced by what, either side possibly empty."""
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    return [(before[i:j], after[k:m]) for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal"]


def _same_sounds(before: str, changes: list[tuple[str, str]]) -> bool:
    added = sum(max(0.0, _fewest(new) - _most(old)) for old, new in changes)
    dropped = sum(max(0.0, _fewest(old) - _most(new)) for old, new in changes)
    return max(added, dropped) <= SLACK + SLACK_SHARE * len(before)


def _few_new(after: str, changes: list[tuple[str, str]]) -> bool:
    new = sum(_is_spelled(character) for _, inserted in changes for character in inserted)
    return new <= max(1, NEW_SHARE * sum(map(_is_spelled, after)))


def _kanji_kept(before: str, changes: list[tuple[str, str]]) -> bool:
    lost = sum(_is_kanji(character) for old, _ in changes for character in old)
    return lost <= max(ALWAYS_REPLACEABLE_KANJI, sum(map(_is_kanji, before)) / 2)


def _fewest(text: str) -> float:
    return sum(_sounds(character)[0] for character in text)


def _most(text: str) -> float:
    return sum(_sounds(character)[1] for character in text)


def _sounds(character: str) -> tuple[float, float]:
    """Fewest and most kana or letters in which a character may be spelled out.

    Digits: 1000 is せん, 7 is "seven". Glossary terms: Kubernetes is クーバネティス, API is エーピーアイ.
    """
    if _is_kanji(character):
        return (1, 4)
    return (1, 1) if _is_spelled(character) else (0.5, 5)


def _is_spelled(character: str) -> bool:
    return character.isalpha() and not _is_kanji(character)


def _is_kanji(character: str) -> bool:
    return "\u3400" <= character <= "\u9fff" or character in "々〇"


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


def _is_subsequence(wanted: str, text: str) -> bool:
    remaining = iter(text)
    return all(character in remaining for character in wanted)
