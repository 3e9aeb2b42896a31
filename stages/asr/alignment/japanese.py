"""Where Japanese words begin and end: SudachiPy's morphemes, endings with what they end.

Sudachi's longest units (mode C) keep names and compounds in one piece, as far as its dictionary has them. Of 行きました
it still makes 行き, まし and た, none of which a reader would call a word. So auxiliaries, suffixes and the て of the
te-form stay with the word before. Particles such as は and を are words of their own.
"""

from functools import cache
from itertools import pairwise
from typing import Any

from stages.asr.alignment.units import Unit

ENDINGS = {"助動詞", "接尾辞"}
"""Parts of speech (UniDic's): auxiliaries (ます, た, です) and suffixes (さん)."""
TE_FORM = {"て", "で"}
CONJUNCTIVE = "接続助詞"
"""The particles て and で after verbs are this, and so are が and から after sentences."""


def units(text: str) -> list[Unit]:
    """Morphemes, in order; joined they are the text."""
    morphemes = list(tokenizer().tokenize(text))
    starts = [morpheme.begin() for morpheme in morphemes]
    texts = [text[start:end] for start, end in pairwise([*starts, len(text)])]
    return [
        Unit(surface, is_ending(morpheme.part_of_speech(), surface))
        for morpheme, surface in zip(morphemes, texts, strict=True)
    ]


def is_ending(part_of_speech: tuple[str, ...], surface: str) -> bool:
    return part_of_speech[0] in ENDINGS or (part_of_speech[1] == CONJUNCTIVE and surface in TE_FORM)


@cache
def tokenizer() -> Any:
    """SudachiPy's. Half a second the first time: the dictionary is read."""
    from sudachipy import Dictionary, SplitMode

    return Dictionary(dict="small").tokenizer(mode=SplitMode.C)
