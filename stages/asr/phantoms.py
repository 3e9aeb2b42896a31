"""Which recognised segments nobody said. Pure but for the file of phrases, which is read once.

A model writes something for noise, breath and what is left of a pause; it is often sure of it. No one sign tells: so
what is impossible is left out (words where there is no speech, more letters than can be said, one word over and over),
and what is only typical of such text (the phrases of the file) counts where there is little evidence of speech.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from ipc.errors import EngineUnavailable
from ipc.messages import LeftOut, Segment
from ipc.settings import StageSettings
from stages.asr.speech import Speech, spoken_s

PACKAGED = Path(__file__).with_name("phantoms.txt")
UNSURE_S = 0.3
"""By which a recogniser's times are often wrong where speech begins and ends."""
FARTHEST_S = 1.0
"""From speech, at which a segment is none of it: a lone うん was timed 0.6 s late."""
LETTERS_PER_S = 20.0
"""More of them nobody says: fast Japanese is 10 morae a second, written with as many letters or fewer; fast English, at
300 words a minute, 25 letters with their blanks, of which 20 are letters."""
FEW_LETTERS = 10
"""Of so few the rate says nothing, as times are not so exact."""
SPARSE = 4.0
"""Letters a second of an utterance's speech, fewer of which are hardly any text for it. People say 6 to 10 in Japanese
as in English, 4 and more where pauses count as speech."""
REPEATED = re.compile(r"(.{1,12}?)\1{4,}")
"""One word or syllable five times and more. はいはいはい is said, and so is no, no, no, no."""
REPEATED_SHARE = 0.6
"""Of a segment's letters, from which it is nothing but that."""
LEAST_SPEECH = 0.5
"""Share of a segment's time that is speech, below which there is little evidence that it was said."""
BLANKS = re.compile(r"[\W_]+")


def letters(text: str) -> str:
    return BLANKS.sub("", unicodedata.normalize("NFKC", text).casefold())


class Phantoms:
    """What is left out of recognised text, and why."""

    def __init__(self, known: Iterable[str], settings: StageSettings) -> None:
        """known: phrases."""
        longest_first = sorted(filter(None, map(letters, known)), key=len, reverse=True)
        self._only_phrases = re.compile(f"(?:{'|'.join(map(re.escape, longest_first)) or '(?!)'})+")
        self._by_level = settings.vad.engine == "energy"  # speech is what is loud
        self._settings = settings.asr

    def verdicts(self, segments: Sequence[Segment], speech: Speech) -> list[LeftOut | None]:
        """Of all segments of an utterance: why nobody said that; None where somebody may have. speech: empty where that
        is not known."""
        said = sum(len(letters(segment.text)) for segment in segments)
        sparse = said < SPARSE * sum(end - start for start, end in speech)
        return [self._why_not(segment, speech, only_loud=self._by_level and sparse) for segment in segments]

    def _why_not(self, segment: Segment, speech: Speech, *, only_loud: bool) -> LeftOut | None:
        """only_loud: nothing but loudness says that there is speech, and most of what is loud has no text."""
        text = letters(segment.text)
        length = max(segment.end - segment.start, 1e-3)
        spoken = spoken_s(segment.start - UNSURE_S, segment.end + UNSURE_S, speech) if speech else length
        if speech and not spoken_s(segment.start - FARTHEST_S, segment.end + FARTHEST_S, speech):
            return "no_speech"
        if len(text) > max(FEW_LETTERS, LETTERS_PER_S * (spoken + UNSURE_S)):
            return "too_fast"
        if repeats(text) and self._weak(segment, spoken / length):
            return "repetition"
        doubted = only_loud or spoken < LEAST_SPEECH * length or self._silent(segment)
        if self._improbable(segment) and doubted:
            return "improbable"
        if self._only_phrases.fullmatch(text) and self._weak(segment, spoken / length):
            return "phantom"
        return None

    def _weak(self, segment: Segment, share: float) -> bool:
        """There is little evidence of speech. Whisper takes many a real word for silence (お疲れさまでした, heard by
        itself: 0.7): that counts where nothing but loudness says that it is none."""
        return share < LEAST_SPEECH or self._improbable(segment) or (self._by_level and self._silent(segment))

    def _improbable(self, segment: Segment) -> bool:
        return segment.log_prob < self._settings.log_prob_threshold

    def _silent(self, segment: Segment) -> bool:
        return segment.no_speech > self._settings.no_speech_threshold


def repeats(text: str) -> bool:
    """text: letters alone."""
    return any(len(found[0]) >= REPEATED_SHARE * len(text) for found in REPEATED.finditer(text))


def phrases(path: str) -> list[str]:
    """The phrases of a file, those of the package for "". Raises EngineUnavailable that names the file."""
    try:
        lines = (Path(path) if path else PACKAGED).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise EngineUnavailable(
            f"the file of phrases '{path}' can't be read ({error}): correct asr.phantoms"
        ) from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
