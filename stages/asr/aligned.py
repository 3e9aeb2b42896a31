"""Recognition that is checked against the speech there is, and whose words are words of the language, timed by another
model where there is one."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

import structlog
from msgspec.structs import replace

from ipc.audio_handle import Audio, AudioHandle
from ipc.errors import JobCancelled, one_line
from ipc.messages import AsrResult, AsrWork, GpuMemory, Result, Work
from ipc.settings import StageSettings
from stages.asr.alignment import model_files
from stages.asr.alignment.whisperx import Alignment, WhisperxAligner
from stages.asr.alignment.words import into_words
from stages.asr.checked import checked
from stages.asr.doubts import with_doubts
from stages.asr.phantoms import Phantoms, phrases
from stages.asr.written import written
from stages.engine import Engine, GpuEngine, LiveEngine, ReadAudio, SteppingEngine, StoppableEngine
from stages.gpu.errors import is_out_of_memory

ALIGNMENT_UNAVAILABLE: Final = "ALIGNMENT_UNAVAILABLE"
TIMES_WORDS_ITSELF = "pocketsphinx"
"""By the sounds it heard, which is alignment already."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def with_alignment(engine: Engine, settings: StageSettings) -> Engine:
    """engine: a recogniser."""
    return Aligned(engine, settings)


class Aligned:
    """A recogniser and, where `alignment.engine` allows it and all is there, whisperx.

    What can't be aligned keeps the recogniser's own times, and the result says so in its warnings. If that is so of a
    few segments only, `alignment` names the model, which has timed the others.
    """

    def __init__(self, recogniser: Engine, settings: StageSettings) -> None:
        self.name = recogniser.name  # the recogniser's
        self.model = recogniser.model  # the recogniser's, known for certain after `load`
        self.live = isinstance(recogniser, LiveEngine) and recogniser.live  # does live jobs
        self._recogniser = recogniser  # what hears the words
        self._settings = settings  # which aligner is wanted
        self._phantoms = Phantoms((), settings)  # what nobody said; the phrases are read by `load`
        # None before `load`, and where words keep the times of the recogniser.
        self._aligner: WhisperxAligner | None = None
        self._unwanted: Callable[[], bool] = lambda: False  # whether the job under way was cancelled

    def load(self) -> None:
        """Raises EngineUnavailable, also where `alignment.engine` is "whisperx" and that is not to be had."""
        self._phantoms = Phantoms(phrases(self._settings.asr.phantoms), self._settings)
        self._recogniser.load()
        self.model = self._recogniser.model
        if self.name == TIMES_WORDS_ITSELF and self._settings.alignment.engine != "whisperx":
            return
        self._aligner, why = choose(self._settings)
        log.info("alignment_chosen", engine="whisperx" if self._aligner else "whisper", why=why)

    def warm_up(self) -> None:
        """The aligner is warm: what is chosen depends on whether it works."""
        self._recogniser.warm_up()
        if self._settings.asr.language in ("ja", "auto"):
            into_words((), "ja")  # reads the dictionary

    def process(self, work: Work, read_audio: ReadAudio) -> AsrResult:
        return self._process(self._recogniser.process, work, read_audio)

    def process_smaller(self, work: Work, read_audio: ReadAudio) -> AsrResult:
        """Alignment takes segments one at a time anyway, and sees to its own lack of memory."""
        recogniser = self._recogniser
        smaller = recogniser.process_smaller if isinstance(recogniser, GpuEngine) else recogniser.process
        return self._process(smaller, work, read_audio)

    def stop_when(self, unwanted: Callable[[], bool]) -> None:
        """Asked before words are aligned, and by the recogniser when it likes."""
        self._unwanted = unwanted
        if isinstance(self._recogniser, StoppableEngine):
            self._recogniser.stop_when(unwanted)

    def tell_progress(self, progressed: Callable[[], None]) -> None:
        """Of the recogniser, and of each segment that is aligned."""
        if isinstance(self._recogniser, SteppingEngine):
            self._recogniser.tell_progress(progressed)
        if self._aligner is not None:
            self._aligner.progressed = progressed

    def release(self) -> None:
        if isinstance(self._recogniser, GpuEngine):
            self._recogniser.release()
        if self._aligner is not None:
            self._aligner.release()

    def gpu_memory(self) -> GpuMemory | None:
        """The aligner's figures are those of the process, in which the recogniser has no part of PyTorch's."""
        own = self._aligner.gpu_memory() if self._aligner is not None else None
        if own is None and isinstance(self._recogniser, GpuEngine):
            return self._recogniser.gpu_memory()
        return own

    def close(self) -> None:
        if self._aligner is not None:
            self._aligner.close()
        self._recogniser.close()

    def _process(self, recognise: Callable[[Work, ReadAudio], Result], work: Work, read_audio: ReadAudio) -> AsrResult:
        if not isinstance(work, AsrWork):
            raise TypeError(f"a recogniser was given {type(work).__name__}")
        read = read_once(work.audio, read_audio)

        def hear(part: AsrWork) -> AsrResult:
            return self._heard(recognise, part, read)

        def hear_and_write(part: AsrWork) -> AsrResult:
            return self._written(hear(part), work.glossary)

        result = checked(work, hear, self._phantoms)
        if work.kind == "live":
            return result
        result = self._written(result, work.glossary)
        return with_doubts(work, result, hear_and_write) if self._settings.asr.second_look else result

    def _written(self, result: AsrResult, glossary: Sequence[str]) -> AsrResult:
        asr = self._settings.asr
        segments = (written(segment, result.language, glossary, asr) for segment in result.segments)
        return replace(result, segments=tuple(segments))

    def _heard(self, recognise: Callable[[Work, ReadAudio], Result], work: AsrWork, read: ReadAudio) -> AsrResult:
        result = recognise(work, read)
        if not isinstance(result, AsrResult):
            raise TypeError(f"a recogniser made {type(result).__name__}")
        if work.kind == "live":
            return result
        if self._unwanted():
            raise JobCancelled("the job is no longer wanted")
        return self._timed(in_words(result), read(work.audio))

    def _timed(self, result: AsrResult, audio: Audio) -> AsrResult:
        if self._aligner is None or not result.segments:
            return result
        return with_times(result, align(self._aligner, result, audio))


def read_once(whole: AudioHandle, read_audio: ReadAudio) -> ReadAudio:
    """Reads that and parts of it: by the time they are wanted the audio may be gone from where it was."""
    read = cache(lambda: read_audio(whole))
    return lambda part: read()[part.start - whole.start : part.end - whole.start]


def choose(settings: StageSettings) -> tuple[WhisperxAligner | None, str]:
    """An aligner that works, None for the recogniser's own times; and why. Raises EngineUnavailable."""
    alignment = settings.alignment
    if alignment.engine == "whisper":
        return None, "as configured"
    configured = alignment.engine == "whisperx"
    any_language = settings.asr.language == alignment.model == "auto"
    if any_language and not configured and not model_files.any_known():
        return None, "no alignment model is on this machine; `wernicke models pull` fetches one"
    aligner = WhisperxAligner(settings)
    try:
        aligner.load()
        aligner.warm_up()
        return aligner, "as configured" if configured else "the best there is"
    except Exception as error:
        if configured:
            raise
        why = one_line(error)
    aligner.close()  # outside the except block, where its traceback would hold the model
    return None, why


def align(aligner: WhisperxAligner, result: AsrResult, audio: Audio) -> Alignment:
    """Tried a second time where GPU memory did not suffice. Then the recogniser's own times do: a recognised text is
    not given up, or recognised again with less care, for those of its words."""
    for _ in range(2):
        try:
            return aligner.align(result.segments, audio, result.language)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        log.warning("alignment_failed", language=result.language, reason="GPU memory did not suffice")
        aligner.release()  # outside the except block, where its traceback would hold what is to be released
    return Alignment("", (None,) * len(result.segments))


def in_words(result: AsrResult) -> AsrResult:
    """Whisper's Japanese words are pieces of its vocabulary; those of other languages are words, or characters."""
    if result.language != "ja":
        return result
    segments = (replace(segment, words=into_words(segment.words, "ja")) for segment in result.segments)
    return replace(result, segments=tuple(segments))


def with_times(result: AsrResult, alignment: Alignment) -> AsrResult:
    """The result with the segments that were aligned in place of its own."""
    segments = tuple(new or old for new, old in zip(alignment.segments, result.segments, strict=True))
    complete = None not in alignment.segments
    return replace(
        result,
        segments=segments,
        alignment=alignment.model if any(alignment.segments) else result.alignment,
        warnings=result.warnings if complete else (*result.warnings, ALIGNMENT_UNAVAILABLE),
    )
