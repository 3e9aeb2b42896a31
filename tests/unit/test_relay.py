"""Streams of other services' clients, passed on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from wernicke_daemon.web.relay import LARGEST_FRAME, STOP, Dialect, Heard, Message, Stream

pytestmark = pytest.mark.asyncio


class Leaving:
    """A client that has gone, with what it said before still to be read, as uvicorn keeps it."""

    def __init__(self, *said: bytes) -> None:
        self._said = list(said)

    async def receive(self) -> Message:
        await asyncio.sleep(0)  # the front takes it slowly
        if self._said:
            return {"type": "websocket.receive", "bytes": self._said.pop(0)}
        return {"type": "websocket.disconnect", "code": 1006}

    async def send_text(self, text: str) -> None:
        raise WebSocketDisconnect(1006)


class Line:
    """To a front that tells something at once. got: what was passed on."""

    def __init__(self) -> None:
        self.got: list[str | bytes] = []

    async def send(self, data: str | bytes) -> None:
        self.got.append(data)

    async def __aiter__(self) -> AsyncIterator[str]:
        yield '{"type": "partial"}'
        await asyncio.Event().wait()


class Plain(Dialect):
    def heard(self, frame: str | bytes) -> Heard:
        return Heard([frame])

    def told(self, message: Message) -> list[Message]:
        return [message]

    def ended(self) -> list[Message]:
        return []

    def broken_off(self) -> Message:
        return {}


async def passed_on(*said: bytes) -> list[str | bytes]:
    client: Any = Leaving(*said)
    line: Any = Line()
    await Stream(client, line, Plain()).run()
    return line.got  # type: ignore[no-any-return]


async def test_what_a_client_said_before_it_left_is_passed_on_whatever_it_was_to_be_told() -> None:
    said = [bytes([number]) for number in range(20)]
    assert await passed_on(*said) == [*said, STOP]


async def test_large_frames_are_passed_on_in_pieces_that_the_front_takes() -> None:
    """Whatever its audio.max_frame_mib is."""
    *pieces, last = await passed_on(bytes(2 * LARGEST_FRAME + 1))
    assert [len(piece) for piece in pieces] == [LARGEST_FRAME, LARGEST_FRAME, 1] and last == STOP
