"""Recognition with the US-English model that the pocketsphinx package brings along: nothing to download.

Fit for clear speech near the microphone, not for meetings. The same job gives the same result whatever was decoded
before it: the decoder's running estimates (cepstral mean, noise) are thrown away before each job.
"""

import contextlib
import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from ipc.audio_handle import SAMPLE_RATE, Audio
from ipc.errors import EngineFailed, EngineUnavailable
from ipc.messages import AsrResult, AsrWork, Segment, StageName, Word, Work
from ipc.settings import StageSettings
from stages.engine import ReadAudio

MODEL = "en-us"
FILES = {"hmm": "en-us", "lm": "en-us.lm.bin", "dict": "cmudict-en-us.dict"}
"""The model's folder in the package, and what is in it, by the decoder's settings."""

FRAMES_PER_SECOND = 100
"""The decoder's frame rate (its setting `frate`), by which it times words."""
MAX_ACTIVE_STATES = 3000
"""Word-internal states searched per frame at most (`maxhmmpf`). The decoder's 30000 finds the same words in clear
speech and takes several times as long where speech is unclear."""
MIN_PAUSE_S = 0.5
"""Seconds between two words from which the second begins a new segment."""
LONGEST_PHONE_S = 0.3
"""Of a word's phones on average. Over noise the decoder finds words that nobody draws out so long: an "if" of 25 s."""
LEAST_SCORE = 1e-4
"""Of a word whose probability is rounded to 0, for the logarithm."""
LANGUAGES = ("en", "auto")
FULL_SCALE = 32767
FILLER = re.compile(r"[<\[+]")
"""How words begin that nobody said: <s>, </s>, <sil>, [NOISE], ++UH++."""
VARIANT = re.compile(r"\(\d+\)$")
"""The number of a pronunciation in the dictionary: "the(2)"."""


class PocketSphinx:
    """`pocketsphinx` in config.toml. English only; a glossary is not used.

    A live job is decoded like any other: to leave out the decoder's later passes saves a tenth of its time and needs a
    second decoder (docs/performance.md).
    """

    name = "pocketsphinx"
    model = "pocketsphinx-en-us"
    live = True

    def __init__(self, stage: StageName, settings: StageSettings) -> None:
        self._language = settings.asr.language
        self._decoder: Any = None

    def load(self) -> None:
        """Raises EngineUnavailable where another language than English is wanted."""
        if self._language not in LANGUAGES:
            raise EngineUnavailable(
                f"the asr engine 'pocketsphinx' knows English only and asr.language is {self._language!r}: "
                'install a Whisper model and set asr.engine = "faster_whisper", or set asr.language = "en"'
            )
        try:
            import pocketsphinx
        except ImportError as error:
            raise EngineUnavailable(
                f"the asr engine 'pocketsphinx' needs the package {error.name!r}; install it"
            ) from error
        # Its C code opens files by the bytes of their names in UTF-8, which on Windows are taken for another encoding.
        # Relative to their folder they have plain names, wherever Python is installed (C:\Users\José\...).
        with contextlib.chdir(pocketsphinx.get_model_path(MODEL)):
            config = pocketsphinx.Config(**FILES, loglevel="FATAL", cmn="batch", maxhmmpf=MAX_ACTIVE_STATES)
            self._decoder = pocketsphinx.Decoder(config)

    def warm_up(self) -> None:
        noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
        self.recognise(noise * np.float32(0.001))

    def process(self, work: Work, read_audio: ReadAudio) -> AsrResult:
        """Raises EngineFailed where the client speaks another language, StaleHandle."""
        if not isinstance(work, AsrWork):
            raise TypeError(f"an asr engine was given {type(work).__name__}")
        if work.language not in LANGUAGES:
            raise EngineFailed(f"this server recognises English only, not {work.language!r}: connect with language=en")
        words = self.recognise(read_audio(work.audio))
        sure = log_prob(words)  # of all together: the decoder weighs whole sentences
        segments = tuple(replace(segment, log_prob=sure) for segment in split_at_pauses(words))
        if work.kind == "live":
            return AsrResult("en", 1.0, tuple(replace(segment, words=()) for segment in segments), alignment="none")
        return AsrResult("en", 1.0, segments, alignment=self.name)

    def close(self) -> None:
        self._decoder = None

    def recognise(self, audio: Audio) -> list[Word]:
        """Every word with a blank before it."""
        samples = to_int16(audio)
        if not samples.any():  # digital silence has no spectrum to normalise, and decodes to a word
            return []
        self._decode(samples.tobytes())
        return list(self._words(len(audio) / SAMPLE_RATE))

    def _decode(self, pcm: bytes) -> None:
        self._decoder.reinit_feat()  # forgets the noise level and cepstral mean of what was decoded before
        self._decoder.start_utt()
        try:
            self._decoder.process_raw(pcm, full_utt=True)
        finally:
            self._decoder.end_utt()

    def _words(self, duration_s: float) -> Iterator[Word]:
        for found in self._decoder.seg() or ():
            if not FILLER.match(found.word):
                start = min(found.start_frame / FRAMES_PER_SECOND, duration_s)
                end = min((found.end_frame + 1) / FRAMES_PER_SECOND, duration_s)
                phones = len(self._decoder.lookup_word(found.word).split())
                yield Word(start, end, " " + VARIANT.sub("", found.word), score(found.prob, end - start, phones))


def score(probability: float, seconds: float, phones: int) -> float:
    """Of a word: its posterior probability in the lattice, whose logarithm is rounded, so that it may exceed 1. 0 of a
    word too long to be said: the lattice is sure of it where nothing else sounds like that noise either."""
    return min(1.0, max(0.0, probability)) if seconds <= LONGEST_PHONE_S * phones else 0.0


def log_prob(words: Sequence[Word]) -> float:
    """Mean natural logarithm of the words' scores, as a segment has it; 0 of no words."""
    return sum(math.log(max(LEAST_SCORE, word.score)) for word in words) / max(1, len(words))


def to_int16(audio: Audio) -> NDArray[np.int16]:
    """Samples as the decoder wants them. Audio beyond full scale is made quieter as a whole, since cutting its peaks
    off costs most of the words and the decoder does not mind the level."""
    peak = max(1.0, float(np.abs(audio).max(initial=0.0)))
    return np.asarray(np.rint(audio * np.float32(FULL_SCALE / peak)), dtype="<i2")


def split_at_pauses(words: Sequence[Word]) -> tuple[Segment, ...]:
    """Words (each with a blank before it) as segments; the first word of a segment has no blank."""
    starts = [0, *(i for i, (one, two) in enumerate(pairwise(words), 1) if pause_s(one, two) >= MIN_PAUSE_S)]
    ends = [*starts[1:], len(words)]
    return tuple(segment(words[start:end]) for start, end in zip(starts, ends, strict=True) if end > start)


def pause_s(one: Word, two: Word) -> float:
    """Rounded, for the difference of two decimal times is a hair off."""
    return round(two.start - one.end, 3)


def segment(words: Sequence[Word]) -> Segment:
    first = Word(words[0].start, words[0].end, words[0].text.lstrip(), words[0].score)
    spoken = (first, *words[1:])
    return Segment(first.start, spoken[-1].end, "".join(word.text for word in spoken), spoken)
