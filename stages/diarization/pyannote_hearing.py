"""An utterance as the speaker encoder of a pyannote pipeline hears it, and what its segmentation model says of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ipc.audio_handle import SAMPLE_RATE, Audio
from stages.diarization.pieces import FRAMES_PER_SECOND, Alike, Indices, Vectors
from stages.diarization.segmentation import Activity, Frames
from stages.diarization.stitching import Stitched, stitched

HOP = SAMPLE_RATE // FRAMES_PER_SECOND
WESPEAKER, WESPEAKERS_SAME_VOICE = "WeSpeakerResNet34", 0.5
"""Class of the encoder of all pipelines that pyannote publishes; not measured here, for want of its weights."""
BELOW_SAME_VOICE = 0.1
"""By how much less alike two neighbouring seconds of one voice may be than longer pieces: as with GE2E, which was
measured (docs/quality.md)."""


class PyannoteHearing:
    """A `Heard`. Its frames are 10 ms of sound."""

    probe = (150, 75)

    def __init__(self, pipeline: Any, audio: Audio, alike: Alike, step: Callable[[], None]) -> None:
        """step: called after each batch."""
        self.alike = alike
        self._pipeline, self._step = pipeline, step
        count = -(-len(audio) // HOP)
        self._hops = np.pad(audio, (0, count * HOP - len(audio))).reshape(count, HOP)
        self.energy: NDArray[np.floating[Any]] = np.square(self._hops).sum(axis=1)

    def embedding(self, frames: Indices) -> Vectors:
        found: Vectors = self._unit(self._hops[frames].reshape(1, -1))[0]
        return found

    def windows(self, frames: Indices, length: int, step: int) -> Vectors:
        sound = self._hops[frames].reshape(-1)
        cut = np.lib.stride_tricks.sliding_window_view(sound, length * HOP)[:: step * HOP]
        size = self._pipeline.embedding_batch_size
        return np.concatenate([self._unit(cut[at : at + size]) for at in range(0, len(cut), size)])

    def _unit(self, sounds: Audio) -> Vectors:
        """[batch, dimensions], of unit length; zero where the model can't say. sounds: [batch, samples]."""
        import torch

        encoder = self._pipeline._embedding
        if sounds.shape[1] < encoder.min_num_samples:
            return np.zeros((len(sounds), encoder.dimension))
        found = np.nan_to_num(encoder(torch.from_numpy(np.ascontiguousarray(sounds))[:, None]))
        self._step()
        unit: Vectors = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
        return unit


def segmented(pipeline: Any, file: Any, hook: Callable[..., None]) -> Stitched:
    """file: as pyannote takes it, of one sample or more."""
    found = pipeline.get_segmentations(file, hook=hook)
    windows: Activity = np.nan_to_num(found.data)
    step = pipeline._segmentation.model.receptive_field.step
    return stitched(windows, [round(at * found.sliding_window.step / step) for at in range(len(windows))])


def frames_of(pipeline: Any) -> Frames:
    """Of its segmentation model."""
    field = pipeline._segmentation.model.receptive_field
    return Frames(field.step, field.start + (field.duration - field.step) / 2)


def alike(pipeline: Any, same_voice: float) -> Alike:
    """same_voice: of the settings, 0 for the pipeline's own: the threshold that its makers found for clustering, a
    distance of unit vectors, as a cosine similarity."""
    if not same_voice and type(pipeline._embedding.model_).__name__ == WESPEAKER:
        same_voice = WESPEAKERS_SAME_VOICE
    if not same_voice:
        same_voice = 1 - float(pipeline.parameters(instantiated=True)["clustering"]["threshold"]) ** 2 / 2
    return Alike(same_voice, same_voice - BELOW_SAME_VOICE)
