"""Summaries, for pages and programs: `GET` and `POST /sessions/ID/summary`, and `/summary/cancel`. Described in
docs/summaries.md and on /docs."""

import msgspec
from fastapi import APIRouter, HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from wernicke_daemon.records.reading import Transcript
from wernicke_daemon.records.stored_summaries import Summary, fingerprint
from wernicke_daemon.summaries.making import NoSummary
from wernicke_daemon.web.summaries.making import Progress, Summaries
from wernicke_daemon.web.transcripts import kept
from wernicke_daemon.wire.redaction import public

router = APIRouter(tags=["summaries"])


class SummaryState(msgspec.Struct, frozen=True):
    """session: the first of the transcript. summary: the one that is kept. outdated: the transcript has changed since.
    making: how far a new one is; null where none is made. problem: why there is no new one, as a sentence."""

    session: str
    summary: Summary | None
    outdated: bool
    making: Progress | None
    problem: str | None


SCHEMAS = (SummaryState,)
"""Of what is answered."""

_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/SummaryState"}}}}
}


@router.get("/sessions/{session}/summary", response_class=Response, responses=_ANSWERS)
def summary(request: Request, session: kept.SessionId) -> Response:
    """The summary of a transcript, if there is one, and how far a new one is."""
    return _answer(request, kept.transcript(kept.file_of(request), session))


@router.post("/sessions/{session}/summary", response_class=Response, responses=_ANSWERS)
async def make(request: Request, session: kept.SessionId) -> Response:
    """Have one made by the language model; it takes the place of an earlier one when it is there. Live speech goes
    first."""
    transcript = await run_in_threadpool(kept.transcript, kept.file_of(request), session)
    try:
        _summaries(request).start(transcript)
    except NoSummary as error:
        raise HTTPException(409, str(error)) from None
    return await run_in_threadpool(_answer, request, transcript)


@router.post("/sessions/{session}/summary/cancel", response_class=Response, responses=_ANSWERS)
async def cancel(request: Request, session: kept.SessionId) -> Response:
    """No new one is made; an earlier one stays."""
    transcript = await run_in_threadpool(kept.transcript, kept.file_of(request), session)
    _summaries(request).cancel(transcript.session)
    return await run_in_threadpool(_answer, request, transcript)


def state(request: Request, transcript: Transcript) -> SummaryState:
    """Blocks."""
    session, making = transcript.session, _summaries(request)
    found = kept.summary(kept.file_of(request), session)
    outdated = found is not None and found.of != fingerprint(transcript.turns)
    return SummaryState(session, found, outdated, making.progress(session), public(making.problem(session)))


def _answer(request: Request, transcript: Transcript) -> Response:
    answer = msgspec.json.encode(state(request, transcript))
    return Response(answer, media_type="application/json; charset=utf-8")


def _summaries(request: Request) -> Summaries:
    found: Summaries = request.app.state.summaries
    return found
