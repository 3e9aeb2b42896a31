"""The live page, and the two lines of it: what all say, and what this browser's microphone hears."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, StringConstraints
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from wernicke_daemon.web import access, pages
from wernicke_daemon.web.front import SESSIONS
from wernicke_daemon.web.live.speaking import speak

router = APIRouter(include_in_schema=False)

sockets = APIRouter()
"""WebSockets say by themselves whom they let in."""


@router.get("/")
async def live(request: Request) -> Response:
    return pages.page(request, "live.html", active="live")


class Naming(BaseModel):
    """Who a voice is."""

    session: Annotated[str, StringConstraints(max_length=100)]
    speaker: Annotated[str, StringConstraints(max_length=1000)]
    name: Annotated[str, StringConstraints(max_length=1000)]


@router.post("/live/name", status_code=204)
async def name(naming: Naming, request: Request) -> None:
    """409 with a sentence where a voice can't be called so."""
    await request.app.state.front.edit(
        {"type": "name", "session_id": naming.session, "speaker": naming.speaker, "name": naming.name}
    )


@sockets.websocket("/live/socket")
async def view(socket: WebSocket) -> None:
    if await _let_in(socket):
        await socket.app.state.hub.view(socket)


@sockets.websocket(SESSIONS)
async def transcribe(socket: WebSocket) -> None:
    if await _let_in(socket):
        await speak(socket, socket.app.state.front, socket.query_params)


async def _let_in(socket: WebSocket) -> bool:
    """Accepted, or refused with 403."""
    if access.is_allowed(socket):
        await socket.accept()
        return True
    await socket.close(1008)
    return False
