"""An Ollama server and the one model of it that corrects.

The server is another program, which may be slow, gone, restarted or wrong at any time. Requests go one at a time,
since it queues them anyway and one given up in its queue costs nothing. It stops working on a request whose connection
is closed, so that of a job that nobody wants any more is closed at once. A load of the model is another matter: a
client that hangs up aborts it, and would ask for it again with the next request. So a load gets a time-out of its
own, and where the model has gone from the server's memory it is loaded again beside the jobs, which do not wait.
"""

import asyncio
import itertools
import math
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, wait
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
import structlog
from ollama import AsyncClient, ChatResponse, ResponseError

from ipc import clock, event_loop
from ipc.errors import EngineUnavailable, JobCancelled
from ipc.model_names import ollama_name
from ipc.settings import LlmSettings
from stages import offline
from stages.engine import LOOK_S

T = TypeVar("T")

QUICK_S = 5.0
"""Seconds for what takes a running server no inference: to connect, to say what models it has."""
RETRY_S = 1.0
"""Between two tries to reach a server that is not there yet."""
LOAD_AGAIN_AFTER_S = 30.0
"""After a load that failed: each one may cost a card that is in use many seconds."""
KEEP_LOADED = -1

NO_CORRECTION = ', or set correction.engine = "none"'

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class ModelServer:
    """Methods are for one thread; requests run in a thread of their own, so that a load can go on between jobs."""

    def __init__(
        self, settings: LlmSettings, keep_alive: int | None = KEEP_LOADED, instead: str = NO_CORRECTION
    ) -> None:
        """keep_alive: for how long the server keeps the model after a request; None leaves that as it is. instead: what
        to do without the server, as the end of a sentence."""
        self._settings = settings  # where it is, its model, and how long is waited
        self._keep_alive = keep_alive
        self._instead = instead
        self._unwanted: Callable[[], bool] = lambda: False  # whether the job under way was cancelled
        self._client: AsyncClient | None = None  # from `connect` on
        self._think: bool | None = None  # what a model that can think aloud is told: not to; None says nothing
        self._loop = event_loop.new()  # of the requests, in a thread of its own
        # runs the loop, from `connect` on
        self._thread = threading.Thread(target=self._loop.run_forever, name="ollama", daemon=True)
        self._loading: Future[None] | None = None  # the load that is under way, or was the last
        self._load_failed_at = -math.inf  # seconds, monotonic

    def connect(self, patience_s: float) -> None:
        """Check that the server answers and has the model. Raises EngineUnavailable.

        patience_s: for how long a server that refuses connections is asked again.
        """
        self._thread.start()
        host = self._settings.host
        try:
            offline.permit(host)
            self._client = self._new_client()
            self._wait_for_server(patience_s)
        except Exception as error:
            raise EngineUnavailable(
                f"no Ollama server answers at {host} ({reason(error)}): "
                f"start Ollama, or correct llm.host{self._instead}"
            ) from error
        self._check_model()

    def stop_when(self, unwanted: Callable[[], bool]) -> None:
        """unwanted: whether the job under way is; its request is closed then. Not so a load."""
        self._unwanted = unwanted

    def load_model(self) -> None:
        """Into the server's memory, for good. Raises whatever the client raises, or TimeoutError."""
        self._run(self._load(), self._settings.load_timeout_s)

    def has_model_loaded(self) -> bool:
        """Asks the server. Where it has not, loading begins, or goes on, in the background. Raises like `chat`."""
        if self._loading is not None and not self._loading.done():
            return False
        running = self._run_while_wanted(self._ready_client.ps(), QUICK_S).models
        if any(ollama_name(model.model or "") == ollama_name(self._settings.model) for model in running):
            return True
        if clock.monotonic() - self._load_failed_at >= LOAD_AGAIN_AFTER_S:
            self._loading = asyncio.run_coroutine_threadsafe(self._load_in_background(), self._loop)
        return False

    def chat(self, messages: Sequence[dict[str, str]], answer_format: dict[str, Any], tokens: int) -> ChatResponse:
        """tokens: of the answer, at most. Within llm.timeout_s. Raises like load_model, or JobCancelled."""
        llm = self._settings
        request = self._ready_client.chat(
            llm.model,
            messages,
            format=answer_format,
            think=self._think,
            options={"temperature": llm.temperature, "num_ctx": llm.num_ctx, "num_predict": tokens},
            keep_alive=self._keep_alive,
        )
        return self._run_while_wanted(request, llm.timeout_s)

    def close(self) -> None:
        """Gives up a load that is going on."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    def _new_client(self) -> AsyncClient:
        longest = max(self._settings.timeout_s, self._settings.load_timeout_s)  # _run() sets that of each request
        return AsyncClient(
            self._settings.host,
            timeout=httpx.Timeout(longest, connect=QUICK_S),
            # A transport of our own: what was said must not travel through a proxy named in the environment.
            transport=httpx.AsyncHTTPTransport(),
        )

    def _wait_for_server(self, patience_s: float) -> None:
        until = clock.monotonic() + patience_s
        for attempt in itertools.count():
            try:
                self._run(self._ready_client.list(), QUICK_S)
                return
            except ConnectionError:
                if clock.monotonic() + RETRY_S > until:
                    raise
            if attempt == 0:
                log.info("llm_awaited", host=self._settings.host, seconds=patience_s)
            time.sleep(RETRY_S)

    def _check_model(self) -> None:
        host, model = self._settings.host, self._settings.model
        try:
            shown = self._run(self._ready_client.show(model), QUICK_S)
        except Exception as error:
            missing = isinstance(error, ResponseError) and error.status_code == HTTPStatus.NOT_FOUND
            raise EngineUnavailable(
                f"Ollama at {host} does not have the model {model}: run `ollama pull {model}`{self._instead}"
                if missing
                else f"Ollama at {host} could not describe the model {model} ({reason(error)}): "
                f"restart or update Ollama{self._instead}"
            ) from error
        # Thoughts would use up the answer's tokens and the deadline. Other models refuse to be told.
        self._think = False if "thinking" in (shown.capabilities or ()) else None

    async def _load(self) -> None:
        """An empty prompt loads and generates nothing. num_ctx as in every request: another value reloads."""
        options = {"num_ctx": self._settings.num_ctx}
        await self._ready_client.generate(self._settings.model, "", options=options, keep_alive=self._keep_alive)

    async def _load_in_background(self) -> None:
        model, began = self._settings.model, clock.monotonic()
        log.warning("llm_loading", model=model)
        try:
            await _within(self._load(), self._settings.load_timeout_s)
        except Exception as error:
            self._load_failed_at = clock.monotonic()
            log.warning("llm_load_failed", model=model, reason=reason(error))
        else:
            log.info("llm_loaded", model=model, seconds=round(clock.monotonic() - began, 1))

    async def _close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)
        if self._client is not None:
            await self._client.close()  # type: ignore[no-untyped-call]

    def _run(self, request: Coroutine[Any, Any, T], seconds: float) -> T:
        """httpx bounds each read; this bounds the request as a whole. Raises TimeoutError."""
        return self._begin(request, seconds).result()

    def _run_while_wanted(self, request: Coroutine[Any, Any, T], seconds: float) -> T:
        """For a job: if that is cancelled, the request's connection is closed. Raises like `_run`, or JobCancelled."""
        under_way = self._begin(request, seconds)
        while not wait([under_way], LOOK_S).done:
            if self._unwanted():
                under_way.cancel()
                raise JobCancelled("no longer wanted")
        return under_way.result()

    def _begin(self, request: Coroutine[Any, Any, T], seconds: float) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(_within(request, seconds), self._loop)

    @property
    def _ready_client(self) -> AsyncClient:
        assert self._client is not None, "connect() comes first"
        return self._client


async def _within(request: Coroutine[Any, Any, T], seconds: float) -> T:
    async with asyncio.timeout(seconds):
        return await request


def reason(error: Exception) -> str:
    """A few words on one line. Errors of parsing may quote the answer, which is what was said: not for a log."""
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, ConnectionError):
        return "no connection"
    if isinstance(error, ValueError | TypeError):
        return "not an answer of Ollama's"
    return " ".join(str(error).split())[:200] or type(error).__name__
