"""Whisper on what it is given and a margin instead of 30 s, and bounded by how long that is.

faster-whisper pads each window to 30 s with frames of zeros, on which most of the time for a short utterance goes, and
each of up to six attempts may write 224 tokens, however short the audio is.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import structlog
from faster_whisper import WhisperModel
from numpy.typing import NDArray

from ipc.audio_handle import SAMPLE_RATE, Audio
from ipc.errors import JobCancelled
from stages.asr.languages import Probabilities

FRAMES_PER_SECOND = 100
"""Of the features: a hop of 160 samples at 16 kHz."""
MARGIN_S = 4.0
"""Of padding after the audio. With less, texts of unclear speech repeat themselves at their end and are decoded again;
more costs time and changes little (docs/performance.md)."""
TOKENS_PER_SECOND = 20
"""Of a window's audio and one second more: about three times the most that was measured of a text that is not doubtful
(docs/performance.md)."""
MOST_TOKENS = 224
"""In one window: half of the decoder's 448 positions, as in OpenAI's own code."""
SHORT_S = 2.0
"""An improbable text of less audio is left out, unless two windows gave the same."""
IMPROBABLE = "it is improbable"

Features = NDArray[np.float32]
"""Log-mel spectrogram, shape [mels, frames] or [windows, mels, frames]."""

Found = tuple[Any, float, float, float]
"""What faster-whisper's generate_with_fallback() gives: CTranslate2's result, the mean log probability of its tokens,
the temperature, the compression ratio of the text."""

NOTHING: Found = (SimpleNamespace(no_speech_prob=math.inf, sequences_ids=[[]]), -math.inf, 0.0, 0.0)
"""What faster-whisper takes for silence at any threshold."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class ShortContextModel(WhisperModel):  # type: ignore[misc]
    """faster-whisper's model, whose windows are no longer than they need to be.

    Where the text is doubtful by the configured thresholds, or does not end, the window is decoded once more with the
    whole 30 s that Whisper was trained on, then at the next temperatures, the fewer the shorter the audio is. What is
    improbable every time is the likeliest of those texts, or nothing where the audio is short and no two of them are
    the same; what never ends, or always repeats itself, is nothing. The log says why something is left out.
    All windows of a job together write no more than can be said in it either, and are no more than it has seconds,
    however little each gets on.
    margin_s: seconds of padding after the audio. pick_language: of languages and their probabilities, likeliest first.
    unwanted: whether the job under way was cancelled. progressed: told of each attempt that is over.
    """

    margin_s: float = MARGIN_S
    unwanted: Callable[[], bool] = staticmethod(lambda: False)
    progressed: Callable[[], None] = staticmethod(lambda: None)
    pick_language: Callable[[Probabilities], tuple[str, float]] = staticmethod(lambda probabilities: probabilities[0])
    _window: Features
    _tokens_left: int

    def transcribe(self, audio: Audio, **options: Any) -> Any:
        """As faster-whisper's. Decoding is done while its segments are read, and the job before is over by then."""
        self._tokens_left = tokens_within(len(audio) / SAMPLE_RATE)
        return super().transcribe(audio, **options)

    def detect_language(self, *args: Any, **options: Any) -> tuple[str, float, Probabilities]:
        """As faster-whisper's, which is asked where a job does not name its language."""
        *_, probabilities = super().detect_language(*args, **options)
        return *self.pick_language(probabilities), probabilities

    def encode(self, features: Features) -> Any:
        """features: padded with frames of zeros to 30 s."""
        self._window = features
        return super().encode(shortened(features, self.margin_s))

    def generate_with_fallback(self, encoder_output: Any, prompt: Sequence[int], tokenizer: Any, options: Any) -> Found:
        """A text, or none, for the window encoded last. Raises JobCancelled."""
        if self._tokens_left <= 0:
            log.info("text_left_out", reason="it does not get on", audio_s=round(self._window_s(), 1))
            return NOTHING
        found = self._find(encoder_output, prompt, tokenizer, options)
        self._tokens_left -= max(TOKENS_PER_SECOND, len(found[0].sequences_ids[0]))
        return found

    def _find(self, encoder_output: Any, prompt: Sequence[int], tokenizer: Any, options: Any) -> Found:
        audio_s = self._window_s()
        most, improbable, doubt = most_tokens(audio_s), [], None
        for encoded, temperature in self._attempts(encoder_output, options.temperatures, audio_s):
            if self.unwanted():
                raise JobCancelled("the job is no longer wanted")
            once = replace(options, temperatures=[temperature], max_new_tokens=new_tokens(most, len(prompt)))
            found: Found = super().generate_with_fallback(encoded, prompt, tokenizer, once)
            self.progressed()
            doubt = doubt_about(found, most, options)
            if doubt is None:
                return found
            if doubt == IMPROBABLE:
                improbable.append(found)
        texts = [tokenizer.decode(found[0].sequences_ids[0]) for found in improbable]
        if improbable and (audio_s >= SHORT_S or agree(texts)):
            return max(improbable, key=lambda found: found[1])
        log.info("text_left_out", reason=doubt, audio_s=round(audio_s, 1))
        return NOTHING

    def _window_s(self) -> float:
        return content(self._window) / FRAMES_PER_SECOND

    def _attempts(self, encoded: Any, temperatures: Sequence[float], audio_s: float) -> Iterator[tuple[Any, float]]:
        """Encoder output and temperature. One attempt alone where one temperature is configured."""
        yield encoded, temperatures[0]
        if len(temperatures) > 1:
            whole = super().encode(self._window)
            if whole.shape != encoded.shape:
                yield whole, temperatures[0]
            yield from ((whole, temperature) for temperature in temperatures[1 : most_temperatures(audio_s)])


def content(features: Features) -> int:
    """Frames before the padding. In sound no frame is zero in all bands."""
    heard = np.flatnonzero(features.any(axis=tuple(range(features.ndim - 1))))
    return int(heard[-1]) + 1 if heard.size else 0


def shortened(features: Features, margin_s: float) -> Features:
    """Without the padding beyond the margin."""
    return features[..., : content(features) + math.ceil(margin_s * FRAMES_PER_SECOND)]


def most_tokens(audio_s: float) -> int:
    return min(tokens_within(audio_s), MOST_TOKENS)


def tokens_within(audio_s: float) -> int:
    return math.ceil(TOKENS_PER_SECOND * (audio_s + 1))


def most_temperatures(audio_s: float) -> int:
    """One for each second: more of them make the text of a short sound no surer (docs/performance.md)."""
    return max(1, int(audio_s))


def new_tokens(tokens: int, prompt: int) -> int:
    """The option of faster-whisper by which CTranslate2 stops after `tokens`: of the sum of option and prompt, which
    it is given, it allows half, or one more than the option, if that is less (found by trying, CTranslate2 4.8)."""
    return min(max(tokens - 1, 2 * tokens - prompt), 2 * MOST_TOKENS - prompt)


def agree(texts: Sequence[str]) -> bool:
    """Whether more than one attempt found the same letters. Two windows never did so in noise
    (docs/performance.md)."""
    letters = {"".join(filter(str.isalnum, text)) for text in texts}
    return len(texts) > 1 and len(letters) == 1 and letters != {""}


def doubt_about(found: Found, most_tokens: int, options: Any) -> str | None:
    """Why another attempt is to be made; None where not, as with what is taken for silence."""
    result, log_prob, _, compression = found
    improbable = log_prob < options.log_prob_threshold
    if improbable and result.no_speech_prob > options.no_speech_threshold:
        return None
    if len(result.sequences_ids[0]) >= most_tokens < MOST_TOKENS:
        return "it does not end"
    if compression > options.compression_ratio_threshold:
        return "it repeats itself"
    return IMPROBABLE if improbable else None
