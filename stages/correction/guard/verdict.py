"""Whether a correction may stand in for the recognised text; no I/O.

A corrected text has to be another spelling of what was heard. Its form comes first: not empty, one line, no markup
that was not there, not much longer than the original. Then Japanese is compared by how it sounds (`sounds`), any
other language by its letters (`letters`).
"""

import unicodedata
from collections.abc import Sequence

from stages.correction.guard.letters import same_letters
from stages.correction.guard.sounds import Read, same_sounds

MARKUP = "<>{}[]`*#|\\"


def accept(original: str, corrected: str, glossary: Sequence[str], read: Read | None) -> bool:
    """True where `corrected` is a spelling of what `original` says.

    glossary: terms that may replace what sounds like them. read: how Japanese sounds; None for other languages.
    """
    if not _well_formed(original, corrected):
        return False
    before, after = _folded(original), _folded(corrected)
    terms = {_folded(term).strip() for term in glossary} - {""}
    return same_letters(before, after, terms) if read is None else same_sounds(before, after, terms, read)


def _well_formed(original: str, corrected: str) -> bool:
    if not corrected.strip() or len(corrected) > 1.5 * len(original) + 10:
        return False
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in corrected):
        return False
    return not any(mark in corrected and mark not in original for mark in MARKUP)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
