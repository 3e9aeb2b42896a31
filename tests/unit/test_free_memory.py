"""Free memory is given back while the daemon runs."""

import asyncio
import ctypes
import sys

import psutil
import pytest

from wernicke_daemon import free_memory
from wernicke_daemon.free_memory import give_back

PIECES, SIZE = 200_000, 200


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
async def test_what_was_freed_leaves_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a piece that is still in use lies above it, so that the allocator keeps it by itself."""
    monkeypatch.setattr(free_memory, "EVERY_S", 0.01)
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    pieces = [libc.malloc(SIZE) for _ in range(PIECES)]
    for piece in pieces[:-1]:
        libc.free(ctypes.c_void_p(piece))
    before = psutil.Process().memory_info().rss
    task = asyncio.create_task(give_back())
    async with asyncio.timeout(30):
        while psutil.Process().memory_info().rss > before - PIECES * SIZE // 2:
            await asyncio.sleep(0.01)
    task.cancel()
    libc.free(ctypes.c_void_p(pieces[-1]))


async def test_elsewhere_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends at once."""
    monkeypatch.setattr(sys, "platform", "win32")
    await asyncio.wait_for(give_back(), 30)
