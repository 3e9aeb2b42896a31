"""The live page."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from wernicke_daemon.web import pages

router = APIRouter(include_in_schema=False)


@router.get("/")
async def live(request: Request) -> Response:
    return pages.page(request, "live.html", active="live")
