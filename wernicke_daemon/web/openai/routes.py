"""`/v1/audio/transcriptions` and `/v1/models`, as OpenAI's clients ask for them."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from websockets.exceptions import WebSocketException

from wernicke_daemon.formats.finals import Finals
from wernicke_daemon.web import refusals, relay
from wernicke_daemon.web.openai import answers, upload
from wernicke_daemon.web.openai.request import Asked, Refused, asked
from wernicke_daemon.web.openai.upload import Message

router = APIRouter(include_in_schema=False)

PATH = "/v1/audio/transcriptions"

FORM_BYTES = 1024 * 1024
"""Of a request besides its file."""

ONE_AT_A_TIME = asyncio.Semaphore(1)
"""Files: the others wait, and take no place of a live session."""

PLACES = asyncio.Semaphore(16)
"""For files, those that wait included: each may be as large as `web.upload_mib`."""

MODELS = ["whisper-1", "gpt-4o-transcribe", "gpt-4o-transcribe-diarize"]
"""That clients ask for. Whichever it is, the daemon's own model does the work."""

BROKEN_OFF = "The daemon has ended this session before the file was done; send it again."

STATUS = {"SERVER_OVERLOADED": 429, "INVALID_MESSAGE": 400, "UNAUTHORIZED": 401}
"""Of a failure, by our code; any other is 500."""


HUNG_UP = 499
"""Status of an answer to nobody."""


class Failed(Exception):
    """Nothing, or not all, came of a file. The text is a sentence for the client."""

    def __init__(self, status: int, sentence: str, param: str | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.param = param

    @property
    def body(self) -> dict[str, Any]:
        return refusals.body(PATH, self.status, str(self), self.param)


@router.get("/v1/models")
async def models() -> dict[str, Any]:
    return {"object": "list", "data": [_model(name) for name in MODELS]}


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "wernicke"}


@router.post(PATH)
async def transcribe(request: Request) -> Response:
    work = contextlib.AsyncExitStack()
    try:
        wanted, file = await _taken(request, work)
        return await _unless_gone(request, _answered(request, wanted, file, work))
    except Failed as failed:
        return JSONResponse(failed.body, failed.status)
    except ClientDisconnect:
        return Response(status_code=HUNG_UP)
    finally:
        await work.aclose()


async def _unless_gone(request: Request, answered: Coroutine[Any, Any, Response]) -> Response:
    """Nothing more is done for who has hung up: a client that got tired of waiting sends its file again. request: all
    of it has come."""
    doing, gone = asyncio.create_task(answered), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        doing.cancel()  # nothing where it is done
        await asyncio.gather(doing, gone, return_exceptions=True)
    return Response(status_code=HUNG_UP) if doing.cancelled() else doing.result()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _answered(request: Request, wanted: Asked, file: UploadFile, work: contextlib.AsyncExitStack) -> Response:
    """When its turn has come. work: as in `_taken`. Raises Failed."""
    samples = await _decoded(request, file, work)
    came = _results(request, wanted, samples)
    work.push_async_callback(came.aclose)
    if wanted.streams:
        first = await anext(came, None)  # what fails before it has a status of its own
        return _Stream(_events(wanted, first, came), work.pop_all())
    finals = Finals()
    async for message in came:
        finals.take(message)
    made = answers.answer(wanted, finals.all, upload.seconds_of(samples))
    return PlainTextResponse(made) if isinstance(made, str) else JSONResponse(made)


class _Stream(StreamingResponse):
    """Server-sent events. work: ended with it, also where its client hangs up."""

    def __init__(self, events: AsyncIterator[str], work: contextlib.AsyncExitStack) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._work.aclose()


async def _taken(request: Request, work: contextlib.AsyncExitStack) -> tuple[Asked, UploadFile]:
    """What is wanted, and the file. work: what is to be ended when all is done. Raises Failed."""
    if PLACES.locked():
        raise Failed(429, "Too many files wait already; try again later.")
    await work.enter_async_context(PLACES)
    form = await work.enter_async_context(request.form(max_files=1))
    try:
        wanted = asked((name, value) for name, value in form.multi_items() if isinstance(value, str))
    except Refused as refused:
        raise Failed(400, str(refused), refused.param) from None
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Failed(400, "The form has no file.", "file")
    return wanted, file


async def _decoded(request: Request, file: UploadFile, work: contextlib.AsyncExitStack) -> Path:
    """When its turn has come. work: as in `_taken`. Raises Failed."""
    await work.enter_async_context(ONE_AT_A_TIME)
    config = request.app.state.setup.config
    place = work.enter_context(upload.folder(config))
    try:
        return await upload.decoded(file.file, place, config.web)
    except upload.Unreadable as unreadable:
        raise Failed(400, str(unreadable), "file") from None


async def _results(request: Request, wanted: Asked, samples: Path) -> AsyncGenerator[Message, None]:
    """Finals and what is known later of their speakers. Raises Failed where a part of the file has no result."""
    over = False
    try:
        async with contextlib.aclosing(upload.messages(request.app.state.front, samples, wanted.start)) as messages:
            async for message in messages:
                over = message["type"] == "session_ended"
                if message["type"] == "error":
                    raise Failed(STATUS.get(message["code"], 500), message["message"])
                if not over:
                    yield message
    except (OSError, TimeoutError, WebSocketException):
        raise Failed(503, relay.AWAY) from None
    if not over:
        raise Failed(503, BROKEN_OFF)


async def _events(wanted: Asked, first: Message | None, rest: AsyncIterator[Message]) -> AsyncIterator[str]:
    """As results come."""
    finals, letters = list[Message](), answers.Letters()
    try:
        async for final in _finals_among(first, rest):
            delta = answers.delta_of(final, first=not finals)
            finals.append(final)
            if wanted.format == "diarized_json":
                for segment in answers.diarized_segments(final, letters):
                    yield _event(segment)
            yield _event({"type": "transcript.text.delta", "delta": delta})
        yield _event({"type": "transcript.text.done", "text": answers.text_of(finals)})
    except Failed as failed:
        yield _event(failed.body)
    yield "data: [DONE]\n\n"


async def _finals_among(first: Message | None, rest: AsyncIterator[Message]) -> AsyncIterator[Message]:
    if first is not None and first["type"] == "final":
        yield first
    async for message in rest:
        if message["type"] == "final":
            yield message


def _event(data: dict[str, Any]) -> str:
    return f"data: {msgspec.json.encode(data).decode()}\n\n"
