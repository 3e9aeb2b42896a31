"""Diarization with pyannote.audio: who speaks when, and how each voice sounds. Runs on this machine alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ipc.audio_handle import SAMPLE_RATE, Audio
from ipc.errors import EngineUnavailable, one_line
from ipc.messages import DiarizationResult, DiarizationWork, GpuMemory, StageName, Work
from ipc.settings import StageSettings
from stages.diarization.pieces import diarized
from stages.diarization.pyannote_hearing import PyannoteHearing, alike, frames_of, segmented
from stages.diarization.pyannote_pipeline import open_pipeline
from stages.diarization.stitching import Stitched
from stages.engine import ReadAudio
from stages.gpu import torch_device


class Pyannote:
    """`pyannote` in config.toml."""

    name = "pyannote"

    def __init__(self, stage: StageName, settings: StageSettings) -> None:
        self._settings = settings.diarization
        self.model = Path(self._settings.model).name
        self._pipeline: Any = None
        self._progressed: Callable[[], None] = lambda: None

    def load(self) -> None:
        """Raises EngineUnavailable where a package, the model or the device is not to be had."""
        self._pipeline = open_pipeline(self._settings)
        self._set_batch_size(self._settings.embedding_batch_size)
        self._alike = alike(self._pipeline, self._settings.same_voice)

    def warm_up(self) -> None:
        """Raises EngineUnavailable. One second of noise, of which there is an embedding though nobody speaks."""
        noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32) * np.float32(0.001)
        try:
            self._diarize(noise)
            heard = PyannoteHearing(self._pipeline, noise, self._alike, self._step)
            heard.embedding(np.arange(len(heard.energy)))
        except Exception as error:
            raise EngineUnavailable(
                f"the pyannote model {self.model} does not run here ({one_line(error)}): free GPU memory or set "
                'diarization.device = "cpu", or diarization.engine = "onnx"'
            ) from error

    def process(self, work: Work, read_audio: ReadAudio) -> DiarizationResult:
        """Raises StaleHandle, PyTorch's OutOfMemoryError."""
        if not isinstance(work, DiarizationWork):
            raise TypeError(f"a diarization engine was given {type(work).__name__}")
        return self._diarize(read_audio(work.audio))

    def process_smaller(self, work: Work, read_audio: ReadAudio) -> DiarizationResult:
        """`process` with half the batch."""
        with self._half_batch_size():
            return self.process(work, read_audio)

    def tell_progress(self, progressed: Callable[[], None]) -> None:
        """Of each batch."""
        self._progressed = progressed

    def release(self) -> None:
        """Does nothing on the CPU."""
        torch_device.release(self._device())

    def gpu_memory(self) -> GpuMemory | None:
        """None on the CPU."""
        return torch_device.gpu_memory(self._device())

    def close(self) -> None:
        self._pipeline = None

    def _diarize(self, audio: Audio) -> DiarizationResult:
        """The pipeline's models, without its clustering: that is the session's, which hears more than one utterance."""
        if not len(audio):
            return DiarizationResult(turns=(), pieces=(), same_voice=self._alike.same_voice, model=self.model)
        found = self._segmented(audio)
        heard = PyannoteHearing(self._pipeline, audio, self._alike, self._step)
        seconds = len(audio) / SAMPLE_RATE
        most = self._settings.max_speakers
        return diarized(found, frames_of(self._pipeline), heard, seconds, most, self.model)

    def _segmented(self, audio: Audio) -> Stitched:
        try:
            return segmented(self._pipeline, in_memory(audio), self._step)
        except MemoryError as error:  # what pyannote's segmentation makes of PyTorch's error, by which a GPU's is told
            raise (error.__context__ or error) from None

    def _step(self, *step: Any, **of: Any) -> None:
        """pyannote's hook, called after each batch."""
        self._progressed()

    @contextmanager
    def _half_batch_size(self) -> Iterator[None]:
        whole = self._settings.embedding_batch_size
        self._set_batch_size(max(1, whole // 2))
        try:
            yield
        finally:
            self._set_batch_size(whole)

    def _set_batch_size(self, size: int) -> None:
        self._pipeline.embedding_batch_size = size
        self._pipeline.segmentation_batch_size = size

    def _device(self) -> str:
        return "cpu" if self._pipeline is None else str(self._pipeline.device.type)


def in_memory(audio: Audio) -> dict[str, Any]:
    """16 kHz mono audio as pyannote takes it."""
    import torch

    return {"waveform": torch.from_numpy(audio)[None], "sample_rate": SAMPLE_RATE}
