"""What comes over a connection is taken in small pieces, one in a turn of the event loop.

The system hands over up to 256 KiB at a time. Of the smallest WebSocket frames these are 40,000, which the library
takes apart in one go: a fifth of a second in which nobody else is served.
"""

import asyncio
from collections.abc import Callable
from typing import Any

PIECE_BYTES = 8192
"""5 ms of the smallest frames (4 µs each, measured), and a fifth of 100 ms of usual audio."""


class SmallReads:
    """Stands between a transport and its protocol, which takes it for the transport. While a piece waits, the transport
    does not read on. Used on the event loop's thread."""

    def __init__(self, transport: asyncio.Transport, take: Callable[[bytes], None]) -> None:
        """take: the protocol's `data_received`. It, or what it causes, may pause reading."""
        self._transport = transport
        self._take = take
        self._waiting = memoryview(b"")  # what is left of the last read is not copied with each piece
        self._paused = False
        self._next: asyncio.Handle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def received(self, data: bytes) -> None:
        """What the transport has read."""
        self._waiting = memoryview(bytes(self._waiting) + data if self._waiting else data)
        if self._next is None and not self._paused:
            self._take_piece()

    def finish(self) -> None:
        """Nothing more will come: take what waits, at once."""
        self.stop()
        waiting, self._waiting = self._waiting, memoryview(b"")
        if waiting:
            self._take(bytes(waiting))

    def stop(self) -> None:
        """Take nothing until `resume_reading`."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def pause_reading(self) -> None:
        self._paused = True
        self.stop()
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        self._go_on()

    def _take_piece(self) -> None:
        self._next = None
        piece, self._waiting = self._waiting[:PIECE_BYTES], self._waiting[PIECE_BYTES:]
        self._take(bytes(piece))
        self._go_on()

    def _go_on(self) -> None:
        if self._paused:
            return
        if not self._waiting:
            self._transport.resume_reading()
        elif self._next is None:
            self._transport.pause_reading()
            self._next = asyncio.get_running_loop().call_soon(self._take_piece)
