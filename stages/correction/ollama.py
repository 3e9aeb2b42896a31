"""Correction by an LLM that an Ollama server runs.

The server is another program, which may be slow, gone or wrong at any time. None of that fails a job: texts it
could not correct stand as they were recognised, and the result says why. Requests go one at a time, since the
server queues them anyway and a request given up in its queue costs nothing. The model is loaded in warm_up()
with a time-out of its own: a client that hangs up during a load makes the server abort it.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx
import structlog
from ollama import AsyncClient, ProcessResponse, ResponseError

from ipc.errors import EngineUnavailable
from ipc.messages import CorrectionResult, CorrectionWork, StageName, Work
from ipc.settings import StageSettings
from stages.correction import guard, prompts
from stages.stage import ReadAudio

T = TypeVar("T")

QUICK_S = 5.0
"""Seconds for what takes a running server no inference: to connect, to say what models it has."""
TOKENS_PER_CHARACTER = 3
"""A byte-level vocabulary needs at most one token per UTF-8 byte, and kana and kanji have three bytes."""
TOKENS_PER_SEGMENT = 50
"""For the JSON around a text, with room for punctuation."""
KEEP_LOADED = -1
WARM_UP_TEXT = "one two three"

LLM_TIMEOUT: Final = "LLM_TIMEOUT"
LLM_UNAVAILABLE: Final = "LLM_UNAVAILABLE"
LLM_INVALID_ANSWER: Final = "LLM_INVALID_ANSWER"

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class OllamaCorrection:
    """Texts in batches, each one chat with structured output; every correction passes the guard or is refused."""

    name = "ollama"

    def __init__(self, stage: StageName, settings: StageSettings) -> None:
        self.model = settings.llm.model
        self._settings = settings
        self._runner = asyncio.Runner()
        self._client: AsyncClient | None = None

    def load(self) -> None:
        """Check that the server answers and has the model. Raises EngineUnavailable."""
        host = self._settings.llm.host
        try:
            self._client = self._connect()
            self._run(self._client.list(), QUICK_S)
        except Exception as error:
            raise EngineUnavailable(
                f"no Ollama server answers at {host} ({_reason(error)}): start Ollama, correct llm.host, "
                'or set correction.engine = "none"'
            ) from error
        self._check_model()

    def warm_up(self) -> None:
        """Load the model into the server's memory for good and correct one text. Raises EngineUnavailable."""
        try:
            self._run(self._load_model(), self._settings.llm.load_timeout_s)
            self._run(self._ask((WARM_UP_TEXT,), self._settings.asr.language, (), ()), self._timeout)
            self._report_placement(self._run(self._ready_client.ps(), QUICK_S))
        except Exception as error:
            raise EngineUnavailable(
                f"Ollama could not run the model {self.model} ({_reason(error)}): "
                f'see Ollama\'s log, choose another llm.model, or set correction.engine = "none"'
            ) from error

    def process(self, work: Work, read_audio: ReadAudio) -> CorrectionResult:
        """Never raises for trouble with the LLM: see the result's warnings."""
        assert isinstance(work, CorrectionWork)
        size = self._settings.correction.segments_per_request
        texts: list[str | None] = [None] * len(work.texts)
        spoken = [index for index, text in enumerate(work.texts) if text.strip()]
        refused, warnings = 0, dict[str, None]()
        for batch in (spoken[start : start + size] for start in range(0, len(spoken), size)):
            answer, warning = self._correct(work, batch)
            if warning is not None:
                warnings[warning] = None
            if warning in (LLM_TIMEOUT, LLM_UNAVAILABLE):
                break  # the rest would only wait for the same server
            for index, corrected in zip(batch, answer, strict=False):
                texts[index], was_refused = _judge(work.texts[index], corrected, work.glossary)
                refused += was_refused
        return CorrectionResult(tuple(texts), refused, tuple(warnings))

    def close(self) -> None:
        try:
            if self._client is not None:
                self._runner.run(self._client.close())  # type: ignore[no-untyped-call]
        finally:
            self._runner.close()

    def _connect(self) -> AsyncClient:
        llm = self._settings.llm
        longest = max(llm.timeout_s, llm.load_timeout_s)  # the outer bound; _run() sets that of each request
        return AsyncClient(
            llm.host,
            timeout=httpx.Timeout(longest, connect=QUICK_S),
            # A transport of our own: what was said must not travel through a proxy named in the environment.
            transport=httpx.AsyncHTTPTransport(),
        )

    def _check_model(self) -> None:
        host = self._settings.llm.host
        try:
            self._run(self._ready_client.show(self.model), QUICK_S)
        except Exception as error:
            missing = isinstance(error, ResponseError) and error.status_code == HTTPStatus.NOT_FOUND
            raise EngineUnavailable(
                f"Ollama at {host} does not have the model {self.model}: run `ollama pull {self.model}`, "
                'or set correction.engine = "none"'
                if missing
                else f"Ollama at {host} could not describe the model {self.model} ({_reason(error)}): "
                'restart or update Ollama, or set correction.engine = "none"'
            ) from error

    async def _load_model(self) -> None:
        """An empty prompt loads and generates nothing. num_ctx as in every request: another value reloads."""
        options = {"num_ctx": self._settings.llm.num_ctx}
        await self._ready_client.generate(self.model, "", options=options, keep_alive=KEEP_LOADED)

    def _report_placement(self, running: ProcessResponse) -> None:
        for model in running.models:
            if _full_name(model.model or "") != _full_name(self.model):
                continue
            if model.size and model.size_vram is not None and model.size_vram < model.size:
                log.warning("llm_partly_on_cpu", model=self.model, size=model.size, size_vram=model.size_vram)
            wanted = self._settings.llm.num_ctx
            if model.context_length not in (None, wanted):
                log.warning("llm_context_length", model=self.model, wanted=wanted, actual=model.context_length)

    def _correct(self, work: CorrectionWork, batch: Sequence[int]) -> tuple[list[str], str | None]:
        """The LLM's texts and no warning, or no texts and the warning."""
        texts = [work.texts[index] for index in batch]
        earlier = (*work.context, *work.texts[: batch[0]])
        context = earlier[max(0, len(earlier) - self._settings.correction.context_lines) :]
        try:
            return self._run(self._ask(texts, work.language, work.glossary, context), self._timeout), None
        except Exception as error:  # whatever the client raises, the recognised texts stand
            warning = _warning(error)
            log.warning("llm_request_failed", code=warning, segments=len(batch), reason=_reason(error))
            return [], warning

    async def _ask(
        self, texts: Sequence[str], language: str, glossary: Sequence[str], context: Sequence[str]
    ) -> list[str]:
        """One request. Raises InvalidAnswer and whatever the client raises."""
        llm = self._settings.llm
        tokens = TOKENS_PER_SEGMENT * len(texts) + TOKENS_PER_CHARACTER * sum(map(len, texts))
        response = await self._ready_client.chat(
            self.model,
            prompts.messages([text.strip() for text in texts], language, glossary, context),
            format=prompts.answer_format(len(texts)),
            options={"temperature": llm.temperature, "num_ctx": llm.num_ctx, "num_predict": tokens},
            keep_alive=KEEP_LOADED,
        )
        if response.done_reason == "length":
            raise prompts.InvalidAnswer("the answer was cut off at its longest permitted length")
        return prompts.read_answer(response.message.content or "", len(texts))

    def _run(self, request: Coroutine[Any, Any, T], seconds: float) -> T:
        """httpx bounds each read; this bounds the request as a whole. Raises TimeoutError."""
        return self._runner.run(_within(request, seconds))

    @property
    def _timeout(self) -> float:
        return self._settings.llm.timeout_s

    @property
    def _ready_client(self) -> AsyncClient:
        assert self._client is not None, "load() comes first"
        return self._client


async def _within(request: Coroutine[Any, Any, T], seconds: float) -> T:
    async with asyncio.timeout(seconds):
        return await request


def _judge(original: str, corrected: str, glossary: Sequence[str]) -> tuple[str | None, bool]:
    """What replaces the recognised text (None: nothing), and whether an edit was refused."""
    corrected = corrected.strip()
    if corrected == original.strip():
        return None, False
    accepted = guard.accept(original, corrected, glossary)
    return (corrected if accepted else None), not accepted


def _warning(error: Exception) -> str:
    """The protocol's code. ValueError covers JSONDecodeError, UnicodeDecodeError and pydantic's ValidationError;
    a TypeError is the client's answer to JSON that is no object."""
    if isinstance(error, httpx.ConnectTimeout):
        return LLM_UNAVAILABLE
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return LLM_TIMEOUT
    return LLM_INVALID_ANSWER if isinstance(error, ValueError | TypeError) else LLM_UNAVAILABLE


def _reason(error: Exception) -> str:
    """A few words on one line. Errors of parsing may quote the answer, which is what was said: not for a log."""
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, ConnectionError):
        return "no connection"
    if isinstance(error, ValueError | TypeError) and not isinstance(error, prompts.InvalidAnswer):
        return "not an answer of Ollama's"
    return " ".join(str(error).split())[:200] or type(error).__name__


def _full_name(model: str) -> str:
    """Ollama's name of a model always has a tag."""
    return model if ":" in model else f"{model}:latest"
