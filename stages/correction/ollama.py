"""Correction by an LLM that an Ollama server runs.

No trouble with the LLM fails a job: texts that it could not correct stand as they were recognised, and the result
says why. A job that is cancelled has its request closed, which is no trouble with the LLM. One request goes at a time;
how many jobs wait here is bounded by `runtime.credit`, the rest wait in the front, where their deadline runs.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import httpx
import structlog

from ipc import clock
from ipc.errors import EngineUnavailable, JobCancelled
from ipc.messages import CorrectionResult, CorrectionWork, Refusal, StageName, Work
from ipc.settings import StageSettings
from stages.correction import fitting, prompt_files
from stages.correction import request as prompts
from stages.correction.guard import verdict
from stages.correction.ollama_server import ModelServer, reason
from stages.correction.prompt_files import CorrectionPrompt
from stages.engine import ReadAudio
from stages.phonetics.readings import Reader

WARM_UP_TEXT = "one two three"
WAIT_FOR_SERVER_S = 30.0
"""Where Ollama is what config.toml names: at logon both are started, in any order."""

SHORTENED_AGAIN_S = 600.0
"""Between two lines about prompts that were shortened: a long glossary shortens every one for as long as it is used."""

LLM_TIMEOUT: Final = "LLM_TIMEOUT"
LLM_UNAVAILABLE: Final = "LLM_UNAVAILABLE"
LLM_INVALID_ANSWER: Final = "LLM_INVALID_ANSWER"

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class OllamaCorrection:
    """Texts in batches, each one chat with structured output; every correction passes the guard or is refused.
    A StoppableEngine."""

    name = "ollama"

    def __init__(self, stage: StageName, settings: StageSettings) -> None:
        self.model = settings.llm.model  # its name at Ollama
        self._settings = settings  # of correction and of the LLM
        self._server: ModelServer | None = None  # from `load` on
        self._prompts: dict[str, CorrectionPrompt] = {}  # by language
        self._read_japanese: Reader | None = None  # kana readings, from `load` on
        self._shortened = 0  # prompts that had to be, since that was last told
        self._shortened_told = -math.inf  # when it was; seconds, monotonic

    def load(self) -> None:
        """Read prompts and dictionary, check that the server answers and has the model. Raises EngineUnavailable."""
        self._prompts = prompt_files.load(self._settings.correction.prompts)
        self._check_context(self._settings.asr.language)
        self._read_japanese = Reader(self._settings.readings)
        self._server = ModelServer(self._settings.llm)
        self._server.connect(WAIT_FOR_SERVER_S if self._settings.correction.engine == "ollama" else 0.0)

    def warm_up(self) -> None:
        """Load the model into the server's memory for good and correct one text. Raises EngineUnavailable."""
        assert self._server is not None
        try:
            self._server.load_model()
            self._ask(self._prompt(self._settings.asr.language), (WARM_UP_TEXT,), (), ())
        except Exception as error:
            raise EngineUnavailable(
                f"Ollama could not run the model {self.model} ({_reason(error)}): "
                f'see Ollama\'s log, choose another llm.model, or set correction.engine = "none"'
            ) from error

    def stop_when(self, unwanted: Callable[[], bool]) -> None:
        """A request that is under way is closed then."""
        assert self._server is not None
        self._server.stop_when(unwanted)

    def process(self, work: Work, read_audio: ReadAudio) -> CorrectionResult:
        """Never raises for trouble with the LLM: see the result's warnings. Raises JobCancelled."""
        assert isinstance(work, CorrectionWork)
        heard = [text.strip() for text in work.texts]
        trouble = self._trouble() if any(heard) else None
        if trouble is not None:
            return CorrectionResult((None,) * len(heard), (), (trouble,))
        num_ctx, most = self._settings.llm.num_ctx, self._settings.correction.segments_per_request
        batches = fitting.batches(self._prompt(work.language), heard, most, num_ctx)
        too_long = sum(map(bool, heard)) - sum(map(len, batches))
        if too_long:
            log.warning("llm_text_too_long", segments=too_long, num_ctx=num_ctx)
        return self._corrected(work, batches, (LLM_UNAVAILABLE,) if too_long else ())

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def _check_context(self, language: str) -> None:
        num_ctx, least = self._settings.llm.num_ctx, fitting.least_context(self._prompt(language))
        if num_ctx < least:
            raise EngineUnavailable(
                f"llm.num_ctx has no room for what the model is told about language {language} and a text: "
                f"set it to {least} or more, got {num_ctx}, or shorten the prompt file (correction.prompts)"
            )

    def _trouble(self) -> str | None:
        """The warning to give at once, where a request would wait for a model that is not loaded."""
        assert self._server is not None
        try:
            return None if self._server.has_model_loaded() else LLM_UNAVAILABLE
        except JobCancelled:
            raise
        except Exception as error:
            return _failed(error, 0)

    def _corrected(
        self, work: CorrectionWork, batches: Sequence[Sequence[int]], so_far: Sequence[str]
    ) -> CorrectionResult:
        """batches: indices of texts. so_far: warnings."""
        texts: list[str | None] = [None] * len(work.texts)
        refused: list[Refusal] = []
        warnings = dict.fromkeys(so_far)
        until = clock.monotonic() + self._settings.correction.deadline_s
        for batch in batches:
            if clock.monotonic() >= until:
                warnings[LLM_TIMEOUT] = None
                break  # the text has gone out without this job's result, and the next job waits
            answer, warning = self._correct(work, batch)
            if warning is not None:
                warnings[warning] = None
            if warning in (LLM_TIMEOUT, LLM_UNAVAILABLE):
                break  # the rest would only wait for the same server
            for index, corrected in zip(batch, answer, strict=False):
                texts[index], why = self._judge(work, work.texts[index], corrected)
                refused += why[:1]
        return CorrectionResult(tuple(texts), tuple(refused), tuple(warnings))

    def _correct(self, work: CorrectionWork, batch: Sequence[int]) -> tuple[list[str], str | None]:
        """The LLM's texts and no warning, or no texts and the warning. Raises JobCancelled."""
        texts = [work.texts[index].strip() for index in batch]
        earlier = (*work.context, *work.texts[: batch[0]])
        context = earlier[max(0, len(earlier) - self._settings.correction.context_lines) :]
        try:
            return self._ask(self._prompt(work.language), texts, work.glossary, context), None
        except JobCancelled:
            raise
        except Exception as error:  # whatever the client raises, the recognised texts stand
            return [], _failed(error, len(batch))

    def _ask(
        self, prompt: CorrectionPrompt, texts: Sequence[str], glossary: Sequence[str], context: Sequence[str]
    ) -> list[str]:
        """One request, with as much of glossary and context as there is room for. texts: that fit, without blanks
        around them. Raises InvalidAnswer and whatever the client raises."""
        assert self._server is not None
        request = fitting.fit(prompt, texts, glossary, context, self._settings.llm.num_ctx)
        if request.terms_left_out or request.lines_left_out:
            self._note_shortened(request)
        response = self._server.chat(request.messages, prompts.answer_format(len(texts)), request.answer_tokens)
        if response.done_reason == "length":
            raise prompts.InvalidAnswer("the answer was cut off at its longest permitted length")
        return prompts.read_answer(response.message.content or "", len(texts))

    def _note_shortened(self, request: fitting.Request) -> None:
        """Count it, and tell when that begins and then now and again."""
        self._shortened += 1
        now = clock.monotonic()
        if now - self._shortened_told < SHORTENED_AGAIN_S:
            return
        terms, lines = request.terms_left_out, request.lines_left_out
        log.info("llm_prompt_shortened", terms=terms, lines=lines, requests=self._shortened)
        self._shortened, self._shortened_told = 0, now

    def _prompt(self, language: str) -> CorrectionPrompt:
        return prompt_files.for_language(self._prompts, language)

    def _judge(self, work: CorrectionWork, original: str, corrected: str) -> tuple[str | None, tuple[Refusal, ...]]:
        """What replaces the recognised text (None: nothing), and why edits were refused."""
        original, corrected = original.strip(), corrected.strip()
        if corrected == original:
            return None, ()
        read = self._read_japanese if work.language == "ja" else None
        text, refused = verdict.permitted(original, corrected, work.glossary, read)
        return (None if text == original else text), refused


def _failed(error: Exception, segments: int) -> str:
    """The warning for a failed request, which is logged."""
    warning = _warning(error)
    log.warning("llm_request_failed", code=warning, segments=segments, reason=_reason(error))
    return warning


def _warning(error: Exception) -> str:
    """The protocol's code. ValueError covers JSONDecodeError, UnicodeDecodeError and pydantic's ValidationError;
    a TypeError is the client's answer to JSON that is no object."""
    if isinstance(error, httpx.ConnectTimeout):
        return LLM_UNAVAILABLE
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return LLM_TIMEOUT
    return LLM_INVALID_ANSWER if isinstance(error, ValueError | TypeError) else LLM_UNAVAILABLE


def _reason(error: Exception) -> str:
    """Our own words quote nothing of what was said."""
    return str(error) if isinstance(error, prompts.InvalidAnswer) else reason(error)
