"""Diarization without PyTorch: a segmentation model and a speaker encoder through onnxruntime, on the CPU."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ipc.audio_handle import SAMPLE_RATE, Audio
from ipc.errors import EngineUnavailable, JobCancelled, one_line
from ipc.messages import DiarizationResult, DiarizationWork, StageName, Work
from ipc.settings import StageSettings
from stages.diarization.model_files import ELSE, Session, located
from stages.diarization.pieces import diarized
from stages.diarization.segmentation import Activity, Frames, cut, from_powerset
from stages.diarization.speaker_encoder import KINDS, SpeakerEncoder
from stages.diarization.stitching import stitched
from stages.engine import ReadAudio

FRAME = 270
"""Samples from one frame to the next: the strides of PyanNet's layers, 10 · 3 · 3 · 3 (Bredin et al., ICASSP 2020)."""
FIRST = 360
"""Sample at which the first frame begins: half of the 991 samples that it sees are before its middle, at 495."""
FRAMES = Frames(FRAME / SAMPLE_RATE, FIRST / SAMPLE_RATE)
STEP = 59
"""Frames from one window to the next, about a second, as in pyannote's pipelines with windows of 10 s."""
BATCH = 4
"""Windows at a time: more is not faster on a CPU."""
POWERSET, LABELS = 7, 3
"""Classes of models whose classes are sets of up to two of three speakers, and of those with one for each speaker."""
SECONDS = {POWERSET: 10, LABELS: 5}
"""What such models were trained on: pyannote/segmentation-3.0 and pyannote/segmentation."""


class OnnxDiarization:
    """`onnx` in config.toml."""

    name = "onnx"

    def __init__(self, stage: StageName, settings: StageSettings) -> None:
        self._settings = settings.diarization
        self.model = f"onnx-{Path(self._settings.onnx_model).name}"
        self._progressed: Callable[[], None] = lambda: None
        self._unwanted: Callable[[], bool] = lambda: False

    def load(self) -> None:
        """Raises EngineUnavailable where a model is not to be had, or is of another kind."""
        self._segmentation = Session(located(self._settings.onnx_model, "segmentation"))
        self._encoder = encoder_of(Session(located(self._settings.onnx_model, "encoder")))
        self._classes = classes_of(self._segmentation)

    def warm_up(self) -> None:
        """A second of noise, and an embedding of it."""
        noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
        self.diarize(noise)
        self._encoder.embedding(self._encoder.features(noise))

    def process(self, work: Work, read_audio: ReadAudio) -> DiarizationResult:
        """Raises StaleHandle, JobCancelled."""
        if not isinstance(work, DiarizationWork):
            raise TypeError(f"a diarization engine was given {type(work).__name__}")
        return self.diarize(read_audio(work.audio))

    def tell_progress(self, progressed: Callable[[], None]) -> None:
        """Of each batch of windows, and of the features."""
        self._progressed = progressed

    def stop_when(self, unwanted: Callable[[], bool]) -> None:
        self._unwanted = unwanted

    def close(self) -> None:
        """Nothing is held that needs closing."""

    def diarize(self, audio: Audio) -> DiarizationResult:
        """Turns and pieces of 16 kHz mono audio. Raises JobCancelled."""
        activity = self._activity(audio)
        found = stitched(activity, [STEP * window for window in range(len(activity))])
        heard = self._encoder.hear(audio)
        self._step()
        return diarized(found, FRAMES, heard, len(audio) / SAMPLE_RATE, self._settings.max_speakers, self.model)

    def _activity(self, audio: Audio) -> Activity:
        """[windows, frames, speakers]"""
        windows = cut(audio, SECONDS[self._classes] * SAMPLE_RATE, STEP * FRAME)[:, None]
        batches = [self._batch(windows[start : start + BATCH]) for start in range(0, len(windows), BATCH)]
        return np.concatenate(batches)

    def _batch(self, windows: Audio) -> Activity:
        found: Activity = self._segmentation.run(np.ascontiguousarray(windows))
        self._step()
        return from_powerset(found, speakers=3, together=2) if self._classes == POWERSET else found

    def _step(self) -> None:
        self._progressed()
        if self._unwanted():
            raise JobCancelled("nobody wants these speakers any more")


def encoder_of(session: Session) -> SpeakerEncoder:
    """Raises EngineUnavailable."""
    if session.width not in KINDS:
        raise EngineUnavailable(
            f"the model '{session.path}' hears {session.width} bands, and none of the known speaker encoders does "
            f"({', '.join(map(str, KINDS))}): {ELSE}"
        )
    return KINDS[session.width](session)


def classes_of(session: Session) -> int:
    """Of a segmentation model. Raises EngineUnavailable."""
    try:
        classes = session.run(np.zeros((1, 1, SECONDS[LABELS] * SAMPLE_RATE), np.float32)).shape[-1]
    except Exception as error:  # of many kinds, by what it wants instead
        raise EngineUnavailable(
            f"the model '{session.path}' is no segmentation model ({one_line(error)}): {ELSE}"
        ) from error
    if classes not in SECONDS:
        raise EngineUnavailable(f"the model '{session.path}' has {classes} classes, and 3 or 7 are known: {ELSE}")
    return int(classes)
