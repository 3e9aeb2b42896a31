"""Whether two Japanese texts sound the same; no I/O.

Without punctuation, blanks and fillers, the words of each text must, one after another, read what the other text
reads. A word has all readings that the dictionary knows for its spelling.

- Spellings of one sound are one (ぢ and じ, ー and the vowel that it draws out, は as a particle and わ). Beyond that
  every kana counts: one that is another makes 契約 (けいやく) of 計画 (けいかく), or 国外 of 国内.
- Numbers that were heard stay, in digits or kanji, even if what replaced them sounds the same (五回, 誤解).
- なん of 相互なんです is not 何, and stays; that of それはなんです is.
- A term of the glossary may be one kana in three off. One in Latin letters whose reading is not known may stand for
  about as many kana as it has letters, if these have much the same consonants (`consonants`).

That accepts homophones and refuses words that come or go, summaries, turned meanings, answers and refusals. What
sounds the same and says something else (意思, 医師) is accepted: telling these apart is what a correction is for. A
word that was misheard as one with another sound (報告 as 方向) stays as it is, and so may one that the dictionary
misreads; dropping あの is taken for dropping a filler, though it may have said which one.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from rapidfuzz.distance import Levenshtein

from ipc.messages import Refusal
from stages.phonetics.consonants import alike, consonants
from stages.phonetics.readings import ReadWord

TERM_TOLERANCE = 1 / 3
"""Share of a term's kana that may be others. Chosen on the examples of tests/unit/test_guard.py, not on a corpus."""
FEWEST_KANA, MOST_KANA = 1 / 2, 2
"""For each letter of a term: Kubernetes is クーバネティス, nginx is エンジンエックス."""

_FILLER = re.compile(r"え[ーえ]*っ?と[ーお]*|えー+っ?|あー*|あの[ーう]*|そのー+|うー+ん?|んー+|まあ|まー+")
_PUNCTUATION = re.compile(r"[\s、。!?・「」『』]|[,.](?!\d)")

_EXPLAINING = re.compile(r"(?<=\w)(?<![はがを])(?<!って)なん(?=です|だ|で)")


class Read(Protocol):
    """See `readings.Reader`."""

    def __call__(self, text: str) -> list[ReadWord]: ...

    def spelled(self, letters: str) -> str: ...


class Piece(NamedTuple):
    """A word or glossary term. readings: as in ReadWord. tolerance: share of its kana that may be others.
    replaces: it may stand for words that sound otherwise; kana: how many of theirs, if they have much the same
    consonants. number: as in ReadWord."""

    readings: Sequence[str]
    tolerance: float = 0.0
    replaces: bool = False
    kana: range = range(0)
    consonants: str = ""
    number: str = ""


def other_sounds(before: str, after: str, terms: Collection[str], read: Read) -> Refusal | None:
    """What is wrong with `after`; None where nothing is. All in NFKC and case-folded."""
    if _PUNCTUATION.sub("", before) == _PUNCTUATION.sub("", after) != "":
        return None  # whatever the dictionary makes of a text, which may depend on its punctuation
    if len(_EXPLAINING.findall(after)) < len(_EXPLAINING.findall(before)):
        return "sound"
    known = {term for term in terms if any(map(str.isalnum, term))}
    heard = list(_pieces(before, known, known, read))
    written = list(_pieces(after, known, {term for term in known if term in before}, read))
    if not _is_subsequence(_numbers(heard), _numbers(written)):
        return "number"
    same = written and (_alike(heard, written) or _alike(written, heard))
    return None if same else "sound"


def _pieces(text: str, terms: Collection[str], heard: Collection[str], read: Read) -> Iterator[Piece]:
    """heard: terms that stand for themselves only, since the original has them."""
    for index, part in enumerate(_split(text, terms)):
        if index % 2:
            yield _term(part, part in heard, read)
        else:
            for word in read(part):
                if not _FILLER.fullmatch(word.surface):
                    yield Piece(word.readings, number=word.number)


def _split(text: str, terms: Collection[str]) -> list[str]:
    """Every second part is a term. Terms in Latin letters are whole words: AI is not in MAIL."""
    patterns = [
        rf"(?<![a-z0-9]){re.escape(term)}(?![a-z0-9])" if term.isascii() else re.escape(term)
        for term in sorted(terms, key=lambda term: (-len(term), term))
    ]
    return re.split(f"({'|'.join(patterns)})", text) if patterns else [text]


def _term(term: str, heard: bool, read: Read) -> Piece:
    words = read(term)
    readings = words[0].readings if len(words) == 1 else ("".join(word.readings[0] for word in words),)
    if heard:
        return Piece(readings)
    sound = consonants(readings[0])
    if sound is None or not any(character.isascii() for character in readings[0]):
        return Piece(readings, TERM_TOLERANCE, True)
    kana = range(math.ceil(FEWEST_KANA * len(term)), MOST_KANA * len(term) + 1)
    return Piece(readings, TERM_TOLERANCE, True, kana, sound)


def _alike(one: Sequence[Piece], other: Sequence[Piece]) -> bool:
    """Whether `other` can be read as `one` most likely reads, and `one` then as `other` is read."""
    reading = _fit(other, "".join(piece.readings[0] for piece in one))
    return reading is not None and _fit(one, reading) is not None


def _fit(pieces: Iterable[Piece], sound: str) -> str | None:
    """How the pieces are read where, one after another, they make up all of `sound`; None where they can't."""
    reached = {0: (0, "")}
    for piece in pieces:
        further: dict[int, tuple[int, str]] = {}
        for start, (edits, before) in reached.items():
            for end, more, reading in _fits(piece, sound, start):
                found = (edits + more, before + reading)
                further[end] = min(further.get(end, found), found)
        reached = further
    return reached[len(sound)][1] if len(sound) in reached else None


def _fits(piece: Piece, sound: str, start: int) -> Iterator[tuple[int, int, str]]:
    """Ends of what the piece may be in `sound` from `start` on, with the edits that takes and its reading there."""
    for reading in piece.readings:
        most = int(piece.tolerance * len(reading))
        longest = min(start + len(reading) + most, len(sound))
        for end in range(start + len(reading) - most, longest + 1):
            edits = Levenshtein.distance(reading, sound[start:end], score_cutoff=most)
            if edits <= most:
                yield end, edits, sound[start:end] if piece.replaces else reading
    for kana in piece.kana:
        heard = sound[start : start + kana]
        if len(heard) == kana and alike(piece.consonants, consonants(heard) or ""):
            yield start + kana, 1, heard


def _numbers(pieces: Iterable[Piece]) -> list[str]:
    return [piece.number for piece in pieces if piece.number]


def _is_subsequence(wanted: Iterable[str], given: Iterable[str]) -> bool:
    remaining = iter(given)
    return all(number in remaining for number in wanted)
