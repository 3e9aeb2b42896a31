"""Transcripts for programs: `GET /sessions`, `/sessions/ID.EXT`, `/search`. Described in docs/http.md and on /docs."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, HTTPException, Query
from fastapi import Path as InPath
from starlette.requests import Request
from starlette.responses import Response

from wernicke_daemon.formats.documents import begun
from wernicke_daemon.formats.exports import FORMATS
from wernicke_daemon.formats.subtitles import ParsedFinal
from wernicke_daemon.records.search import MOST_HITS, MOST_LETTERS, Found
from wernicke_daemon.records.session_list import SessionSummary
from wernicke_daemon.web.transcripts import kept
from wernicke_daemon.wire.protocol import utc_text

router = APIRouter(tags=["transcripts"])

MOST_SESSIONS = 200
"""That one page may have."""


class Session(msgspec.Struct, frozen=True):
    """One that was kept. begun: UTC, ISO 8601. language: of its results, comma-separated. speakers: who says most
    first. continues: the session that it goes on for, of which it is a part."""

    id: str
    begun: str
    length_s: float
    results: int
    language: str | None
    speakers: list[str]
    first_words: str
    continues: str | None


class Sessions(msgspec.Struct, frozen=True):
    """The latest first. next: to be given as `before` for those that follow; null where there are none."""

    sessions: list[Session]
    next: str | None


SCHEMAS = (Sessions, Found)
"""Of what is answered."""


def _answers(answer: type[msgspec.Struct]) -> dict[int | str, dict[str, object]]:
    reference = {"$ref": f"#/components/schemas/{answer.__name__}"}
    return {200: {"content": {"application/json": {"schema": reference}}}}


@router.get("/sessions", response_class=Response, responses=_answers(Sessions))
def sessions(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST_SESSIONS)] = 50,
    before: Annotated[str | None, Query(max_length=64, description="`next` of an earlier answer.")] = None,
) -> Response:
    """The sessions that were kept, the latest first."""
    found, after = kept.sessions(kept.file_of(request), limit, before)
    return _json(Sessions([_session(each) for each in found], after))


@router.get(
    "/sessions/{session}.{ending}",
    response_class=Response,
    responses={200: {"content": {each.media_type: {} for each in FORMATS.values()}}},
)
def export(
    request: Request,
    session: kept.SessionId,
    ending: Annotated[str, InPath(pattern=f"^({'|'.join(FORMATS)})$", description="The format.")],
) -> Response:
    """One transcript as a file, with the sessions that it goes on for and that go on for it."""
    first, finals = kept.finals(kept.file_of(request), session)
    if not finals:
        raise HTTPException(404, f"Session {first} has no text.")
    made = FORMATS[ending]
    # The name holds nothing that anybody could choose.
    headers = {"Content-Disposition": f'attachment; filename="{_file_name(finals, first)}.{ending}"'}
    return Response(made.bytes_of(finals), headers=headers, media_type=made.media_type)


@router.get("/search", response_class=Response, responses=_answers(Found))
def search(
    request: Request,
    q: Annotated[
        str, Query(max_length=MOST_LETTERS, description='Terms, all of which a result has; "in quotes" with blanks.')
    ],
    limit: Annotated[int, Query(ge=1, le=MOST_HITS)] = 20,
    before: Annotated[int | None, Query(ge=0, lt=1 << 62, description="`next` of an earlier answer.")] = None,
) -> Response:
    """Results that hold what is searched for, the latest first, with what was said before and after."""
    return _json(kept.searched(kept.file_of(request), q, limit, before))


def _session(summary: SessionSummary) -> Session:
    return Session(
        summary.id,
        utc_text(summary.begun),
        round(summary.length_s, 3),
        summary.results,
        summary.language,
        summary.speakers,
        summary.first_words,
        summary.continues,
    )


def _json(answer: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json; charset=utf-8")


def _file_name(finals: list[ParsedFinal], session: str) -> str:
    when = begun(finals)
    return f"transcript-{when.astimezone():%Y%m%d-%H%M}-{session}" if when else f"transcript-{session}"
