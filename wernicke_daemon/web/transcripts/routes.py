"""Transcripts for people: the list, search, reading, who is who, deletion."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, HTTPException, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from wernicke_daemon.formats.exports import FORMATS
from wernicke_daemon.formats.subtitles import clock
from wernicke_daemon.records.search import MOST_LETTERS, BadSearch, terms
from wernicke_daemon.web import pages
from wernicke_daemon.web.transcripts import kept, shown, summaries

router = APIRouter(include_in_schema=False)

SESSIONS_A_PAGE = 30
HITS_A_PAGE = 20


@router.get("/transcripts")
def listed(
    request: Request,
    q: str = "",
    before: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """All by day, or where something is searched what was found."""
    if q.strip():
        return _found(request, q.strip(), int(before) if before.isdecimal() and len(before) < 19 else None)
    found, after = kept.sessions(kept.file_of(request), SESSIONS_A_PAGE, before or None)
    values = {"days": shown.by_day(found), "after": after, "earlier": bool(before)}
    return _page(request, "transcripts.html", q="", keeps=request.app.state.setup.config.store.enabled, **values)


def _found(request: Request, query: str, before: int | None) -> Response:
    problem, found = None, None
    try:
        found = kept.searched(kept.file_of(request), query, HITS_A_PAGE, before)
    except HTTPException as error:
        problem = "transcripts.too_long" if len(query) > MOST_LETTERS else _problem(error)
    hits = found.hits if found else []
    colours = shown.voices(line.speaker for hit in hits for line in (*hit.before, *hit.lines, *hit.after))
    groups = shown.by_session(hits)
    return _page(request, "search.html", q=query, found=found, groups=groups, problem=problem, colours=colours)


def _problem(error: HTTPException) -> str:
    return "transcripts.no_index" if error.status_code == 503 else "transcripts.bad_search"


@router.get("/transcripts/{session}")
def read(request: Request, session: kept.SessionId, q: Annotated[str, Query(max_length=MOST_LETTERS)] = "") -> Response:
    """q: what is to be marked."""
    found = kept.transcript(kept.file_of(request), session)
    colours = shown.voices(turn.speaker for turn in found.turns)
    last = found.turns[-1].end if found.turns else 0.0
    return _page(
        request,
        "transcript.html",
        found=found,
        blocks=shown.blocks(found.turns, _terms(q)),
        begun=datetime.fromtimestamp(found.begun),
        colours=colours,
        length_s=last,
        endings=FORMATS,
        q=q,
        summary=summaries.state(request, found),
    )


@router.post("/transcripts/{session}/name")
async def name(request: Request, session: kept.SessionId) -> Response:
    """Who a voice is, in the whole transcript. The form brings `speaker`, as it is called, and `name`."""
    said = parse_qs((await request.body()).decode("utf-8", "replace"))
    asked = {"speaker": said.get("speaker", [""])[0], "name": said.get("name", [""])[0]}
    found = await run_in_threadpool(kept.transcript, kept.file_of(request), session)
    await request.app.state.front.edit({"type": "name", "session_id": found.session, **asked})
    return RedirectResponse(f"/transcripts/{found.session}", 303)


@router.post("/transcripts/{session}/delete")
async def delete(request: Request, session: kept.SessionId) -> Response:
    """All of it, for good."""
    found = await run_in_threadpool(kept.transcript, kept.file_of(request), session)
    for part in reversed(found.sessions):  # the latest may still go on, and then nothing is deleted
        await request.app.state.front.edit({"type": "delete", "session_id": part})
    request.app.state.summaries.cancel(found.session)  # of what is gone
    return RedirectResponse("/transcripts", 303)


def _terms(query: str) -> list[str]:
    try:
        return terms(query)
    except BadSearch:
        return []


def _when(begun: str, language: pages.Language) -> str:
    """begun: UTC, ISO 8601."""
    try:
        when = datetime.fromisoformat(begun).astimezone()
    except ValueError:
        return begun
    return shown.moment(when, language)


def _page(request: Request, template: str, **values: Any) -> Response:
    language = pages.language_of(request)
    return pages.page(
        request,
        template,
        active="transcripts",
        clock=clock,
        pieces=shown.pieces,
        time_of_day=shown.time_of_day,
        day=lambda when: shown.day(when, language),
        moment=lambda when: shown.moment(when, language),
        when=lambda begun: _when(begun, language),
        length=lambda seconds: shown.length(seconds, language),
        **values,
    )
