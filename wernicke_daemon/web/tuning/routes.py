"""/metrics, and the tuning page: how the stages are now, and what the log tells of the last hours."""

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import APIRouter
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from ipc import clock
from wernicke_daemon.observability.pages import Health, Stats
from wernicke_daemon.tuning import log_files, page
from wernicke_daemon.tuning.log_files import Found, NoLog
from wernicke_daemon.tuning.summary import Summary
from wernicke_daemon.web import pages
from wernicke_daemon.web.front import Front, FrontAway
from wernicke_daemon.web.setup import Setup
from wernicke_daemon.web.tuning import metrics

SPANS: Mapping[str, float] = {"15m": 900.0, "1h": 3600.0, "6h": 21_600.0, "24h": 86_400.0}
"""Seconds of log to choose from."""
DEFAULT = "1h"
FRESH_S = 1.0
"""For so long nobody has the front asked again."""
KEPT_S = 10.0
"""For so long nobody has the log read again."""

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def for_prometheus(request: Request) -> Response:
    try:
        stats, health = await _figures(request)
    except FrontAway:
        stats, health = None, None
    text, content_type = metrics.exposed(stats, health, request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": content_type})


async def _figures(request: Request) -> tuple[Stats, Health]:
    """Raises FrontAway."""
    state = request.app.state
    if not hasattr(state, "figures"):
        state.figures = Figures(state.front)
    figures: Figures = state.figures
    return await figures.now()


class Figures:
    """The front's pages. Many who look at once cost it no more than one."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._alone = asyncio.Lock()
        # With when they came (monotonic seconds); None where the front did not answer.
        self._kept: tuple[float, tuple[Stats, Health] | None] = (-math.inf, None)

    async def now(self) -> tuple[Stats, Health]:
        """Not older than FRESH_S. Raises FrontAway."""
        async with self._alone:
            if clock.monotonic() - self._kept[0] > FRESH_S:
                found = await self._ask()
                self._kept = (clock.monotonic(), found)
            if self._kept[1] is None:
                raise FrontAway("the front does not answer")
            return self._kept[1]

    async def _ask(self) -> tuple[Stats, Health] | None:
        try:
            stats, health = await asyncio.gather(self._front.page("/stats"), self._front.page("/health"))
            return msgspec.convert(stats, Stats), msgspec.convert(health, Health)
        except (FrontAway, msgspec.ValidationError):  # a daemon that stops answers otherwise
            return None


@router.get("/tuning")
async def tuning(request: Request, since: str = DEFAULT) -> Response:
    """since: one of SPANS; anything else is the default."""
    span = since if since in SPANS else DEFAULT
    found = await _read(request, span)
    language, setup = pages.language_of(request), request.app.state.setup
    report = Markup(await asyncio.to_thread(page.fragment, found, language, setup.config))
    now = await _now(request)
    return pages.page(request, "tuning.html", active="tuning", report=report, spans=list(SPANS), span=span, now=now)


@router.get("/tuning/now")
async def now(request: Request) -> Response:
    """The part of the page that is about this moment."""
    return pages.page(request, "tuning_now.html", now=await _now(request))


@router.get("/tuning/report.html")
async def download(request: Request, since: str = DEFAULT) -> Response:
    """The report as a file of its own, as `wernicke report` writes it."""
    found = await _read(request, since if since in SPANS else DEFAULT)
    language, setup = pages.language_of(request), request.app.state.setup
    text = await asyncio.to_thread(page.document, found, language, setup.config)
    return HTMLResponse(text, headers={"Content-Disposition": 'attachment; filename="wernicke-report.html"'})


@router.get("/tuning/report.css")
async def style() -> Response:
    return FileResponse(page.STYLE, headers={"Cache-Control": "no-cache"})


async def _now(request: Request) -> tuple[Stats, Health] | None:
    """None while the front does not answer."""
    try:
        return await _figures(request)
    except FrontAway:
        return None


async def _read(request: Request, span: str) -> Found:
    state: Any = request.app.state
    if not hasattr(state, "log_reader"):
        state.log_reader = LogReader(state.setup)
    reader: LogReader = state.log_reader
    return await reader.read(span)


class LogReader:
    """Reads for one at a time, and gives those who ask meanwhile what that one got."""

    def __init__(self, setup: Setup) -> None:
        self._log = setup.log
        self._alone = asyncio.Lock()
        self._kept: dict[str, tuple[float, Found]] = {}  # by span, with when it was read (monotonic seconds)

    async def read(self, span: str) -> Found:
        async with self._alone:
            at, found = self._kept.get(span, (0.0, None))
            if found is None or clock.monotonic() - at > KEPT_S:
                found = await asyncio.to_thread(self._read, time.time() - SPANS[span])
                self._kept = {span: (clock.monotonic(), found)}
            return found

    def _read(self, since: float) -> Found:
        try:
            return log_files.summarised(log_files.of_log(self._log), since)
        except NoLog as error:
            return Found(Summary(), [], [str(error)])
