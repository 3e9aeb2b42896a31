"""What can be told of sound without understanding it: level, spectrum, and what its bytes look like. Pure."""

import numpy as np
from numpy.typing import NDArray

from ipc.audio_handle import SAMPLE_RATE, VAD_WINDOW, Audio

SILENCE_DB = -120.0
"""Stands for anything quieter, digital silence included."""

_CONTAINERS = {
    b"\x1a\x45\xdf\xa3": "WebM or Matroska",
    b"OggS": "Ogg",
    b"RIFF": "WAV",
    b"fLaC": "FLAC",
    b"ID3": "MP3",
}
"""By the first bytes of a file, which samples have once in millions of times."""

_ISO_MEDIA = b"ftyp"
"""From the fifth byte on: MP4 and its relatives."""

_FLOATS = {"<f4": "f32le", ">f4": "32-bit float big-endian"}
_INTEGERS = {"<i2": "s16le", ">i2": "16-bit big-endian"}
"""numpy's type of a sample → what it is called. Half of a float is smooth, too; two integers are no float that is."""

_SMOOTH = 0.5
"""Correlation of neighbouring samples from which they are sound: that of speech is above 0.8 at 16 kHz and rises with
the rate; that of samples read in a wrong way is near 0, as that of white noise."""

_TAPER = np.hanning(VAD_WINDOW)
_ABOVE_HUM = 3
"""Bands of 31 Hz that do not count in what is said of the spectrum: direct current and the hum of the mains."""

_WHITE_DB = -1.0
"""Of the geometric mean over frequencies by the arithmetic one."""


def container(beginning: bytes) -> str | None:
    """Which kind of file begins with these bytes (eight at least); None where they may be samples."""
    for magic, name in _CONTAINERS.items():
        if beginning.startswith(magic):
            return name
    return "MP4" if beginning[4:8] == _ISO_MEDIA else None


def likely_encoding(data: bytes, channels: int) -> str | None:
    """The one encoding in which samples of so many channels are sound; None where none is, or more than one."""
    for readings in (_FLOATS, _INTEGERS):
        smooth = [name for kind, name in readings.items() if _smoothness(data, kind, channels) > _SMOOTH]
        if smooth:
            return smooth[0] if len(smooth) == 1 else None
    return None


def _smoothness(data: bytes, kind: str, channels: int) -> float:
    """Correlation of the first channel's neighbouring samples; 0 where they are no samples, or all the same."""
    whole = len(data) - len(data) % (np.dtype(kind).itemsize * channels)
    with np.errstate(invalid="ignore"):  # NaN among what is read in a wrong way
        samples = np.frombuffer(data[:whole], kind)[::channels].astype(np.float64)
    if len(samples) < 2 or not np.abs(samples).max() <= 2**15:  # written so that NaN fails too
        return 0.0
    samples -= samples.mean()
    power = float(samples @ samples)
    return float(samples[1:] @ samples[:-1]) / power if power else 0.0


def to_db(power: float) -> float:
    """Mean square → dBFS."""
    return max(SILENCE_DB, 10 * float(np.log10(power))) if power > 0 else SILENCE_DB


class SoundFacts:
    """Of 16 kHz mono audio, collected as it comes. loudest_db: RMS of the loudest window."""

    def __init__(self) -> None:
        self.loudest_db = SILENCE_DB
        self._rest: Audio = np.zeros(0, np.float32)  # of a window that is not complete
        self._spectrum: NDArray[np.float64] = np.zeros(VAD_WINDOW // 2 + 1)  # power by band, summed over windows

    def add(self, samples: Audio) -> None:
        joined = np.concatenate((self._rest, samples))
        whole = len(joined) // VAD_WINDOW * VAD_WINDOW
        self._rest = joined[whole:]
        if whole:
            windows = joined[:whole].reshape(-1, VAD_WINDOW).astype(np.float64)
            self.loudest_db = max(self.loudest_db, to_db(float((windows**2).mean(axis=1).max())))
            self._spectrum += (np.abs(np.fft.rfft(windows * _TAPER, axis=1)) ** 2).sum(axis=0)

    @property
    def is_zero(self) -> bool:
        """Not one sample was anything else."""
        return not self._spectrum.any()

    @property
    def highest_hz(self) -> float:
        """95 % of the power above hum lies below that."""
        power = self._spectrum[_ABOVE_HUM:].cumsum()
        return float((_ABOVE_HUM + np.searchsorted(power, 0.95 * power[-1])) * SAMPLE_RATE / VAD_WINDOW)

    @property
    def is_white(self) -> bool:
        """As much power at any frequency, as no room and no voice has it."""
        power = self._spectrum[_ABOVE_HUM:-_ABOVE_HUM]
        return bool(power.all()) and float(np.log10(power).mean() - np.log10(power.mean())) * 10 > _WHITE_DB
