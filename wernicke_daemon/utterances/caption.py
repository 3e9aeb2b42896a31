"""What a client is shown of an utterance before its final. Pure; times are passed in.

    phrases recognised so far (settled) + the open phrase as last heard (live) = the text shown

Some of its first characters are *stable*: their phrase has been recognised. What was shown as stable stays as it is
until the final, even where a later recognition words it otherwise. What live passes agree on is not stable: of what two
of them agreed on the final changed 7 %, of five 2.7 %, of recognised phrases 0.5 % (docs/performance.md).
"""

import msgspec
from msgspec.structs import replace
from rapidfuzz.distance import Levenshtein

from wernicke_daemon.utterances.joining import joined
from wernicke_daemon.utterances.sentences import same_words
from wernicke_daemon.wire.protocol import PartialStage, SegmentOut

SHOWN_EVERY_S = 0.5
"""At least so long between two partials of an utterance: a client that prints each of them is not flooded."""

LIVE_TAIL_S = 0.3
"""A live pass may reach so far beyond the end of its phrase, into the pause: `vad.phrase_pause_s` less
`vad.post_roll_s`, and a look at new audio."""

MOST_SHIFT = 12
"""Characters by which a later wording may be longer or shorter than the stable text that it stands for."""


class Shown(msgspec.Struct, frozen=True):
    """One state of the text."""

    stage: PartialStage  # how far the work on it is
    text: str  # as it is shown
    stable_chars: int  # at its beginning, that stay until the final
    segments: tuple[SegmentOut, ...]  # empty for live text
    start: float  # in seconds of the session's audio
    end: float  # the same


class Caption:
    """What the client of an utterance is shown of it."""

    def __init__(self, language: str = "auto") -> None:
        self.language = language  # of the text, as far as it is known
        self._settled = ""  # text of the recognised phrases; begins with what is stable
        self._live = ""  # text of the open phrase by the last live pass
        self._heard = ""  # the whole text with it, as it was heard
        self._live_end = 0.0  # seconds of the session's audio up to which that pass heard
        self._stable = ""  # the longest stable text so far
        self._now: Shown | None = None  # the state that is to be shown
        self._said: Shown | None = None  # what was shown last
        self._shown_at = 0.0  # when that was
        self.revision = 0  # partials shown so far
        self.first_shown: float | None = None  # seconds, of the clock passed in
        self.last_shown: float | None = None  # the same
        self.live_ms = 0.0  # work of the live passes that it is made of

    def agrees(self, text: str) -> bool:
        """Whether the last live pass heard the same words."""
        return same_words(self._heard, text)

    def heard(self, text: str, start: float, end: float) -> None:
        """A live pass over the open phrase. Nothing of it is stable, however many passes agree."""
        self._live, self._live_end = text, end
        self._heard = self._join(self._settled, text)
        self._now = Shown("live", self._whole(self._heard), len(self._stable), (), start, end)

    def recognised(self, known: Shown, language: str) -> bool:
        """All from the utterance's beginning to the end of `known` has been recognised. False where more than that has
        been heard live already: its text stays, and recognition of the next phrases will replace it."""
        if known.end + LIVE_TAIL_S < self._live_end:
            return False
        self.language = language
        self._live = ""
        self._settled = self._stable = self._whole(known.text)
        self._now = replace(known, text=self._settled, stable_chars=len(self._settled))
        return True

    def freeze(self) -> None:
        """What was heard live is not heard again: the next pass is over what follows it."""
        self._settled = self._whole(self._join(self._settled, self._live))
        self._live = ""

    def withdraw(self) -> None:
        """It turned out to be no utterance: what was shown is taken back, at once. Nothing comes after it."""
        self._stable = self._settled = self._live = ""
        self._now = Shown("withdrawn", "", 0, (), self._said.start, self._said.end) if self._said else None
        self._shown_at = -SHOWN_EVERY_S

    def take(self, now: float) -> Shown | None:
        """What is to be shown now; None where it is too soon, or says what was said before."""
        shown = self._now
        if shown is None or now - self._shown_at < SHOWN_EVERY_S:
            return None
        self._now = None
        if self._says_the_same(shown) or not (shown.text or shown.stage == "withdrawn"):
            return None
        self._said, self._shown_at, self.last_shown = shown, now, now
        self.first_shown = now if self.first_shown is None else self.first_shown
        self.revision += 1
        return shown

    def _says_the_same(self, shown: Shown) -> bool:
        """The words that were shown last, and no more of who said them."""
        said, speakers = self._said, _speakers(shown)
        return said is not None and said.text == shown.text and speakers in ([], _speakers(said))

    def _join(self, one: str, two: str) -> str:
        return joined((one, two), self.language)

    def _whole(self, text: str) -> str:
        """`text` with the stable text, as it was shown, in place of its own wording of that."""
        stable = self._stable
        if text.startswith(stable):
            return text
        around = range(max(0, len(stable) - MOST_SHIFT), min(len(text), len(stable) + MOST_SHIFT) + 1)
        end = min(around, key=lambda end: (Levenshtein.distance(stable, text[:end]), abs(end - len(stable))), default=0)
        return stable + text[end:]


def _speakers(shown: Shown) -> list[str]:
    return [segment.speaker for segment in shown.segments if segment.speaker]
