"""What a client sends becomes what the daemon works on: any supported PCM in, 16 kHz mono float32 out."""

import numpy as np
import soxr
from numpy.typing import NDArray

from ipc.audio_handle import SAMPLE_RATE
from wernicke_daemon.wire.audio import DTYPES, FULL_SCALE, Audio, AudioFormat, InvalidAudio
from wernicke_daemon.wire.downmix import Downmix

_Pcm = NDArray[np.float32] | NDArray[np.int16]
"""A client's samples, interleaved."""

PEAK_LIMIT = 64.0
"""Largest float sample taken for audio: 36 dB above full scale, far beyond any honest overshoot."""


class PcmDecoder:
    """One client's byte stream → 16 kHz mono float32."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self.format = audio_format  # of what the client sends
        self.bytes_received = 0  # everything passed in
        self.samples_received = 0  # sample frames (one sample of every channel) decoded; refused ones are not in it
        self._dtype = DTYPES[audio_format.encoding]  # of a sample on the wire
        self._downmix = Downmix(audio_format.channels, audio_format.sample_rate)  # to one channel
        self._carry = b""  # the beginning of a sample, whose rest comes with the next bytes
        # None where there is nothing to resample
        self._resampler = None if audio_format.sample_rate == SAMPLE_RATE else _resampler(audio_format.sample_rate)
        self._fed = 0  # samples that the resampler was given
        self._given = 0  # samples that it gave

    def decode(self, data: bytes | memoryview) -> Audio:
        """Samples that `data` (a byte buffer of any size) brings; fewer than it holds while the resampler fills.

        Raises InvalidAudio for NaN, infinity and magnitudes above PEAK_LIMIT: the whole samples of this call are
        dropped, the bytes after them and the resampler keep their place, and the stream goes on with the next call.
        """
        self.bytes_received += len(data)
        samples = self._whole_frames(data)
        if samples.size and self.format.encoding == "f32le":
            _check(samples)
        mono = self._mono(samples)
        self.samples_received += len(mono)
        return self._resample(mono)

    def drain(self) -> Audio:
        """The resampler's tail, after which it starts anew; bytes of an unfinished sample stay.

        Since the start (or the last drain) n decoded sample frames have then given exactly
        n * 16000 / sample_rate samples, rounded half up.
        """
        if self._resampler is None or self._fed == 0:
            return np.zeros(0, np.float32)
        tail: Audio = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        missing = _resampled_length(self._fed, self.format.sample_rate) - self._given
        self._resampler.clear()
        self._fed = self._given = 0
        return _fit(tail, missing)

    @property
    def powers(self) -> tuple[float, ...]:
        """Mean square of each channel lately, at full scale 1, and behind them that of their mean; zeros where there is
        one channel alone."""
        scale = FULL_SCALE[self.format.encoding] ** 2
        return tuple(power / scale for power in self._downmix.powers)

    def forget_partial_sample(self) -> None:
        """The line was cut, perhaps within a sample: what comes next begins with a whole one."""
        self.bytes_received -= len(self._carry)
        self._carry = b""

    def _whole_frames(self, data: bytes | memoryview) -> _Pcm:
        """Interleaved samples, a view of the bytes; what follows the last whole frame is carried over."""
        stream = self._carry + data if self._carry else data
        whole = len(stream) - len(stream) % self.format.frame_bytes
        self._carry = bytes(stream[whole:])
        return np.frombuffer(stream, self._dtype, count=whole // self._dtype.itemsize)

    def _mono(self, samples: _Pcm) -> Audio:
        """One channel, scaled to full scale 1; our own, no view of the bytes."""
        frames = samples.reshape(-1, self.format.channels).astype(np.float32, copy=False)
        mono = self._downmix.mix(frames)
        mono /= np.float32(FULL_SCALE[self.format.encoding])
        return mono

    def _resample(self, mono: Audio) -> Audio:
        if self._resampler is None:
            return mono
        resampled: Audio = self._resampler.resample_chunk(mono)
        self._fed += len(mono)
        self._given += len(resampled)
        return resampled


def _resampler(sample_rate: int) -> soxr.ResampleStream:
    return soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")


def _resampled_length(count: int, sample_rate: int) -> int:
    return (2 * count * SAMPLE_RATE + sample_rate) // (2 * sample_rate)


def _fit(tail: Audio, length: int) -> Audio:
    """`tail` cut or filled with zeros to `length`: the clock must be exact whatever soxr's rounding does."""
    if len(tail) >= length:
        return tail[:length]
    return np.concatenate([tail, np.zeros(length - len(tail), np.float32)])


def _check(samples: _Pcm) -> None:
    peak = float(np.abs(samples).max())
    if not peak <= PEAK_LIMIT:  # written so that NaN fails too
        raise InvalidAudio(_likely_cause(samples, peak))


def _likely_cause(samples: _Pcm, peak: float) -> str:
    if _look_like_integers(samples):
        return "the values look like s16le samples sent as f32le; declare encoding=s16le or send 32-bit floats"
    if not np.isfinite(peak):
        return "the audio holds NaN or infinite values; check the client's audio processing and byte order"
    if peak <= FULL_SCALE["s16le"]:
        return f"float samples reach {peak:.0f} but should lie in [-1, 1]; divide 16-bit values by 32768"
    return f"samples reach {peak:.3g} but should lie in [-1, 1]; check that they are little-endian 32-bit floats"


def _look_like_integers(samples: _Pcm) -> bool:
    """Read as f32le, two 16-bit integers show a small number where a float of audible size (above 1e-9) has its
    exponent, which as a 16-bit number is at least 0x3000 away from zero."""
    upper_halves = samples[samples != 0].view("<i2")[1::2].astype(np.int32)
    return float(np.mean(np.abs(upper_halves) < 0x3000)) > 0.5
