"""What a text has of what the model was told before it listened, and whether that was said. Pure but for Japanese's
dictionary.

Told of terms, Whisper writes them where nobody said them: for a short word, for humming, after the end of speech; and
so it does with the text before. It is sure of such a text. So what is told apart by is what Whisper makes of the same
sound when it is told nothing: how probable the words are, which it says with their times, and else how a text sounds
that is looked for once more.
"""

import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from functools import cache, lru_cache

from rapidfuzz.fuzz import partial_ratio_alignment

from ipc.messages import Segment
from stages.phonetics.consonants import consonants
from stages.phonetics.readings import Reader

PROBABLE = 0.15
"""Mean score of an echo's letters, with which it was said. Of Whisper's own words: faster-whisper times them, and so
scores them, without the prompt. Said: mostly above; not said: below 0.12 (docs/performance.md)."""
LEAST_SCORE = 1e-6
ALIKE = 100 * 2 / 3
"""Of rapidfuzz's ratio, 0 to 100: of six kana of a term two may be others."""
ALIKE_CONSONANTS = 75.0
"""They say less, so fewer may be others."""
FULL_SIZE = str.maketrans("ァィゥェォャュョヮッ", "アイウエオヤユヨワツ")
"""Kana of which small ones are as good as others here: リョウ is heard as リヨウ."""
LONG_RUN = 6
"""Letters in a row that a text shares with what was said before: more than an ending such as しています."""
RUN_SHARE = 1 / 3
"""A shorter run is an echo too where it is so much of the text."""

Sound = Callable[[str], str]
"""How a text sounds: kana, or letters where these are not known."""


def sound_of(language: str) -> Sound:
    return _japanese if language == "ja" else _letters


def doubtful_echoes(segments: Sequence[Segment], glossary: Sequence[str], context: str) -> list[str]:
    """Terms and runs of letters that the segments have from the prompt, and of which their scores do not say that they
    were said. segments: as the model gave them; without words there are no scores."""
    text = _text(segments)
    terms = (term for term in dict.fromkeys(glossary) if _times_written(term, text))
    echoes = [*terms, *_runs(_letters(text), _letters(context))]
    return [echo for echo in echoes if _times_probable(echo, segments) < _times_written(echo, text)]


def all_said(echoes: Sequence[str], told: Sequence[Segment], untold: Sequence[Segment], sound: Sound) -> bool:
    """Whether each sounds as often in what was recognised without a prompt as it is in what was with one."""
    text, other = _text(told), _text(untold)
    return all(_times_said(echo, other, sound) >= _times_written(echo, text) for echo in echoes)


def _text(segments: Sequence[Segment]) -> str:
    return " ".join(segment.text for segment in segments)


def _times_written(echo: str, text: str) -> int:
    """Whole, or the most of it."""
    return _times(_letters(echo), _letters(text), ALIKE)


def _times_said(echo: str, text: str, sound: Sound) -> int:
    """By sound, or by consonants where the sound is not known but as Latin letters."""
    wanted, heard = sound(echo), sound(text)
    found = _times(wanted, heard, ALIKE)
    if not any(map(str.isascii, wanted + heard)):
        return found
    return max(found, _times(consonants(wanted) or "", consonants(heard) or "", ALIKE_CONSONANTS))


def _times(wanted: str, text: str, least: float) -> int:
    """Stretches of the text that are enough like it, none counted twice."""
    around = " " * len(wanted)  # else rapidfuzz looks for the shorter of the two in the other
    text = f"{around}{text}{around}"
    count = 0
    while wanted and (at := partial_ratio_alignment(wanted, text, score_cutoff=least)):
        text = text[: at.dest_start] + around + text[at.dest_end :]
        count += 1
    return count


def _times_probable(echo: str, segments: Sequence[Segment]) -> int:
    letters, scores = "", list[float]()
    for word in (word for segment in segments for word in segment.words):
        letters += _letters(word.text)
        scores += [math.log(max(word.score, LEAST_SCORE))] * len(_letters(word.text))
    ends = _ends(_letters(echo), letters)
    size = len(_letters(echo))
    return sum(sum(scores[end - size : end]) >= size * math.log(PROBABLE) for end in ends)


def _ends(wanted: str, text: str) -> Iterator[int]:
    at = text.find(wanted) if wanted else -1
    while at >= 0:
        yield at + len(wanted)
        at = text.find(wanted, at + len(wanted))


def _runs(text: str, context: str) -> Iterator[str]:
    """Of letters that both have in a row."""
    least = min(LONG_RUN, max(2, RUN_SHARE * len(text)))
    for start, _, size in SequenceMatcher(None, text, context, autojunk=False).get_matching_blocks():
        if size >= least:
            yield text[start : start + size]


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


@lru_cache(maxsize=1000)
def _japanese(text: str) -> str:
    words = _reader()(unicodedata.normalize("NFKC", text).casefold())
    return "".join(word.readings[0] for word in words).translate(FULL_SIZE)


@cache
def _reader() -> Reader:
    return Reader()
