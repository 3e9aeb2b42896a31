"""Times of words by forced alignment with wav2vec2 models, through whisperx. Nothing is downloaded.

whisperx is given one segment per call, without punctuation, and asked for the times of characters, in the text's order;
words are put together from them here. Of what else it does in a call, two things are kept from happening. It writes
what was said into its log. And it splits texts into sentences by tables of NLTK, which it downloads where they are
missing; bringing them along would not do, for NLTK refuses tables that others than their owner may write to.
"""

import io
import logging
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import structlog

from ipc import clock
from ipc.audio_handle import SAMPLE_RATE, Audio
from ipc.errors import EngineFailed, EngineUnavailable, one_line
from ipc.messages import GpuMemory, Segment
from ipc.settings import StageSettings
from stages import offline
from stages.asr.alignment import characters, model_files
from stages.asr.alignment.model_files import ELSE
from stages.asr.alignment.words import into_words
from stages.gpu import torch_device
from stages.gpu.errors import is_out_of_memory

KEPT = 2
"""Models in memory at once: that of the configured language, usually, and one for a guest."""
WARM_UP_TEXT = "a"

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Alignment(NamedTuple):
    """model: as `models_used` shows it. segments: one for each that was given, None where it could not be aligned."""

    model: str
    segments: tuple[Segment | None, ...]


class AlignmentModel(NamedTuple):
    """A wav2vec2 model and whisperx's notes on it."""

    network: Any
    notes: dict[str, Any]


class WhisperxAligner:
    """The model of the configured language is loaded at start, that of another when it is first spoken.

    progressed: called at the beginning of each segment: what was before it is done."""

    def __init__(self, settings: StageSettings) -> None:
        self._settings = settings
        self._device = "cpu"
        self._whisperx: Any = None
        self.progressed: Callable[[], None] = lambda: None
        self._models: dict[str, AlignmentModel] = {}  # the one used last is last

    def load(self) -> None:
        """Raises EngineUnavailable where whisperx, the device or the model of the configured language is missing, or
        the model is corrupt; PyTorch's error where GPU memory does not suffice."""
        language = self._settings.asr.language
        first = model_files.wanted(self._settings, language)
        if first is None and language != "auto":
            raise no_model_known(language)
        if first is not None:
            model_files.directory(first)  # before the import, which takes seconds
        self._whisperx = import_whisperx()
        self._device = torch_device.find("alignment.device", self._settings.alignment.device)
        if first is not None:
            self._model(first)

    def warm_up(self) -> None:
        """Raises EngineUnavailable where a loaded model does not work."""
        noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32) * np.float32(0.001)
        for name, model in self._models.items():
            try:
                self._aligned(Segment(0.0, 1.0, WARM_UP_TEXT, ()), noise, model, "en")
            except Exception as error:
                raise EngineUnavailable(
                    f"the alignment model {name!r} does not run here ({one_line(error)}): set alignment.model to a "
                    f'wav2vec2 model for CTC, alignment.device to "cpu", {ELSE}'
                ) from error

    def align(self, segments: Sequence[Segment], audio: Audio, language: str) -> Alignment:
        """Words and their times. Raises only what says that GPU memory did not suffice.

        Segments' times become those of their words. language: ISO 639-1 code.
        """
        name = model_files.wanted(self._settings, language)
        try:
            if name is None:
                raise no_model_known(language)
            model = self._model(name)
        except EngineUnavailable as error:
            log.warning("alignment_failed", language=language, reason=str(error))
            return Alignment("", (None,) * len(segments))
        return Alignment(Path(name).name, tuple(self._attempt(each, audio, model, language) for each in segments))

    def release(self) -> None:
        """Give back what PyTorch keeps for later, on a GPU."""
        torch_device.release(self._device)

    def gpu_memory(self) -> GpuMemory | None:
        """What the whole process holds; None on the CPU."""
        return torch_device.gpu_memory(self._device)

    def close(self) -> None:
        self._models.clear()
        self.release()

    def _model(self, name: str) -> AlignmentModel:
        """Loaded where it is not yet, in place of the one unused for longest. Raises EngineUnavailable."""
        model = self._models.pop(name, None)
        if model is None:
            directory = model_files.directory(name)
            if len(self._models) == KEPT:
                del self._models[next(iter(self._models))]
                self.release()
            began = clock.monotonic()
            model = open_model(self._whisperx, directory, self._device)
            seconds = round(clock.monotonic() - began, 1)
            log.info("alignment_model_loaded", model=name, device=self._device, seconds=seconds)
        self._models[name] = model
        return model

    def _attempt(self, segment: Segment, audio: Audio, model: AlignmentModel, language: str) -> Segment | None:
        self.progressed()
        try:
            return self._aligned(segment, audio, model, language)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            # Other libraries' messages may quote what was said.
            reason = str(error) if isinstance(error, EngineFailed) else type(error).__name__
            log.warning("alignment_failed", language=language, reason=reason)
            return None

    def _aligned(self, segment: Segment, audio: Audio, model: AlignmentModel, language: str) -> Segment:
        """Raises EngineFailed or any exception."""
        duration = len(audio) / SAMPLE_RATE
        start, end = (min(max(moment, 0.0), duration) for moment in (segment.start, segment.end))
        audible = characters.audible(segment.text, model.notes["dictionary"])
        found = self._whisperx.align(
            [{"start": start, "end": end, "text": "".join(segment.text[index] for index in audible)}],
            model.network,
            {**model.notes, "language": language},
            audio,
            self._device,
            return_char_alignments=True,
        )["segments"]
        if not found or not found[0]["words"]:  # whisperx never raises
            raise EngineFailed("the text does not fit into the audio")
        timings = dict(zip(audible, found[0]["chars"], strict=True))
        words = into_words(characters.timed(segment.text, timings, start, end), language)
        return Segment(words[0].start, words[-1].end, segment.text, words)


# --- whisperx and its models -------------------------------------------------------------------------


def import_whisperx() -> Any:
    """Its alignment module, with what it must not do taken out. Raises EngineUnavailable."""
    offline.enforce()
    try:
        from whisperx import alignment
    except (ImportError, OSError) as error:  # OSError: a library that PyTorch needs
        raise EngineUnavailable(
            f"word times by whisperx need a package that can't be imported ({one_line(error)}): "
            f'run `uv pip install --torch-backend=auto ".[gpu]"`, {ELSE}'
        ) from error
    alignment.nltk_load = lambda resource: OneSentence()
    alignment.nltk.download = refuse_download
    logging.getLogger(alignment.__name__).disabled = True
    return alignment


class OneSentence:
    """In place of NLTK's sentence splitter: with it, segments stay whole and no tables are needed."""

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


def refuse_download(*arguments: Any, **options: Any) -> NoReturn:
    """Should a version of whisperx ask NLTK by another way, its segments stay unaligned."""
    raise EngineFailed("whisperx wants to download tables of NLTK")


def open_model(whisperx: Any, directory: Path, device: str) -> AlignmentModel:
    """Raises EngineUnavailable; PyTorch's error where GPU memory does not suffice."""
    try:
        with redirect_stdout(io.StringIO()):  # it prints what it raises
            network, notes = whisperx.load_align_model("", device, model_name=str(directory), model_cache_only=True)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise EngineUnavailable(
            f"the alignment model in '{directory}' can't be loaded ({one_line(error.__context__ or error)}): "
            f"run `wernicke models pull` to have it whole, {ELSE}"
        ) from error
    return AlignmentModel(network, notes)


def no_model_known(language: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"no alignment model is known for the language {language!r}: put a wav2vec2 model for it in alignment.model, "
        f"{ELSE}"
    )
