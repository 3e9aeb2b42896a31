"""What the user wants written for what was heard, in a recogniser's result. Pure."""

import re
from collections.abc import Sequence
from functools import lru_cache

from msgspec.structs import replace

from ipc.messages import AsrResult, Segment, Word

Rules = tuple[tuple[str, str], ...]
"""What is heard, and what is written for it."""


def replaced(result: AsrResult, rules: Rules) -> AsrResult:
    """With the rules applied to texts and words alike. A rule of Latin letters or digits is for whole words, in upper
    and lower case; of two that begin in one place the longer is applied."""
    if not rules:
        return result
    return replace(result, segments=tuple(_segment(segment, rules) for segment in result.segments))


def _segment(segment: Segment, rules: Rules) -> Segment:
    text = _pattern(rules).sub(lambda found: _written(found, rules), segment.text)
    return segment if text == segment.text else replace(segment, text=text, words=tuple(_words(segment.words, rules)))


def _words(words: Sequence[Word], rules: Rules) -> list[Word]:
    """Words that a heard stretch lies in become one word, from the first's start to the last's end."""
    found = list(words)
    whole = "".join(word.text for word in words)
    for match in reversed(list(_pattern(rules).finditer(whole))):
        first, last = _at(words, match.start()), _at(words, match.end() - 1)
        before = match.start() - sum(len(word.text) for word in words[:first])
        inside = "".join(word.text for word in found[first : last + 1])
        text = inside[:before] + _written(match, rules) + inside[before + match.end() - match.start() :]
        score = min(word.score for word in found[first : last + 1])
        found[first : last + 1] = [replace(found[first], end=found[last].end, text=text, score=score)]
    return found


def _at(words: Sequence[Word], position: int) -> int:
    """Which word the character of the joined words is in."""
    for number, word in enumerate(words):
        position -= len(word.text)
        if position < 0:
            return number
    raise IndexError(position)


def _written(found: re.Match[str], rules: Rules) -> str:
    assert found.lastindex is not None
    return _longest_first(rules)[found.lastindex - 1][1]


def _longest_first(rules: Rules) -> list[tuple[str, str]]:
    return sorted(rules, key=lambda rule: -len(rule[0]))


@lru_cache(maxsize=4)
def _pattern(rules: Rules) -> re.Pattern[str]:
    return re.compile("|".join(f"({_whole(heard)})" for heard, _ in _longest_first(rules)), re.IGNORECASE)


def _whole(heard: str) -> str:
    before, after = (r"(?<![A-Za-z0-9])" if _latin(heard[0]) else ""), (r"(?![A-Za-z0-9])" if _latin(heard[-1]) else "")
    return f"{before}{re.escape(heard)}{after}"


def _latin(character: str) -> bool:
    return character.isascii() and character.isalnum()
