"""Which changes of voice between recognised words are believed, and where exactly they lie. Pure.

Diarization and word times are each a few tenths of a second off, so that single words get the wrong voice where voices
change, and a transcript chopped up by wrong names is worse than one without names. So:

- A run of words of another voice inside a segment counts from ENOUGH_S or ENOUGH_WORDS on.
- A backchannel counts where it stands alone, whatever its length, and never while the voice around it goes on speaking.
- A change lies at the nearest pause or punctuation, if there is one within SHIFT_S.

What does not count goes to the voice beside it. A segment of one voice is that voice's, however short: the recogniser
heard a pause or a new sentence there, too.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ipc.messages import DiarizationResult, Word
from wernicke_daemon.utterances.backchannels import is_backchannel

ENOUGH_S = 0.7
ENOUGH_WORDS = 3
LETTERS_PER_WORD = 2
"""In scripts without blanks recognisers give letters or parts of words, and a tokenizer's dictionary would be too much
for the front. Words of running Japanese and Chinese have about two letters."""

SHIFT_S = 0.4
"""How far a change is moved: what words' times and diarization's are off by at most, together."""

PAUSE_S = 0.2
"""Silence from which it is a pause: shorter ones are mostly closures within words (Campione & Véronis, "A large-scale
multilingual study of silent pause duration", 2002)."""

_WITHOUT_BLANKS = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff]"
)
"""Letters of scripts without blanks: kana, Han, Thai, Lao, Tibetan, Burmese, Khmer."""

_PUNCTUATION = re.compile(r"[。．.!！?？…、，,;；:：।؟][\"'」』”’)）]*$")


@dataclass(frozen=True)
class Run:
    """Words from `first` on, before `end`, of one voice."""

    voice: int
    first: int
    end: int


class Changes:
    """Of one utterance. words: all of it, in order. begins: where among them segments begin, the first word's 0
    included. voices: of each of diarization's pieces."""

    def __init__(
        self,
        words: Sequence[Word],
        begins: Sequence[int],
        found: DiarizationResult,
        voices: Sequence[int],
        language: str,
    ) -> None:
        self._words = words
        self._begins = frozenset(begins)
        self._segments = list(pairwise([*begins, len(words)]))
        self._spoken = [(turn.start, turn.end, voices[turn.piece]) for turn in found.turns]
        self._pieces = [(piece.start, piece.end, voice) for piece, voice in zip(found.pieces, voices, strict=True)]
        self._language = language
        self._counting: dict[Run, bool] = {}  # what `_counts` has said

    def believed(self, heard: Sequence[int]) -> list[int]:
        """The voice of each word. heard: the same by diarization alone."""
        runs = _runs(heard)
        while doubtful := [run for run in runs if not self._counts(run)]:
            run = min(doubtful, key=self._seconds)
            runs = _runs([self._beside(run, runs) if each is run else each.voice for each in runs for _ in _span(each)])
        return [run.voice for run in self._moved(runs) for _ in _span(run)]

    # --- which ---

    def _counts(self, run: Run) -> bool:
        if run not in self._counting:
            self._counting[run] = self._is_change(run)
        return self._counting[run]

    def _is_change(self, run: Run) -> bool:
        if any(run.first <= first and end <= run.end for first, end in self._segments):
            return True
        text = "".join(word.text for word in self._words[run.first : run.end])
        enough = self._seconds(run) >= ENOUGH_S or _count_words(text) >= ENOUGH_WORDS
        if not is_backchannel(text, self._language):
            return enough
        return self._is_alone(run) or (enough and not self._is_spoken_over(run))

    def _seconds(self, run: Run) -> float:
        return self._words[run.end - 1].end - self._words[run.first].start

    def _is_alone(self, run: Run) -> bool:
        """There is a pause between its turns and those of others, before and after."""
        start, end = self._words[run.first].start, self._words[run.end - 1].end
        own = [turn for turn in self._spoken if turn[2] == run.voice and turn[0] < end and start < turn[1]]
        if not own:
            return False
        begin, stop = own[0][0] - PAUSE_S, own[-1][1] + PAUSE_S
        return not any(voice != run.voice and a < stop and begin < b for a, b, voice in self._spoken)

    def _is_spoken_over(self, run: Run) -> bool:
        """Another voice speaks during most of it."""
        start, end = self._words[run.first].start, self._words[run.end - 1].end
        others = {voice for _, _, voice in self._pieces} - {run.voice}
        shared = (
            sum(max(0.0, min(end, b) - max(start, a)) for a, b, v in self._pieces if v == other) for other in others
        )
        return max(shared, default=0.0) > (end - start) / 2

    def _beside(self, run: Run, runs: Sequence[Run]) -> int:
        """The voice of the run before or after in the same segment: that with the shorter pause between, or of those
        alike the longer one."""
        at = runs.index(run)
        sides: list[tuple[float, float, int]] = []
        if run.first not in self._begins:
            sides.append((self._pause(run.first), -self._seconds(runs[at - 1]), runs[at - 1].voice))
        if run.end < len(self._words) and run.end not in self._begins:
            sides.append((self._pause(run.end), -self._seconds(runs[at + 1]), runs[at + 1].voice))
        return min(sides)[2]

    # --- where ---

    def _moved(self, runs: list[Run]) -> Iterator[Run]:
        """runs: that count."""
        rest, *others = runs
        for run in others:
            cut = self._cut(rest.first, run.first, run.end, (rest.voice, run.voice))
            yield Run(rest.voice, rest.first, cut)
            rest = Run(run.voice, cut, run.end)
        yield rest

    def _cut(self, first: int, at: int, end: int, voices: tuple[int, int]) -> int:
        """Where the change within the words from `first` on, before `end`, lies, if it was found before `at`. What is
        left on either side counts."""
        change = self._words[at].start
        places = [
            place
            for place in range(first + 1, end)
            if abs(self._words[place].start - change) <= SHIFT_S
            and self._is_pause(place)
            and self._counts(Run(voices[0], first, place))
            and self._counts(Run(voices[1], place, end))
        ]
        return min(places, key=lambda place: abs(self._words[place].start - change), default=at)

    def _is_pause(self, place: int) -> bool:
        """Before that word."""
        marked = _PUNCTUATION.search(self._words[place - 1].text.rstrip()) is not None
        return place in self._begins or marked or self._pause(place) >= PAUSE_S

    def _pause(self, place: int) -> float:
        """Seconds before that word."""
        return max(0.0, self._words[place].start - self._words[place - 1].end)


def _runs(voices: Sequence[int]) -> list[Run]:
    changes = [at for at in range(1, len(voices)) if voices[at] != voices[at - 1]]
    return [Run(voices[first], first, end) for first, end in pairwise([0, *changes, len(voices)])]


def _span(run: Run) -> range:
    return range(run.first, run.end)


def _count_words(text: str) -> int:
    letters = len(_WITHOUT_BLANKS.findall(text))
    return len(re.findall(r"[\w']+", _WITHOUT_BLANKS.sub(" ", text))) + math.ceil(letters / LETTERS_PER_WORD)
