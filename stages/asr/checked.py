"""A recogniser's result held against what is known of the utterance's speech: what nobody said is left out, what was
said and has no words is heard again, and no word lies where nobody speaks. Pure but for the hearing.
"""

from collections.abc import Callable, Sequence

import structlog
from msgspec.structs import replace
from rapidfuzz.fuzz import ratio

from ipc.messages import AsrResult, AsrWork, LeftOut, Segment
from stages.asr.phantoms import Phantoms, letters
from stages.asr.speech import inserted, later, part_of, within_speech, without_words

SPEECH_WITHOUT_TEXT = "SPEECH_WITHOUT_TEXT"
NOTEWORTHY_S = 1.0
"""Seconds of speech without words from which a result says so: less is a breath or a cough as often as a word."""
AGAIN_AT_MOST = 5
"""Stretches of one utterance that are heard again, the longest: where there are more of them, they are no words."""
WHOLE = 0.8
"""Share of the audio from which hearing a stretch of it again is hearing it all again."""
SAME = 80.0
"""Of rapidfuzz's ratio, 0 to 100: what is heard again as good as says what the words beside it say, and ..."""
SAME_LETTERS = 4
"""... is no はい or うん, which are said twice."""

Hear = Callable[[AsrWork], AsrResult]

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def checked(work: AsrWork, hear: Hear, phantoms: Phantoms) -> AsrResult:
    """What `hear` makes of the work, checked. hear: also asked for parts of its audio."""
    found = hear(work)
    kept, left_out = sifted(found.segments, work, phantoms)
    segments = within_speech(kept, work.speech)
    if work.kind != "live" and work.speech:
        segments, again = _with_more(work, segments, found.language, hear, phantoms)
        left_out += again
    lacking = 0.0 if work.kind == "live" else _lacking_s(work, segments)
    if left_out or lacking >= NOTEWORTHY_S:
        log.info("text_checked", audio_s=round(work.audio.seconds, 1), left_out=left_out, without_text_s=lacking)
    warnings = (*found.warnings, *([SPEECH_WITHOUT_TEXT] if lacking >= NOTEWORTHY_S else ()))
    return replace(found, segments=segments, warnings=warnings, left_out=tuple(left_out), without_text_s=lacking)


def sifted(segments: Sequence[Segment], work: AsrWork, phantoms: Phantoms) -> tuple[list[Segment], list[LeftOut]]:
    """What somebody may have said, and why the rest is left out."""
    verdicts = phantoms.verdicts(segments, work.speech)
    kept = [segment for segment, why in zip(segments, verdicts, strict=True) if why is None]
    return kept, [why for why in verdicts if why is not None]


def _with_more(
    work: AsrWork, segments: tuple[Segment, ...], language: str, hear: Hear, phantoms: Phantoms
) -> tuple[tuple[Segment, ...], list[LeftOut]]:
    """The segments and what is heard where words are lacking. From the end, so that numbers of words stay true."""
    audio_s = work.audio.seconds
    lacking = [one for one in without_words(segments, work.speech, audio_s) if one.last - one.first < WHOLE * audio_s]
    longest = sorted(lacking, key=lambda stretch: -stretch.speech_s)[:AGAIN_AT_MOST]
    left_out: list[LeftOut] = []
    for stretch in sorted(longest, key=lambda stretch: -stretch.start):
        part = part_of(work, stretch.first, stretch.last, language)
        kept, why = sifted(hear(part).segments, part, phantoms)
        beside = _beside(segments, stretch.after)
        more = [one for one in within_speech(kept, part.speech) if stretch.apart or not _says_the_same(one, beside)]
        left_out += why
        left_out += ["said_before"] * (len(kept) - len(more))
        segments = inserted(segments, stretch.after, [later(segment, stretch.first) for segment in more])
    return segments, left_out


def _beside(segments: Sequence[Segment], after: int) -> tuple[str, str]:
    """The letters before and after so many words."""
    words = [word.text for segment in segments for word in segment.words or (segment,)]
    return letters("".join(words[:after])), letters("".join(words[after:]))


def _says_the_same(segment: Segment, beside: tuple[str, str]) -> bool:
    """As the end of what is before it, or the beginning of what follows: its words were heard, and timed wrongly."""
    text = letters(segment.text)
    near = (beside[0][-len(text) :], beside[1][: len(text)])
    return len(text) >= SAME_LETTERS and any(ratio(text, words) >= SAME for words in near)


def _lacking_s(work: AsrWork, segments: Sequence[Segment]) -> float:
    """Seconds of speech that should have words and have none."""
    return round(sum(one.speech_s for one in without_words(segments, work.speech, work.audio.seconds)), 2)
