"""What of a correction may stand in for the recognised text; no I/O.

A corrected text has to be another spelling of what was heard. Its form comes first: not empty, one line, no markup
that was not there, not much longer than the original. Then Japanese is compared by how it sounds (`sounds`), any
other language by its letters (`letters`). Where the text as a whole may not stand, each stretch in which it differs is
judged alone (`stretches`): a bad edit costs no good one beside it.
"""

import re
import unicodedata
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from ipc.messages import Refusal
from stages.correction.guard.letters import other_letters
from stages.correction.guard.sounds import Read, other_sounds
from stages.correction.guard.stretches import mended

MARKUP = "<>{}[]`*#|\\"
_END = re.compile(r"\s*([。、!?！？,]|\.(?!\w))")
"""With which no text begins; .NET does."""
ALIKE = 0.4
"""An answer that is less like what was heard is another text, and what both have in common is chance: its commas would
come to stand anywhere. Of the cases in tests/unit, other texts (refusals, translations, summaries) are at 0.36 and
less, edits at 0.42 and more."""


def permitted(
    original: str, corrected: str, glossary: Sequence[str], read: Read | None
) -> tuple[str, tuple[Refusal, ...]]:
    """The text that may stand: `corrected`, or `original` with those of its edits that may; and why others may not.

    Whatever comes back is `accept`able, or the original. glossary, read: see `refusal`.
    """
    if accept(original, corrected, glossary, read):
        return corrected, ()

    if _likeness(original, corrected, read) < ALIKE:
        return original, ("other_text",)

    def judge(text: str, before: str, after: str) -> Refusal | None:
        if read is None and (why := _other_alone(before, after, glossary)) is not None:
            return why
        return refusal(original, text, glossary, read)

    return mended(original, corrected, judge)


def _likeness(original: str, corrected: str, read: Read | None) -> float:
    """From 0 to 1: how much of the sound of the one is in the other, of letters where no sound is known."""
    texts = [_folded(text) for text in (original, corrected)]
    if read is None:
        return Levenshtein.normalized_similarity(*texts)
    return Levenshtein.normalized_similarity(*("".join(word.readings[0] for word in read(text)) for text in texts))


def _other_alone(before: str, after: str, glossary: Sequence[str]) -> Refusal | None:
    """By letters, what a long text may lose or gain must not all be in one place."""
    bare = [[c for c in _folded(text) if c.isalnum()] for text in (before, after)]
    if bare[0] == bare[1]:
        return None
    return refusal(before, after, glossary, None) if bare[0] else "letters"


def accept(original: str, corrected: str, glossary: Sequence[str], read: Read | None) -> bool:
    """True where `corrected` is a spelling of what `original` says. glossary, read: see `refusal`."""
    return refusal(original, corrected, glossary, read) is None


def refusal(original: str, corrected: str, glossary: Sequence[str], read: Read | None) -> Refusal | None:
    """Why `corrected` is none of what `original` says; None where it is.

    glossary: terms that may replace what sounds like them. read: how Japanese sounds; None for other languages.
    """
    if not _well_formed(original, corrected):
        return "malformed"
    before, after = _folded(original), _folded(corrected)
    terms = {_folded(term).strip() for term in glossary} - {""}
    return other_letters(before, after, terms) if read is None else other_sounds(before, after, terms, read)


def _well_formed(original: str, corrected: str) -> bool:
    if not corrected.strip() or len(corrected) > 1.5 * len(original) + 10:
        return False
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in corrected):
        return False
    if _begins_with_its_end(corrected) and not _begins_with_its_end(original):
        return False
    return not any(mark in corrected and mark not in original for mark in MARKUP)


def _begins_with_its_end(text: str) -> bool:
    """A full stop or comma comes first, as where the word before it was refused."""
    return _END.match(text) is not None


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
