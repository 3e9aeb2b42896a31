"""Recognition with Whisper on CTranslate2. Models are read from this machine only, never downloaded."""

import os
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import structlog

from ipc.audio_handle import SAMPLE_RATE
from ipc.errors import EngineFailed, EngineUnavailable
from ipc.messages import AsrResult, AsrWork, Segment, StageName, Word, Work
from ipc.settings import StageSettings
from stages.stage import Audio, ReadAudio

FILES = ("model.bin", "config.json", "tokenizer.json")
"""Of a model directory, with vocabulary.json or .txt. Without tokenizer.json the hub would be asked."""
COMPUTE_TYPES = ("float16", "int8_float16", "int8", "float32")
"""In the order in which one that a device lacks is replaced: as fast and small as that device allows."""
HALF_CHARACTER = "\N{REPLACEMENT CHARACTER}"
"""What a token that holds a part of a character's bytes is decoded to."""
ELSE = "put a local directory in asr.model, or start with --profile embedded for English"

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class FoundWord(Protocol):
    """A word as faster-whisper gives it; the numbers may be numpy's. start, end: seconds."""

    start: float
    end: float
    word: str
    probability: float


class FoundSegment(Protocol):
    """A segment as faster-whisper gives it; words is None where the model can't time them."""

    start: float
    end: float
    text: str
    words: Sequence[FoundWord] | None


class FasterWhisper:
    """`faster_whisper` in config.toml.

    A job's result does not depend on other jobs, with one exception that Whisper itself makes: where its text is
    improbable or repeats itself, it is decoded again by sampling, and CTranslate2 has one random sequence.
    """

    name = "faster_whisper"

    def __init__(self, stage: StageName, settings: StageSettings) -> None:
        self.model = Path(settings.asr.model).name
        self._settings = settings.asr
        self._whisper: Any = None

    def load(self) -> None:
        """Raises EngineUnavailable where the model, the device or the language is not to be had."""
        os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported, by faster_whisper
        make_cublas_findable()
        directory = model_directory(self._settings.model)
        device = self._device()
        self._whisper = self._open(directory, device, self._compute_type(device))
        check_mels(self._whisper, directory)
        if not self._knows(self._settings.language):
            raise EngineUnavailable(
                f"the Whisper model {self.model} does not know the language {self._settings.language!r} of "
                "asr.language: set another language, or put a multilingual model in asr.model"
            )

    def warm_up(self) -> None:
        """Raises EngineUnavailable: on a GPU, missing libraries show only when they are first needed."""
        noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
        try:
            self._transcribe(noise * np.float32(0.001), self._settings.language, ())
        except Exception as error:
            raise EngineUnavailable(
                f"the Whisper model {self.model} does not run here ({one_line(error)}): for a GPU install "
                'nvidia-cublas-cu12, or set asr.device = "cpu"'
            ) from error

    def process(self, work: Work, read_audio: ReadAudio) -> AsrResult:
        """Raises EngineFailed where the model does not know the client's language, StaleHandle."""
        if not isinstance(work, AsrWork):
            raise TypeError(f"an asr engine was given {type(work).__name__}")
        if not self._knows(work.language):
            raise EngineFailed(f"the Whisper model {self.model} does not know the language {work.language!r}")
        return self._transcribe(read_audio(work.audio), work.language, work.glossary)

    def close(self) -> None:
        """Leaves the model to the end of the process, which is next: deleting it can crash CTranslate2 on Windows
        (its issue 1782)."""

    def _transcribe(self, audio: Audio, language: str, glossary: Sequence[str]) -> AsrResult:
        found, info = self._whisper.transcribe(
            audio,
            language=None if language == "auto" else language,
            beam_size=self._settings.beam_size,
            vad_filter=False,
            condition_on_previous_text=False,
            word_timestamps=True,
            hotwords=" ".join(glossary) or None,
        )
        segments = tuple(to_segments(found, len(audio) / SAMPLE_RATE))
        return AsrResult(info.language, float(info.language_probability), segments, alignment="whisper")

    def _knows(self, language: str) -> bool:
        return language == "auto" or language in self._whisper.supported_languages

    def _device(self) -> str:
        from ctranslate2 import get_cuda_device_count

        wanted, found = self._settings.device, get_cuda_device_count()
        if wanted == "cuda" and not found:
            raise EngineUnavailable(
                'asr.device is "cuda" but no CUDA device was found: install the NVIDIA driver, '
                'or set asr.device = "auto"'
            )
        if wanted == "auto":
            return "cuda" if found else "cpu"
        return wanted

    def _compute_type(self, device: str) -> str:
        from ctranslate2 import get_supported_compute_types

        wanted = self._settings.compute_type
        chosen = choose_compute_type(wanted, get_supported_compute_types(device))
        log.info("asr_compute_type", device=device, wanted=wanted, chosen=chosen)
        return chosen

    def _open(self, directory: Path, device: str, compute_type: str) -> Any:
        from faster_whisper import WhisperModel

        try:
            return WhisperModel(
                str(directory),
                device=device,
                compute_type=compute_type,
                cpu_threads=self._settings.cpu_threads,
                local_files_only=True,
            )
        except Exception as error:
            raise EngineUnavailable(
                f"the Whisper model in {directory} can't be loaded as {compute_type} on {device} "
                f"({one_line(error)}): download it again, change asr.compute_type, {ELSE}"
            ) from error


# --- where the model and its libraries are -----------------------------------------------------------


def model_directory(model: str) -> Path:
    """The directory that asr.model names, or where the hub's client has put that model. Raises EngineUnavailable."""
    directory = Path(model) if Path(model).is_dir() else downloaded(model)
    missing = [name for name in FILES if not (directory / name).is_file()]
    if not any((directory / name).is_file() for name in ("vocabulary.json", "vocabulary.txt")):
        missing.append("vocabulary.json")
    if missing:
        raise EngineUnavailable(
            f"the Whisper model in {directory} lacks {', '.join(missing)}: complete it (a model for CTranslate2 "
            f"is needed, like `hf download Systran/faster-whisper-large-v3` brings), {ELSE}"
        )
    return directory


def downloaded(model: str) -> Path:
    """Raises EngineUnavailable where the model was never downloaded, or where no model has such a name."""
    from faster_whisper.utils import _MODELS, download_model

    try:
        return Path(download_model(model, local_files_only=True))
    except OSError as error:
        raise EngineUnavailable(
            f"the Whisper model {model!r} is not on this machine: run `hf download {_MODELS.get(model, model)}`, {ELSE}"
        ) from error
    except ValueError as error:
        raise EngineUnavailable(
            f"asr.model is {model!r}, which is no directory here, no hub id and none of {', '.join(_MODELS)}: "
            f"correct it, {ELSE}"
        ) from error


def check_mels(whisper: Any, directory: Path) -> None:
    """Without preprocessor_config.json 80 mel bands are assumed, and large-v3 has 128. Raises EngineUnavailable."""
    if whisper.model.n_mels != whisper.feature_extractor.mel_filters.shape[0]:
        raise EngineUnavailable(
            f"preprocessor_config.json in {directory} is missing or does not fit the model, which takes "
            f"{whisper.model.n_mels} mel bands: download it again, {ELSE}"
        )


def make_cublas_findable() -> None:
    """CTranslate2's Windows wheel loads cuBLAS by name and does not bring it; nvidia-cublas-cu12 does."""
    if sys.platform == "win32":
        for directory in cublas_directories():
            os.add_dll_directory(directory)
            os.environ["PATH"] = directory + os.pathsep + os.environ.get("PATH", "")


def cublas_directories() -> list[str]:
    """Where the package nvidia-cublas-cu12 has its DLLs; none where it is not installed."""
    try:
        package = find_spec("nvidia.cublas")
    except ModuleNotFoundError:
        return []
    places = package.submodule_search_locations if package is not None else None
    return [str(Path(place) / "bin") for place in places or () if (Path(place) / "bin").is_dir()]


def choose_compute_type(wanted: str, supported: Collection[str]) -> str:
    """The wanted type, or the next of COMPUTE_TYPES that the device supports.

    A type that is not among them is left to CTranslate2 to judge.
    """
    if wanted in supported or wanted not in COMPUTE_TYPES:
        return wanted
    rest = COMPUTE_TYPES[COMPUTE_TYPES.index(wanted) + 1 :]
    return next((compute_type for compute_type in rest if compute_type in supported), wanted)


def one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


# --- what was recognised -----------------------------------------------------------------------------


def to_segments(found: Iterable[FoundSegment], duration_s: float) -> Iterator[Segment]:
    """Segments that hold text, in order, all times within the audio (Whisper's may lie past its end)."""
    earliest = 0.0
    for segment in found:
        text = segment.text.replace(HALF_CHARACTER, "").strip()
        if text:
            start, end = within(segment.start, segment.end, earliest, duration_s)
            words = tuple(timed(spelled(segment.words or (), text), earliest, duration_s))
            if words:
                start, end = words[0].start, words[-1].end
            yield Segment(start, end, text, words)
            earliest = end


def spelled(found: Iterable[FoundWord], text: str) -> list[Word]:
    """Words that joined are `text`: each reaches from the end of the one before to its own end in the text.

    A word that the text does not have is one with the next: the text holds whole characters only.
    """
    words: list[Word] = []
    position, waiting = 0, None
    for word in map(to_word, found):
        waiting = word if waiting is None else both(waiting, word)
        letters = word.text.strip()
        at = text.find(letters, position) if letters else -1
        if at >= 0:
            end = at + len(letters)
            words.append(spelling(waiting, text[position:end]))
            position, waiting = end, None
    return ended(words, waiting, text[position:])


def ended(words: list[Word], waiting: Word | None, rest: str) -> list[Word]:
    """The words with what is left: a word without its text, text without its word, or both."""
    if waiting is not None and (rest or not words):
        return [*words, spelling(waiting, rest)]
    if not words:
        return []
    last = words[-1] if waiting is None else both(words[-1], waiting)
    return [*words[:-1], spelling(last, words[-1].text + rest)]


def to_word(found: FoundWord) -> Word:
    score = min(1.0, max(0.0, float(found.probability)))
    return Word(float(found.start), float(found.end), found.word, score)


def both(one: Word, two: Word) -> Word:
    """Two words as one, as sure as the less sure of them."""
    return Word(one.start, two.end, one.text + two.text, min(one.score, two.score))


def spelling(word: Word, text: str) -> Word:
    return Word(word.start, word.end, text, word.score)


def timed(words: Iterable[Word], earliest: float, latest: float) -> Iterator[Word]:
    """The words, none before `earliest` or after `latest`, none beginning before the one before has ended."""
    for word in words:
        start, end = within(word.start, word.end, earliest, latest)
        yield Word(start, end, word.text, word.score)
        earliest = end


def within(start: float, end: float, earliest: float, latest: float) -> tuple[float, float]:
    start = min(max(float(start), earliest), latest)
    return start, min(max(float(end), start), latest)
