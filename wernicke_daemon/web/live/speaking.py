"""A page's microphone on its way to the front: the daemon's own protocol, passed on in both directions as it is.

The page resumes over a broken line as any client does (`static/live/uplink.js`), also where this process was killed.
"""

import asyncio
import contextlib

from starlette.datastructures import QueryParams
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, WebSocketException

from wernicke_daemon.web.front import SESSIONS, Front, FrontSocket

CLOSE_AWAY = 1012
"""The front does not answer, or has gone: come back."""


async def speak(page: WebSocket, front: Front, query: QueryParams) -> None:
    """page: accepted. Until one side has ended."""
    wanted = [(name, value) for name, value in query.multi_items() if name != "token"]
    code = CLOSE_AWAY
    with contextlib.suppress(OSError, TimeoutError, WebSocketException):
        async with front.socket(f"{SESSIONS}?{QueryParams(wanted)}") as line:
            code = await _both_ways(page, line)
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await page.close(code)


async def _both_ways(page: WebSocket, line: FrontSocket) -> int:
    """Returns the code to close the page's side with."""
    up, down = asyncio.create_task(_up(page, line)), asyncio.create_task(_down(page, line))
    done, waiting = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*done, *waiting, return_exceptions=True)
    return line.close_code if down in done and line.close_code not in (None, 1005, 1006) else CLOSE_AWAY


async def _up(page: WebSocket, line: FrontSocket) -> None:
    """Until the page is gone. What the front takes slowly is read slowly."""
    while (message := await page.receive())["type"] == "websocket.receive":
        data = message.get("bytes")
        with contextlib.suppress(ConnectionClosed):  # the page is told when all that came has been passed on
            await line.send(message["text"] if data is None else data)


async def _down(page: WebSocket, line: FrontSocket) -> None:
    with contextlib.suppress(ConnectionClosed, WebSocketDisconnect):
        async for message in line:
            await (page.send_text(message) if isinstance(message, str) else page.send_bytes(message))
