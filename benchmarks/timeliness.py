"""When a client was shown what: from a talk and what was heard back, to times. Pure.

All times are of the client's clock, which paces the audio, so that whatever the daemon adds is in them: frames
that wait for their end, ticks, voice detection.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.conversation import Heard, Span, Talk
from ipc.settings import VadSettings
from wernicke_daemon.client import ParsedMessage

AS_GOOD_AS_ALL_S = 0.05
"""Of a phrase's end that a text need not have heard to cover it: less than any speech sound that tells words apart."""


@dataclass(frozen=True)
class Timed:
    """One utterance. range: of its audio, seconds. trigger: what ended it. spoken_end: end of its last speech.
    trigger_at: when the silence after that was long enough. final_at: when the final came. after_boundary_s: from
    the end being found to its result, by the daemon's own account. first_text_s: from its first
    speech to its first text. phrases: what became of each of its phrases that has ended."""

    range: Span
    trigger: str
    spoken_end: float
    trigger_at: float
    final_at: float
    after_boundary_s: float
    first_text_s: float
    phrases: tuple["TimedPhrase", ...]

    @property
    def audio_s(self) -> float:
        return self.range[1] - self.range[0]

    @property
    def after_trigger_s(self) -> float:
        return self.final_at - self.trigger_at


@dataclass(frozen=True)
class TimedPhrase:
    """audio_s: of the utterance up to its end. text_s: from when the pause after it was long enough to text that covers
    it."""

    audio_s: float
    text_s: float


def timed(talk: Talk, heard: Sequence[Heard], vad: VadSettings) -> list[Timed]:
    """All utterances that silence or their length ended, in order."""
    finals = [each for each in heard if each.message["type"] == "final" and each.message["trigger"] != "stop"]
    return [_timed(talk, final, heard, vad) for final in finals]


def _timed(talk: Talk, final: Heard, heard: Sequence[Heard], vad: VadSettings) -> Timed:
    start, end = _range(final.message)
    spoken_end = end - vad.post_roll_s
    texts = [each for each in heard if _is_text_of(each.message, final.message["sequence"])]
    return Timed(
        (start, end),
        final.message["trigger"],
        spoken_end,
        spoken_end + vad.silence_s,
        final.at,
        final.message["latency_ms"] / 1000,
        texts[0].at - _first_speech(talk, start, end),
        tuple(_timed_phrases(talk, (start, end), texts, vad)),
    )


def _range(message: ParsedMessage) -> Span:
    return message["timestamp_range"]["start"], message["timestamp_range"]["end"]


def _is_text_of(message: ParsedMessage, sequence: int) -> bool:
    return message["type"] in ("partial", "final") and message["sequence"] == sequence and bool(message["text"])


def _first_speech(talk: Talk, start: float, end: float) -> float:
    return next((max(start, phrase[0]) for phrase in talk.phrases if phrase[1] > start), end)


def _timed_phrases(talk: Talk, range_: Span, texts: Sequence[Heard], vad: VadSettings) -> Iterator[TimedPhrase]:
    start, end = range_
    for phrase in phrases(talk.phrases, vad.phrase_pause_s):
        if start < phrase[1] <= end:
            shown = next(each.at for each in texts if _covers(each.message, phrase[1], end))
            yield TimedPhrase(phrase[1] - start, shown - phrase[1] - vad.phrase_pause_s)


def _covers(message: ParsedMessage, phrase_end: float, end: float) -> bool:
    return float(_range(message)[1]) >= min(phrase_end - AS_GOOD_AS_ALL_S, end)


def phrases(spoken: Iterable[Span], pause_s: float) -> list[Span]:
    """Speech between pauses of at least `pause_s`."""
    joined: list[Span] = []
    for start, end in spoken:
        if joined and start - joined[-1][1] < pause_s:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def serial(utterances: Sequence[Timed], work_s: Callable[[float], float]) -> list[float]:
    """Seconds from trigger to final where all stages do one utterance after the other, and nothing else takes any time.
    work_s: of all stages on an utterance of so many seconds."""
    free_at, found = 0.0, []
    for each in utterances:
        free_at = max(free_at, each.trigger_at) + work_s(each.audio_s)
        found.append(free_at - each.trigger_at)
    return found


def percentiles(values: Sequence[float], scale: float = 1.0) -> dict[str, float]:
    """p50 and p95 of values in seconds, times `scale`."""
    p50, p95 = np.percentile(values, (50, 95)) * scale
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3)}
