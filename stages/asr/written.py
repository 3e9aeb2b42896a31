"""How recognised Japanese is written: 。 and 、 where the recogniser left them out, and numbers in digits. Pure but for
the dictionary. Other languages stay as they are.

A sentence ends with a polite predicate (です, ます, ません, ください, with or without か, ね, よ) that no particle
follows: that is no guess. Plain forms end clauses as often as sentences; where a pause follows there is a comma.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from typing import NamedTuple

from msgspec.structs import replace

from ipc.messages import Segment, Word
from ipc.settings import AsrSettings
from stages.asr.alignment.japanese import tokenizer

PAUSE_S = 0.3
"""Between two words of a speaker, from which a comma stands there: closures within words are shorter than 0.2 s."""
POLITE = {"です", "ます"}
PAST_OR_NOT = {"た", "ぬ", "ず", "ん"}
FINAL_FORMS = ("終止形", "連体形", "意志推量形")
PREFIX = "接頭辞"
ENDING = "終助詞"
NUMERALS = {character: value for value, character in enumerate("〇一二三四五六七八九")} | {"零": 0}
TENS = {"十": 10, "百": 100, "千": 1000}
MYRIADS = "万億兆"
NUMBER = re.compile(f"[{''.join([*NUMERALS, *TENS])}{MYRIADS}]+")
WIDE = re.compile(r"[０-９]+")
POINT = re.compile(r"(?<![\d、対])0、(?=\d{1,3}(?![\d、]))")
"""Whisper's 0、8% for 0.8%. 0、1、2 is counted, 3対0、5分後 and 0、2024年 are two numbers."""
ABOUT = frozenset("数何幾")
"""Before or after a number in kanji, it is none in digits: 数十人, 十数人."""
COUNTED = re.compile(rf"([{''.join([*NUMERALS, *TENS])}]{{2,}})([年月日時分秒円人名台個件点本枚回度])")
"""What the dictionary has as one word: 三十日. One numeral alone may be a word of its own: 一番, 一人."""


class Morpheme(NamedTuple):
    """surface: as written. kind: part of speech, the first two of UniDic's. lemma: the dictionary's form. form: how it
    is conjugated."""

    surface: str
    kind: tuple[str, str]
    lemma: str
    form: str


def written(segment: Segment, language: str, glossary: Sequence[str], settings: AsrSettings) -> Segment:
    """The segment as it is to be written. Its words joined are its text, as before. glossary: terms that stay."""
    if language != "ja" or not segment.words:
        return segment
    words = segment.words
    if settings.numbers == "digits":
        words = in_digits(words, glossary)
    if settings.punctuation:
        words = punctuated(words)
    return replace(segment, text="".join(word.text for word in words), words=tuple(words))


# --- punctuation -------------------------------------------------------------------------------------


def punctuated(words: Sequence[Word]) -> tuple[Word, ...]:
    """With 。 and 、 after words that no punctuation follows. A blank gives way to them."""
    text = "".join(word.text for word in words)
    morphemes = analysed(text)
    starts = accumulate((len(one.surface) for one in morphemes), initial=0)
    begins = {start: index for index, start in enumerate(starts)}
    ends = accumulate(len(word.text) for word in words)
    marks = [
        _mark(morphemes, begins[end], word, following) if end in begins else ""
        for end, word, following in zip(ends, words, [*words[1:], None], strict=True)
    ]
    gone = [False, *map(bool, marks)]
    return tuple(
        replace(word, text=(word.text.lstrip() if blank_gone else word.text) + mark)
        for word, mark, blank_gone in zip(words, marks, gone, strict=False)
    )


def _mark(morphemes: Sequence[Morpheme], index: int, word: Word, following: Word | None) -> str:
    """What belongs after the word: before the morpheme with that index, which is the first of the word that follows."""
    ends, rest = ends_sentence(morphemes[:index]), [one for one in morphemes[index:] if one.surface.strip()]
    if not _is_bare(word.text) or (rest and not (_is_bare(rest[0].surface) and _begins_anew(rest[0]))):
        return ""
    if ends or following is None or not rest:
        return "。" if ends else ""
    return "、" if _paused(word, following) and not _goes_on(morphemes[index - 1], rest[0]) else ""


def _paused(word: Word, following: Word) -> bool:
    """By time, or by a blank, which Whisper writes between Japanese words for that. Beside a word in other letters it
    is but a blank, and two of those (Google Meet, or a sentence of English) are left as they are."""
    japanese = _is_japanese(word.text.rstrip()[-1:]), _is_japanese(following.text.lstrip()[:1])
    return (following.start - word.end >= PAUSE_S and any(japanese)) or (following.text[:1].isspace() and all(japanese))


def _is_japanese(character: str) -> bool:
    """A letter without case, as kana and kanji are, 々 and ー among them."""
    return bool(character) and unicodedata.category(character) in ("Lo", "Lm")


def _is_bare(text: str) -> bool:
    """It does not end in punctuation."""
    return bool(text.strip()) and unicodedata.category(text.strip()[-1])[0] not in "PS"


def ends_sentence(morphemes: Sequence[Morpheme]) -> bool:
    rest = list(morphemes)
    while rest and rest[-1].kind[1] == ENDING:
        rest.pop()
    if not rest:
        return False
    last, before = rest[-1], rest[-2].lemma if len(rest) > 1 else ""
    if last.lemma in POLITE or (last.lemma in PAST_OR_NOT and before in POLITE):
        return last.form.startswith(FINAL_FORMS)
    return last.surface in ("ください", "下さい")


def _goes_on(one: Morpheme, two: Morpheme) -> bool:
    """No comma stands after お, or within a number."""
    return one.kind[0] == PREFIX or (one.surface[-1:].isdigit() and two.surface[:1].isdigit())


def _begins_anew(morpheme: Morpheme) -> bool:
    """It is no particle or ending of what is before it."""
    return morpheme.kind[0] not in ("助詞", "助動詞", "接尾辞")


# --- numbers -----------------------------------------------------------------------------------------


def in_digits(words: Sequence[Word], glossary: Sequence[str] = ()) -> tuple[Word, ...]:
    """Numbers in kanji as people write them in minutes: 二百五十円 as 250円, 二千四百万 as 2400万; full-width digits as
    narrow ones. Words with parts of one number become one."""
    changed, text = list(words), "".join(word.text for word in words)
    kept = [found.span() for term in glossary if term for found in re.finditer(re.escape(term), text)]
    for start, end, number in reversed(numbers(text)):
        if not any(start < last and first < end for first, last in kept):
            changed = _replaced(changed, start, end, number)
    return tuple(changed)


def digits(text: str) -> str:
    """A text with its numbers in digits."""
    for start, end, number in reversed(numbers(text)):
        text = text[:start] + number + text[end:]
    return text


def numbers(text: str) -> list[tuple[int, int, str]]:
    """Where in the text there are numbers not in digits, or with 、 for a point, and what is written there."""
    found = [(*wide.span(), unicodedata.normalize("NFKC", wide[0])) for wide in WIDE.finditer(text)]
    found += [(*point.span(), "0.") for point in POINT.finditer(text)]
    if NUMBER.search(text):
        found += _in_kanji(text)
    return sorted(found)


def _in_kanji(text: str) -> Iterator[tuple[int, int, str]]:
    at = 0
    for number, run in groupby(analysed(text), key=is_number):
        for surface in ["".join(one.surface for one in run)] if number else [one.surface for one in run]:
            start, at = at, at + len(surface)
            counted = COUNTED.fullmatch(surface)
            if number and not {text[max(0, start - 1) : start], text[at : at + 1]} & ABOUT:
                yield start, at, value(surface)
            elif counted:
                yield start, at - 1, value(counted[1])


def _replaced(words: list[Word], start: int, end: int, text: str) -> list[Word]:
    """With other text in place of the characters [start, end) of all of them."""
    ends = list(accumulate(len(word.text) for word in words))
    first, last = bisect_right(ends, start), bisect_left(ends, end)
    one, two = words[first], words[last]
    offset = ends[first] - len(one.text)
    whole = "".join(word.text for word in words[first : last + 1])
    score = min(word.score for word in words[first : last + 1])
    changed = whole[: start - offset] + text + whole[end - offset :]
    return [*words[:first], Word(one.start, two.end, changed, score), *words[last + 1 :]]


def is_number(morpheme: Morpheme) -> bool:
    if not NUMBER.fullmatch(morpheme.surface):
        return False
    return morpheme.kind[1] == "数詞" or len(morpheme.surface) > 1


def value(number: str) -> str:
    """Up to each 万, 億 and 兆 in digits, with that as it is; unchanged where it is no well-formed number."""
    parts = re.split(f"([{MYRIADS}])", number)
    return "".join(part if part in MYRIADS or not part else _below_myriad(part) for part in parts)


def _below_myriad(number: str) -> str:
    if not set(number) & set(TENS):
        return "".join(str(NUMERALS[numeral]) for numeral in number)
    total, numeral, least = 0, None, 10_000
    for character in number:
        if character in TENS:
            if TENS[character] >= least:
                return number
            least = TENS[character]
            total += least * (1 if numeral is None else numeral)
            numeral = None
        elif numeral is None:
            numeral = NUMERALS[character]
        else:
            return number
    return str(total + (numeral or 0))


# --- the dictionary ----------------------------------------------------------------------------------


def analysed(text: str) -> list[Morpheme]:
    found = [(one, one.part_of_speech()) for one in tokenizer().tokenize(text)]
    return [Morpheme(one.surface(), (kind[0], kind[1]), one.dictionary_form(), kind[5]) for one, kind in found]
