"""The web process put together: what it serves, behind which rules.

Each feature has a router in `ROUTERS`, behind `access.require`. What routes need stands in `request.app.state`: `setup`
(`Setup`: settings, the path of the transcripts, of the log), `front` (`Front`: the front's pages, and changes, which
only the front may write) and `summaries` (`Summaries`, which are written beside the transcripts here).
"""

import contextlib
from collections.abc import AsyncIterator

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from wernicke_daemon.web import access, api_docs, login, pages, refusals
from wernicke_daemon.web.deepgram import listen as deepgram
from wernicke_daemon.web.front import Front, FrontAway, NotDone
from wernicke_daemon.web.guard import Guard, LetIn
from wernicke_daemon.web.live import routes as live
from wernicke_daemon.web.live.hub import Hub
from wernicke_daemon.web.openai import routes as openai
from wernicke_daemon.web.openai.realtime import stream as realtime
from wernicke_daemon.web.setup import Setup
from wernicke_daemon.web.summaries.making import Summaries
from wernicke_daemon.web.transcripts import programs, summaries
from wernicke_daemon.web.transcripts import routes as transcripts
from wernicke_daemon.web.tuning import routes as tuning

ROUTERS = [
    live.router,
    transcripts.router,
    programs.router,
    summaries.router,
    api_docs.router,
    tuning.router,
    openai.router,
]
"""All that need a login; the order is that in which routes are looked for."""


def create_app(setup: Setup, let_in: LetIn = lambda peer: None) -> FastAPI:
    """let_in: told of each connection whose client may ask for what others may not."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.front = Front(setup)
        app.state.hub = Hub(app.state.front)
        app.state.summaries = Summaries(setup, app.state.front)
        yield
        await app.state.summaries.stop()
        await app.state.hub.stop()
        await app.state.front.close()

    app = FastAPI(title="Wernicke daemon", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.setup = setup
    app.state.let_in = let_in
    app.mount("/static", _Static(directory=pages.HERE / "static"))
    app.include_router(login.router)
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(access.require)])
    app.include_router(live.sockets)
    app.include_router(deepgram.router)
    app.include_router(realtime.router)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(FrontAway, _front_away)
    app.add_exception_handler(NotDone, _not_done)
    security = setup.config.security
    larger = {openai.PATH: setup.config.web.upload_mib * 2**20 + openai.FORM_BYTES}
    app.add_middleware(Guard, origins=security.origins, any_host=setup.needs_login, larger=larger, let_in=let_in)
    return app


class _Static(StaticFiles):
    """Our own files: asked for again each time, and sent only where they have changed."""

    def file_response(self, *args: object, **named: object) -> Response:
        response = super().file_response(*args, **named)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")  # of a form's answer, too; scripts ask for anything


async def _refused(request: Request, error: Exception) -> Response:
    """As a page for people, as JSON for programs; who is not known gets the login in place of a page."""
    assert isinstance(error, HTTPException)
    if not _wants_page(request):
        said = refusals.body(request.url.path, error.status_code, error.detail)
        return JSONResponse(said, error.status_code, headers=error.headers)
    if isinstance(error, access.LoginNeeded):
        return login.form(request, status=error.status_code)
    return pages.page(request, "problem.html", status=error.status_code, sentence=error.detail)


async def _not_understood(request: Request, error: Exception) -> Response:
    """A bad path leads nowhere; a bad query or form is told what is wrong."""
    assert isinstance(error, RequestValidationError)
    wrong = error.errors()
    if any(each["loc"][0] == "path" for each in wrong):
        return await _refused(request, HTTPException(404, "There is nothing at this address."))
    sentence = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in wrong)
    return await _refused(request, HTTPException(400, sentence))


async def _front_away(request: Request, error: Exception) -> Response:
    sentence = "The daemon does not answer at the moment; try again in a few seconds."
    return await _refused(request, HTTPException(503, sentence))


async def _not_done(request: Request, error: Exception) -> Response:
    return await _refused(request, HTTPException(409, str(error)))
