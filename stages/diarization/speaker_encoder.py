"""How a voice sounds, as a vector: the features that a speaker encoder hears, and its windows of them.

Two kinds are known, told apart by the width of their input: GE2E (40 mel powers; Wan et al., ICASSP 2018; Resemblyzer's
weights come with this package) and WeSpeaker's (80 log mel energies; Wang et al., ICASSP 2023).
"""

from abc import ABC, abstractmethod
from functools import cache
from typing import Any

import numpy as np
from kaldi_native_fbank import FbankOptions, OnlineFbank
from numpy.typing import NDArray

from ipc.audio_handle import SAMPLE_RATE, Audio
from stages.diarization.model_files import Session
from stages.diarization.pieces import FRAMES_PER_SECOND, Alike, Indices

Floats = NDArray[np.float32]

HOP = SAMPLE_RATE // FRAMES_PER_SECOND
WIDTH = SAMPLE_RATE // 40
"""Samples per frame: 25 ms every 10 ms, in both kinds."""
BATCH = 16
"""Windows at a time: more is not faster on a CPU and needs more memory."""
SMALLEST = 1e-6


class SpeakerEncoder(ABC):
    """An encoder of one kind. alike, probe: as of `Heard`."""

    alike: Alike
    probe: tuple[int, int]

    def __init__(self, session: Session) -> None:
        self._session = session

    def hear(self, audio: Audio) -> "HeardFeatures":
        return HeardFeatures(self, self.features(audio))

    @abstractmethod
    def features(self, audio: Audio) -> Floats:
        """[frames, bins], FRAMES_PER_SECOND of them."""

    @abstractmethod
    def embedding(self, features: Floats) -> Floats:
        """[dimensions], of unit length, of these frames; at least one."""

    def vectors(self, windows: Floats) -> Floats:
        """[windows, dimensions], of unit length. windows: [windows, frames, bins]."""
        batches = [np.ascontiguousarray(windows[i : i + BATCH]) for i in range(0, len(windows), BATCH)]
        found = np.concatenate([self._session.run(batch) for batch in batches])
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), SMALLEST))


class HeardFeatures:
    """A `Heard`: the features of an utterance."""

    def __init__(self, encoder: SpeakerEncoder, features: Floats) -> None:
        """features: [frames, bins]"""
        self._encoder = encoder
        self._features = features
        self.energy = features.sum(axis=1)
        self.alike, self.probe = encoder.alike, encoder.probe

    def embedding(self, frames: Indices) -> Floats:
        return self._encoder.embedding(self._features[frames])

    def windows(self, frames: Indices, length: int, step: int) -> Floats:
        cut = np.lib.stride_tricks.sliding_window_view(self._features[frames], length, axis=0)[::step]
        return self._encoder.vectors(cut.transpose(0, 2, 1))


class Ge2e(SpeakerEncoder):
    """Resemblyzer's. Its embeddings have no negative values: those of two people are more alike than elsewhere."""

    alike = Alike(same_voice=0.85, changed=0.72)
    probe = (120, 30)

    WINDOW, STEP = 160, 77
    """Frames that the network was trained on; from one to the next at Resemblyzer's 1.3 windows a second."""
    BINS = 40
    LEAST_RMS = 10 ** (-30 / 20)
    """To which quieter audio is raised: Resemblyzer's -30 dBFS."""

    def features(self, audio: Audio) -> Floats:
        rms = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if len(audio) else 0.0
        return mel_powers(audio * max(1.0, self.LEAST_RMS / max(rms, SMALLEST)), self.BINS)

    def embedding(self, features: Floats) -> Floats:
        features = np.resize(features, (max(len(features), self.WINDOW), self.BINS))  # few of them over and over
        last = len(features) - self.WINDOW
        starts = np.linspace(0, last, 1 + round(last / self.STEP)).astype(int)
        mean = self.vectors(np.stack([features[start : start + self.WINDOW] for start in starts])).mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), SMALLEST), np.float32)


class WeSpeaker(SpeakerEncoder):
    """Features and mean subtraction as in WeSpeaker's own inference."""

    alike = Alike(same_voice=0.5, changed=0.4)
    probe = (150, 75)

    BINS = 80

    def features(self, audio: Audio) -> Floats:
        options = FbankOptions()
        options.frame_opts.samp_freq = SAMPLE_RATE
        options.frame_opts.dither = 0.0
        options.frame_opts.window_type = "hamming"
        options.mel_opts.num_bins = self.BINS
        options.use_energy = False
        extractor = OnlineFbank(options)
        extractor.accept_waveform(SAMPLE_RATE, audio * np.float32(32768))
        extractor.input_finished()
        rows = [extractor.get_frame(i) for i in range(extractor.num_frames_ready)]
        return np.array(rows, np.float32).reshape(len(rows), self.BINS)

    def embedding(self, features: Floats) -> Floats:
        return np.asarray(self.vectors(features[None])[0])

    def vectors(self, windows: Floats) -> Floats:
        return super().vectors(windows - windows.mean(axis=1, keepdims=True))


KINDS: dict[Any, type[SpeakerEncoder]] = {Ge2e.BINS: Ge2e, WeSpeaker.BINS: WeSpeaker}
"""By the bins of a frame."""


def mel_powers(audio: NDArray[np.floating[Any]], bins: int = Ge2e.BINS) -> Floats:
    """[frames, bins]: powers, not their logarithms, as librosa's melspectrogram has them."""
    framed = np.lib.stride_tricks.sliding_window_view(np.pad(audio, WIDTH // 2), WIDTH)[::HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WIDTH) / WIDTH)
    power = np.square(np.abs(np.fft.rfft(framed * hann, axis=1)))
    return np.asarray(power @ mel_filters(bins).T, np.float32)


@cache
def mel_filters(bins: int) -> NDArray[np.float64]:
    """[bins, WIDTH // 2 + 1]: triangles of equal area from 0 Hz to half the sample rate, on Slaney's scale (Auditory
    Toolbox, 1998): linear up to 1000 Hz, then 27 steps to a factor of 6.4. librosa's default."""
    linear, log = 200 / 3, np.log(6.4) / 27
    last = 1000 / linear + np.log(SAMPLE_RATE / 2 / 1000) / log
    mels = np.linspace(0, last, bins + 2)
    edges = np.where(mels < 1000 / linear, mels * linear, 1000 * np.exp(log * (mels - 1000 / linear)))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hz = np.fft.rfftfreq(WIDTH, 1 / SAMPLE_RATE)
    triangles = np.maximum(0, np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)))
    filters: NDArray[np.float64] = triangles * 2 / (high - low)
    return filters
