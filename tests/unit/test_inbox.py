"""What is read ahead of a session: when, how much, and in which order it is taken."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.waiting import eventually
from wernicke_daemon.gateway.inbox import LEAST_PER_FRAME, Allowance, Frame, Inbox


class Client:
    """Sends what is put into `sends`; an exception ends it. waits: what it says of its session."""

    def __init__(self, allowance: Allowance) -> None:
        self.sends: asyncio.Queue[Frame | Exception] = asyncio.Queue()
        self.waits = False
        self.heard = 0
        self.inbox = Inbox(self._receive, allowance, lambda: self.waits, self._count)

    async def _receive(self) -> Frame:
        sent = await self.sends.get()
        if isinstance(sent, Exception):
            raise sent
        return sent

    def _count(self) -> None:
        self.heard += 1

    def send(self, *frames: Frame | Exception) -> None:
        for frame in frames:
            self.sends.put_nowait(frame)

    async def has_read(self, count: int) -> None:
        """So many frames, and no more."""
        await eventually(lambda: self.heard == count)
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert self.heard == count


@contextlib.asynccontextmanager
async def clients(count: int, most: int = 1 << 20) -> AsyncIterator[list[Client]]:
    allowance = Allowance(most)
    them = [Client(allowance) for _ in range(count)]
    reading = [asyncio.create_task(one.inbox.run()) for one in them]
    yield them
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    for one in them:
        one.inbox.drop()
    assert allowance.free == most


async def test_a_frame_is_read_when_the_one_before_was_taken() -> None:
    async with clients(1) as [client]:
        client.send("a", "b", b"c")
        await client.has_read(1)
        assert not client.inbox.reading
        assert await client.inbox.take() == "a"
        await client.has_read(2)
        assert [await client.inbox.take(), await client.inbox.take()] == ["b", b"c"]
        await eventually(lambda: client.inbox.reading)


async def test_all_is_read_while_the_session_waits() -> None:
    """And on, until all of it is taken: the next frame waits as this one does."""
    async with clients(1) as [client]:
        client.waits = True
        client.send(*[b"x" * 5000] * 50)
        await client.has_read(50)
        assert client.inbox.reading
        client.waits = False
        client.send("last")
        await client.has_read(51)
        assert [await client.inbox.take() for _ in range(51)][-1] == "last"
        client.send("a", "b")
        await client.has_read(52)


async def test_memory_is_bounded_and_shared() -> None:
    """One alone holds half of it, the next one half of the rest; what one gives back, the other gets."""
    most = 300 * LEAST_PER_FRAME
    async with clients(2, most) as [first, second]:
        first.waits = second.waits = True
        first.send(*["x"] * 400)
        await first.has_read(150)
        assert not first.inbox.reading
        second.send(*["x"] * 400)
        await second.has_read(75)
        for _ in range(75):
            await first.inbox.take()
        await eventually(lambda: second.heard > 75)
        second.inbox.drop()
        await first.has_read(225)


async def test_what_came_before_the_end_is_taken() -> None:
    async with clients(1) as [client]:
        client.waits = True
        client.send("a", "b", ConnectionError("cut"))
        await client.has_read(2)
        assert [await client.inbox.take(), await client.inbox.take()] == ["a", "b"]
        for _ in range(2):
            with pytest.raises(ConnectionError, match="cut"):
                await client.inbox.take()


async def test_what_nobody_takes_is_read_and_dropped() -> None:
    """Behind it come pings, and the answer to the close."""
    async with clients(1) as [client]:
        client.send("a", "b")
        await client.has_read(1)
        client.inbox.drop()
        client.send(*["x"] * 100)
        await client.has_read(102)


async def test_waiting_for_a_frame_may_be_cancelled() -> None:
    async with clients(1) as [client]:
        taking = asyncio.create_task(client.inbox.take())
        await asyncio.sleep(0)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        client.send("a")
        assert await client.inbox.take() == "a"
