"""Roughly how a text sounds, across spellings: its consonants, without a dictionary of readings; no I/O.

A foreign word in kana keeps its consonants and little else: vowels are put in (スラック), drawn out or lost, l and r
are one. So Kubernetes and クーバネティス differ in one consonant, and in most from ありがとう. Letters that are spelled
alike and said in several ways (c, g, ch) are taken for one of these: `alike` has room for that.
"""

import re
import unicodedata

from rapidfuzz.distance import Levenshtein

TOLERANCE = 1 / 3
"""Share of the consonants of the longer text that may be others. Chosen on the examples of tests/unit/test_guard.py,
not on a corpus."""

_DIGRAPHS = (("ph", "h"), ("wh", ""), ("sh", "s"), ("ch", "t"), ("th", "t"), ("ck", "k"), ("x", "ks"))
_DOUBLED = re.compile(r"([a-z])\1")
_SILENT_H = re.compile(r"(?<=[bdgkr])h")
_SOFT = re.compile(r"c(?=[eiy])")
_CLASSES = str.maketrans("bvfqgcdjzlm", "pphkkktssrn", "aeiouwy")
"""Voiced and voiceless are one, and so are b and v, l and r, m and n; vowels, w and y count for nothing."""
_SOUND = re.compile(r"(?:LETTER|SYLLABLE) (?:SMALL )?([A-Z]+)(?: WITH .*)?$")
_SILENT = ("SOUND MARK", "SMALL TU")
"""In names of characters: of ー, and of ッ, which doubles the consonant after it."""


def consonants(text: str) -> str | None:
    """One letter for each, "" where there is none. None where a letter's sound is not known, as of kanji.

    text: in NFKC and case-folded. Kana, Hangul, Cyrillic and Greek sound as Unicode names them.
    """
    latin = [_latin(character) for character in text if character.isalnum()]
    return None if None in latin else _classes("".join(filter(None, latin)))


def alike(one: str, other: str) -> bool:
    """Of two results of `consonants`."""
    most = int(TOLERANCE * max(len(one), len(other)))
    return Levenshtein.distance(one, other, score_cutoff=most) <= most


def _latin(character: str) -> str | None:
    if character.isascii():
        return character if character.isalpha() else ""
    name = unicodedata.name(character, "")
    if any(silent in name for silent in _SILENT):
        return ""
    found = _SOUND.search(name)
    return found[1].lower() if found else None


def _classes(letters: str) -> str:
    letters = _SILENT_H.sub("", _SOFT.sub("s", _DOUBLED.sub(r"\1", letters)))
    for spelled, said in _DIGRAPHS:
        letters = letters.replace(spelled, said)
    return letters.translate(_CLASSES)
