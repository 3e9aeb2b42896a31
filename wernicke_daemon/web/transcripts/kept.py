"""What routes read of the kept transcripts. Blocks: for routes that run in a thread."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import HTTPException
from fastapi import Path as InPath
from starlette.requests import Request

from wernicke_daemon.formats.one_clock import one_clock
from wernicke_daemon.records import reading, search, session_list, stored_summaries, transcript_file
from wernicke_daemon.records.reading import Transcript
from wernicke_daemon.records.search import BadSearch, Found
from wernicke_daemon.records.session_list import SessionSummary
from wernicke_daemon.records.stored_summaries import Summary
from wernicke_daemon.records.transcript_file import NoTranscript
from wernicke_daemon.web.setup import Setup
from wernicke_daemon.wire.redaction import public

T = TypeVar("T")

SessionId = Annotated[str, InPath(pattern="^[0-9A-Za-z]{1,64}$", description="Its id, the beginning of it, or `last`.")]


def file_of(request: Request) -> Path:
    setup: Setup = request.app.state.setup
    return setup.transcripts


def sessions(file: Path, limit: int, before: str | None) -> tuple[list[SessionSummary], str | None]:
    """The latest first, and what to give as `before` for those that follow; None where there are none. Where nothing
    was kept yet there is nothing. Raises HTTPException: 503."""
    if not file.exists():
        return [], None
    try:
        with transcript_file.reading(file) as database:
            found = session_list.sessions(database, limit + 1, before)
    except NoTranscript as error:
        raise HTTPException(503, public(str(error))) from None
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def searched(file: Path, query: str, limit: int, before: int | None) -> Found:
    """Raises HTTPException: 400 for what can't be searched, 503 while there is no index."""
    try:
        return search.search(file, query, limit, before)
    except BadSearch as error:
        raise HTTPException(400, str(error)) from None
    except NoTranscript as error:
        raise HTTPException(503, public(str(error))) from None


def transcript(file: Path, session: str) -> Transcript:
    """Raises HTTPException: 404."""
    return _read(file, lambda: _transcript(file, session))


def summary(file: Path, session: str) -> Summary | None:
    """session: the first of a transcript. Raises HTTPException: 404."""
    return _read(file, lambda: _summary(file, session))


def finals(file: Path, session: str) -> tuple[str, list[dict[str, Any]]]:
    """As `wernicke export` has them: the id of the first session, and results of all that go on one for another. Raises
    HTTPException: 404."""
    return _read(file, lambda: _finals(file, session))


def _transcript(file: Path, session: str) -> Transcript:
    with transcript_file.reading(file) as database:
        return reading.transcript(database, session)


def _summary(file: Path, session: str) -> Summary | None:
    with transcript_file.reading(file) as database:
        return stored_summaries.of(database, session)


def _finals(file: Path, session: str) -> tuple[str, list[dict[str, Any]]]:
    with transcript_file.reading(file) as database:
        parts = transcript_file.meeting(database, transcript_file.find(database, session))
        results = one_clock([(offset_s, transcript_file.results(database, part)) for part, offset_s in parts])
    return parts[0][0], [result for result in results if result["type"] == "final"]


def _read(file: Path, read: Callable[[], T]) -> T:
    if not file.exists():
        raise HTTPException(404, "There are no transcripts: nothing was kept yet.")
    try:
        return read()
    except NoTranscript as error:
        raise HTTPException(404, public(str(error))) from None
