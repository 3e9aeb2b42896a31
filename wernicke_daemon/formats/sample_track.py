"""Decoded frames become mono samples of one rate, each where the file's clock has it."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wernicke_daemon.formats.file_clock import TOLERANCE_S
from wernicke_daemon.wire.downmix import Downmix

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

Mono = NDArray[np.float32]
"""Samples, shape [frames], nominally in [-1, 1]."""


class SampleTrack:
    """Frames of any format, one behind the other, become samples of one rate; the number of samples is exact."""

    def __init__(self, rate: int) -> None:
        self._rate = rate  # of what it gives, Hz
        self._given = 0  # samples
        self._converter: _Converter | None = None

    def add(self, frame: "AudioFrame", begin: float) -> Iterator[Mono]:
        """begin: seconds from the start of the track."""
        hole = begin - self._end > TOLERANCE_S
        if hole or self._converter is None or not self._converter.takes(frame):
            yield self.finish()
            if hole:
                yield from self._silence(round(begin * self._rate) - self._given)
            self._converter = _Converter(frame, self._rate)
        yield self._counted(self._converter.convert(frame))

    def finish(self) -> Mono:
        """What the resampler still holds."""
        rest = self._converter.finish() if self._converter else np.zeros(0, np.float32)
        self._converter = None
        return self._counted(rest)

    @property
    def _end(self) -> float:
        """Seconds, of what was added last."""
        held = self._converter.held_s if self._converter else 0.0
        return self._given / self._rate + held

    def _silence(self, count: int) -> Iterator[Mono]:
        while count > 0:
            yield self._counted(np.zeros(min(count, self._rate), np.float32))
            count -= self._rate

    def _counted(self, samples: Mono) -> Mono:
        self._given += len(samples)
        return samples


class _Converter:
    """For frames of one format."""

    def __init__(self, frame: "AudioFrame", rate: int) -> None:
        from av import AudioResampler

        self._format = _format(frame)  # of the frames that it takes
        self._resampler = AudioResampler("flt", None, rate)  # with its own channels
        self._channels = frame.layout.nb_channels  # of these frames
        self._downmix = Downmix(self._channels, rate)  # to one channel
        self._rate = rate
        self.held_s = 0.0  # in the resampler

    def takes(self, frame: "AudioFrame") -> bool:
        return _format(frame) == self._format

    def convert(self, frame: "AudioFrame") -> Mono:
        self.held_s += frame.samples / frame.sample_rate
        return self._mono(self._resampler.resample(frame))

    def finish(self) -> Mono:
        return self._mono(self._resampler.resample(None))

    def _mono(self, frames: "Iterable[AudioFrame]") -> Mono:
        parts = [frame.to_ndarray().reshape(-1, self._channels) for frame in frames]
        heard = np.concatenate([np.zeros((0, self._channels), np.float32), *parts])
        samples = self._downmix.mix(np.nan_to_num(heard, posinf=0, neginf=0))
        self.held_s -= len(samples) / self._rate
        return samples


def _format(frame: "AudioFrame") -> tuple[int, str, str]:
    return frame.sample_rate, frame.layout.name, frame.format.name
