"""What of a text can be looked for in another one: its figures, its names, its words; no I/O."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from stages.phonetics.readings import ReadWord

Read = Callable[[str], list[ReadWord]]
"""Words of a text in NFKC: see `readings.Reader`."""

STEM = 4
"""Letters of a word that inflection leaves alone in most European languages."""
SHORTEST = 4
"""Letters of a word that says something by itself; shorter ones are mostly of grammar."""

_KANJI, _KANA = "\u3400-\u9fff々〆ヶ", "\u3040-\u30ff"
_HOLLOW = re.compile("決定|決ま|決め|未定|予定|必要")
"""What a sentence about a decision or an open point says of itself."""
_NUMERALS = re.compile("[〇一二三四五六七八九十百千万億兆]")
_RUN = re.compile(rf"[{_KANJI}]+|[\u30a0-\u30ff]+|[^\W\d_{_KANJI}{_KANA}]+")
"""Hiragana is mostly grammar."""
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_WHEN = re.compile(r"[月火水木金土日]曜|(?:今|来|再来|先|翌|本|毎)(?:日|週|月|年|期)|明日|明後日|午前|午後|正午|深夜")
"""Dates without a figure, of Japanese; of other languages they have capitals or are like other words."""
_UNITS = {"年", "月", "日", "時", "分"}
"""Of dates and times: of two figures each says which is which."""
_LETTER = rf"[^\W_{_KANJI}{_KANA}]"
"""Of scripts whose words have other characters between them, which Japanese has none of; digits, too."""
_LATIN = re.compile(rf"{_LETTER}(?:{_LETTER}|[_-])*")
_JAPANESE = re.compile(rf"[{_KANJI}{_KANA}]")


def folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def figures(text: str, read: Read) -> set[str]:
    """Numbers by value, 二千四百万 as 24000000, those of dates with their unit, too, and Japanese dates without one."""
    plain = unicodedata.normalize("NFKC", text)
    found = set(_WHEN.findall(plain))
    words = read(plain)
    for word in words:
        found |= {word.number} if word.number else set(_DIGITS.findall(word.surface))
    dates = ((word.number, unit.surface.removesuffix("間")) for word, unit in pairwise(words) if word.number)
    return found | {number + unit for number, unit in dates if unit in _UNITS}


def names(text: str, read: Read) -> set[str]:
    """Folded: what the Japanese dictionary knows as a name, and words with a capital, but for the first of a text in
    another language that has blanks."""
    plain = unicodedata.normalize("NFKC", text)
    latin = _LATIN.findall(plain)
    is_first = bool(latin) and " " in plain.strip() and plain.lstrip().startswith(latin[0]) and latin[0].istitle()
    if is_first and not _JAPANESE.search(plain):
        latin = latin[1:]
    known = {word.surface for word in read(plain) if word.is_name}
    return {folded(name) for name in (*known, *(word for word in latin if word.lower() != word))}


def is_named(name: str, text: str) -> bool:
    """name: folded. One in letters has to be a word of the text, or that with an s: May is not in Maybe."""
    before = rf"(?<!{_LETTER})" if re.match(_LETTER, name) else ""
    after = rf"s?(?!{_LETTER})" if re.match(_LETTER, name[-1:]) else ""
    return re.search(f"{before}{re.escape(name)}{after}", folded(text)) is not None


def stems(text: str) -> set[str]:
    """What says something: pairs of kanji or katakana that stand together, beginnings of other words. No numerals, as
    they may be in digits."""
    return {stem for run in _runs(text) for stem in _stems(run)}


def predicate(text: str) -> str:
    """The last word of a Japanese sentence, which says what is the matter with all of the others; "" where a sentence
    is of another language, or says no more than that something is decided or open."""
    last = "".join(_runs(text)[-1:])
    return (_WHEN.split(last)[-1] or last) if "\u30a0" <= last[:1] <= "\u9fff" else ""


def _runs(text: str) -> list[str]:
    return _RUN.findall(_NUMERALS.sub(" ", _HOLLOW.sub(" ", folded(text))))


def _stems(run: str) -> Iterator[str]:
    if not ("\u30a0" <= run[0] <= "\u9fff"):
        if len(run) >= SHORTEST or not run.isascii():
            yield run[:STEM]
    elif len(run) == 1:
        yield run
    else:
        yield from (run[at : at + 2] for at in range(len(run) - 1))


def share(wanted: Iterable[str], text: str) -> float:
    """Of stems, how many stand in a text: from 0 to 1; 0 where there are none."""
    stems_wanted, there = set(wanted), folded(text)
    return sum(stem in there for stem in stems_wanted) / len(stems_wanted) if stems_wanted else 0.0
