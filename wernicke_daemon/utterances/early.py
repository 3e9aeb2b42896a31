"""What is worked on of an utterance before it is certain that it has ended. Pure; times are passed in.

speech ──▶ live passes over what is not recognised yet, one at a time
pause  ──▶ early work on all so far, as if it were final ──the silence lasts──▶ it is the final's
               └──speech goes on──▶ dropped; but a phrase that would take too long to recognise again is kept
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from ipc.audio_handle import SAMPLE_RATE
from ipc.messages import OpenSpeech

SHORTEST_KEPT = SAMPLE_RATE
"""Samples: a shorter phrase is recognised again together with the next one, as Whisper does poorly on it alone."""

FIRST_LIVE = round(0.8 * SAMPLE_RATE)
"""Samples of an utterance (pre-roll included) that the first live pass needs: less is a syllable."""

LAST_LIVE = SAMPLE_RATE
"""Samples before an utterance is cut for its length in which no pass begins: it would hold up its recognition."""

QUIET = round(0.1 * SAMPLE_RATE)
"""Samples of silence from which no live pass begins: it may be a pause, whose early work would wait for the pass."""

FREEZE_LIVE = 0.7
"""Of the longest live pass there may be: from there on its text is not heard again, the next pass begins after it."""

LIVE_EVERY_S = 1.0
LIVE_SHARE = 2.0
"""Live passes begin at least LIVE_EVERY_S apart, and at least LIVE_SHARE times as long as the last one took. With 0.7 s
the whole daemon took 1.94 and 2.13 times the processor of one without text while one speaks (docs/performance.md)."""


class Stretch(NamedTuple):
    """Samples [start, end) of the session."""

    start: int
    end: int


@dataclass
class EarlyWork:
    """Of one open utterance. start: its first sample. kept: phrases recognised once for good, in order.
    tail_start: where the rest begins. worked_on: the rest that is being (or has been) recognised early, None for none.
    """

    start: int
    kept: list[Stretch] = field(default_factory=list)
    tail_start: int = 0
    worked_on: Stretch | None = None

    def __post_init__(self) -> None:
        self.tail_start = self.tail_start or self.start

    def speech_goes_on(self, speech: OpenSpeech, keeps: Callable[[Stretch], bool]) -> "Resumed | None":
        """What becomes of the early work of the last pause, None while it still fits. keeps: whether a stretch is to
        be recognised once only."""
        worked_on = self.worked_on
        if worked_on is None or (speech.paused and speech.end == worked_on.end):
            return None
        self.worked_on = None
        goes_on = speech.phrase_start >= worked_on.end  # else more silence has come in, and the range has grown
        kept = goes_on and worked_on.end - worked_on.start >= SHORTEST_KEPT and keeps(worked_on)
        if kept:
            self.kept.append(worked_on)
            self.tail_start = speech.phrase_start
        return Resumed(worked_on, kept)

    def wanted(self, speech: OpenSpeech, in_time: Callable[[Stretch], bool]) -> Stretch | None:
        """What is to be recognised now, and is not yet; `kept` may be one less after it. in_time: whether there is time
        for so much."""
        if not speech.paused or self.worked_on is not None or not in_time(Stretch(self.tail_start, speech.end)):
            return None
        short = speech.end - self.tail_start < SHORTEST_KEPT
        if short and self.kept and in_time(Stretch(self.kept[-1].start, speech.end)):
            self.tail_start = self.kept.pop().start  # it is recognised with the phrase before it
        self.worked_on = Stretch(self.tail_start, speech.end)
        return self.worked_on


class Resumed(NamedTuple):
    """worked_on: the early work whose pause is over. kept: its text is used."""

    worked_on: Stretch
    kept: bool


@dataclass
class LivePasses:
    """Of one open utterance. shown_to: sample up to which its text has been recognised, or is not heard again.
    heard_to: sample up to which the last pass heard. phrase_end: of the last phrase that has ended."""

    shown_to: int
    heard_to: int = 0
    phrase_end: int = 0

    def heard(self, stretch: Stretch) -> None:
        """A pass is over. Where it followed on the one before, that one's text stays."""
        if stretch.start >= self.heard_to:
            self.shown_to = max(self.shown_to, self.heard_to)
        self.heard_to = stretch.end

    def wanted(self, speech: OpenSpeech, heard_to: int, longest: int) -> Stretch | None:
        """The next pass, over all up to `heard_to` that is not recognised, or the first `longest` samples of that; None
        where there is too little, or silence, which early work may be for, or the end is near."""
        if speech.paused:
            self.phrase_end = speech.end
            return None
        start = speech.phrase_start if self.shown_to >= self.phrase_end else self.shown_to
        if start + longest < self.heard_to:  # passes have to be shorter by now: what was heard is left as it is
            start = self.heard_to
        end = min(heard_to, start + longest)
        too_soon, too_late = heard_to - speech.start < FIRST_LIVE, heard_to > speech.full_at - LAST_LIVE
        quiet = speech.silence > QUIET
        return None if too_soon or too_late or quiet or end <= start else Stretch(start, end)


@dataclass
class LivePace:
    """When a session's next live pass may begin. Seconds of the clock that is passed in."""

    began: float = 0.0
    next: float = 0.0
    under_way: bool = False

    def due(self, now: float) -> bool:
        return not self.under_way and now >= self.next

    def begin(self, now: float) -> None:
        self.began, self.under_way = now, True

    def end(self, now: float) -> None:
        self.under_way = False
        self.next = self.began + max(LIVE_EVERY_S, LIVE_SHARE * (now - self.began))
