"""The PCM that clients may send."""

from typing import Any, Literal

import msgspec
import numpy as np

from ipc.audio_handle import Audio as Audio
from ipc.errors import WernickeError

Encoding = Literal["f32le", "s16le"]
MIN_SAMPLE_RATE = 8_000
MAX_SAMPLE_RATE = 96_000
MAX_CHANNELS = 8

DTYPES: dict[str, np.dtype[Any]] = {"f32le": np.dtype("<f4"), "s16le": np.dtype("<i2")}
FULL_SCALE: dict[str, float] = {"f32le": 1.0, "s16le": 32768.0}


class InvalidAudio(WernickeError):
    """Audio that can't be used, or a format that is not supported; the message says what would be right."""

    code = "INVALID_AUDIO_FORMAT"


class AudioFormat(msgspec.Struct, frozen=True):
    """Headerless interleaved PCM as a client sends it. Raises InvalidAudio where it is not supported."""

    sample_rate: int
    channels: int
    encoding: Encoding

    def __post_init__(self) -> None:
        if not MIN_SAMPLE_RATE <= self.sample_rate <= MAX_SAMPLE_RATE:
            raise InvalidAudio(
                f"sample_rate must lie between {MIN_SAMPLE_RATE} and {MAX_SAMPLE_RATE} Hz, not {self.sample_rate}"
            )
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise InvalidAudio(f"channels must lie between 1 and {MAX_CHANNELS}, not {self.channels}")
        if self.encoding not in DTYPES:
            raise InvalidAudio(f"encoding must be f32le or s16le, not {self.encoding}")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * DTYPES[self.encoding].itemsize

    @property
    def bytes_per_second(self) -> int:
        return self.sample_rate * self.frame_bytes
