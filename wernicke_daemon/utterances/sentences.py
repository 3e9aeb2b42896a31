"""Whether a recognised text is plainly a finished sentence, or plainly none. Pure."""

import re
from collections.abc import Iterable

_PUNCTUATION = "。．.!！?？…、,， 　」』\"'"

_JAPANESE_END = re.compile(
    r"(です|ます|でした|ました|ません|でしょう|ましょう|ください|下さい|ございます|だった|である|だと思う|と思う)(か|ね|よ|よね|かね|わ)?$"
)
"""Predicates in the forms that end a sentence, with the particles that may follow them. Plain forms end clauses as
often as sentences, and are left out."""

_JAPANESE_GOES_ON = re.compile(r"(が|けど|けれど|けれども|ので|から|て|で|し|と|たら|れば|のに)$")

_JAPANESE_UNFINISHED = re.compile(r"([はをにへも、,，]|えっと|えーと|あの|その)$")
"""Besides: particles that end no sentence, and fillers."""

_OTHER_END = re.compile(r"[.!?…]$")

_END_MARK = re.compile(r"[。．.!！?？…।؟][\"'」』”’)）]*$")


def finished(text: str, language: str) -> bool:
    """In Japanese by its last words, whatever punctuation the recogniser gave it; in other languages by that."""
    bare = text.rstrip(_PUNCTUATION)
    if language == "ja":
        return bool(_JAPANESE_END.search(bare)) and not _JAPANESE_GOES_ON.search(bare)
    return bool(bare) and bool(_OTHER_END.search(text.rstrip()))


def is_punctuated(texts: Iterable[str]) -> bool:
    """Whether the recogniser marks the ends of sentences: some have no punctuation at all."""
    return any(_END_MARK.search(text.rstrip()) for text in texts)


def goes_on(text: str, language: str, punctuated: bool) -> bool:
    """Whether it plainly ends within a sentence: in Japanese by its last words; in other languages where it has no mark
    of an end and the recogniser sets such marks."""
    bare = text.rstrip()
    if _END_MARK.search(bare):
        return False
    if language == "ja":
        return bool(_JAPANESE_UNFINISHED.search(bare) or _JAPANESE_GOES_ON.search(bare.rstrip(_PUNCTUATION)))
    return punctuated and bool(bare)


def same_words(one: str, two: str) -> bool:
    """But for punctuation, blanks and case."""
    return _words(one) == _words(two)


def _words(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())
