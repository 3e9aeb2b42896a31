"""Pieces of any size, down to single characters, as what a reader calls words. Pure but for Japanese's dictionary.

Recognisers and aligners time what suits them: Whisper its byte pairs, wav2vec2 its characters. Here they are cut into
characters and put together again by the language's rule; no time is invented but where a piece has to be shared out.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from statistics import fmean

from ipc.messages import Word
from stages.asr.alignment import japanese
from stages.asr.alignment.units import Unit

WITHOUT_BLANKS = {"zh", "yue", "th", "lo", "my"}
"""Languages that are written without blanks and for which there is no dictionary here: their words are characters."""
CHARACTERS = re.compile(r"[A-Za-z0-9]+|.", re.DOTALL)
"""Foreign names and numbers stay whole."""
BETWEEN_BLANKS = re.compile(r"\s*\S+|\s+")
SPOKEN = "LMNS"
"""Letters, the marks on them, numbers and symbols: the Unicode categories that have a sound. Punctuation has none."""
OPENING = {"Ps", "Pi", "Zs"}
"""Opening brackets, opening quotation marks and blanks belong to the word after."""


def into_words(pieces: Sequence[Word], language: str) -> tuple[Word, ...]:
    """Words of the language, which joined are the pieces joined: punctuation is with the word before.

    pieces: in time order. A word lasts from its first to its last character that is spoken, and its score is the mean
    of theirs.
    """
    characters = [character for piece in pieces for character in spread(piece)]
    texts = list(word_texts(units("".join(piece.text for piece in pieces), language)))
    ends = list(accumulate(map(len, texts)))
    return tuple(joined(characters[end - len(text) : end]) for text, end in zip(texts, ends, strict=True))


def units(text: str, language: str) -> list[Unit]:
    if language == "ja":
        return japanese.units(text)
    pattern = CHARACTERS if language in WITHOUT_BLANKS else BETWEEN_BLANKS
    return [Unit(found, ending=is_mark(found[0])) for found in pattern.findall(text)]


def word_texts(units: Iterable[Unit]) -> Iterator[str]:
    """A unit begins a word where something spoken is before it, and it is spoken itself or opens what follows."""
    word = ""
    for unit in units:
        if has_sound(word) and not unit.ending and (has_sound(unit.text) or is_opening(unit.text)):
            yield word
            word = ""
        word += unit.text
    if word:
        yield word


def spread(piece: Word) -> Iterator[Word]:
    """The piece's characters, those that are spoken with equal shares of its time and the others with none."""
    spoken = [has_sound(character) for character in piece.text]
    total = sum(spoken) or 1
    before = 0
    for character, after in zip(piece.text, accumulate(spoken), strict=True):
        yield Word(moment(piece, before / total), moment(piece, after / total), character, piece.score)
        before = after


def moment(piece: Word, share: float) -> float:
    """Exactly the start at 0 and the end at 1."""
    return piece.start * (1 - share) + piece.end * share


def joined(characters: Sequence[Word]) -> Word:
    timed = [character for character in characters if has_sound(character.text)] or characters
    text = "".join(character.text for character in characters)
    return Word(timed[0].start, timed[-1].end, text, fmean(character.score for character in timed))


def has_sound(text: str) -> bool:
    return any(unicodedata.category(character)[0] in SPOKEN for character in text)


def is_mark(character: str) -> bool:
    """Of the letter before it: an accent, a vowel of Thai."""
    return unicodedata.category(character)[0] == "M"


def is_opening(text: str) -> bool:
    return all(unicodedata.category(character) in OPENING for character in text)
