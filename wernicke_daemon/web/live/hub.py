"""One line to the front for all open pages: what comes over it goes to each.

The line is there while somebody looks, and for a moment after: nothing is made for watchers where there are none.
"""

import asyncio
import contextlib
from typing import Any

import msgspec
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import WebSocketException

from wernicke_daemon.web.front import Front, FrontAway
from wernicke_daemon.web.live.state import State

_log = structlog.get_logger()

MOST_VIEWERS = 200
"""Pages at a time; one more is told to try again later."""

MOST_UNSENT = 500
"""Messages kept for a page that does not take them; then it is cut off, and gets all when it comes back."""

SEND_TIMEOUT_S = 15.0

LINGER_S = 30.0
"""For a page that is loaded anew."""

AGAIN_S = 1.0
"""From a lost line to the front to the next try."""

STATUS_EVERY_S = 3.0

MISSES = 2
"""Tries in a row without an answer after which pages are told that the front is away: one is a busy moment."""

CLOSE_TRY_AGAIN = 1013

AWAY = '{"type": "front", "away": true}'

NO_STATUS = '{"type": "status", "status": "away", "stages": {}, "behind_s": 0, "problems": []}'

_decoder = msgspec.json.Decoder(dict[str, Any])


class Viewer:
    """One open page."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self.unsent: asyncio.Queue[str] = asyncio.Queue(MOST_UNSENT)
        self.cut = asyncio.Event()  # it does not take what it is sent

    def send(self, text: str) -> None:
        try:
            self.unsent.put_nowait(text)
        except asyncio.QueueFull:
            self.cut.set()

    async def write(self) -> None:
        """Until it is cut."""
        while True:
            text = await self.unsent.get()
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await self._socket.send_text(text)
            except TimeoutError:
                self.cut.set()
                return

    async def read(self) -> None:
        """Until it is gone. It has nothing to say."""
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await self._socket.receive_text()


class Hub:
    """For the process."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._viewers: set[Viewer] = set()
        self._state: State | None = None  # None until the front has told all there is
        self._lost = 0  # lines that broke since the front told all there is
        self._status = ""  # how the daemon is, as pages were told last
        self._line: asyncio.Task[None] | None = None  # to the front
        self._idle: asyncio.TimerHandle | None = None  # ends it

    async def view(self, socket: WebSocket) -> None:
        """A page, from its connection to its end."""
        if len(self._viewers) >= MOST_VIEWERS:
            await socket.close(CLOSE_TRY_AGAIN)
            return
        viewer = Viewer(socket)
        self._viewers.add(viewer)
        self._begin()
        if self._state is not None:
            viewer.send(_encoded(self._state.shown()))
        elif self._lost >= MISSES:
            viewer.send(AWAY)
        if self._status:
            viewer.send(self._status)
        try:
            await _first_of(viewer.read(), viewer.write(), viewer.cut.wait())
        finally:
            self._viewers.discard(viewer)
            self._end_later()
        if viewer.cut.is_set():
            with contextlib.suppress(RuntimeError, TimeoutError):
                async with asyncio.timeout(1):
                    await socket.close(CLOSE_TRY_AGAIN)

    async def stop(self) -> None:
        if self._line is not None:
            self._line.cancel()
            await asyncio.wait([self._line])

    # --- the line ---

    def _begin(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._line is None or self._line.done():
            self._line = asyncio.create_task(self._watch())

    def _end_later(self) -> None:
        if not self._viewers and self._idle is None:
            self._idle = asyncio.get_running_loop().call_later(LINGER_S, self._end)

    def _end(self) -> None:
        self._idle = None
        if self._line is not None and not self._viewers:
            self._line.cancel()
            self._line, self._state, self._status, self._lost = None, None, "", 0

    async def _watch(self) -> None:
        """Until it is not wanted any more; a lost line is taken up again."""
        telling = asyncio.create_task(self._tell_status())
        try:
            while True:
                try:
                    await self._follow()
                except (OSError, TimeoutError, WebSocketException, msgspec.DecodeError):
                    pass
                except Exception:  # whatever it is: pages that are open must not stand still
                    _log.exception("watching_failed")
                self._state, self._lost = None, self._lost + 1
                if self._lost >= MISSES:
                    self._tell(AWAY)
                await asyncio.sleep(AGAIN_S)
        finally:
            telling.cancel()

    async def _follow(self) -> None:
        """Raises what a lost line raises."""
        coming: State | None = State()  # until all there is has come
        async with self._front.socket("/watch") as line:
            async for text in line:
                assert isinstance(text, str)
                message = _decoder.decode(text)
                if coming is None and self._state is not None:
                    self._state.take(message)
                    self._tell(text)
                elif coming is not None and message["type"] == "watching":
                    self._state, self._lost, coming = coming, 0, None
                    self._tell(_encoded(self._state.shown()))
                elif coming is not None:
                    coming.take(message)

    async def _tell_status(self) -> None:
        """How the stages are, and how far results are behind; where it changes."""
        missed = 0
        while True:
            try:
                status, missed = _encoded(_status(await self._front.page("/health"))), 0
            except (FrontAway, KeyError):  # or it says something else
                missed += 1
                status = NO_STATUS if missed >= MISSES else self._status
            if status != self._status:
                self._status = status
                self._tell(status)
            await asyncio.sleep(STATUS_EVERY_S)

    def _tell(self, text: str) -> None:
        for viewer in list(self._viewers):
            viewer.send(text)


def _status(health: dict[str, Any]) -> dict[str, Any]:
    """What a page says of them; little enough that it seldom changes."""
    return {
        "type": "status",
        "status": health["status"],
        "stages": {
            name: {key: stage[key] for key in ("state", "engine", "doing", "queue")}
            for name, stage in health.get("stages", {}).items()
        },
        "behind_s": float(round(health.get("behind_s", 0.0))),
        "problems": health.get("problems", []),
    }


def _encoded(message: dict[str, Any]) -> str:
    return msgspec.json.encode(message).decode()


async def _first_of(*work: Any) -> None:
    """Until one of them has ended; the others are cancelled."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
