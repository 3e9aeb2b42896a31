"""What a client has sent and its session has no room for yet, so that its socket is read on meanwhile.

A ping is answered when it is read, and it stands behind all that was sent before it. Were reading to stop while a ring
is full, ordinary libraries would give the connection up: some after 20 s without an answer to their ping.
"""

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import Awaitable, Callable

Frame = str | bytes

LEAST_PER_FRAME = 1024
"""Bytes that a frame counts at least: what is read ahead has to be taken one by one, and must not be millions."""

LOOK_S = 0.1
"""Seconds between looks at whether the session waits, or another one has left memory."""


class Allowance:
    """Memory for what is read ahead, of all clients together.

    Each may hold as much as is left over: one alone half of it, two a third each, and so on, so that something is
    always left for one more. (Dynamic thresholds with α = 1: Choudhury and Hahne, IEEE/ACM Transactions on Networking
    6(2), 1998.)
    """

    def __init__(self, most: int) -> None:
        """most: bytes."""
        self.free = most  # below 0 by less than a frame for each client

    def has_more_for(self, held: int) -> bool:
        """Whether one that holds so many bytes may read another frame."""
        return held < self.free


class Inbox:
    """One client's frames, in order. They are read one at a time, as they are taken; once one has to wait for room,
    ahead until all are taken. Used on the event loop's thread."""

    def __init__(
        self,
        receive: Callable[[], Awaitable[Frame]],
        allowance: Allowance,
        waits: Callable[[], bool],
        heard: Callable[[], None],
    ) -> None:
        """receive: the next frame from the socket; what it raises ends the reading. waits: whether the session waits
        for room. heard: called for each frame, when it is read."""
        self.reading = True  # the socket is read, so that a client that is there is heard
        self._receive = receive  # the next frame from the socket
        self._allowance = allowance  # memory for what is read ahead, of all clients
        self._waits = waits  # whether the session waits for room
        self._heard = heard  # called for each frame, when it is read
        self._frames: deque[Frame] = deque()  # that are read and not taken
        self._held = 0  # bytes that they count
        self._ahead = False  # reading does not wait for them to be taken
        self._dropping = False  # nobody takes any more
        self._ended: Exception | None = None  # what ended the reading
        self._news = asyncio.Event()  # there is a frame, or the end
        self._taken = asyncio.Event()  # one was taken, or dropped

    async def run(self) -> None:
        """Read, until the connection ends."""
        try:
            while True:
                frame = await self._receive()
                self._heard()
                self._put(frame)
                await self._until_more_is_wanted()
        except Exception as error:
            self._ended = error
            self._news.set()

    async def take(self) -> Frame:
        """The next frame. Raises what ended the reading, after the last."""
        while not self._frames:
            if self._ended is not None:
                raise self._ended
            self._news.clear()
            await self._news.wait()
        frame = self._frames.popleft()
        self._release(_cost(frame))
        return frame

    def drop(self) -> None:
        """Nobody takes what is here or still comes. It is read on: pings and the answer to a close come behind it."""
        self._dropping = True
        self._frames.clear()
        self._release(self._held)

    def _put(self, frame: Frame) -> None:
        if self._dropping:
            return
        self._frames.append(frame)
        self._held += _cost(frame)
        self._allowance.free -= _cost(frame)
        self._news.set()

    def _release(self, count: int) -> None:
        self._held -= count
        self._allowance.free += count
        self._ahead = self._ahead and bool(self._frames)
        self._taken.set()

    async def _until_more_is_wanted(self) -> None:
        await asyncio.sleep(0)  # thousands of tiny frames may be here already: the others get their turn
        self.reading = False
        while self._frames and not self._may_read_ahead():
            self._taken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._taken.wait()
        self.reading = True

    def _may_read_ahead(self) -> bool:
        self._ahead = self._ahead or self._waits()
        return self._ahead and self._allowance.has_more_for(self._held)


def _cost(frame: Frame) -> int:
    return max(sys.getsizeof(frame), LEAST_PER_FRAME)
