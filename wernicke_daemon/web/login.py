"""Logging in with a token, and out. All that a stranger gets."""

import time
from urllib.parse import parse_qs

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from wernicke_daemon.web import access, pages
from wernicke_daemon.wire import tokens

router = APIRouter(include_in_schema=False)


def form(request: Request, *, status: int = 200, wrong: bool = False) -> Response:
    """wrong: the token that was given is not known."""
    wanted = request.url.path if request.method == "GET" and request.url.path != "/login" else "/"
    return pages.page(request, "login.html", status=status, wrong=wrong, wanted=wanted)


@router.get("/login")
async def show(request: Request) -> Response:
    return form(request)


@router.post("/login")
async def login(request: Request) -> Response:
    said = parse_qs((await request.body()).decode("utf-8", "replace"))
    token = said.get("token", [""])[0].strip()
    setup = request.app.state.setup
    if not tokens.is_known(token, setup.config.security.clients):
        return form(request, status=401, wrong=True)
    response = RedirectResponse(_own_path(said.get("wanted", ["/"])[0]), 303)
    access.set_cookie(response, access.new_cookie(token, setup, time.time()), setup)
    return response


@router.post("/logout")
async def logout(request: Request) -> Response:
    response = RedirectResponse("/", 303)
    access.set_cookie(response, "", request.app.state.setup)
    return response


@router.get("/words/{language}.json")
async def words(language: pages.Language) -> Response:
    """What scripts say."""
    return JSONResponse(pages.words(language), headers={"Cache-Control": "no-cache"})


def _own_path(wanted: str) -> str:
    """Never an address elsewhere, whatever the form brought."""
    return wanted if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) else "/"
