"""A second look at what must not be wrong: numbers and negations. Pure but for the dictionary and the hearing.

Whisper writes 100日 for 120名, and しています for していません, as surely as what is right. Heard by itself, a segment
often gives another text: where the two differ in a number or a negation, both are told, and neither is chosen.
"""

import re
import unicodedata
from collections.abc import Callable
from itertools import islice

from msgspec.structs import replace

from ipc.messages import About, AsrResult, AsrWork, Doubt, Segment
from stages.asr.speech import AROUND_S, part_of
from stages.asr.written import analysed, digits

LOOKS_AT_MOST = 6
"""In one utterance, from its beginning: each is another recognition of that segment."""
UNSURE = -0.7
"""Mean log probability of a text's tokens (a probability of 0.5 each), below which it is looked at whatever it says."""

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
NOT_JAPANESE = frozenset({"ない", "無い", "ぬ", "ず", "ん"})
NOT = re.compile(r"\b(?:not|no|never|none|nobody|nothing|without|cannot|\w+n[’']t)\b")


def with_doubts(work: AsrWork, result: AsrResult, hear: Callable[[AsrWork], AsrResult]) -> AsrResult:
    """The result, with what a second look at some of its segments says otherwise. hear: also asked for parts of the
    work's audio. Nothing is looked at where the segment is all there is: it would be heard as before."""
    segments = result.segments
    if len(segments) < 2:
        return result
    looks = (place for place, segment in enumerate(segments) if worth_a_look(segment, result.language))
    doubts = (_doubt(work, result, place, hear) for place in islice(looks, LOOKS_AT_MOST))
    return replace(result, doubtful=tuple(doubt for doubt in doubts if doubt is not None))


def worth_a_look(segment: Segment, language: str) -> bool:
    text = segment.text
    return bool(numbers(text, language) or negations(text, language)) or segment.log_prob < UNSURE


def _doubt(work: AsrWork, result: AsrResult, place: int, hear: Callable[[AsrWork], AsrResult]) -> Doubt | None:
    segment = result.segments[place]
    before = result.segments[place - 1].end if place else 0.0
    after = result.segments[place + 1].start if place + 1 < len(result.segments) else work.audio.seconds
    first, last = max(before, segment.start - AROUND_S), min(after, segment.end + AROUND_S)
    if last <= first:
        return None
    heard = hear(part_of(work, first, last, result.language))
    other = "".join(one.text for one in heard.segments)
    about = differ(segment.text, other, result.language) if other else None
    return None if about is None else Doubt(segment.start, segment.end, about, segment.text, other)


def numbers(text: str, language: str) -> list[str]:
    """In order, as digits."""
    plain = unicodedata.normalize("NFKC", digits(text) if language == "ja" else text)
    return [found.replace(",", "") for found in NUMBER.findall(plain)]


def negations(text: str, language: str) -> int:
    if language != "ja":
        return len(NOT.findall(text.casefold()))
    return sum(one.lemma in NOT_JAPANESE and one.kind[0] in ("助動詞", "形容詞") for one in analysed(text))


def differ(one: str, two: str, language: str) -> About | None:
    if numbers(one, language) != numbers(two, language):
        return "number"
    return "negation" if negations(one, language) != negations(two, language) else None
