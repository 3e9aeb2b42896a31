"""Recognition with Whisper on CTranslate2. Models are read from this machine only, never downloaded."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from ipc import gpu
from ipc.audio_handle import SAMPLE_RATE, Audio
from ipc.errors import EngineFailed, EngineUnavailable, one_line
from ipc.messages import AsrResult, AsrWork, GpuMemory, JobKind, StageName, Work
from ipc.settings import AsrSettings, StageSettings
from stages import offline
from stages.asr import cublas, echoes
from stages.asr.compute_type import ComputeTypeChoice, choose, gpu_needs
from stages.asr.languages import pick
from stages.asr.whisper_files import ELSE, check_mels, model_directory
from stages.asr.whisper_prompt import NOTHING_TOLD, WhisperPrompt, make_prompt
from stages.asr.whisper_words import to_segments
from stages.engine import ReadAudio

SAMPLED_TEXTS = 5
"""Of which the likeliest is taken where decoding samples (temperature above 0): OpenAI's and faster-whisper's."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_never_deleted: list[Any] = []


class FasterWhisper:
    """`faster_whisper` in config.toml.

    A job's result does not depend on other jobs, with one exception that Whisper itself makes: where its text is
    improbable or repeats itself, it is decoded again by sampling, and CTranslate2 has one random sequence.
    """

    name = "faster_whisper"
    live = True

    def __init__(self, stage: StageName, settings: StageSettings) -> None:
        self.model = Path(settings.asr.model).name
        self._settings = settings.asr
        self._device = "cpu"
        self._whisper: Any = None

    def load(self) -> None:
        """Raises EngineUnavailable where the model, the device, its memory or the language is not to be had."""
        offline.enforce()
        directory = model_directory(self._settings.model)
        self._device = self._find_device()
        if self._device == "cuda":
            cublas.make_findable()
        self._whisper = self._open(directory, self._compute_type(directory))
        check_mels(self._whisper, directory)
        for setting, language in self._wanted_languages():
            if not self._knows(language):
                raise EngineUnavailable(
                    f"the Whisper model {self.model} does not know the language {language!r} of {setting}: set another "
                    "language, or put a multilingual model in asr.model"
                )

    def warm_up(self) -> None:
        """Raises EngineUnavailable: on a GPU, missing libraries show only when they are first needed."""
        noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
        try:
            options = decoding(self._settings, share=1, kind="firm")
            self._transcribe(noise * np.float32(0.001), self._settings.language, NOTHING_TOLD, options)
        except Exception as error:
            raise EngineUnavailable(
                f"the Whisper model {self.model} does not run here ({one_line(error)}): for a GPU install "
                'nvidia-cublas-cu12, or set asr.device = "cpu"'
            ) from error

    def process(self, work: Work, read_audio: ReadAudio) -> AsrResult:
        """Raises EngineFailed where the model does not know the client's language, JobCancelled, StaleHandle."""
        return self._recognise(work, read_audio, share=1)

    def process_smaller(self, work: Work, read_audio: ReadAudio) -> AsrResult:
        """Half the beam, and half the texts where decoding samples: what is decoded at once is Whisper's batch."""
        return self._recognise(work, read_audio, share=2)

    def stop_when(self, unwanted: Callable[[], bool]) -> None:
        """Asked before each attempt at a text."""
        self._whisper.unwanted = unwanted

    def tell_progress(self, progressed: Callable[[], None]) -> None:
        """Of each attempt at a text."""
        self._whisper.progressed = progressed

    def release(self) -> None:
        """Nothing to do, and no way to do it: CTranslate2 gives cached memory back when its queue is empty, which is
        after each job (by default it allocates with cudaMallocAsync, whose pool shrinks when the worker goes idle;
        elsewhere with CUB, which keeps 200 MB at most). So CT2_CUDA_ALLOCATOR is left alone: cub_caching would keep
        more. Its unload_model() would take the weights as well."""

    def gpu_memory(self) -> GpuMemory | None:
        """Nothing of it is PyTorch's, and CTranslate2 does not say how much it has; the driver does, but not on
        Windows."""
        return None if self._device == "cpu" else GpuMemory(0, 0, gpu.process_mib(os.getpid()))

    def close(self) -> None:
        """Leaves the model to the end of the process: deleting it can crash CTranslate2 on Windows (its issue 1782)."""
        _never_deleted.append(self._whisper)

    def _recognise(self, work: Work, read_audio: ReadAudio, share: int) -> AsrResult:
        if not isinstance(work, AsrWork):
            raise TypeError(f"an asr engine was given {type(work).__name__}")
        if not self._knows(work.language):
            raise EngineFailed(f"the Whisper model {self.model} does not know the language {work.language!r}")
        audio, options = read_audio(work.audio), decoding(self._settings, share, work.kind)
        speech_s = sum(end - start for start, end in work.speech) or work.audio.seconds
        self._whisper.pick_language = partial(pick, self._settings.languages, work.spoken, speech_s)
        prompt = make_prompt(work.glossary, work.context, self._encode)
        found = self._transcribe(audio, work.language, prompt, options)
        if prompt == NOTHING_TOLD:
            return found
        doubtful = echoes.doubtful_echoes(found.segments, work.glossary, work.context)
        if found.segments and not doubtful:
            return found
        untold = self._transcribe(audio, work.language, NOTHING_TOLD, options)
        sound = echoes.sound_of(found.language)
        if found.segments and echoes.all_said(doubtful, found.segments, untold.segments, sound):
            return found
        log.info("prompt_left_out", audio_s=round(len(audio) / SAMPLE_RATE, 1), echoes=len(doubtful))
        return untold

    def _transcribe(self, audio: Audio, language: str, prompt: WhisperPrompt, options: dict[str, Any]) -> AsrResult:
        found, info = self._whisper.transcribe(
            audio,
            language=None if language == "auto" else language,
            vad_filter=False,
            **prompt._asdict(),
            **options,
        )
        segments = tuple(to_segments(found, len(audio) / SAMPLE_RATE))
        alignment = "whisper" if options["word_timestamps"] else "none"
        return AsrResult(info.language, float(info.language_probability), segments, alignment)

    def _encode(self, text: str) -> list[int]:
        return list(self._whisper.hf_tokenizer.encode(text, add_special_tokens=False).ids)

    def _wanted_languages(self) -> list[tuple[str, str]]:
        """With the setting that wants it."""
        more = [("asr.languages", language) for language in self._settings.languages]
        return [("asr.language", self._settings.language), *more]

    def _knows(self, language: str) -> bool:
        return language == "auto" or language in self._whisper.supported_languages

    def _find_device(self) -> str:
        from ctranslate2 import get_cuda_device_count

        wanted, found = self._settings.device, get_cuda_device_count()
        if wanted.startswith("cuda") and not found:
            raise EngineUnavailable(
                f'asr.device is "{wanted}" but no such CUDA device was found: install the NVIDIA driver, '
                'or set asr.device = "cpu"'
            )
        return "cuda" if found and wanted != "cpu" else "cpu"

    def _compute_type(self, directory: Path) -> str:
        from ctranslate2 import get_supported_compute_types

        wanted, supported = self._settings.compute_type, get_supported_compute_types(self._device)
        needs, free = self._memory(directory) if self._device == "cuda" else ({}, None)
        choice = choose(wanted, supported, needs, free)
        log.info(
            "asr_compute_type",
            device=self._device,
            wanted=wanted,
            supported=sorted(supported),
            chosen=choice.compute_type,
            needed_mib=choice.needed_mib,
            free_mib=free,
        )
        if not choice.fits:
            raise self._too_big(choice, free)
        return choice.compute_type

    def _memory(self, directory: Path) -> tuple[dict[str, int], int | None]:
        """MiB on the GPU: what the model needs, by compute type, and what is free."""
        card = gpu.figures(gpu.number(self._settings.device) or 0)
        needs = gpu_needs(self._settings.model, (directory / "model.bin").stat().st_size)
        return needs, card["free_mib"] if card else None

    def _too_big(self, choice: ComputeTypeChoice, free_mib: int | None) -> EngineUnavailable:
        return EngineUnavailable(
            f"the Whisper model {self.model} needs {choice.needed_mib} MiB of GPU memory as {choice.compute_type} and "
            f"{free_mib} MiB are free: close other programs that use the GPU, put a smaller model in asr.model, or "
            'set asr.device = "cpu"'
        )

    def _open(self, directory: Path, compute_type: str) -> Any:
        from stages.asr.short_context import ShortContextModel

        try:
            return ShortContextModel(
                str(directory),
                device=self._device,
                compute_type=compute_type,
                cpu_threads=self._settings.cpu_threads,
                local_files_only=True,
            )
        except Exception as error:
            raise EngineUnavailable(
                f"the Whisper model in '{directory}' can't be loaded as {compute_type} on {self._device} "
                f"({one_line(error)}): run `wernicke models verify` to see whether its files are whole, "
                f"change asr.compute_type, {ELSE}"
            ) from error


def decoding(settings: AsrSettings, share: int, kind: JobKind) -> dict[str, Any]:
    """How a text is searched for, as options of faster-whisper's transcribe(). share: 2 keeps half as many at once.

    A live text is the likeliest next piece after piece, looked for once and not timed. Within an utterance the text so
    far is no condition of the text to come: that feeds loops of invented text.
    """
    live = kind == "live"
    return {
        "beam_size": 1 if live else max(1, settings.beam_size // share),
        "best_of": max(1, SAMPLED_TEXTS // share),
        "temperature": settings.temperatures[:1] if live else settings.temperatures,
        "word_timestamps": not live,
        "no_speech_threshold": settings.no_speech_threshold,
        "log_prob_threshold": settings.log_prob_threshold,
        "compression_ratio_threshold": settings.compression_ratio_threshold,
        "condition_on_previous_text": False,
    }
