"""Whether a recognised text is plainly a finished sentence. Pure."""

import re

_PUNCTUATION = "。．.!！?？…、,， 　」』\"'"

_JAPANESE_END = re.compile(
    r"(です|ます|でした|ました|ません|でしょう|ましょう|ください|下さい|ございます|だった|である|だと思う|と思う)(か|ね|よ|よね|かね|わ)?$"
)
"""Predicates in the forms that end a sentence, with the particles that may follow them. Plain forms end clauses as
often as sentences, and are left out."""

_JAPANESE_GOES_ON = re.compile(r"(が|けど|けれど|けれども|ので|から|て|で|し|と|たら|れば|のに)$")

_OTHER_END = re.compile(r"[.!?…]$")


def finished(text: str, language: str) -> bool:
    """In Japanese by its last words, whatever punctuation the recogniser gave it; in other languages by that."""
    bare = text.rstrip(_PUNCTUATION)
    if language == "ja":
        return bool(_JAPANESE_END.search(bare)) and not _JAPANESE_GOES_ON.search(bare)
    return bool(bare) and bool(_OTHER_END.search(text.rstrip()))


def same_words(one: str, two: str) -> bool:
    """But for punctuation, blanks and case."""
    return _words(one) == _words(two)


def _words(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())
